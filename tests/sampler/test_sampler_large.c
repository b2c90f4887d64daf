// SPDX-License-Identifier: MIT
// Large rows, on which the sampler estimates from samples and reads only some blocks, against the
// independent version: scores that mislead a sample, block maxima that are banned, more patches
// than fit, sizes around those of vectors, blocks and sums.
#include "sampler_oracle.h"

#include "base/half.h"

enum { MOST_BIASED = 400, MOST_LISTED = 300, LONGEST_WINDOW = 600, MOST_STAGES = 4, ROUNDS = 300 };

static float z[ORACLE_MAX_TOKENS], probs[ORACLE_MAX_TOKENS];
static uint16_t half[ORACLE_MAX_TOKENS];
static uint32_t mask[ORACLE_MAX_TOKENS / 32 + 1];
static int32_t history[LONGEST_WINDOW];
static struct tempera_logit_bias bias[MOST_BIASED];
static int32_t listed[MOST_LISTED];

// ------------------------------------------------------------------------------------------------
// Rows

enum row_kind {
    PEAKED,
    ROUNDED, // to 8 bits
    TWO_VALUES,
    RARE, // almost all are -inf
    HUGE_RANGE,
    INFINITE, // some are +inf
    HIDDEN,   // the mass lies where no sample is taken
    SHOWN,    // it lies where samples are taken only
    ONE_A_BLOCK,
    FALLING,
    NEIGHBOURS,
    FLAT,
    N_ROW_KINDS
};

// Of the sample in src/sampler/row/mass_histogram.c: 8 scores each time.
static bool is_sampled(size_t i, size_t n)
{
    size_t distance = (n / 128 + 8) / 8 * 8, first = distance / 16 * 8;
    return i >= first && (i - first) % distance < 8;
}

static float score_of_kind(enum row_kind kind, size_t i, size_t n)
{
    double u = check_random_between(-1, 1), v = check_random_between(-1, 1);
    double bell = 4 * (u + v + check_random_between(-1, 1));
    switch (kind) {
    case ROUNDED:
        return tempera_bf16_to_f32(tempera_f32_to_bf16((float)bell));
    case TWO_VALUES:
        return u > 0.99 ? 5 : -1;
    case RARE:
        return u > 0.998 || i == n / 2 ? (float)bell : -INFINITY;
    case HUGE_RANGE:
        return (float)(u < 0 ? u * 3e38 : bell);
    case INFINITE:
        return u > 0.9 || i == 77 ? INFINITY : (float)bell;
    case HIDDEN:
        return (float)(is_sampled(i, n) ? bell - 40 : bell);
    case SHOWN:
        return (float)(is_sampled(i, n) ? bell : bell - 12);
    case ONE_A_BLOCK:
        return (float)(i % 128 == i / 128 % 128 ? 10 + u : bell);
    case FALLING:
        return (float)i * -0.001f;
    case NEIGHBOURS:
        return 3 + (float)check_random_below(9) * 0x1p-22f;
    case FLAT:
        return (float)(0.01 * u);
    default:
        return (float)(u > 0.9999 ? 14 + 3 * v : bell);
    }
}

static void fill_row(size_t n, enum row_kind kind)
{
    for (size_t i = 0; i < n; i++)
        z[i] = score_of_kind(kind, i, n);
}

// ------------------------------------------------------------------------------------------------
// Chains

// A likely token, often the first of its block.
static int32_t likely_token(size_t n)
{
    size_t best = check_random_below(n);
    for (size_t k = check_random_below(200); k > 0; k--) {
        size_t i = check_random_below(n);
        best = z[i] > z[best] ? i : best;
    }
    if (check_random_below(8) == 0)
        for (size_t i = 0; i < n; i++)
            best = z[i] > z[best] ? i : best;
    return (int32_t)best;
}

static struct tempera_stage random_stage(size_t n, size_t n_biased, size_t n_listed)
{
    static const float ps[] = {0,     1e-3f, 0.05f,  0.2f,    0.5f,       0.8f,  0.9f,
                               0.95f, 0.99f, 0.999f, 0.9999f, 0.9999999f, 1e-30f};
    static const float small[] = {1e-42f, 1e-10f, 1e-5f, 3e-4f, 0.002f, 0.1f, 0.5f, 1};
    static const float temperatures[] = {0,     0.01f, 0.3f,   0.8f,  1.5f,    7,
                                         1e-3f, 1e6f,  1e-30f, 1e30f, INFINITY};
    static const float sigmas[] = {0, 0.5f, 1, 2, 3, 1e30f};
    switch (check_random_below(21)) {
    case 0:
        return tempera_stage_top_k((int32_t)check_random_below(check_random_below(2) ? 200 : n));
    case 1:
    case 2:
    case 3:
        return tempera_stage_top_p(RANDOM_OF(ps));
    case 4:
    case 5:
    case 6:
        return tempera_stage_typical(RANDOM_OF(ps));
    case 7:
        return tempera_stage_min_p(RANDOM_OF(small));
    case 8:
        return tempera_stage_temperature(RANDOM_OF(temperatures));
    case 9:
        return tempera_stage_penalties(1.3f, (float)check_random_between(-1, 2), 0.5f,
                                       (int32_t)check_random_below(LONGEST_WINDOW + 1));
    case 10:
        return tempera_stage_epsilon(RANDOM_OF(small));
    case 11:
        return tempera_stage_eta(RANDOM_OF(small));
    case 12:
        return tempera_stage_tail_free(RANDOM_OF(ps));
    case 13:
        return tempera_stage_top_a(RANDOM_OF(small));
    case 14:
        return tempera_stage_top_n_sigma(RANDOM_OF(sigmas));
    case 15:
        return tempera_stage_top_h(RANDOM_OF(ps));
    case 16:
        return tempera_stage_xtc(1, RANDOM_OF(small));
    case 17:
        return check_random_below(4) ? tempera_stage_ban(listed, n_listed)
                                     : tempera_stage_allow(listed, n_listed);
    case 18:
        return tempera_stage_dynamic_temperature(0.25f, 2, 1);
    case 19:
        return random_filter();
    default:
        return tempera_stage_logit_bias(bias, n_biased);
    }
}

static uint32_t random_min_keep(size_t n)
{
    size_t kind = check_random_below(6);
    return (uint32_t)(kind == 0   ? check_random_below(100)
                      : kind == 1 ? check_random_below(9000)
                      : kind == 2 ? check_random_below(n + 100)
                                  : 0);
}

static void random_mask(struct tempera_sample_row *row, size_t n)
{
    size_t kind = check_random_below(6);
    if (kind > 2)
        return;
    for (size_t i = 0; i <= n / 32; i++) {
        uint64_t bits = check_random();
        mask[i] = kind == 0 ? ~0u : kind == 1 ? (uint32_t)(bits | bits >> 32) : 0;
        if (kind == 2 && bits % 16 == 0)
            mask[i] = (uint32_t)(bits >> 32);
    }
    row->mask = mask;
    row->mask_nbits = (uint32_t)(n - (check_random_below(2) ? check_random_below(n / 2) : 0));
}

// The same row with 16 bits a score gives what check_against_oracle() has left in probs.
static void compare_half(size_t n, const struct tempera_sample_row *row, enum tempera_dtype dtype)
{
    static float wide[ORACLE_MAX_TOKENS];
    struct tempera_matrix logits = {half, dtype, 1, n, n}, out = tempera_matrix_f32(wide, 1, n);
    struct tempera_sample_result result;
    size_t nbytes;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    enum tempera_status status =
        tempera_sampler_probs(&logits, row, &out, &result, scratch, nbytes, NULL);
    CHECK_STATUS(status, result.status);
    CHECK_MEM(wide, probs, n * sizeof *wide);
    free(scratch);
}

// Rounds the row to a type, and fills the one of 16 bits, if it is one of those.
static enum tempera_dtype random_dtype(size_t n)
{
    static const enum tempera_dtype dtypes[] = {TEMPERA_F16, TEMPERA_BF16, TEMPERA_F32};
    enum tempera_dtype dtype = dtypes[check_random_below(COUNT_OF(dtypes))];
    for (size_t i = 0; i < n && dtype != TEMPERA_F32; i++) {
        bool is_f16 = dtype == TEMPERA_F16;
        half[i] = is_f16 ? tempera_f32_to_f16(z[i]) : tempera_f32_to_bf16(z[i]);
        z[i] = is_f16 ? tempera_f16_to_f32(half[i]) : tempera_bf16_to_f32(half[i]);
    }
    return dtype;
}

static void random_case(size_t n, enum row_kind kind)
{
    struct tempera_stage stages[MOST_STAGES];
    fill_row(n, kind);
    enum tempera_dtype dtype = random_dtype(n);
    size_t n_biased = check_random_below(MOST_BIASED);
    size_t n_listed = 1 + check_random_below(MOST_LISTED);
    size_t n_history = check_random_below(LONGEST_WINDOW);
    size_t n_stages = 1 + check_random_below(MOST_STAGES);
    for (size_t i = 0; i < n_biased; i++)
        bias[i] = (struct tempera_logit_bias){
            likely_token(n),
            check_random_below(5) ? (float)check_random_between(-20, 5) : -INFINITY};
    for (size_t i = 0; i < n_listed; i++)
        listed[i] = likely_token(n);
    for (size_t i = 0; i < n_history; i++)
        history[i] = likely_token(n);
    for (size_t s = 0; s < n_stages; s++)
        stages[s] = tempera_stage_keeping(random_stage(n, n_biased, n_listed), random_min_keep(n));
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, history, n_history);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = check_random()};
    random_mask(&row, n);
    check_against_oracle(z, n, &row, history, n_history, probs);
    if (dtype != TEMPERA_F32)
        compare_half(n, &row, dtype);
    free(state);
}

static void random_chains(void)
{
    static const size_t sizes[] = {8191,  8192,  8193,  8207,  8208,  12288, 12289,
                                   16383, 16400, 32000, 65535, 65537, 128256};
    for (size_t round = 0; round < check_cases(ROUNDS); round++) {
        size_t n = sizes[check_random_below(COUNT_OF(sizes) - (round % 4 > 0 ? 4 : 0))];
        random_case(n, (enum row_kind)(round % N_ROW_KINDS));
    }
}

// min_keep reaches below the estimate, on rows that lie in the scratch because of a mask.
static void typical_keeps_more(void)
{
    static const uint32_t least[] = {75, 300, 1000, 4000};
    enum { N = 12289 };
    for (size_t kind = 0; kind < N_ROW_KINDS; kind++)
        for (size_t i = 0; i < COUNT_OF(least); i++) {
            struct tempera_stage stage =
                tempera_stage_keeping(tempera_stage_typical(0.001f), least[i]);
            struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
            struct tempera_sample_row row = {.sampler = &sampler, .mask = mask, .mask_nbits = N};
            fill_row(N, (enum row_kind)kind);
            memset(mask, 0xFF, sizeof mask);
            check_against_oracle(z, N, &row, NULL, 0, probs);
        }
}

// Scores and a temperature that f32 can't hold, where thousands of tokens stay.
static void huge_rows(void)
{
    enum { N = 16384 };
    const struct tempera_stage stages[] = {tempera_stage_temperature(1e32f),
                                           tempera_stage_top_p(0.9f)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct tempera_sample_row row = {.sampler = &sampler, .seed = seed};
        for (size_t i = 0; i < N; i++)
            z[i] = (float)(check_random_between(-4, 4) * 1e32);
        check_against_oracle(z, N, &row, NULL, 0, probs);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"min_keep of typical may reach below the estimate", typical_keeps_more},
        {"random chains on large rows agree with the oracle", random_chains},
        {"rows that f32 cannot hold agree with the oracle", huge_rows},
    };
    return CHECK_RUN(tests, argc, argv);
}
