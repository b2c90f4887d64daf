// SPDX-License-Identifier: MIT
// The ways in which a text's encoding goes on across its end, against all of them: every text over
// a small alphabet that begins with it is encoded, and the tokens up to the one that crosses the
// end are a crossing.
#include "check.h"

#include "tokenizer/crossing.h"
#include "tokenizer/split.h"

enum { MOST_IDS = 32, MOST_FOUND = 4096 };

// A crossing as its tokens.
struct path {
    int32_t ids[MOST_IDS];
    size_t n;
};

struct paths {
    struct path items[MOST_FOUND];
    size_t n;
};

static struct paths expected, found;

static int compare_paths(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct path));
}

static void add_path(struct paths *paths, const int32_t *ids, size_t n)
{
    struct path path = {.n = n};
    memcpy(path.ids, ids, n * sizeof *ids);
    for (size_t i = paths->n; i-- > 0;)
        if (compare_paths(&paths->items[i], &path) == 0)
            return;
    if (CHECK(paths->n < MOST_FOUND))
        paths->items[paths->n++] = path;
}

static size_t token_nbytes(const struct tempera_tokenizer *tokenizer, int32_t id)
{
    size_t nbytes;
    tempera_tokenizer_token(tokenizer, id, &nbytes);
    return nbytes;
}

// A text, of which the first bytes are some tokens that stay.
struct cut {
    const struct tempera_tokenizer *tokenizer;
    const char *alphabet;
    size_t n_alphabet;
    size_t nbytes; // of the text
    size_t n_lead;
    int32_t lead[MOST_IDS];
    size_t n_lead_ids;
};

// Encodes the text followed by every text over the alphabet of up to `more` bytes.
static void expect_all(const struct cut *cut, char *text, size_t at, size_t more)
{
    int32_t ids[64];
    size_t n_ids, end = cut->n_lead, n = cut->n_lead_ids;
    if (at > cut->nbytes) {
        CHECK_STATUS(tempera_tokenizer_encode(cut->tokenizer, text, at, ids, 64, &n_ids),
                     TEMPERA_OK);
        bool keeps_lead = n_ids > n && memcmp(ids, cut->lead, n * sizeof *ids) == 0;
        while (keeps_lead && end <= cut->nbytes)
            end += token_nbytes(cut->tokenizer, ids[n++]);
        if (keeps_lead)
            add_path(&expected, ids + cut->n_lead_ids, n - cut->n_lead_ids);
    }
    for (size_t i = 0; i < cut->n_alphabet && more > 0; i++) {
        text[at] = cut->alphabet[i];
        expect_all(cut, text, at + 1, more - 1);
    }
}

static bool is_over(const struct tempera_tokenizer *tokenizer, int32_t id, const char *alphabet,
                    size_t n_alphabet)
{
    size_t nbytes;
    const uint8_t *bytes = tempera_tokenizer_token(tokenizer, id, &nbytes);
    for (size_t i = 0; i < nbytes; i++)
        if (memchr(alphabet, bytes[i], n_alphabet) == NULL)
            return false;
    return true;
}

// Those of the text, over the alphabet; special tokens are counted.
static size_t find_all(const struct cut *cut, const char *text)
{
    const struct tempera_tokenizer *tokenizer = cut->tokenizer;
    struct tempera_crossings crossings;
    size_t n_special = 0, n_tail = cut->nbytes - cut->n_lead;
    CHECK_STATUS(tempera_crossings_find(&crossings, tokenizer, (const uint8_t *)text, cut->nbytes,
                                        cut->n_lead),
                 TEMPERA_OK);
    for (size_t i = 0; i < crossings.n_items; i++) {
        const struct tempera_crossing *item = &crossings.items[i];
        const struct tempera_crossing *before = i == 0 ? NULL : item - 1;
        CHECK(before == NULL || before->prefix < item->prefix ||
              (before->prefix == item->prefix && before->token < item->token));
        n_special += tempera_tokenizer_is_special(tokenizer, item->token);
        if (tempera_tokenizer_is_special(tokenizer, item->token) ||
            !is_over(tokenizer, item->token, cut->alphabet, cut->n_alphabet))
            continue;
        int32_t ids[MOST_IDS];
        size_t n = MOST_IDS, length = token_nbytes(tokenizer, item->token);
        ids[--n] = item->token;
        for (size_t p = item->prefix; p != 0; p = crossings.prefixes[p].parent) {
            CHECK(crossings.prefixes[p].parent < p);
            ids[--n] = crossings.prefixes[p].token;
            length += token_nbytes(tokenizer, ids[n]);
        }
        CHECK_EQ_SIZE(length - token_nbytes(tokenizer, item->token),
                      crossings.prefixes[item->prefix].nbytes);
        CHECK(length > n_tail && crossings.prefixes[item->prefix].nbytes <= n_tail);
        add_path(&found, ids + n, MOST_IDS - n);
    }
    tempera_crossings_free(&crossings);
    return n_special;
}

// Whether a merge reaches from a path into the tokens that stay, which isn't looked for.
static bool changes_lead(const struct cut *cut, const struct path *path)
{
    int32_t ids[2 * MOST_IDS], encoded[2 * MOST_IDS];
    char text[128];
    size_t nbytes, n_encoded;
    memcpy(ids, cut->lead, cut->n_lead_ids * sizeof *ids);
    memcpy(ids + cut->n_lead_ids, path->ids, path->n * sizeof *ids);
    CHECK_STATUS(tempera_tokenizer_decode(cut->tokenizer, ids, cut->n_lead_ids + path->n, text, 128,
                                          &nbytes),
                 TEMPERA_OK);
    CHECK_STATUS(
        tempera_tokenizer_encode(cut->tokenizer, text, nbytes, encoded, 2 * MOST_IDS, &n_encoded),
        TEMPERA_OK);
    return n_encoded < cut->n_lead_ids ||
           memcmp(encoded, cut->lead, cut->n_lead_ids * sizeof *ids) != 0;
}

// With n_lead_ids of the text's own tokens before what may change.
static void compare(const struct tempera_tokenizer *tokenizer, const char *text, size_t nbytes,
                    size_t n_lead_ids, size_t more, const char *alphabet, size_t n_alphabet)
{
    char buffer[64];
    size_t n_ids;
    struct cut cut = {tokenizer, alphabet, n_alphabet, nbytes, 0, {0}, n_lead_ids};
    CHECK_STATUS(tempera_tokenizer_encode(tokenizer, text, nbytes, cut.lead, MOST_IDS, &n_ids),
                 TEMPERA_OK);
    for (size_t i = 0; i < n_lead_ids; i++)
        cut.n_lead += token_nbytes(tokenizer, cut.lead[i]);
    memcpy(buffer, text, nbytes);
    expected.n = found.n = 0;
    expect_all(&cut, buffer, nbytes, more);
    CHECK_EQ_SIZE(find_all(&cut, text), 1);
    qsort(expected.items, expected.n, sizeof *expected.items, compare_paths);
    qsort(found.items, found.n, sizeof *found.items, compare_paths);
    size_t n_extra = 0;
    for (size_t i = 0, e = 0; i < found.n; i++) {
        if (e < expected.n && compare_paths(&found.items[i], &expected.items[e]) == 0)
            e++;
        else
            n_extra += !changes_lead(&cut, &found.items[i]);
        CHECK(i + 1 < found.n || e == expected.n);
    }
    CHECK_EQ_SIZE(n_extra, 0);
}

// With as many merges as the text can give.
static struct tempera_tokenizer *train(const char *text)
{
    struct tempera_tokenizer *tokenizer = NULL;
    for (size_t vocab = 320; vocab > 257 && tokenizer == NULL; vocab--)
        tempera_tokenizer_train(&tokenizer, text, strlen(text), vocab, NULL);
    CHECK(tempera_tokenizer_n_tokens(tokenizer) > 260);
    return tokenizer;
}

// ------------------------------------------------------------------------------------------------

#define COMPARE(text, more, alphabet)                                                              \
    compare(tokenizer, text, sizeof(text) - 1, 0, more, alphabet, sizeof(alphabet) - 1)

#define COMPARE_AFTER(n_lead_ids, text, more, alphabet)                                            \
    compare(tokenizer, text, sizeof(text) - 1, n_lead_ids, more, alphabet, sizeof(alphabet) - 1)

// " ab" and " abb" are tokens, " abba" is [ abb][a] or [ ab][ba]: what " ab" becomes depends on
// what follows. White space: a run gives its last character to what follows.
static void words_and_spaces(void)
{
    struct tempera_tokenizer *tokenizer =
        train("ab abb ab abba  ab bba abba\n\nab\n\n  abb bb a b\n\n\n  ba ab\n ab aab baab  \n");
    static const char alphabet[] = "ab \n";
    COMPARE("", 6, alphabet);
    COMPARE(" ", 6, alphabet);
    COMPARE("  ", 6, alphabet);
    COMPARE("   ", 6, alphabet);
    COMPARE("\n", 6, alphabet);
    COMPARE("\n\n", 6, alphabet);
    COMPARE("\n\n  \n", 6, alphabet);
    COMPARE("a", 6, alphabet);
    COMPARE(" a", 6, alphabet);
    COMPARE(" ab", 6, alphabet);
    COMPARE(" abb", 6, alphabet);
    COMPARE(" abba", 6, alphabet);
    COMPARE(" abbaab", 6, alphabet);
    COMPARE("baab", 6, alphabet);
    tempera_tokenizer_close(&tokenizer);
}

static void english_endings(void)
{
    static const char alphabet[] = "'srela";
    struct tempera_tokenizer *tokenizer =
        train("it's we're l's s'r re'll 's 're r's sr's e're l'l 're 's 'l e's ''s 'll lle");
    COMPARE("'", 5, alphabet);
    COMPARE("'r", 5, alphabet);
    COMPARE("'l", 5, alphabet);
    COMPARE("'s", 5, alphabet);
    COMPARE("''", 5, alphabet);
    COMPARE(" '", 5, alphabet);
    COMPARE("s", 5, alphabet);
    tempera_tokenizer_close(&tokenizer);
    // one merge, "'r": a token that is one only where an "e" follows
    CHECK_STATUS(tempera_tokenizer_train(&tokenizer, "x're y're z're w're v've u'll t'll s'll", 39,
                                         258, NULL),
                 TEMPERA_OK);
    COMPARE("'", 5, alphabet);
    COMPARE("s", 5, alphabet);
    tempera_tokenizer_close(&tokenizer);
    CHECK_STATUS(tempera_tokenizer_train(&tokenizer, "x'll y'll z'll w'll 've a'll", 28, 258, NULL),
                 TEMPERA_OK);
    COMPARE("'", 5, alphabet);
    tempera_tokenizer_close(&tokenizer);
}

// The first tokens stay, and still say what word the rest goes on with: "!'" and "s" are not "'s".
static void after_tokens_that_stay(void)
{
    static const char alphabet[] = "'sa! ", wide[] = "a \xC3\xA9\xE2\x82\xAC";
    struct tempera_tokenizer *tokenizer =
        train("sa's as sas aas 's !a's ssa !!s'a s!a'a asas sasa's ss as's aa");
    COMPARE_AFTER(1, "!'", 5, alphabet);
    COMPARE_AFTER(1, "'s", 5, alphabet);
    COMPARE_AFTER(1, "sas", 5, alphabet);
    COMPARE_AFTER(1, "  ", 5, alphabet);
    COMPARE_AFTER(2, "!'as", 5, alphabet);
    COMPARE_AFTER(3, "aasasasa", 5, alphabet);
    tempera_tokenizer_close(&tokenizer);
    tokenizer = train("a\xC3\xA9 \xC3\xA9\xE2\x82\xAC a\xC3\xA9"
                      "a\xC3\xA9\xC3 \xE2\x82\xAC\xE2\x82\xAC a");
    COMPARE_AFTER(1, "\xE2\x82\xAC", 4, wide);
    COMPARE_AFTER(1, "a\xC3\xA9", 4, wide);
    COMPARE_AFTER(2, "\xE2\x82\xAC\xE2", 4, wide);
    tempera_tokenizer_close(&tokenizer);
}

// U+00E9 is a letter, U+20AC isn't one, U+2082 is a number, U+2000 is white space; a prompt may end
// within them, and so may a token.
static void within_characters(void)
{
    struct tempera_tokenizer *tokenizer =
        train("a\xC3\xA9 a\xC3\xA9 \xC3\xA9\xE2\x82\xAC a\xE2\x82\xAC\xE2\x82\xAC \xE2\x82\x82 "
              "\xE2\x80\x80 \xE2\x80\x80 a  a\xE2\x82\x82\xC3\xA9\xA9 \xC3\xA9 a\xC3\xA9");
    static const char alphabet[] = "a \xC3\xA9\xE2\x82\x80\xAC";
    COMPARE("a", 5, alphabet);
    COMPARE("a\xC3", 5, alphabet);
    COMPARE(" a\xC3\xA9", 5, alphabet);
    COMPARE("a\xE2", 5, alphabet);
    COMPARE("\xE2\x82", 5, alphabet);
    COMPARE(" \xE2", 5, alphabet);
    COMPARE("  \xE2\x80", 5, alphabet);
    COMPARE("\xA9", 5, alphabet);
    tempera_tokenizer_close(&tokenizer);
}

// ------------------------------------------------------------------------------------------------
// What is settled

static void check_settled(const char *text, size_t expected_nbytes)
{
    CHECK_EQ_SIZE(tempera_split_final((const uint8_t *)text, strlen(text)), expected_nbytes);
}

static void settled_places(void)
{
    check_settled("", 0);
    check_settled("he was a great king", 14);
    check_settled("he was a great king ", 19);
    check_settled("king.", 4);
    check_settled("king\n\n", 4);
    check_settled("king  \n x", 7);
    check_settled("it's", 2);
    check_settled("it'", 2);
    check_settled("it'r", 2);
    check_settled("it'rx", 3);
    check_settled("it's ", 4);
    check_settled("in the caf\xC3", 6);
    check_settled("in the caf\xC3\xA9", 6);
    check_settled("a  \xE2\x80", 1); // may become white space
    check_settled("a  \xE2\x82\xAC", 2);
}

// Words of random texts: those before the settled place stay, whatever is appended.
static void settled_words_stay(void)
{
    static const char *const pieces[] = {"a",    "'",    "s",    "re",   " ",    "\n",
                                         "1",    "!",    "\xC3", "\xA9", "\xE2", "\x82",
                                         "\xAC", "\x80", "'ll",  "  "};
    for (size_t round = 0; round < 20000; round++) {
        char text[128] = "";
        for (size_t n = check_random_below(8); n-- > 0;)
            strcat(text, pieces[check_random_below(COUNT_OF(pieces))]);
        size_t nbytes = strlen(text);
        size_t settled = tempera_split_final((const uint8_t *)text, nbytes);
        size_t ends[2][64], n_ends[2] = {0, 0};
        CHECK(settled <= nbytes);
        for (size_t which = 0; which < 2; which++) {
            size_t length = strlen(text);
            for (size_t at = 0; at < settled;) {
                at += tempera_split_word((const uint8_t *)text + at, length - at);
                ends[which][n_ends[which]++] = at;
            }
            for (size_t n = 1 + check_random_below(4); n-- > 0;)
                strcat(text, pieces[check_random_below(COUNT_OF(pieces))]);
        }
        CHECK_EQ_SIZE(n_ends[0], n_ends[1]);
        CHECK_MEM(ends[0], ends[1], n_ends[0] * sizeof **ends);
        CHECK(settled == 0 || ends[0][n_ends[0] - 1] == settled);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"crossings within words and white space are those of all longer texts", words_and_spaces},
        {"crossings within English endings are those of all longer texts", english_endings},
        {"crossings after tokens that stay are those of all longer texts", after_tokens_that_stay},
        {"crossings within characters are those of all longer texts", within_characters},
        {"the settled text ends before the last word", settled_places},
        {"words before the settled place stay, whatever follows", settled_words_stay},
    };
    return CHECK_RUN(tests, argc, argv);
}
