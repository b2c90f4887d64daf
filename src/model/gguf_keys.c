// SPDX-License-Identifier: MIT
// Keys are read by value, whatever type their writer chose. Of those that begin with "llama." each
// one is known here: as part of the shape, as a variant that must be switched off, or as harmless.
// Any other key could change the scores, and is refused.
#include "model/gguf_keys.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/show.h"
#include "gguf/value.h"
#include "model/config.h"

static const char name_key[] = "general.architecture";
static const char prefix[] = "llama.", scaling_prefix[] = "llama.rope.scaling.";
static const char vocab_key[] = "llama.vocab_size",
                  kv_heads_key[] = "llama.attention.head_count_kv";
static const char epsilon_key[] = "llama.attention.layer_norm_rms_epsilon";
static const char base_key[] = "llama.rope.freq_base", scaling_key[] = "llama.rope.scaling.type";

static bool begins_with(const char *key, const char *with)
{
    return strncmp(key, with, strlen(with)) == 0;
}

// ------------------------------------------------------------------------------------------------
// The shape

static enum tempera_status refuse(const struct tempera_gguf *gguf, const char *key,
                                  enum tempera_status status, const char *what_can_be,
                                  struct tempera_error *error)
{
    char shown[TEMPERA_SHOWN_VALUE_NBYTES];
    tempera_gguf_show_value(gguf, key, shown);
    return tempera_fail(error, status, "the model's key %s is %s, not %s", key, shown, what_can_be);
}

// Leaves *number alone if there is no such key and it isn't needed.
static enum tempera_status read_number(const struct tempera_gguf *gguf, const char *key,
                                       bool needed, struct tempera_number *number,
                                       struct tempera_error *error)
{
    enum tempera_status status = tempera_gguf_number(gguf, key, number);
    if (status == TEMPERA_NOT_FOUND && needed)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "the model's key %s is missing", key);
    if (status == TEMPERA_BAD_FORMAT)
        return refuse(gguf, key, TEMPERA_BAD_MODEL, "one number", error);
    return TEMPERA_OK;
}

// n_layers: elements that an array may have, 0 where it may have any number of them.
static enum tempera_status read_u32(const struct tempera_gguf *gguf, const char *key, bool needed,
                                    size_t n_layers, uint32_t *value, struct tempera_error *error)
{
    struct tempera_number number = {.value = *value, .count = 1};
    TEMPERA_TRY(read_number(gguf, key, needed, &number, error));
    if (!(number.value >= 0 && number.value <= UINT32_MAX && number.value == floor(number.value)))
        return refuse(gguf, key, TEMPERA_BAD_MODEL, "a whole number of 32 bits", error);
    if (n_layers != 0 && number.count != 1 && number.count != n_layers)
        return refuse(gguf, key, TEMPERA_BAD_MODEL, "a number, or one for each layer", error);
    *value = (uint32_t)number.value;
    return TEMPERA_OK;
}

static enum tempera_status read_f32(const struct tempera_gguf *gguf, const char *key, bool needed,
                                    float *value, struct tempera_error *error)
{
    struct tempera_number number = {.value = (double)*value};
    TEMPERA_TRY(read_number(gguf, key, needed, &number, error));
    if (!(fabs(number.value) <= (double)FLT_MAX)) // a NaN, too
        return refuse(gguf, key, TEMPERA_BAD_MODEL, "a finite number of 32 bits", error);
    *value = (float)number.value;
    return TEMPERA_OK;
}

static enum tempera_status check_architecture(const struct tempera_gguf *gguf,
                                              struct tempera_error *error)
{
    const char *name;
    size_t nbytes;
    enum tempera_status status = tempera_gguf_get_string(gguf, name_key, &name, &nbytes);
    if (status == TEMPERA_NOT_FOUND)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "the key %s is missing: this isn't a model",
                            name_key);
    if (status != TEMPERA_OK)
        return refuse(gguf, name_key, TEMPERA_BAD_MODEL, "a string", error);
    if (nbytes == 5 && memcmp(name, "llama", 5) == 0)
        return TEMPERA_OK;
    char shown[TEMPERA_SHOWN_VALUE_NBYTES];
    tempera_gguf_show_value(gguf, name_key, shown);
    return tempera_fail(error, TEMPERA_UNSUPPORTED,
                        "%s is %s; only models of the architecture 'llama' are known", name_key,
                        shown);
}

// The vocabulary is what the embedding says; the optional key must agree.
static enum tempera_status read_vocab(const struct tempera_gguf *gguf,
                                      struct tempera_model_config *c, struct tempera_error *error)
{
    const struct tempera_gguf_tensor *embedding =
        tempera_gguf_find_tensor(gguf, "token_embd.weight");
    if (embedding == NULL)
        return tempera_fail(error, TEMPERA_BAD_MODEL,
                            "the model's tensor token_embd.weight is missing");
    uint64_t vocab = embedding->dims[1];
    if (embedding->n_dims != 2 || vocab > UINT32_MAX)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "token_embd.weight is not a matrix");
    c->vocab_size = (uint32_t)vocab;
    uint32_t said = c->vocab_size;
    TEMPERA_TRY(read_u32(gguf, vocab_key, false, 0, &said, error));
    if (said != c->vocab_size)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "%s is %u, but token_embd.weight has %u rows",
                            vocab_key, said, c->vocab_size);
    return TEMPERA_OK;
}

// What messages call the fields of a config that is read from a file.
static const struct tempera_config_names key_names = {
    .vocab_size = "llama.vocab_size (rows of token_embd.weight)",
    .context_length = "llama.context_length",
    .n_layers = "llama.block_count",
    .dim = "llama.embedding_length",
    .n_heads = "llama.attention.head_count",
    .n_kv_heads = kv_heads_key,
    .hidden_dim = "llama.feed_forward_length",
    .rms_epsilon = epsilon_key,
    .rope_base = base_key,
};

static enum tempera_status read_shape(const struct tempera_gguf *gguf,
                                      struct tempera_model_config *c, struct tempera_error *error)
{
    *c = tempera_model_config_default();
    const struct {
        const char *key;
        uint32_t *value;
        bool per_layer;
    } needed[] = {
        {key_names.n_layers, &c->n_layers, false},
        {key_names.context_length, &c->context_length, false},
        {key_names.dim, &c->dim, false},
        {key_names.hidden_dim, &c->hidden_dim, true},
        {key_names.n_heads, &c->n_heads, true},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        TEMPERA_TRY(read_u32(gguf, needed[i].key, true, needed[i].per_layer ? c->n_layers : 0,
                             needed[i].value, error));
    c->n_kv_heads = c->n_heads;
    TEMPERA_TRY(read_u32(gguf, kv_heads_key, false, c->n_layers, &c->n_kv_heads, error));
    TEMPERA_TRY(read_f32(gguf, epsilon_key, true, &c->rms_epsilon, error));
    TEMPERA_TRY(read_f32(gguf, base_key, false, &c->rope_base, error));
    TEMPERA_TRY(read_vocab(gguf, c, error));
    c->tied_embeddings = tempera_gguf_find_tensor(gguf, "output.weight") == NULL;
    struct tempera_error why = {0};
    if (tempera_model_config_check_as(c, &key_names, &why) != TEMPERA_OK)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "the model's shape is wrong: %s",
                            why.message);
    return TEMPERA_OK;
}

static bool is_of_shape(const char *key)
{
    const char *const keys[] = {
        vocab_key,
        key_names.context_length,
        key_names.n_layers,
        key_names.dim,
        key_names.n_heads,
        key_names.n_kv_heads,
        epsilon_key,
        base_key,
        key_names.hidden_dim,
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

// ------------------------------------------------------------------------------------------------
// Variants

// A key that changes no score if it has one of two values: that of Llama, and what llama.cpp takes
// as "not set".
struct variant {
    const char *key;
    double usual, unset;
};

static enum tempera_status check_variant(const struct tempera_gguf *gguf,
                                         const struct variant *variant, struct tempera_error *error)
{
    struct tempera_number number;
    bool flag;
    enum tempera_status status = tempera_gguf_number(gguf, variant->key, &number);
    if (status != TEMPERA_OK && tempera_gguf_get_bool(gguf, variant->key, &flag) == TEMPERA_OK) {
        number.value = flag;
        status = TEMPERA_OK;
    }
    float value = status == TEMPERA_OK ? (float)number.value : NAN;
    if (value == (float)variant->usual || value == (float)variant->unset)
        return TEMPERA_OK;
    char shown[TEMPERA_SHOWN_VALUE_NBYTES];
    tempera_gguf_show_value(gguf, variant->key, shown);
    return tempera_fail(error, TEMPERA_UNSUPPORTED,
                        "%s is %s; only models with %g there are supported", variant->key, shown,
                        variant->usual);
}

static bool has_text(const struct tempera_gguf *gguf, const char *key, const char *text)
{
    const char *bytes;
    size_t nbytes;
    return tempera_gguf_get_string(gguf, key, &bytes, &nbytes) == TEMPERA_OK &&
           nbytes == strlen(text) && memcmp(bytes, text, nbytes) == 0;
}

static enum tempera_status check_texts(const struct tempera_gguf *gguf, const char *key,
                                       struct tempera_error *error)
{
    static const struct {
        const char *key, *text;
    } known[] = {
        {scaling_key, "none"},
        {"llama.tensor_data_layout", "Meta AI original pth"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(key, known[i].key) == 0 && has_text(gguf, key, known[i].text))
            return TEMPERA_OK;
    char name[TEMPERA_SHOWN_TEXT_NBYTES], shown[TEMPERA_SHOWN_VALUE_NBYTES];
    tempera_show_text(name, sizeof name, key, strlen(key));
    tempera_gguf_show_value(gguf, key, shown);
    return tempera_fail(error, TEMPERA_UNSUPPORTED,
                        "the model's key %s is %s, and this version does not know what "
                        "that does to the scores",
                        name, shown);
}

static bool is_harmless(const char *key)
{
    static const char *const keys[] = {
        "llama.rope.scaling.original_context_length", // of a context that was stretched
        "llama.rope.scaling.finetuned",
        "llama.pooling_type",                 // of whole texts
        "llama.attention.layer_norm_epsilon", // of another norm
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

// Ignoring a variant would silently give wrong text.
static enum tempera_status check_key(const struct tempera_gguf *gguf, const char *key,
                                     double head_dim, struct tempera_error *error)
{
    const struct variant variants[] = {
        {"llama.rope.dimension_count", head_dim, head_dim},
        {"llama.rope.scale_linear", 1, 0},
        {"llama.rope.scaling.factor", 1, 0},
        {"llama.rope.scaling.attn_factor", 1, 1},
        {"llama.attention.key_length", head_dim, head_dim},
        {"llama.attention.value_length", head_dim, head_dim},
        {"llama.attention.scale", 1 / sqrt(head_dim), 0},
        {"llama.attention.causal", 1, 1},
        {"llama.attention.sliding_window", 0, 0},
        {"llama.attention.max_alibi_bias", 0, 0},
        {"llama.attention.clamp_kqv", 0, 0},
        {"llama.attn_logit_softcapping", 0, 0},
        {"llama.final_logit_softcapping", 0, 0},
        {"llama.logit_scale", 1, 0},
        {"llama.embedding_scale", 1, 0},
        {"llama.residual_scale", 1, 0},
        {"llama.expert_count", 0, 0},
        {"llama.expert_used_count", 0, 0},
        {"llama.expert_shared_count", 0, 0},
        {"llama.use_parallel_residual", 0, 0},
    };
    if (is_of_shape(key) || is_harmless(key))
        return TEMPERA_OK;
    if (begins_with(key, scaling_prefix) && has_text(gguf, scaling_key, "none"))
        return TEMPERA_OK; // then the others have no effect
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (strcmp(key, variants[i].key) == 0)
            return check_variant(gguf, &variants[i], error);
    return check_texts(gguf, key, error);
}

enum tempera_status tempera_model_read_keys(const struct tempera_gguf *gguf,
                                            struct tempera_model_config *config,
                                            struct tempera_error *error)
{
    TEMPERA_TRY(tempera_gguf_check_whole(gguf, error));
    TEMPERA_TRY(check_architecture(gguf, error));
    TEMPERA_TRY(read_shape(gguf, config, error));
    for (size_t i = 0; i < tempera_gguf_n_keys(gguf); i++) {
        const char *key = tempera_gguf_key(gguf, i, NULL, NULL, NULL);
        if (begins_with(key, prefix))
            TEMPERA_TRY(check_key(gguf, key, config->dim / config->n_heads, error));
    }
    return TEMPERA_OK;
}
