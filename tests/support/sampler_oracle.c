// SPDX-License-Identifier: MIT
#include "sampler_oracle.h"

#include "sampler_masses.h"

#include <tempera/stage_info.h>

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/row/draw.h"
#include "sampler/row/mass_fraction.h"

// A row's candidates, in the order that the stage at hand needs, and in the end by id, with their
// masses.
struct entry {
    int32_t id;
    float score;
    double key; // of typical's order
};

static struct entry entries[ORACLE_MAX_TOKENS];
static uint64_t masses[ORACLE_MAX_TOKENS];

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->id < y->id ? -1 : 1;
}

// Typical's order: by key, then by the other one.
static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return by_order(a, b);
}

// P W: P = m 2^-s with an integer m < 2^24.
static tempera_u128 floor_product(float P, tempera_u128 W)
{
    int exponent;
    tempera_u128 m = (tempera_u128)ldexp(frexp((double)P, &exponent), 24);
    return 24 - exponent < 128 ? (m * W) >> (24 - exponent) : 0;
}

tempera_u128 ceil_product(float P, tempera_u128 W)
{
    int exponent;
    tempera_u128 m = (tempera_u128)ldexp(frexp((double)P, &exponent), 24);
    tempera_u128 whole = floor_product(P, W);
    bool rest = 24 - exponent < 128 ? whole << (24 - exponent) != m * W : m > 0;
    return whole + rest;
}

// What the sorted entries weigh, and what the definitions make of that.
struct weights {
    tempera_u128 W;
    long double nll_max, squares; // squares: sum of p^2 / p_max
    double mean_gap;              // a double, since typical's ties depend on its last bit
};

// What a score adds to the mean of the gaps.
static tempera_u128 weighted_gap(float score, float max, double T)
{
    if (!is_f32_row(max, T))
        return (tempera_u128)rint((double)mass_of(score, max, T) * gap_of(score, max, T));
    float x = fminf((max - score) * (float)(1 / T), 1024);
    return (tempera_u128)rint((double)((float)exponential_of(score, max, T) * x));
}

static tempera_u128 square(float score, float max, double T)
{
    if (!is_f32_row(max, T))
        return (tempera_u128)rint((double)mass_of(score, max, T) * 0x1p-26 *
                                  ((double)mass_of(score, max, T) * 0x1p-26));
    float e = (float)exponential_of(score, max, T) * 0x1p-26f;
    return (tempera_u128)rint((double)(e * e));
}

static struct weights weights_of(size_t n, double T)
{
    tempera_u128 W = 0, V = 0, Q = 0;
    for (size_t i = 0; i < n; i++) {
        W += mass_of(entries[i].score, entries[0].score, T);
        V += weighted_gap(entries[i].score, entries[0].score, T);
        Q += square(entries[i].score, entries[0].score, T);
    }
    long double total = (long double)W;
    long double largest = (long double)mass_of(entries[0].score, entries[0].score, T);
    return (struct weights){
        .W = W,
        .nll_max = log1pl((total - largest) / largest),
        .squares = 0x1p52L * (long double)Q / (total * largest),
        .mean_gap = (double)V / (double)W,
    };
}

static void sort_by_surprise(size_t n, double T, double mean_gap)
{
    float max = entries[0].score;
    for (size_t i = 0; i < n; i++)
        entries[i].key = fabs(gap_of(entries[i].score, max, T) - mean_gap);
    qsort(entries, n, sizeof *entries, by_key);
}

// The number of sorted entries with z - m >= T l.
static size_t n_within(size_t n, double T, long double l)
{
    size_t kept = 0;
    long double least = (long double)T * fminl(l, 0);
    while (kept < n && (long double)entries[kept].score - entries[0].score >= least)
        kept++;
    return kept;
}

static size_t n_within_sigmas(size_t n, double s)
{
    double sums[16] = {0}, squares[16] = {0};
    float max = entries[0].score;
    qsort(entries, n, sizeof *entries, by_id);
    for (size_t i = 0; i < n; i++) {
        double d = (double)max - (double)entries[i].score;
        sums[entries[i].id % 16] += d;
        squares[entries[i].id % 16] += d * d;
    }
    qsort(entries, n, sizeof *entries, by_order);
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t i = 0; i < width; i++) {
            sums[i] += sums[i + width];
            squares[i] += squares[i + width];
        }
    double variance = fmax((squares[0] - sums[0] * sums[0] / (double)n) / (double)n, 0);
    size_t kept = 0;
    for (; kept < n; kept++) {
        double d = (double)max - (double)entries[kept].score;
        if (d * d > s * s * variance)
            break;
    }
    return kept;
}

static size_t n_before_tail(size_t n, double T, float share, size_t least)
{
    static uint64_t second_differences[ORACLE_MAX_TOKENS];
    tempera_u128 total = 0, sum = 0;
    for (size_t j = 0; j + 2 < n; j++) {
        int64_t w[3];
        for (size_t i = 0; i < 3; i++)
            w[i] = (int64_t)mass_of(entries[j + i].score, entries[0].score, T);
        second_differences[j] = (uint64_t)llabs(w[0] - 2 * w[1] + w[2]);
        total += second_differences[j];
    }
    for (size_t j = 0; j + 2 < n; j++) {
        sum += second_differences[j];
        if (j >= 1 && j >= least && sum > floor_product(share, total))
            return j;
    }
    return n;
}

// Adds entry by entry until the sum of -p ln p is too large.
static size_t n_within_entropy(size_t n, double T, float share)
{
    float max = entries[0].score;
    tempera_u128 W = 0, V = 0, w = 0, v = 0; // of all, of the first
    for (size_t i = 0; i < n; i++) {
        W += mass_of(entries[i].score, max, T);
        V += weighted_gap(entries[i].score, max, T);
    }
    double largest = (double)mass_of(max, max, T);
    double nll_max = tempera_log1p((double)(W - (tempera_u128)largest) / largest);
    double most = ((double)share + 0x1p-24) * ((double)V + nll_max * (double)W);
    size_t kept = 0;
    for (; kept < n; kept++) {
        w += mass_of(entries[kept].score, max, T);
        v += weighted_gap(entries[kept].score, max, T);
        if ((double)v + nll_max * (double)w > most)
            break;
    }
    return kept > 0 ? kept : 1;
}

// How many of the sorted entries stay.
static size_t n_that_stay(const struct tempera_stage *stage, size_t n, double T)
{
    size_t kept = 0;
    struct weights all = weights_of(n, T);
    const long double slack = 0x1p-22L, nll_max = all.nll_max;
    switch (stage->kind) {
    case TEMPERA_STAGE_TOP_K:
        kept = (size_t)stage->u.top_k;
        return kept == 0 || kept > n ? n : kept;
    case TEMPERA_STAGE_MIN_P:
        return n_within(n, T, logl((long double)stage->u.min_p));
    case TEMPERA_STAGE_EPSILON:
        return n_within(n, T, logl((long double)stage->u.epsilon) + nll_max - slack);
    case TEMPERA_STAGE_ETA: {
        long double ln_epsilon = logl((long double)stage->u.eta);
        long double relative = ln_epsilon / 2 - (nll_max + (long double)all.mean_gap);
        return n_within(n, T, fminl(ln_epsilon, relative) + nll_max - slack);
    }
    case TEMPERA_STAGE_TOP_A:
        return n_within(n, T, logl((long double)stage->u.top_a) - nll_max - slack);
    case TEMPERA_STAGE_P_LESS:
        return n_within(n, T, logl(all.squares) - slack);
    case TEMPERA_STAGE_TOP_N_SIGMA:
        return isinf(stage->u.top_n_sigma) ? n : n_within_sigmas(n, (double)stage->u.top_n_sigma);
    case TEMPERA_STAGE_TOP_H:
        return stage->u.top_h < 1 ? n_within_entropy(n, T, stage->u.top_h) : n;
    case TEMPERA_STAGE_TAIL_FREE:
        return stage->u.tail_free < 1 ? n_before_tail(n, T, stage->u.tail_free, stage->min_keep)
                                      : n;
    case TEMPERA_STAGE_TOP_P:
    case TEMPERA_STAGE_TYPICAL:
        break;
    default:
        CHECK_EQ_STR(tempera_stage_name(stage->kind), "a filter that is defined here");
    }
    float share = stage->kind == TEMPERA_STAGE_TYPICAL ? stage->u.typical : stage->u.top_p;
    if (share >= 1)
        return n;
    float max = entries[0].score;
    if (stage->kind == TEMPERA_STAGE_TYPICAL)
        sort_by_surprise(n, T, all.mean_gap);
    tempera_u128 sum = 0, target = ceil_product(share, all.W), slack_mass = all.W / (1 << 24);
    while (kept == 0 || sum + slack_mass < target)
        sum += mass_of(entries[kept++].score, max, T);
    return kept;
}

bool is_filter_by_rank_or_mass(int kind)
{
    unsigned int roles = tempera_describe_stage(kind)->roles;
    return roles == TEMPERA_ROLE_FILTER && kind != TEMPERA_STAGE_XTC;
}

struct tempera_stage random_parameters(int kind)
{
    static const double usual[] = {0, 1e-42, 1e-10, 1e-3, 0.05, 0.5, 0.95, 0.9999999, 1, 3};
    struct tempera_stage stage = tempera_stage_of((enum tempera_stage_kind)kind);
    const struct tempera_parameter_info *p;
    for (size_t i = 0; (p = tempera_describe_parameter(kind, i)) != NULL; i++) {
        double value = check_random_below(2) ? usual[check_random_below(COUNT_OF(usual))]
                                             : check_random_between(p->low, fmin(p->high, 3));
        bool is_float = p->type == TEMPERA_PARAMETER_FLOAT;
        float number = (float)fmin(fmax(value, p->low), p->high);
        int32_t integer = (int32_t)fmax(p->low, (double)check_random_below(200));
        if (p->stage_offset != 0)
            memcpy((char *)&stage + p->stage_offset, is_float ? (void *)&number : &integer, 4);
    }
    return stage;
}

struct tempera_stage random_filter(void)
{
    int n = 0;
    while (tempera_describe_stage(n + 1) != NULL)
        n++;
    int kind = 1 + (int)check_random_below((size_t)n);
    while (!is_filter_by_rank_or_mass(kind))
        kind = kind % n + 1;
    return random_parameters(kind);
}

static float rounded(double score)
{
    return (float)fmin(fmax(score, -0x1.fffffep127), 0x1.fffffep127);
}

static float penalised(const struct tempera_stage *stage, struct entry entry, double T,
                       const int32_t *history, size_t n_history)
{
    double count = 0, score = (double)entry.score, r = (double)stage->u.penalties.repetition;
    size_t window = (size_t)stage->u.penalties.window;
    for (size_t i = n_history < window ? 0 : n_history - window; i < n_history; i++)
        count += history[i] == entry.id;
    if (count == 0)
        return entry.score;
    double penalty =
        (double)stage->u.penalties.presence + (double)stage->u.penalties.frequency * count;
    return rounded((score > 0 ? score / r : score * r) - penalty * T);
}

static float biased(const struct tempera_stage *stage, struct entry entry, double T)
{
    float score = entry.score;
    for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
        const struct tempera_logit_bias *bias = &stage->u.logit_bias.entries[i];
        if (bias->token == entry.id && bias->bias == -INFINITY)
            return -INFINITY;
        if (bias->token == entry.id)
            score = rounded((double)score + (double)bias->bias * T);
    }
    return score;
}

// With the library's logarithm and exponential, whose bits docs/SAMPLING.md takes.
static double dynamic_factor(const struct tempera_stage *stage, size_t n, double T)
{
    double low = (double)stage->u.dynamic_temperature.low;
    double high = (double)stage->u.dynamic_temperature.high;
    double exponent = (double)stage->u.dynamic_temperature.exponent;
    if (n == 1 || (low == 1 && high == 1))
        return 1;
    tempera_u128 W = 0, V = 0;
    for (size_t i = 0; i < n; i++) {
        W += mass_of(entries[i].score, entries[0].score, T);
        V += weighted_gap(entries[i].score, entries[0].score, T);
    }
    double largest = (double)mass_of(entries[0].score, entries[0].score, T);
    double nll_max = tempera_log1p((double)(W - (tempera_u128)largest) / largest);
    double entropy = nll_max + (double)V / (double)W;
    double y = fmin(entropy / tempera_log((double)n), 1);
    double r = y < 0x1p-1000 ? 0 : tempera_exp(exponent * tempera_log(y));
    return low + (high - low) * (exponent == 0 ? 1 : r);
}

static float smoothed(const struct tempera_stage *stage, float score, float max, double T)
{
    double f = (double)stage->u.smoothing.factor, curve = (double)stage->u.smoothing.curve;
    double d = (double)score - (double)max, g = fmax(d * (1 / T), -0x1p400);
    return rounded((double)max + f * d * g * ((curve - 1) / 2 * g - (3 - curve) / 2));
}

static bool is_listed(const struct tempera_token_list *list, int32_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

// How many of the n sorted entries stay, those that go being taken out.
static size_t without_top_choices(const struct tempera_stage *stage, size_t n, double T,
                                  tempera_u128 bits)
{
    long double coin = ldexpl((long double)(uint64_t)bits, -64);
    if (!(coin < (long double)stage->u.xtc.probability) || stage->u.xtc.threshold > 0.5f)
        return n;
    long double l = logl((long double)stage->u.xtc.threshold) + weights_of(n, T).nll_max;
    size_t likely = 0;
    while (likely < n &&
           (long double)entries[likely].score - entries[0].score >= (long double)T * (l - 0x1p-22L))
        likely++;
    size_t gone = 0, kept = 0;
    for (size_t i = 0; i + 1 < likely; i++)
        gone += !is_listed(&stage->u.xtc.spared, entries[i].id);
    if (n - gone < stage->min_keep)
        return n;
    for (size_t i = 0; i < n; i++)
        if (i + 1 >= likely || is_listed(&stage->u.xtc.spared, entries[i].id))
            entries[kept++] = entries[i];
    return kept;
}

// How many of the n entries stay under a list.
static size_t n_in_list(const struct tempera_stage *stage, size_t n)
{
    static bool marks[ORACLE_MAX_TOKENS];
    const struct tempera_token_list *list = &stage->u.tokens;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        marks[list->ids[i]] = true;
    for (size_t i = 0; i < n; i++)
        if (marks[entries[i].id] == (stage->kind == TEMPERA_STAGE_ALLOW))
            entries[kept++] = entries[i];
    memset(marks, 0, sizeof marks);
    return kept;
}

// What a temperature of 0 or infinity leaves of n entries.
static size_t at_either_end(size_t n, double *T)
{
    if (*T >= 0x1p-1000 && *T <= 0x1p1000)
        return n;
    qsort(entries, n, sizeof *entries, by_order);
    for (size_t i = 0; i<n && * T> 1; i++)
        entries[i].score = 0;
    n = *T < 1 && n > 0 ? 1 : n;
    *T = 1;
    return n;
}

// Where there are scores of +inf, only they are left.
static size_t only_infinite(size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (entries[i].score == INFINITY)
            entries[kept++] = (struct entry){entries[i].id, 0, 0};
    return kept > 0 ? kept : n;
}

// The largest score and the temperature that masses were computed with.
static float final_max;
static double final_T;

// Runs a row; returns how many stay, in entries by id, their masses beside them.
static size_t oracle(const float *z, size_t n, const struct tempera_sample_row *row,
                     const int32_t *history, size_t n_history)
{
    double T = 1;
    size_t kept = 0;
    uint32_t n_xtc = 0;
    for (size_t i = 0; i < n; i++)
        if (row->mask == NULL || (i < row->mask_nbits && (row->mask[i / 32] >> (i % 32) & 1)))
            if (z[i] > -INFINITY)
                entries[kept++] = (struct entry){(int32_t)i, z[i], 0};
    kept = only_infinite(kept);
    for (size_t s = 0; s < row->sampler->n_stages; s++) {
        const struct tempera_stage *stage = &row->sampler->stages[s];
        size_t left = 0;
        switch (stage->kind) {
        case TEMPERA_STAGE_LOGIT_BIAS:
        case TEMPERA_STAGE_PENALTIES:
            for (size_t i = 0; i < kept; i++) {
                struct entry e = entries[i];
                e.score = stage->kind == TEMPERA_STAGE_LOGIT_BIAS
                              ? biased(stage, e, T)
                              : penalised(stage, e, T, history, n_history);
                if (e.score > -INFINITY)
                    entries[left++] = e;
            }
            kept = left;
            break;
        case TEMPERA_STAGE_ALLOW:
        case TEMPERA_STAGE_BAN:
            kept = n_in_list(stage, kept);
            break;
        case TEMPERA_STAGE_TEMPERATURE:
            T *= (double)stage->u.temperature;
            kept = at_either_end(kept, &T);
            break;
        case TEMPERA_STAGE_DYNAMIC_TEMPERATURE:
            qsort(entries, kept, sizeof *entries, by_order);
            if (kept > 0)
                T *= dynamic_factor(stage, kept, T);
            kept = at_either_end(kept, &T);
            break;
        case TEMPERA_STAGE_SMOOTHING: {
            qsort(entries, kept, sizeof *entries, by_order);
            float max = entries[0].score;
            for (size_t i = 0; i < kept && stage->u.smoothing.factor > 0; i++)
                entries[i].score = smoothed(stage, entries[i].score, max, T);
            break;
        }
        case TEMPERA_STAGE_XTC: {
            uint64_t step = row->state == NULL ? 0 : row->state->step;
            tempera_u128 bits =
                tempera_draw_bits(row->seed, row->stream, step, 0x40000000 + n_xtc++);
            qsort(entries, kept, sizeof *entries, by_order);
            if (kept > 0)
                kept = without_top_choices(stage, kept, T, bits);
            break;
        }
        default:
            if (kept == 0)
                return 0;
            qsort(entries, kept, sizeof *entries, by_order);
            left = n_that_stay(stage, kept, T);
            if (left < stage->min_keep)
                left = kept < stage->min_keep ? kept : stage->min_keep;
            kept = left;
        }
    }
    if (kept == 0)
        return 0;
    qsort(entries, kept, sizeof *entries, by_order);
    final_max = entries[0].score;
    final_T = T;
    qsort(entries, kept, sizeof *entries, by_id);
    for (size_t i = 0; i < kept; i++)
        masses[i] = mass_of(entries[i].score, final_max, T);
    return kept;
}

void check_against_oracle(const float *z, size_t n, const struct tempera_sample_row *row,
                          const int32_t *history, size_t n_history, float *probs)
{
    static float expected[ORACLE_MAX_TOKENS];
    size_t kept = oracle(z, n, row, history, n_history);
    tempera_u128 W = 0, sum = 0;
    for (size_t i = 0; i < kept; i++)
        W += masses[i];
    memset(expected, 0, n * sizeof *expected);
    for (size_t i = 0; i < kept; i++)
        expected[entries[i].id] = (float)((double)masses[i] / (double)W);
    struct tempera_sample_result result = probs_of_row(z, n, row, probs);
    CHECK_STATUS(result.status, kept > 0 ? TEMPERA_OK : TEMPERA_ALL_MASKED);
    CHECK_EQ_U64(result.n_kept, kept);
    CHECK_MEM(probs, expected, n * sizeof *probs);
    if (kept == 0)
        return;

    // bits W / 2^128 lies within the token's masses: by comparing shares, not by the same product
    tempera_u128 bits = tempera_draw_bits(row->seed, row->stream, 0, 0);
    if (row->state != NULL)
        bits = tempera_draw_bits(row->seed, row->stream, row->state->step, 0);
    size_t at = 0;
    while (at < kept && entries[at].id != result.token)
        sum += masses[at++];
    CHECK(at < kept && masses[at] > 0);
    long double share = ldexpl((long double)bits, -128), unit = 1 / (long double)W;
    CHECK(share >= (long double)sum * unit - 1e-18L);
    CHECK(share <= (long double)(sum + masses[at]) * unit + 1e-18L);
    long double largest = (long double)mass_of(final_max, final_max, final_T);
    long double nll_max = log1pl(((long double)W - largest) / largest);
    CHECK_ULP(result.logprob, (double)-(gap_of(entries[at].score, final_max, final_T) + nll_max),
              0.51);
    struct tempera_sample_result again = sample_row(z, n, row);
    CHECK_MEM(&again, &result, sizeof again);
}
