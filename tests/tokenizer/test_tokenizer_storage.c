// SPDX-License-Identifier: MIT
// Tokenizers in model files: those that are written come back, those that contradict themselves
// are refused with the place.
#include "check.h"

#include <stdio.h>
#include <unistd.h>

#include <tempera/gguf.h>
#include <tempera/tokenizer.h>

static const char path[] = "test_tokenizer_storage.gguf";

// ------------------------------------------------------------------------------------------------
// There and back

static struct tempera_tokenizer *store_and_load(const struct tempera_tokenizer *t)
{
    struct tempera_gguf_writer *w = NULL;
    struct tempera_gguf *g = NULL;
    struct tempera_tokenizer *loaded = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_to_gguf(t, w), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_to_gguf(t, w), TEMPERA_INVALID_ARGUMENT); // twice
    CHECK_STATUS(tempera_gguf_save(w, path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_from_gguf(&loaded, g, &error), TEMPERA_OK);
    CHECK_EQ_STR(error.message, "");
    bool add_bos = true;
    CHECK_STATUS(tempera_gguf_get_bool(g, "tokenizer.ggml.add_bos_token", &add_bos), TEMPERA_OK);
    CHECK(!add_bos);
    tempera_gguf_close(&g); // the tokenizer needs it no more
    tempera_gguf_writer_close(&w);
    unlink(path);
    return loaded;
}

static void check_same(const struct tempera_tokenizer *a, const struct tempera_tokenizer *b)
{
    CHECK_EQ_SIZE(tempera_tokenizer_n_tokens(a), tempera_tokenizer_n_tokens(b));
    CHECK_EQ_INT(tempera_tokenizer_bos(a), tempera_tokenizer_bos(b));
    CHECK_EQ_INT(tempera_tokenizer_eos(a), tempera_tokenizer_eos(b));
    for (int32_t id = 0; id < (int32_t)tempera_tokenizer_n_tokens(a); id++) {
        size_t n = 0, m = 0;
        const uint8_t *x = tempera_tokenizer_token(a, id, &n);
        const uint8_t *y = tempera_tokenizer_token(b, id, &m);
        CHECK(n == m && y != NULL && memcmp(x, y, n) == 0);
        CHECK(tempera_tokenizer_is_special(a, id) == tempera_tokenizer_is_special(b, id));
    }
    for (int round = 0; round < 50; round++) {
        char text[100];
        int32_t ids[2][100];
        size_t n[2] = {0, 1};
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = round % 2 ? (char)check_random_below(256)
                                : (char)('a' + check_random_below(3));
        CHECK_STATUS(tempera_tokenizer_encode(a, text, 100, ids[0], 100, &n[0]), TEMPERA_OK);
        CHECK_STATUS(tempera_tokenizer_encode(b, text, 100, ids[1], 100, &n[1]), TEMPERA_OK);
        CHECK_EQ_SIZE(n[0], n[1]);
        CHECK_MEM(ids[0], ids[1], n[0] * sizeof **ids);
    }
}

static void tokenizers_come_back(void)
{
    char text[5000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 7 == 0 ? ' ' : i % 11 == 0 ? (char)check_random_below(256)
                                                 : (char)('a' + check_random_below(3));
    struct tempera_tokenizer *t = NULL;
    CHECK_STATUS(tempera_tokenizer_bytes(&t), TEMPERA_OK);
    static const size_t sizes[] = {0, 257, 258, 400};
    for (size_t i = 0; i < 4; i++) {
        if (i > 0)
            CHECK_STATUS(tempera_tokenizer_train(&t, text, sizeof text, sizes[i], NULL),
                         TEMPERA_OK);
        struct tempera_tokenizer *loaded = store_and_load(t);
        check_same(t, loaded);
        tempera_tokenizer_close(&t);
        tempera_tokenizer_close(&loaded);
    }
}

// ------------------------------------------------------------------------------------------------
// A tokenizer with two merges whose parts can be set one by one

enum { N_BYTES = 256, N_TOKENS = 260, END = 258, UNUSED = 259 };

struct parts {
    const char *model, *pre; // NULL: no such key
    char tokens[N_TOKENS][24];
    size_t n_tokens;
    const char *merges[3];
    size_t n_merges; // SIZE_MAX: no such key
    int32_t types[N_TOKENS];
    size_t n_types; // 0: no such key
    uint32_t bos, eos; // UINT32_MAX: no such key
};

static void spell(unsigned byte, char *out)
{
    unsigned c = byte;
    if (!((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173)))
        c = byte <= 32 ? 256 + byte : byte <= 160 ? 256 + 33 + (byte - 127) : 256 + 67;
    snprintf(out, 4, c < 128 ? "%c" : "%c%c", c < 128 ? c : (0xC0 | c >> 6), 0x80 | (c & 63));
}

static void fill(struct parts *p)
{
    *p = (struct parts){.model = "gpt2", .pre = "gpt-2", .n_tokens = N_TOKENS,
                        .merges = {"a b", "ab c"}, .n_merges = 2, .n_types = N_TOKENS,
                        .bos = END, .eos = END};
    for (unsigned b = 0; b < N_BYTES; b++)
        spell(b, p->tokens[b]);
    strcpy(p->tokens[256], "ab");
    strcpy(p->tokens[257], "abc");
    strcpy(p->tokens[END], "<|endoftext|>");
    strcpy(p->tokens[UNUSED], "<unused>");
    for (size_t i = 0; i < N_TOKENS; i++)
        p->types[i] = i == END ? 3 : i == UNUSED ? 5 : 1;
}

// Writes the parts that there are.
static void put(struct tempera_gguf_writer *w, const struct parts *p)
{
    if (p->model != NULL)
        tempera_gguf_set_string(w, "tokenizer.ggml.model", p->model, strlen(p->model));
    if (p->pre != NULL)
        tempera_gguf_set_string(w, "tokenizer.ggml.pre", p->pre, strlen(p->pre));
    tempera_gguf_set_strings(w, "tokenizer.ggml.tokens", p->n_tokens);
    for (size_t i = 0; i < p->n_tokens; i++)
        tempera_gguf_append_string(w, p->tokens[i], strlen(p->tokens[i]));
    if (p->n_merges != SIZE_MAX)
        tempera_gguf_set_strings(w, "tokenizer.ggml.merges", p->n_merges);
    for (size_t i = 0; p->n_merges != SIZE_MAX && i < p->n_merges; i++)
        tempera_gguf_append_string(w, p->merges[i], strlen(p->merges[i]));
    if (p->n_types > 0)
        tempera_gguf_set_i32s(w, "tokenizer.ggml.token_type", p->types, p->n_types);
    if (p->bos != UINT32_MAX)
        tempera_gguf_set_u32(w, "tokenizer.ggml.bos_token_id", p->bos);
    if (p->eos != UINT32_MAX)
        tempera_gguf_set_u32(w, "tokenizer.ggml.eos_token_id", p->eos);
}

static enum tempera_status load_written(struct tempera_gguf_writer *w,
                                        struct tempera_tokenizer **t, struct tempera_error *error)
{
    struct tempera_gguf *g = NULL;
    CHECK_STATUS(tempera_gguf_save(w, path, error), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_open(&g, path, error), TEMPERA_OK);
    enum tempera_status status = tempera_tokenizer_from_gguf(t, g, error);
    tempera_gguf_close(&g);
    tempera_gguf_writer_close(&w);
    unlink(path);
    return status;
}

static enum tempera_status load(const struct parts *p, struct tempera_tokenizer **t,
                                struct tempera_error *error)
{
    struct tempera_gguf_writer *w = NULL;
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    put(w, p);
    return load_written(w, t, error);
}

static void refused(const struct parts *p, enum tempera_status expected, const char *message)
{
    struct tempera_tokenizer *t = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(load(p, &t, &error), expected);
    CHECK_STATUS(error.status, expected);
    CHECK(t == NULL);
    char whole[240];
    snprintf(whole, sizeof whole, "'%s': %s", path, message);
    CHECK_EQ_STR(error.message, whole);
}

static void good_parts_are_read(void)
{
    static struct parts p;
    fill(&p);
    struct tempera_tokenizer *t = NULL;
    struct tempera_error error;
    CHECK_STATUS(load(&p, &t, &error), TEMPERA_OK);
    int32_t ids[8];
    size_t n;
    CHECK_STATUS(tempera_tokenizer_encode(t, "abcab c", 7, ids, 8, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 4);
    CHECK(ids[0] == 257 && ids[1] == 256 && ids[2] == ' ' && ids[3] == 'c');
    CHECK(tempera_tokenizer_is_special(t, END) && tempera_tokenizer_is_special(t, UNUSED));
    tempera_tokenizer_close(&t);

    p.n_types = 0; // all are text then, but for the ends of a text
    strcpy(p.tokens[UNUSED], "cb");
    CHECK_STATUS(load(&p, &t, &error), TEMPERA_OK);
    CHECK(tempera_tokenizer_is_special(t, END) && !tempera_tokenizer_is_special(t, UNUSED));
    tempera_tokenizer_close(&t);

    p.bos = p.eos = UINT32_MAX;
    strcpy(p.tokens[END], "bc");
    CHECK_STATUS(load(&p, &t, &error), TEMPERA_OK);
    CHECK_EQ_INT(tempera_tokenizer_bos(t), -1);
    CHECK_EQ_INT(tempera_tokenizer_eos(t), -1);
    tempera_tokenizer_close(&t);
}

static void other_kinds(void)
{
    static struct parts p;
    fill(&p);
    p.model = "llama";
    refused(&p, TEMPERA_UNSUPPORTED,
            "tokenizer.ggml.model is llama; this version reads gpt2");
    p.model = NULL;
    refused(&p, TEMPERA_UNSUPPORTED,
            "tokenizer.ggml.model is missing; this version reads gpt2");
    fill(&p);
    p.pre = "llama-bpe";
    refused(&p, TEMPERA_UNSUPPORTED,
            "tokenizer.ggml.pre is llama-bpe; this version reads gpt-2");
    p.pre = NULL;
    refused(&p, TEMPERA_UNSUPPORTED, "tokenizer.ggml.pre is missing; this version reads gpt-2");
    fill(&p);
    p.types[7] = 4;
    refused(&p, TEMPERA_UNSUPPORTED,
            "token 7 is user-defined or a byte (type 4), which this version does not read");
}

static void tokens_that_contradict(void)
{
    static struct parts p;
    fill(&p);
    strcpy(p.tokens[UNUSED], "ab");
    refused(&p, TEMPERA_BAD_TOKENIZER, "tokens 256 and 259 are the same, \"ab\"");
    fill(&p);
    strcpy(p.tokens[257], "<|endoftext|>");
    refused(&p, TEMPERA_BAD_TOKENIZER, "tokens 257 and 258 are the same, \"<|endoftext|>\"");
    fill(&p);
    strcpy(p.tokens[UNUSED], "");
    refused(&p, TEMPERA_BAD_TOKENIZER, "token 259 is empty");
    fill(&p);
    strcpy(p.tokens['x'], "xx");
    refused(&p, TEMPERA_BAD_TOKENIZER, "no token stands for byte 0x78");
    fill(&p);
    p.types[0xFF] = 3;
    refused(&p, TEMPERA_BAD_TOKENIZER, "no token stands for byte 0xFF");
    fill(&p);
    p.n_tokens = 0;
    p.n_types = 0;
    refused(&p, TEMPERA_BAD_TOKENIZER,
            "tokenizer.ggml.bos_token_id is 258, but there are 0 tokens");
    fill(&p);
    strcpy(p.tokens[256], "a b"); // a blank is not in GPT-2's alphabet
    refused(&p, TEMPERA_BAD_TOKENIZER, "token 256, \"a b\", is not spelled in GPT-2's alphabet");
    fill(&p);
    strcpy(p.tokens[256], "\xC3");
    refused(&p, TEMPERA_BAD_TOKENIZER, "token 256, \"\\xc3\", is not spelled in GPT-2's alphabet");
    fill(&p);
    strcpy(p.tokens[256], "\xE2\x96\x81"); // as other tokenizers spell a blank
    refused(&p, TEMPERA_BAD_TOKENIZER,
            "token 256, \"\xE2\x96\x81\", is not spelled in GPT-2's alphabet");
}

static void types_that_contradict(void)
{
    static struct parts p;
    fill(&p);
    p.n_types = N_TOKENS - 1;
    refused(&p, TEMPERA_BAD_TOKENIZER,
            "tokenizer.ggml.token_type has 259 elements, but there are 260 tokens");
    static const int32_t none[] = {0, 7, -1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        char message[100];
        fill(&p);
        p.types[9] = none[i];
        snprintf(message, sizeof message, "token 9 is of type %" PRId32 "; 1 to 6 are allowed",
                 none[i]);
        refused(&p, TEMPERA_BAD_TOKENIZER, message);
    }
}

static void ids_that_contradict(void)
{
    static struct parts p;
    static const uint32_t beyond[] = {260, 0x7FFFFFFF, 0x80000000, UINT32_MAX - 1};
    for (size_t i = 0; i < 4; i++) {
        char message[100];
        fill(&p);
        p.bos = beyond[i];
        snprintf(message, sizeof message,
                 "tokenizer.ggml.bos_token_id is %" PRIu32 ", but there are 260 tokens", p.bos);
        refused(&p, TEMPERA_BAD_TOKENIZER, message);
        fill(&p);
        p.eos = beyond[i];
        message[15] = 'e';
        refused(&p, TEMPERA_BAD_TOKENIZER, message);
    }
    // A byte's token as the end of a text can't be text as well.
    fill(&p);
    p.eos = 'e';
    refused(&p, TEMPERA_BAD_TOKENIZER, "no token stands for byte 0x65");
}

static void merges_that_contradict(void)
{
    static const struct {
        const char *merge, *message;
    } bad[] = {
        {"", "merge 1, \"\", is not two tokens and a blank"},
        {" ", "merge 1, \" \", is not two tokens and a blank"},
        {"ab", "merge 1, \"ab\", is not two tokens and a blank"},
        {"ab ", "merge 1, \"ab \", is not two tokens and a blank"},
        {" c", "merge 1, \" c\", is not two tokens and a blank"},
        {"zz c", "merge 1, \"zz c\": its left part is not a token of text"},
        {"ab zz", "merge 1, \"ab zz\": its right part is not a token of text"},
        {"ab b c", "merge 1, \"ab b c\": its right part is not a token of text"},
        {"b a", "merge 1, \"b a\": what it becomes is not a token of text"},
        {"<|endoftext|> c", "merge 1, \"<|endoftext|> c\": its left part is not a token of text"},
        {"a b", "merge 1 is there twice"},
    };
    static struct parts p;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        fill(&p);
        p.merges[1] = bad[i].merge;
        refused(&p, TEMPERA_BAD_TOKENIZER, bad[i].message);
    }
    fill(&p);
    p.n_merges = SIZE_MAX;
    refused(&p, TEMPERA_BAD_TOKENIZER, "tokenizer.ggml.merges is missing");
}

// Keys of other types than they should be.
static void types_of_keys(void)
{
    static const char *const keys[] = {
        "tokenizer.ggml.model",        "tokenizer.ggml.pre",          "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",       "tokenizer.ggml.token_type",
        "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
    };
    static const char *const messages[] = {
        "tokenizer.ggml.model is true, not a string",
        "tokenizer.ggml.pre is true, not a string",
        "tokenizer.ggml.tokens is true, not an array of strings",
        "tokenizer.ggml.merges is true, not an array of strings",
        "tokenizer.ggml.token_type is true, not an array of numbers",
        "tokenizer.ggml.bos_token_id is true, not a token's id",
        "tokenizer.ggml.eos_token_id is true, not a token's id",
    };
    for (size_t i = 0; i < 7; i++) {
        static struct parts p;
        struct tempera_gguf_writer *w = NULL;
        struct tempera_tokenizer *t = NULL;
        struct tempera_error error;
        char whole[240];
        fill(&p);
        CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_set_bool(w, keys[i], true), TEMPERA_OK);
        put(w, &p); // the key that is there already is not set again
        CHECK_STATUS(load_written(w, &t, &error), TEMPERA_BAD_TOKENIZER);
        snprintf(whole, sizeof whole, "'%s': %s", path, messages[i]);
        CHECK_EQ_STR(error.message, whole);
        CHECK(t == NULL);
    }
}

// add_bos_token is kept, comes back when it is written again, and needs a bos.
static void adding_bos(void)
{
    static struct parts p;
    struct tempera_error error;
    for (int has_bos = 0; has_bos < 2; has_bos++) {
        struct tempera_gguf_writer *w = NULL;
        struct tempera_tokenizer *t = NULL;
        fill(&p);
        p.bos = has_bos ? END : UINT32_MAX;
        CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true), TEMPERA_OK);
        put(w, &p);
        CHECK_STATUS(load_written(w, &t, &error), has_bos ? TEMPERA_OK : TEMPERA_BAD_TOKENIZER);
        if (!has_bos) {
            CHECK(strstr(error.message, "add_bos_token") != NULL);
            continue;
        }
        CHECK(tempera_tokenizer_adds_bos(t));
        CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
        CHECK_STATUS(tempera_tokenizer_to_gguf(t, w), TEMPERA_OK);
        tempera_tokenizer_close(&t);
        CHECK_STATUS(load_written(w, &t, &error), TEMPERA_OK);
        CHECK(tempera_tokenizer_adds_bos(t));
        tempera_tokenizer_close(&t);
    }
}

// Values that fit, in other types than ours.
static void other_types(void)
{
    static struct parts p;
    struct tempera_error error;
    static const float ids[] = {END, -1, 0.5f, 1e9f};
    for (size_t i = 0; i < 4; i++) {
        struct tempera_gguf_writer *w = NULL;
        struct tempera_tokenizer *t = NULL;
        fill(&p);
        CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_set_f32(w, "tokenizer.ggml.bos_token_id", ids[i]), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_set_u64(w, "tokenizer.ggml.eos_token_id", END), TEMPERA_OK);
        CHECK_STATUS(tempera_gguf_set_u32(w, "tokenizer.ggml.add_bos_token", 1), TEMPERA_OK);
        put(w, &p);
        CHECK_STATUS(load_written(w, &t, &error), i == 0 ? TEMPERA_OK : TEMPERA_BAD_TOKENIZER);
        if (i > 0) {
            CHECK(strstr(error.message, "tokenizer.ggml.bos_token_id is ") != NULL);
            continue;
        }
        CHECK_EQ_INT(tempera_tokenizer_bos(t), END);
        CHECK_EQ_INT(tempera_tokenizer_eos(t), END);
        CHECK(tempera_tokenizer_adds_bos(t));
        tempera_tokenizer_close(&t);
    }
    struct tempera_gguf_writer *w = NULL;
    struct tempera_tokenizer *t = NULL;
    fill(&p);
    CHECK_STATUS(tempera_gguf_writer_open(&w), TEMPERA_OK);
    CHECK_STATUS(tempera_gguf_set_u32(w, "tokenizer.ggml.add_bos_token", 2), TEMPERA_OK);
    put(w, &p);
    CHECK_STATUS(load_written(w, &t, &error), TEMPERA_BAD_TOKENIZER);
    CHECK(strstr(error.message, "add_bos_token is 2, not true or false") != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"tokenizers come back", tokenizers_come_back},
        {"good parts are read", good_parts_are_read},
        {"other kinds of tokenizer are refused", other_kinds},
        {"the beginning token is added as the file says", adding_bos},
        {"numbers of other types are read", other_types},
        {"contradictory tokens are refused", tokens_that_contradict},
        {"contradictory token types are refused", types_that_contradict},
        {"contradictory ids are refused", ids_that_contradict},
        {"contradictory merges are refused", merges_that_contradict},
        {"keys of the wrong type are refused", types_of_keys},
    };
    return CHECK_RUN(tests, argc, argv);
}
