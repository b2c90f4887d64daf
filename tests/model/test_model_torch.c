// SPDX-License-Identifier: MIT
// A tiny model against PyTorch: logits, loss, every gradient, and ten optimiser steps. The
// fixtures are made by scripts/make-model-fixture.
//
// Bounds: both sides compute in f32, so a value may differ by some units of 2^-24 for each of the
// few hundred operations on its way, relative to the largest value of its tensor.
#include "check.h"

#include <tempera/loss.h>
#include <tempera/model.h>

#include "train/adamw.h"

enum { MOST = 8192, B = 2, T = 9 };

static const double roundoff = 300 * 0x1p-24;

// The array `name` of the fixture, as bits or as decimals. Returns its length.
static size_t read_array(FILE *file, const char *name, bool decimal, float *floats, int32_t *ints)
{
    char found[80];
    size_t count;
    rewind(file);
    while (fscanf(file, "%79s %zu", found, &count) == 2) {
        bool wanted = strcmp(found, name) == 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            char word[16];
            if (fscanf(file, "%15s", word) != 1)
                return 0;
            bits = (uint32_t)strtol(word, NULL, decimal ? 10 : 16);
            if (wanted && !decimal)
                bits = (uint32_t)strtoul(word, NULL, 16);
            if (wanted && i < MOST)
                memcpy(decimal ? (void *)&ints[i] : (void *)&floats[i], &bits, sizeof bits);
        }
        if (wanted)
            return count;
    }
    return 0;
}

static double largest(const float *values, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)values[i]));
    return most;
}

static void check_close(const char *what, const float *got, const float *expected, size_t n,
                        double bound)
{
    double scale = largest(expected, n), worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)expected[i]));
    if (!CHECK(worst <= bound * scale))
        printf("# %s: off by %.3g of %.3g\n", what, worst, scale);
}

struct fixture {
    FILE *file;
    struct tempera_model *model;
    const struct tempera_parameter *table;
    size_t n_table, n_weights;
    float *weights, *gradients;
    int32_t tokens[B * T], targets[B * T];
    struct tempera_workspace *workspace;
};

static bool open_fixture(struct fixture *f, bool tied)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = 40;
    config.context_length = T;
    config.n_layers = 2;
    config.dim = 16;
    config.n_heads = 4;
    config.n_kv_heads = 2;
    config.hidden_dim = 24;
    config.tied_embeddings = tied;
    f->file = fopen(tied ? TEMPERA_SOURCE_DIR "/tests/fixtures/model/tied.txt"
                         : TEMPERA_SOURCE_DIR "/tests/fixtures/model/untied.txt",
                    "r");
    if (!CHECK(f->file != NULL))
        return false;
    CHECK_STATUS(tempera_model_create(&f->model, &config, 1, NULL), TEMPERA_OK);
    f->table = tempera_model_parameters(f->model, &f->n_table);
    f->weights = tempera_model_weights(f->model, &f->n_weights);
    f->gradients = calloc(f->n_weights, sizeof *f->gradients);
    for (size_t i = 0; i < f->n_table; i++) {
        size_t n = f->table[i].rows * f->table[i].cols;
        CHECK_EQ_SIZE(read_array(f->file, f->table[i].name, false, f->table[i].data, NULL), n);
    }
    CHECK_EQ_SIZE(read_array(f->file, "tokens", true, NULL, f->tokens), B * T);
    CHECK_EQ_SIZE(read_array(f->file, "targets", true, NULL, f->targets), B * T);
    CHECK_STATUS(tempera_workspace_open(&f->workspace, f->model, B, T, true), TEMPERA_OK);
    return true;
}

static void close_fixture(struct fixture *f)
{
    tempera_workspace_close(&f->workspace);
    tempera_model_close(&f->model);
    free(f->gradients);
    if (f->file != NULL)
        fclose(f->file);
}

static void check_tensors(struct fixture *f, const char *prefix, const float *block, double bound)
{
    static float expected[MOST];
    for (size_t i = 0; i < f->n_table; i++) {
        char name[80];
        size_t n = f->table[i].rows * f->table[i].cols;
        snprintf(name, sizeof name, "%s.%s", prefix, f->table[i].name);
        CHECK_EQ_SIZE(read_array(f->file, name, false, expected, NULL), n);
        check_close(name, block + f->table[i].offset, expected, n, bound);
    }
}

static void check_pass(struct fixture *f)
{
    static float expected[MOST], logits[MOST];
    double loss;
    size_t count, n = read_array(f->file, "logits", false, expected, NULL);
    CHECK_EQ_SIZE(n, B * T * 40);
    CHECK_STATUS(tempera_model_logits(f->model, f->workspace, f->tokens, B, T, logits, NULL),
                 TEMPERA_OK);
    check_close("logits", logits, expected, n, roundoff);
    CHECK_EQ_SIZE(read_array(f->file, "loss", false, expected, NULL), 1);
    CHECK_STATUS(tempera_model_loss(f->model, f->workspace, f->tokens, f->targets, B, T,
                                    f->gradients, 1, &loss, &count, NULL),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(count, B * T - 1);
    CHECK_NEAR(loss, (double)expected[0], roundoff * loss);
    check_tensors(f, "gradient", f->gradients, roundoff);
}

// The trainer's own optimiser on the fixture's batch: clip to 1, decay 0.1 on matrices, rate 0.01.
// AdamW divides by the root of a mean square, so where a gradient is nearly 0 its sign decides;
// ten steps of 0.01 move a weight by 0.1 at most, and rounding may move a few by a little.
static void check_ten_steps(struct fixture *f)
{
    static float losses[10];
    struct tempera_block *blocks = NULL;
    size_t n_blocks;
    float *m = calloc(f->n_weights, sizeof *m), *v = calloc(f->n_weights, sizeof *v);
    CHECK_STATUS(tempera_blocks_cut(f->table, f->n_table, &blocks, &n_blocks), TEMPERA_OK);
    CHECK_EQ_SIZE(read_array(f->file, "losses", false, losses, NULL), 10);
    memset(f->gradients, 0, f->n_weights * sizeof *f->gradients);
    for (uint64_t k = 1; k <= 10; k++) {
        double loss, squares = 0;
        CHECK_STATUS(tempera_model_loss(f->model, f->workspace, f->tokens, f->targets, B, T,
                                        f->gradients, 1, &loss, NULL, NULL),
                     TEMPERA_OK);
        CHECK_NEAR(loss, (double)losses[k - 1], 20 * roundoff * loss);
        for (size_t i = 0; i < n_blocks; i++)
            squares += tempera_block_sum_squares(&blocks[i], f->gradients);
        double norm = sqrt(squares);
        struct tempera_adamw step =
            tempera_adamw_at(0.01, 0.1, 0.9, 0.95, 1e-8, k, norm > 1 ? 1 / norm : 1);
        for (size_t i = 0; i < n_blocks; i++)
            tempera_adamw_block(&step, &blocks[i], f->weights, f->gradients, m, v);
    }
    check_tensors(f, "after", f->weights, 1e-3);
    free(blocks);
    free(m);
    free(v);
}

static void tied(void)
{
    struct fixture f = {0};
    if (open_fixture(&f, true)) {
        check_pass(&f);
        check_ten_steps(&f);
    }
    close_fixture(&f);
}

static void untied(void)
{
    struct fixture f = {0};
    if (open_fixture(&f, false)) {
        check_pass(&f);
        check_ten_steps(&f);
    }
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"with tied embeddings, logits, loss, gradients and ten steps are PyTorch's", tied},
        {"with an output matrix of its own, they are too", untied},
    };
    return CHECK_RUN(tests, argc, argv);
}
