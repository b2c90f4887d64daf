// SPDX-License-Identifier: MIT
// The training state as one GGUF file: a model file of f32 weights with its tokenizer, plus
//
//     tempera.train.*                options, step, digests of text and log, and of all of this;
//                                    a line of the log that could not be written
//     tempera.train.moment1, 2       tensors [n_parameters], in the order of the weights
//
// Its digest covers every bit that training depends on, so a damaged file is found before any of
// it is used. The rename inside tempera_gguf_save is the commit point; the log is synced before.
#include "train/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/memory.h"
#include "train/digest.h"
#include "train/options.h"
#include "train/trainer.h"

enum { STATE_VERSION = 1 };

static const char version_key[] = "tempera.train.version";
static const char digest_key[] = "tempera.train.digest";
static const char moment1_name[] = "tempera.train.moment1";
static const char moment2_name[] = "tempera.train.moment2";

// ------------------------------------------------------------------------------------------------
// The numbers of a state, and how each is called in the file

struct state {
    uint64_t step, steps, batch, context, warmup_steps, seed;
    uint64_t evaluate_every, sample_every, checkpoint_every;
    uint64_t text_digest, heldout_digest, log_nbytes, log_digest;
    float learning_rate, min_learning_rate, weight_decay, beta1, beta2, epsilon, clip_norm;
    bool knows_whole; // the first states lack the two below, and have no borders
    uint64_t whole_digest, n_borders;
    char pending[TEMPERA_LOG_LINE_NBYTES];
    size_t n_pending;
};

struct field {
    const char *key;
    size_t offset;
    bool must_match; // of a trainer that resumes from the state
};

static const struct field u64_fields[] = {
    {"tempera.train.step", offsetof(struct state, step), false},
    {"tempera.train.steps", offsetof(struct state, steps), false},
    {"tempera.train.batch", offsetof(struct state, batch), true},
    {"tempera.train.context", offsetof(struct state, context), true},
    {"tempera.train.warmup_steps", offsetof(struct state, warmup_steps), true},
    {"tempera.train.seed", offsetof(struct state, seed), true},
    {"tempera.train.evaluate_every", offsetof(struct state, evaluate_every), false},
    {"tempera.train.sample_every", offsetof(struct state, sample_every), false},
    {"tempera.train.checkpoint_every", offsetof(struct state, checkpoint_every), false},
    {"tempera.train.text_digest", offsetof(struct state, text_digest), false},
    {"tempera.train.heldout_digest", offsetof(struct state, heldout_digest), false},
    {"tempera.train.log_nbytes", offsetof(struct state, log_nbytes), false},
    {"tempera.train.log_digest", offsetof(struct state, log_digest), false},
};

static const struct field f32_fields[] = {
    {"tempera.train.learning_rate", offsetof(struct state, learning_rate), true},
    {"tempera.train.min_learning_rate", offsetof(struct state, min_learning_rate), true},
    {"tempera.train.weight_decay", offsetof(struct state, weight_decay), true},
    {"tempera.train.beta1", offsetof(struct state, beta1), true},
    {"tempera.train.beta2", offsetof(struct state, beta2), true},
    {"tempera.train.epsilon", offsetof(struct state, epsilon), true},
    {"tempera.train.clip_norm", offsetof(struct state, clip_norm), true},
};

static const char whole_digest_key[] = "tempera.train.whole_digest";
static const char borders_key[] = "tempera.train.borders";
static const char pending_key[] = "tempera.train.log_pending";

enum {
    N_U64 = sizeof u64_fields / sizeof *u64_fields,
    N_F32 = sizeof f32_fields / sizeof *f32_fields,
};

static uint64_t u64_of(const struct state *state, size_t i)
{
    uint64_t value;
    memcpy(&value, (const char *)state + u64_fields[i].offset, sizeof value);
    return value;
}

static float f32_of(const struct state *state, size_t i)
{
    float value;
    memcpy(&value, (const char *)state + f32_fields[i].offset, sizeof value);
    return value;
}

static struct state state_of(const struct tempera_trainer *t)
{
    const struct tempera_train_options *o = &t->options;
    struct state state = {
        .step = t->step,
        .steps = o->steps,
        .batch = o->batch,
        .context = o->context,
        .warmup_steps = o->warmup_steps,
        .seed = o->seed,
        .evaluate_every = o->evaluate_every,
        .sample_every = o->sample_every,
        .checkpoint_every = o->checkpoint_every,
        .text_digest = t->text_digest,
        .heldout_digest = t->heldout_digest,
        .log_nbytes = t->log.nbytes,
        .log_digest = t->log.digest,
        .learning_rate = o->learning_rate,
        .min_learning_rate = o->min_learning_rate,
        .weight_decay = o->weight_decay,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .epsilon = o->epsilon,
        .clip_norm = o->clip_norm,
        .knows_whole = true,
        .whole_digest = t->data.whole_digest,
        .n_borders = t->n_borders,
        .n_pending = t->log.n_pending,
    };
    memcpy(state.pending, t->log.pending, state.n_pending);
    return state;
}

// ------------------------------------------------------------------------------------------------
// The digest of everything

static uint64_t digest_config(uint64_t digest, const struct tempera_model_config *config)
{
    const uint32_t sizes[] = {config->vocab_size, config->context_length, config->n_layers,
                              config->dim,        config->n_heads,        config->n_kv_heads,
                              config->hidden_dim, config->tied_embeddings};
    digest = tempera_digest(digest, sizes, sizeof sizes);
    digest = tempera_digest(digest, &config->rms_epsilon, sizeof config->rms_epsilon);
    return tempera_digest(digest, &config->rope_base, sizeof config->rope_base);
}

static uint64_t digest_tokenizer(uint64_t digest, const struct tempera_tokenizer *tokenizer)
{
    size_t n = tempera_tokenizer_n_tokens(tokenizer);
    for (size_t i = 0; i < n; i++) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, (int32_t)i, &nbytes);
        bool special = tempera_tokenizer_is_special(tokenizer, (int32_t)i);
        digest = tempera_digest(digest, &nbytes, sizeof nbytes);
        digest = tempera_digest(digest, bytes, nbytes);
        digest = tempera_digest(digest, &special, sizeof special);
    }
    return digest;
}

// values: weights, first and second moments, [n] each.
static uint64_t digest_all(const struct state *state, const struct tempera_model_config *config,
                           const struct tempera_tokenizer *tokenizer, const float *const values[3],
                           size_t n)
{
    uint64_t digest = TEMPERA_DIGEST_EMPTY;
    for (size_t i = 0; i < N_U64; i++) {
        uint64_t value = u64_of(state, i);
        digest = tempera_digest(digest, &value, sizeof value);
    }
    for (size_t i = 0; i < N_F32; i++) {
        float value = f32_of(state, i);
        digest = tempera_digest(digest, &value, sizeof value);
    }
    if (state->knows_whole) {
        digest = tempera_digest(digest, &state->whole_digest, sizeof state->whole_digest);
        digest = tempera_digest(digest, &state->n_borders, sizeof state->n_borders);
    }
    digest = tempera_digest(digest, state->pending, state->n_pending);
    digest = digest_config(digest, config);
    digest = digest_tokenizer(digest, tokenizer);
    for (size_t i = 0; i < 3; i++)
        digest = tempera_digest(digest, values[i], n * sizeof(float));
    return digest;
}

// ------------------------------------------------------------------------------------------------
// Saving

static enum tempera_status write_state(const struct tempera_trainer *t,
                                       struct tempera_gguf_writer *writer)
{
    const struct state state = state_of(t);
    const float *const values[3] = {t->weights, t->first, t->second};
    TEMPERA_TRY(tempera_model_to_gguf(t->model, writer, TEMPERA_F32, "tempera training state"));
    TEMPERA_TRY(tempera_tokenizer_to_gguf(t->tokenizer, writer));
    TEMPERA_TRY(tempera_gguf_set_u32(writer, version_key, STATE_VERSION));
    for (size_t i = 0; i < N_U64; i++)
        TEMPERA_TRY(tempera_gguf_set_u64(writer, u64_fields[i].key, u64_of(&state, i)));
    for (size_t i = 0; i < N_F32; i++)
        TEMPERA_TRY(tempera_gguf_set_f32(writer, f32_fields[i].key, f32_of(&state, i)));
    TEMPERA_TRY(tempera_gguf_set_u64(writer, whole_digest_key, state.whole_digest));
    TEMPERA_TRY(tempera_gguf_set_u64(writer, borders_key, state.n_borders));
    if (state.n_pending > 0)
        TEMPERA_TRY(tempera_gguf_set_string(writer, pending_key, state.pending, state.n_pending));
    uint64_t digest =
        digest_all(&state, tempera_model_get_config(t->model), t->tokenizer, values, t->n);
    TEMPERA_TRY(tempera_gguf_set_u64(writer, digest_key, digest));
    const uint64_t dims[] = {t->n};
    TEMPERA_TRY(tempera_gguf_add_tensor(writer, moment1_name, TEMPERA_F32, 1, dims, t->first));
    return tempera_gguf_add_tensor(writer, moment2_name, TEMPERA_F32, 1, dims, t->second);
}

enum tempera_status tempera_trainer_save(const struct tempera_trainer *t, const char *path,
                                         struct tempera_error *error)
{
    tempera_succeed(error);
    if (t == NULL || path == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    enum tempera_status status = tempera_loss_log_sync(&t->log, error);
    if (status != TEMPERA_OK && t->log.n_pending == 0) // a log that failed before is not a reason
        return status;
    struct tempera_gguf_writer *writer;
    status = tempera_gguf_writer_open(&writer);
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "no memory for the training state");
    status = write_state(t, writer);
    if (status == TEMPERA_OK)
        status = tempera_gguf_save(writer, path, error);
    else
        tempera_fail(error, status, "the training state could not be made: %s",
                     tempera_status_text(status));
    tempera_gguf_writer_close(&writer);
    return status;
}

enum tempera_status tempera_checkpoint_check(const char *path, struct tempera_error *error)
{
    struct stat info;
    struct tempera_gguf *gguf = NULL;
    uint32_t version;
    enum tempera_status status = tempera_gguf_save_check(path, error);
    if (status != TEMPERA_OK || stat(path, &info) != 0 || info.st_size == 0)
        return status;
    bool is_state = tempera_gguf_open(&gguf, path, NULL) == TEMPERA_OK &&
                    tempera_gguf_get_u32(gguf, version_key, &version) == TEMPERA_OK;
    tempera_gguf_close(&gguf);
    return is_state ? TEMPERA_OK
                    : tempera_fail(error, TEMPERA_IO_ERROR,
                                   "'%s' exists and is not a training state that can be "
                                   "read: move it away, or choose another name",
                                   path);
}

// ------------------------------------------------------------------------------------------------
// Reading

// What the first states don't have. A damaged one is found by the digest of all.
static void read_additions(const struct tempera_gguf *gguf, struct state *state)
{
    const char *pending;
    size_t n_pending;
    state->knows_whole =
        tempera_gguf_get_u64(gguf, whole_digest_key, &state->whole_digest) == TEMPERA_OK &&
        tempera_gguf_get_u64(gguf, borders_key, &state->n_borders) == TEMPERA_OK;
    if (tempera_gguf_get_string(gguf, pending_key, &pending, &n_pending) != TEMPERA_OK ||
        n_pending > sizeof state->pending)
        return;
    memcpy(state->pending, pending, n_pending);
    state->n_pending = n_pending;
}

static enum tempera_status read_state(const struct tempera_gguf *gguf, const char *path,
                                      struct state *state, uint64_t *digest,
                                      struct tempera_error *error)
{
    uint32_t version;
    *state = (struct state){0};
    if (tempera_gguf_get_u32(gguf, version_key, &version) != TEMPERA_OK)
        return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                            "'%s' has no training state to resume from", path);
    if (version != STATE_VERSION)
        return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                            "'%s' holds a training state of version %u; this program reads "
                            "version %d",
                            path, (unsigned)version, STATE_VERSION);
    const char *missing = NULL;
    for (size_t i = 0; i < N_U64; i++) {
        uint64_t value = 0;
        if (tempera_gguf_get_u64(gguf, u64_fields[i].key, &value) != TEMPERA_OK)
            missing = u64_fields[i].key;
        memcpy((char *)state + u64_fields[i].offset, &value, sizeof value);
    }
    for (size_t i = 0; i < N_F32; i++) {
        float value = 0;
        if (tempera_gguf_get_f32(gguf, f32_fields[i].key, &value) != TEMPERA_OK)
            missing = f32_fields[i].key;
        memcpy((char *)state + f32_fields[i].offset, &value, sizeof value);
    }
    if (tempera_gguf_get_u64(gguf, digest_key, digest) != TEMPERA_OK)
        missing = digest_key;
    read_additions(gguf, state);
    if (missing != NULL)
        return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                            "'%s' lacks '%s': not a training state, or a damaged one", path,
                            missing);
    return TEMPERA_OK;
}

static enum tempera_status read_values(const struct tempera_trainer *t,
                                       const struct tempera_gguf *gguf, float *const values[3],
                                       struct tempera_error *error)
{
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(t->model, &count);
    for (size_t i = 0; i < count + 2; i++) {
        bool moment = i >= count;
        const char *name = !moment ? table[i].name : i == count ? moment1_name : moment2_name;
        float *out = moment ? values[1 + i - count] : values[0] + table[i].offset;
        size_t n = moment ? t->n : table[i].rows * table[i].cols;
        const struct tempera_gguf_tensor *tensor = tempera_gguf_find_tensor(gguf, name);
        if (tensor == NULL || tensor->n_elements != n || tensor->type != TEMPERA_F32)
            return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                                "the state has no tensor '%s' of %zu f32 values: it belongs "
                                "to a model of another shape, or is damaged",
                                name, n);
        TEMPERA_TRY(tempera_gguf_read_f32(gguf, tensor, out, n, error));
    }
    return TEMPERA_OK;
}

// What is held out is not trained on: another held-out text makes another text to train on, too.
static enum tempera_status compare_texts(const struct state *saved, const struct state *own,
                                         struct tempera_error *error)
{
    const enum tempera_status mismatch = TEMPERA_STATE_MISMATCH;
    bool same_whole = saved->knows_whole && saved->whole_digest == own->whole_digest;
    if (saved->n_borders != own->n_borders)
        return tempera_fail(error, mismatch,
                            "the state's text has %llu borders between documents, and %llu "
                            "here: name the texts that the training started with, and cut them "
                            "into documents in the same way",
                            (unsigned long long)saved->n_borders,
                            (unsigned long long)own->n_borders);
    if (saved->text_digest != own->text_digest && !same_whole)
        return tempera_fail(error, mismatch,
                            "the state belongs to another text: name the texts that the "
                            "training started with, in the same order");
    if (saved->text_digest != own->text_digest || saved->heldout_digest != own->heldout_digest)
        return tempera_fail(error, mismatch,
                            "the state belongs to another held-out text than here, or to "
                            "none: give the one that the training started with, or none");
    return TEMPERA_OK;
}

// What a trainer must have in common with the run that it resumes.
static enum tempera_status compare(const struct tempera_trainer *t, const struct state *saved,
                                   struct tempera_error *error)
{
    const enum tempera_status mismatch = TEMPERA_STATE_MISMATCH;
    const struct state own = state_of(t);
    for (size_t i = 0; i < N_U64; i++)
        if (u64_fields[i].must_match && u64_of(saved, i) != u64_of(&own, i))
            return tempera_fail(error, mismatch, "%s is %llu in the state and %llu here",
                                u64_fields[i].key, (unsigned long long)u64_of(saved, i),
                                (unsigned long long)u64_of(&own, i));
    for (size_t i = 0; i < N_F32; i++)
        if (f32_fields[i].must_match && f32_of(saved, i) != f32_of(&own, i))
            return tempera_fail(error, mismatch, "%s is %.9g in the state and %.9g here",
                                f32_fields[i].key, (double)f32_of(saved, i),
                                (double)f32_of(&own, i));
    TEMPERA_TRY(compare_texts(saved, &own, error));
    if (saved->step > own.steps)
        return tempera_fail(error, mismatch,
                            "the state has done %llu steps, more than the %llu asked for",
                            (unsigned long long)saved->step, (unsigned long long)own.steps);
    return TEMPERA_OK;
}

// Reads and checks all of it into values, before anything of the trainer is touched.
static enum tempera_status read_checked(const struct tempera_trainer *t,
                                        const struct tempera_gguf *gguf, const char *path,
                                        struct state *state, float *const values[3],
                                        struct tempera_error *error)
{
    uint64_t digest;
    TEMPERA_TRY(read_state(gguf, path, state, &digest, error));
    TEMPERA_TRY(read_values(t, gguf, values, error));
    TEMPERA_TRY(compare(t, state, error));
    const float *const read_only[3] = {values[0], values[1], values[2]};
    const struct tempera_model_config *config = tempera_model_get_config(t->model);
    if (digest_all(state, config, t->tokenizer, read_only, t->n) != digest)
        return tempera_fail(error, TEMPERA_STATE_MISMATCH,
                            "the state '%s' belongs to a model of another shape or with "
                            "another tokenizer, or is damaged",
                            path);
    return TEMPERA_OK;
}

enum tempera_status tempera_trainer_resume(struct tempera_trainer *t, const char *path,
                                           struct tempera_error *error)
{
    tempera_succeed(error);
    if (t == NULL || path == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    struct tempera_gguf *gguf = NULL;
    TEMPERA_TRY(tempera_gguf_open(&gguf, path, error));
    enum tempera_status status = TEMPERA_OK;
    struct state state = {0};
    struct tempera_loss_log log = tempera_loss_log_of(t->log.path);
    float *block = tempera_alloc(3 * t->n, sizeof *block);
    if (block == NULL) {
        status = tempera_fail(error, TEMPERA_OUT_OF_MEMORY, "no memory to read the state");
        goto done;
    }
    float *const values[3] = {block, block + t->n, block + 2 * t->n};
    status = read_checked(t, gguf, path, &state, values, error);
    memcpy(log.pending, state.pending, state.n_pending);
    log.n_pending = state.n_pending;
    if (status == TEMPERA_OK && t->log.path != NULL)
        status = tempera_loss_log_resume(&log, state.log_nbytes, state.log_digest, error);
    if (status != TEMPERA_OK)
        goto done;
    tempera_loss_log_close(&t->log);
    t->log = log;
    memcpy(t->weights, values[0], t->n * sizeof *block);
    memcpy(t->first, values[1], t->n * sizeof *block);
    memcpy(t->second, values[2], t->n * sizeof *block);
    t->step = state.step;
    t->is_stale = state.n_pending > 0;
done:
    free(block);
    tempera_gguf_close(&gguf);
    return status;
}

static void options_of(const struct state *state, struct tempera_train_options *options)
{
    *options = (struct tempera_train_options){
        .struct_size = sizeof *options,
        .steps = state->steps,
        .batch = (size_t)state->batch,
        .context = (size_t)state->context,
        .learning_rate = state->learning_rate,
        .min_learning_rate = state->min_learning_rate,
        .warmup_steps = state->warmup_steps,
        .weight_decay = state->weight_decay,
        .beta1 = state->beta1,
        .beta2 = state->beta2,
        .epsilon = state->epsilon,
        .clip_norm = state->clip_norm,
        .seed = state->seed,
        .evaluate_every = state->evaluate_every,
        .sample_every = state->sample_every,
        .checkpoint_every = state->checkpoint_every,
    };
}

enum tempera_status tempera_checkpoint_open(const char *path, struct tempera_model **model,
                                            struct tempera_tokenizer **tokenizer,
                                            struct tempera_train_options *options,
                                            struct tempera_error *error)
{
    tempera_succeed(error);
    if (path == NULL || model == NULL || tokenizer == NULL || options == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "a required argument is NULL");
    *model = NULL;
    *tokenizer = NULL;
    struct tempera_gguf *gguf;
    TEMPERA_TRY(tempera_gguf_open(&gguf, path, error));
    struct state state;
    uint64_t digest;
    struct tempera_train_options found;
    enum tempera_status status = read_state(gguf, path, &state, &digest, error);
    if (status == TEMPERA_OK) {
        options_of(&state, &found);
        status = tempera_train_options_check(&found, error);
    }
    if (status == TEMPERA_OK)
        status = tempera_model_from_gguf(model, gguf, error);
    if (status == TEMPERA_OK)
        status = tempera_tokenizer_from_gguf(tokenizer, gguf, error);
    if (status == TEMPERA_OK) {
        *options = found;
    } else {
        tempera_tokenizer_close(tokenizer);
        tempera_model_close(model);
    }
    tempera_gguf_close(&gguf);
    return status;
}
