// SPDX-License-Identifier: MIT
// The sampler against the independent version of support/sampler_oracle.c, on random chains and
// rows.
#include "sampler_masses.h"
#include "sampler_oracle.h"

#include <tempera/stage_info.h>

#include "sampler/row/mass_fraction.h"

static float z[ORACLE_MAX_TOKENS], probs[ORACLE_MAX_TOKENS];

enum { LARGE = 128256, LONGEST_WINDOW = 40, MOST_STAGES = 6 };

// ------------------------------------------------------------------------------------------------
// Rows and chains

enum row_kind {
    SMOOTH,
    QUANTISED, // heavy ties
    ALL_EQUAL,
    TWO_VALUES,
    RISING,
    GEOMETRIC,
    HALF_MASKED,
    NEIGHBOURS, // floats next to one another
    HUGE_RANGE,
    TINY, // denormals and zeros of both signs
    N_ROW_KINDS
};

static float score_of_kind(enum row_kind kind, size_t i)
{
    double u = check_random_between(-4, 4);
    switch (kind) {
    case QUANTISED:
        return (float)(rint(u) / 2);
    case ALL_EQUAL:
        return 0.75f;
    case TWO_VALUES:
        return u > 3 ? 5 : -1;
    case RISING:
        return (float)i * 0.01f;
    case GEOMETRIC:
        return (float)i * -0.7f;
    case HALF_MASKED:
        return u > 0 ? -INFINITY : (float)u;
    case NEIGHBOURS:
        return 3 + (float)check_random_below(5) * 0x1p-22f;
    case HUGE_RANGE:
        return (float)(u < 0 ? u * 5e37 : u);
    case TINY:
        return (float)(rint(u) * 0x1p-149) * (u > 3 ? -0.0f : 1.0f);
    default:
        return (float)u;
    }
}

static void fill_row(size_t n, enum row_kind kind)
{
    for (size_t i = 0; i < n; i++)
        z[i] = score_of_kind(kind, i);
    if (kind == HALF_MASKED)
        z[check_random_below(n)] = 0;
}

static struct tempera_stage random_xtc(size_t n)
{
    static const float shares[] = {0, 1e-3f, 0.1f, 0.25f, 0.5f, 0.6f, 1};
    static int32_t spared[MOST_STAGES][4];
    static size_t next;
    struct tempera_stage stage = tempera_stage_xtc(RANDOM_OF(shares), RANDOM_OF(shares));
    next = (next + 1) % MOST_STAGES;
    stage.u.xtc.spared.ids = spared[next];
    stage.u.xtc.spared.count = check_random_below(COUNT_OF(spared[next]) + 1);
    for (size_t i = 0; i < stage.u.xtc.spared.count; i++)
        spared[next][i] = (int32_t)check_random_below(n);
    return stage;
}

static struct tempera_stage random_stage(size_t n, const struct tempera_logit_bias *bias,
                                         size_t n_bias)
{
    static const float ps[] = {0,      0.05f,      0.5f, 0.8f,   0.9f,  0.95f,
                               0.999f, 0.9999999f, 1,    1e-30f, 1e-42f};
    static const float small[] = {0, 1e-42f, 1e-10f, 3e-4f, 0.002f, 0.02f, 0.1f, 0.25f, 0.5f, 1};
    static const float temperatures[] = {0.3f, 0.8f, 1, 1.5f, 7, 1e-3f, 1e6f};
    static const float repetitions[] = {1, 1.3f, 0.8f, 1e-30f, 1e30f};
    static const float sigmas[] = {0, 0.5f, 1, 1.3f, 2, 3, 1e30f, INFINITY};
    static const float factors[] = {0, 1e-42f, 0.2f, 1, 3, 1e30f};
    switch (check_random_below(19)) {
    case 0:
        return tempera_stage_top_k((int32_t)check_random_below(60));
    case 1:
    case 2:
        return tempera_stage_top_p(RANDOM_OF(ps));
    case 3:
        return tempera_stage_min_p(RANDOM_OF(ps));
    case 4:
        return tempera_stage_temperature(RANDOM_OF(temperatures));
    case 5:
        return tempera_stage_penalties(RANDOM_OF(repetitions), (float)check_random_between(-1, 2),
                                       (float)check_random_between(-0.5, 1),
                                       (int32_t)check_random_below(LONGEST_WINDOW + 1));
    case 6:
        return tempera_stage_typical(RANDOM_OF(ps));
    case 7:
        return tempera_stage_epsilon(RANDOM_OF(small));
    case 8:
        return tempera_stage_eta(RANDOM_OF(small));
    case 9:
        return tempera_stage_tail_free(RANDOM_OF(ps));
    case 10:
        return tempera_stage_top_a(RANDOM_OF(small));
    case 11:
        return tempera_stage_top_n_sigma(RANDOM_OF(sigmas));
    case 12:
        return tempera_stage_p_less();
    case 13:
        return random_xtc(n);
    case 14:
        return tempera_stage_dynamic_temperature(0.25f, 0.25f + RANDOM_OF(factors),
                                                 RANDOM_OF(factors));
    case 16:
        return tempera_stage_top_h(RANDOM_OF(ps));
    case 15:
        return tempera_stage_smoothing(RANDOM_OF(factors), 1 + 2 * RANDOM_OF(small));
    case 17:
        return random_filter();
    default:
        return tempera_stage_logit_bias(bias, n_bias);
    }
}

// Some tokens up, some down, some banned.
static size_t random_bias(struct tempera_logit_bias *bias, size_t most, size_t n)
{
    size_t count = check_random_below(most + 1);
    for (size_t i = 0; i < count; i++) {
        bias[i].token = (int32_t)check_random_below(n);
        bias[i].bias = (float)check_random_between(-3, 3);
        if (check_random_below(8) == 0)
            bias[i].bias = -INFINITY;
    }
    return count;
}

static uint32_t random_min_keep(void)
{
    return check_random_below(2) ? 0 : (uint32_t)check_random_below(1 + check_random_below(80));
}

// One random row: chain, history, mask, seed.
static void random_case(size_t n, enum row_kind kind)
{
    struct tempera_stage stages[MOST_STAGES];
    struct tempera_logit_bias bias[30];
    int32_t history[2 * LONGEST_WINDOW];
    uint32_t mask[LARGE / 32 + 1];
    size_t n_history = check_random_below(COUNT_OF(history) + 1);
    size_t n_stages = check_random_below(MOST_STAGES + 1), spared = check_random_below(n);
    fill_row(n, kind);
    z[spared] = 4.5f;
    size_t n_bias = random_bias(bias, COUNT_OF(bias), n);
    for (size_t s = 0; s < n_stages; s++)
        stages[s] = tempera_stage_keeping(random_stage(n, bias, n_bias), random_min_keep());
    for (size_t i = 0; i < n_history; i++)
        history[i] = (int32_t)check_random_below(n + 3); // some outside the vocabulary
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, history, n_history);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = check_random()};
    if (check_random_below(3) == 0) {
        for (size_t i = 0; i <= n / 32; i++)
            mask[i] = (uint32_t)(check_random() | check_random());
        mask[spared / 32] |= 1u << spared % 32;
        row.mask = mask;
        row.mask_nbits = (uint32_t)(spared + 1 + check_random_below(n));
    }
    check_against_oracle(z, n, &row, history, n_history, probs);
    free(state);
}

static void small_vocabularies(void)
{
    for (size_t round = 0; round < check_cases(12000); round++)
        random_case(1 + check_random_below(200), (enum row_kind)(round % N_ROW_KINDS));
}

static void middle_vocabularies(void)
{
    for (size_t round = 0; round < check_cases(100); round++)
        random_case(1000 + check_random_below(9000), (enum row_kind)(round % N_ROW_KINDS));
}

static void large_vocabularies(void)
{
    for (size_t kind = 0; kind < N_ROW_KINDS; kind++)
        random_case(kind % 2 ? 32000 : LARGE, (enum row_kind)kind);
}

// Rows of the sizes from which on a sample says where to look.
static void sampled_rows(void)
{
    static const size_t sizes[] = {8191, 8192, 8193, 12288, 16400};
    for (size_t round = 0; round < check_cases(60); round++)
        random_case(RANDOM_OF(sizes), (enum row_kind)(round % N_ROW_KINDS));
}

// The mass lies where the sample of row/mass_histogram.c doesn't look: it takes 8 scores at even
// distances.
static void rows_that_mislead_the_sample(void)
{
    enum { N = 16384, DISTANCE = 136, FIRST = 64 };
    for (size_t round = 0; round < check_cases(30); round++) {
        struct tempera_stage stages[2];
        float P = (float)check_random_between(0.01, 0.999);
        for (size_t i = 0; i < N; i++) {
            double lift = i % DISTANCE / 8 == FIRST / 8 ? -6 : 0;
            z[i] = (float)(check_random_between(-3, 3) + lift);
        }
        stages[round % 2] = tempera_stage_temperature((float)check_random_between(0.3, 2));
        stages[1 - round % 2] = round % 3 == 0 ? tempera_stage_typical(P) : tempera_stage_top_p(P);
        struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round};
        check_against_oracle(z, N, &row, NULL, 0, probs);
    }
}

// A masked row lies unpacked where typical has its scratch, too; all but one of its scores are
// equally far from the mean.
static void typical_keeps_its_row(void)
{
    enum { N = 16400 };
    static uint32_t mask[N / 32 + 1];
    struct tempera_stage stages[] = {tempera_stage_temperature(0.3f),
                                     tempera_stage_keeping(tempera_stage_typical(1e-42f), 24)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
    struct tempera_sample_row row = {.sampler = &sampler, .mask = mask, .mask_nbits = N};
    memset(mask, 0xFF, sizeof mask);
    fill_row(N, TINY);
    z[5000] = 4.5f;
    check_against_oracle(z, N, &row, NULL, 0, probs);
}

// Each filter by itself on a large row, so that its threshold is searched among all scores.
static void filters_on_large_rows(void)
{
    const struct tempera_stage stages[] = {
        tempera_stage_top_k(40),
        tempera_stage_top_k(20000),
        tempera_stage_top_p(0.5f),
        tempera_stage_top_p(0.999f),
        tempera_stage_min_p(0.001f),
        tempera_stage_typical(0.2f),
        tempera_stage_typical(0.95f),
        tempera_stage_epsilon(3e-5f),
        tempera_stage_eta(1e-3f),
        tempera_stage_tail_free(0.9f),
        tempera_stage_top_a(0.2f),
        tempera_stage_top_n_sigma(1),
        tempera_stage_p_less(),
        tempera_stage_top_h(0.4f),
        tempera_stage_keeping(tempera_stage_top_p(0.5f), 25000),
        tempera_stage_keeping(tempera_stage_top_p(0.5f), 20),
        tempera_stage_keeping(tempera_stage_typical(0.2f), 25000),
        tempera_stage_keeping(tempera_stage_typical(0.2f), 20),
        tempera_stage_keeping(tempera_stage_min_p(0.9f), 5000),
        tempera_stage_keeping(tempera_stage_top_n_sigma(0), 300),
        tempera_stage_keeping(tempera_stage_tail_free(0.1f), 700),
        tempera_stage_keeping(tempera_stage_top_h(0.1f), 15000)};
    const enum row_kind kinds[] = {SMOOTH, QUANTISED, NEIGHBOURS};
    for (size_t s = 0; s < COUNT_OF(stages); s++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            struct tempera_sampler sampler = tempera_sampler_of(&stages[s], 1);
            struct tempera_sample_row row = {.sampler = &sampler, .seed = s};
            fill_row(32000, kinds[k]);
            check_against_oracle(z, 32000, &row, NULL, 0, probs);
        }
}

// All that there are, also those that nobody has named above.
static void every_filter(void)
{
    for (int kind = 1; tempera_describe_stage(kind) != NULL; kind++)
        for (size_t round = 0; is_filter_by_rank_or_mass(kind) && round < check_cases(300);
             round++) {
            size_t n = round % 100 == 0 ? 32000 : 1 + check_random_below(200);
            struct tempera_stage stage =
                tempera_stage_keeping(random_parameters(kind), random_min_keep());
            struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
            struct tempera_sample_row row = {.sampler = &sampler, .seed = round};
            fill_row(n, (enum row_kind)(round % N_ROW_KINDS));
            check_against_oracle(z, n, &row, NULL, 0, probs);
        }
}

// ------------------------------------------------------------------------------------------------
// What both versions stand on

// A mass is 2^51 exp((z - max) / T) to the nearest integer, give or take the error of exp.
static void masses_are_exp(void)
{
    static const double temperatures[] = {1, 0.8, 0.01, 1e-30, 30, 1e9};
    for (size_t t = 0; t < COUNT_OF(temperatures); t++)
        for (size_t i = 0; i < check_cases(20000); i++) {
            double T = temperatures[t];
            float max = (float)check_random_between(-100, 100);
            float score = max - (float)(T * check_random_between(0, 45));
            uint64_t w = mass_of(score, max, T), largest = mass_of(max, max, T);
            CHECK((double)largest > 0x1.6ap50 && (double)largest < 0x1.6bp51);
            long double exact = expl(((long double)score - max) / (long double)T) * largest;
            CHECK(fabsl((long double)w - exact) <= 0.5L + exact * 0x1p-22L);
        }
    CHECK_EQ_U64(mass_of(0, 0, 1), UINT64_C(1) << 51);
    CHECK_EQ_U64(mass_of(-36.0f, 0, 1), 1); // 2^51 e^-36 = 0.52
    CHECK_EQ_U64(mass_of(-36.1f, 0, 1), 0);
}

// Probabilities against the definition in long double, with nothing of ours in it.
static void probabilities_are_softmax(void)
{
    for (size_t round = 0; round < check_cases(500); round++) {
        size_t n = 1 + check_random_below(100);
        fill_row(n, SMOOTH);
        float T = (float)check_random_between(0.2, 5);
        struct tempera_stage stage = tempera_stage_temperature(T);
        struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round};
        struct tempera_sample_result result = probs_of_row(z, n, &row, probs);
        long double sum = 0;
        float max = z[0];
        for (size_t i = 0; i < n; i++)
            max = fmaxf(max, z[i]);
        for (size_t i = 0; i < n; i++)
            sum += expl(((long double)z[i] - max) / (long double)T);
        for (size_t i = 0; i < n; i++) {
            // Half a unit for the float, the errors of the mass and of the sum; the rounding of the
            // mass.
            double p = (double)(expl(((long double)z[i] - max) / (long double)T) / sum);
            CHECK_NEAR(probs[i], p, p * (0x1p-24 + 0x1p-22) + 0x1p-50);
        }
        double ln_p = ((double)z[result.token] - (double)max) / (double)T - log((double)sum);
        CHECK_NEAR(result.logprob, ln_p, fabs(ln_p) * 0x1p-24 + 0x1p-22);
    }
}

// The weight of the nucleus for any P, denormal ones too, and any W.
static void nucleus_weights_are_exact(void)
{
    for (size_t round = 0; round < check_cases(100000); round++) {
        uint32_t bits = (uint32_t)check_random_below(0x3F800001) >> check_random_below(30);
        float P;
        memcpy(&P, &bits, sizeof P);
        tempera_u128 W = (tempera_u128)1 << 51;
        W += ((tempera_u128)check_random() << 18 | check_random() >> 46) >> check_random_below(60);
        W &= ~(tempera_u128)0 << check_random_below(40); // so that some products are whole
        tempera_u128 target = ceil_product(P, W), slack = W / (1 << 24);
        target = target > slack ? target - slack : 1;
        CHECK(tempera_nucleus_mass(P, W) == target);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"masses are exp, rounded", masses_are_exp},
        {"probabilities are softmax", probabilities_are_softmax},
        {"the weight of the nucleus is exact", nucleus_weights_are_exact},
        {"12000 chains on 1 to 200 tokens agree with the oracle", small_vocabularies},
        {"100 chains on 1000 to 10000 tokens agree with the oracle", middle_vocabularies},
        {"chains on 32000 and 128256 tokens agree with the oracle", large_vocabularies},
        {"chains on 8191 to 16400 tokens agree with the oracle", sampled_rows},
        {"rows that mislead the sample agree with the oracle", rows_that_mislead_the_sample},
        {"typical leaves a masked row as it is", typical_keeps_its_row},
        {"each filter on 32000 scores agrees with the oracle", filters_on_large_rows},
        {"every filter of the table agrees with the oracle", every_filter},
    };
    return CHECK_RUN(tests, argc, argv);
}
