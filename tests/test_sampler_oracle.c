// SPDX-License-Identifier: MIT
// The sampler against an independent version that reads like the definitions in docs/SAMPLING.md:
// it sorts the whole row, adds masses one by one and counts tokens by going through the history.
// Kept sets, probabilities and tokens have to agree bit for bit.
#include "test_sampler_masses.h"
#include "test_sampler_setup.h"

#include "base/exp.h"
#include "kernels/kernels.h"
#include "sampler/sampler.h"

enum { MOST = 128256, LONGEST_WINDOW = 40, MOST_STAGES = 6 };

static float z[MOST], probs[MOST], expected[MOST];

// ------------------------------------------------------------------------------------------------
// The oracle

struct entry {
    int32_t id;
    float score;
    double key; // of typical's order
};

static struct entry entries[MOST];
static uint64_t masses[MOST];

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

static tempera_u128 ceil_product(float P, tempera_u128 W)
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
    long double lambda, squares; // squares: sum of p^2 / p_max
    double mean_depth;           // a double, since typical's ties depend on its last bit
};

// What a score adds to the mean of the depths.
static tempera_u128 weighted_depth(float score, float max, double T)
{
    if (!is_ordinary(max, T))
        return (tempera_u128)rint((double)mass_of(score, max, T) * depth_of(score, max, T));
    float x = fminf((max - score) * (float)(1 / T), 1024);
    return (tempera_u128)rint((double)((float)exponential_of(score, max, T) * x));
}

static tempera_u128 square(float score, float max, double T)
{
    if (!is_ordinary(max, T))
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
        V += weighted_depth(entries[i].score, entries[0].score, T);
        Q += square(entries[i].score, entries[0].score, T);
    }
    long double total = (long double)W;
    long double largest = (long double)mass_of(entries[0].score, entries[0].score, T);
    return (struct weights){
        .W = W,
        .lambda = log1pl((total - largest) / largest),
        .squares = 0x1p52L * (long double)Q / (total * largest),
        .mean_depth = (double)V / (double)W,
    };
}

static void sort_by_surprise(size_t n, double T, double mean_depth)
{
    float max = entries[0].score;
    for (size_t i = 0; i < n; i++)
        entries[i].key = fabs(depth_of(entries[i].score, max, T) - mean_depth);
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
    static uint64_t bends[MOST];
    tempera_u128 total = 0, sum = 0;
    for (size_t j = 0; j + 2 < n; j++) {
        int64_t w[3];
        for (size_t i = 0; i < 3; i++)
            w[i] = (int64_t)mass_of(entries[j + i].score, entries[0].score, T);
        bends[j] = (uint64_t)llabs(w[0] - 2 * w[1] + w[2]);
        total += bends[j];
    }
    for (size_t j = 0; j + 2 < n; j++) {
        sum += bends[j];
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
        V += weighted_depth(entries[i].score, max, T);
    }
    double largest = (double)mass_of(max, max, T);
    double lambda = tempera_log1p((double)(W - (tempera_u128)largest) / largest);
    double most = ((double)share + 0x1p-24) * ((double)V + lambda * (double)W);
    size_t kept = 0;
    for (; kept < n; kept++) {
        w += mass_of(entries[kept].score, max, T);
        v += weighted_depth(entries[kept].score, max, T);
        if ((double)v + lambda * (double)w > most)
            break;
    }
    return kept > 0 ? kept : 1;
}

// How many of the sorted entries stay.
static size_t n_that_stay(const struct tempera_stage *stage, size_t n, double T)
{
    size_t kept = 0;
    struct weights all = weights_of(n, T);
    const long double slack = 0x1p-22L, lambda = all.lambda;
    switch (stage->kind) {
    case TEMPERA_STAGE_TOP_K:
        kept = (size_t)stage->u.top_k;
        return kept == 0 || kept > n ? n : kept;
    case TEMPERA_STAGE_MIN_P:
        return n_within(n, T, logl((long double)stage->u.min_p));
    case TEMPERA_STAGE_EPSILON:
        return n_within(n, T, logl((long double)stage->u.epsilon) + lambda - slack);
    case TEMPERA_STAGE_ETA: {
        long double ln_epsilon = logl((long double)stage->u.eta);
        long double relative = ln_epsilon / 2 - (lambda + (long double)all.mean_depth);
        return n_within(n, T, fminl(ln_epsilon, relative) + lambda - slack);
    }
    case TEMPERA_STAGE_TOP_A:
        return n_within(n, T, logl((long double)stage->u.top_a) - lambda - slack);
    case TEMPERA_STAGE_P_LESS:
        return n_within(n, T, logl(all.squares) - slack);
    case TEMPERA_STAGE_TOP_N_SIGMA:
        return isinf(stage->u.top_n_sigma) ? n : n_within_sigmas(n, (double)stage->u.top_n_sigma);
    case TEMPERA_STAGE_TOP_H:
        return stage->u.top_h < 1 ? n_within_entropy(n, T, stage->u.top_h) : n;
    case TEMPERA_STAGE_TAIL_FREE:
        return stage->u.tail_free < 1 ? n_before_tail(n, T, stage->u.tail_free, stage->min_keep)
                                      : n;
    default:
        break;
    }
    float share = stage->kind == TEMPERA_STAGE_TYPICAL ? stage->u.typical : stage->u.top_p;
    if (share >= 1)
        return n;
    float max = entries[0].score;
    if (stage->kind == TEMPERA_STAGE_TYPICAL)
        sort_by_surprise(n, T, all.mean_depth);
    tempera_u128 sum = 0, target = ceil_product(share, all.W), slack_mass = all.W / (1 << 24);
    while (kept == 0 || sum + slack_mass < target)
        sum += mass_of(entries[kept++].score, max, T);
    return kept;
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
        V += weighted_depth(entries[i].score, entries[0].score, T);
    }
    double largest = (double)mass_of(entries[0].score, entries[0].score, T);
    double lambda = tempera_log1p((double)(W - (tempera_u128)largest) / largest);
    double entropy = lambda + (double)V / (double)W;
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
    long double l = logl((long double)stage->u.xtc.threshold) + weights_of(n, T).lambda;
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

// The largest score and the temperature that masses were computed with.
static float final_max;
static double final_T;

// Runs a row; returns how many stay, in entries by id, their masses beside them.
static size_t oracle(size_t n, const struct tempera_sample_row *row, const int32_t *history,
                     size_t n_history)
{
    double T = 1;
    size_t kept = 0;
    uint32_t n_xtc = 0;
    for (size_t i = 0; i < n; i++)
        if (row->mask == NULL || (i < row->mask_nbits && (row->mask[i / 32] >> (i % 32) & 1)))
            if (z[i] > -INFINITY)
                entries[kept++] = (struct entry){(int32_t)i, z[i], 0};
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
        case TEMPERA_STAGE_TEMPERATURE:
            T *= (double)stage->u.temperature;
            break;
        case TEMPERA_STAGE_DYNAMIC_TEMPERATURE:
            qsort(entries, kept, sizeof *entries, by_order);
            if (kept > 0)
                T *= dynamic_factor(stage, kept, T);
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

static void compare(size_t n, const struct tempera_sample_row *row, const int32_t *history,
                    size_t n_history)
{
    size_t kept = oracle(n, row, history, n_history);
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
    long double lambda = log1pl(((long double)W - largest) / largest);
    CHECK_ULP(result.logprob, (double)-(depth_of(entries[at].score, final_max, final_T) + lambda),
              0.51);
    struct tempera_sample_result again = sample_row(z, n, row);
    CHECK_MEM(&again, &result, sizeof again);
}

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

static float one_of(const float *values, size_t n)
{
    return values[check_random_below(n)];
}

#define ONE_OF(array) one_of(array, COUNT_OF(array))
#define ONE_OF_SIZES(array) ((array)[check_random_below(COUNT_OF(array))])

static struct tempera_stage random_xtc(size_t n)
{
    static const float shares[] = {0, 1e-3f, 0.1f, 0.25f, 0.5f, 0.6f, 1};
    static int32_t spared[MOST_STAGES][4];
    static size_t next;
    struct tempera_stage stage = tempera_stage_xtc(ONE_OF(shares), ONE_OF(shares));
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
    switch (check_random_below(18)) {
    case 0:
        return tempera_stage_top_k((int32_t)check_random_below(60));
    case 1:
    case 2:
        return tempera_stage_top_p(ONE_OF(ps));
    case 3:
        return tempera_stage_min_p(ONE_OF(ps));
    case 4:
        return tempera_stage_temperature(ONE_OF(temperatures));
    case 5:
        return tempera_stage_penalties(ONE_OF(repetitions), (float)check_random_between(-1, 2),
                                       (float)check_random_between(-0.5, 1),
                                       (int32_t)check_random_below(LONGEST_WINDOW + 1));
    case 6:
        return tempera_stage_typical(ONE_OF(ps));
    case 7:
        return tempera_stage_epsilon(ONE_OF(small));
    case 8:
        return tempera_stage_eta(ONE_OF(small));
    case 9:
        return tempera_stage_tail_free(ONE_OF(ps));
    case 10:
        return tempera_stage_top_a(ONE_OF(small));
    case 11:
        return tempera_stage_top_n_sigma(ONE_OF(sigmas));
    case 12:
        return tempera_stage_p_less();
    case 13:
        return random_xtc(n);
    case 14:
        return tempera_stage_dynamic_temperature(0.25f, 0.25f + ONE_OF(factors), ONE_OF(factors));
    case 16:
        return tempera_stage_top_h(ONE_OF(ps));
    case 15:
        return tempera_stage_smoothing(ONE_OF(factors), 1 + 2 * ONE_OF(small));
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
    uint32_t mask[MOST / 32 + 1];
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
    compare(n, &row, history, n_history);
    free(state);
}

static void small_vocabularies(void)
{
    for (size_t round = 0; round < 12000; round++)
        random_case(1 + check_random_below(200), (enum row_kind)(round % N_ROW_KINDS));
}

static void middle_vocabularies(void)
{
    for (size_t round = 0; round < 100; round++)
        random_case(1000 + check_random_below(9000), (enum row_kind)(round % N_ROW_KINDS));
}

static void large_vocabularies(void)
{
    for (size_t kind = 0; kind < N_ROW_KINDS; kind++)
        random_case(kind % 2 ? 32000 : MOST, (enum row_kind)kind);
}

// Rows of the sizes from which on a sample says where to look.
static void sampled_rows(void)
{
    static const size_t sizes[] = {8191, 8192, 8193, 12288, 16400};
    for (size_t round = 0; round < 60; round++)
        random_case(ONE_OF_SIZES(sizes), (enum row_kind)(round % N_ROW_KINDS));
}

// The mass lies where the sample doesn't look: it takes vectors of 16 at even distances.
static void rows_that_mislead_the_sample(void)
{
    enum { N = 16384, DISTANCE = 144 };
    for (size_t round = 0; round < 30; round++) {
        struct tempera_stage stages[2];
        float P = (float)check_random_between(0.01, 0.999);
        for (size_t i = 0; i < N; i++) {
            double lift = i % DISTANCE < 16 ? -6 : 0;
            z[i] = (float)(check_random_between(-3, 3) + lift);
        }
        stages[round % 2] = tempera_stage_temperature((float)check_random_between(0.3, 2));
        stages[1 - round % 2] = round % 3 == 0 ? tempera_stage_typical(P) : tempera_stage_top_p(P);
        struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
        struct tempera_sample_row row = {.sampler = &sampler, .seed = round};
        compare(N, &row, NULL, 0);
    }
}

// A masked row lies unpacked where typical has room, too; all but one of its scores are equally far
// from the mean.
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
    compare(N, &row, NULL, 0);
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
            compare(32000, &row, NULL, 0);
        }
}

// ------------------------------------------------------------------------------------------------
// What both versions stand on

// A mass is 2^51 exp((z - max) / T) to the nearest integer, give or take the error of exp.
static void masses_are_exp(void)
{
    static const double temperatures[] = {1, 0.8, 0.01, 1e-30, 30, 1e9};
    for (size_t t = 0; t < COUNT_OF(temperatures); t++)
        for (size_t i = 0; i < 20000; i++) {
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
    for (size_t round = 0; round < 500; round++) {
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
    for (size_t round = 0; round < 100000; round++) {
        uint32_t bits = (uint32_t)check_random_below(0x3F800001) >> check_random_below(30);
        float P;
        memcpy(&P, &bits, sizeof P);
        tempera_u128 W = (tempera_u128)1 << 51;
        W += ((tempera_u128)check_random() << 18 | check_random() >> 46) >> check_random_below(60);
        W &= ~(tempera_u128)0 << check_random_below(40); // so that some products are whole
        tempera_u128 target = ceil_product(P, W), slack = W / (1 << 24);
        target = target > slack ? target - slack : 1;
        CHECK(tempera_nucleus_weight(P, W) == target);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        {"masses are exp, rounded", masses_are_exp},
        {"probabilities are softmax", probabilities_are_softmax},
        {"the weight of the nucleus is exact", nucleus_weights_are_exact},
        {"12000 chains on vocabularies of 1 to 200", small_vocabularies},
        {"100 chains on vocabularies of 1000 to 10000", middle_vocabularies},
        {"chains on vocabularies of 32000 and 128256", large_vocabularies},
        {"chains on vocabularies of 8191 to 16400", sampled_rows},
        {"rows that mislead the sample", rows_that_mislead_the_sample},
        {"typical keeps its row", typical_keeps_its_row},
        {"each filter on 32000 scores", filters_on_large_rows},
    };
    return CHECK_RUN(tests);
}
