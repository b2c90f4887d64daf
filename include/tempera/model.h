// SPDX-License-Identifier: MIT
// The small language model: a decoder of the Llama architecture (RMSNorm, rotary positions in
// interleaved pairs, grouped-query attention, SwiGLU, optionally tied embeddings), f32 inside,
// GGUF outside. Forward, backward, and token by token with a KV cache. Read next: train.h.
//
// Letters: B sequences, T positions (where sampling is meant, the temperature), V vocabulary.
#ifndef TEMPERA_MODEL_H
#define TEMPERA_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/gguf.h>
#include <tempera/linear_loss.h>
#include <tempera/parallel.h>
#include <tempera/sampler.h>
#include <tempera/status.h>
#include <tempera/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------------------------------------
// Shape and parameters

struct tempera_model_config {
    size_t struct_size;
    uint32_t vocab_size;
    uint32_t context_length; // positions at most
    uint32_t n_layers;
    uint32_t dim; // a multiple of n_heads; dim / n_heads even
    uint32_t n_heads;
    uint32_t n_kv_heads; // divides n_heads
    uint32_t hidden_dim; // of the feed-forward part
    float rms_epsilon;
    float rope_base;
    bool tied_embeddings; // the output matrix is the embedding matrix
};

// A config with every field set but those of size: epsilon 1e-5, base 10000, tied.
TEMPERA_API struct tempera_model_config tempera_model_config_default(void);

// OK, or INVALID_ARGUMENT with the field that is wrong and its allowed values in *error.
TEMPERA_API enum tempera_status
tempera_model_config_check(const struct tempera_model_config *config, struct tempera_error *error);

// Number of f32 parameters a config has; 0 if it is invalid.
TEMPERA_API size_t tempera_model_config_n_parameters(const struct tempera_model_config *config);

struct tempera_model;

// A model with random weights: normal(0, 0.02), residual projections scaled by 1/sqrt(2 layers),
// norms 1; a function of config and seed alone. On success *model is the caller's to close.
TEMPERA_API enum tempera_status tempera_model_create(struct tempera_model **model,
                                                     const struct tempera_model_config *config,
                                                     uint64_t seed, struct tempera_error *error);

// From a GGUF file with general.architecture = "llama" and F32, F16 or BF16 tensors. Keys are read
// by value: a number may be stored in any type of integer or float that holds it, and as an array
// of equal ones. BAD_MODEL names the key or tensor that is missing or has the wrong shape;
// UNSUPPORTED its type, a key that would change the scores, or which part of a model the file is.
TEMPERA_API enum tempera_status tempera_model_from_gguf(struct tempera_model **model,
                                                        const struct tempera_gguf *gguf,
                                                        struct tempera_error *error);

// Adds the llama.* and general.* keys and the tensors; matrices stored as dtype, norms as F32.
// The weights are borrowed until the writer's save. name: general.name.
TEMPERA_API enum tempera_status tempera_model_to_gguf(const struct tempera_model *model,
                                                      struct tempera_gguf_writer *writer,
                                                      enum tempera_dtype dtype, const char *name);

// Model and tokenizer of one file, in one call; both are the caller's to close.
TEMPERA_API enum tempera_status tempera_model_load(const char *path, struct tempera_model **model,
                                                   struct tempera_tokenizer **tokenizer,
                                                   struct tempera_error *error);
// Writes a file that tempera_model_load reads: the tensors as in tempera_model_to_gguf, crash-safe
// as in tempera_gguf_save. error may be NULL.
TEMPERA_API enum tempera_status tempera_model_save(const char *path,
                                                   const struct tempera_model *model,
                                                   const struct tempera_tokenizer *tokenizer,
                                                   enum tempera_dtype dtype, const char *name,
                                                   struct tempera_error *error);

// Frees it and sets *model to NULL. NULL-safe.
TEMPERA_API void tempera_model_close(struct tempera_model **model);

// The model's shape; model must not be NULL. Borrowed until the close.
TEMPERA_API const struct tempera_model_config *
tempera_model_get_config(const struct tempera_model *model);

// One tensor of the model; all of them lie one after the other in one block of f32.
struct tempera_parameter {
    char name[48]; // as in GGUF, "blk.0.attn_q.weight"
    float *data;   // [rows, cols], rows = outputs
    size_t offset; // of data in the block, in elements
    size_t rows;   // 1 for a vector
    size_t cols;
};

// The table of parameters, in file order; *count is its length. The caller may change weights
// while nothing else uses the model. Borrowed until the close; neither pointer may be NULL.
TEMPERA_API const struct tempera_parameter *tempera_model_parameters(struct tempera_model *model,
                                                                     size_t *count);

// The block that the table points into: *n_parameters floats. Neither pointer may be NULL.
TEMPERA_API float *tempera_model_weights(struct tempera_model *model, size_t *n_parameters);

// ------------------------------------------------------------------------------------------------
// Whole sequences: scores, loss and gradients

// The activations of a forward pass over at most B sequences of at most T tokens.
struct tempera_workspace;

// backward: also room for the gradients of activations. INVALID_ARGUMENT (T > context_length),
// OUT_OF_MEMORY.
TEMPERA_API enum tempera_status tempera_workspace_open(struct tempera_workspace **workspace,
                                                       const struct tempera_model *model, size_t B,
                                                       size_t T, bool backward);
// Frees it and sets *workspace to NULL. NULL-safe.
TEMPERA_API void tempera_workspace_close(struct tempera_workspace **workspace);

// logits[B*T, V] (dense f32) of tokens[B, T], each sequence starting at position 0.
TEMPERA_API enum tempera_status tempera_model_logits(const struct tempera_model *model,
                                                     struct tempera_workspace *workspace,
                                                     const int32_t *tokens, size_t B, size_t T,
                                                     float *logits,
                                                     const struct tempera_executor *executor);

// The library's matrix product, for tempera_linear_cross_entropy (linear_loss.h); self is not used.
// Panels on the executor, with the same bits at any number of threads. OK or UNSAFE_LIBRARY.
TEMPERA_API enum tempera_status tempera_model_matmul(void *self,
                                                     const struct tempera_matmul *product,
                                                     const struct tempera_executor *executor);

// Mean cross-entropy (natural logarithm) of targets[B, T] given tokens[B, T]; a target of
// TEMPERA_IGNORE_INDEX does not count. *loss and *count as in loss.h.
//   gradients  [n_parameters] in the block's layout, or NULL for the loss alone. The gradient of
//              the mean loss, times gradient_scale, is ADDED to it.
// Bits do not depend on the executor.
TEMPERA_API enum tempera_status
tempera_model_loss(const struct tempera_model *model, struct tempera_workspace *workspace,
                   const int32_t *tokens, const int32_t *targets, size_t B, size_t T,
                   float *gradients, float gradient_scale, double *loss, size_t *count,
                   const struct tempera_executor *executor);

// ------------------------------------------------------------------------------------------------
// Token by token

// A sequence with its KV cache.
struct tempera_decoder;

// n_context: the largest number of positions, at most the model's context_length; 0: that. Memory
// grows with the positions that are reached, to at most twice their number, so a long context costs
// nothing until it is used. The model and the executor are borrowed until the close.
TEMPERA_API enum tempera_status tempera_decoder_open(struct tempera_decoder **decoder,
                                                     const struct tempera_model *model,
                                                     size_t n_context,
                                                     const struct tempera_executor *executor);
// Frees it and sets *decoder to NULL; before the model's close. NULL-safe.
TEMPERA_API void tempera_decoder_close(struct tempera_decoder **decoder);

// Appends tokens[n] and, if logits is not NULL, writes the scores [V] after the last of them.
// CONTEXT_FULL, TOKEN_OUT_OF_RANGE, OUT_OF_MEMORY: nothing is appended, the decoder is as it was.
TEMPERA_API enum tempera_status tempera_decoder_append(struct tempera_decoder *decoder,
                                                       const int32_t *tokens, size_t n,
                                                       float *logits);

// Tokens appended so far; decoder must not be NULL.
TEMPERA_API size_t tempera_decoder_length(const struct tempera_decoder *decoder);
// Tokens it has room for in all; decoder must not be NULL.
TEMPERA_API size_t tempera_decoder_capacity(const struct tempera_decoder *decoder);

// Forgets all but the first `length` tokens. INVALID_ARGUMENT if there are fewer. decoder must not
// be NULL.
TEMPERA_API enum tempera_status tempera_decoder_rewind(struct tempera_decoder *decoder,
                                                       size_t length);

// ------------------------------------------------------------------------------------------------
// Text from a prompt

// One generated token, as seen by the callback.
struct tempera_generated {
    int32_t token;
    const char *text; // what can be shown now (whole UTF-8 characters, to the last); no NUL
    size_t nbytes;    // of text; may be 0
    float raw_logprob;
    float logprob;
    float entropy_bits; // of softmax(scores) at T = 1, all tokens
    // What the token was drawn from, borrowed for the call; NULL in the last call, which flushes
    // text. [n_logits]: V of them, or the columns of the first row (see tempera_generate).
    const float *logits;
    size_t n_logits;
    // What it was drawn with, borrowed for the call; NULL if logits is. Give a copy, with
    // `logprobs` or `want` set, to tempera_sample or tempera_explain to learn more about the same
    // token.
    const struct tempera_sample_row *row;
    // [n_logits]: bytes at the beginning of each column's token that are the prompt's; the text
    // that it adds is the rest. NULL, but for the first row: none
    const uint32_t *n_known;
};

// Returns false to stop.
typedef bool tempera_generate_callback(void *context, const struct tempera_generated *generated);

struct tempera_generate_options {
    size_t struct_size;
    struct tempera_sampler sampler; // default: the chain of tempera_sampling_params_llama_cpp
    uint64_t seed;
    uint32_t stream;
    size_t max_tokens;        // 0: until the end of text or of the context
    const char *const *stops; // [n_stops] strings that end the text and aren't part of it
    size_t n_stops;
    bool raw;   // true: what follows the prompt's own tokens (see below)
    bool slide; // when the context is full, go on with its second half
};

// The sampler above, seed and stream 0, no limit, no stop strings, neither raw nor slide.
TEMPERA_API struct tempera_generate_options tempera_generate_options_default(void);

// Continues prompt[nbytes] on an empty decoder, token by token through the callback.
//
// A prompt may end within a token. Then the first row has a column for each token that continues
// it, scored so that prompt and continuation have the model's probability together; from the second
// token on, rows are the model's own. In detail:
//
// A prompt may end anywhere, within a word or a character: what follows is distributed as the model
// says given the prompt's bytes, over the encodings that tempera_tokenizer_encode gives for prompt
// and continuation (Phan et al. 2024, arXiv 2410.09303; Hayase et al. 2025, 2506.14123). So
// "Humpty D" reaches "Dumpty", though that is one token, and "king" goes on as a word as often as
// the model has it. Let c be the prompt's tokens up to its last word, w the bytes of that word with
// the space before it. The first row has a column for each token t that some encoding has across
// the end of the prompt, after tokens s that end in w or with it:
//
//     score = ln p(s, t | c) + a constant, so that the s that weighs most has the model's scores
//
// Its token is t, its history c and s, its text what t adds to the prompt; one token may have
// several columns. Everything that a sampler does acts on these columns, and from the second token
// on on the model's rows. Tokens of the prompt are never given to the callback, and don't count.
//     - White space belongs to w as a whole, since its last character may belong to what follows,
//       and both ways of that have columns
//     - Of w, the last 32 bytes are looked at, from where a token begins: of a longer word (in
//       scripts without spaces, of a sentence) the tokens before that stay as they are
//     - Where c is empty, bos stands for it; without a bos, the prompt's first token
//     - Prefixes s that don't fit into the context have no columns
// The cost: a row of scores for each different beginning of an s, mostly 1 to 3 and about one for
// each byte of w at most, and a short word encoded for each token of the vocabulary.
// raw: the first row is the one after the prompt's own tokens. An empty prompt starts from bos.
//
// options NULL: the defaults; n_tokens and error may be NULL, decoder, tokenizer and callback not.
// The tokenizer must not have more tokens than the model.
// Returns OK at the end of text, at max_tokens, at a stop string or when the callback says stop;
// CONTEXT_FULL when the prompt alone fills the context; NAN_INPUT when a score isn't finite: the
// message names the tensor or the layer that is to blame.
TEMPERA_API enum tempera_status tempera_generate(struct tempera_decoder *decoder,
                                                 const struct tempera_tokenizer *tokenizer,
                                                 const char *prompt, size_t nbytes,
                                                 const struct tempera_generate_options *options,
                                                 tempera_generate_callback *callback, void *context,
                                                 size_t *n_tokens, struct tempera_error *error);

#ifdef __cplusplus
}
#endif
#endif
