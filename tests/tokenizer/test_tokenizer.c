// SPDX-License-Identifier: MIT
// Words, merges, ids and back. That ids are those of other programs is checked by
// scripts/acceptance.
#include "check.h"

#include <tempera/tokenizer.h>

#include "base/utf8.h"
#include "tokenizer/split.h"

// A text with enough of everything to learn from; 300 tokens want 43 pairs.
static const char story[] =
    "Humpty Dumpty sat on a wall, Humpty Dumpty had a great fall. All the king's horses and all "
    "the king's men couldn't put Humpty together again. Humpty Dumpty sat on a wall, the king's "
    "horses and the king's men sat on a wall, and all the wall had a great fall again.\n";

static struct tempera_tokenizer *learn(const char *text, size_t nbytes, size_t vocab_size)
{
    struct tempera_tokenizer *t = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_tokenizer_train(&t, text, nbytes, vocab_size, &error), TEMPERA_OK);
    CHECK_EQ_STR(error.message, "");
    return t;
}

// ------------------------------------------------------------------------------------------------
// Words

// The words of the text with a '|' after each.
static void split(const char *text, size_t nbytes, char *out)
{
    for (size_t at = 0, length; at < nbytes; at += length) {
        length = tempera_split_word((const uint8_t *)text + at, nbytes - at);
        if (!CHECK(length > 0 && length <= nbytes - at))
            break;
        memcpy(out, text + at, length);
        out[length] = '|';
        out += length + 1;
    }
    *out = '\0';
}

static void words_are_those_of_gpt2(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a", "a|"},
        {" ", " |"},
        {"Hello world", "Hello| world|"},
        {"Hello  world", "Hello| | world|"},
        {"a   b", "a|  | b|"},
        {"a   ", "a|   |"},
        {"a \n b", "a| \n| b|"},
        {"a\nb", "a|\n|b|"},
        {"a\n\nb", "a|\n|\n|b|"},
        {"a\r\nb", "a|\r|\n|b|"},
        {"\t\tx", "\t|\t|x|"},
        {"I'm he'll we've don't they're she'd it's",
         "I|'m| he|'ll| we|'ve| don|'t| they|'re| she|'d| it|'s|"},
        {"I'M 'x' 'stop ''s", "I|'|M| '|x|'| '|stop| ''|s|"},
        {"'re'r'l'll", "'re|'|r|'|l|'ll|"},
        {"'", "'|"},
        {"x86-64 v2", "x|86|-|64| v|2|"},
        {"3.14 1,000", "3|.|14| 1|,|000|"},
        {"#include <a_b.h>", "#|include| <|a|_|b|.|h|>|"},
        {"caf\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD", "caf\xC3\xA9| \xE4\xBD\xA0\xE5\xA5\xBD|"},
        {"e\xCC\x81x", "e|\xCC\x81|x|"}, // a combining mark is not a letter
        {"a\xC2\xA0"
         "b",
         "a|\xC2\xA0|b|"}, // no-break space
        {"a \xC2\xA0"
         "b",
         "a| |\xC2\xA0|b|"}, // the last character of white space
        {"a\xC2\x85\xC2\x85"
         "b",
         "a|\xC2\x85|\xC2\x85|b|"}, // next line
        {"a\xE1\xA0\x8E"
         "b",
         "a|\xE1\xA0\x8E|b|"},                  // U+180E is not white space any more
        {"\xE3\x80\x80 x", "\xE3\x80\x80| x|"}, // ideographic space
        {"\xE2\x85\xA7 \xC2\xBD 1\xC2\xB2", "\xE2\x85\xA7| \xC2\xBD| 1\xC2\xB2|"},   // numbers
        {"\xF0\x9F\x91\x8B\xF0\x9F\x8C\x8D!", "\xF0\x9F\x91\x8B\xF0\x9F\x8C\x8D!|"}, // emoji
        {"\xF0\xAE\xAF\xB0"
         "a",
         "\xF0\xAE\xAF\xB0"
         "a|"}, // U+2EBF0, a letter since 15.1
        {"\xF0\xAE\xB9\x9E"
         "a",
         "\xF0\xAE\xB9\x9E|a|"}, // U+2EE5E is nothing yet
        {"\x1C"
         "a\x1F",
         "\x1C|a|\x1F|"},                            // separators that are no white space
        {"a\xFFz\x80 \xC3", "a|\xFF|z|\x80| \xC3|"}, // bytes that are no characters
        {"\xED\xA0\x80"
         "a",
         "\xED\xA0\x80|a|"}, // half a surrogate pair
        {"\xC0\xA0"
         "a",
         "\xC0\xA0|a|"}, // a blank in too many bytes is none
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char words[200];
        split(cases[i][0], strlen(cases[i][0]), words);
        CHECK_EQ_STR(words, cases[i][1]);
    }
    char words[16];
    split("a\0 \0b", 5, words);
    CHECK_MEM(words, "a|\0| \0|b|", 10);
}

// The table against facts about whole blocks that no version of Unicode will change.
static void classes_of_blocks(void)
{
    static const struct {
        uint32_t first, last;
        const char *joins; // the character that a word continues with this one
    } blocks[] = {
        {'a', 'z', "x"},         {'A', 'Z', "x"},         {'0', '9', "7"},
        {0x4E00, 0x9FFF, "x"},   {0xAC00, 0xD7A3, "x"},   {0x0400, 0x0481, "x"},
        {0x0300, 0x036F, "!"},   {0x0660, 0x0669, "7"},   {0x20000, 0x2A6DF, "x"},
        {0x1F600, 0x1F64F, "!"}, {0xE000, 0xF8FF, "!"},   {0xE0100, 0xE01EF, "!"},
        {0x2000, 0x200A, "\t"},  {0x100000, 0x10FFFD, "!"}, {'\t', '\r', "\t"},
    };
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        size_t n_bad = 0;
        for (uint32_t c = blocks[i].first; c <= blocks[i].last; c++) {
            uint8_t text[8] = {(uint8_t)blocks[i].joins[0]};
            size_t n = 1 + tempera_utf8_encode(c, text + 1);
            n_bad += tempera_split_word(text, n) != n;
        }
        CHECK_EQ_SIZE(n_bad, 0);
    }
}

// ------------------------------------------------------------------------------------------------
// Learning

static void check_token(const struct tempera_tokenizer *t, int32_t id, const char *expected)
{
    size_t nbytes = 0;
    const uint8_t *bytes = tempera_tokenizer_token(t, id, &nbytes);
    CHECK_EQ_SIZE(nbytes, strlen(expected));
    CHECK(bytes != NULL && memcmp(bytes, expected, nbytes) == 0);
}

static void merges_by_hand(void)
{
    // "abab" 3 times, " ab" twice, " b" 4 times: ab 8, ba 3, " b" 4, " a" 2.
    static const char text[] = "abab ab\nabab ab\nabab\n b b b b";
    struct tempera_tokenizer *t = learn(text, strlen(text), 256 + 4 + 1);
    check_token(t, 256, "ab");   // 8 times
    check_token(t, 257, " b");   // 4
    check_token(t, 258, "abab"); // 3
    check_token(t, 259, " ab");  // 2
    check_token(t, 260, "<|endoftext|>");
    CHECK_EQ_SIZE(tempera_tokenizer_n_tokens(t), 261);
    CHECK_EQ_INT(tempera_tokenizer_bos(t), 260);
    CHECK_EQ_INT(tempera_tokenizer_eos(t), 260);
    CHECK(tempera_tokenizer_is_special(t, 260));
    for (int32_t id = -1; id <= 261; id++)
        CHECK(tempera_tokenizer_is_special(t, id) == (id == 260));
    size_t nbytes = 7;
    CHECK(tempera_tokenizer_token(t, 261, &nbytes) == NULL && nbytes == 0);
    CHECK(tempera_tokenizer_token(t, -1, &nbytes) == NULL);
    CHECK(tempera_tokenizer_token(t, INT32_MIN, &nbytes) == NULL);
    tempera_tokenizer_close(&t);
    CHECK(t == NULL);
    tempera_tokenizer_close(&t);
    tempera_tokenizer_close(NULL);
}

// Equal counts: the smaller pair of ids comes first, which here is the order of the letters.
static void ties_go_to_the_smaller_pair(void)
{
    static const char text[] = "zy zy\nab ab\nba ba\nac ac";
    struct tempera_tokenizer *t = learn(text, strlen(text), 256 + 4 + 1);
    check_token(t, 256, "ab");
    check_token(t, 257, "ac");
    check_token(t, 258, "ba");
    check_token(t, 259, "zy");
    tempera_tokenizer_close(&t);
}

// "aaa" has two places for the pair, of which only the left one can be taken.
static void overlaps_are_taken_from_the_left(void)
{
    struct tempera_tokenizer *t = learn("aaaaa", 5, 258);
    check_token(t, 256, "aa");
    for (size_t length = 1; length <= 100; length++) {
        char text[100];
        int32_t ids[100];
        size_t n;
        memset(text, 'a', sizeof text);
        CHECK_STATUS(tempera_tokenizer_encode(t, text, length, ids, 100, &n), TEMPERA_OK);
        CHECK_EQ_SIZE(n, (length + 1) / 2);
        CHECK_EQ_INT(ids[n - 1], length % 2 ? 64 : 256);
    }
    tempera_tokenizer_close(&t);
}

// Learned by the plainest method there is: count all pairs, merge, start over.
enum { MAX_PLAIN = 2000 };

struct plain {
    int32_t ids[MAX_PLAIN];
    bool ends[MAX_PLAIN]; // the last token of a word
    size_t n;
    char tokens[400][64]; // as text
    size_t n_tokens;
};

static void plain_begin(struct plain *p, const struct tempera_tokenizer *t, const char *text)
{
    size_t nbytes = strlen(text);
    p->n = 0;
    for (size_t at = 0, length; at < nbytes; at += length) {
        length = tempera_split_word((const uint8_t *)text + at, nbytes - at);
        for (size_t i = 0; i < length; i++) {
            for (int32_t id = 0; id < 256; id++) {
                size_t one;
                if (*tempera_tokenizer_token(t, id, &one) == (uint8_t)text[at + i])
                    p->ids[p->n] = id;
            }
            p->ends[p->n++] = i + 1 == length;
        }
    }
    for (int32_t id = 0; id < 256; id++) {
        size_t one;
        p->tokens[id][0] = (char)*tempera_tokenizer_token(t, id, &one);
        p->tokens[id][1] = '\0';
    }
    p->n_tokens = 256;
}

// False if no pair is there twice.
static bool plain_merge(struct plain *p)
{
    static uint32_t counts[400][400];
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i + 1 < p->n; i++)
        if (!p->ends[i])
            counts[p->ids[i]][p->ids[i + 1]]++;
    size_t left = 0, right = 0;
    for (size_t a = 0; a < p->n_tokens; a++)
        for (size_t b = 0; b < p->n_tokens; b++)
            if (counts[a][b] > counts[left][right]) {
                left = a;
                right = b;
            }
    if (counts[left][right] < 2)
        return false;
    char joined[128];
    snprintf(joined, sizeof joined, "%s%s", p->tokens[left], p->tokens[right]);
    for (size_t i = 0; i < p->n_tokens; i++)
        if (strcmp(p->tokens[i], joined) == 0)
            CHECK_EQ_STR(joined, "a token that is not there yet");
    memcpy(p->tokens[p->n_tokens], joined, 64);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++, n++) {
        bool merged = i + 1 < p->n && !p->ends[i] && (size_t)p->ids[i] == left &&
                      (size_t)p->ids[i + 1] == right;
        p->ends[n] = p->ends[i + merged];
        p->ids[n] = merged ? (int32_t)p->n_tokens : p->ids[i];
        i += merged;
    }
    p->n = n;
    p->n_tokens++;
    return true;
}

// The same tokens, and the ids that encoding gives are those that learning left.
static void check_against_plain(const char *text, size_t vocab_size)
{
    static struct plain plain;
    struct tempera_tokenizer *bytes = learn("", 0, 257);
    plain_begin(&plain, bytes, text);
    tempera_tokenizer_close(&bytes);
    while (plain.n_tokens + 1 < vocab_size && plain_merge(&plain))
        continue;
    struct tempera_tokenizer *t = learn(text, strlen(text), plain.n_tokens + 1);
    for (size_t id = 256; id < plain.n_tokens; id++)
        check_token(t, (int32_t)id, plain.tokens[id]);
    static int32_t ids[MAX_PLAIN];
    size_t n = 0;
    CHECK_STATUS(tempera_tokenizer_encode(t, text, strlen(text), ids, MAX_PLAIN, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, plain.n);
    CHECK_MEM(ids, plain.ids, n * sizeof *ids);
    tempera_tokenizer_close(&t);
}

static void learning_equals_the_plain_method(void)
{
    check_against_plain(story, 400);
    for (int round = 0; round < 8; round++) {
        char text[1000];
        size_t n_letters = 2 + check_random_below(3);
        for (size_t i = 0; i < sizeof text - 1; i++)
            text[i] = check_random_below(9) == 0
                          ? ' '
                          : (char)('a' + check_random_below(n_letters));
        text[sizeof text - 1] = '\0';
        check_against_plain(text, 400);
    }
}

static void learning_is_deterministic(void)
{
    struct tempera_tokenizer *a = learn(story, strlen(story), 300);
    struct tempera_tokenizer *b = learn(story, strlen(story), 300);
    for (int32_t id = 0; id < 300; id++) {
        size_t n, m;
        const uint8_t *x = tempera_tokenizer_token(a, id, &n);
        const uint8_t *y = tempera_tokenizer_token(b, id, &m);
        CHECK(n == m && memcmp(x, y, n) == 0);
    }
    tempera_tokenizer_close(&a);
    tempera_tokenizer_close(&b);
}

static void too_little_text(void)
{
    struct tempera_tokenizer *t = NULL;
    struct tempera_error error;
    CHECK_STATUS(tempera_tokenizer_train(&t, "abcabc", 6, 1000, &error), TEMPERA_TEXT_TOO_SHORT);
    CHECK_EQ_STR(error.message, "6 bytes of text give a vocabulary of at most 259 tokens, not "
                                "1000: ask for fewer, or give more text");
    CHECK(t == NULL);
    CHECK_STATUS(tempera_tokenizer_train(&t, "", 0, 258, NULL), TEMPERA_TEXT_TOO_SHORT);
    CHECK_STATUS(tempera_tokenizer_train(&t, story, 10, 256, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "257") != NULL);
    CHECK_STATUS(tempera_tokenizer_train(&t, story, 10, SIZE_MAX, &error),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_tokenizer_train(&t, NULL, 10, 300, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_tokenizer_train(NULL, story, 10, 300, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(t == NULL);
    CHECK_STATUS(tempera_tokenizer_train(&t, "abcabc", 6, 259, &error), TEMPERA_OK);
    tempera_tokenizer_close(&t);
}

// ------------------------------------------------------------------------------------------------
// Encoding and decoding

static void ids_of_bytes_are_bytes(void)
{
    struct tempera_tokenizer *t = NULL;
    CHECK_STATUS(tempera_tokenizer_bytes(&t), TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_tokenizer_n_tokens(t), 257);
    CHECK_EQ_INT(tempera_tokenizer_bos(t), 256);
    CHECK_EQ_INT(tempera_tokenizer_eos(t), 256);
    check_token(t, 256, "<|endoftext|>");
    char text[256];
    int32_t ids[256];
    size_t n;
    for (int i = 0; i < 256; i++)
        text[i] = (char)i;
    CHECK_STATUS(tempera_tokenizer_encode(t, text, 256, ids, 256, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 256);
    for (int i = 0; i < 256; i++)
        CHECK_EQ_INT(ids[i], i);
    tempera_tokenizer_close(&t);
}

// GPT-2's own first ids, from '!' on.
static void ids_of_learned_bytes_are_gpt2s(void)
{
    struct tempera_tokenizer *t = learn("", 0, 257);
    static const struct {
        uint8_t byte;
        int32_t id;
    } known[] = {{'!', 0}, {'a', 64}, {'~', 93}, {0xA1, 94}, {0xAC, 105}, {0xAE, 106},
                 {0xFF, 187}, {0, 188}, {'\n', 198}, {' ', 220}, {0x7F, 221}, {0xA0, 254},
                 {0xAD, 255}};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        size_t n;
        const uint8_t *bytes = tempera_tokenizer_token(t, known[i].id, &n);
        CHECK(n == 1 && bytes[0] == known[i].byte);
    }
    tempera_tokenizer_close(&t);
}

static void ids_of_small_texts(void)
{
    struct tempera_tokenizer *t = learn(story, strlen(story), 300);
    static const struct {
        const char *text;
        size_t n;
        int32_t ids[8];
    } golden[] = {
        {"H", 1, {39}},
        {" ", 1, {220}},
        {"Humpty Dumpty's wall", 4, {269, 281, 268, 274}},
        {"humpty", 2, {71, 261}},
        {"\xC3\xA9\xF0\x9F\x99\x82", 6, {127, 102, 172, 253, 247, 224}},
        {"a\r\n \tb", 6, {64, 201, 198, 220, 197, 65}},
    };
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        int32_t ids[32];
        size_t n = 0;
        CHECK_STATUS(tempera_tokenizer_encode(t, golden[i].text, strlen(golden[i].text), ids, 32,
                                              &n),
                     TEMPERA_OK);
        CHECK_EQ_SIZE(n, golden[i].n);
        for (size_t j = 0; j < golden[i].n; j++)
            CHECK_EQ_INT(ids[j], golden[i].ids[j]);
    }
    size_t n = 1;
    CHECK_STATUS(tempera_tokenizer_encode(t, NULL, 0, NULL, 0, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 0);
    tempera_tokenizer_close(&t);
}

static void check_round_trip(const struct tempera_tokenizer *t, const char *text, size_t nbytes)
{
    int32_t *ids = malloc((nbytes + 1) * sizeof *ids);
    char *back = malloc(nbytes + 1);
    size_t n = 0, n_back = 0, n_counted = 0;
    CHECK_STATUS(tempera_tokenizer_encode(t, text, nbytes, ids, nbytes, &n), TEMPERA_OK);
    CHECK(n <= nbytes);
    if (n > 0)
        CHECK_STATUS(tempera_tokenizer_encode(t, text, nbytes, NULL, 0, &n_counted),
                     TEMPERA_BUFFER_TOO_SMALL);
    CHECK_EQ_SIZE(n_counted, n);
    CHECK_STATUS(tempera_tokenizer_decode(t, ids, n, back, nbytes, &n_back), TEMPERA_OK);
    CHECK_EQ_SIZE(n_back, nbytes);
    CHECK_MEM(back, text, nbytes);
    for (size_t i = 0; i < n; i++)
        if (tempera_tokenizer_is_special(t, ids[i]))
            CHECK(!tempera_tokenizer_is_special(t, ids[i]));
    free(ids);
    free(back);
}

static void random_texts_come_back(void)
{
    struct tempera_tokenizer *tokenizers[2] = {learn(story, strlen(story), 300), NULL};
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizers[1]), TEMPERA_OK);
    char text[600];
    for (int round = 0; round < 600; round++) {
        size_t n = 0, length = check_random_below(500);
        while (n < length)
            if (round % 3 == 0) {
                text[n++] = (char)check_random_below(256);
            } else if (round % 3 == 1) {
                static const uint32_t ends[] = {0x80, 0x800, 0xD800, 0x110000};
                uint32_t c = (uint32_t)check_random_below(ends[check_random_below(4)]);
                n += tempera_utf8_encode(c >= 0xD800 && c < 0xE000 ? ' ' : c, (uint8_t *)text + n);
            } else {
                size_t from = check_random_below(sizeof story - 10);
                memcpy(text + n, story + from, 8);
                n += 8;
            }
        check_round_trip(tokenizers[round % 2], text, n);
    }
    check_round_trip(tokenizers[0], "<|endoftext|>", 13);
    check_round_trip(tokenizers[0], story, sizeof story - 1);
    tempera_tokenizer_close(&tokenizers[0]);
    tempera_tokenizer_close(&tokenizers[1]);
}

// The two ways to merge, for short words and for long ones, give the same ids: a long word made of
// parts that don't merge with each other is the parts one after the other.
static void long_words_are_merged_as_short_ones(void)
{
    struct tempera_tokenizer *t = learn(story, strlen(story), 300);
    for (int round = 0; round < 200; round++) {
        char word[400], parts[800];
        size_t n = 65 + check_random_below(300), n_parts = 0;
        for (size_t i = 0; i < n; i++) {
            static const char letters[] = "humptyalsonthegr";
            word[i] = i % 40 == 39 ? 'Q' : letters[check_random_below(16)]; // Q is in no merge
            parts[n_parts++] = word[i];
            if (word[i] == 'Q')
                parts[n_parts++] = '0'; // ends a word, and is one
        }
        static int32_t ids[400], ids_of_parts[800];
        size_t n_ids, n_ids_of_parts;
        CHECK_STATUS(tempera_tokenizer_encode(t, word, n, ids, 400, &n_ids), TEMPERA_OK);
        CHECK_STATUS(tempera_tokenizer_encode(t, parts, n_parts, ids_of_parts, 800,
                                              &n_ids_of_parts),
                     TEMPERA_OK);
        size_t kept = 0;
        for (size_t i = 0; i < n_ids_of_parts; i++) {
            size_t m;
            if (*tempera_tokenizer_token(t, ids_of_parts[i], &m) != '0')
                ids_of_parts[kept++] = ids_of_parts[i];
        }
        CHECK_EQ_SIZE(kept, n_ids);
        CHECK_MEM(ids, ids_of_parts, n_ids * sizeof *ids);
    }
    tempera_tokenizer_close(&t);
}

// A megabyte that is one word must take no longer than other text. A method that is quadratic in a
// word's length would take hours, not the test's time limit.
static void one_word_of_a_megabyte(void)
{
    enum { N = 1 << 20 };
    char *text = malloc(N);
    for (size_t i = 0; i < N; i++)
        text[i] = (char)('a' + check_random_below(4));
    struct tempera_tokenizer *letters = learn(text, N, 1000);
    check_round_trip(letters, text, N);
    memset(text, 'a', N);
    check_round_trip(letters, text, N);
    struct tempera_tokenizer *same = learn(text, N, 256 + 15 + 1);
    check_round_trip(same, text, N);
    size_t n = 0;
    CHECK_STATUS(tempera_tokenizer_encode(same, text, N, NULL, 0, &n), TEMPERA_BUFFER_TOO_SMALL);
    CHECK_EQ_SIZE(n, N >> 15);
    memset(text, ' ', N);
    check_round_trip(letters, text, N);
    struct tempera_tokenizer *blanks = learn(text, N, 270);
    check_round_trip(blanks, text, N);
    for (size_t i = 0; i < N; i += 2)
        text[i] = '\'';
    check_round_trip(letters, text, N);
    tempera_tokenizer_close(&letters);
    tempera_tokenizer_close(&same);
    tempera_tokenizer_close(&blanks);
    free(text);
}

static void buffers_and_arguments(void)
{
    struct tempera_tokenizer *t = learn(story, strlen(story), 300);
    int32_t ids[16] = {-7, -7, -7, -7};
    size_t n = 99;
    CHECK_STATUS(tempera_tokenizer_encode(t, "x y z", 5, ids, 2, &n), TEMPERA_BUFFER_TOO_SMALL);
    CHECK(n > 2 && n <= 5);
    CHECK(ids[0] == -7 && ids[1] == -7 && ids[2] == -7);
    CHECK_STATUS(tempera_tokenizer_encode(t, "x y z", 5, ids, n, &n), TEMPERA_OK);
    CHECK(ids[n] == -7 || n >= 4);
    CHECK_STATUS(tempera_tokenizer_encode(t, NULL, 5, ids, 2, &n), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_tokenizer_encode(t, "x", 1, NULL, 2, &n), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_tokenizer_encode(NULL, "x", 1, ids, 2, &n), TEMPERA_INVALID_ARGUMENT);

    char text[16] = "unchanged";
    const int32_t good[] = {39, 299, 40}, bad[][2] = {{39, 300}, {-1, 39}, {INT32_MAX, 39}};
    CHECK_STATUS(tempera_tokenizer_decode(t, good, 3, text, 1, &n), TEMPERA_BUFFER_TOO_SMALL);
    CHECK_EQ_SIZE(n, 2);
    CHECK_EQ_STR(text, "unchanged");
    CHECK_STATUS(tempera_tokenizer_decode(t, good, 3, NULL, 0, &n), TEMPERA_BUFFER_TOO_SMALL);
    for (size_t i = 0; i < 3; i++)
        CHECK_STATUS(tempera_tokenizer_decode(t, bad[i], 2, text, 16, &n),
                     TEMPERA_TOKEN_OUT_OF_RANGE);
    CHECK_EQ_STR(text, "unchanged");
    CHECK_STATUS(tempera_tokenizer_decode(t, good, 3, text, 2, &n), TEMPERA_OK);
    CHECK_MEM(text, "HIchanged", 9); // the special token in the middle gives nothing
    CHECK_STATUS(tempera_tokenizer_decode(t, NULL, 0, NULL, 0, &n), TEMPERA_OK);
    CHECK_EQ_SIZE(n, 0);
    tempera_tokenizer_close(&t);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"words are those of GPT-2", words_are_those_of_gpt2},
        {"whole blocks of characters have their class", classes_of_blocks},
        {"merges are those found by hand", merges_by_hand},
        {"ties go to the smaller pair", ties_go_to_the_smaller_pair},
        {"overlaps are taken from the left", overlaps_are_taken_from_the_left},
        {"learning equals the plain method", learning_equals_the_plain_method},
        {"learning is deterministic", learning_is_deterministic},
        {"too little text is refused", too_little_text},
        {"ids of bytes are bytes", ids_of_bytes_are_bytes},
        {"ids of learned bytes are GPT-2's", ids_of_learned_bytes_are_gpt2s},
        {"small texts have the recorded ids", ids_of_small_texts},
        {"random texts come back", random_texts_come_back},
        {"long words are merged as short ones", long_words_are_merged_as_short_ones},
        {"one word of a megabyte is encoded in time", one_word_of_a_megabyte},
        {"small buffers and bad arguments are refused", buffers_and_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
