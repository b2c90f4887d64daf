// SPDX-License-Identifier: MIT
// One block of memory holds all weights; a table says which tensor lies where. The order is that
// of the file: embedding, layers from first to last, output norm, output.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "base/philox.h"
#include "model/parameters.h"

enum { TENSORS_PER_LAYER = 9 };

// ------------------------------------------------------------------------------------------------
// The table

// Appends a tensor after the last one.
static void append(struct tempera_parameter *table, size_t *count, const char *name, size_t rows,
                   size_t cols)
{
    struct tempera_parameter *p = &table[*count];
    const struct tempera_parameter *last = *count > 0 ? p - 1 : NULL;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->offset = last != NULL ? last->offset + last->rows * last->cols : 0;
    p->rows = rows;
    p->cols = cols;
    ++*count;
}

static void append_layer(struct tempera_parameter *table, size_t *count, size_t layer,
                         const struct tempera_model_config *config)
{
    size_t D = config->dim, F = config->hidden_dim;
    size_t kv_dim = D / config->n_heads * config->n_kv_heads;
    const struct {
        const char *name;
        size_t rows, cols;
    } tensors[TENSORS_PER_LAYER] = {
        {"attn_norm", 1, D},   {"attn_q", D, D},      {"attn_k", kv_dim, D},
        {"attn_v", kv_dim, D}, {"attn_output", D, D}, {"ffn_norm", 1, D},
        {"ffn_gate", F, D},    {"ffn_up", F, D},      {"ffn_down", D, F},
    };
    for (size_t i = 0; i < TENSORS_PER_LAYER; i++) {
        char name[sizeof table->name];
        snprintf(name, sizeof name, "blk.%zu.%s.weight", layer, tensors[i].name);
        append(table, count, name, tensors[i].rows, tensors[i].cols);
    }
}

struct tempera_parameter *tempera_parameter_table(const struct tempera_model_config *config,
                                                  size_t *count)
{
    size_t most = 3 + (size_t)config->n_layers * TENSORS_PER_LAYER;
    struct tempera_parameter *table = tempera_alloc(most, sizeof *table);
    *count = 0;
    if (table == NULL)
        return NULL;
    append(table, count, "token_embd.weight", config->vocab_size, config->dim);
    for (size_t layer = 0; layer < config->n_layers; layer++)
        append_layer(table, count, layer, config);
    append(table, count, "output_norm.weight", 1, config->dim);
    if (!config->tied_embeddings)
        append(table, count, "output.weight", config->vocab_size, config->dim);
    return table;
}

// ------------------------------------------------------------------------------------------------
// The block

static void point_at_tensors(struct tempera_model *model)
{
    const struct tempera_parameter *p = model->table;
    for (size_t i = 0; i < model->n_table; i++)
        model->table[i].data = model->weights + model->table[i].offset;
    model->embedding = (p++)->data;
    for (size_t i = 0; i < model->config.n_layers; i++, p += TENSORS_PER_LAYER)
        model->layers[i] =
            (struct tempera_layer_weights){p[0].data, p[1].data, p[2].data, p[3].data, p[4].data,
                                           p[5].data, p[6].data, p[7].data, p[8].data};
    model->output_norm = (p++)->data;
    model->output = model->config.tied_embeddings ? model->embedding : p->data;
}

enum tempera_status tempera_model_alloc(struct tempera_model **model,
                                        const struct tempera_model_config *config)
{
    struct tempera_model *m = tempera_alloc(1, sizeof *m);
    if (m == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    m->config = *config;
    m->config.struct_size = sizeof m->config; // the caller's may be longer
    m->head_dim = config->dim / config->n_heads;
    m->kv_dim = m->head_dim * config->n_kv_heads;
    m->n_parameters = tempera_model_config_n_parameters(config);
    m->weights = tempera_alloc(m->n_parameters, sizeof *m->weights);
    m->layers = tempera_alloc(config->n_layers, sizeof *m->layers);
    m->table = tempera_parameter_table(config, &m->n_table);
    if (m->weights == NULL || m->layers == NULL || m->table == NULL) {
        tempera_model_close(&m);
        return TEMPERA_OUT_OF_MEMORY;
    }
    point_at_tensors(m);
    *model = m;
    return TEMPERA_OK;
}

void tempera_model_close(struct tempera_model **model)
{
    if (model == NULL || *model == NULL)
        return;
    free((*model)->weights);
    free((*model)->layers);
    free((*model)->table);
    free(*model);
    *model = NULL;
}

const struct tempera_model_config *tempera_model_get_config(const struct tempera_model *model)
{
    return &model->config;
}

const struct tempera_parameter *tempera_model_parameters(struct tempera_model *model, size_t *count)
{
    *count = model->n_table;
    return model->table;
}

float *tempera_model_weights(struct tempera_model *model, size_t *n_parameters)
{
    *n_parameters = model->n_parameters;
    return model->weights;
}

// ------------------------------------------------------------------------------------------------
// Random weights

// Normal numbers by Box and Muller (1958), four from each block of random bits.
static void fill_normal(float *data, size_t count, float deviation, uint64_t seed, uint32_t tensor)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const double two_pi = 6.283185307179586;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t counter[4] = {(uint32_t)(i / 4), (uint32_t)((uint64_t)(i / 4) >> 32), tensor, 0};
        uint32_t bits[4];
        double normal[4];
        tempera_philox4x32(counter, key, bits);
        for (size_t pair = 0; pair < 4; pair += 2) {
            double radius = sqrt(-2 * log(tempera_open_unit(bits[pair])));
            double angle = two_pi * tempera_open_unit(bits[pair + 1]);
            normal[pair] = radius * cos(angle);
            normal[pair + 1] = radius * sin(angle);
        }
        for (size_t j = 0; j < 4 && i + j < count; j++)
            data[i + j] = (float)((double)deviation * normal[j]);
    }
}

// The two matrices of a layer that write to the residual stream.
static bool is_residual(size_t index, size_t n_layers)
{
    size_t in_layer = (index - 1) % TENSORS_PER_LAYER; // the embedding comes first
    return index >= 1 && index < 1 + n_layers * TENSORS_PER_LAYER &&
           (in_layer == 4 || in_layer == 8);
}

static void randomise(struct tempera_model *model, uint64_t seed)
{
    const float deviation = 0.02f;
    float residual = (float)((double)deviation / sqrt(2.0 * model->config.n_layers));
    for (size_t i = 0; i < model->n_table; i++) {
        const struct tempera_parameter *p = &model->table[i];
        bool narrow = is_residual(i, model->config.n_layers);
        if (p->rows > 1)
            fill_normal(p->data, p->rows * p->cols, narrow ? residual : deviation, seed,
                        (uint32_t)i);
        for (size_t j = 0; p->rows == 1 && j < p->cols; j++)
            p->data[j] = 1;
    }
}

static enum tempera_status model_create_guarded(struct tempera_model **model,
                                                const struct tempera_model_config *config,
                                                uint64_t seed, struct tempera_error *error)
{
    if (model == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "model is NULL");
    TEMPERA_TRY(tempera_model_config_check(config, error));
    enum tempera_status status = tempera_model_alloc(model, config);
    if (status != TEMPERA_OK)
        return tempera_fail(error, status, "no memory for a model of %zu parameters",
                            tempera_model_config_n_parameters(config));
    randomise(*model, seed);
    return TEMPERA_OK;
}

enum tempera_status tempera_model_create(struct tempera_model **model,
                                         const struct tempera_model_config *config, uint64_t seed,
                                         struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    enum tempera_status status = model_create_guarded(model, config, seed, error);
    tempera_fpenv_leave(env);
    return status;
}
