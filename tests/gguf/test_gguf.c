// SPDX-License-Identifier: MIT
// GGUF files that are right: what is written is read, by every getter.
#include "check.h"

#include <stdio.h>
#include <unistd.h>

#include <tempera/gguf.h>

#include "gguf_bytes.h"

static const char path[] = "test_gguf.gguf";

static struct tempera_gguf *open_bytes(const struct bytes *b)
{
    struct tempera_gguf *gguf = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_gguf_open_memory(&gguf, b->data, b->n, &error), TEMPERA_OK);
    CHECK_STATUS(error.status, TEMPERA_OK);
    CHECK_EQ_STR(error.message, "");
    return gguf;
}

static void good_file_has_what_was_put(void)
{
    static struct bytes b;
    put_good_file(&b);
    struct tempera_gguf *g = open_bytes(&b);
    CHECK_EQ_SIZE(tempera_gguf_n_keys(g), 26);
    static const char *const integers[] = {"one.u8",  "one.i8",  "one.u16", "one.i16",
                                           "one.u32", "one.i32", "one.u64", "one.i64"};
    static const uint64_t types[] = {0, 1, 2, 3, 4, 5, 10, 11};
    for (size_t i = 0; i < 8; i++) {
        uint64_t wide = 0;
        uint32_t narrow = 0;
        CHECK_STATUS(tempera_gguf_get_u64(g, integers[i], &wide), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_get_u32(g, integers[i], &narrow), TEMPERA_OK);
        CHECK_EQ_U64(wide, 100 + types[i]);
        CHECK_EQ_U64(narrow, 100 + types[i]);
    }
    bool flag = false;
    CHECK_STATUS(tempera_gguf_get_bool(g, "one.bool", &flag), TEMPERA_OK);
    CHECK(flag);
    const char *bytes = NULL;
    size_t nbytes = 0, count = 0;
    CHECK_STATUS(tempera_gguf_get_string(g, "one.string", &bytes, &nbytes), TEMPERA_OK);
    CHECK_EQ_STR(bytes, "text");
    CHECK_EQ_SIZE(nbytes, 4);
    const int32_t *values = NULL;
    for (int i = 0; i < 2; i++) {
        const char *key = i == 0 ? "all.u32" : "all.i32";
        CHECK_STATUS(tempera_gguf_get_i32s(g, key, &values, &count), TEMPERA_OK);
        CHECK_EQ_SIZE(count, 3);
        CHECK_EQ_INT((intptr_t)values % 4, 0);
        for (int j = 0; j < 3; j++)
            CHECK_EQ_INT(values[j], 1000 * j + 4 + i);
    }
    static const char *const strings[] = {"a", "", "ccc"};
    CHECK_STATUS(tempera_gguf_get_strings(g, "all.string", &count), TEMPERA_OK);
    CHECK_EQ_SIZE(count, 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK_STATUS(tempera_gguf_get_strings_at(g, "all.string", i, &bytes, &nbytes), TEMPERA_OK);
        CHECK_EQ_STR(bytes, strings[i]);
        CHECK_EQ_SIZE(nbytes, strlen(strings[i]));
    }
    CHECK_STATUS(tempera_gguf_get_strings_at(g, "all.string", 3, &bytes, &nbytes),
                 TEMPERA_NOT_FOUND);
    CHECK_STATUS(tempera_gguf_get_strings(g, "empty", &count), TEMPERA_OK);
    CHECK_EQ_SIZE(count, 0);
    tempera_gguf_close(&g);
    CHECK(g == NULL);
    tempera_gguf_close(&g);
    tempera_gguf_close(NULL);
}

static void keys_are_listed_in_order(void)
{
    static struct bytes b;
    put_good_file(&b);
    struct tempera_gguf *g = open_bytes(&b);
    enum tempera_gguf_type type;
    bool is_array;
    size_t count;
    CHECK_EQ_STR(tempera_gguf_key(g, 0, &type, &is_array, &count), "one.u8");
    CHECK_EQ_INT(type, TEMPERA_GGUF_U8);
    CHECK(!is_array);
    CHECK_EQ_SIZE(count, 1);
    CHECK_EQ_STR(tempera_gguf_key(g, 17, &type, &is_array, &count), "all.string");
    CHECK_EQ_INT(type, TEMPERA_GGUF_STRING);
    CHECK(is_array);
    CHECK_EQ_SIZE(count, 3);
    CHECK_EQ_STR(tempera_gguf_key(g, 25, NULL, NULL, NULL), "general.alignment");
    CHECK(tempera_gguf_key(g, 26, NULL, NULL, NULL) == NULL);
    tempera_gguf_close(&g);
}

static void getters_refuse_what_is_of_another_kind(void)
{
    static struct bytes b;
    put_good_file(&b);
    struct tempera_gguf *g = open_bytes(&b);
    uint64_t wide = 7;
    uint32_t narrow = 7;
    float real = 7;
    bool flag = true;
    size_t n = 7;
    const char *bytes = "unchanged";
    const int32_t *values = NULL;
    static const char *const others[] = {"one.string", "all.u64", "one.bool", "one.f32"};
    for (size_t i = 0; i < 4; i++) {
        CHECK_STATUS(tempera_gguf_get_u64(g, others[i], &wide), TEMPERA_BAD_FORMAT);
        CHECK_STATUS(tempera_gguf_get_u32(g, others[i], &narrow), TEMPERA_BAD_FORMAT);
    }
    CHECK_STATUS(tempera_gguf_get_f32(g, "one.u32", &real), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_bool(g, "one.u8", &flag), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_string(g, "all.string", &bytes, &n), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_strings(g, "one.string", &n), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_strings(g, "all.u32", &n), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_i32s(g, "all.f32", &values, &n), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_i32s(g, "one.i32", &values, &n), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_u64(g, "none", &wide), TEMPERA_NOT_FOUND);
    CHECK_STATUS(tempera_gguf_get_u64(g, "", &wide), TEMPERA_NOT_FOUND);
    CHECK(wide == 7 && narrow == 7 && real == 7 && flag && n == 7 && values == NULL);
    CHECK_EQ_STR(bytes, "unchanged");
    tempera_gguf_close(&g);
}

static void numbers_must_fit(void)
{
    static struct bytes b;
    put_header(&b, 2, 0, 7); // version 2 has the same layout
    put_key(&b, "minus", TEMPERA_GGUF_I32);
    put_u32(&b, UINT32_MAX);
    put_key(&b, "minus8", TEMPERA_GGUF_I8);
    put_number(&b, 0x80, 1);
    put_key(&b, "large", TEMPERA_GGUF_U64);
    put_u64(&b, UINT64_MAX);
    put_key(&b, "half", TEMPERA_GGUF_F64);
    put_u64(&b, 0x3FE0000000000000u);
    put_key(&b, "huge", TEMPERA_GGUF_F64);
    put_u64(&b, 0x7FE0000000000000u);
    put_key(&b, "nan", TEMPERA_GGUF_F64);
    put_u64(&b, 0x7FF8000000000000u);
    put_key(&b, "nan32", TEMPERA_GGUF_F32);
    put_u32(&b, 0x7FC00000);
    struct tempera_gguf *g = open_bytes(&b);
    uint64_t wide = 7;
    uint32_t narrow = 7;
    float real = 7;
    CHECK_STATUS(tempera_gguf_get_u64(g, "minus", &wide), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_u64(g, "minus8", &wide), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_u32(g, "large", &narrow), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_f32(g, "huge", &real), TEMPERA_BAD_FORMAT);
    CHECK_STATUS(tempera_gguf_get_f32(g, "nan", &real), TEMPERA_BAD_FORMAT);
    CHECK(wide == 7 && narrow == 7 && real == 7);
    CHECK_STATUS(tempera_gguf_get_u64(g, "large", &wide), TEMPERA_OK);
    CHECK_EQ_U64(wide, UINT64_MAX);
    CHECK_STATUS(tempera_gguf_get_f32(g, "half", &real), TEMPERA_OK);
    CHECK(real == 0.5f);
    CHECK_STATUS(tempera_gguf_get_f32(g, "nan32", &real), TEMPERA_OK);
    CHECK(isnan(real));
    tempera_gguf_close(&g);
}

static void tensors_are_found_and_read(void)
{
    static struct bytes b;
    put_good_file(&b);
    struct tempera_gguf *g = open_bytes(&b);
    CHECK_EQ_SIZE(tempera_gguf_n_tensors(g), 4);
    CHECK(tempera_gguf_tensor_at(g, 4) == NULL);
    CHECK(tempera_gguf_find_tensor(g, "none") == NULL);
    static const char *const names[] = {"f32", "f16", "bf16"};
    static const uint64_t n_elements[] = {6, 3, 6}, nbytes[] = {24, 6, 12};
    for (size_t i = 0; i < 3; i++) {
        const struct tempera_gguf_tensor *t = tempera_gguf_find_tensor(g, names[i]);
        if (!CHECK(t != NULL))
            continue;
        CHECK_EQ_STR(t->name, names[i]);
        CHECK_EQ_U64(t->n_elements, n_elements[i]);
        CHECK_EQ_U64(t->nbytes, nbytes[i]);
        CHECK_EQ_U64(t->offset % 64, 0);
        CHECK_EQ_U64(t->dims[0], 3);
        CHECK_EQ_U64(t->dims[3], 1);
        float values[6];
        struct tempera_error error;
        CHECK_STATUS(tempera_gguf_read_f32(g, t, values, (size_t)n_elements[i], &error),
                     TEMPERA_OK);
        for (size_t j = 0; j < n_elements[i]; j++)
            CHECK_NEAR((double)values[j], 1 + 0.125 * (double)j, 0);
        CHECK_STATUS(tempera_gguf_read_f32(g, t, values, 2, &error), TEMPERA_INVALID_ARGUMENT);
        CHECK(error.message[0] != '\0');
    }
    const struct tempera_gguf_tensor *unknown = tempera_gguf_tensor_at(g, 2);
    CHECK_EQ_STR(unknown->name, "unknown");
    CHECK_EQ_U64(unknown->type, 8);
    CHECK_EQ_U64(unknown->nbytes, 0);
    float values[6];
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_read_f32(g, unknown, values, 6, &error), TEMPERA_UNSUPPORTED);
    CHECK(strstr(error.message, "unknown") != NULL);
    tempera_gguf_close(&g);
}

// ------------------------------------------------------------------------------------------------
// What our writer writes, our reader reads

enum { N_LARGE = 20000 }; // more than the buffers of reader and writer hold

static float large[N_LARGE];

static void write_everything(struct tempera_gguf_writer *w)
{
    CHECK_STATUS(tempera_gguf_set_string(w, "string", "a\0b", 3), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_string(w, "nothing", NULL, 0), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_u32(w, "u32", UINT32_MAX), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_u64(w, "u64", UINT64_MAX), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_f32(w, "f32", -0.0f), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_bool(w, "bool", true), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_strings(w, "strings", 2), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_append_string(w, "one", 3), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_append_string(w, NULL, 0), TEMPERA_OK);
    static const int32_t values[] = {INT32_MIN, -1, INT32_MAX};
    CHECK_STATUS(tempera_gguf_set_i32s(w, "i32s", values, 3), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_i32s(w, "none", NULL, 0), TEMPERA_OK);
    for (size_t i = 0; i < N_LARGE; i++)
        large[i] = (float)i * 0.37f - 2000;
    const uint64_t one[] = {1}, all[] = {100, 20, 5, 2};
    CHECK_STATUS(tempera_gguf_add_tensor(w, "small", TEMPERA_F16, 1, one, large), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "a", TEMPERA_F32, 4, all, large), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "b", TEMPERA_F16, 4, all, large), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "c", TEMPERA_BF16, 4, all, large), TEMPERA_OK);
}

static void check_tensor(const struct tempera_gguf *g, const char *name, double relative)
{
    static float values[N_LARGE];
    const struct tempera_gguf_tensor *t = tempera_gguf_find_tensor(g, name);
    CHECK_EQ_U64(t->n_elements, N_LARGE);
    CHECK_EQ_U64(t->offset % 32, 0);
    CHECK_STATUS(tempera_gguf_read_f32(g, t, values, N_LARGE, NULL), TEMPERA_OK);
    size_t n_bad = 0;
    for (size_t i = 0; i < N_LARGE; i++)
        n_bad += !(fabs((double)values[i] - (double)large[i]) <=
                   relative * fabs((double)large[i]));
    CHECK_EQ_SIZE(n_bad, 0);
}

static void what_is_written_is_read(void)
{
    struct tempera_gguf_writer *w = NULL;
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    write_everything(w);
    CHECK_STATUS(tempera_gguf_save(w, path, &error), TEMPERA_OK);
    CHECK_EQ_STR(error.message, "");
    tempera_gguf_writer_close(&w);
    CHECK(w == NULL);
    tempera_gguf_writer_close(&w);

    struct tempera_gguf *g = NULL;
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    const char *bytes;
    size_t n;
    uint32_t u32;
    uint64_t u64;
    float f32;
    bool flag;
    const int32_t *i32s;
    CHECK_STATUS(tempera_gguf_get_string(g, "string", &bytes, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 3);
    CHECK_MEM(bytes, "a\0b", 4);
    CHECK_STATUS(tempera_gguf_get_string(g, "nothing", &bytes, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 0);
    CHECK_STATUS(tempera_gguf_get_u32(g, "u32", &u32), TEMPERA_OK);
    CHECK_EQ_U64(u32, UINT32_MAX);
    CHECK_STATUS(tempera_gguf_get_u64(g, "u64", &u64), TEMPERA_OK);
    CHECK_EQ_U64(u64, UINT64_MAX);
    CHECK_STATUS(tempera_gguf_get_f32(g, "f32", &f32), TEMPERA_OK);
    CHECK(f32 == 0 && signbit(f32));
    CHECK_STATUS(tempera_gguf_get_bool(g, "bool", &flag), TEMPERA_OK);
    CHECK(flag);
    CHECK_STATUS(tempera_gguf_get_strings(g, "strings", &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 2);
    CHECK_STATUS(tempera_gguf_get_strings_at(g, "strings", 0, &bytes, &n), TEMPERA_OK);
    CHECK_EQ_STR(bytes, "one");
    CHECK_STATUS(tempera_gguf_get_i32s(g, "i32s", &i32s, &n), TEMPERA_OK);
    CHECK(n == 3 && i32s[0] == INT32_MIN && i32s[1] == -1 && i32s[2] == INT32_MAX);
    CHECK_STATUS(tempera_gguf_get_i32s(g, "none", &i32s, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 0);
    check_tensor(g, "a", 0);
    check_tensor(g, "b", 0x1p-11);
    check_tensor(g, "c", 0x1p-8);
    tempera_gguf_close(&g);
    unlink(path);
}

static void writer_refuses_what_no_reader_takes(void)
{
    struct tempera_gguf_writer *w = NULL;
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    const enum tempera_status bad = TEMPERA_INVALID_ARGUMENT;
    char long_name[70];
    memset(long_name, 'n', 64);
    long_name[64] = '\0';
    static char long_key[65537];
    memset(long_key, 'k', 65536);
    CHECK_STATUS(tempera_gguf_set_u32(w, "twice", 1), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_bool(w, "twice", true), bad);
    CHECK_STATUS(tempera_gguf_set_u32(w, "", 1), bad);
    CHECK_STATUS(tempera_gguf_set_u32(w, NULL, 1), bad);
    CHECK_STATUS(tempera_gguf_set_u32(w, long_key, 1), bad);
    CHECK_STATUS(tempera_gguf_set_u32(w, "general.alignment", 32), bad);
    CHECK_STATUS(tempera_gguf_set_string(w, "s", NULL, 1), bad);
    CHECK_STATUS(tempera_gguf_set_i32s(w, "i", NULL, 1), bad);
    CHECK_STATUS(tempera_gguf_append_string(w, "s", 1), bad);
    const uint64_t dims[] = {2, 3}, zero[] = {2, 0}, wraps[] = {UINT64_MAX, 2};
    const float data[6] = {0};
    CHECK_STATUS(tempera_gguf_add_tensor(w, long_name, TEMPERA_F32, 2, dims, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "", TEMPERA_F32, 2, dims, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 0, dims, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 5, dims, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 2, zero, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 2, wraps, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 1, wraps, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", (enum tempera_dtype)8, 2, dims, data), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 2, dims, NULL), bad);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 2, dims, data), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_add_tensor(w, "t", TEMPERA_F32, 2, dims, data), bad);
    long_name[63] = '\0';
    CHECK_STATUS(tempera_gguf_add_tensor(w, long_name, TEMPERA_F32, 2, dims, data), TEMPERA_OK);

    CHECK_STATUS(tempera_gguf_set_strings(w, "strings", 1), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_u32(w, "between", 1), bad);
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_save(w, path, &error), bad);
    CHECK(access(path, F_OK) != 0);
    CHECK_STATUS(tempera_gguf_append_string(w, "s", 1), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_append_string(w, "t", 1), bad);
    CHECK_STATUS(tempera_gguf_save(w, path, &error), TEMPERA_OK);
    tempera_gguf_writer_close(&w);

    struct tempera_gguf *g = NULL;
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_gguf_n_keys(g), 2);
    CHECK_EQ_SIZE(tempera_gguf_n_tensors(g), 2);
    tempera_gguf_close(&g);
    unlink(path);
}

// An empty writer makes a file that opens; 3000 keys and tensors are found one by one.
static void none_and_many(void)
{
    struct tempera_gguf_writer *w = NULL;
    struct tempera_gguf *g = NULL;
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_save(w, path, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_gguf_n_keys(g) + tempera_gguf_n_tensors(g), 0);
    tempera_gguf_close(&g);
    enum { MANY = 3000 };
    const uint64_t dims[] = {1};
    size_t n_bad = 0;
    char name[32];
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "name.%" PRIu32, i * 7919 % MANY);
        n_bad += tempera_gguf_set_u32(w, name, i) != TEMPERA_OK;
        n_bad += tempera_gguf_add_tensor(w, name, TEMPERA_F32, 1, dims, &large[i]) != TEMPERA_OK;
    }
    CHECK_STATUS(tempera_gguf_save(w, path, NULL), TEMPERA_OK);
    tempera_gguf_writer_close(&w);
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t value = MANY;
        float real = NAN;
        snprintf(name, sizeof name, "name.%" PRIu32, i * 7919 % MANY);
        n_bad += tempera_gguf_get_u32(g, name, &value) != TEMPERA_OK || value != i;
        const struct tempera_gguf_tensor *t = tempera_gguf_find_tensor(g, name);
        n_bad += t == NULL || tempera_gguf_read_f32(g, t, &real, 1, NULL) != TEMPERA_OK ||
                 real != large[i];
    }
    CHECK_EQ_SIZE(n_bad, 0);
    tempera_gguf_close(&g);
    unlink(path);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a good file has what was put in", good_file_has_what_was_put},
        {"keys are listed in order", keys_are_listed_in_order},
        {"getters refuse what is of another kind", getters_refuse_what_is_of_another_kind},
        {"getters refuse numbers that do not fit", numbers_must_fit},
        {"tensors are found and read", tensors_are_found_and_read},
        {"what is written is read", what_is_written_is_read},
        {"the writer refuses what no reader takes", writer_refuses_what_no_reader_takes},
        {"files may have no keys and tensors, or many", none_and_many},
    };
    return CHECK_RUN(tests, argc, argv);
}
