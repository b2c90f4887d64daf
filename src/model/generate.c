// SPDX-License-Identifier: MIT
// Text from a prompt: decoder, sampler and tokenizer put together, as an engine would.
//
// A step is: scores of the last token -> sampler (under a mask while the prompt's last token is
// being replaced) -> token -> bytes -> whole characters -> text without stop strings -> callback.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/softmax.h>

#include "base/memory.h"
#include "model/model.h"

struct tempera_generate_options tempera_generate_options_default(void)
{
    static const struct tempera_stage stages[] = {
        {.kind = TEMPERA_STAGE_TOP_K, .u.top_k = 40},
        {.kind = TEMPERA_STAGE_TOP_P, .u.top_p = 0.95f},
        {.kind = TEMPERA_STAGE_MIN_P, .u.min_p = 0.05f},
        {.kind = TEMPERA_STAGE_TEMPERATURE, .u.temperature = 0.8f},
    };
    return (struct tempera_generate_options){
        .struct_size = sizeof(struct tempera_generate_options),
        .sampler = tempera_sampler_of(stages, sizeof stages / sizeof *stages),
    };
}

struct generation {
    struct tempera_decoder *decoder;
    const struct tempera_tokenizer *tokenizer;
    const struct tempera_generate_options *options;
    tempera_generate_callback *callback;
    void *context;

    size_t vocab;       // V of the model
    size_t n_tokenizer; // tokens the tokenizer knows; the others are banned
    int32_t *ids;       // [capacity]: what the decoder holds, for sliding
    float *logits;      // [V]
    float *probs;       // [V]
    uint32_t *mask;     // [ceil(V / 32)]
    void *scratch;      // the sampler's
    size_t scratch_nbytes;
    struct tempera_sampler_state *state;
    struct tempera_sample_row row; // of this step

    const char *pending; // bytes of the prompt that the next tokens have to repeat
    size_t n_pending;
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
    free(g->logits);
    free(g->probs);
    free(g->mask);
    free(g->scratch);
    free(g->state);
    free(g->text);
}

static enum tempera_status open_generation(struct generation *g,
                                           const struct tempera_model_config *config)
{
    g->vocab = config->vocab_size;
    g->n_tokenizer = tempera_tokenizer_n_tokens(g->tokenizer);
    struct tempera_matrix row = tempera_matrix_f32(NULL, 1, g->vocab);
    g->scratch_nbytes = tempera_sample_scratch_nbytes(&row, &g->options->sampler, NULL);
    size_t state_nbytes = tempera_sampler_state_nbytes(&g->options->sampler);
    g->ids = tempera_alloc(tempera_decoder_capacity(g->decoder), sizeof *g->ids);
    g->logits = tempera_alloc(g->vocab, sizeof *g->logits);
    g->probs = tempera_alloc(g->vocab, sizeof *g->probs);
    g->mask = tempera_alloc(g->vocab / 32 + 1, sizeof *g->mask);
    g->scratch = tempera_alloc(1, g->scratch_nbytes);
    g->state = tempera_alloc(1, state_nbytes);
    if (g->ids == NULL || g->logits == NULL || g->probs == NULL || g->mask == NULL ||
        g->scratch == NULL || g->state == NULL)
        return TEMPERA_OUT_OF_MEMORY;
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

// drawn: what sampling said of the one token; NULL for those of the prompt.
static enum tempera_status append(struct generation *g, const int32_t *ids, size_t n,
                                  const struct tempera_sample_result *drawn)
{
    enum tempera_status status = make_room(g, n);
    if (status != TEMPERA_OK)
        return status;
    memcpy(g->ids + tempera_decoder_length(g->decoder), ids, n * sizeof *ids);
    status = tempera_decoder_append(g->decoder, ids, n, g->logits);
    for (size_t i = 0; i < n && status == TEMPERA_OK; i++)
        status = tempera_sampler_accept(g->state, ids[i], drawn);
    return status;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// How many of the prompt's last tokens to take back: those of its last word, with the space
// before it. Tokens are made within words, so what stands before them would be the same in any
// text that goes on. Texts without spaces lose a few tokens only.
static size_t n_taken_back(const struct tempera_tokenizer *tokenizer, const int32_t *ids, size_t n)
{
    const size_t most = 8;
    size_t taken = 0;
    while (taken < n && taken < most) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, ids[n - taken - 1], &nbytes);
        bool lone_space = nbytes == 1 && bytes[0] == ' ';
        if (taken > 0 && is_space(bytes[nbytes - 1]) && !lone_space)
            break; // the word begins behind this
        taken++;
        if (is_space(bytes[0]))
            break;
    }
    return taken;
}

static void take_back(struct generation *g, const char *prompt, size_t nbytes, const int32_t *ids,
                      size_t *n_ids)
{
    size_t taken = n_taken_back(g->tokenizer, ids, *n_ids);
    for (size_t i = 0; i < taken; i++) {
        size_t token_nbytes;
        tempera_tokenizer_token(g->tokenizer, ids[--*n_ids], &token_nbytes);
        g->n_pending += token_nbytes;
    }
    g->pending = prompt + nbytes - g->n_pending;
}

// Encodes the prompt, takes its last word back unless told not to, and runs the rest. Something has
// to be run: where nothing is left, that is bos.
static enum tempera_status begin(struct generation *g, const char *prompt, size_t nbytes,
                                 struct tempera_error *error)
{
    size_t n_ids, capacity = tempera_decoder_capacity(g->decoder);
    size_t n_bos = tempera_tokenizer_adds_bos(g->tokenizer);
    int32_t *ids = tempera_alloc(nbytes + 1, sizeof *ids);
    if (ids == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    ids[0] = tempera_tokenizer_bos(g->tokenizer);
    enum tempera_status status =
        tempera_tokenizer_encode(g->tokenizer, prompt, nbytes, ids + n_bos, nbytes, &n_ids);
    if (status == TEMPERA_OK && !g->options->raw)
        take_back(g, prompt, nbytes, ids + n_bos, &n_ids);
    if (status == TEMPERA_OK && n_ids == 0 && n_bos == 0)
        n_bos = 1;
    n_ids += n_bos;
    if (status == TEMPERA_OK && n_bos == 1 && tempera_tokenizer_bos(g->tokenizer) < 0)
        status = tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                    "the model has no token to begin a text with: give a prompt "
                                    "of two words or more");
    if (status == TEMPERA_OK && n_ids >= capacity)
        status = tempera_model_fail(error, TEMPERA_CONTEXT_FULL,
                                    "the prompt has %zu tokens; the context holds %zu, and needs "
                                    "room for one more: shorten the prompt",
                                    n_ids, capacity);
    if (status == TEMPERA_OK)
        status = append(g, ids, n_ids, NULL);
    free(ids);
    return status;
}

// ------------------------------------------------------------------------------------------------
// Sampling

// True if a token may stand where `pending` bytes have to be repeated.
static bool fits_pending(const struct generation *g, int32_t id)
{
    size_t nbytes;
    const uint8_t *bytes = tempera_tokenizer_token(g->tokenizer, id, &nbytes);
    size_t common = nbytes < g->n_pending ? nbytes : g->n_pending;
    return common > 0 && memcmp(bytes, g->pending, common) == 0 &&
           !tempera_tokenizer_is_special(g->tokenizer, id);
}

// The mask of this step, or NULL where everything is allowed.
static const uint32_t *step_mask(struct generation *g)
{
    if (g->n_pending == 0 && g->n_tokenizer >= g->vocab)
        return NULL;
    memset(g->mask, 0, (g->vocab / 32 + 1) * sizeof *g->mask);
    for (size_t id = 0; id < g->n_tokenizer && id < g->vocab; id++)
        if (g->n_pending == 0 || fits_pending(g, (int32_t)id))
            g->mask[id / 32] |= 1u << (id % 32);
    return g->mask;
}

// H = ln sum exp(z) - sum p z, in bits
static float entropy_bits(struct generation *g)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(g->logits, 1, g->vocab);
    struct tempera_matrix probs = tempera_matrix_f32(g->probs, 1, g->vocab);
    float logsumexp = 0;
    if (tempera_softmax(&logits, NULL, &probs, NULL, NULL) != TEMPERA_OK ||
        tempera_logsumexp(&logits, NULL, &logsumexp, NULL, NULL) != TEMPERA_OK)
        return NAN;
    double mean = 0;
    for (size_t i = 0; i < g->vocab; i++)
        if (g->probs[i] > 0)
            mean += (double)g->probs[i] * (double)g->logits[i];
    double nats = (double)logsumexp - mean;
    return (float)(nats > 0 ? nats / 0.6931471805599453 : 0);
}

static enum tempera_status sample(struct generation *g, struct tempera_sample_result *result)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(g->logits, 1, g->vocab);
    g->row = (struct tempera_sample_row){
        .sampler = &g->options->sampler,
        .state = g->state,
        .seed = g->options->seed,
        .stream = g->options->stream,
        .mask_nbits = (uint32_t)g->vocab,
        .mask = step_mask(g),
        .want = TEMPERA_WANT_RAW_LOGPROB,
    };
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

// Bytes of a token that go beyond the prompt.
static const uint8_t *new_bytes(struct generation *g, int32_t token, size_t *nbytes)
{
    const uint8_t *bytes = tempera_tokenizer_token(g->tokenizer, token, nbytes);
    if (tempera_tokenizer_is_special(g->tokenizer, token))
        *nbytes = 0;
    size_t repeated = *nbytes < g->n_pending ? *nbytes : g->n_pending;
    if (repeated > 0) {
        g->pending += repeated;
        g->n_pending -= repeated;
    }
    *nbytes -= repeated;
    return bytes != NULL ? bytes + repeated : NULL;
}

// Hands what can be shown to the callback. `last`: nothing more will come.
static void show(struct generation *g, struct tempera_generated *generated, bool last)
{
    bool stopped;
    size_t shown = find_stop(g, &stopped);
    if (!stopped && !last)
        shown = g->nbytes - may_become_stop(g);
    generated->text = g->text;
    generated->nbytes = shown;
    g->refused = !g->callback(g->context, generated);
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
    struct tempera_sample_result result;
    enum tempera_status status = sample(g, &result);
    if (status != TEMPERA_OK)
        return status;
    struct tempera_generated generated = {
        .token = result.token,
        .raw_logprob = result.raw_logprob,
        .logprob = result.logprob,
        .entropy_bits = entropy_bits(g),
        .logits = g->logits,
        .row = &g->row,
    };
    size_t nbytes;
    const uint8_t *bytes = new_bytes(g, result.token, &nbytes);
    if (!reserve_text(g, nbytes))
        return TEMPERA_OUT_OF_MEMORY;
    g->nbytes += tempera_utf8_push(&g->holdback, bytes, nbytes, g->text + g->nbytes);
    g->drawn = result;
    g->ended = result.token == tempera_tokenizer_eos(g->tokenizer);
    show(g, &generated, false);
    return TEMPERA_OK;
}

static void flush(struct generation *g)
{
    struct tempera_generated generated = {.token = -1};
    if (g->refused || !reserve_text(g, 0))
        return;
    g->nbytes += tempera_utf8_flush(&g->holdback, g->text + g->nbytes);
    if (g->nbytes > 0)
        show(g, &generated, true);
}

// A context that is full ends the text; it is no failure.
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
        status = append(g, &g->drawn.token, 1, &g->drawn);
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
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "decoder, tokenizer, prompt or callback is NULL");
    struct tempera_generate_options defaults = tempera_generate_options_default();
    struct generation g = {.decoder = decoder,
                           .tokenizer = tokenizer,
                           .options = options != NULL ? options : &defaults,
                           .callback = callback,
                           .context = context};
    if (g.options->struct_size < sizeof *options || tempera_decoder_length(decoder) != 0)
        return tempera_model_fail(error, TEMPERA_INVALID_ARGUMENT,
                                  "generate needs an empty decoder and options with their "
                                  "struct_size set");
    enum tempera_status status = tempera_sampler_check(&g.options->sampler, error);
    if (status != TEMPERA_OK)
        return status;
    if (error != NULL)
        *error = (struct tempera_error){0};
    status = open_generation(&g, tempera_decoder_config(decoder));
    if (status == TEMPERA_OK)
        status = begin(&g, prompt, nbytes, error);
    if (status == TEMPERA_OK)
        status = run(&g, &counted);
    close_generation(&g);
    if (n_tokens != NULL)
        *n_tokens = counted;
    if (status != TEMPERA_OK && error != NULL && error->message[0] == '\0')
        tempera_model_fail(error, status, "%s", tempera_status_text(status));
    return status;
}
