// SPDX-License-Identifier: MIT
// Models from elsewhere: keys of every type, each read by its value or refused by its name, and
// files that are parts of a model.
#include "check.h"

#include <stdio.h>

#include <tempera/model.h>

#include "gguf_bytes.h"

enum { V = 12, D = 8, HEADS = 2, KV_HEADS = 1, LAYERS = 2, FF = 6, CONTEXT = 16 };

// One value of a key: text, or count numbers of a type. count 0: no array.
struct value {
    uint32_t type;
    size_t count;
    double numbers[4];
    const char *text;
};

#define NUMBER(type_, x) ((struct value){.type = TEMPERA_GGUF_##type_, .numbers = {x}})
#define TEXT(x) ((struct value){.type = TEMPERA_GGUF_STRING, .text = x})
#define ARRAY(type_, n, ...)                                                                       \
    ((struct value){.type = TEMPERA_GGUF_##type_, .count = n, .numbers = {__VA_ARGS__}})

static const struct {
    const char *key;
    double value;
    bool real;
} keys[] = {
    {"llama.context_length", CONTEXT, false},
    {"llama.embedding_length", D, false},
    {"llama.block_count", LAYERS, false},
    {"llama.feed_forward_length", FF, false},
    {"llama.attention.head_count", HEADS, false},
    {"llama.attention.head_count_kv", KV_HEADS, false},
    {"llama.rope.dimension_count", 4, false},
    {"llama.vocab_size", V, false},
    {"llama.attention.layer_norm_rms_epsilon", 0x1p-17, true},
    {"llama.rope.freq_base", 500, true},
};
enum { N_KEYS = COUNT_OF(keys) };

static void put_scalar(struct bytes *b, uint32_t type, double x)
{
    static const uint8_t nbytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    float single = (float)x;
    uint32_t bits;
    uint64_t wide;
    memcpy(&bits, &single, sizeof bits);
    memcpy(&wide, &x, sizeof wide);
    if (type == TEMPERA_GGUF_F32)
        put_u32(b, bits);
    else if (type == TEMPERA_GGUF_F64)
        put_u64(b, wide);
    else
        put_number(b, x < 0 ? (uint64_t)(int64_t)x : (uint64_t)x, nbytes[type]);
}

static void put_value(struct bytes *b, const char *key, const struct value *v)
{
    size_t n = v->count > 0 ? v->count : 1;
    if (v->count > 0)
        put_array(b, key, v->type, v->count);
    else
        put_key(b, key, v->type);
    for (size_t i = 0; i < n; i++)
        if (v->text != NULL)
            put_text(b, v->text);
        else
            put_scalar(b, v->type, v->numbers[i]);
}

// A model's file with `key` set to this value, instead of its own or beside the others.
static void put_model(struct bytes *b, const char *key, const struct value *v)
{
    static const struct {
        const char *name;
        uint64_t dims[2];
    } layer[] = {{"attn_norm", {D, 1}}, {"attn_q", {D, D}},      {"attn_k", {D, 4}},
                 {"attn_v", {D, 4}},    {"attn_output", {D, D}}, {"ffn_norm", {D, 1}},
                 {"ffn_gate", {D, FF}}, {"ffn_up", {D, FF}},     {"ffn_down", {FF, D}}};
    const uint64_t embedding[2] = {D, V}, norm[2] = {D, 1};
    bool extra = key != NULL && strcmp(key, "general.architecture") != 0;
    for (size_t i = 0; i < N_KEYS && extra; i++)
        extra = strcmp(key, keys[i].key) != 0;
    put_header(b, 3, 2 + LAYERS * 9, 1 + N_KEYS + extra);
    const struct value llama = TEXT("llama");
    bool own = key != NULL && strcmp(key, "general.architecture") == 0;
    put_value(b, "general.architecture", own ? v : &llama);
    for (size_t i = 0; i < N_KEYS; i++) {
        struct value good = {.type = keys[i].real ? TEMPERA_GGUF_F32 : TEMPERA_GGUF_U32,
                             .numbers = {keys[i].value}};
        put_value(b, keys[i].key, key != NULL && strcmp(key, keys[i].key) == 0 ? v : &good);
    }
    if (extra)
        put_value(b, key, v);
    uint64_t offset = 0;
    put_tensor(b, "token_embd.weight", 2, embedding, TEMPERA_F32, offset);
    offset += V * D * 4;
    for (size_t l = 0; l < LAYERS; l++)
        for (size_t i = 0; i < 9; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%zu.%s.weight", l, layer[i].name);
            put_tensor(b, name, 2, layer[i].dims, TEMPERA_F32, offset);
            offset += (layer[i].dims[0] * layer[i].dims[1] * 4 + 31) / 32 * 32;
        }
    put_tensor(b, "output_norm.weight", 1, norm, TEMPERA_F32, offset);
    put_padding(b, 32);
    for (size_t i = 0; i < offset / 4 + D; i++)
        put_u32(b, 0x3F000000);
}

static enum tempera_status load(const char *key, const struct value *v,
                                struct tempera_model_config *config, struct tempera_error *error)
{
    static struct bytes b;
    struct tempera_gguf *gguf = NULL;
    struct tempera_model *model = NULL;
    *error = (struct tempera_error){0};
    put_model(&b, key, v);
    CHECK(b.n < sizeof b.data);
    enum tempera_status status = tempera_gguf_open_memory(&gguf, b.data, b.n, error);
    if (!CHECK_STATUS(status, TEMPERA_OK))
        return status;
    status = tempera_model_from_gguf(&model, gguf, error);
    CHECK((model != NULL) == (status == TEMPERA_OK));
    if (model != NULL)
        *config = *tempera_model_get_config(model);
    tempera_model_close(&model);
    tempera_gguf_close(&gguf);
    return status;
}

static void taken(const char *key, struct value v)
{
    struct tempera_model_config c = {0};
    struct tempera_error error;
    enum tempera_status status = load(key, &v, &c, &error);
    check_that(status == TEMPERA_OK, __FILE__, __LINE__, "%s, type %u: %s", key, v.type,
               error.message);
    if (status != TEMPERA_OK)
        return;
    CHECK(c.context_length == CONTEXT && c.dim == D && c.n_layers == LAYERS && c.hidden_dim == FF);
    CHECK(c.n_heads == HEADS && c.n_kv_heads == KV_HEADS && c.vocab_size == V);
}

// The message must name the key and hold `shown`.
static void refused(const char *key, struct value v, const char *shown)
{
    struct tempera_model_config c;
    struct tempera_error error;
    enum tempera_status status = load(key, &v, &c, &error);
    check_that(status == TEMPERA_BAD_MODEL || status == TEMPERA_UNSUPPORTED, __FILE__, __LINE__,
               "%s, type %u, %s: %s", key, v.type, shown, tempera_status_name(status));
    check_that(strstr(error.message, key) != NULL && strstr(error.message, shown) != NULL, __FILE__,
               __LINE__, "\"%s\" lacks %s or %s", error.message, key, shown);
}

static const uint32_t number_types[] = {0, 1, 2, 3, 4, 5, 6, 10, 11, 12};
enum { N_TYPES = COUNT_OF(number_types) };

static void every_type_of_number(void)
{
    struct tempera_model_config c;
    struct tempera_error error;
    for (size_t k = 0; k < N_KEYS; k++)
        for (size_t t = 0; t < N_TYPES; t++) {
            uint32_t type = number_types[t];
            bool real = type == TEMPERA_GGUF_F32 || type == TEMPERA_GGUF_F64;
            bool byte = type == TEMPERA_GGUF_U8 || type == TEMPERA_GGUF_I8;
            if (keys[k].real && (byte || (!real && keys[k].value < 1)))
                continue;
            struct value v = {.type = type, .numbers = {keys[k].value}};
            taken(keys[k].key, v);
            v = (struct value){.type = type, .count = 2, .numbers = {keys[k].value, keys[k].value}};
            taken(keys[k].key, v); // the same for both layers
        }
    struct value base = NUMBER(F64, 12345.0), epsilon = NUMBER(F64, 1e-6);
    CHECK_STATUS(load("llama.rope.freq_base", &base, &c, &error), TEMPERA_OK);
    CHECK(c.rope_base == 12345);
    base = NUMBER(U16, 10001);
    CHECK_STATUS(load("llama.rope.freq_base", &base, &c, &error), TEMPERA_OK);
    CHECK(c.rope_base == 10001);
    CHECK_STATUS(load("llama.attention.layer_norm_rms_epsilon", &epsilon, &c, &error), TEMPERA_OK);
    CHECK(c.rms_epsilon == 1e-6f);
    base = TEXT("x"); // of another architecture
    CHECK_STATUS(load("mamba.rope.scaling.type", &base, &c, &error), TEMPERA_OK);
}

// What doesn't fit a count, in each key that is one; and what is not a number, in every key.
static void values_that_do_not_fit(void)
{
    for (size_t k = 0; k < N_KEYS; k++) {
        const char *key = keys[k].key;
        double x = keys[k].value;
        refused(key, TEXT("2"), "'2'");
        refused(key, TEXT("\x1b[31m\xc2\x9b"), "'\\x1b[31m\\u009b'");
        refused(key, ((struct value){.type = TEMPERA_GGUF_STRING, .count = 2, .text = "a"}),
                "an array of 2 strings, 'a', 'a'");
        refused(key, ((struct value){.type = TEMPERA_GGUF_BOOL, .count = 1, .numbers = {1}}),
                "an array of 1 bool, true");
        refused(key, ARRAY(F64, 2, x, x + 0.25), "an array of 2 numbers, ");
        refused(key, NUMBER(F32, NAN), "nan");
        refused(key, NUMBER(F64, INFINITY), "inf");
        refused(key, NUMBER(F64, 1e300), "300");
        refused(key, NUMBER(F64, -2.0), "-2");
        if (strstr(key, "dimension_count") == NULL) // there 1 could be
            refused(key, NUMBER(BOOL, 1), "true");
        if (keys[k].real)
            continue;
        refused(key, NUMBER(F32, x + 0.5), ".5");
        refused(key, NUMBER(F64, 4294967296.0 + x), "4294967");
        refused(key, NUMBER(U64, 9007199254740992.0), "9007199254740992");
        refused(key, NUMBER(U64, 18446744073709549568.0), "18446744073709549568");
        refused(key, NUMBER(I8, -1), "-1");
        refused(key, NUMBER(I16, -2), "-2");
        refused(key, NUMBER(I32, -2147483648.0), "-2147483648");
        refused(key, NUMBER(I64, -3), "-3");
    }
    refused("llama.attention.head_count", ARRAY(U32, 2, 2, 4), "an array of 2 numbers, 2, 4");
    refused("llama.attention.head_count_kv", ARRAY(I32, 3, 1, 1, 1), "an array of 3 numbers");
    refused("llama.feed_forward_length", ARRAY(I64, 2, FF, -1), "6, -1");
    refused("llama.block_count", NUMBER(U32, 100000), "100000");
    refused("llama.context_length", NUMBER(U32, 0), "not 0");
    refused("llama.rope.freq_base", NUMBER(F32, 0.5), "0.5");
    refused("llama.attention.layer_norm_rms_epsilon", NUMBER(F32, 2), "2");
    refused("llama.attention.head_count", NUMBER(U32, 3), "(3)");
    refused("general.architecture", NUMBER(U32, 3), "3, not a string");
    refused("general.architecture", ARRAY(U8, 2, 3, 4), "an array of 2 numbers, 3, 4");
    refused("general.architecture", TEXT("gpt\x1b[2J\xe2\x80\xae"), "'gpt\\x1b[2J\\u202e'");
}

static void long_text(void)
{
    static char digits[2001];
    struct tempera_model_config c;
    struct tempera_error error;
    memset(digits, '7', 2000);
    struct value v = TEXT(digits);
    CHECK_STATUS(load("llama.block_count", &v, &c, &error), TEMPERA_BAD_MODEL);
    CHECK(strstr(error.message, "7...', not one number") != NULL);
    CHECK_STATUS(load("general.architecture", &v, &c, &error), TEMPERA_UNSUPPORTED);
    CHECK(strstr(error.message, "7...'; only models of") != NULL);
    char key[1000] = "llama.";
    memset(key + 6, 'k', 900);
    CHECK_STATUS(load(key, &v, &c, &error), TEMPERA_UNSUPPORTED);
    CHECK(strstr(error.message, "kkk... is '777") != NULL && strstr(error.message, "not know"));
}

// Keys that change scores: switched off in any type of number, else refused by name.
static void variants(void)
{
    static const struct {
        const char *key;
        double usual;
    } variants[] = {
        {"llama.rope.scale_linear", 1},
        {"llama.rope.scaling.factor", 1},
        {"llama.rope.scaling.attn_factor", 1},
        {"llama.attention.key_length", 4},
        {"llama.attention.value_length", 4},
        {"llama.attention.scale", 0.5},
        {"llama.attention.causal", 1},
        {"llama.attention.sliding_window", 0},
        {"llama.attention.max_alibi_bias", 0},
        {"llama.attention.clamp_kqv", 0},
        {"llama.attn_logit_softcapping", 0},
        {"llama.final_logit_softcapping", 0},
        {"llama.logit_scale", 1},
        {"llama.embedding_scale", 1},
        {"llama.residual_scale", 1},
        {"llama.expert_count", 0},
        {"llama.expert_used_count", 0},
        {"llama.expert_shared_count", 0},
    };
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        const char *key = variants[i].key;
        double usual = variants[i].usual;
        for (size_t t = 0; t < N_TYPES; t++) {
            if (usual == 0.5 && number_types[t] != 6 && number_types[t] != 12)
                continue;
            taken(key, ((struct value){.type = number_types[t], .numbers = {usual}}));
            taken(key,
                  ((struct value){.type = number_types[t], .count = 2, .numbers = {usual, usual}}));
            char other[16];
            snprintf(other, sizeof other, "%g", usual + 7);
            refused(key, ((struct value){.type = number_types[t], .numbers = {usual + 7}}), other);
        }
        refused(key, NUMBER(I32, -1), "-1");
        refused(key, NUMBER(F32, NAN), "nan");
        refused(key, TEXT("8"), "'8'");
        refused(key, TEXT(""), "''");
        refused(key, ARRAY(F32, 2, usual, 3), "an array of 2 numbers");
        refused(key, ((struct value){.type = TEMPERA_GGUF_STRING, .count = 1, .text = "x"}),
                "an array of 1 string, 'x'");
    }
    refused("llama.rope.dimension_count", NUMBER(I32, -1), "-1");
    refused("llama.rope.dimension_count", NUMBER(U32, 2), "2");
    taken("llama.attention.causal", NUMBER(BOOL, 1));
    refused("llama.attention.causal", NUMBER(BOOL, 0), "false");
    taken("llama.rope.scaling.type", TEXT("none"));
    refused("llama.rope.scaling.type", TEXT("yarn"), "'yarn'");
    refused("llama.rope.scaling.type", NUMBER(U32, 0), "0");
    refused("llama.rope.scaling.type",
            ((struct value){.type = TEMPERA_GGUF_STRING, .count = 1, .text = "none"}),
            "an array of 1 string, 'none'");
    taken("llama.tensor_data_layout", TEXT("Meta AI original pth"));
    refused("llama.tensor_data_layout", TEXT("other"), "'other'");
    taken("llama.rope.scaling.original_context_length", NUMBER(U32, 8192));
    taken("llama.pooling_type", NUMBER(U32, 1));
    // Keys that nobody here has heard of.
    refused("llama.attention.temperature_length", NUMBER(U32, 8192), "8192");
    refused("llama.rope.scaling.yarn_beta_fast", NUMBER(F32, 32), "32");
    refused("llama.something", TEXT("new"), "'new'");
}

static void parts(void)
{
    static struct bytes b;
    static const uint32_t types[] = {TEMPERA_GGUF_U16, TEMPERA_GGUF_I32, TEMPERA_GGUF_U64};
    struct tempera_error error;
    for (size_t i = 0; i < 3; i++)
        for (uint32_t no = 0; no < 3; no++) {
            struct tempera_gguf *gguf = NULL;
            struct tempera_model *model = NULL;
            struct tempera_tokenizer *tokenizer = NULL;
            char expected[200];
            put_header(&b, 3, 0, no == 0 ? 4 : 3); // only the first part says what it is
            put_value(&b, "split.no", &(struct value){.type = types[i], .numbers = {no}});
            put_value(&b, "split.count", &(struct value){.type = types[i], .numbers = {3}});
            put_value(&b, "split.tensors.count", &NUMBER(I32, 20));
            if (no == 0)
                put_value(&b, "general.architecture", &TEXT("llama"));
            CHECK_STATUS(tempera_gguf_open_memory(&gguf, b.data, b.n, &error), TEMPERA_OK);
            snprintf(expected, sizeof expected,
                     "'memory' is part %u of 3 of a model: join the parts with "
                     "llama-gguf-split --merge FIRST-PART OUT",
                     no + 1);
            CHECK_STATUS(tempera_model_from_gguf(&model, gguf, &error), TEMPERA_UNSUPPORTED);
            CHECK_EQ_STR(error.message, expected);
            CHECK_STATUS(tempera_tokenizer_from_gguf(&tokenizer, gguf, &error),
                         TEMPERA_UNSUPPORTED);
            CHECK_EQ_STR(error.message, expected);
            tempera_gguf_close(&gguf);
        }
    taken("split.count", NUMBER(U16, 1)); // a model in one part
    taken("split.count", NUMBER(U16, 0));
    struct value text = TEXT("three");
    struct tempera_model_config c;
    CHECK_STATUS(load("split.count", &text, &c, &error), TEMPERA_BAD_FORMAT);
    CHECK(strstr(error.message, "split.count is 'three'") != NULL);
}

// A tensor without elements, wherever it is, is refused by its name.
static void no_elements(void)
{
    static struct bytes b;
    struct tempera_gguf *gguf = NULL;
    struct tempera_error error;
    for (uint32_t n_dims = 1; n_dims <= 4; n_dims++)
        for (uint32_t i = 0; i < n_dims; i++) {
            uint64_t dims[4] = {2, 3, 4, 5};
            dims[i] = 0;
            put_header(&b, 3, 1, 0);
            put_tensor(&b, "blk.0.attn_q.weight", n_dims, dims, TEMPERA_F16, 0);
            put_padding(&b, 32);
            CHECK_STATUS(tempera_gguf_open_memory(&gguf, b.data, b.n, &error), TEMPERA_BAD_FORMAT);
            CHECK(strstr(error.message, "tensor blk.0.attn_q.weight: a dimension of 0") != NULL);
            CHECK(gguf == NULL);
        }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"keys may be numbers of any type", every_type_of_number},
        {"values that do not fit are refused", values_that_do_not_fit},
        {"long texts are cut in messages", long_text},
        {"keys that change the scores are refused unless switched off", variants},
        {"parts of a model are refused", parts},
        {"tensors without elements are refused", no_elements},
    };
    return CHECK_RUN(tests, argc, argv);
}
