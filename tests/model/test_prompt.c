// SPDX-License-Identifier: MIT
// What follows a prompt, on a tiny model: the distribution of the next byte against the exact one,
// by brute force over all tokens from the beginning of the text; and that everything a sampler does
// begins with the first new token.
#include "check.h"

#include <tempera/explain.h>
#include <tempera/model.h>
#include <tempera/sampler_stages.h>

#include "model/prompt.h"
#include "tokenizer/vocabulary.h"

enum { MOST_IDS = 24, N_BYTES = 257, MOST_COLUMNS = 4096 }; // byte 256: the end of the text

struct setting {
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    struct tempera_decoder *decoder;
    float *logits; // [V]
    size_t vocab;
};

static const char corpus[] =
    "good morrow to you, good morrow more and mo, mo mow morn. the king's men, the kings and kin; "
    "it's we're king's 're. caf\xC3\xA9 caf\xC3\xA9s \xC3\xA9t\xC3\xA9 na\xC3\xAFve \xE2\x82\xAC "
    "5\xE2"
    "\x82\xAC \xE4\xBD\xA0\xE5\xA5\xBD \xE4\xBD\xA0\n\nking\n  morrow\n    king\n\n\nmen  morrow  "
    "\n "
    "morrow mornings, kingdoms, kingdom, morrow";

// The model's scores spread by some nats, so that a wrong weight is seen.
static struct setting open_setting(uint64_t seed)
{
    struct setting s = {0};
    for (size_t vocab = 340; vocab > 257 && s.tokenizer == NULL; vocab--)
        tempera_tokenizer_train(&s.tokenizer, corpus, sizeof corpus - 1, vocab, NULL);
    s.tokenizer->adds_bos = true;
    s.vocab = tempera_tokenizer_n_tokens(s.tokenizer);
    CHECK(s.vocab > 280);
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = (uint32_t)s.vocab;
    config.context_length = 64;
    config.n_layers = 2;
    config.dim = 16;
    config.n_heads = 2;
    config.n_kv_heads = 1;
    config.hidden_dim = 24;
    CHECK_STATUS(tempera_model_create(&s.model, &config, seed, NULL), TEMPERA_OK);
    size_t n_parameters;
    float *weights = tempera_model_weights(s.model, &n_parameters);
    for (size_t i = 0; i < n_parameters; i++)
        weights[i] *= 4;
    CHECK_STATUS(tempera_decoder_open(&s.decoder, s.model, 0, NULL), TEMPERA_OK);
    s.logits = malloc(s.vocab * sizeof *s.logits);
    return s;
}

static void close_setting(struct setting *s)
{
    tempera_decoder_close(&s->decoder);
    tempera_model_close(&s->model);
    tempera_tokenizer_close(&s->tokenizer);
    free(s->logits);
}

// ------------------------------------------------------------------------------------------------
// By brute force

struct search {
    const struct setting *s;
    const char *prompt;
    size_t nbytes;
    int32_t ids[MOST_IDS]; // bos, and tokens so far
    size_t n;
    double next[N_BYTES]; // probability of prompt and byte
};

static double logsumexp(const float *z, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)z[i]);
    return log(sum);
}

// Whether some text has an encoding that begins with these tokens, which are longer than the
// prompt, or followed by what is left of it.
static bool is_encoding(const struct search *search, const int32_t *ids, size_t n)
{
    static const char *const endings[] = {
        "",
        "a",
        "s",
        "e",
        "l",
        "'",
        " ",
        "\n",
        "5",
        ".",
        " a",
        "\n a", // what follows a whole character,
        "\xA9",
        "\xAF",
        "\x82\xAC",
        "\xAC",
        "\xBD\xA0",
        "\xA0",
        "\xA5\xBD",
        "\xBD", // ends one as
        "\x85",
        "\x80",
        "\x80\x80",
        "\x9A\x80",
        "\x9F\x80\x80", // a letter, ...
        "\x85"
        "a",
        "\xA0"
        "a",
        "\x80"
        "a",
        "\x80\x80"
        "a",
        "\x9A\x80"
        "a", // or white space
    };
    char text[256];
    size_t nbytes;
    CHECK_STATUS(tempera_tokenizer_decode(search->s->tokenizer, ids, n, text, 128, &nbytes),
                 TEMPERA_OK);
    if (nbytes < search->nbytes)
        memcpy(text + nbytes, search->prompt + nbytes, search->nbytes - nbytes);
    size_t length = nbytes < search->nbytes ? search->nbytes : nbytes;
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        int32_t encoded[256];
        size_t n_encoded;
        memcpy(text + length, endings[i], strlen(endings[i]));
        CHECK_STATUS(tempera_tokenizer_encode(search->s->tokenizer, text,
                                              length + strlen(endings[i]), encoded, 256,
                                              &n_encoded),
                     TEMPERA_OK);
        if (n_encoded >= n && memcmp(encoded, ids, n * sizeof *ids) == 0)
            return true;
    }
    return false;
}

// Adds what begins with the tokens so far, of `at` bytes and probability p.
static void search_from(struct search *search, size_t at, double p)
{
    const struct setting *s = search->s;
    float *z = malloc(s->vocab * sizeof *z);
    CHECK_STATUS(tempera_decoder_rewind(s->decoder, 0), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(s->decoder, search->ids, search->n, z), TEMPERA_OK);
    double norm = logsumexp(z, s->vocab);
    for (int32_t id = 0; (size_t)id < s->vocab; id++) {
        size_t nbytes, left = search->nbytes - at;
        const uint8_t *bytes = tempera_tokenizer_token(s->tokenizer, id, &nbytes);
        double q = p * exp((double)z[id] - norm);
        search->ids[search->n] = id;
        if (tempera_tokenizer_is_special(s->tokenizer, id)) {
            int32_t encoded[MOST_IDS];
            size_t n_encoded;
            CHECK_STATUS(tempera_tokenizer_encode(s->tokenizer, search->prompt, search->nbytes,
                                                  encoded, MOST_IDS, &n_encoded),
                         TEMPERA_OK);
            if (left == 0 && n_encoded == search->n - 1 &&
                memcmp(encoded, search->ids + 1, n_encoded * sizeof *encoded) == 0)
                search->next[256] += q;
            continue;
        }
        size_t common = nbytes < left ? nbytes : left;
        if (memcmp(bytes, search->prompt + at, common) != 0 ||
            !is_encoding(search, search->ids + 1, search->n))
            continue;
        if (nbytes > left) {
            search->next[bytes[left]] += q;
        } else {
            search->n++;
            search_from(search, at + nbytes, q);
            search->n--;
        }
    }
    free(z);
}

// ------------------------------------------------------------------------------------------------
// As generated

struct first {
    const struct setting *s;
    double next[N_BYTES]; // shares of the columns' weights
    float scores[MOST_COLUMNS], logprobs[MOST_COLUMNS];
    int32_t tokens[MOST_COLUMNS];
    uint32_t n_known[MOST_COLUMNS];
    size_t n, n_calls;
    struct tempera_generated generated; // its pointers are over
    char text[256];
    size_t nbytes;
};

static void add_columns(struct first *first, const struct tempera_generated *generated)
{
    double norm = logsumexp(generated->logits, generated->n_logits);
    for (size_t i = 0; i < generated->n_logits; i++) {
        int32_t token = generated->row->tokens != NULL ? generated->row->tokens[i] : (int32_t)i;
        size_t nbytes, n_known = generated->n_known != NULL ? generated->n_known[i] : 0;
        const uint8_t *bytes = tempera_tokenizer_token(first->s->tokenizer, token, &nbytes);
        bool special = tempera_tokenizer_is_special(first->s->tokenizer, token);
        first->scores[i] = generated->logits[i];
        first->tokens[i] = token;
        first->n_known[i] = (uint32_t)n_known;
        first->next[special ? 256 : bytes[n_known]] += exp((double)generated->logits[i] - norm);
    }
    first->n = generated->n_logits;
}

static bool see_first(void *context, const struct tempera_generated *generated)
{
    struct first *first = context;
    if (first->n_calls++ == 0) {
        first->generated = *generated;
        if (CHECK(generated->n_logits <= MOST_COLUMNS))
            add_columns(first, generated);
    }
    memcpy(first->text + first->nbytes, generated->text, generated->nbytes);
    first->nbytes += generated->nbytes;
    return true;
}

static enum tempera_status generate(struct setting *s, const char *prompt, size_t nbytes,
                                    const struct tempera_generate_options *options,
                                    struct first *first)
{
    size_t n_tokens;
    memset(first, 0, sizeof *first);
    first->s = s;
    CHECK_STATUS(tempera_decoder_rewind(s->decoder, 0), TEMPERA_OK);
    return tempera_generate(s->decoder, s->tokenizer, prompt, nbytes, options, see_first, first,
                            &n_tokens, NULL);
}

static struct tempera_generate_options plain(const struct tempera_stage *stages, size_t n)
{
    struct tempera_generate_options options = tempera_generate_options_default();
    options.sampler = tempera_sampler_of(stages, n);
    options.max_tokens = 1;
    return options;
}

// ------------------------------------------------------------------------------------------------

static struct first first;

static void check_exact(struct setting *s, const char *prompt, size_t nbytes)
{
    static struct search search;
    struct tempera_generate_options options = plain(NULL, 0);
    memset(&search, 0, sizeof search);
    search.s = s;
    search.prompt = prompt;
    search.nbytes = nbytes;
    search.ids[0] = tempera_tokenizer_bos(s->tokenizer);
    search.n = 1;
    search_from(&search, 0, 1);
    double total = 0;
    for (size_t b = 0; b < N_BYTES; b++)
        total += search.next[b];
    CHECK_STATUS(generate(s, prompt, nbytes, &options, &first), TEMPERA_OK);
    for (size_t b = 0; b < N_BYTES; b++)
        CHECK_NEAR(first.next[b], search.next[b] / total, 1e-6);
}

static void exact_next_byte(void)
{
    static const char *const cut[] = {
        "king",      "good king",     "good k",       "good mo",
        "mo",        "good morro",    "the ",         "the  ",
        "the\n",     "the\n\n",       "the\n\n\n",    "the\n  ",
        "men\n    ", "men,",          "men, ",        "king's",
        "king'",     "king'r",        "it'",          "caf",
        "caf\xC3",   "caf\xC3\xA9",   " caf\xC3\xA9", "5\xE2",
        "5\xE2\x82", "5\xE2\x82\xAC", "\xE4\xBD",     "\xE4\xBD\xA0\xE5",
        "a \xE2",    "the king ",     "in",           "5",
        "\xA9",      "kingdoms",
    };
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct setting s = open_setting(seed);
        for (size_t i = 0; i < COUNT_OF(cut); i++)
            check_exact(&s, cut[i], strlen(cut[i]));
        close_setting(&s);
    }
}

// ------------------------------------------------------------------------------------------------
// What a sampler does begins with the first new token

static int32_t token_of(const struct setting *s, const char *text)
{
    int32_t id;
    size_t n;
    CHECK_STATUS(tempera_tokenizer_encode(s->tokenizer, text, strlen(text), &id, 1, &n),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(n, 1);
    return id;
}

static const char *const prompts[] = {"good", "good m", "the kin", "good morrow, good",
                                      "it'",  "men "};

enum { N_PROMPTS = COUNT_OF(prompts) };

static enum tempera_status generate_text(struct setting *s, const char *prompt,
                                         const struct tempera_generate_options *options)
{
    return generate(s, prompt, strlen(prompt), options, &first);
}

// T = 0 takes the best column; the text is new from the first token on.
static void zero_temperature(void)
{
    struct tempera_stage stages[] = {tempera_stage_temperature(0)};
    struct tempera_generate_options options = plain(stages, 1);
    struct setting s = open_setting(3);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_OK);
        size_t best = 0;
        for (size_t c = 0; c < first.n; c++)
            best = first.scores[c] > first.scores[best] ? c : best;
        CHECK_EQ_INT(first.generated.token, first.tokens[best]);
        CHECK(first.nbytes > 0 || first.generated.token == tempera_tokenizer_eos(s.tokenizer));
        double norm = logsumexp(first.scores, first.n);
        CHECK_NEAR((double)first.generated.raw_logprob, (double)first.scores[best] - norm, 2e-6);
    }
    close_setting(&s);
}

// Lists and biases speak of the token that crosses the prompt's end, in every column that it has.
static void lists_and_biases(void)
{
    struct setting s = open_setting(3);
    const int32_t comma = token_of(&s, ","), morrow = token_of(&s, " morrow");
    const int32_t two[] = {comma, morrow}, end = tempera_tokenizer_eos(s.tokenizer);
    const struct tempera_logit_bias likely = {comma, 100}, never = {comma, -INFINITY};
    for (size_t i = 0; i < N_PROMPTS; i++) {
        struct tempera_stage stages[2] = {tempera_stage_allow(two, 2)};
        struct tempera_generate_options options = plain(stages, 1);
        bool is_two = strcmp(prompts[i], "good m") == 0; // the comma, or more of " morrow"
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_OK);
        CHECK(first.generated.token == comma || first.generated.token == morrow);
        CHECK(!is_two || first.generated.token == comma || memcmp(first.text, "orrow", 5) == 0);
        stages[0] = tempera_stage_ban(two, 2);
        stages[1] = tempera_stage_logit_bias(&likely, 1);
        options = plain(stages, 2);
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_OK);
        CHECK(first.generated.token != comma && first.generated.token != morrow);
        options = plain(stages + 1, 1);
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_OK);
        CHECK_EQ_INT(first.generated.token, comma);
        CHECK(first.nbytes == 1 && first.text[0] == ',');
        stages[0] = tempera_stage_allow(&comma, 1);
        stages[1] = tempera_stage_logit_bias(&never, 1);
        options = plain(stages, 2);
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_ALL_MASKED);
        stages[0] = tempera_stage_allow(&end, 1);
        options = plain(stages, 1);
        CHECK_STATUS(generate_text(&s, prompts[i], &options), TEMPERA_OK);
        CHECK_EQ_SIZE(first.nbytes, 0);
    }
    close_setting(&s);
}

// " morrow" would be the second after " good": n-grams, penalties and DRY know that, however the
// prompt's end is read.
static void histories(void)
{
    struct setting s = open_setting(3);
    const int32_t morrow = token_of(&s, " morrow");
    const struct tempera_logit_bias likely = {morrow, 100}; // penalties are larger
    struct tempera_stage strict[] = {
        tempera_stage_no_repeat_ngram(2, 32),      tempera_stage_no_repeat_ngram(1, 32),
        tempera_stage_penalties(1, 200, 0, 32),    tempera_stage_penalties(1, 0, 200, 32),
        tempera_stage_dry(200, 1, 1, 32, NULL, 0), tempera_stage_penalties(1, 200, 0, 32),
    };
    strict[5].u.penalties.drawn_only = true; // the prompt doesn't count
    static const char *const ends[] = {" good morrow good", " good morrow good m",
                                       " good morrow good morro"};
    for (size_t e = 0; e < 3; e++)
        for (size_t i = 0; i < COUNT_OF(strict); i++) {
            struct tempera_stage stages[] = {tempera_stage_logit_bias(&likely, 1), strict[i],
                                             tempera_stage_temperature(0)};
            struct tempera_generate_options options = plain(stages, 3);
            CHECK_STATUS(generate_text(&s, ends[e], &options), TEMPERA_OK);
            bool is_morrow = first.generated.token == morrow;
            if (i == 5)
                CHECK(is_morrow);
            else if (i == 0 || i == 4) // " m morrow" is nothing that was there before
                CHECK(!is_morrow || (e > 0 && first.nbytes == 7));
            else
                CHECK(!is_morrow);
        }
    close_setting(&s);
}

// ------------------------------------------------------------------------------------------------
// After the first token

struct second {
    struct setting *s;
    const char *prompt;
    struct tempera_decoder *decoder; // another one
    size_t n_calls;
    size_t n_accepted; // tokens before the second draw
    bool is_over;      // the first token ended the text, or in a place where encoding may change
    bool is_within;    // it began within the prompt
};

// Reads the prompt and the first token again, as they are encoded.
static void read_again(struct second *second, const struct tempera_generated *generated)
{
    const struct tempera_tokenizer *tokenizer = second->s->tokenizer;
    size_t column = 0, nbytes, n_ids, length = strlen(second->prompt);
    char text[128];
    int32_t ids[64] = {tempera_tokenizer_bos(tokenizer)};
    struct tempera_matrix logits =
        tempera_matrix_const_f32(generated->logits, 1, generated->n_logits);
    struct tempera_sample_result result;
    size_t scratch_nbytes = tempera_sample_scratch_nbytes(&logits, generated->row->sampler, NULL);
    void *scratch = aligned_alloc(64, scratch_nbytes);
    CHECK_STATUS(tempera_sample(&logits, generated->row, &result, scratch, scratch_nbytes, NULL),
                 TEMPERA_OK);
    column = (size_t)result.column;
    free(scratch);
    length -= generated->n_known[column];
    second->is_within = generated->n_known[column] > 0;
    memcpy(text, second->prompt, length);
    const uint8_t *bytes = tempera_tokenizer_token(tokenizer, generated->token, &nbytes);
    memcpy(text + length, bytes, nbytes);
    CHECK_STATUS(tempera_tokenizer_encode(tokenizer, text, length + nbytes, ids + 1, 63, &n_ids),
                 TEMPERA_OK);
    second->is_over = tempera_tokenizer_is_special(tokenizer, generated->token) ||
                      strchr(" \n", text[length + nbytes - 1]) != NULL;
    if (second->is_over)
        return;
    CHECK_EQ_INT(ids[n_ids], generated->token);
    second->n_accepted = n_ids + 1;
    CHECK_STATUS(tempera_decoder_rewind(second->decoder, 0), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(second->decoder, ids, n_ids + 1, second->s->logits),
                 TEMPERA_OK);
}

static bool see_second(void *context, const struct tempera_generated *generated)
{
    struct second *second = context;
    if (second->n_calls++ == 0) {
        read_again(second, generated);
        return !second->is_over;
    }
    CHECK(generated->row->tokens == NULL && generated->n_known == NULL);
    CHECK_EQ_SIZE(generated->n_logits, second->s->vocab);
    CHECK_EQ_U64(generated->row->state->step, second->n_accepted);
    for (size_t i = 0; i < second->s->vocab; i++)
        CHECK_NEAR((double)generated->logits[i], (double)second->s->logits[i], 2e-4);
    return false;
}

// The model has read the prompt as the first token had it, and that token.
static void second_row(void)
{
    struct setting s = open_setting(3);
    struct second second = {.s = &s};
    size_t n_seen = 0, n_within = 0;
    CHECK_STATUS(tempera_decoder_open(&second.decoder, s.model, 0, NULL), TEMPERA_OK);
    for (size_t i = 0; i < N_PROMPTS; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct tempera_generate_options options = plain(NULL, 0);
            options.max_tokens = 2;
            options.seed = seed;
            second.prompt = prompts[i];
            second.n_calls = 0;
            CHECK_STATUS(tempera_decoder_rewind(s.decoder, 0), TEMPERA_OK);
            CHECK_STATUS(tempera_generate(s.decoder, s.tokenizer, prompts[i], strlen(prompts[i]),
                                          &options, see_second, &second, NULL, NULL),
                         TEMPERA_OK);
            n_seen += !second.is_over;
            n_within += !second.is_over && second.is_within;
        }
    CHECK(n_seen > 60 && n_within > 5);
    tempera_decoder_close(&second.decoder);
    close_setting(&s);
}

// ------------------------------------------------------------------------------------------------
// Where there is less to go on from

// Without a beginning token, the prompt's first token stays: nothing can change it.
static void without_bos(void)
{
    struct setting s = open_setting(3);
    struct tempera_generate_options options = plain(NULL, 0);
    const int32_t comma = token_of(&s, ",");
    s.tokenizer->adds_bos = false;
    s.tokenizer->bos = -1;
    CHECK_STATUS(generate_text(&s, ",", &options), TEMPERA_OK);
    CHECK_EQ_SIZE(first.n, s.vocab); // one token: its own row
    CHECK_STATUS(tempera_decoder_rewind(s.decoder, 0), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(s.decoder, &comma, 1, s.logits), TEMPERA_OK);
    CHECK_MEM(first.scores, s.logits, s.vocab * sizeof *s.logits);
    CHECK_STATUS(generate_text(&s, "king m", &options), TEMPERA_OK);
    CHECK(first.n != s.vocab);
    CHECK_STATUS(generate_text(&s, "", &options), TEMPERA_INVALID_ARGUMENT);
    close_setting(&s);
}

// A beginning token that stands for what is taken back takes a place, too.
static void bos_takes_a_place(void)
{
    struct setting s = open_setting(3);
    struct tempera_generate_options options = plain(NULL, 0);
    s.tokenizer->adds_bos = false;
    tempera_decoder_close(&s.decoder);
    for (size_t capacity = 2; capacity < 9; capacity++) {
        CHECK_STATUS(tempera_decoder_open(&s.decoder, s.model, capacity, NULL), TEMPERA_OK);
        for (size_t n = 1; n <= capacity; n++)
            CHECK_STATUS(generate(&s, "!?!?!?!?", n, &options, &first),
                         n + 1 < capacity ? TEMPERA_OK : TEMPERA_CONTEXT_FULL);
        tempera_decoder_close(&s.decoder);
    }
    close_setting(&s);
}

// Of a long word, the last 32 bytes are looked at, from where a token begins; a short one is looked
// at whole.
static void long_words(void)
{
    struct setting s = open_setting(3);
    struct tempera_generate_options options = plain(NULL, 0);
    char text[64] = "the ";
    for (size_t n = 5; n < 46; n++) {
        struct tempera_prompt prompt;
        text[n - 1] = "mrg"[n * n % 3];
        text[n] = '\0';
        CHECK_STATUS(tempera_prompt_open(&prompt, s.tokenizer, text, n, false, NULL), TEMPERA_OK);
        CHECK(prompt.tail_nbytes <= 32 && (n - 3 <= 32 || prompt.tail_nbytes > 32 - 8));
        CHECK(n - 3 > 32 || prompt.tail_nbytes == n - 3); // with the space before it
        CHECK(prompt.n_lead <= 17 && prompt.n_lead <= n - 3);
        tempera_prompt_close(&prompt);
        CHECK_STATUS(generate_text(&s, text, &options), TEMPERA_OK);
        CHECK(first.n > 100);
    }
    close_setting(&s);
}

// Of the prefix that weighs most, the columns have the scores that the model gives after it. The
// prefix is run as here, token by token.
static uint32_t check_heaviest(uint64_t seed, const char *word)
{
    struct setting s = open_setting(seed);
    struct tempera_generate_options options = plain(NULL, 0);
    char text[16];
    snprintf(text, sizeof text, "the%s", word);
    CHECK_STATUS(generate_text(&s, text, &options), TEMPERA_OK);
    double weights[8] = {0}; // by how many bytes of the word the token has
    for (size_t c = 0; c < first.n; c++)
        weights[first.n_known[c]] += exp((double)first.scores[c]);
    uint32_t heaviest = 0;
    for (uint32_t i = 1; i <= strlen(word); i++)
        heaviest = weights[i] > weights[heaviest] ? i : heaviest;
    int32_t ids[16] = {tempera_tokenizer_bos(s.tokenizer)};
    size_t n, n_prefix, n_same = 0;
    CHECK_STATUS(tempera_tokenizer_encode(s.tokenizer, "the", 3, ids + 1, 15, &n), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_rewind(s.decoder, 0), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(s.decoder, ids, n + 1, s.logits), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_encode(s.tokenizer, word, strlen(word) - heaviest, ids, 16,
                                          &n_prefix),
                 TEMPERA_OK);
    for (size_t i = 0; i < n_prefix; i++)
        CHECK_STATUS(tempera_decoder_append(s.decoder, &ids[i], 1, s.logits), TEMPERA_OK);
    for (size_t c = 0; c < first.n; c++)
        if (first.n_known[c] == heaviest) {
            CHECK(first.scores[c] == s.logits[first.tokens[c]]);
            n_same++;
        }
    CHECK(n_same > 0);
    close_setting(&s);
    return heaviest;
}

static void heaviest_columns_are_the_models(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        CHECK(check_heaviest(seed, " k") == 2);   // many tokens begin like this
        CHECK(check_heaviest(seed, " kqz") == 0); // none does
    }
}

// What the tokenizer can't say has no share: in a model with more tokens, the columns' weights are
// those of a model without them.
static void tokens_without_a_text(void)
{
    struct setting s = open_setting(3), larger = s;
    struct tempera_model_config config = *tempera_model_get_config(s.model);
    size_t n, n_larger;
    config.vocab_size += 5;
    CHECK_STATUS(tempera_model_create(&larger.model, &config, 3, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&larger.decoder, larger.model, 0, NULL), TEMPERA_OK);
    float *from = tempera_model_weights(s.model, &n);
    float *to = tempera_model_weights(larger.model, &n_larger);
    size_t n_embedding = s.vocab * config.dim, n_added = 5 * config.dim;
    CHECK_EQ_SIZE(n_larger, n + n_added);
    memcpy(to, from, n_embedding * sizeof *to);
    for (size_t i = 0; i < n_added; i++)
        to[n_embedding + i] = from[i]; // as likely as some others
    memcpy(to + n_embedding + n_added, from + n_embedding, (n - n_embedding) * sizeof *to);
    struct tempera_generate_options options = plain(NULL, 0);
    CHECK_STATUS(generate_text(&s, "the k", &options), TEMPERA_OK);
    static double expected[N_BYTES];
    memcpy(expected, first.next, sizeof expected);
    CHECK_STATUS(generate_text(&larger, "the k", &options), TEMPERA_OK);
    for (size_t b = 0; b < N_BYTES; b++)
        CHECK_NEAR(first.next[b], expected[b], 1e-6);
    tempera_decoder_close(&larger.decoder);
    tempera_model_close(&larger.model);
    close_setting(&s);
}

// A list with a token that the model hasn't is refused before anything is drawn.
static void lists_beyond_the_vocabulary(void)
{
    struct setting s = open_setting(3);
    const int32_t beyond[] = {(int32_t)s.vocab}, largest[] = {INT32_MAX};
    struct tempera_stage stages[] = {tempera_stage_ban(beyond, 1),
                                     tempera_stage_dry(1, 2, 1, 8, largest, 1)};
    for (size_t i = 0; i < 2; i++) {
        struct tempera_generate_options options = plain(stages + i, 1);
        CHECK_STATUS(generate_text(&s, "good m", &options), TEMPERA_TOKEN_OUT_OF_RANGE);
        CHECK_EQ_SIZE(first.n_calls, 0);
    }
    close_setting(&s);
}

// Near the end of the context, a prefix of more tokens than the prompt itself has may not fit.
static void full_contexts(void)
{
    struct setting s = open_setting(3);
    struct tempera_stage anything = tempera_stage_temperature(INFINITY);
    struct tempera_generate_options options = plain(&anything, 1);
    options.max_tokens = 0; // until the context is full
    for (size_t n_commas = 52;; n_commas++) {
        char prompt[128];
        int32_t ids[128];
        size_t n_ids;
        memset(prompt, ',', n_commas);
        memcpy(prompt + n_commas, " the", 5);
        CHECK_STATUS(tempera_tokenizer_encode(s.tokenizer, prompt, n_commas + 4, ids, 128, &n_ids),
                     TEMPERA_OK);
        if (n_ids + 1 >= 64)
            break;
        size_t n_left_out = 0;
        CHECK_STATUS(generate_text(&s, prompt, &options), TEMPERA_OK);
        for (size_t c = 0; c < first.n; c++)
            n_left_out += first.scores[c] == -INFINITY;
        CHECK((n_left_out > 0) == (n_ids + 2 == 64)); // some have one token more than " the"
    }
    close_setting(&s);
}

static void not_a_number(void)
{
    struct setting s = open_setting(3);
    struct tempera_generate_options options = plain(NULL, 0);
    size_t n_parameters;
    float *weights = tempera_model_weights(s.model, &n_parameters);
    weights[n_parameters - 1] = NAN;
    CHECK_STATUS(generate_text(&s, "good m", &options), TEMPERA_NAN_INPUT);
    CHECK_EQ_SIZE(first.n_calls, 0);
    close_setting(&s);
}

static void too_many_tokens(void)
{
    struct setting s = open_setting(3);
    struct tempera_model_config config = *tempera_model_get_config(s.model);
    config.vocab_size = 257;
    struct tempera_decoder *decoder = NULL;
    struct tempera_model *model = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_model_create(&model, &config, 1, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(
        tempera_generate(decoder, s.tokenizer, "x", 1, NULL, see_first, &first, NULL, &error),
        TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "the model only 257") != NULL);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
    close_setting(&s);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the next byte has its exact probability", exact_next_byte},
        {"T = 0 takes the likeliest column", zero_temperature},
        {"lists and biases act on the first new token", lists_and_biases},
        {"n-grams, penalties and DRY know each column's history", histories},
        {"the second row follows the first token as it was read", second_row},
        {"without a beginning token, the prompt's first one stays", without_bos},
        {"a beginning token takes a place in the context", bos_takes_a_place},
        {"long words are completed", long_words},
        {"the heaviest columns have the model's own scores", heaviest_columns_are_the_models},
        {"tokens that the tokenizer doesn't know have no share", tokens_without_a_text},
        {"lists beyond the vocabulary are refused", lists_beyond_the_vocabulary},
        {"prefixes that do not fit the context are left out", full_contexts},
        {"a NaN ends the text", not_a_number},
        {"a tokenizer with more tokens than the model is refused", too_many_tokens},
    };
    return CHECK_RUN(tests, argc, argv);
}
