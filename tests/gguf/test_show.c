// SPDX-License-Identifier: MIT
// Text from files and paths in messages: a terminal obeys none of it, and none of it is long.
#include "check.h"

#include <stdio.h>

#include <tempera/gguf.h>

#include "base/error.h"
#include "base/show.h"
#include "gguf_bytes.h"

static void check_shown(const char *text, size_t nbytes, const char *expected)
{
    char shown[TEMPERA_SHOWN_TEXT_NBYTES], again[TEMPERA_SHOWN_TEXT_NBYTES];
    tempera_show_text(shown, sizeof shown, text, nbytes);
    CHECK_EQ_STR(shown, expected);
    tempera_show_text(again, sizeof again, shown, strlen(shown));
    CHECK_EQ_STR(again, expected);
}

static void what_is_escaped(void)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"plain, 'quoted' \"text\" \\ 100%s ~", "plain, 'quoted' \"text\" \\ 100%s ~"},
        {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
        {"a\nb\tc\rd\x7f", "a\\x0ab\\x09c\\x0dd\\x7f"},
        {"\x01\x1f", "\\x01\\x1f"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"},                                         // CSI in one character
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0"}, // C1, and what follows it
        {"\xe2\x80\xae"
         "fdp",
         "\\u202efdp"}, // right to left
        {"\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\x8e\xd8\x9c", "\\u2066\\u2069\\u200e\\u061c"},
        {"\xe2\x80\xa8\xe2\x80\x8b\xef\xbb\xbf", "\\u2028\\u200b\\ufeff"},
        {"\xf3\xa0\x80\xa1", "\\Ue0021"}, // a tag
        {"\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x99\x82", "\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x99\x82"},
        {"\xff\xc3(\x9b\xe2\x82", "\\xff\\xc3(\\x9b\\xe2\\x82"}, // no UTF-8
        {"\xc0\x80\xed\xa0\x80", "\\xc0\\x80\\xed\\xa0\\x80"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_shown(cases[i].text, strlen(cases[i].text), cases[i].shown);
    check_shown("a\0b", 3, "a\\x00b");
}

// Whatever the bytes: the text ends within its buffer, and holds whole characters that a terminal
// shows.
static void every_length(void)
{
    static const char *const pieces[] = {
        "a",    "\xc3\xa9",     "\xe4\xb8\xad",     "\xf0\x9f\x99\x82",
        "\x1b", "\xe2\x80\xae", "\xf3\xa0\x80\xa1", "\xff"};
    for (int round = 0; round < 3000; round++) {
        char text[400] = "", shown[100];
        size_t capacity = 16 + check_random_below(84), n = 0, n_pieces = check_random_below(60);
        for (size_t i = 0; i < n_pieces; i++)
            n += (size_t)sprintf(text + n, "%s", pieces[check_random_below(8)]);
        memset(shown, '#', sizeof shown);
        tempera_show_text(shown, capacity, text, n);
        size_t length = strlen(shown);
        bool whole = length < 3 || strcmp(shown + length - 3, "...") != 0;
        CHECK(length < capacity);
        CHECK(whole || length + 8 + 3 >= capacity); // no more is cut than must be
        char again[100];
        tempera_show_text(again, sizeof again, shown, length);
        CHECK_EQ_STR(again, shown); // nothing is left to escape, no half character
    }
    check_shown("0123456789012345678901234567890123456789012345678901234567890123456789-", 71,
                "0123456789012345678901234567890123456789012345678901234567890123456789-");
    check_shown("0123456789012345678901234567890123456789012345678901234567890123456789--", 72,
                "01234567890123456789012345678901234567890123456789012345678901234567...");
}

static void paths(void)
{
    char shown[TEMPERA_SHOWN_PATH_NBYTES], path[400];
    tempera_show_path(shown, "models/\x1b]0;title\x07.gguf");
    CHECK_EQ_STR(shown, "models/\\x1b]0;title\\x07.gguf");
    memset(path, 'd', 300);
    strcpy(path + 300, "/\xe2\x80\xaelast.gguf");
    tempera_show_path(shown, path);
    CHECK_EQ_SIZE(strlen(shown), TEMPERA_SHOWN_PATH_NBYTES - 1);
    CHECK(strncmp(shown, "...ddd", 6) == 0);
    CHECK(strstr(shown, "d/\\u202elast.gguf") != NULL);
}

static void messages(void)
{
    struct tempera_error error;
    CHECK_STATUS(tempera_fail_at(&error, TEMPERA_BAD_FORMAT, 7, "it says %s", "\x1b[2J\xc2\x9b"),
                 TEMPERA_BAD_FORMAT);
    CHECK_EQ_STR(error.message, "it says \\x1b[2J\\u009b");
    CHECK_EQ_U64(error.offset, 7);
    char digits[1001];
    memset(digits, '7', 1000);
    digits[1000] = '\0';
    tempera_fail(&error, TEMPERA_BAD_FORMAT, "it says %s", digits);
    CHECK_EQ_SIZE(strlen(error.message), sizeof error.message - 1);
    CHECK_EQ_STR(error.message + sizeof error.message - 5, "7...");
    tempera_fail_system(&error, "open", "\xe2\x80\xae.gguf", 2);
    CHECK_EQ_STR(error.message, "can't open '\\u202e.gguf': No such file or directory");
    struct tempera_gguf *gguf = NULL;
    CHECK_STATUS(tempera_gguf_open(&gguf, "no/\x1b[31m\xff.gguf", &error), TEMPERA_FILE_NOT_FOUND);
    CHECK_EQ_STR(error.message, "can't open 'no/\\x1b[31m\\xff.gguf': No such file or directory");
}

// The names of keys and tensors in what the parser says of them.
static void names_in_a_header(void)
{
    static struct bytes b;
    struct tempera_gguf *gguf = NULL;
    struct tempera_error error;
    const uint64_t dims[] = {0};
    put_header(&b, 3, 0, 1);
    put_key(&b, "\x1b[31m\xc2\x9b", TEMPERA_GGUF_BOOL);
    put_number(&b, 2, 1);
    CHECK_STATUS(tempera_gguf_open_memory(&gguf, b.data, b.n, &error), TEMPERA_BAD_FORMAT);
    CHECK(strstr(error.message, "key \\x1b[31m\\u009b: a bool of 2") != NULL);
    put_header(&b, 3, 1, 0);
    put_tensor(&b, "t\xe2\x80\xae", 1, dims, TEMPERA_F32, 0);
    CHECK_STATUS(tempera_gguf_open_memory(&gguf, b.data, b.n, &error), TEMPERA_BAD_FORMAT);
    CHECK(strstr(error.message, "tensor t\\u202e: a dimension of 0") != NULL);
    put_header(&b, 3, 0, 1);
    char name[1001];
    memset(name, 'k', 1000);
    name[1000] = '\0';
    put_key(&b, name, 99);
    CHECK_STATUS(tempera_gguf_open_memory(&gguf, b.data, b.n, &error), TEMPERA_BAD_FORMAT);
    CHECK(strstr(error.message, "kkk...: a value of type 99") != NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"control characters are escaped", what_is_escaped},
        {"texts are cut between whole characters", every_length},
        {"paths are escaped and keep their end", paths},
        {"messages are escaped and cut to fit", messages},
        {"names of a header are escaped and cut in messages", names_in_a_header},
    };
    return CHECK_RUN(tests, argc, argv);
}
