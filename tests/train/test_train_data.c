// SPDX-License-Identifier: MIT
// Which tokens a training sees: the held-out split, the windows of a step, and that every token
// is seen equally often.
#include <tempera/loss.h>
#include <tempera/tokenizer.h>

#include "check.h"
#include "train/data.h"

enum { CONTEXT = 16 };

static struct tempera_tokenizer *bytes_tokenizer(void)
{
    struct tempera_tokenizer *tokenizer = NULL;
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
    return tokenizer;
}

// A text in which no 16 bytes come twice, so that every window can be found.
static char *random_text(size_t n)
{
    char *text = malloc(n);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)check_random();
    return text;
}

static struct tempera_data open_data(const char *text, size_t n, uint64_t seed)
{
    struct tempera_tokenizer *tokenizer = bytes_tokenizer();
    struct tempera_corpus corpus = {.text = text, .nbytes = n};
    struct tempera_data data;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, CONTEXT, seed, NULL), TEMPERA_OK);
    tempera_tokenizer_close(&tokenizer);
    return data;
}

static void every_twentieth_block_is_held_out(void)
{
    size_t n = 70 * CONTEXT + 5;
    char *text = random_text(n);
    struct tempera_tokenizer *tokenizer = bytes_tokenizer();
    struct tempera_data data = open_data(text, n, 1);
    CHECK_EQ_SIZE(data.n_heldout, 3 * CONTEXT);
    CHECK_EQ_U64(data.heldout_nbytes, 3 * CONTEXT);
    CHECK_EQ_SIZE(data.n_stream, n - 3 * CONTEXT + 4);
    size_t n_held = 0, n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id;
        size_t n_ids;
        tempera_tokenizer_encode(tokenizer, text + i, 1, &id, 1, &n_ids);
        if (i / CONTEXT % 20 == 19) {
            CHECK_EQ_INT(data.heldout[n_held++], id);
            continue;
        }
        if (i % (20 * CONTEXT) == 0) // after each gap, and at the start
            CHECK_EQ_INT(data.stream[n_kept++], data.bos);
        CHECK_EQ_INT(data.stream[n_kept++], id);
    }
    CHECK_EQ_SIZE(n_kept, data.n_stream);
    tempera_data_close(&data);
    tempera_tokenizer_close(&tokenizer);
    free(text);
}

// A held-out block never shows in a window: with a text whose held-out bytes are unlike all
// others, no token of theirs is among the inputs or the targets of many steps.
static void held_out_text_is_never_seen(void)
{
    size_t n = 200 * CONTEXT;
    char *text = malloc(n);
    for (size_t i = 0; i < n; i++)
        text[i] = i / CONTEXT % 20 == 19 ? '#' : 'a';
    struct tempera_data data = open_data(text, n, 3);
    CHECK_EQ_SIZE(data.n_heldout, 10 * CONTEXT);
    int32_t banned = data.heldout[0], tokens[4 * CONTEXT], targets[4 * CONTEXT];
    size_t n_seen = 0;
    for (uint64_t step = 0; step < 500; step++) {
        tempera_data_batch(&data, step, 4, tokens, targets);
        for (size_t i = 0; i < 4 * CONTEXT; i++)
            n_seen += tokens[i] == banned || targets[i] == banned;
    }
    CHECK_EQ_SIZE(n_seen, 0);
    tempera_data_close(&data);
    free(text);
}

static void a_short_text_is_kept_whole(void)
{
    size_t n = 60 * CONTEXT - 1;
    char *text = random_text(n + 1);
    struct tempera_data data = open_data(text, n, 1);
    CHECK_EQ_SIZE(data.n_heldout, 0);
    CHECK_EQ_SIZE(data.n_stream, n + 1);
    tempera_data_close(&data);
    data = open_data(text, n + 1, 1);
    CHECK_EQ_SIZE(data.n_heldout, 3 * CONTEXT);
    tempera_data_close(&data);
    free(text);
}

static void a_given_held_out_text_is_used(void)
{
    struct tempera_tokenizer *tokenizer = bytes_tokenizer();
    size_t n = 100 * CONTEXT;
    char *text = random_text(n);
    struct tempera_corpus corpus = {
        .text = text, .nbytes = n, .heldout = "Humpty Dumpty", .heldout_nbytes = 13};
    struct tempera_data data;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, CONTEXT, 0, NULL), TEMPERA_OK);
    CHECK_EQ_SIZE(data.n_stream, n + 1);
    CHECK_EQ_SIZE(data.n_heldout, 13);
    CHECK_EQ_U64(data.heldout_nbytes, 13);
    tempera_data_close(&data);
    corpus.heldout_nbytes = 0;
    struct tempera_error error;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, CONTEXT, 0, &error),
                 TEMPERA_TEXT_TOO_SHORT);
    CHECK(strstr(error.message, "held-out") != NULL);
    tempera_tokenizer_close(&tokenizer);
    free(text);
}

static void too_short_a_text_says_what_is_needed(void)
{
    struct tempera_tokenizer *tokenizer = bytes_tokenizer();
    struct tempera_corpus corpus = {.text = "twelve bytes", .nbytes = 12};
    struct tempera_data data;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, 13, 0, &error),
                 TEMPERA_TEXT_TOO_SHORT);
    CHECK(strstr(error.message, "12 tokens") != NULL && strstr(error.message, "13") != NULL &&
          strstr(error.message, "context") != NULL);
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, 12, 0, &error), TEMPERA_OK);
    tempera_data_close(&data);
    corpus.nbytes = 0;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, 1, 0, &error),
                 TEMPERA_TEXT_TOO_SHORT);
    corpus.text = NULL;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, 1, 0, &error),
                 TEMPERA_TEXT_TOO_SHORT);
    tempera_tokenizer_close(&tokenizer);
}

// Position in the stream of every input, found by looking: windows are runs of the ring.
static size_t find_run(const struct tempera_data *data, const int32_t *tokens)
{
    for (size_t at = 0; at < data->n_stream; at++) {
        size_t t = 0;
        while (t < CONTEXT && data->stream[(at + t) % data->n_stream] == tokens[t])
            t++;
        if (t == CONTEXT)
            return at;
    }
    return SIZE_MAX;
}

static void an_epoch_sees_every_token_at_most_once(void)
{
    size_t n = 70 * CONTEXT + 5;
    char *text = random_text(n);
    struct tempera_data data = open_data(text, n, 7);
    size_t *seen = calloc(data.n_stream, sizeof *seen);
    int32_t tokens[CONTEXT], targets[CONTEXT];
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        for (size_t i = 0; i < data.n_stream; i++)
            seen[i] = 0;
        for (size_t w = 0; w < data.n_windows; w++) {
            tempera_data_batch(&data, epoch * data.n_windows + w, 1, tokens, targets);
            size_t at = find_run(&data, tokens);
            if (!CHECK(at != SIZE_MAX))
                break;
            for (size_t t = 0; t < CONTEXT; t++) {
                seen[(at + t) % data.n_stream]++;
                size_t next = (at + t + 1) % data.n_stream;
                int32_t expected = next == 0                       ? data.eos
                                   : data.stream[next] == data.bos ? TEMPERA_IGNORE_INDEX
                                                                   : data.stream[next];
                CHECK_EQ_INT(targets[t], expected);
            }
        }
        size_t total = 0, most = 0;
        for (size_t i = 0; i < data.n_stream; i++) {
            total += seen[i];
            most = seen[i] > most ? seen[i] : most;
        }
        CHECK_EQ_SIZE(most, 1);
        CHECK_EQ_SIZE(total, data.n_windows * CONTEXT);
        CHECK(data.n_stream - total < CONTEXT);
    }
    free(seen);
    tempera_data_close(&data);
    free(text);
}

static void a_step_depends_on_seed_and_number_alone(void)
{
    size_t n = 50 * CONTEXT + 3;
    char *text = random_text(n);
    struct tempera_data a = open_data(text, n, 5), b = open_data(text, n, 5);
    struct tempera_data c = open_data(text, n, 6);
    enum { B = 7 };
    int32_t x[2][B * CONTEXT], y[2][B * CONTEXT];
    size_t n_same = 0;
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t step = check_random_below(1000000); // in any order, far from the start
        tempera_data_batch(&a, step, B, x[0], y[0]);
        tempera_data_batch(&b, 12, B, x[1], y[1]);
        tempera_data_batch(&b, step, B, x[1], y[1]);
        CHECK_MEM(x[0], x[1], sizeof x[0]);
        CHECK_MEM(y[0], y[1], sizeof y[0]);
        tempera_data_batch(&c, step, B, x[1], y[1]);
        n_same += memcmp(x[0], x[1], sizeof x[0]) == 0;
    }
    CHECK_EQ_SIZE(n_same, 0);
    tempera_data_close(&a);
    tempera_data_close(&b);
    tempera_data_close(&c);
    free(text);
}

// A text of one context is one window, turned to another offset in every epoch.
static void the_shortest_text_is_seen_from_every_offset(void)
{
    char text[] = "abcdefghijklmnop";
    struct tempera_data data = open_data(text, CONTEXT, 1);
    CHECK_EQ_SIZE(data.n_windows, 1);
    bool began[CONTEXT + 1] = {false};
    int32_t tokens[CONTEXT], targets[CONTEXT];
    for (uint64_t step = 0; step < 400; step++) {
        tempera_data_batch(&data, step, 1, tokens, targets);
        began[find_run(&data, tokens)] = true;
    }
    for (size_t i = 0; i <= CONTEXT; i++)
        CHECK(began[i]);
    tempera_data_close(&data);
}

// Documents end in a token that is learned, wherever they end; the places where a block is missing
// are still not.
static void documents_end_in_a_token(void)
{
    enum { N = 70 * CONTEXT + 5 };
    char *text = random_text(N);
    const size_t borders[] = {1, 40, 41, 19 * CONTEXT + 3, N};
    const size_t n_borders = COUNT_OF(borders);
    struct tempera_tokenizer *tokenizer = bytes_tokenizer();
    struct tempera_corpus corpus = {
        .text = text, .nbytes = N, .borders = borders, .n_borders = n_borders};
    struct tempera_data data;
    CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, CONTEXT, 1, NULL), TEMPERA_OK);
    const int32_t end = tempera_tokenizer_eos(tokenizer);
    size_t n_held_ends = 0, n_seams = 0, n_targets = 0, n_ignored = 0;
    for (size_t i = 0; i < data.n_heldout; i++)
        n_held_ends += data.heldout[i] == end;
    CHECK_EQ_SIZE(n_held_ends, 1); // the fourth: block 19 is held out
    CHECK_EQ_U64(data.heldout_nbytes, data.n_heldout - 1);
    CHECK_EQ_SIZE(data.n_ends, n_borders - 1);
    for (size_t i = 0; i < data.n_stream; i++)
        n_seams += data.stream[i] == end;
    n_seams -= data.n_ends;
    CHECK_EQ_SIZE(n_seams, 1 + 3); // the beginning, and after each held-out block
    CHECK(data.stream[0] == end && data.stream[2] == end && data.ends[0] == 2);
    for (uint64_t step = 0; step < data.n_windows; step++) { // each window once
        int32_t tokens[CONTEXT], targets[CONTEXT];
        tempera_data_batch(&data, step, 1, tokens, targets);
        for (size_t t = 0; t < CONTEXT; t++) {
            n_targets += targets[t] == end;
            n_ignored += targets[t] == TEMPERA_IGNORE_INDEX;
        }
    }
    CHECK(n_targets + 1 >= data.n_ends && n_targets <= data.n_ends + 1); // and the ring's end
    CHECK(n_ignored <= n_seams - 1);
    tempera_data_close(&data);
    const size_t bad[][2] = {{5, 4}, {7, N + 1}};
    for (size_t i = 0; i < 2; i++) {
        corpus.borders = bad[i];
        corpus.n_borders = 2;
        CHECK_STATUS(tempera_data_open(&data, tokenizer, &corpus, CONTEXT, 1, NULL),
                     TEMPERA_INVALID_ARGUMENT);
    }
    tempera_tokenizer_close(&tokenizer);
    free(text);
}

// No token reaches across a border.
static void documents_are_encoded_apart(void)
{
    static const char text[] = "the king the king the king the king the kingthe king the king";
    struct tempera_tokenizer *tokenizer = NULL;
    CHECK_STATUS(tempera_tokenizer_train(&tokenizer, text, sizeof text - 1, 262, NULL), TEMPERA_OK);
    const size_t border = 6; // "the ki" and "ng ..."
    int32_t *ids, expected[64];
    size_t n_ids, n_first, n_second;
    CHECK_STATUS(tempera_data_encode(tokenizer, text, 20, &border, 1, &ids, &n_ids), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_encode(tokenizer, text, 6, expected, 64, &n_first), TEMPERA_OK);
    expected[n_first++] = tempera_tokenizer_eos(tokenizer);
    CHECK_STATUS(
        tempera_tokenizer_encode(tokenizer, text + 6, 14, expected + n_first, 40, &n_second),
        TEMPERA_OK);
    CHECK_EQ_SIZE(n_ids, n_first + n_second);
    CHECK_MEM(ids, expected, n_ids * sizeof *ids);
    free(ids);
    tempera_tokenizer_close(&tokenizer);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"every twentieth block is held out", every_twentieth_block_is_held_out},
        {"held-out text is never seen", held_out_text_is_never_seen},
        {"a short text is kept whole", a_short_text_is_kept_whole},
        {"a given held-out text is used", a_given_held_out_text_is_used},
        {"too short a text says what is needed", too_short_a_text_says_what_is_needed},
        {"an epoch sees every token at most once", an_epoch_sees_every_token_at_most_once},
        {"a step depends on seed and number alone", a_step_depends_on_seed_and_number_alone},
        {"the shortest text is seen from every offset",
         the_shortest_text_is_seen_from_every_offset},
        {"documents end in a token that is learned", documents_end_in_a_token},
        {"documents are encoded apart", documents_are_encoded_apart},
    };
    return CHECK_RUN(tests, argc, argv);
}
