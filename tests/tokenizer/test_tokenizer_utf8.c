// SPDX-License-Identifier: MIT
// Characters from bytes, and what a stream may show of bytes that come one by one.
#include "check.h"

#include <tempera/tokenizer.h>

#include "base/utf8.h"

static void every_character_comes_back(void)
{
    size_t n_bad = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4] = {0};
        uint32_t decoded = 0;
        if (c >= 0xD800 && c < 0xE000)
            continue;
        size_t n = tempera_utf8_encode(c, bytes);
        size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        n_bad += n != expected;
        n_bad += tempera_utf8_decode(bytes, n, &decoded) != n || decoded != c;
        n_bad += tempera_utf8_decode(bytes, 4, &decoded) != n || decoded != c;
        for (size_t cut = 1; cut < n; cut++) {
            n_bad += tempera_utf8_decode(bytes, cut, &decoded) != 0;
            n_bad += tempera_utf8_length(bytes, cut) != n;
        }
    }
    CHECK_EQ_SIZE(n_bad, 0);
}

// Of all sequences of two bytes, and of three from the borders, just the encodings of characters
// are taken.
static void nothing_else_is_a_character(void)
{
    size_t n_two = 0, n_three = 0;
    uint32_t c;
    for (uint32_t i = 0; i < 0x10000; i++) {
        const uint8_t bytes[] = {(uint8_t)(i >> 8), (uint8_t)i};
        n_two += tempera_utf8_decode(bytes, 2, &c) == 2;
    }
    CHECK_EQ_SIZE(n_two, 0x800 - 0x80);
    for (uint32_t i = 0xE00000; i < 0xF00000; i++) {
        const uint8_t bytes[] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        n_three += tempera_utf8_decode(bytes, 3, &c) == 3;
    }
    CHECK_EQ_SIZE(n_three, 0x10000 - 0x800 - 0x800);
    static const char *const none[] = {
        "\x80",         "\xBF",         "\xC0\x80",     "\xC1\xBF",         "\xE0\x9F\xBF",
        "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFE", "\xFF",
    };
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        CHECK_EQ_SIZE(tempera_utf8_length((const uint8_t *)none[i], strlen(none[i])), 0);
        CHECK_EQ_SIZE(tempera_utf8_decode((const uint8_t *)none[i], strlen(none[i]), &c), 0);
    }
}

// ------------------------------------------------------------------------------------------------
// Streaming

// Pushes text[nbytes] byte by byte. shown gets what each push gave, with '|' after each, and what
// the flush gave in the end.
static void stream(const char *text, size_t nbytes, char *shown)
{
    struct tempera_utf8_holdback held = {0};
    for (size_t i = 0; i < nbytes; i++) {
        shown += tempera_utf8_push(&held, (const uint8_t *)text + i, 1, shown);
        *shown++ = '|';
        CHECK(held.nbytes <= 3);
    }
    shown += tempera_utf8_flush(&held, shown);
    *shown = '\0';
    CHECK_EQ_U64(held.nbytes, 0);
}

static void characters_come_whole(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"ab", "a|b|"},
        {"\xC3\xA9", "|\xC3\xA9|"},
        {"\xE2\x82\xAC", "||\xE2\x82\xAC|"},
        {"\xF0\x9F\x99\x82", "|||\xF0\x9F\x99\x82|"},
        {"a\xC3\xA9z", "a||\xC3\xA9|z|"},
        // Cut off: held until the end.
        {"\xC3", "|\xC3"},
        {"\xE2\x82", "||\xE2\x82"},
        {"\xF0\x9F\x99", "|||\xF0\x9F\x99"},
        // Cut off by another character: shown as soon as that is clear.
        {"\xC3z", "|\xC3z|"},
        {"\xE2\x82z", "||\xE2\x82z|"},
        {"\xF0\x9F\x99z", "|||\xF0\x9F\x99z|"},
        {"\xE2\x82\xC3\xA9", "||\xE2\x82|\xC3\xA9|"},
        {"\xF0\xF0\x9F\x99\x82", "|\xF0|||\xF0\x9F\x99\x82|"},
        // Bytes that are nothing: shown at once.
        {"\x80", "\x80|"},
        {"\xFFz", "\xFF|z|"},
        {"\xC0\x80", "\xC0|\x80|"},
        {"\xC1\xBF", "\xC1|\xBF|"},
        {"\xF5\x80", "\xF5|\x80|"},
        // Overlong, surrogate, too large: the second byte tells.
        {"\xE0\x80\x80", "|\xE0\x80|\x80|"},
        {"\xE0\x9F\xBF", "|\xE0\x9F|\xBF|"},
        {"\xED\xA0\x80", "|\xED\xA0|\x80|"},
        {"\xF0\x8F\xBF\xBF", "|\xF0\x8F|\xBF|\xBF|"},
        {"\xF4\x90\x80\x80", "|\xF4\x90|\x80|\x80|"},
        {"\xC3\xFF", "|\xC3\xFF|"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char shown[32];
        stream(cases[i][0], strlen(cases[i][0]), shown);
        CHECK_EQ_STR(shown, cases[i][1]);
    }
    char shown[8];
    stream("\0", 1, shown);
    CHECK_MEM(shown, "\0|", 3);
}

// Any bytes, in pieces of any size: all of them come out in order, and what has come out never
// ends inside a character.
static void pieces_of_any_size(void)
{
    static const uint8_t likely[] = {0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x99, 0x82, 'a',
                                     0xFF, 0xED, 0xA0, 0xF4, 0x90};
    for (int round = 0; round < 3000; round++) {
        uint8_t in[40];
        char out[64];
        size_t length = check_random_below(sizeof in), n_in = 0, n_out = 0;
        for (size_t i = 0; i < length; i++)
            in[i] = round % 2 ? likely[check_random_below(sizeof likely)]
                              : (uint8_t)check_random_below(256);
        struct tempera_utf8_holdback held = {0};
        while (n_in < length) {
            size_t n = 1 + check_random_below(length - n_in);
            n_out += tempera_utf8_push(&held, in + n_in, n, out + n_out);
            n_in += n;
            if (!CHECK(n_out + held.nbytes == n_in) || held.nbytes == 0)
                continue;
            // What is held can become a character, but is none yet.
            CHECK(tempera_utf8_length(held.bytes, held.nbytes) > held.nbytes);
        }
        n_out += tempera_utf8_flush(&held, out + n_out);
        CHECK_EQ_SIZE(n_out, length);
        CHECK_MEM(out, in, length);
    }
}

// A state that was overwritten does no harm.
static void damaged_state(void)
{
    struct tempera_utf8_holdback held = {{0xF0, 0x9F, 0x99, 0x82}, UINT32_MAX};
    char out[8];
    CHECK_EQ_SIZE(tempera_utf8_push(&held, (const uint8_t *)"ab", 2, out), 2);
    CHECK_MEM(out, "ab", 2);
    held.nbytes = 4;
    CHECK_EQ_SIZE(tempera_utf8_flush(&held, out), 0);
    CHECK_EQ_SIZE(tempera_utf8_push(&held, NULL, 0, out), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"every character comes back", every_character_comes_back},
        {"no other two or three bytes decode as a character", nothing_else_is_a_character},
        {"characters come whole", characters_come_whole},
        {"pieces of any size give the same characters", pieces_of_any_size},
        {"a damaged state does no harm", damaged_state},
    };
    return CHECK_RUN(tests, argc, argv);
}
