// SPDX-License-Identifier: MIT
// A tempera_sampler as a llama_sampler, for programs that use llama.cpp. Header-only, over the
// program's own llama.h and a libtempera that it links:
//
//     #include <llama.h>
//     #include <tempera/llama_adapter.h>
//
//     struct llama_sampler *chain =
//         llama_sampler_chain_init(llama_sampler_chain_default_params());
//     llama_sampler_chain_add(
//         chain, tempera_llama_sampler_init(&sampler, llama_vocab_n_tokens(vocab), seed, 0));
//     ...
//     token = llama_sampler_sample(chain, context, -1);
//
// It chooses the token, so it is the last of its chain, in the place of llama.cpp's "dist".
// Others may stand before it (a grammar, say): it samples from what they have left, in any order,
// with the scores that they have given it.
//
// llama_sampler_accept tells it the history, prompt and drawn tokens alike, llama_sampler_reset
// makes it forget, and llama_sampler_clone copies state and all: from there both draw the same.
// Random numbers are those of sampler.h: (seed, stream, tokens accepted so far), so that applying
// it twice gives the same token, and no seed value means "random seed" (unlike LLAMA_DEFAULT_SEED).
//
// Memory is allocated when a sampler is made or cloned, none for a token. A sampler is for one
// thread at a time. examples/llama_sampler.c is a whole program.
#ifndef TEMPERA_LLAMA_ADAPTER_H
#define TEMPERA_LLAMA_ADAPTER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <llama.h>
#include <tempera/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

// A sampler for a vocabulary of n_vocab tokens, owned by the caller or by the chain that it is
// added to. The stages are copied; lists and biases that they point to are borrowed, and must
// outlive it and its clones.
// NULL if the sampler is invalid (tempera_sampler_check says why), if n_vocab is not above 0, if a
// stage names a token outside the vocabulary, or if there is no memory.
static inline struct llama_sampler *
tempera_llama_sampler_init(const struct tempera_sampler *sampler, int32_t n_vocab, uint64_t seed,
                           uint32_t stream);

// What the last call of llama_sampler_apply found: token, logprob, status. Valid until the next.
// If the status is not OK (NAN_INPUT, ALL_MASKED) there is no token: `selected` of the candidates
// is -1, on which llama_sampler_sample ends the program, and llama_sampler_apply doesn't.
//   smpl  what tempera_llama_sampler_init gave or a clone of it, not a chain
static inline const struct tempera_sample_result *
tempera_llama_sampler_result(const struct llama_sampler *smpl);

// Whether applying the sampler also leaves in the array only the candidates that could be drawn,
// with p as their probability; off at first. It costs about as much as sampling does.
static inline void tempera_llama_sampler_keep_probs(struct llama_sampler *smpl, bool keep);

// ------------------------------------------------------------------------------------------------
// Implementation.

// What a llama_sampler's ctx points to: one block of memory, with the arrays after the structure.
struct tempera_llama_context {
    struct tempera_sampler sampler; // with stages of its own
    uint64_t seed;
    uint32_t stream;
    bool keeps_probs;
    size_t n_vocab, state_nbytes, scratch_nbytes;
    struct tempera_sample_result result; // of the last row
    bool has_drawn;                      // result is a token's that isn't accepted yet
    struct tempera_stage *stages;
    struct tempera_sampler_state *state;
    float *row, *probs; // [n_vocab]
    void *scratch;
};

static inline struct tempera_llama_context *
tempera_llama_context_of(const struct llama_sampler *smpl)
{
    return (struct tempera_llama_context *)smpl->ctx;
}

static inline void tempera_llama_forget(struct tempera_llama_context *c)
{
    (void)tempera_sampler_state_init(c->state, c->state_nbytes, &c->sampler);
    memset(&c->result, 0, sizeof c->result);
    c->result.status = TEMPERA_ALL_MASKED;
    c->result.token = -1;
    c->has_drawn = false;
}

// Gives the next part of a block, on a cache line of its own.
static inline char *tempera_llama_take(char **at, size_t nbytes)
{
    char *part = *at;
    *at += (nbytes + 63) / 64 * 64;
    return part;
}

// The sampler is valid. NULL if there is no memory.
static inline struct tempera_llama_context *
tempera_llama_context_new(const struct tempera_sampler *sampler, size_t n_vocab, uint64_t seed,
                          uint32_t stream)
{
    struct tempera_matrix logits = tempera_matrix_f32(NULL, 1, n_vocab);
    size_t stages_nbytes = sampler->n_stages * sizeof *sampler->stages;
    size_t state_nbytes = tempera_sampler_state_nbytes(sampler);
    size_t row_nbytes = n_vocab * sizeof(float);
    size_t scratch_nbytes = tempera_sample_scratch_nbytes(&logits, sampler, NULL);
    size_t head_nbytes = sizeof(struct tempera_llama_context);
    size_t padding = 7 * 64; // what aligning the block and rounding up its six parts may take

    char *block = (char *)malloc(head_nbytes + stages_nbytes + state_nbytes + 2 * row_nbytes +
                                 scratch_nbytes + padding);
    if (block == NULL)
        return NULL;
    struct tempera_llama_context *c = (struct tempera_llama_context *)(void *)block;
    char *at = block + head_nbytes;
    at += (64 - (uintptr_t)at % 64) % 64;
    c->stages = (struct tempera_stage *)(void *)tempera_llama_take(&at, stages_nbytes);
    c->state = (struct tempera_sampler_state *)(void *)tempera_llama_take(&at, state_nbytes);
    c->row = (float *)(void *)tempera_llama_take(&at, row_nbytes);
    c->probs = (float *)(void *)tempera_llama_take(&at, row_nbytes);
    c->scratch = tempera_llama_take(&at, scratch_nbytes);

    if (stages_nbytes > 0)
        memcpy(c->stages, sampler->stages, stages_nbytes);
    c->sampler = *sampler;
    c->sampler.stages = c->stages;
    c->seed = seed;
    c->stream = stream;
    c->keeps_probs = false;
    c->n_vocab = n_vocab;
    c->state_nbytes = state_nbytes;
    c->scratch_nbytes = scratch_nbytes;
    tempera_llama_forget(c);
    return c;
}

// Samples from c->row into c->result.
static inline enum tempera_status tempera_llama_run(struct tempera_llama_context *c)
{
    struct tempera_matrix logits = tempera_matrix_f32(c->row, 1, c->n_vocab);
    struct tempera_matrix probs = tempera_matrix_f32(c->probs, 1, c->n_vocab);
    struct tempera_sample_row row;
    memset(&row, 0, sizeof row);
    row.sampler = &c->sampler;
    row.state = c->state;
    row.seed = c->seed;
    row.stream = c->stream;
    if (c->keeps_probs)
        return tempera_sampler_probs(&logits, &row, &probs, &c->result, c->scratch,
                                     c->scratch_nbytes, NULL);
    return tempera_sample(&logits, &row, &c->result, c->scratch, c->scratch_nbytes, NULL);
}

// The candidates as a row by id; tokens not among them are -inf, as masked ones are.
static inline void tempera_llama_scatter(struct tempera_llama_context *c,
                                         const llama_token_data_array *candidates)
{
    if (candidates->size < c->n_vocab)
        for (size_t i = 0; i < c->n_vocab; i++)
            c->row[i] = -INFINITY;
    for (size_t i = 0; i < candidates->size; i++) {
        llama_token_data candidate = candidates->data[i];
        if ((uint32_t)candidate.id < c->n_vocab)
            c->row[candidate.id] = candidate.logit;
    }
}

// Leaves the candidates that could be drawn, in the order in which they are.
static inline void tempera_llama_keep(const struct tempera_llama_context *c,
                                      llama_token_data_array *candidates)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < candidates->size; i++) {
        llama_token_data candidate = candidates->data[i];
        candidate.p = (uint32_t)candidate.id < c->n_vocab ? c->probs[candidate.id] : 0;
        if (candidate.p > 0)
            candidates->data[n_kept++] = candidate;
    }
    candidates->size = n_kept;
    candidates->sorted = false; // by logit perhaps, but stages may have changed the order of p
}

// The whole vocabulary mostly comes in the order of ids.
static inline int64_t tempera_llama_find(const llama_token_data_array *candidates, int32_t token)
{
    if ((size_t)token < candidates->size && candidates->data[token].id == token)
        return token;
    for (size_t i = 0; i < candidates->size; i++)
        if (candidates->data[i].id == token)
            return (int64_t)i;
    return -1;
}

static inline const char *tempera_llama_name(const struct llama_sampler *smpl)
{
    (void)smpl;
    return "tempera";
}

static inline void tempera_llama_apply(struct llama_sampler *smpl,
                                       llama_token_data_array *candidates)
{
    struct tempera_llama_context *c = tempera_llama_context_of(smpl);
    tempera_llama_scatter(c, candidates);
    candidates->selected = -1;
    c->has_drawn = tempera_llama_run(c) == TEMPERA_OK;
    if (!c->has_drawn)
        return;
    if (c->keeps_probs)
        tempera_llama_keep(c, candidates);
    candidates->selected = tempera_llama_find(candidates, c->result.token);
}

// A token that the last row gave counts as drawn; any other as part of the prompt.
static inline void tempera_llama_accept(struct llama_sampler *smpl, llama_token token)
{
    struct tempera_llama_context *c = tempera_llama_context_of(smpl);
    bool is_drawn = c->has_drawn && c->result.token == token;
    (void)tempera_sampler_accept(c->state, token, is_drawn ? &c->result : NULL);
    c->has_drawn = false;
}

static inline void tempera_llama_reset(struct llama_sampler *smpl)
{
    tempera_llama_forget(tempera_llama_context_of(smpl));
}

// With the interface of the original, by which llama_sampler_copy knows that they are alike.
static inline struct llama_sampler *tempera_llama_clone(const struct llama_sampler *smpl)
{
    const struct tempera_llama_context *c = tempera_llama_context_of(smpl);
    struct tempera_llama_context *copy =
        tempera_llama_context_new(&c->sampler, c->n_vocab, c->seed, c->stream);
    if (copy == NULL)
        return NULL;
    memcpy(copy->state, c->state, c->state_nbytes);
    copy->result = c->result;
    copy->has_drawn = c->has_drawn;
    copy->keeps_probs = c->keeps_probs;
    return llama_sampler_init(smpl->iface, copy);
}

static inline void tempera_llama_free(struct llama_sampler *smpl)
{
    free(smpl->ctx);
}

// Members by name: llama.cpp has added some at the end, all of which may be NULL. What is not here
// is sampling on a device (then it asks the CPU), and copying states, which it does by cloning.
static inline struct llama_sampler_i *tempera_llama_interface(void)
{
#ifdef __cplusplus
    static struct llama_sampler_i interface = [] {
        struct llama_sampler_i i = {};
        i.name = tempera_llama_name;
        i.accept = tempera_llama_accept;
        i.apply = tempera_llama_apply;
        i.reset = tempera_llama_reset;
        i.clone = tempera_llama_clone;
        i.free = tempera_llama_free;
        return i;
    }();
#else
    static struct llama_sampler_i interface = {
        .name = tempera_llama_name,
        .accept = tempera_llama_accept,
        .apply = tempera_llama_apply,
        .reset = tempera_llama_reset,
        .clone = tempera_llama_clone,
        .free = tempera_llama_free,
    };
#endif
    return &interface;
}

static inline struct llama_sampler *
tempera_llama_sampler_init(const struct tempera_sampler *sampler, int32_t n_vocab, uint64_t seed,
                           uint32_t stream)
{
    if (n_vocab <= 0 || tempera_sampler_check(sampler, NULL) != TEMPERA_OK)
        return NULL;
    struct tempera_llama_context *c =
        tempera_llama_context_new(sampler, (size_t)n_vocab, seed, stream);
    if (c == NULL)
        return NULL;
    // A row of zeros shows what no check of the sampler alone can: a token beyond the vocabulary.
    memset(c->row, 0, c->n_vocab * sizeof *c->row);
    enum tempera_status status = tempera_llama_run(c);
    if (status != TEMPERA_OK && status != TEMPERA_ALL_MASKED) {
        free(c);
        return NULL;
    }
    tempera_llama_forget(c);
    return llama_sampler_init(tempera_llama_interface(), c);
}

static inline const struct tempera_sample_result *
tempera_llama_sampler_result(const struct llama_sampler *smpl)
{
    return &tempera_llama_context_of(smpl)->result;
}

static inline void tempera_llama_sampler_keep_probs(struct llama_sampler *smpl, bool keep)
{
    tempera_llama_context_of(smpl)->keeps_probs = keep;
}

#ifdef __cplusplus
}
#endif
#endif
