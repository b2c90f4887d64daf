// SPDX-License-Identifier: MIT
// What public functions do with their arguments first: reading a struct that may grow, and finding
// memory that overlaps.
#include "check.h"

#include "base/arguments.h"
#include "base/size.h"

// ------------------------------------------------------------------------------------------------
// Structs

struct options {
    size_t struct_size;
    int32_t first, second, third;
};

// Bytes after the caller's struct are never read, fields it doesn't know keep their defaults.
static void structs_of_any_size(void)
{
    const size_t least = offsetof(struct options, second);
    const struct options defaults = {sizeof defaults, 1, 2, 3};
    const struct options given = {0, 10, 20, 30};
    for (size_t size = 0; size <= sizeof given + 8; size += 4) {
        struct options to = defaults;
        char *memory = malloc(size < sizeof(size_t) ? sizeof(size_t) : size); // exactly, for ASan
        size_t known = tempera_min(size, sizeof given);
        memset(memory, 0x77, size);
        memcpy(memory, &given, known);
        memcpy(memory, &size, sizeof size);
        enum tempera_status status = tempera_struct_read(memory, least, &to, sizeof to);
        free(memory);
        if (size < least) {
            CHECK_STATUS(status, TEMPERA_INVALID_ARGUMENT);
            CHECK_MEM(&to, &defaults, sizeof to);
            continue;
        }
        CHECK_STATUS(status, TEMPERA_OK);
        CHECK_EQ_INT(to.first, 10);
        CHECK_EQ_INT(to.second, size >= offsetof(struct options, second) + 4 ? 20 : 2);
        CHECK_EQ_INT(to.third, size >= offsetof(struct options, third) + 4 ? 30 : 3);
    }
    struct options to = defaults;
    CHECK_STATUS(tempera_struct_read(NULL, least, &to, sizeof to), TEMPERA_INVALID_ARGUMENT);
}

// ------------------------------------------------------------------------------------------------
// Spans

// All pairs of intervals within ten bytes, against a count of the bytes that both have.
static void pairs_overlap_where_they_share_a_byte(void)
{
    enum { N = 10 };
    static const char bytes[N + 1];
    for (size_t a = 0; a <= N; a++)
        for (size_t a_end = a; a_end <= N; a_end++)
            for (size_t b = 0; b <= N; b++)
                for (size_t b_end = b; b_end <= N; b_end++) {
                    size_t first = a > b ? a : b, end = tempera_min(a_end, b_end);
                    bool is_shared = first < end;
                    struct tempera_span pair[2] = {
                        tempera_span_of(bytes + a, a_end - a, 1, true),
                        tempera_span_of(bytes + b, b_end - b, 1, false),
                    };
                    CHECK(tempera_spans_are_apart(pair, 2, NULL, 0) == !is_shared);
                    CHECK(tempera_spans_are_apart(pair, 1, pair + 1, 1) == !is_shared);
                    CHECK(tempera_spans_are_apart(pair + 1, 1, pair, 1) == !is_shared);
                    pair[0].is_written = false; // inputs may be the same memory
                    CHECK(tempera_spans_are_apart(pair, 2, NULL, 0));
                }
}

static void what_is_not_there_overlaps_nothing(void)
{
    char byte = 0;
    const struct tempera_span spans[] = {
        tempera_span_of(&byte, 1, 1, true),
        tempera_span_of(NULL, 100, 8, true),
        tempera_span_of(&byte, 0, 8, true),
    };
    CHECK(tempera_spans_are_apart(spans, 3, NULL, 0));
    CHECK(tempera_spans_are_apart(spans, 1, spans + 1, 2));
    CHECK(tempera_spans_are_apart(NULL, 0, spans, 3));
}

// Sizes that overflow, and ends beyond the address space, are never taken for small ones.
static void what_is_too_large_overlaps_everything(void)
{
    char bytes[2] = {0};
    static const size_t counts[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 8 + 1};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const struct tempera_span spans[] = {
            tempera_span_of(&bytes[0], 1, 1, false),
            tempera_span_of(&bytes[1], counts[i], 8, true),
        };
        CHECK(!tempera_spans_are_apart(spans, 2, NULL, 0));
        CHECK(!tempera_spans_are_apart(spans, 1, spans + 1, 1));
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"structs of any size are read as far as both know them", structs_of_any_size},
        {"two spans overlap where they share a byte that is written",
         pairs_overlap_where_they_share_a_byte},
        {"what is not there overlaps nothing", what_is_not_there_overlaps_nothing},
        {"what is too large overlaps everything", what_is_too_large_overlaps_everything},
    };
    return CHECK_RUN(tests, argc, argv);
}
