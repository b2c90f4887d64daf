// SPDX-License-Identifier: MIT
// A model from a GGUF file and back. Everything is checked against the file's own tensors before
// a byte is allocated for weights.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/memory.h"
#include "model/gguf_keys.h"
#include "model/parameters.h"

// ------------------------------------------------------------------------------------------------
// Reading tensors

static enum tempera_status check_tensor(const struct tempera_gguf *gguf,
                                        const struct tempera_parameter *p,
                                        struct tempera_error *error)
{
    const struct tempera_gguf_tensor *t = tempera_gguf_find_tensor(gguf, p->name);
    if (t == NULL)
        return tempera_fail(error, TEMPERA_BAD_MODEL, "the model's tensor %s is missing", p->name);
    if (t->dims[0] != p->cols || t->dims[1] != p->rows || t->dims[2] != 1 || t->dims[3] != 1)
        return tempera_fail(error, TEMPERA_BAD_MODEL,
                            "the model's tensor %s has %" PRIu64 " rows of %" PRIu64
                            "; the model's shape asks for %zu of %zu",
                            p->name, t->dims[1], t->dims[0], p->rows, p->cols);
    if (t->type != TEMPERA_F32 && t->type != TEMPERA_F16 && t->type != TEMPERA_BF16)
        return tempera_fail(error, TEMPERA_UNSUPPORTED,
                            "the model's tensor %s has type %u; only F32, F16 and BF16 can "
                            "be read",
                            p->name, t->type);
    return TEMPERA_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct tempera_parameter *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_with_name(const void *name, const void *parameter)
{
    return strcmp(name, ((const struct tempera_parameter *)parameter)->name);
}

// An unknown tensor, such as a bias, would change the scores. The tensors of a training state are
// not part of the model, and have names of their own.
static enum tempera_status check_strangers(const struct tempera_gguf *gguf,
                                           struct tempera_parameter *table, size_t count,
                                           struct tempera_error *error)
{
    static const char own[] = "tempera.";
    qsort(table, count, sizeof *table, compare_names);
    for (size_t i = 0; i < tempera_gguf_n_tensors(gguf); i++) {
        const char *name = tempera_gguf_tensor_at(gguf, i)->name;
        if (strncmp(name, own, sizeof own - 1) != 0 &&
            bsearch(name, table, count, sizeof *table, compare_with_name) == NULL)
            return tempera_fail(error, TEMPERA_UNSUPPORTED,
                                "the model has a tensor %s, which this version's llama "
                                "architecture does not use",
                                name);
    }
    return TEMPERA_OK;
}

// Before memory is allocated for weights, every tensor must be there with its right shape: then the
// file is as large as the model. The count of layers is checked first, since it alone decides how
// large the table of names is.
static enum tempera_status check_tensors(const struct tempera_gguf *gguf,
                                         const struct tempera_model_config *config,
                                         struct tempera_error *error)
{
    const size_t per_layer = 9;
    if (config->n_layers > tempera_gguf_n_tensors(gguf) / per_layer)
        return tempera_fail(error, TEMPERA_BAD_MODEL,
                            "llama.block_count is %u, but the file has only %zu tensors",
                            config->n_layers, tempera_gguf_n_tensors(gguf));
    size_t count;
    struct tempera_parameter *table = tempera_parameter_table(config, &count);
    if (table == NULL)
        return tempera_fail(error, TEMPERA_OUT_OF_MEMORY, "no memory for a table of tensors");
    enum tempera_status status = TEMPERA_OK;
    for (size_t i = 0; i < count && status == TEMPERA_OK; i++)
        status = check_tensor(gguf, &table[i], error);
    if (status == TEMPERA_OK)
        status = check_strangers(gguf, table, count, error);
    free(table);
    return status;
}

enum tempera_status tempera_model_from_gguf(struct tempera_model **model,
                                            const struct tempera_gguf *gguf,
                                            struct tempera_error *error)
{
    struct tempera_model_config config;
    struct tempera_model *m = NULL;
    if (model == NULL || gguf == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "model or gguf is NULL");
    TEMPERA_TRY(tempera_model_read_keys(gguf, &config, error));
    TEMPERA_TRY(check_tensors(gguf, &config, error));
    enum tempera_status status = tempera_model_alloc(&m, &config);
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "no memory for a model of %zu parameters",
                            tempera_model_config_n_parameters(&config));
    for (size_t i = 0; i < m->n_table && status == TEMPERA_OK; i++) {
        const struct tempera_parameter *p = &m->table[i];
        status = tempera_gguf_read_f32(gguf, tempera_gguf_find_tensor(gguf, p->name), p->data,
                                       p->rows * p->cols, error);
    }
    if (status != TEMPERA_OK)
        tempera_model_close(&m);
    else
        *model = m;
    return status;
}

// ------------------------------------------------------------------------------------------------
// Writing

static enum tempera_status set_keys(const struct tempera_model *model,
                                    struct tempera_gguf_writer *writer, enum tempera_dtype dtype,
                                    const char *name)
{
    const struct tempera_model_config *c = &model->config;
    // general.file_type: 0 all F32, 1 mostly F16, 32 mostly BF16
    uint32_t file_type = dtype == TEMPERA_F32 ? 0 : dtype == TEMPERA_F16 ? 1 : 32;
    const struct {
        const char *key;
        uint32_t value;
    } integers[] = {
        {"general.file_type", file_type},
        {"general.quantization_version", 2},
        {"llama.vocab_size", c->vocab_size},
        {"llama.context_length", c->context_length},
        {"llama.embedding_length", c->dim},
        {"llama.block_count", c->n_layers},
        {"llama.feed_forward_length", c->hidden_dim},
        {"llama.attention.head_count", c->n_heads},
        {"llama.attention.head_count_kv", c->n_kv_heads},
        {"llama.rope.dimension_count", c->dim / c->n_heads},
    };
    TEMPERA_TRY(tempera_gguf_set_string(writer, "general.architecture", "llama", 5));
    TEMPERA_TRY(tempera_gguf_set_string(writer, "general.name", name, strlen(name)));
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        TEMPERA_TRY(tempera_gguf_set_u32(writer, integers[i].key, integers[i].value));
    TEMPERA_TRY(
        tempera_gguf_set_f32(writer, "llama.attention.layer_norm_rms_epsilon", c->rms_epsilon));
    return tempera_gguf_set_f32(writer, "llama.rope.freq_base", c->rope_base);
}

enum tempera_status tempera_model_to_gguf(const struct tempera_model *model,
                                          struct tempera_gguf_writer *writer,
                                          enum tempera_dtype dtype, const char *name)
{
    if (model == NULL || writer == NULL || tempera_dtype_nbytes(dtype) == 0 || name == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    enum tempera_status status = set_keys(model, writer, dtype, name);
    for (size_t i = 0; i < model->n_table && status == TEMPERA_OK; i++) {
        const struct tempera_parameter *p = &model->table[i];
        const uint64_t dims[2] = {p->cols, p->rows};
        bool vector = strstr(p->name, "norm") != NULL;
        status = tempera_gguf_add_tensor(writer, p->name, vector ? TEMPERA_F32 : dtype,
                                         vector ? 1 : 2, dims, p->data);
    }
    return status;
}

// ------------------------------------------------------------------------------------------------
// Model and tokenizer together

enum tempera_status tempera_model_load(const char *path, struct tempera_model **model,
                                       struct tempera_tokenizer **tokenizer,
                                       struct tempera_error *error)
{
    struct tempera_gguf *gguf = NULL;
    struct tempera_tokenizer *t = NULL;
    struct tempera_model *m = NULL;
    if (path == NULL || model == NULL || tokenizer == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "path, model or tokenizer is NULL");
    enum tempera_status status = tempera_gguf_open(&gguf, path, error);
    if (status == TEMPERA_OK)
        status = tempera_model_from_gguf(&m, gguf, error);
    if (status == TEMPERA_OK)
        status = tempera_tokenizer_from_gguf(&t, gguf, error);
    if (status == TEMPERA_OK && tempera_tokenizer_n_tokens(t) > m->config.vocab_size)
        status = tempera_fail(error, TEMPERA_BAD_MODEL,
                              "the tokenizer has %zu tokens, the model only %u",
                              tempera_tokenizer_n_tokens(t), m->config.vocab_size);
    tempera_gguf_close(&gguf);
    if (status != TEMPERA_OK) {
        tempera_model_close(&m);
        tempera_tokenizer_close(&t);
        return status;
    }
    *model = m;
    *tokenizer = t;
    return TEMPERA_OK;
}

enum tempera_status tempera_model_save(const char *path, const struct tempera_model *model,
                                       const struct tempera_tokenizer *tokenizer,
                                       enum tempera_dtype dtype, const char *name,
                                       struct tempera_error *error)
{
    struct tempera_gguf_writer *writer = NULL;
    enum tempera_status status = tempera_gguf_writer_open(&writer);
    if (status == TEMPERA_OK)
        status = tempera_model_to_gguf(model, writer, dtype, name);
    if (status == TEMPERA_OK)
        status = tempera_tokenizer_to_gguf(tokenizer, writer);
    if (status != TEMPERA_OK)
        tempera_fail(error, status, "%s", tempera_status_text(status));
    else
        status = tempera_gguf_save(writer, path, error);
    tempera_gguf_writer_close(&writer);
    return status;
}
