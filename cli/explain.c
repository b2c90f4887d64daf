// SPDX-License-Identifier: MIT
// tempera explain: what temperature and the filters do to the next token's distribution.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>

#include "commands.h"
#include "sampling.h"
#include "stages.h"
#include "support.h"

enum { BAR_WIDTH = 20, MOST_TEMPERATURES = 8 };

// The scores after a prompt and everything computed from them.
struct analysis {
    const struct cli_session *session;
    size_t vocab;
    float *logits;             // [vocab]
    int32_t *order;            // [vocab], likeliest first, ties by id
    const float *temperatures; // [n_temperatures]
    size_t n_temperatures;
    float *probs;                        // [n_temperatures, vocab]
    double *entropy;                     // [n_temperatures], bits
    struct tempera_sampler_state *state; // that has accepted the prompt
    struct cli_explained explained;
};

// ------------------------------------------------------------------------------------------------
// Computing

// The scores after the prompt, and a state that remembers it.
static enum tempera_status read_prompt(struct analysis *a, const struct tempera_sampler *sampler,
                                       const char *prompt, struct tempera_error *error)
{
    const struct tempera_tokenizer *tokenizer = a->session->tokenizer;
    size_t nbytes = strlen(prompt), n_ids = 0;
    size_t n_bos = nbytes == 0 || tempera_tokenizer_adds_bos(tokenizer);
    int32_t *ids = cli_realloc(NULL, (nbytes + 1) * sizeof *ids);
    ids[0] = tempera_tokenizer_bos(tokenizer);
    enum tempera_status status =
        tempera_tokenizer_encode(tokenizer, prompt, nbytes, ids + n_bos, nbytes, &n_ids);
    n_ids += n_bos;
    if (status == TEMPERA_OK && n_bos == 1 && ids[0] < 0) {
        status = TEMPERA_INVALID_ARGUMENT;
        snprintf(error->message, sizeof error->message,
                 "the model has no token to begin a text with: give a prompt");
    }
    struct tempera_decoder *decoder = NULL;
    if (status == TEMPERA_OK)
        status = tempera_decoder_open(&decoder, a->session->model, 0, a->session->executor);
    if (status == TEMPERA_OK)
        status = tempera_decoder_append(decoder, ids, n_ids, a->logits);
    if (status == TEMPERA_CONTEXT_FULL)
        snprintf(error->message, sizeof error->message,
                 "the prompt has %zu tokens; the context holds %zu: shorten the prompt", n_ids,
                 tempera_decoder_capacity(decoder));
    size_t state_nbytes = tempera_sampler_state_nbytes(sampler);
    a->state = cli_realloc(NULL, state_nbytes);
    if (status == TEMPERA_OK)
        status = tempera_sampler_state_init(a->state, state_nbytes, sampler);
    for (size_t i = 0; i < n_ids && status == TEMPERA_OK; i++)
        status = tempera_sampler_accept(a->state, ids[i], NULL);
    tempera_decoder_close(&decoder);
    free(ids);
    return status;
}

static const float *order_scores; // qsort has no context argument in C11

static int compare_tokens(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (order_scores[x] != order_scores[y])
        return order_scores[x] < order_scores[y] ? 1 : -1;
    return x < y ? -1 : x > y;
}

static enum tempera_status compute_temperatures(struct analysis *a)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(a->logits, 1, a->vocab);
    for (size_t t = 0; t < a->n_temperatures; t++) {
        float *row = a->probs + t * a->vocab;
        struct tempera_matrix probs = tempera_matrix_f32(row, 1, a->vocab);
        struct tempera_softmax_options options = tempera_softmax_options_default();
        options.temperature = a->temperatures[t];
        enum tempera_status status = tempera_softmax(&logits, &options, &probs, NULL, NULL);
        if (status != TEMPERA_OK)
            return status;
        a->entropy[t] = cli_entropy_bits(row, a->vocab);
    }
    for (size_t i = 0; i < a->vocab; i++)
        a->order[i] = (int32_t)i;
    order_scores = a->logits;
    qsort(a->order, a->vocab, sizeof *a->order, compare_tokens);
    return TEMPERA_OK;
}

// What the sampler makes of the scores.
static enum tempera_status compute_stages(struct analysis *a, const struct tempera_sampler *sampler,
                                          const int32_t *ids, size_t n_ids)
{
    const struct tempera_sample_row row = {.sampler = sampler, .state = a->state};
    return cli_explained_make(&a->explained, a->logits, a->vocab, &row, ids, n_ids);
}

// ------------------------------------------------------------------------------------------------
// Showing

static void print_table(const struct analysis *a, size_t top)
{
    printf("%5s  %-18s %9s", "rank", "token", "logit");
    for (size_t t = 0; t < a->n_temperatures; t++) {
        char heading[24];
        snprintf(heading, sizeof heading, "T = %g", (double)a->temperatures[t]);
        printf("  %9s", heading);
    }
    putchar('\n');
    for (size_t i = 0; i < top && i < a->vocab; i++) {
        char token[64];
        cli_token_text(a->session->tokenizer, a->order[i], token, sizeof token);
        printf("%5zu  %-18s %9.4f", i + 1, token, (double)a->logits[a->order[i]]);
        for (size_t t = 0; t < a->n_temperatures; t++)
            printf("  %7.3f %%", 100 * (double)a->probs[t * a->vocab + (size_t)a->order[i]]);
        putchar('\n');
    }
}

static void print_text(const struct analysis *a, size_t top)
{
    print_table(a, top);
    putchar('\n');
    for (size_t t = 0; t < a->n_temperatures; t++) {
        char bar[3 * BAR_WIDTH + 4];
        double most = log2((double)a->vocab);
        cli_bar(a->entropy[t] / most, BAR_WIDTH, bar);
        printf("T = %-5g entropy %7.3f bits of %.3f, as many as %9.1f equal tokens  %s\n",
               (double)a->temperatures[t], a->entropy[t], most, exp2(a->entropy[t]), bar);
    }
    putchar('\n');
    cli_explained_print_stages(&a->explained);
    if (a->explained.n_tokens > 0)
        putchar('\n');
    cli_explained_print_tokens(&a->explained, a->session->tokenizer);
}

static json_t *to_json(const struct analysis *a, size_t top, const char *prompt)
{
    json_t *tokens = json_array(), *entropies = json_array();
    for (size_t i = 0; i < top && i < a->vocab; i++) {
        size_t id = (size_t)a->order[i], nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(a->session->tokenizer, (int32_t)id, &nbytes);
        json_t *probs = json_array();
        for (size_t t = 0; t < a->n_temperatures; t++)
            json_array_append_new(probs, cli_json_number((double)a->probs[t * a->vocab + id]));
        json_array_append_new(tokens, json_pack("{s:I, s:o, s:o, s:o}", "id", (json_int_t)id,
                                                "text", cli_json_text((const char *)bytes, nbytes),
                                                "logit", cli_json_number((double)a->logits[id]),
                                                "probabilities", probs));
    }
    for (size_t t = 0; t < a->n_temperatures; t++)
        json_array_append_new(entropies, cli_json_number(a->entropy[t]));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "prompt", cli_json_text(prompt, strlen(prompt)),
        "temperatures", cli_json_numbers(a->temperatures, a->n_temperatures), "entropy_bits",
        entropies, "tokens", tokens, "stages", cli_explained_stages_json(&a->explained), "asked",
        cli_explained_tokens_json(&a->explained, a->session->tokenizer));
}

// ------------------------------------------------------------------------------------------------
// Tokens that were asked for

// A number is an id, anything else the exact text of a token. -1, with a message, if there is none.
static int32_t find_token(const struct tempera_tokenizer *tokenizer, const char *text)
{
    size_t n_tokens = tempera_tokenizer_n_tokens(tokenizer), length = strlen(text);
    if (length > 0 && strspn(text, "0123456789") == length) {
        unsigned long long id = strtoull(text, NULL, 10);
        if (id < n_tokens)
            return (int32_t)id;
        cli_error("tempera explain: --token %s: ids go to %zu", text, n_tokens - 1);
        return -1;
    }
    for (size_t id = 0; id < n_tokens; id++) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, (int32_t)id, &nbytes);
        if (nbytes == length && memcmp(bytes, text, length) == 0)
            return (int32_t)id;
    }
    cli_error("tempera explain: no token is exactly '%s'; most words begin with a space (--token "
              "' wall'), and --top N lists the likeliest",
              text);
    return -1;
}

static int explain(const struct cli_session *session, const char *prompt,
                   const struct cli_numbers *temperatures, struct cli_sampling *sampling,
                   const struct cli_texts *asked, size_t top, bool json)
{
    size_t vocab = tempera_model_get_config(session->model)->vocab_size;
    size_t n = temperatures->count;
    int32_t *ids = cli_realloc(NULL, asked->count * sizeof *ids);
    for (size_t i = 0; i < asked->count; i++) {
        ids[i] = find_token(session->tokenizer, asked->items[i]);
        if (ids[i] < 0) {
            free(ids);
            return CLI_FAILED;
        }
    }
    float *floats = cli_realloc(NULL, (n + 1) * vocab * sizeof *floats);
    struct analysis a = {
        .session = session,
        .vocab = vocab,
        .logits = floats,
        .order = cli_realloc(NULL, vocab * sizeof *a.order),
        .temperatures = temperatures->items,
        .n_temperatures = n,
        .probs = floats + vocab,
        .entropy = cli_realloc(NULL, n * sizeof *a.entropy),
    };
    struct tempera_sampler sampler = cli_sampling_build(sampling);
    struct tempera_error error = {0};
    enum tempera_status status = read_prompt(&a, &sampler, prompt, &error);
    if (status == TEMPERA_OK)
        status = compute_temperatures(&a);
    if (status == TEMPERA_OK)
        status = compute_stages(&a, &sampler, ids, asked->count);
    int exit_code = CLI_OK;
    if (status != TEMPERA_OK)
        exit_code = cli_failed("explain", status, &error);
    else if (json)
        exit_code = cli_json_print("explain", to_json(&a, top, prompt));
    else
        print_text(&a, top);
    cli_explained_free(&a.explained);
    free(a.state);
    free(ids);
    free(floats);
    free(a.order);
    free(a.entropy);
    return exit_code;
}

static int run(int argc, char **argv)
{
    const char *model = NULL, *prompt = "", *isa = NULL;
    struct cli_sampling sampling = cli_sampling_default();
    struct cli_numbers temperatures = {NULL, 0};
    struct cli_texts words = {NULL, 0}, asked = {NULL, 0};
    uint64_t top = 10, threads = 0;
    bool json = false;
    const struct cli_option own[] = {
        {"model", 'm', CLI_TEXT, &model, "FILE", "a GGUF model; the one that ships", 0, 0},
        {"prompt", 'p', CLI_TEXT, &prompt, "TEXT", "the text before the token to explain", 0, 0},
        {"temperature", 't', CLI_NUMBERS, &temperatures, "T,...", "0.5,1,2 unless given", 0,
         INFINITY},
        {"token", 0, CLI_TEXTS, &asked, "TEXT|ID", "what became of a token; may be repeated", 0, 0},
        {"top", 0, CLI_COUNT, &top, "N", "tokens to list; 10", 1, 1e9},
        {"threads", 0, CLI_COUNT, &threads, "N", "0: all processors; 0", 0, 1024},
        {"isa", 0, CLI_TEXT, &isa, "NAME", "kernels: scalar, avx2, avx512, neon", 0, 0},
        {"json", 0, CLI_FLAG, &json, NULL, "print JSON", 0, 0},
    };
    struct cli_option options[sizeof own / sizeof *own + CLI_SAMPLING_OPTIONS];
    const size_t n_options =
        cli_sampling_options(&sampling, own, sizeof own / sizeof *own, options);
    int exit_code;
    bool ok = cli_options_parse(&cli_explain, options, n_options, argc, argv, &words, &exit_code);
    if (ok && words.count > 0) {
        cli_error("tempera explain: '%s' is no option; the prompt goes after -p, in quotes",
                  words.items[0]);
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && temperatures.count == 0) {
        static const float usual[] = {0.5f, 1, 2};
        temperatures.items = memcpy(cli_realloc(NULL, sizeof usual), usual, sizeof usual);
        temperatures.count = sizeof usual / sizeof *usual;
    } else if (ok && temperatures.count == 1) {
        sampling.temperature = temperatures.items[0];
    }
    if (ok && temperatures.count > MOST_TEMPERATURES) {
        cli_error("tempera explain: at most %d temperatures at once", MOST_TEMPERATURES);
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && !cli_set_isa("explain", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok) {
        struct cli_session session;
        exit_code = CLI_FAILED;
        if (cli_session_open(&session, "explain", model, threads)) {
            exit_code = CLI_USAGE;
            if (cli_sampling_open(&sampling, "explain", session.tokenizer))
                exit_code =
                    explain(&session, prompt, &temperatures, &sampling, &asked, (size_t)top, json);
            cli_session_close(&session);
        }
    }
    cli_sampling_close(&sampling);
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_explain = {
    .name = "explain",
    .summary = "what temperature and the filters do to the next token",
    .arguments = "",
    .details =
        "Shows the likeliest next tokens after a prompt with their raw scores, their probability "
        "at each\ntemperature, the entropy, and what each stage of generate does: how many tokens "
        "it leaves, the mass\nit removes, entropy and KL divergence from the scores in bits. The "
        "temperature among the stages is\nthe one after -t if it is one, else 0.8.",
    .example = "tempera explain -p \"Humpty Dumpty sat on a\" -t 0.5,1,2",
    .run = run,
};
