// SPDX-License-Identifier: MIT
// Log-probabilities: raw and tempered are the bits of tempera_log_softmax, final ones those of the
// distribution; reports of named tokens and of the most likely against a sorted row.
#include "sampler_setup.h"

#include <tempera/softmax.h>

#include "base/half.h"

enum { MOST = 9000, TOP = 700 };

static float z[MOST], raw[MOST], tempered[MOST], probs[MOST];
static struct tempera_token_logprob named[MOST], top[TOP + 1];

static void log_softmax(size_t n, const struct tempera_sample_row *row, float T, float *out)
{
    struct tempera_softmax_options options = tempera_softmax_options_default();
    options.temperature = T;
    uint32_t mask[MOST / 32 + 1] = {0};
    for (size_t i = 0; row->mask != NULL && i < n && i < row->mask_nbits; i++)
        mask[i / 32] |= (row->mask[i / 32] >> i % 32 & 1) << i % 32;
    options.mask = row->mask == NULL ? NULL : mask;
    struct tempera_matrix in = tempera_matrix_f32(z, 1, n), to = tempera_matrix_f32(out, 1, n);
    CHECK_STATUS(tempera_log_softmax(&in, &options, &to, NULL, NULL), TEMPERA_OK);
}

static size_t first_maximum(size_t n)
{
    size_t first = 0;
    for (size_t i = 1; i < n; i++)
        if (raw[i] > raw[first])
            first = i;
    return first;
}

static const float *order_values; // qsort has no context argument in C11

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (order_values[x] != order_values[y])
        return order_values[x] < order_values[y] ? 1 : -1;
    return x < y ? -1 : 1;
}

static void check_entry(const struct tempera_token_logprob *entry, int32_t token)
{
    CHECK_EQ_INT(entry->token, token);
    CHECK_MEM(&entry->raw, &raw[token], sizeof(float));
    CHECK_MEM(&entry->tempered, &tempered[token], sizeof(float));
    // A mass is at least 2^50 p and was rounded to an integer.
    double p = (double)probs[token], exact = log(p);
    if (p > 0)
        CHECK_NEAR(entry->final, exact, 3e-7 * (1 - exact) + 0x1p-50 / p);
    else
        CHECK(entry->final == -INFINITY);
}

// All tokens by name, and the first `max_top`, against the whole row sorted.
static void check_report(size_t n, struct tempera_sample_row row, float T, size_t max_top,
                         enum tempera_logprob_order order)
{
    static int32_t ids[MOST];
    static float final[MOST];
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)(n - 1 - i);
    log_softmax(n, &row, 1, raw);
    log_softmax(n, &row, T, tempered);
    size_t first = first_maximum(n);
    for (size_t i = 0; T == 0 && i < n; i++)
        tempered[i] = i == first ? 0 : -INFINITY;
    struct tempera_logprobs report = {sizeof report, ids, n, named, max_top, order, top, 77};
    row.logprobs = &report;
    row.want = TEMPERA_WANT_RAW_LOGPROB | TEMPERA_WANT_TEMPERED_LOGPROB;
    struct tempera_sample_result result = probs_of_row(z, n, &row, probs);
    CHECK_MEM(&result.raw_logprob, &raw[result.token], sizeof(float));
    CHECK_MEM(&result.tempered_logprob, &tempered[result.token], sizeof(float));
    for (size_t i = 0; i < n; i++) {
        check_entry(&named[i], ids[i]);
        final[ids[i]] = named[i].final;
        if (ids[i] == result.token)
            CHECK_MEM(&named[i].final, &result.logprob, sizeof(float));
    }
    order_values = order == TEMPERA_LOGPROB_ORDER_RAW ? raw : final;
    qsort(ids, n, sizeof *ids, by_value);
    size_t n_there = 0;
    while (n_there < n && n_there < max_top && order_values[ids[n_there]] > -INFINITY)
        n_there++;
    CHECK_EQ_SIZE(report.n_top, n_there);
    for (size_t i = 0; i < n_there; i++)
        check_entry(&top[i], ids[i]);
}

static void fill(size_t n, unsigned kind)
{
    for (size_t i = 0; i < n; i++)
        z[i] = kind % 4 == 0   ? (float)check_random_between(-8, 8)
               : kind % 4 == 1 ? (float)check_random_below(6)
               : kind % 4 == 2 ? (float)i * 0.001f
                               : (float)check_random_between(-200, 0);
    for (size_t i = 0; kind % 5 == 3 && i < n; i += 3)
        z[i] = i % 2 ? -INFINITY : -0.0f;
}

static void reports(void)
{
    const struct tempera_stage stages[] = {
        tempera_stage_temperature(0.7f), tempera_stage_top_k(300),   tempera_stage_min_p(0.001f),
        tempera_stage_temperature(1.5f), tempera_stage_top_p(0.99f), tempera_stage_temperature(0)};
    // the products, in double, as f32
    const float T[] = {
        1, 0.7f, 0.7f, 0.7f, (float)((double)0.7f * 1.5), (float)((double)0.7f * 1.5), 0};
    static const uint32_t mask[MOST / 32 + 1] = {0xF0F0F0F1, 0, 0xFFFFFFFF, 7, 0xFFFF};
    static const size_t sizes[] = {1, 2, 33, 130, 1000, 4096, 4097, 9000};
    static const size_t tops[] = {0, 1, 2, 5, 20, TOP};
    for (unsigned round = 0; round < 160; round++) {
        size_t n = sizes[round % COUNT_OF(sizes)], n_stages = check_random_below(7);
        struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round};
        if (round % 3 == 2) {
            row.mask = mask;
            row.mask_nbits = round % 2 ? 140 : MOST;
        }
        fill(n, round);
        z[0] = 1;
        check_report(n, row, T[n_stages], tops[check_random_below(COUNT_OF(tops))],
                     round % 7 < 4 ? TEMPERA_LOGPROB_ORDER_RAW : TEMPERA_LOGPROB_ORDER_FINAL);
    }
}

// Banned tokens have a raw logprob, but no final one.
static void banned_tokens(void)
{
    const struct tempera_logit_bias ban = {2, -INFINITY};
    struct tempera_stage stage = tempera_stage_logit_bias(&ban, 1);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sample_row row = {.sampler = &sampler};
    fill(10, 0);
    z[2] = 20;
    check_report(10, row, 1, 10, TEMPERA_LOGPROB_ORDER_RAW);
    CHECK_EQ_INT(top[0].token, 2);
    CHECK(top[0].final == -INFINITY);
    check_report(10, row, 1, 10, TEMPERA_LOGPROB_ORDER_FINAL);
    CHECK(top[0].token != 2);
}

// Once a product of temperatures is 0 or infinite, it stays so.
static void extreme_temperatures(void)
{
    const struct tempera_stage up[] = {tempera_stage_temperature(INFINITY),
                                       tempera_stage_temperature(0.5f),
                                       tempera_stage_temperature(0)};
    const struct tempera_stage down[] = {tempera_stage_temperature(0),
                                         tempera_stage_temperature(INFINITY)};
    const struct tempera_stage dynamic = tempera_stage_dynamic_temperature(2, 2, 1);
    fill(100, 1);
    for (size_t n = 1; n <= 3; n++) {
        struct tempera_sampler hot = tempera_sampler_of(up, n),
                               cold = tempera_sampler_of(down, n % 2 + 1);
        check_report(100, (struct tempera_sample_row){.sampler = &hot}, INFINITY, 7,
                     TEMPERA_LOGPROB_ORDER_RAW);
        check_report(100, (struct tempera_sample_row){.sampler = &cold}, 0, 7,
                     TEMPERA_LOGPROB_ORDER_RAW);
    }
    struct tempera_sampler sampler = tempera_sampler_of(&dynamic, 1);
    check_report(100, (struct tempera_sample_row){.sampler = &sampler}, 2, 7,
                 TEMPERA_LOGPROB_ORDER_FINAL);
    z[5] = z[9] = INFINITY;
    check_report(100, (struct tempera_sample_row){.sampler = &sampler}, 2, 7,
                 TEMPERA_LOGPROB_ORDER_RAW);
}

// What isn't wanted isn't computed; rows without a token have no logprobs.
static void nothing_to_report(void)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler};
    const int32_t ids[] = {1, 0};
    struct tempera_logprobs report = {sizeof report, ids, 2, named, 5, 0, top, 77};
    fill(10, 0);
    struct tempera_sample_result r = sample_row(z, 10, &row);
    CHECK(is_canonical_nan(r.raw_logprob) && is_canonical_nan(r.tempered_logprob));
    row.want = TEMPERA_WANT_TEMPERED_LOGPROB;
    r = sample_row(z, 10, &row);
    CHECK(is_canonical_nan(r.raw_logprob) && r.tempered_logprob <= 0);
    row.logprobs = &report;
    z[0] = NAN;
    r = sample_row(z, 10, &row);
    CHECK(is_canonical_nan(r.tempered_logprob));
    CHECK_EQ_SIZE(report.n_top, 0);
    for (size_t i = 0; i < 2; i++)
        CHECK(named[i].token == ids[i] && is_canonical_nan(named[i].raw) &&
              is_canonical_nan(named[i].tempered) && is_canonical_nan(named[i].final));
    row.mask = &(uint32_t){0};
    report.n_top = 77;
    r = sample_row(z, 10, &row);
    CHECK(r.tempered_logprob == -INFINITY);
    CHECK_EQ_SIZE(report.n_top, 0);
    CHECK(named[1].raw == -INFINITY && named[1].tempered == -INFINITY &&
          named[1].final == -INFINITY);
}

static const int32_t good_ids[2] = {9, 3};

static const struct tempera_logprobs good_report = {
    sizeof good_report, good_ids, 2, named, 3, TEMPERA_LOGPROB_ORDER_RAW, top, 55};

// A test spoils one thing in a good report and calls this. Then the report is good again.
static void check_refused(struct tempera_logprobs *report, enum tempera_status expected)
{
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row rows[2] = {{.sampler = &sampler},
                                         {.sampler = &sampler, .logprobs = report}};
    struct tempera_sample_result results[2], untouched[2];
    memset(results, 0x55, sizeof results);
    memset(untouched, 0x55, sizeof untouched);
    memset(named, 0x55, 64);
    memset(top, 0x55, 64);
    struct tempera_matrix logits = tempera_matrix_f32(z, 2, 10);
    size_t nbytes;
    void *scratch = new_scratch(&logits, &sampler, NULL, &nbytes);
    CHECK_STATUS(tempera_sample(&logits, rows, results, scratch, nbytes, NULL), expected);
    CHECK_MEM(results, untouched, sizeof results);
    CHECK_MEM(named, untouched, 64);
    CHECK_MEM(top, untouched, 64);
    CHECK_EQ_SIZE(report->n_top, 55);
    free(scratch);
    *report = good_report;
}

static void bad_reports(void)
{
    static const int32_t outside[2] = {0, 10}, negative[1] = {-1};
    fill(20, 0);
    struct tempera_logprobs report = good_report;
    report.struct_size--;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.ids = NULL;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.named = NULL;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.top = NULL;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.order = (enum tempera_logprob_order)2;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.max_top = SIZE_MAX / 8;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.ids = outside;
    check_refused(&report, TEMPERA_TOKEN_OUT_OF_RANGE);
    report.ids = negative;
    report.n_ids = 1;
    check_refused(&report, TEMPERA_TOKEN_OUT_OF_RANGE);
    report.top = named + 1;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.named = (void *)(uintptr_t)good_ids;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.top = (void *)&report;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    report.top = (void *)z;
    check_refused(&report, TEMPERA_INVALID_ARGUMENT);
    struct tempera_sampler sampler = tempera_sampler_of(NULL, 0);
    struct tempera_sample_row row = {.sampler = &sampler, .logprobs = &report};
    CHECK_STATUS(sample_row(z, 10, &row).status, TEMPERA_OK);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"reports are those of a sorted row", reports},
        {"banned tokens have no final logprob", banned_tokens},
        {"extreme temperatures give numbers", extreme_temperatures},
        {"what is not asked for is not computed", nothing_to_report},
        {"bad reports are refused", bad_reports},
    };
    return CHECK_RUN(tests, argc, argv);
}
