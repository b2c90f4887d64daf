// SPDX-License-Identifier: MIT
// The stages that go by lists of tokens or by the history, at their borders: small rows and texts
// of which the answer is known.
#include "test_sampler_setup.h"

enum { N = 10 };

static float z[N], probs[N];

static void set_row(float value)
{
    for (size_t i = 0; i < N; i++)
        z[i] = value;
}

// The tokens that stay, as digits in ascending order.
static const char *kept_after(const int32_t *history, size_t n_history,
                              const struct tempera_stage *stages, size_t n_stages)
{
    static char kept[N + 1];
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, history, n_history);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state};
    struct tempera_sample_result result = probs_of_row(z, N, &row, probs);
    char *end = kept;
    for (int i = 0; i < N; i++)
        if (probs[i] > 0)
            *end++ = (char)('0' + i);
    *end = '\0';
    CHECK_EQ_U64(result.n_kept, strlen(kept));
    CHECK_STATUS(result.status, end > kept ? TEMPERA_OK : TEMPERA_ALL_MASKED);
    free(state);
    return kept;
}

// The same for a text given as digits.
static const char *kept_by(const char *text, struct tempera_stage stage)
{
    int32_t history[64];
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        history[i] = text[i] - '0';
    return kept_after(history, n, &stage, 1);
}

// ------------------------------------------------------------------------------------------------
// Lists

static void lists(void)
{
    static const int32_t ids[] = {7, 2, 2, 9, 7};
    set_row(0.5f);
    CHECK_EQ_STR(kept_by("", tempera_stage_allow(ids, 5)), "279");
    CHECK_EQ_STR(kept_by("", tempera_stage_allow(ids, 1)), "7");
    CHECK_EQ_STR(kept_by("", tempera_stage_allow(NULL, 0)), "");
    CHECK_EQ_STR(kept_by("", tempera_stage_ban(ids, 5)), "0134568");
    CHECK_EQ_STR(kept_by("", tempera_stage_ban(NULL, 0)), "0123456789");
    const struct tempera_stage both[] = {tempera_stage_allow(ids, 2), tempera_stage_ban(ids, 3),
                                         tempera_stage_top_p(0)};
    CHECK_EQ_STR(kept_after(NULL, 0, both, 1), "27");
    CHECK_EQ_STR(kept_after(NULL, 0, both, 2), ""); // and later stages don't act
    CHECK_EQ_STR(kept_after(NULL, 0, both, 3), "");
    // Lists don't bring back what something else removed, and the maximum may go.
    z[2] = 3;
    z[9] = -INFINITY;
    CHECK_EQ_STR(kept_by("", tempera_stage_allow(ids, 5)), "27");
    const struct tempera_stage then[] = {tempera_stage_ban(ids, 5), tempera_stage_min_p(1)};
    CHECK_EQ_STR(kept_after(NULL, 0, then, 2), "0134568");
    const struct tempera_stage after[] = {tempera_stage_temperature(0), tempera_stage_ban(ids, 2)};
    CHECK_EQ_STR(kept_after(NULL, 0, after, 2), "");
    const struct tempera_stage even[] = {tempera_stage_temperature(INFINITY),
                                         tempera_stage_allow(ids, 5)};
    CHECK_EQ_STR(kept_after(NULL, 0, even, 2), "27");
    const struct tempera_stage tiny[] = {tempera_stage_temperature(1e-40f),
                                         tempera_stage_ban(ids, 2)};
    CHECK_EQ_U64(run_stages(z, N, tiny, 2, 0).n_kept, 7);
}

// ------------------------------------------------------------------------------------------------
// N-grams

static void ngrams(void)
{
    set_row(0);
    const struct {
        const char *text;
        int32_t n, window;
        const char *kept;
    } cases[] = {
        {"", 2, 20, "0123456789"},       {"12312", 0, 20, "0123456789"}, // off
        {"12312", 2, 0, "0123456789"},                                   // off
        {"12312", 1, 20, "0456789"},                                     // none of the tokens again
        {"12312", 2, 20, "012456789"},                                   // not 3 behind 2 again
        {"12312", 3, 20, "012456789"},                                   // not 3 behind 12 again
        {"12312", 4, 20, "0123456789"},  {"12312", 4, 5, "0123456789"},
        {"12312", 3, 5, "012456789"}, // the window has to hold all of it
        {"12312", 3, 4, "0123456789"},   {"12312", 2, 4, "012456789"},
        {"12312", 2, 3, "0123456789"},   {"12312", 1, 2, "03456789"},
        {"777", 2, 20, "012345689"}, // with itself
        {"777", 3, 20, "012345689"},     {"777", 4, 20, "0123456789"},
        {"121314151", 2, 20, "016789"}, // all that stood behind 1
        {"121314151", 2, 6, "01236789"}, {"121314151", 1 << 30, 20, "0123456789"},
        {"0123456789", 1, 20, ""}, // nothing is left
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK_EQ_STR(
            kept_by(cases[i].text, tempera_stage_no_repeat_ngram(cases[i].n, cases[i].window)),
            cases[i].kept);
    // Without a state there is no history.
    CHECK_EQ_U64(run_stage(z, N, tempera_stage_no_repeat_ngram(1, 5), 0).n_kept, N);
}

// ------------------------------------------------------------------------------------------------
// What is refused

static void bad_parameters(void)
{
    static const int32_t negative[] = {3, -1};
    check_complaint(tempera_stage_allow(NULL, 1), "ids");
    check_complaint(tempera_stage_ban(NULL, 1), "ids");
    check_complaint(tempera_stage_allow(negative, 2), "negative");
    check_complaint(tempera_stage_ban(negative, 2), "negative");
    check_complaint(tempera_stage_no_repeat_ngram(-1, 5), "n-grams");
    check_complaint(tempera_stage_no_repeat_ngram(2, -1), "window");
    check_complaint(tempera_stage_no_repeat_ngram(2, (1 << 28) + 1), "window");
}

static void tokens_beyond_the_vocabulary(void)
{
    static const int32_t ids[] = {3, N, 2}, last[] = {N - 1};
    const struct tempera_stage bad[] = {tempera_stage_allow(ids, 3), tempera_stage_ban(ids, 3)};
    const struct tempera_stage good[] = {tempera_stage_allow(last, 1), tempera_stage_ban(last, 1)};
    set_row(0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tempera_sampler sampler = tempera_sampler_of(&bad[i], 1);
        struct tempera_sample_row row = {.sampler = &sampler};
        struct tempera_sample_result result = {.status = TEMPERA_TOKEN_OUT_OF_RANGE, .token = 55};
        struct tempera_matrix logits = tempera_matrix_f32(z, 1, N);
        size_t nbytes;
        void *scratch = new_scratch(&logits, &sampler, NULL, &nbytes);
        CHECK_STATUS(tempera_sample(&logits, &row, &result, scratch, nbytes, NULL),
                     TEMPERA_TOKEN_OUT_OF_RANGE);
        CHECK_EQ_INT(result.token, 55);
        free(scratch);
        CHECK_STATUS(run_stage(z, N, good[i], 0).status, TEMPERA_OK);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        {"allow and ban", lists},
        {"n-grams", ngrams},
        {"bad parameters are refused", bad_parameters},
        {"tokens beyond the vocabulary are refused", tokens_beyond_the_vocabulary},
    };
    return CHECK_RUN(tests);
}
