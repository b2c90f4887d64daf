// SPDX-License-Identifier: MIT
// GGUF files that are damaged or made to do harm: each gives an error that says where, or opens to
// something that can be read to its end. Best run under the address sanitizer.
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tempera/gguf.h>

#include "../../fuzz/walk_gguf.h"
#include "files.h"
#include "gguf_bytes.h"

// Opens the bytes and asks for all there is. They are in memory that ends where they end, so that
// the sanitizer sees a step beyond.
static enum tempera_status walk(const uint8_t *data, size_t n, struct tempera_error *error)
{
    uint8_t *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, data, n);
    struct tempera_gguf *g = NULL;
    enum tempera_status status = tempera_gguf_open_memory(&g, exact, n, error);
    uint64_t sum = 0;
    if (g != NULL && !walk_gguf(g, &sum))
        CHECK(walk_gguf(g, &sum));
    tempera_gguf_close(&g);
    free(exact);
    return status;
}

// An error must be one of these three and have a message.
static bool is_clear(enum tempera_status status, const struct tempera_error *error)
{
    return (status == TEMPERA_BAD_FORMAT || status == TEMPERA_TRUNCATED_FILE) &&
           error->status == status && strncmp(error->message, "'memory', byte ", 15) == 0 &&
           memchr(error->message, '\0', sizeof error->message) != NULL;
}

static void refused(const struct bytes *b, enum tempera_status expected, const char *message)
{
    struct tempera_error error = {0};
    enum tempera_status status = walk(b->data, b->n, &error);
    CHECK_STATUS(status, expected);
    CHECK(is_clear(status, &error));
    check_that(strstr(error.message, message) != NULL, __FILE__, __LINE__,
               "\"%s\" is not in \"%s\"", message, error.message);
}

static void cut_at_every_byte(void)
{
    static struct bytes b;
    size_t header = put_good_file(&b);
    for (size_t n = 0; n < b.n; n++) {
        struct tempera_error error = {0};
        enum tempera_status status = walk(b.data, n, &error);
        CHECK_STATUS(status, TEMPERA_TRUNCATED_FILE);
        CHECK(is_clear(status, &error));
        if (n < header)
            CHECK(error.offset <= n);
    }
    CHECK_STATUS(walk(b.data, b.n, NULL), TEMPERA_OK);
}

// Every byte of the header and of the data, each in turn other than it should be.
static void every_byte_changed(void)
{
    static struct bytes b;
    size_t header = put_good_file(&b), n_opened = 0, n_refused = 0;
    for (size_t at = 0; at < header + 64; at++)
        for (size_t i = 0; i < 16; i++) {
            static const uint8_t others[] = {0x00, 0xFF, 0x80, 0x7F, 0x20};
            uint8_t was = b.data[at];
            unsigned changed = i < 5    ? others[i]
                               : i < 13 ? was ^ 1u << (i - 5)           // one bit
                                        : was + (unsigned)i - 14;       // -1, 0, 1
            b.data[at] = (uint8_t)changed;
            struct tempera_error error = {0};
            enum tempera_status status = walk(b.data, b.n, &error);
            b.data[at] = was;
            n_opened += status == TEMPERA_OK;
            n_refused += status != TEMPERA_OK;
            if (status != TEMPERA_OK && !is_clear(status, &error))
                CHECK(is_clear(status, &error));
        }
    CHECK(n_opened > 1000);
    CHECK(n_refused > 1000);
}

// Two numbers of the header at once, from those that break arithmetic.
static void random_damage(void)
{
    static struct bytes b, damaged;
    size_t header = put_good_file(&b);
    static const uint64_t numbers[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 32,
                                       1ull << 60, 1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX};
    for (int round = 0; round < 20000; round++) {
        damaged = b;
        for (int i = 0; i < 2; i++) {
            damaged.n = check_random_below(header - 8);
            put_u64(&damaged, numbers[check_random_below(11)] + check_random_below(3));
        }
        struct tempera_error error = {0};
        enum tempera_status status = walk(damaged.data, b.n, &error);
        if (status != TEMPERA_OK && !is_clear(status, &error))
            CHECK(is_clear(status, &error));
    }
    CHECK_STATUS(walk(b.data, b.n, NULL), TEMPERA_OK);
}

static void no_gguf_at_all(void)
{
    static struct bytes b;
    b.n = 0;
    refused(&b, TEMPERA_TRUNCATED_FILE, "empty");
    put_text(&b, "#!/bin/sh and then some more text");
    refused(&b, TEMPERA_BAD_FORMAT, "not a model file");
    b.n = 2;
    refused(&b, TEMPERA_BAD_FORMAT, "not a model file");
    b.n = 0;
    put_u32(&b, 0x46554747);
    refused(&b, TEMPERA_TRUNCATED_FILE, "header");
    put_header(&b, 1, 0, 0);
    refused(&b, TEMPERA_BAD_FORMAT, "version 1");
    put_header(&b, 0, 0, 0);
    refused(&b, TEMPERA_BAD_FORMAT, "version 0");
    put_header(&b, 4, 0, 0);
    refused(&b, TEMPERA_BAD_FORMAT, "version 4");
    put_header(&b, 0x03000000, 0, 0);
    refused(&b, TEMPERA_BAD_FORMAT, "big-endian");
}

static void counts_that_no_file_holds(void)
{
    static const uint64_t counts[] = {2, 1000, 1ull << 32, 1ull << 60, 1ull << 61, 1ull << 62,
                                      1ull << 63, UINT64_MAX};
    static struct bytes b;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        put_header(&b, 3, counts[i], 0);
        put_u64(&b, 0);
        refused(&b, TEMPERA_TRUNCATED_FILE, "tensors can't be in");
        put_header(&b, 3, 0, counts[i]);
        put_u64(&b, 0);
        refused(&b, TEMPERA_TRUNCATED_FILE, "keys can't be in");
        // Lengths of strings: of a key, of a value, of an element.
        put_header(&b, 3, 0, 1);
        put_u64(&b, counts[i]);
        put_number(&b, 0x6B6B6B6B6B6B, 6);
        refused(&b, i == 1 ? TEMPERA_TRUNCATED_FILE : TEMPERA_BAD_FORMAT, "key ");
        put_header(&b, 3, 0, 1);
        put_key(&b, "key", TEMPERA_GGUF_STRING);
        put_u64(&b, counts[i]);
        refused(&b, TEMPERA_TRUNCATED_FILE, "key key: a string takes");
        put_header(&b, 3, 0, 1);
        put_array(&b, "key", TEMPERA_GGUF_STRING, 1);
        put_u64(&b, counts[i]);
        refused(&b, TEMPERA_TRUNCATED_FILE, "key key: a string takes");
        // Lengths of arrays of all types.
        for (uint32_t type = 0; type < 13; type++) {
            put_header(&b, 3, 0, 1);
            put_array(&b, "key", type, counts[i]);
            put_number(&b, 0, 1);
            if (type != TEMPERA_GGUF_ARRAY)
                refused(&b, TEMPERA_TRUNCATED_FILE, "key key: ");
        }
    }
}

static void keys_that_cannot_be(void)
{
    static struct bytes b;
    put_header(&b, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_key(&b, "twice", TEMPERA_GGUF_U8);
        put_number(&b, 1, 1);
    }
    refused(&b, TEMPERA_BAD_FORMAT, "key twice: is there twice");
    put_header(&b, 3, 0, 1);
    put_key(&b, "", TEMPERA_GGUF_U64);
    put_u64(&b, 1);
    refused(&b, TEMPERA_BAD_FORMAT, "a name of 0 bytes");
    put_header(&b, 3, 0, 1);
    put_key(&b, "a.b", TEMPERA_GGUF_U64);
    b.data[24 + 8 + 1] = '\0';
    put_u64(&b, 1);
    refused(&b, TEMPERA_BAD_FORMAT, "NUL");
    static const uint32_t no_types[] = {13, 14, 255, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        put_header(&b, 3, 0, 1);
        put_key(&b, "key", no_types[i]);
        put_u64(&b, 1);
        refused(&b, TEMPERA_BAD_FORMAT, "key key: a value of type");
        put_header(&b, 3, 0, 1); // an element of no type takes no bytes: any count would do
        put_array(&b, "key", no_types[i], UINT64_MAX);
        refused(&b, TEMPERA_BAD_FORMAT, "key key: a value of type");
    }
    put_header(&b, 3, 0, 1); // arrays in arrays in arrays
    put_key(&b, "key", TEMPERA_GGUF_ARRAY);
    while (b.n < sizeof b.data) {
        put_u32(&b, TEMPERA_GGUF_ARRAY);
        put_u64(&b, 1);
    }
    refused(&b, TEMPERA_BAD_FORMAT, "array of arrays");
    for (int is_array = 0; is_array < 2; is_array++) {
        put_header(&b, 3, 0, 1);
        if (is_array)
            put_array(&b, "key", TEMPERA_GGUF_BOOL, 1);
        else
            put_key(&b, "key", TEMPERA_GGUF_BOOL);
        put_number(&b, 2, 1);
        refused(&b, TEMPERA_BAD_FORMAT, "a bool of 2");
    }
}

static void alignments_that_cannot_be(void)
{
    static struct bytes b;
    static const uint32_t alignments[] = {0, 3, 31, 33, 1u << 21, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(alignments); i++) {
        put_header(&b, 3, 0, 1);
        put_key(&b, "general.alignment", TEMPERA_GGUF_U32);
        put_u32(&b, alignments[i]);
        refused(&b, TEMPERA_BAD_FORMAT, "key general.alignment: is");
    }
    static const uint32_t types[] = {TEMPERA_GGUF_I32, TEMPERA_GGUF_U64, TEMPERA_GGUF_F32};
    for (size_t i = 0; i < 3; i++) {
        put_header(&b, 3, 0, 1);
        put_key(&b, "general.alignment", types[i]);
        put_u64(&b, 32);
        refused(&b, TEMPERA_BAD_FORMAT, "must be a u32");
    }
    put_header(&b, 3, 0, 1);
    put_key(&b, "general.alignment", TEMPERA_GGUF_STRING);
    put_text(&b, "32");
    refused(&b, TEMPERA_BAD_FORMAT, "must be a u32");
    put_header(&b, 3, 0, 1);
    put_array(&b, "general.alignment", TEMPERA_GGUF_U32, 1);
    put_u32(&b, 32);
    refused(&b, TEMPERA_BAD_FORMAT, "must be a u32");
}

// A file with one tensor that has these dimensions and 64 bytes of data.
static void put_one_tensor(struct bytes *b, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                           uint64_t offset)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", n_dims, dims, type, offset);
    put_padding(b, 32);
    for (int i = 0; i < 8; i++)
        put_u64(b, 0);
}

static void shapes_that_cannot_be(void)
{
    static struct bytes b;
    static const uint64_t four[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t n_dims[] = {5, 8, 0x7FFFFFFF, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) {
        put_header(&b, 3, 1, 0);
        put_tensor(&b, "t", n_dims[i] < 8 ? n_dims[i] : 8, four, TEMPERA_F32, 0);
        size_t end = b.n;
        b.n = 24 + 8 + 1;
        put_u32(&b, n_dims[i]);
        b.n = end;
        refused(&b, TEMPERA_BAD_FORMAT, "tensor t: ");
    }
    static const uint64_t dims[][4] = {
        {0, 1, 1, 1},           {4, 0, 1, 1},           {1ull << 32, 1ull << 32, 1, 1},
        {1ull << 63, 2, 1, 1},  {UINT64_MAX, UINT64_MAX, 1, 1}, {1ull << 62, 1, 1, 1},
        {UINT64_MAX, 1, 1, 1},  {1ull << 63, 1, 1, 1},
    };
    for (size_t i = 0; i < 8; i++) {
        put_one_tensor(&b, 4, dims[i], TEMPERA_F32, 0);
        refused(&b, TEMPERA_BAD_FORMAT, "tensor t: ");
    }
    // Products that do fit 64 bits, but no file: exabytes by name, 64 bytes in truth.
    static const uint64_t large[][4] = {
        {(1ull << 42) + 1, 1, 1, 1}, {17, 1, 1, 1}, {1ull << 30, 1ull << 30, 1, 1},
        {1ull << 61, 1, 1, 1},
    };
    for (size_t i = 0; i < 4; i++) {
        put_one_tensor(&b, 4, large[i], TEMPERA_F32, 0);
        refused(&b, TEMPERA_TRUNCATED_FILE, "tensor t: ");
    }
    static const uint64_t fits[] = {16};
    put_one_tensor(&b, 1, fits, TEMPERA_F32, 0);
    CHECK_STATUS(walk(b.data, b.n, NULL), TEMPERA_OK);
    put_one_tensor(&b, 1, fits, TEMPERA_F32, 32);
    refused(&b, TEMPERA_TRUNCATED_FILE, "end beyond the file's");
}

static void offsets_that_cannot_be(void)
{
    static struct bytes b;
    static const uint64_t dims[] = {8};
    static const uint64_t unaligned[] = {1, 31, 33, UINT64_MAX, (1ull << 63) + 1};
    for (size_t i = 0; i < 5; i++) {
        put_one_tensor(&b, 1, dims, TEMPERA_F32, unaligned[i]);
        refused(&b, TEMPERA_BAD_FORMAT, "not a multiple of 32");
    }
    static const uint64_t beyond[] = {64, 1ull << 32, 1ull << 62, 1ull << 63, UINT64_MAX - 31};
    for (size_t i = 0; i < 5; i++)
        for (uint32_t type = 0; type < 2; type++) { // also one whose size isn't known
            put_one_tensor(&b, 1, dims, type == 0 ? TEMPERA_F32 : 12, beyond[i]);
            enum tempera_status expected = i < 4 ? TEMPERA_TRUNCATED_FILE : TEMPERA_BAD_FORMAT;
            if (!(type == 1 && i == 0)) // no bytes at the very end is right
                refused(&b, expected, "tensor t: ");
        }
    // Two tensors in the same bytes, and in the wrong order.
    for (uint64_t second = 0; second <= 64; second += 32) {
        put_header(&b, 3, 2, 0);
        put_tensor(&b, "t", 1, dims, TEMPERA_F32, second == 64 ? 32 : 0);
        put_tensor(&b, "u", 1, dims, TEMPERA_F32, second == 64 ? 0 : second);
        put_padding(&b, 32);
        for (int i = 0; i < 8; i++)
            put_u64(&b, 0);
        if (second == 32)
            CHECK_STATUS(walk(b.data, b.n, NULL), TEMPERA_OK);
        else
            refused(&b, TEMPERA_BAD_FORMAT, "tensor u: begins at");
    }
}

static void names_that_cannot_be(void)
{
    static struct bytes b;
    static const uint64_t dims[] = {1};
    char name[70];
    memset(name, 'n', sizeof name);
    for (size_t n = 63; n <= 65; n++) {
        name[n] = '\0';
        put_header(&b, 3, 1, 0);
        put_tensor(&b, name, 1, dims, TEMPERA_F32, 0);
        put_padding(&b, 32);
        put_u32(&b, 0);
        if (n == 63)
            CHECK_STATUS(walk(b.data, b.n, NULL), TEMPERA_OK);
        else
            refused(&b, TEMPERA_BAD_FORMAT, "1 to 63");
        name[n] = 'n';
    }
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "t", 1, dims, TEMPERA_F32, 0);
    put_tensor(&b, "t", 1, dims, TEMPERA_F32, 32);
    put_padding(&b, 32);
    for (int i = 0; i < 8; i++)
        put_u64(&b, 0);
    refused(&b, TEMPERA_BAD_FORMAT, "tensor t: is there twice");
}

// ------------------------------------------------------------------------------------------------
// Files

static void files_that_are_none(void)
{
    struct tempera_gguf *g = NULL;
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_open(&g, "no/such/file.gguf", &error), TEMPERA_FILE_NOT_FOUND);
    CHECK_EQ_STR(error.message, "can't open 'no/such/file.gguf': No such file or directory");
    CHECK_STATUS(error.status, TEMPERA_FILE_NOT_FOUND);
    CHECK_STATUS(tempera_gguf_open(&g, ".", &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "folder") != NULL);
    CHECK_STATUS(tempera_gguf_open(&g, "/dev/null", &error), TEMPERA_IO_ERROR);
    unlink("test_gguf_hostile.pipe");
    CHECK_EQ_INT(mkfifo("test_gguf_hostile.pipe", 0600), 0);
    CHECK_STATUS(tempera_gguf_open(&g, "test_gguf_hostile.pipe", &error), TEMPERA_IO_ERROR);
    unlink("test_gguf_hostile.pipe");
    CHECK(g == NULL);
    char long_path[300];
    memset(long_path, 'p', 299);
    long_path[299] = '\0';
    CHECK(tempera_gguf_open(&g, long_path, &error) != TEMPERA_OK);
    CHECK(memchr(error.message, '\0', sizeof error.message) != NULL);
}

// Somebody cuts the file while it is open.
static void file_shrinks(void)
{
    static const char path[] = "test_gguf_hostile.gguf";
    static struct bytes b;
    put_good_file(&b);
    write_file(path, b.data, b.n);
    struct tempera_gguf *g = NULL;
    struct tempera_error error;
    float values[6];
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_OK);
    const struct tempera_gguf_tensor *t = tempera_gguf_find_tensor(g, "bf16");
    CHECK_STATUS(tempera_gguf_read_f32(g, t, values, 6, &error), TEMPERA_OK);
    CHECK_EQ_INT(truncate(path, (off_t)t->offset + 1), 0);
    CHECK_STATUS(tempera_gguf_read_f32(g, t, values, 6, &error), TEMPERA_TRUNCATED_FILE);
    CHECK(strstr(error.message, "became shorter") != NULL);
    CHECK_EQ_U64(error.offset, t->offset + 1);
    tempera_gguf_close(&g);
    unlink(path);
}

// The file promises gigabytes and has them, as holes: no table may grow with the promise alone.
static void sparse_file(void)
{
    static const char path[] = "test_gguf_hostile.gguf";
    static struct bytes b;
    put_header(&b, 3, 0, 1);
    put_array(&b, "key", TEMPERA_GGUF_U8, 1ull << 40);
    write_file(path, b.data, b.n);
    if (truncate(path, (off_t)1 << 41) != 0) { // this file system has no such large files
        CHECK(errno == EFBIG || errno == EINVAL || errno == ENOSPC);
        unlink(path);
        return;
    }
    struct tempera_gguf *g = NULL;
    struct tempera_error error;
    CHECK_STATUS(tempera_gguf_open(&g, path, &error), TEMPERA_BAD_FORMAT);
    CHECK(strstr(error.message, "256 MiB") != NULL);
    CHECK(g == NULL);
    unlink(path);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a file cut at any byte is refused", cut_at_every_byte},
        {"a file with any byte changed opens or is refused", every_byte_changed},
        {"random damage does no harm", random_damage},
        {"what is not GGUF is refused", no_gguf_at_all},
        {"counts that no file holds are refused", counts_that_no_file_holds},
        {"impossible keys are refused", keys_that_cannot_be},
        {"impossible alignments are refused", alignments_that_cannot_be},
        {"impossible shapes are refused", shapes_that_cannot_be},
        {"impossible offsets are refused", offsets_that_cannot_be},
        {"impossible names are refused", names_that_cannot_be},
        {"folders, pipes and missing files are refused", files_that_are_none},
        {"a file may shrink while it is open", file_shrinks},
        {"a sparse file of terabytes is refused", sparse_file},
    };
    return CHECK_RUN(tests, argc, argv);
}
