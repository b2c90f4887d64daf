// SPDX-License-Identifier: MIT
// The model: shapes, random weights, threads, the decoder against whole sequences, and files,
// good and bad.
#include "check.h"

#include <unistd.h>

#include <tempera/loss.h>
#include <tempera/model.h>

#include "base/half.h"
#include "model/measure.h"

enum { V = 61, T = 40, B = 3 };

static struct tempera_model_config small_config(void)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = V;
    config.context_length = T;
    config.n_layers = 2;
    config.dim = 24;
    config.n_heads = 6;
    config.n_kv_heads = 2;
    config.hidden_dim = 40;
    return config;
}

static struct tempera_model *make_model(const struct tempera_model_config *config)
{
    struct tempera_model *model = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_model_create(&model, config, 5, &error), TEMPERA_OK);
    size_t n;
    float *weights = tempera_model_weights(model, &n);
    for (size_t i = 0; i < n; i++) // larger than a fresh model's, so that logits differ clearly
        weights[i] *= 6;
    return model;
}

static void fill_tokens(int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)check_random_below(V);
}

// ------------------------------------------------------------------------------------------------
// Shapes

static void check_refused(struct tempera_model_config config, const char *field)
{
    struct tempera_error error = {0};
    struct tempera_model *model = NULL;
    CHECK_STATUS(tempera_model_config_check(&config, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, field) != NULL);
    CHECK_EQ_SIZE(tempera_model_config_n_parameters(&config), 0);
    CHECK_STATUS(tempera_model_create(&model, &config, 1, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(model == NULL);
}

static void bad_configs(void)
{
    struct tempera_model_config c = small_config();
    uint32_t *const fields[] = {&c.vocab_size, &c.context_length, &c.n_layers,  &c.dim,
                                &c.n_heads,    &c.n_kv_heads,     &c.hidden_dim};
    static const char *const names[] = {"vocab_size", "context_length", "n_layers",  "dim",
                                        "n_heads",    "n_kv_heads",     "hidden_dim"};
    for (size_t i = 0; i < 7; i++) {
        const uint32_t bad[] = {0, UINT32_MAX};
        for (size_t j = 0; j < 2; j++) {
            c = small_config();
            *fields[i] = bad[j];
            check_refused(c, names[i]);
        }
    }
    c = small_config();
    c.dim = 25;
    check_refused(c, "dim");
    c = small_config();
    c.n_kv_heads = 4;
    check_refused(c, "n_kv_heads");
    c = small_config();
    c.rms_epsilon = NAN;
    check_refused(c, "rms_epsilon");
    c = small_config();
    c.rope_base = INFINITY;
    check_refused(c, "rope_base");
    c = small_config();
    c.struct_size = 0;
    check_refused(c, "struct_size");
}

// The table covers the block without a gap, and the count is that of the config.
static void parameter_table(void)
{
    for (int tied = 0; tied < 2; tied++) {
        struct tempera_model_config config = small_config();
        config.tied_embeddings = tied;
        struct tempera_model *model = make_model(&config);
        size_t count, n, at = 0;
        const struct tempera_parameter *table = tempera_model_parameters(model, &count);
        const float *weights = tempera_model_weights(model, &n);
        CHECK_EQ_SIZE(count, 2 * 9 + 2 + !tied);
        for (size_t i = 0; i < count; i++) {
            CHECK_EQ_SIZE(table[i].offset, at);
            CHECK(table[i].data == weights + at);
            at += table[i].rows * table[i].cols;
        }
        CHECK_EQ_SIZE(at, n);
        CHECK_EQ_SIZE(tempera_model_config_n_parameters(&config), n);
        tempera_model_close(&model);
        CHECK(model == NULL);
        tempera_model_close(&model);
    }
}

static void random_weights(void)
{
    struct tempera_model_config config = small_config();
    struct tempera_model *a = NULL, *b = NULL, *other = NULL;
    CHECK_STATUS(tempera_model_create(&a, &config, 9, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_model_create(&b, &config, 9, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_model_create(&other, &config, 10, NULL), TEMPERA_OK);
    size_t n;
    const float *x = tempera_model_weights(a, &n), *y = tempera_model_weights(b, &n);
    CHECK_MEM(x, y, n * sizeof *x);
    CHECK(memcmp(x, tempera_model_weights(other, &n), n * sizeof *x) != 0);
    double sum = 0, squares = 0; // the embedding: normal(0, 0.02)
    for (size_t i = 0; i < V * 24; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    double count = V * 24, deviation = sqrt(squares / count);
    CHECK_NEAR(sum / count, 0, 4 * 0.02 / sqrt(count)); // four deviations of the mean
    CHECK_NEAR(deviation, 0.02, 4 * 0.02 / sqrt(2 * count));
    tempera_model_close(&a);
    tempera_model_close(&b);
    tempera_model_close(&other);
}

// ------------------------------------------------------------------------------------------------
// Sequences

// A vocabulary of which the logits of some rows fill the workspace: the loss and its gradient come
// from several pieces, and so does what evaluation measures.
static void loss_in_pieces(void)
{
    enum { VOCAB = 100003, ROWS = B * T }; // 37 rows a piece at most
    struct tempera_model_config config = small_config();
    config.vocab_size = VOCAB;
    struct tempera_model *model = make_model(&config);
    struct tempera_workspace *workspace = NULL;
    int32_t tokens[ROWS], targets[ROWS];
    fill_tokens(tokens, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        targets[i] = (int32_t)check_random_below(VOCAB);
    targets[50] = TEMPERA_IGNORE_INDEX;
    CHECK_STATUS(tempera_workspace_open(&workspace, model, B, T, true), TEMPERA_OK);
    CHECK(workspace->logit_rows < ROWS / 3);
    size_t n, count;
    tempera_model_weights(model, &n);
    float *gradients = calloc(n, sizeof *gradients);
    float *logits = malloc(sizeof(float) * ROWS * VOCAB);
    CHECK(gradients != NULL && logits != NULL);
    double loss, nats = 0, expected;
    CHECK_STATUS(tempera_model_loss(model, workspace, tokens, targets, B, T, gradients, 3, &loss,
                                    &count, NULL),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(count, ROWS - 1);
    CHECK_STATUS(tempera_model_logits(model, workspace, tokens, B, T, logits, NULL), TEMPERA_OK);
    const struct tempera_matrix all = tempera_matrix_f32(logits, ROWS, VOCAB);
    const struct tempera_targets classes = {.classes = targets};
    const struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                          .loss = &expected};
    CHECK_STATUS(tempera_cross_entropy(&all, &classes, NULL, &outputs, NULL), TEMPERA_OK);
    CHECK_NEAR(loss, expected, 1e-6);
    CHECK_STATUS(tempera_model_measure(model, workspace, tokens, targets, B, T, &nats, NULL, 0,
                                       NULL),
                 TEMPERA_OK);
    CHECK_NEAR(nats / (ROWS - 1), expected, 1e-6);
    // The loss as the gradient predicts it, a step along it.
    float *weights = tempera_model_weights(model, &n);
    double squares = 0, moved;
    for (size_t i = 0; i < n; i++)
        squares += (double)gradients[i] * (double)gradients[i] / 9;
    const double step = 0.01 / squares;
    for (size_t i = 0; i < n; i++)
        weights[i] -= (float)(step * (double)gradients[i] / 3);
    CHECK_STATUS(
        tempera_model_loss(model, workspace, tokens, targets, B, T, NULL, 1, &moved, NULL, NULL),
        TEMPERA_OK);
    CHECK_NEAR(loss - moved, 0.01, 0.001);
    free(gradients);
    free(logits);
    tempera_workspace_close(&workspace);
    tempera_model_close(&model);
}

static void any_executor(void)
{
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config);
    struct tempera_workspace *workspace = NULL;
    int32_t tokens[B * T], targets[B * T];
    size_t n;
    tempera_model_weights(model, &n);
    float *first = calloc(n, sizeof *first), *gradients = calloc(n, sizeof *gradients);
    double loss = 0, first_loss = 0;
    fill_tokens(tokens, B * T);
    fill_tokens(targets, B * T);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, B, T, true), TEMPERA_OK);
    CHECK_STATUS(tempera_model_loss(model, workspace, tokens, targets, B, T, first, 1, &first_loss,
                                    NULL, NULL),
                 TEMPERA_OK);
    for (size_t threads = 1; threads <= 7; threads += threads < 3 ? 1 : 4) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, threads), TEMPERA_OK);
        memset(gradients, 0, n * sizeof *gradients);
        CHECK_STATUS(tempera_model_loss(model, workspace, tokens, targets, B, T, gradients, 1,
                                        &loss, NULL, tempera_thread_pool_executor(pool)),
                     TEMPERA_OK);
        CHECK_MEM(&loss, &first_loss, sizeof loss);
        CHECK_MEM(gradients, first, n * sizeof *first);
        tempera_thread_pool_close(&pool);
    }
    // without room for a backward pass: the same loss
    tempera_workspace_close(&workspace);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, B, T, false), TEMPERA_OK);
    CHECK_STATUS(
        tempera_model_loss(model, workspace, tokens, targets, B, T, NULL, 1, &loss, NULL, NULL),
        TEMPERA_OK);
    CHECK_MEM(&loss, &first_loss, sizeof loss);
    CHECK_STATUS(tempera_model_loss(model, workspace, tokens, targets, B, T, gradients, 1, &loss,
                                    NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    tempera_workspace_close(&workspace);
    tempera_model_close(&model);
    free(first);
    free(gradients);
}

static void bad_sequences(void)
{
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config);
    struct tempera_workspace *workspace = NULL;
    int32_t tokens[T], targets[T];
    double loss = 3;
    fill_tokens(tokens, T);
    fill_tokens(targets, T);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 1, T + 1, true),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 0, T, true), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, SIZE_MAX / 2, T, true),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, SIZE_MAX / 1024, T, true),
                 TEMPERA_OUT_OF_MEMORY);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 1, T, true), TEMPERA_OK);
    CHECK_STATUS(
        tempera_model_loss(model, workspace, tokens, targets, 2, T, NULL, 1, &loss, NULL, NULL),
        TEMPERA_INVALID_ARGUMENT);
    static const int32_t bad[] = {-1, V, INT32_MAX, INT32_MIN, TEMPERA_IGNORE_INDEX};
    for (size_t i = 0; i < 5; i++) {
        int32_t kept = tokens[T / 2];
        tokens[T / 2] = bad[i];
        CHECK_STATUS(
            tempera_model_loss(model, workspace, tokens, targets, 1, T, NULL, 1, &loss, NULL, NULL),
            TEMPERA_TOKEN_OUT_OF_RANGE);
        tokens[T / 2] = kept;
        kept = targets[T / 2];
        targets[T / 2] = bad[i];
        CHECK_STATUS(
            tempera_model_loss(model, workspace, tokens, targets, 1, T, NULL, 1, &loss, NULL, NULL),
            bad[i] == TEMPERA_IGNORE_INDEX ? TEMPERA_OK : TEMPERA_TARGET_OUT_OF_RANGE);
        targets[T / 2] = kept;
    }
    tempera_workspace_close(&workspace);
    tempera_model_close(&model);
}

// ------------------------------------------------------------------------------------------------
// The decoder

// Token by token, in one piece, in uneven pieces: the scores of the whole sequence, but for the
// order in which a few hundred products are added.
static void decoder_equals_sequence(void)
{
    struct tempera_model_config config = small_config();
    config.context_length = 150;
    struct tempera_model *model = make_model(&config);
    struct tempera_workspace *workspace = NULL;
    struct tempera_decoder *decoder = NULL;
    enum { N = 150 };
    static float whole[N * V], logits[V];
    int32_t tokens[N];
    const double bound = 200 * 0x1p-24;
    fill_tokens(tokens, N);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 1, N, false), TEMPERA_OK);
    CHECK_STATUS(tempera_model_logits(model, workspace, tokens, 1, N, whole, NULL), TEMPERA_OK);
    double scale = 0;
    for (size_t i = 0; i < N * V; i++)
        scale = fmax(scale, fabs((double)whole[i]));
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_decoder_capacity(decoder), N);
    static const size_t pieces[] = {1, 7, 64, 65, 150};
    for (size_t p = 0; p < 5; p++) {
        CHECK_STATUS(tempera_decoder_rewind(decoder, 0), TEMPERA_OK);
        for (size_t at = 0; at < N;) {
            size_t n = N - at < pieces[p] ? N - at : pieces[p];
            CHECK_STATUS(tempera_decoder_append(decoder, tokens + at, n, logits), TEMPERA_OK);
            at += n;
            CHECK_EQ_SIZE(tempera_decoder_length(decoder), at);
            for (size_t i = 0; i < V; i++)
                CHECK_NEAR((double)logits[i], (double)whole[(at - 1) * V + i], bound * scale);
        }
    }
    tempera_decoder_close(&decoder);
    tempera_workspace_close(&workspace);
    tempera_model_close(&model);
}

static void decoder_rewinds_and_fills(void)
{
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config);
    struct tempera_decoder *decoder = NULL;
    float logits[V], again[V], untouched[V];
    int32_t tokens[T + 1];
    fill_tokens(tokens, T + 1);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, T + 1, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 10, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens, 6, logits), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens + 20, 4, NULL), TEMPERA_OK);
    memset(untouched, 7, sizeof untouched);
    memcpy(again, untouched, sizeof again);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens, 1, again), TEMPERA_CONTEXT_FULL);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens, 0, again), TEMPERA_INVALID_ARGUMENT);
    CHECK_MEM(again, untouched, sizeof again);
    CHECK_STATUS(tempera_decoder_rewind(decoder, 11), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_decoder_rewind(decoder, 5), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(decoder, &(int32_t){V}, 1, again),
                 TEMPERA_TOKEN_OUT_OF_RANGE);
    CHECK_STATUS(tempera_decoder_append(decoder, &(int32_t){-1}, 1, again),
                 TEMPERA_TOKEN_OUT_OF_RANGE);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens + 5, 1, again), TEMPERA_OK);
    for (size_t i = 0; i < V; i++)
        CHECK_NEAR((double)again[i], (double)logits[i], 1e-5); // one token against six at once
    tempera_decoder_close(&decoder);
    CHECK(decoder == NULL);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
}

// ------------------------------------------------------------------------------------------------
// Files

static const char *file_path(void)
{
    static char path[256];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/tempera-test-model-%ld.gguf", folder ? folder : "/tmp",
             (long)getpid());
    return path;
}

static float as_stored(float x, enum tempera_dtype dtype)
{
    if (dtype == TEMPERA_F16)
        return tempera_f16_to_f32(tempera_f32_to_f16(x));
    return dtype == TEMPERA_BF16 ? tempera_bf16_to_f32(tempera_f32_to_bf16(x)) : x;
}

static void round_trip(void)
{
    static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};
    for (size_t i = 0; i < 6; i++) {
        enum tempera_dtype dtype = dtypes[i % 3];
        struct tempera_model_config config = small_config();
        config.vocab_size = 257; // bytes
        config.tied_embeddings = i < 3;
        config.rope_base = 12345;
        struct tempera_model *model = make_model(&config), *loaded = NULL;
        struct tempera_tokenizer *tokenizer = NULL, *loaded_tokenizer = NULL;
        struct tempera_error error = {0};
        size_t n_weights;
        float *weights = tempera_model_weights(model, &n_weights);
        for (size_t j = 0; j < n_weights; j++)
            weights[j] += 1e-4f; // norms too are numbers that 16 bits don't hold
        CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
        CHECK_STATUS(tempera_model_save(file_path(), model, tokenizer, dtype, "small", &error),
                     TEMPERA_OK);
        CHECK_STATUS(tempera_model_load(file_path(), &loaded, &loaded_tokenizer, &error),
                     TEMPERA_OK);
        if (loaded == NULL) {
            printf("# %s\n", error.message);
            return;
        }
        const struct tempera_model_config *c = tempera_model_get_config(loaded);
        CHECK(c->vocab_size == 257 && c->n_layers == 2 && c->dim == 24 && c->n_heads == 6 &&
              c->n_kv_heads == 2 && c->hidden_dim == 40 && c->context_length == T &&
              c->rope_base == 12345 && c->rms_epsilon == config.rms_epsilon &&
              c->tied_embeddings == config.tied_embeddings);
        CHECK_EQ_SIZE(tempera_tokenizer_n_tokens(loaded_tokenizer), 257);
        size_t count, loaded_count;
        const struct tempera_parameter *a = tempera_model_parameters(model, &count);
        const struct tempera_parameter *b = tempera_model_parameters(loaded, &loaded_count);
        CHECK_EQ_SIZE(loaded_count, count);
        for (size_t t = 0; t < count && t < loaded_count; t++) {
            bool norm = strstr(a[t].name, "norm") != NULL;
            CHECK_EQ_STR(b[t].name, a[t].name);
            for (size_t j = 0; j < a[t].rows * a[t].cols; j++)
                CHECK(b[t].data[j] == as_stored(a[t].data[j], norm ? TEMPERA_F32 : dtype));
        }
        tempera_model_close(&model);
        tempera_model_close(&loaded);
        tempera_tokenizer_close(&tokenizer);
        tempera_tokenizer_close(&loaded_tokenizer);
        unlink(file_path());
    }
}

// A good file's keys and tensors, written again with one of them changed or left out.
struct forgery {
    const char *drop_key, *set_key, *drop_tensor, *reshape_tensor;
    uint32_t value;
    const char *extra_key, *extra_text, *extra_tensor; // added; a number where there is no text
    float extra_number;
};

static const struct {
    const char *key;
    uint32_t value;
} keys[] = {
    {"llama.context_length", T},       {"llama.embedding_length", 24},
    {"llama.block_count", 2},          {"llama.feed_forward_length", 40},
    {"llama.attention.head_count", 6}, {"llama.attention.head_count_kv", 2},
    {"llama.rope.dimension_count", 4}, {"llama.vocab_size", V},
};

static bool is(const char *name, const char *wanted)
{
    return wanted != NULL && strcmp(name, wanted) == 0;
}

static enum tempera_status load_forgery(const struct forgery *f, struct tempera_error *error)
{
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config), *loaded = NULL;
    struct tempera_gguf_writer *writer = NULL;
    struct tempera_gguf *gguf = NULL;
    static const uint64_t extra_dims[1] = {2};
    static const float extra_data[2] = {3, 3}; // borrowed until the file is saved
    CHECK_STATUS(tempera_gguf_writer_open(&writer), TEMPERA_OK);
    if (!is("general.architecture", f->drop_key))
        tempera_gguf_set_string(writer, "general.architecture",
                                is("general.architecture", f->set_key) ? "gptx9" : "llama", 5);
    if (f->extra_text != NULL)
        tempera_gguf_set_string(writer, f->extra_key, f->extra_text, strlen(f->extra_text));
    else if (f->extra_key != NULL)
        tempera_gguf_set_f32(writer, f->extra_key, f->extra_number);
    if (f->extra_tensor != NULL)
        tempera_gguf_add_tensor(writer, f->extra_tensor, TEMPERA_F32, 1, extra_dims, extra_data);
    if (!is("llama.attention.layer_norm_rms_epsilon", f->drop_key))
        tempera_gguf_set_f32(writer, "llama.attention.layer_norm_rms_epsilon",
                             is("llama.attention.layer_norm_rms_epsilon", f->set_key) ? -1 : 1e-5f);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (!is(keys[i].key, f->drop_key))
            tempera_gguf_set_u32(writer, keys[i].key,
                                 is(keys[i].key, f->set_key) ? f->value : keys[i].value);
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(model, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t dims[2] = {table[i].cols, table[i].rows};
        uint64_t swapped[2] = {table[i].rows, table[i].cols};
        if (!is(table[i].name, f->drop_tensor))
            tempera_gguf_add_tensor(writer, table[i].name, TEMPERA_F32, 2,
                                    is(table[i].name, f->reshape_tensor) ? swapped : dims,
                                    table[i].data);
    }
    CHECK_STATUS(tempera_gguf_save(writer, file_path(), error), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_open(&gguf, file_path(), error), TEMPERA_OK);
    memset(error, 0, sizeof *error);
    enum tempera_status status = tempera_model_from_gguf(&loaded, gguf, error);
    CHECK((loaded != NULL) == (status == TEMPERA_OK));
    tempera_model_close(&loaded);
    tempera_model_close(&model);
    tempera_gguf_close(&gguf);
    tempera_gguf_writer_close(&writer);
    unlink(file_path());
    return status;
}

static void check_forgery(struct forgery f, enum tempera_status expected, const char *named)
{
    struct tempera_error error;
    CHECK_STATUS(load_forgery(&f, &error), expected);
    if (expected != TEMPERA_OK && !CHECK(strstr(error.message, named) != NULL))
        printf("# '%s' doesn't name %s\n", error.message, named);
}

static void bad_files(void)
{
    check_forgery((struct forgery){0}, TEMPERA_OK, "");
    static const char *const needed[] = {"general.architecture",
                                         "llama.context_length",
                                         "llama.embedding_length",
                                         "llama.block_count",
                                         "llama.feed_forward_length",
                                         "llama.attention.head_count",
                                         "llama.attention.layer_norm_rms_epsilon"};
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        check_forgery((struct forgery){.drop_key = needed[i]}, TEMPERA_BAD_MODEL, needed[i]);
    // as many key and value heads as heads, if it isn't said: the tensors then don't fit
    check_forgery((struct forgery){.drop_key = "llama.attention.head_count_kv"}, TEMPERA_BAD_MODEL,
                  "attn_k");
    check_forgery((struct forgery){.drop_key = "llama.vocab_size"}, TEMPERA_OK, "");
    check_forgery((struct forgery){.set_key = "general.architecture"}, TEMPERA_UNSUPPORTED,
                  "gptx9");
    check_forgery((struct forgery){.set_key = "llama.attention.layer_norm_rms_epsilon"},
                  TEMPERA_BAD_MODEL, "rms_epsilon");
    static const uint32_t values[] = {0, 1, 3, 65, 4096, 1u << 31, UINT32_MAX};
    for (size_t k = 0; k < COUNT_OF(keys); k++)
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            struct forgery f = {.set_key = keys[k].key, .value = values[v]};
            struct tempera_error error;
            enum tempera_status status = load_forgery(&f, &error);
            bool context = strcmp(keys[k].key, "llama.context_length") == 0;
            if (status == TEMPERA_OK) // any sensible context fits these tensors; fewer layers, too
                CHECK(context || (is(keys[k].key, "llama.block_count") && values[v] == 1));
            else
                CHECK(error.message[0] != '\0');
        }
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config);
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(model, &count);
    for (size_t i = 0; i < count; i++) {
        check_forgery((struct forgery){.drop_tensor = table[i].name}, TEMPERA_BAD_MODEL,
                      table[i].name);
        bool square = table[i].rows == table[i].cols;
        check_forgery((struct forgery){.reshape_tensor = table[i].name},
                      square ? TEMPERA_OK : TEMPERA_BAD_MODEL, i == 0 ? "vocab" : table[i].name);
    }
    tempera_model_close(&model);
}

// Keys and tensors that would change the scores: ignoring them would give wrong text in silence.
static void foreign_files(void)
{
    static const struct forgery refused[] = {
        {.extra_key = "llama.rope.scaling.type", .extra_text = "linear"},
        {.extra_key = "llama.rope.scaling.type", .extra_text = "yarn"},
        {.extra_key = "llama.rope.scaling.factor", .extra_number = 8},
        {.extra_key = "llama.rope.scale_linear", .extra_number = 4},
        {.extra_key = "llama.attention.key_length", .extra_number = 64},
        {.extra_key = "llama.attention.value_length", .extra_number = 64},
        {.extra_key = "llama.expert_count", .extra_number = 8},
        {.extra_key = "llama.logit_scale", .extra_number = 0.5f},
        {.extra_tensor = "blk.0.attn_q.bias"},
        {.extra_tensor = "rope_freqs.weight"},
        {.extra_tensor = "blk.2.attn_norm.weight"}, // of a layer that isn't there
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        check_forgery(refused[i], TEMPERA_UNSUPPORTED,
                      refused[i].extra_key ? refused[i].extra_key : refused[i].extra_tensor);
    static const struct forgery harmless[] = {
        {.extra_key = "llama.rope.scaling.type", .extra_text = "none"},
        {.extra_key = "llama.rope.scaling.factor", .extra_number = 1},
        {.extra_key = "llama.attention.key_length", .extra_number = 4}, // the heads' width
        {.extra_key = "llama.expert_count", .extra_number = 0},
        {.extra_key = "llama.logit_scale", .extra_number = 1},
        {.extra_key = "somebody.else", .extra_number = 1},
        {.extra_tensor = "tempera.train.moment1"},
    };
    for (size_t i = 0; i < COUNT_OF(harmless); i++)
        check_forgery(harmless[i], TEMPERA_OK, "");
}

static bool go_on(void *context, const struct tempera_generated *generated)
{
    (void)context;
    (void)generated;
    return true;
}

// What a caller forgot is an answer, not a crash.
static void missing_arguments(void)
{
    const enum tempera_status invalid = TEMPERA_INVALID_ARGUMENT;
    struct tempera_model_config config = small_config();
    struct tempera_model *model = make_model(&config);
    struct tempera_workspace *workspace = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    static float logits[V];
    int32_t token = 1;
    double loss;
    CHECK_STATUS(tempera_model_create(NULL, &config, 1, NULL), invalid);
    CHECK_STATUS(tempera_model_load(file_path(), NULL, &tokenizer, NULL), invalid);
    CHECK_STATUS(tempera_model_load(NULL, &model, &tokenizer, NULL), invalid);
    CHECK_STATUS(tempera_model_load(file_path(), &model, NULL, NULL), invalid);
    CHECK_STATUS(tempera_model_from_gguf(NULL, NULL, NULL), invalid);
    CHECK_STATUS(tempera_model_from_gguf(&model, NULL, NULL), invalid);
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
    CHECK_STATUS(tempera_model_save(file_path(), NULL, tokenizer, TEMPERA_F32, "x", NULL), invalid);
    CHECK_STATUS(tempera_model_save(file_path(), model, NULL, TEMPERA_F32, "x", NULL), invalid);
    CHECK_STATUS(tempera_model_save(NULL, model, tokenizer, TEMPERA_F32, "x", NULL), invalid);
    CHECK_STATUS(tempera_model_save(file_path(), model, tokenizer, TEMPERA_F32, NULL, NULL),
                 invalid);
    CHECK_STATUS(tempera_workspace_open(NULL, model, 1, 1, false), invalid);
    CHECK_STATUS(tempera_workspace_open(&workspace, NULL, 1, 1, false), invalid);
    CHECK_STATUS(tempera_workspace_open(&workspace, model, 1, 1, false), TEMPERA_OK);
    CHECK_STATUS(tempera_model_logits(model, workspace, NULL, 1, 1, logits, NULL), invalid);
    CHECK_STATUS(tempera_model_logits(model, workspace, &token, 1, 1, NULL, NULL), invalid);
    CHECK_STATUS(tempera_model_logits(NULL, workspace, &token, 1, 1, logits, NULL), invalid);
    CHECK_STATUS(tempera_model_loss(model, NULL, &token, &token, 1, 1, NULL, 1, &loss, NULL, NULL),
                 invalid);
    CHECK_STATUS(
        tempera_model_loss(model, workspace, &token, NULL, 1, 1, NULL, 1, &loss, NULL, NULL),
        invalid);
    CHECK_STATUS(
        tempera_model_loss(model, workspace, &token, &token, 1, 1, NULL, 1, NULL, NULL, NULL),
        invalid);
    CHECK_STATUS(tempera_decoder_open(NULL, model, 0, NULL), invalid);
    CHECK_STATUS(tempera_decoder_open(&decoder, NULL, 0, NULL), invalid);
    CHECK_STATUS(tempera_decoder_append(NULL, &token, 1, logits), invalid);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(decoder, NULL, 1, logits), invalid);
    CHECK_STATUS(tempera_generate(decoder, NULL, "x", 1, NULL, go_on, NULL, NULL, NULL), invalid);
    CHECK_STATUS(tempera_generate(NULL, tokenizer, "x", 1, NULL, go_on, NULL, NULL, NULL), invalid);
    CHECK_STATUS(tempera_generate(decoder, tokenizer, NULL, 1, NULL, go_on, NULL, NULL, NULL),
                 invalid);
    CHECK_STATUS(tempera_generate(decoder, tokenizer, "x", 1, NULL, NULL, NULL, NULL, NULL),
                 invalid);
    tempera_tokenizer_close(&tokenizer);
    tempera_decoder_close(&decoder);
    tempera_decoder_close(NULL);
    tempera_decoder_close(&decoder);
    tempera_workspace_close(NULL);
    tempera_workspace_close(&workspace);
    tempera_model_close(&model);
}

// A program built against a later header has longer structs: what is known of them counts. One
// that is shorter lacks something.
static void struct_sizes(void)
{
    struct tempera_model_config config = small_config();
    struct tempera_generate_options options = tempera_generate_options_default();
    struct tempera_decoder *decoder = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    config.vocab_size = 257;
    config.struct_size = sizeof config - 1;
    CHECK_STATUS(tempera_model_config_check(&config, NULL), TEMPERA_INVALID_ARGUMENT);
    config.struct_size = sizeof config + 8;
    struct tempera_model *model = make_model(&config);
    CHECK_EQ_SIZE(tempera_model_get_config(model)->struct_size, sizeof config); // ours is no longer
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    options.max_tokens = 1;
    options.struct_size = sizeof options - 1;
    CHECK_STATUS(tempera_generate(decoder, tokenizer, "x", 1, &options, go_on, NULL, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    options.struct_size = sizeof options + 8;
    CHECK_STATUS(tempera_generate(decoder, tokenizer, "x", 1, &options, go_on, NULL, NULL, NULL),
                 TEMPERA_OK);
    tempera_tokenizer_close(&tokenizer);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"bad configurations are refused by field", bad_configs},
        {"the table covers the block", parameter_table},
        {"random weights are a function of the seed", random_weights},
        {"the loss in pieces is that of the whole", loss_in_pieces},
        {"results do not depend on the executor", any_executor},
        {"bad sequences are refused", bad_sequences},
        {"missing arguments are refused", missing_arguments},
        {"other struct sizes are refused", struct_sizes},
        {"a decoder gives the scores of the whole sequence", decoder_equals_sequence},
        {"a decoder rewinds and fills up", decoder_rewinds_and_fills},
        {"a saved model comes back", round_trip},
        {"files with a key or a tensor dropped or wrong are refused", bad_files},
        {"files with what would change the scores are refused", foreign_files},
    };
    return CHECK_RUN(tests, argc, argv);
}
