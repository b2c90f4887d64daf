// SPDX-License-Identifier: MIT
// Explanations against what the public calls say of the same chain, cut off after each stage.
#include "sampler_setup.h"

#include <tempera/explain.h>
#include <tempera/softmax.h>

#include "base/half.h"

enum { MOST = 600, MOST_STAGES = 8 };

static float z[MOST], raw[MOST], distributions[MOST_STAGES + 1][MOST];
static uint64_t n_kept[MOST_STAGES + 1];
static struct tempera_stage_report stages[MOST_STAGES + 1];
static struct tempera_token_report tokens[MOST];
static int32_t ids[MOST];

static struct tempera_sample_result explain(size_t n, const struct tempera_sample_row *row,
                                            size_t n_tokens)
{
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, n);
    const struct tempera_explanation to = {sizeof to, stages, row->sampler->n_stages + 1,
                                           ids,       tokens, n_tokens};
    struct tempera_sample_result result;
    size_t nbytes = tempera_explain_scratch_nbytes(&logits, row->sampler);
    void *scratch = aligned_alloc(64, nbytes);
    memset(tokens, 0x55, sizeof tokens);
    enum tempera_status status = tempera_explain(&logits, row, &to, &result, scratch, nbytes);
    CHECK_STATUS(status, result.status);
    free(scratch);
    struct tempera_sample_result expected = sample_row(z, n, row);
    CHECK_MEM(&result, &expected, sizeof result);
    return result;
}

// The distribution after each number of stages.
static void cut_chains(size_t n, const struct tempera_sample_row *row)
{
    for (size_t s = 0; s <= row->sampler->n_stages; s++) {
        struct tempera_sampler sampler = tempera_sampler_of(row->sampler->stages, s);
        struct tempera_sample_row cut = *row;
        cut.sampler = &sampler;
        n_kept[s] = probs_of_row(z, n, &cut, distributions[s]).n_kept;
    }
    for (size_t i = 0; i < n; i++)
        raw[i] = distributions[0][i];
}

static void check_stage(size_t n, size_t s, double T)
{
    double entropy = 0, divergence = 0, removed = 0;
    const float *p = distributions[s];
    for (size_t i = 0; i < n; i++) {
        if (p[i] > 0) {
            entropy -= (double)p[i] * log((double)p[i]);
            divergence += (double)p[i] * log((double)p[i] / (double)raw[i]);
        } else if (s > 0) {
            removed += (double)distributions[s - 1][i];
        }
    }
    CHECK_EQ_U64(stages[s].n_left, n_kept[s]);
    CHECK_NEAR(stages[s].entropy, entropy, 2e-6 * (1 + entropy));
    CHECK_NEAR(stages[s].divergence, divergence, 2e-6 * (1 + divergence));
    CHECK_NEAR(stages[s].mass_removed, removed, 1e-6);
    CHECK(stages[s].mass_removed >= 0 && stages[s].divergence >= 0);
    CHECK_NEAR(stages[s].temperature, T, 1e-15 * T);
}

// The nearest of those that a stage kept, in the distribution before it.
static double nearest(size_t n, size_t s, int32_t token)
{
    const float *before = distributions[s], *after = distributions[s + 1];
    double least = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (after[i] > 0)
            least = fmin(least, fabs(log((double)before[i]) - log((double)before[token])));
    return least;
}

static void check_token(size_t n, const struct tempera_sample_row *row,
                        const struct tempera_token_report *report)
{
    size_t s = 0, n_stages = row->sampler->n_stages, token = (size_t)report->token, rank = 1;
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.mask = row->mask;
    static float logprobs[MOST];
    struct tempera_matrix in = tempera_matrix_f32(z, 1, n),
                          out = tempera_matrix_f32(logprobs, 1, n);
    tempera_log_softmax(&in, &options, &out, NULL, NULL);
    CHECK_MEM(&report->raw_logprob, &logprobs[token], sizeof(float));
    if (raw[token] == 0) {
        CHECK_EQ_INT(report->removed_by, TEMPERA_TOKEN_MASKED);
        CHECK(report->missed_by == 0 && report->raw_rank == 0 &&
              report->final_logprob == -INFINITY);
        return;
    }
    for (size_t i = 0; i < n; i++)
        rank += raw[i] > 0 && (z[i] > z[token] || (z[i] == z[token] && i < token));
    CHECK_EQ_U64(report->raw_rank, rank);
    while (s < n_stages && distributions[s + 1][token] > 0)
        s++;
    if (s == n_stages) {
        CHECK_EQ_INT(report->removed_by, TEMPERA_TOKEN_STAYED);
        CHECK(report->missed_by == 0);
        CHECK_NEAR(report->final_logprob, log((double)distributions[s][token]), 1e-5);
        return;
    }
    CHECK_EQ_INT(report->removed_by, (intmax_t)s);
    CHECK(report->final_logprob == -INFINITY);
    enum tempera_stage_kind kind = row->sampler->stages[s].kind;
    if (kind == TEMPERA_STAGE_LOGIT_BIAS || kind == TEMPERA_STAGE_BAN ||
        kind == TEMPERA_STAGE_ALLOW || kind == TEMPERA_STAGE_NO_REPEAT_NGRAM)
        CHECK(report->missed_by == INFINITY);
    else
        CHECK_NEAR(report->missed_by, nearest(n, s, report->token), 1e-5);
}

static void chains(void)
{
    const struct tempera_logit_bias bias[] = {{3, 1.5f}, {4, -INFINITY}, {11, -2}};
    const struct tempera_stage chain[] = {
        tempera_stage_logit_bias(bias, 3), tempera_stage_top_k(300),
        tempera_stage_temperature(0.7f),   tempera_stage_typical(0.95f),
        tempera_stage_top_p(0.9f),         tempera_stage_xtc(1, 0.01f),
        tempera_stage_temperature(2),      tempera_stage_min_p(0.4f)};
    const double T[] = {1,
                        1,
                        1,
                        (double)0.7f,
                        (double)0.7f,
                        (double)0.7f,
                        (double)0.7f,
                        2 * (double)0.7f,
                        2 * (double)0.7f};
    static const uint32_t mask[MOST / 32 + 1] = {0xF0F0F0FF, 0, 0xFFFFFFFF, 7, 0xFFFF, 0xFFFFFFFF};
    for (unsigned round = 0; round < 60; round++) {
        size_t n = 20 + check_random_below(MOST - 19);
        for (size_t i = 0; i < n; i++) {
            z[i] = round % 2 ? (float)check_random_below(12) * 0.5f
                             : (float)check_random_between(-4, 4);
            ids[i] = (int32_t)((i * 7) % n);
        }
        struct tempera_sampler sampler = tempera_sampler_of(chain, round % 9);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round, .want = round % 4};
        if (round % 3 == 1) {
            row.mask = mask;
            row.mask_nbits = MOST;
        }
        explain(n, &row, n);
        cut_chains(n, &row);
        for (size_t s = 0; s <= sampler.n_stages; s++)
            check_stage(n, s, T[s]);
        CHECK(stages[0].mass_removed == 0 && stages[0].divergence == 0);
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ_INT(tokens[i].token, ids[i]);
            check_token(n, &row, &tokens[i]);
        }
    }
}

// Lists, the history, and stages that learn and change scores as they filter.
static void bans_and_learning(void)
{
    static const int32_t banned[] = {7, 9, 7}, history[] = {1, 2, 3, 1, 2};
    int32_t allowed[150];
    for (size_t i = 0; i < COUNT_OF(allowed); i++)
        allowed[i] = (int32_t)i * 2 % 199;
    const struct tempera_stage chain[] = {
        tempera_stage_ban(banned, 3),           tempera_stage_no_repeat_ngram(3, 5),
        tempera_stage_allow(allowed, 150),      tempera_stage_dry(0.8f, 1.75f, 1, 5, NULL, 0),
        tempera_stage_penalties(1.3f, 0, 0, 5), tempera_stage_mirostat_2(4, 0.2f)};
    for (unsigned round = 0; round < 20; round++) {
        size_t n = 200;
        struct tempera_sampler sampler = tempera_sampler_of(chain, 1 + round % 6);
        struct tempera_sampler whole = tempera_sampler_of(chain, 6);
        struct tempera_sampler_state *state = new_state(&whole, history, 5);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round, .state = state};
        for (size_t i = 0; i < n; i++) {
            z[i] = (float)check_random_between(-4, 4);
            ids[i] = (int32_t)i;
        }
        explain(n, &row, n);
        cut_chains(n, &row);
        for (size_t s = 0; s <= sampler.n_stages; s++)
            check_stage(n, s, 1);
        for (size_t i = 0; i < n; i++)
            check_token(n, &row, &tokens[i]);
        CHECK_EQ_INT(tokens[9].removed_by, 0);
        CHECK_EQ_INT(tokens[3].removed_by, sampler.n_stages > 1 ? 1 : TEMPERA_TOKEN_STAYED);
        free(state);
    }
    // The result says what adaptive-p will have learned, as it does without an explanation.
    const struct tempera_stage adaptive = tempera_stage_adaptive_p(0.3f, 0.9f);
    struct tempera_sampler sampler = tempera_sampler_of(&adaptive, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .seed = 3};
    CHECK(explain(200, &row, 5).level > 0);
}

static void known_numbers(void)
{
    const float row_z[] = {0, 1, 3, 3, 2};
    const struct tempera_stage chain[] = {tempera_stage_temperature(0.5f), tempera_stage_top_k(1)};
    struct tempera_sampler sampler = tempera_sampler_of(chain, 2);
    struct tempera_sample_row row = {.sampler = &sampler};
    memcpy(z, row_z, sizeof row_z);
    for (int32_t i = 0; i < 5; i++)
        ids[i] = i;
    CHECK_EQ_INT(explain(5, &row, 5).token, 2);
    static const double missed[] = {6, 4, 0, 0, 2};
    static const uint64_t ranks[] = {5, 4, 1, 2, 3};
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ_INT(tokens[i].removed_by, i == 2 ? TEMPERA_TOKEN_STAYED : 1);
        CHECK(tokens[i].missed_by == missed[i]); // the other 3 is a tie, cut by its id
        CHECK_EQ_U64(tokens[i].raw_rank, ranks[i]);
    }
    CHECK_EQ_U64(stages[2].n_left, 1);
    CHECK(stages[2].entropy == 0);
    CHECK_NEAR(stages[2].divergence, log(2 + exp(-1) + exp(-2) + exp(-3)), 1e-9);
}

// Extreme temperatures, scores of +inf.
static void edges(void)
{
    const struct tempera_stage chain[] = {tempera_stage_temperature(0),
                                          tempera_stage_temperature(2)};
    struct tempera_sampler sampler = tempera_sampler_of(chain, 2);
    struct tempera_sample_row row = {.sampler = &sampler};
    const float row_z[] = {1, 5, 5, -INFINITY};
    memcpy(z, row_z, sizeof row_z);
    for (int32_t i = 0; i < 4; i++)
        ids[i] = i;
    explain(4, &row, 4);
    CHECK(stages[1].temperature == 0 && stages[2].temperature == 0);
    CHECK_EQ_INT(tokens[0].removed_by, 0);
    CHECK(tokens[0].missed_by == 4 && tokens[2].missed_by == 0);
    CHECK_EQ_INT(tokens[1].removed_by, TEMPERA_TOKEN_STAYED);
    CHECK(tokens[1].final_logprob == 0);
    CHECK_EQ_INT(tokens[3].removed_by, TEMPERA_TOKEN_MASKED);
    sampler.n_stages = 0;
    z[0] = z[3] = INFINITY;
    explain(4, &row, 4);
    CHECK_EQ_U64(stages[0].n_left, 2);
    CHECK_NEAR(stages[0].entropy, log(2), 1e-9);
    CHECK(stages[0].divergence == 0);
    CHECK_EQ_INT(tokens[1].removed_by, TEMPERA_TOKEN_MASKED);
    CHECK_EQ_U64(tokens[3].raw_rank, 2);
}

static void no_token(void)
{
    const struct tempera_logit_bias all[] = {{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}};
    const struct tempera_stage chain[] = {tempera_stage_top_k(2), tempera_stage_logit_bias(all, 3),
                                          tempera_stage_top_p(0.5f)};
    struct tempera_sampler sampler = tempera_sampler_of(chain, 3);
    struct tempera_sample_row row = {.sampler = &sampler};
    for (size_t i = 0; i < 3; i++) {
        z[i] = (float)i;
        ids[i] = (int32_t)i;
    }
    CHECK_STATUS(explain(3, &row, 3).status, TEMPERA_ALL_MASKED);
    CHECK_EQ_U64(stages[1].n_left, 2);
    CHECK_EQ_U64(stages[2].n_left, 0);
    CHECK(stages[2].mass_removed == 1 && stages[2].entropy == 0);
    CHECK(stages[3].mass_removed == 0 && stages[3].n_left == 0);
    CHECK_EQ_INT(tokens[0].removed_by, 0);
    CHECK_EQ_INT(tokens[2].removed_by, 1);
    CHECK(tokens[2].missed_by == INFINITY && tokens[2].final_logprob == -INFINITY);
    z[1] = NAN;
    CHECK_STATUS(explain(3, &row, 3).status, TEMPERA_NAN_INPUT);
    CHECK(stages[0].n_left == 0 && stages[0].temperature == 0);
    CHECK_EQ_INT(tokens[2].removed_by, TEMPERA_TOKEN_MASKED);
    CHECK(isnan(tokens[2].raw_logprob));
    row.mask = &(uint32_t){8};
    row.mask_nbits = 3;
    CHECK_STATUS(explain(3, &row, 3).status, TEMPERA_ALL_MASKED);
    CHECK(tokens[0].raw_logprob == -INFINITY);
}

// A row of 16 bits, and a report beside the explanation.
static void of_16_bits(void)
{
    uint16_t half[64];
    struct tempera_stage stage = tempera_stage_top_p(0.6f);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_token_logprob top[2][5];
    struct tempera_logprobs report = {sizeof report, NULL, 0, NULL, 5, 0, top[0], 0};
    struct tempera_sample_row row = {.sampler = &sampler, .logprobs = &report};
    for (size_t i = 0; i < 64; i++) {
        half[i] = tempera_f32_to_bf16((float)check_random_between(-4, 4));
        z[i] = tempera_bf16_to_f32(half[i]);
        ids[i] = (int32_t)i;
    }
    struct tempera_sample_result expected = explain(64, &row, 64), result;
    struct tempera_stage_report in_f32[2];
    memcpy(in_f32, stages, sizeof in_f32);
    struct tempera_matrix logits = {half, TEMPERA_BF16, 1, 64, 64};
    size_t nbytes = tempera_explain_scratch_nbytes(&logits, &sampler);
    void *scratch = aligned_alloc(64, nbytes);
    const struct tempera_explanation to = {sizeof to, stages, 2, NULL, NULL, 0};
    report.top = top[1];
    CHECK_STATUS(tempera_explain(&logits, &row, &to, &result, scratch, nbytes), TEMPERA_OK);
    CHECK_MEM(&result, &expected, sizeof result);
    CHECK_MEM(stages, in_f32, sizeof in_f32);
    CHECK_MEM(top[1], top[0], sizeof top[0]);
    free(scratch);
}

// A call with everything in order; a test spoils one thing and then calls check_refused.
struct call {
    struct tempera_matrix logits;
    struct tempera_sample_row row;
    struct tempera_explanation to;
    struct tempera_sample_result *result;
    size_t scratch_lacks; // bytes
    const struct call *good;
};

// Then everything is in order again.
static void check_refused(struct call *c, enum tempera_status expected)
{
    static unsigned char untouched[sizeof stages];
    memset(untouched, 0x55, sizeof untouched);
    memset(stages, 0x55, sizeof stages);
    memset(tokens, 0x55, sizeof tokens);
    size_t nbytes = 4096 * 8;
    if (c->scratch_lacks > 0)
        nbytes = tempera_explain_scratch_nbytes(&c->logits, c->row.sampler) - c->scratch_lacks;
    void *scratch = aligned_alloc(64, 4096 * 8);
    CHECK_STATUS(tempera_explain(&c->logits, &c->row, &c->to, c->result, scratch, nbytes),
                 expected);
    CHECK_MEM(stages, untouched, sizeof stages);
    CHECK_MEM(tokens, untouched, sizeof stages);
    free(scratch);
    *c = *c->good;
}

static void bad_arguments(void)
{
    static const struct tempera_stage chain = {.kind = TEMPERA_STAGE_TOP_K};
    const struct tempera_sampler sampler = tempera_sampler_of(&chain, 1);
    struct tempera_sample_result result, untouched;
    const struct call good = {.logits = tempera_matrix_f32(z, 1, 10),
                              .row = {.sampler = &sampler},
                              .to = {sizeof good.to, stages, 2, ids, tokens, 3},
                              .result = &result,
                              .good = &good};
    struct call c = good;
    memset(&result, 0x55, sizeof result);
    memset(&untouched, 0x55, sizeof untouched);
    ids[0] = ids[1] = ids[2] = 1;
    c.logits.rows = 2;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.rows = 0;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.logits.data = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.row.sampler = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.row.reserved = 1;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.result = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.struct_size--;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.n_stages = 1;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.n_stages = 3;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.stages = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.token_ids = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.tokens = NULL;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.n_tokens = SIZE_MAX / 4;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.stages = (void *)tokens;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.stages = (void *)z;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.to.tokens = (void *)ids;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.result = (void *)&c.to;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.result = (void *)stages;
    check_refused(&c, TEMPERA_INVALID_ARGUMENT);
    c.scratch_lacks = 1;
    check_refused(&c, TEMPERA_BUFFER_TOO_SMALL);
    ids[2] = 10;
    check_refused(&c, TEMPERA_TOKEN_OUT_OF_RANGE);
    CHECK_MEM(&result, &untouched, sizeof result);
    CHECK_EQ_SIZE(tempera_explain_scratch_nbytes(NULL, &sampler), 0);
    CHECK_EQ_SIZE(tempera_explain_scratch_nbytes(&c.logits, NULL), 0);
    CHECK_STATUS(tempera_explain(NULL, &c.row, &c.to, &result, NULL, 0), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_explain(&c.logits, NULL, &c.to, &result, NULL, 0),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_explain(&c.logits, &c.row, NULL, &result, NULL, 0),
                 TEMPERA_INVALID_ARGUMENT);
    c.logits.rows = 0;
    CHECK_EQ_SIZE(tempera_explain_scratch_nbytes(&c.logits, &sampler), 0);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"reports are those of chains cut off after each stage", chains},
        {"bans and feedback are reported", bans_and_learning},
        {"known rows give known numbers", known_numbers},
        {"edge cases are reported", edges},
        {"rows without a token are reported", no_token},
        {"rows of 16 bits give the reports of f32", of_16_bits},
        {"bad arguments are refused", bad_arguments},
    };
    return CHECK_RUN(tests, argc, argv);
}
