// SPDX-License-Identifier: MIT
// Text from a prompt: decoder, sampler and tokenizer together, as an engine would use them.
//
// A step is: a row of scores -> sampler -> token -> bytes -> whole characters -> text without stop
// strings -> callback. The first row is that of prompt.c, the others are the model's own.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/presets.h>
#include <tempera/softmax.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "model/decoder.h"
#include "model/diagnose.h"
#include "model/parameters.h"
#include "model/prompt.h"

// The default chain. The options point to it, so it lives as long as the program.
static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static struct tempera_stage default_stages[TEMPERA_PRESET_STAGES];
static size_t n_default_stages;

static void make_default_stages(void)
{
    struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
    n_default_stages = tempera_preset_temperature_last(&params, default_stages);
}

struct tempera_generate_options tempera_generate_options_default(void)
{
    pthread_once(&default_once, make_default_stages);
    return (struct tempera_generate_options){
        .struct_size = sizeof(struct tempera_generate_options),
        .sampler = tempera_sampler_of(default_stages, n_default_stages),
    };
}

struct generation {
    struct tempera_decoder *decoder;
    const struct tempera_tokenizer *tokenizer;
    const struct tempera_generate_options *options;
    tempera_generate_callback *callback;
    void *context;
    struct tempera_fpenv env; // the caller's

    size_t vocab; // V of the model
    int32_t *ids; // [n_ids]: what the decoder holds, for sliding
    size_t n_ids;
    float *model_logits;  // [V], of the last token
    const float *logits;  // [n_logits], of this step
    size_t n_logits;      // V, or the columns of the first row
    float *probs;         // [n_logits], of this step
    uint32_t *known_mask; // [ceil(V / 32)]: tokens that the tokenizer knows; NULL: all
    void *scratch;        // the sampler's
    size_t scratch_nbytes;
    struct tempera_sampler_state *state;
    struct tempera_prompt_row first; // n = 0: the model's own row is the first
    struct tempera_sample_row row;   // of this step

    struct tempera_utf8_holdback holdback;
    char *text; // not shown yet: it may be the beginning of a stop string
    size_t nbytes, capacity;
    struct tempera_sample_result drawn; // the last token
    bool ended;
    bool refused; // the callback said stop and isn't called again
};

// ------------------------------------------------------------------------------------------------
// Opening and closing

static void close_generation(struct generation *g)
{
    free(g->ids);
    free(g->model_logits);
    free(g->probs);
    free(g->known_mask);
    free(g->scratch);
    free(g->state);
    free(g->text);
    tempera_prompt_row_close(&g->first);
}

// Sets the row to sample from next. All rows of the model have one length, so this allocates at
// most twice.
static enum tempera_status set_row(struct generation *g, const float *logits, size_t n)
{
    g->logits = logits;
    if (n == g->n_logits)
        return TEMPERA_OK;
    struct tempera_matrix row = tempera_matrix_const_f32(logits, 1, n);
    free(g->probs);
    free(g->scratch);
    g->n_logits = n;
    g->scratch_nbytes = tempera_sample_scratch_nbytes(&row, &g->options->sampler, NULL);
    g->probs = tempera_alloc(n, sizeof *g->probs);
    g->scratch = tempera_alloc(1, g->scratch_nbytes);
    return g->probs != NULL && g->scratch != NULL ? TEMPERA_OK : TEMPERA_OUT_OF_MEMORY;
}

// A model may have more tokens than its tokenizer; those have no text, and are masked.
static enum tempera_status mask_unknown(struct generation *g)
{
    size_t n_known = tempera_tokenizer_n_tokens(g->tokenizer);
    if (n_known == g->vocab)
        return TEMPERA_OK;
    g->known_mask = tempera_alloc(g->vocab / 32 + 1, sizeof *g->known_mask);
    if (g->known_mask == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    for (size_t id = 0; id < n_known; id++)
        g->known_mask[id / 32] |= 1u << (id % 32);
    return TEMPERA_OK;
}

static enum tempera_status open_generation(struct generation *g)
{
    size_t state_nbytes = tempera_sampler_state_nbytes(&g->options->sampler);
    g->model_logits = tempera_alloc(g->vocab, sizeof *g->model_logits);
    g->state = tempera_alloc(1, state_nbytes);
    if (g->model_logits == NULL || g->state == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    TEMPERA_TRY(mask_unknown(g));
    return tempera_sampler_state_init(g->state, state_nbytes, &g->options->sampler);
}

// ------------------------------------------------------------------------------------------------
// The decoder, with a window that slides

// Room for n more tokens: when the context is full, its second half becomes the first.
static enum tempera_status make_room(struct generation *g, size_t n)
{
    size_t length = tempera_decoder_length(g->decoder);
    size_t capacity = tempera_decoder_capacity(g->decoder);
    if (length + n <= capacity)
        return TEMPERA_OK;
    size_t kept = capacity / 2;
    if (!g->options->slide || kept == 0 || kept + n > capacity)
        return TEMPERA_CONTEXT_FULL;
    memmove(g->ids, g->ids + length - kept, kept * sizeof *g->ids);
    enum tempera_status status = tempera_decoder_rewind(g->decoder, 0);
    return status == TEMPERA_OK ? tempera_decoder_append(g->decoder, g->ids, kept, NULL) : status;
}

static bool reserve_ids(struct generation *g, size_t n)
{
    if (n <= g->n_ids)
        return true;
    int32_t *ids = realloc(g->ids, 2 * n * sizeof *ids); // n is at most the context, of 2^24
    if (ids == NULL)
        return false;
    g->ids = ids;
    g->n_ids = 2 * n;
    return true;
}

// drawn: what sampling said of the one token; NULL for those of the prompt.
static enum tempera_status append(struct generation *g, const int32_t *ids, size_t n,
                                  const struct tempera_sample_result *drawn)
{
    TEMPERA_TRY(make_room(g, n));
    size_t length = tempera_decoder_length(g->decoder);
    if (!reserve_ids(g, length + n))
        return TEMPERA_OUT_OF_MEMORY;
    memcpy(g->ids + length, ids, n * sizeof *ids);
    TEMPERA_TRY(tempera_decoder_append(g->decoder, ids, n, g->model_logits));
    if (!tempera_all_finite(g->model_logits, g->vocab))
        return TEMPERA_NAN_INPUT;
    for (size_t i = 0; i < n; i++)
        TEMPERA_TRY(tempera_sampler_accept(g->state, ids[i], drawn));
    return TEMPERA_OK;
}

// Runs the prompt, and makes the first row.
static enum tempera_status run_prompt(struct generation *g, const struct tempera_prompt *prompt,
                                      struct tempera_error *error)
{
    size_t capacity = tempera_decoder_capacity(g->decoder);
    if (prompt->n_whole >= capacity)
        return tempera_fail(error, TEMPERA_CONTEXT_FULL,
                            "the prompt has %zu tokens; the context holds %zu, and needs "
                            "room for one more: shorten the prompt",
                            prompt->n_whole, capacity);
    TEMPERA_TRY(append(g, prompt->ids, prompt->n_ids, NULL));
    if (prompt->tail_nbytes == 0)
        return set_row(g, g->model_logits, g->vocab);
    TEMPERA_TRY(tempera_prompt_row_open(&g->first, prompt, g->decoder, g->tokenizer,
                                        g->model_logits, g->state));
    return set_row(g, g->first.scores, g->first.n);
}

static enum tempera_status begin(struct generation *g, const char *text, size_t nbytes,
                                 struct tempera_error *error)
{
    struct tempera_prompt prompt;
    enum tempera_status status =
        tempera_prompt_open(&prompt, g->tokenizer, text, nbytes, g->options->raw, error);
    if (status == TEMPERA_OK)
        status = run_prompt(g, &prompt, error);
    tempera_prompt_close(&prompt);
    return status;
}

// The token that was drawn becomes the last one; from the first row, after its prefix.
static enum tempera_status accept_drawn(struct generation *g)
{
    if (g->first.n > 0) {
        int32_t prefix[TEMPERA_MOST_TAIL];
        size_t n = tempera_prompt_row_prefix(&g->first, (size_t)g->drawn.column, prefix);
        tempera_prompt_row_close(&g->first);
        if (n > 0)
            TEMPERA_TRY(append(g, prefix, n, NULL));
    }
    TEMPERA_TRY(append(g, &g->drawn.token, 1, &g->drawn));
    return set_row(g, g->model_logits, g->vocab);
}

// ------------------------------------------------------------------------------------------------
// Sampling

// H = ln sum exp(z) - sum p z, in bits
static float entropy_bits(struct generation *g)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(g->logits, 1, g->n_logits);
    struct tempera_matrix probs = tempera_matrix_f32(g->probs, 1, g->n_logits);
    float logsumexp = 0;
    if (tempera_softmax(&logits, NULL, &probs, NULL, NULL) != TEMPERA_OK ||
        tempera_logsumexp(&logits, NULL, &logsumexp, NULL, NULL) != TEMPERA_OK)
        return NAN;
    double mean = 0;
    for (size_t i = 0; i < g->n_logits; i++)
        if (g->probs[i] > 0)
            mean += (double)g->probs[i] * (double)g->logits[i];
    double nats = (double)logsumexp - mean;
    return (float)(nats > 0 ? nats / 0.6931471805599453 : 0);
}

static enum tempera_status sample(struct generation *g, struct tempera_sample_result *result)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(g->logits, 1, g->n_logits);
    g->row = (struct tempera_sample_row){
        .sampler = &g->options->sampler,
        .state = g->state,
        .seed = g->options->seed,
        .stream = g->options->stream,
        .want = TEMPERA_WANT_RAW_LOGPROB,
    };
    if (g->first.n > 0) {
        g->row.tokens = g->first.tokens;
        g->row.branches = g->first.branches;
        g->row.n_branches = g->first.n_branches;
    } else {
        g->row.mask = g->known_mask;
        g->row.mask_nbits = (uint32_t)g->vocab;
    }
    return tempera_sample(&logits, &g->row, result, g->scratch, g->scratch_nbytes, NULL);
}

// ------------------------------------------------------------------------------------------------
// Text

// The stop string that begins earliest in the text, or the text's length.
static size_t find_stop(const struct generation *g, bool *found)
{
    size_t first = g->nbytes;
    *found = false;
    for (size_t s = 0; s < g->options->n_stops; s++) {
        const char *stop = g->options->stops[s];
        size_t length = strlen(stop);
        for (size_t i = 0; length > 0 && i + length <= g->nbytes && i < first; i++)
            if (memcmp(g->text + i, stop, length) == 0) {
                first = i;
                *found = true;
            }
    }
    return first;
}

// Bytes at the end of the text that a stop string may begin with.
static size_t may_become_stop(const struct generation *g)
{
    size_t longest = 0;
    for (size_t s = 0; s < g->options->n_stops; s++) {
        const char *stop = g->options->stops[s];
        size_t length = strlen(stop);
        for (size_t n = 1; n < length && n <= g->nbytes; n++)
            if (n > longest && memcmp(g->text + g->nbytes - n, stop, n) == 0)
                longest = n;
    }
    return longest;
}

static bool reserve_text(struct generation *g, size_t nbytes)
{
    const size_t most_held_back = 8;
    size_t needed = g->nbytes + nbytes + most_held_back;
    if (needed <= g->capacity)
        return true;
    char *text = realloc(g->text, 2 * needed);
    if (text == NULL)
        return false;
    g->text = text;
    g->capacity = 2 * needed;
    return true;
}

// Bytes of the drawn token that go beyond the prompt.
static const uint8_t *new_bytes(const struct generation *g, size_t *nbytes)
{
    const uint8_t *bytes = tempera_tokenizer_token(g->tokenizer, g->drawn.token, nbytes);
    if (tempera_tokenizer_is_special(g->tokenizer, g->drawn.token))
        *nbytes = 0;
    size_t n_known = g->first.n > 0 ? g->first.n_known[g->drawn.column] : 0;
    *nbytes -= n_known;
    return bytes + n_known;
}

// Gives the callback what can be shown. `last`: nothing more will come.
static void show(struct generation *g, struct tempera_generated *generated, bool last)
{
    bool stopped;
    size_t shown = find_stop(g, &stopped);
    if (!stopped && !last)
        shown = g->nbytes - may_become_stop(g);
    generated->text = g->text;
    generated->nbytes = shown;
    tempera_fpenv_leave(g->env); // the callback is the caller's, and so are its modes
    g->refused = !g->callback(g->context, generated);
    g->env = tempera_fpenv_enter();
    g->ended |= g->refused;
    if (stopped) {
        g->ended = true;
        g->nbytes = 0;
        g->holdback.nbytes = 0;
    } else if (shown > 0) {
        memmove(g->text, g->text + shown, g->nbytes - shown);
        g->nbytes -= shown;
    }
}

// ------------------------------------------------------------------------------------------------
// Steps

static enum tempera_status step(struct generation *g)
{
    TEMPERA_TRY(sample(g, &g->drawn));
    struct tempera_generated generated = {
        .token = g->drawn.token,
        .raw_logprob = g->drawn.raw_logprob,
        .logprob = g->drawn.logprob,
        .entropy_bits = entropy_bits(g),
        .logits = g->logits,
        .n_logits = g->n_logits,
        .row = &g->row,
        .n_known = g->first.n_known,
    };
    size_t nbytes;
    const uint8_t *bytes = new_bytes(g, &nbytes);
    if (!reserve_text(g, nbytes))
        return TEMPERA_OUT_OF_MEMORY;
    g->nbytes += tempera_utf8_push(&g->holdback, bytes, nbytes, g->text + g->nbytes);
    g->ended = g->drawn.token == tempera_tokenizer_eos(g->tokenizer);
    show(g, &generated, false);
    return TEMPERA_OK;
}

// Shows what was held back for a stop string. A character that hasn't ended is left out.
static void flush(struct generation *g)
{
    struct tempera_generated generated = {.token = -1};
    if (!g->refused && g->nbytes > 0)
        show(g, &generated, true);
}

// A full context ends the text; that is not an error.
static enum tempera_status run(struct generation *g, size_t *n_tokens)
{
    enum tempera_status status = TEMPERA_OK;
    size_t most = g->options->max_tokens;
    while (!g->ended) {
        status = step(g);
        if (status != TEMPERA_OK)
            break;
        ++*n_tokens;
        size_t length = tempera_decoder_length(g->decoder);
        bool full = length == tempera_decoder_capacity(g->decoder) && !g->options->slide;
        if (g->ended || full || *n_tokens == most)
            break;
        status = accept_drawn(g);
        if (status != TEMPERA_OK)
            break;
    }
    flush(g);
    return status;
}

enum tempera_status tempera_generate(struct tempera_decoder *decoder,
                                     const struct tempera_tokenizer *tokenizer, const char *prompt,
                                     size_t nbytes, const struct tempera_generate_options *options,
                                     tempera_generate_callback *callback, void *context,
                                     size_t *n_tokens, struct tempera_error *error)
{
    size_t counted = 0;
    if (decoder == NULL || tokenizer == NULL || callback == NULL || (prompt == NULL && nbytes > 0))
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "decoder, tokenizer, prompt or callback is NULL");
    struct tempera_generate_options defaults = tempera_generate_options_default();
    struct generation g = {.decoder = decoder,
                           .tokenizer = tokenizer,
                           .options = options != NULL ? options : &defaults,
                           .callback = callback,
                           .context = context,
                           .vocab = tempera_decoder_model(decoder)->config.vocab_size};
    if (g.options->struct_size < sizeof *options || tempera_decoder_length(decoder) != 0)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "generate needs an empty decoder and options with their "
                            "struct_size set");
    if (tempera_tokenizer_n_tokens(tokenizer) > g.vocab)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the tokenizer has %zu tokens, the model only %zu",
                            tempera_tokenizer_n_tokens(tokenizer), g.vocab);
    TEMPERA_TRY(tempera_sampler_check(&g.options->sampler, error));
    enum tempera_status status = tempera_sampler_check_vocab(&g.options->sampler, g.vocab);
    if (status != TEMPERA_OK)
        return tempera_fail(error, status,
                            "the sampler has a bias or a list with a token that is not one of "
                            "the model's %zu",
                            g.vocab);
    tempera_succeed(error);
    g.env = tempera_fpenv_enter();
    status = open_generation(&g);
    if (status == TEMPERA_OK)
        status = begin(&g, prompt, nbytes, error);
    if (status == TEMPERA_OK)
        status = run(&g, &counted);
    if (status == TEMPERA_NAN_INPUT)
        tempera_model_diagnose_text(tempera_decoder_model(decoder), g.ids,
                                    tempera_decoder_length(decoder),
                                    tempera_decoder_executor(decoder), error);
    tempera_fpenv_leave(g.env);
    close_generation(&g);
    if (n_tokens != NULL)
        *n_tokens = counted;
    if (status != TEMPERA_OK && error != NULL && error->message[0] == '\0')
        tempera_fail(error, status, "%s", tempera_status_text(status));
    return status;
}
