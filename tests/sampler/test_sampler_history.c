// SPDX-License-Identifier: MIT
// The stages that go by lists of tokens or by the history, at their borders: small rows and texts
// of which the answer is known.
#include "sampler_setup.h"

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
    int32_t history[64] = {0};
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
        {"12312", 2, 20, "012456789"},                                   // not 3 after 2 again
        {"12312", 3, 20, "012456789"},                                   // not 3 after 12 again
        {"12312", 4, 20, "0123456789"},  {"12312", 4, 5, "0123456789"},
        {"12312", 3, 5, "012456789"}, // the window has to hold all of it
        {"12312", 3, 4, "0123456789"},   {"12312", 2, 4, "012456789"},
        {"12312", 2, 3, "0123456789"},   {"12312", 1, 2, "03456789"},
        {"777", 2, 20, "012345689"}, // with itself
        {"777", 3, 20, "012345689"},     {"777", 4, 20, "0123456789"},
        {"121314151", 2, 20, "016789"}, // all that stood after 1
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
// DRY

// What a text costs each token: ln(p / p of the cheapest), with breakers given as digits.
static void costs_of(const char *text, struct tempera_stage stage, const char *breakers,
                     double *costs)
{
    int32_t history[64] = {0}, ids[N] = {0};
    size_t n = strlen(text), n_ids = strlen(breakers);
    for (size_t i = 0; i < n; i++)
        history[i] = text[i] - '0';
    for (size_t i = 0; i < n_ids; i++)
        ids[i] = breakers[i] - '0';
    stage.u.dry.breakers = (struct tempera_token_list){ids, n_ids};
    kept_after(history, n, &stage, 1);
    double least = INFINITY;
    for (size_t i = 0; i < N; i++)
        costs[i] = -log((double)probs[i]);
    for (size_t i = 0; i < N; i++)
        least = fmin(least, costs[i]);
    for (size_t i = 0; i < N; i++)
        costs[i] -= least;
}

static void dry(void)
{
    const struct {
        const char *text, *breakers;
        int32_t allowed, window;
        int token, length; // the one token that costs something, by a run of this length
    } cases[] = {
        {"", "", 1, 20, -1, 0},
        {"1", "", 1, 20, -1, 0},
        {"11", "", 1, 20, 1, 1},
        {"12312", "", 2, 20, 3, 2},
        {"12312", "", 3, 20, -1, 0}, // shorter than what costs
        {"12312", "", 1, 20, 3, 2},
        {"12312", "", 2, 0, -1, 0}, // off
        {"12312", "", 2, 5, 3, 2},
        {"12312", "", 2, 4, -1, 0}, // the window has to hold run and token
        {"12312", "", 1, 4, 3, 1},
        {"12312", "2", 1, 20, -1, 0}, // the last token breaks
        {"12312", "1", 2, 20, -1, 0}, // the run has one token since the breaker
        {"12312", "1", 1, 20, 3, 1},
        {"12312", "3", 2, 20, -1, 0}, // a breaker itself costs nothing
        {"12312", "45", 2, 20, 3, 2},
        {"112", "2", 1, 20, -1, 0},
        {"7777777", "", 2, 20, 7, 6}, // a run may overlap itself
        {"7777777", "", 2, 5, 7, 4},
        {"121212", "", 3, 20, 1, 4},
    };
    set_row(3);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double costs[N];
        costs_of(cases[i].text,
                 tempera_stage_dry(0.5f, 1.5f, cases[i].allowed, cases[i].window, NULL, 0),
                 cases[i].breakers, costs);
        for (int j = 0; j < N; j++) {
            double cost =
                j == cases[i].token ? 0.5 * pow(1.5, cases[i].length - cases[i].allowed) : 0;
            if (!CHECK_NEAR(costs[j], cost, 1e-5))
                printf("# %s, token %d\n", cases[i].text, j);
        }
    }
    // The longest run counts, for each token by itself.
    double costs[N];
    costs_of("12345123461234", tempera_stage_dry(0.5f, 1.5f, 2, 20, NULL, 0), "", costs);
    CHECK_NEAR(costs[5], 0.5 * 1.5 * 1.5, 1e-5);
    CHECK_NEAR(costs[6], 0.5 * 1.5 * 1.5, 1e-5);
    costs_of("3425123412634", tempera_stage_dry(0.5f, 1.5f, 2, 20, NULL, 0), "", costs);
    CHECK_NEAR(costs[2], 0.5, 1e-5);
    CHECK_NEAR(costs[1], 0.5, 1e-5);
    // In z / T, and off.
    const struct tempera_stage hot[] = {tempera_stage_temperature(4),
                                        tempera_stage_dry(0.5f, 1.5f, 2, 20, NULL, 0)};
    const int32_t again[] = {1, 2, 3, 1, 2};
    kept_after(again, 5, hot, 2);
    CHECK_NEAR(log((double)probs[0] / (double)probs[3]), 0.5, 1e-5);
    costs_of("12312", tempera_stage_dry(0, 1.5f, 2, 20, NULL, 0), "", costs);
    CHECK_NEAR(costs[3], 0, 0);
    // The power ends at the largest float, and nothing becomes infinite.
    const struct tempera_stage steep[] = {tempera_stage_dry(3e38f, 3e38f, 1, 20, NULL, 0),
                                          tempera_stage_temperature(INFINITY)};
    const int32_t sevens[] = {7, 7, 7, 7, 7, 7, 7};
    CHECK_EQ_STR(kept_after(sevens, 7, steep, 2), "0123456789");
    // A base of 1 costs the same at any length.
    costs_of("7777777", tempera_stage_dry(0.5f, 1, 2, 20, NULL, 0), "", costs);
    CHECK_NEAR(costs[7], 0.5, 1e-5);
    CHECK_EQ_U64(run_stage(z, N, tempera_stage_dry(0.5f, 1, 2, 20, NULL, 0), 0).n_kept, N);
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
    check_complaint(tempera_stage_dry(-1, 1, 1, 5, NULL, 0), "multiplier");
    check_complaint(tempera_stage_dry(INFINITY, 1, 1, 5, NULL, 0), "multiplier");
    check_complaint(tempera_stage_dry(1, 0.9f, 1, 5, NULL, 0), "base");
    check_complaint(tempera_stage_dry(1, NAN, 1, 5, NULL, 0), "base");
    check_complaint(tempera_stage_dry(1, INFINITY, 1, 5, NULL, 0), "base");
    check_complaint(tempera_stage_dry(1, 1, 0, 5, NULL, 0), "allowed");
    check_complaint(tempera_stage_dry(1, 1, 1, -5, NULL, 0), "window");
    check_complaint(tempera_stage_dry(1, 1, 1, 5, NULL, 1), "ids");
    check_complaint(tempera_stage_dry(1, 1, 1, 5, negative, 2), "negative");
    check_complaint(tempera_stage_no_repeat_ngram(-1, 5), "no-repeat-ngram: n must");
    check_complaint(tempera_stage_no_repeat_ngram(2, -1), "window");
    check_complaint(tempera_stage_no_repeat_ngram(2, (1 << 28) + 1), "window");
}

static void tokens_beyond_the_vocabulary(void)
{
    static const int32_t ids[] = {3, N, 2}, last[] = {N - 1};
    struct tempera_stage sparing = tempera_stage_xtc(1, 0.1f);
    sparing.u.xtc.spared = (struct tempera_token_list){ids, 3};
    const struct tempera_stage bad[] = {sparing, tempera_stage_allow(ids, 3),
                                        tempera_stage_ban(ids, 3),
                                        tempera_stage_dry(1, 1, 1, 5, ids, 3)};
    const struct tempera_stage good[] = {tempera_stage_allow(last, 1), tempera_stage_ban(last, 1),
                                         tempera_stage_dry(1, 1, 1, 5, last, 1)};
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
    }
    for (size_t i = 0; i < COUNT_OF(good); i++)
        CHECK_STATUS(run_stage(z, N, good[i], 0).status, TEMPERA_OK);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"allow keeps only listed tokens, ban removes them", lists},
        {"repeated n-grams are banned", ngrams},
        {"DRY is the formula", dry},
        {"bad parameters are refused", bad_parameters},
        {"tokens beyond the vocabulary are refused", tokens_beyond_the_vocabulary},
    };
    return CHECK_RUN(tests, argc, argv);
}
