// SPDX-License-Identifier: MIT
// Every set of the cross-entropy's options, of every type: losses against docs/LOSSES.md's formula
// in long double, gradients against that formula's finite differences, outputs by row, and the same
// bits in place, apart, in 16 bits and on any number of threads.
#include "check.h"

#include <tempera/tempera.h>

#include "base/half.h"

enum { ROWS = 5, COLS = 19, COUNT = ROWS * COLS };

enum option {
    TEMPERATURE = 1,
    SOFTCAP = 2,
    SMOOTHING = 4,
    WEIGHTS = 8,
    Z_LOSS = 16,
    FOCAL = 32,
    IGNORE = 64,
    SOFT = 128,
    ALL_OPTIONS = 256,
};

static const enum tempera_dtype dtypes[] = {TEMPERA_F32, TEMPERA_F16, TEMPERA_BF16};

static float widen(enum tempera_dtype dtype, const void *from, size_t i)
{
    if (dtype == TEMPERA_F32)
        return ((const float *)from)[i];
    uint16_t half = ((const uint16_t *)from)[i];
    return dtype == TEMPERA_F16 ? tempera_f16_to_f32(half) : tempera_bf16_to_f32(half);
}

static void narrow(enum tempera_dtype dtype, float value, void *to, size_t i)
{
    if (dtype == TEMPERA_F32)
        ((float *)to)[i] = value;
    else
        ((uint16_t *)to)[i] =
            dtype == TEMPERA_F16 ? tempera_f32_to_f16(value) : tempera_f32_to_bf16(value);
}

// ------------------------------------------------------------------------------------------------
// A problem: logits, targets, options

struct problem {
    float logits[COUNT], probs[COUNT]; // as the type holds them
    char logits_memory[COUNT * 4], probs_memory[COUNT * 4];
    float weights[COLS];
    int32_t classes[ROWS];
    enum tempera_dtype dtype;
    bool soft;
    struct tempera_cross_entropy_options options;
};

static void set_logit(struct problem *p, size_t i, float value)
{
    narrow(p->dtype, value, p->logits_memory, i);
    p->logits[i] = widen(p->dtype, p->logits_memory, i);
}

static struct problem make_problem(unsigned options, enum tempera_reduction reduction,
                                   enum tempera_dtype dtype)
{
    static const float gammas[] = {2, 1, 0.5f, 3.5f};
    struct problem p = {.dtype = dtype, .soft = (options & SOFT) != 0};
    p.options = tempera_cross_entropy_options_default();
    p.options.reduction = reduction;
    p.options.gradient_scale = 1.5f;
    if (options & TEMPERATURE)
        p.options.temperature = 0.6f;
    if (options & SOFTCAP)
        p.options.softcap = 2.5f;
    if (options & SMOOTHING)
        p.options.label_smoothing = 0.1f;
    if (options & Z_LOSS)
        p.options.z_loss = 0.05f;
    if (options & FOCAL)
        p.options.focal_gamma = gammas[check_random_below(4)];
    for (size_t i = 0; i < COUNT; i++) {
        set_logit(&p, i, (float)(2 * check_random_normal()));
        float share = check_random_below(3) == 0 ? 0 : (float)check_random_between(0, 0.1);
        narrow(dtype, share, p.probs_memory, i);
        p.probs[i] = widen(dtype, p.probs_memory, i);
    }
    for (size_t i = 0; i < COLS; i++)
        p.weights[i] = i == 3 ? 0 : (float)check_random_between(0.2, 2);
    for (size_t r = 0; r < ROWS; r++)
        p.classes[r] = (int32_t)check_random_below(COLS);
    p.classes[2] = 3; // of weight 0, where there are weights
    if (options & IGNORE) {
        p.options.ignore_index = reduction == TEMPERA_REDUCTION_MEAN ? -7 : p.classes[1];
        p.classes[1] = p.options.ignore_index;
    }
    return p;
}

// Not within make_problem: the problem's address is not known there.
static struct tempera_cross_entropy_options options_of(const struct problem *p, unsigned options)
{
    struct tempera_cross_entropy_options o = p->options;
    o.class_weights = options & WEIGHTS ? p->weights : NULL;
    return o;
}

static bool is_ignored(const struct problem *p, size_t r)
{
    return !p->soft && p->classes[r] == p->options.ignore_index;
}

// ------------------------------------------------------------------------------------------------
// The formula

struct truth {
    long double cross_entropy, z_loss, logsumexp, entropy, mass;
};

// Of one row of logits, in which each may be moved.
static struct truth formula(const struct problem *p, const float *weights, size_t r,
                            const long double x[COLS])
{
    const struct tempera_cross_entropy_options *o = &p->options;
    long double a[COLS], max = -INFINITY, sum = 0, c = (long double)o->softcap;
    long double smoothing = (long double)o->label_smoothing;
    struct truth truth = {0, 0, 0, 0, 0};
    size_t y = (size_t)p->classes[r];
    for (size_t i = 0; i < COLS; i++) {
        a[i] = (c != 0 ? c * tanhl(x[i] / c) : x[i]) / (long double)o->temperature;
        max = a[i] > max ? a[i] : max;
    }
    for (size_t i = 0; i < COLS; i++)
        sum += expl(a[i] - max);
    long double lse = max + logl(sum);
    for (size_t i = 0; i < COLS; i++) {
        long double q = p->soft ? (long double)p->probs[r * COLS + i] : (long double)(i == y);
        long double t = (1 - smoothing) * q + smoothing / COLS;
        t *= weights != NULL ? (long double)weights[i] : 1;
        truth.mass += t;
        if (t != 0)
            truth.cross_entropy += t * (lse - a[i]);
        if (a[i] > -INFINITY)
            truth.entropy -= expl(a[i] - lse) * (a[i] - lse);
    }
    if (o->focal_gamma != 0)
        truth.cross_entropy *= powl(-expm1l(a[y] - lse), (long double)o->focal_gamma);
    truth.z_loss = (long double)o->z_loss * lse * lse;
    truth.logsumexp = lse;
    return truth;
}

// W and N.
static void normalisers(const struct problem *p, const float *weights, long double *w,
                        long double *n)
{
    *w = *n = 0;
    for (size_t r = 0; r < ROWS; r++)
        if (!is_ignored(p, r)) {
            *n += 1;
            *w += weights != NULL && !p->soft ? (long double)weights[p->classes[r]] : 1;
        }
}

// The slope of one row's part of the loss in logit i, by a difference of the fourth order.
static long double slope(const struct problem *p, const float *weights, size_t r, size_t i,
                         long double per_w, long double per_n)
{
    static const long double steps[] = {1, -1, 2, -2}, factors[] = {8, -8, -1, 1};
    const long double h = 0x1p-10L;
    long double x[COLS], sum = 0;
    for (size_t j = 0; j < COLS; j++)
        x[j] = (long double)p->logits[r * COLS + j];
    for (size_t k = 0; k < 4; k++) {
        x[i] = (long double)p->logits[r * COLS + i] + steps[k] * h;
        struct truth at = formula(p, weights, r, x);
        sum += factors[k] * (at.cross_entropy * per_w + at.z_loss * per_n);
    }
    return sum / (12 * h);
}

// ------------------------------------------------------------------------------------------------
// What the library says

struct answer {
    double loss, z_loss, weight_sum;
    size_t count, n_correct;
    float row_loss[ROWS], lse[ROWS], entropy[ROWS];
    uint8_t correct[ROWS];
    enum tempera_status row_status[ROWS], status;
    char gradient[COUNT * 4];
};

static struct answer ask(const struct problem *p, unsigned options, enum tempera_dtype d_dtype,
                         bool in_place, const struct tempera_executor *executor)
{
    struct answer a = {.loss = 0};
    char memory[COUNT * 4];
    memcpy(memory, p->logits_memory, sizeof memory);
    struct tempera_matrix logits = {memory, p->dtype, ROWS, COLS, COLS};
    struct tempera_matrix probs = {(void *)(uintptr_t)p->probs_memory, p->dtype, ROWS, COLS, COLS};
    struct tempera_matrix d = {in_place ? memory : a.gradient, d_dtype, ROWS, COLS, COLS};
    struct tempera_targets targets = {p->soft ? NULL : p->classes, p->soft ? &probs : NULL};
    struct tempera_cross_entropy_options o = options_of(p, options);
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs,
        .d_logits = &d,
        .row_loss = a.row_loss,
        .row_logsumexp = a.lse,
        .row_status = a.row_status,
        .loss = &a.loss,
        .count = &a.count,
        .row_entropy = a.entropy,
        .row_correct = p->soft ? NULL : a.correct,
        .n_correct = p->soft ? NULL : &a.n_correct,
        .weight_sum = &a.weight_sum,
        .z_loss = &a.z_loss,
    };
    a.status = tempera_cross_entropy(&logits, &targets, &o, &outputs, executor);
    if (in_place)
        memcpy(a.gradient, memory, sizeof memory);
    return a;
}

// What a call that wants nothing but the losses, which may take another path, gives for them.
static void check_losses_alone(const struct problem *p, unsigned options, const struct answer *a)
{
    struct tempera_matrix logits = {(void *)(uintptr_t)p->logits_memory, p->dtype, ROWS, COLS,
                                    COLS};
    struct tempera_matrix probs = {(void *)(uintptr_t)p->probs_memory, p->dtype, ROWS, COLS, COLS};
    struct tempera_targets targets = {p->soft ? NULL : p->classes, p->soft ? &probs : NULL};
    struct tempera_cross_entropy_options o = options_of(p, options);
    float row_loss[ROWS];
    double loss;
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .row_loss = row_loss, .loss = &loss};
    CHECK_STATUS(tempera_cross_entropy(&logits, &targets, &o, &outputs, NULL), a->status);
    CHECK_MEM(row_loss, a->row_loss, sizeof row_loss);
    CHECK_MEM(&loss, &a->loss, sizeof loss);
}

static double worst_loss, worst_gradient; // in bounds

static void keep_worst(double *worst, double off, double bound)
{
    *worst = off / bound > *worst ? off / bound : *worst;
    CHECK(off <= bound);
}

static void check_row(const struct problem *p, const float *weights, const struct answer *a,
                      size_t r, long double per_w, long double per_n, const struct truth *truth)
{
    const struct tempera_cross_entropy_options *o = &p->options;
    double T = (double)o->temperature, lse = fabs((double)truth->logsumexp), mass;
    mass = (double)truth->mass;
    // A softcap's 5 ulp of a score, at most 2.5: in a = s / T, and so in every lse - a.
    double capped = o->softcap != 0 ? 2 * 5 * 0x1p-23 / T : 0;
    double focal = 1 + (double)o->focal_gamma; // f's slope
    double loss_bound = (mass + 1) * (0x1p-22 + capped) * focal +
                        (double)o->z_loss * 2 * lse * (0x1p-22 + capped) +
                        ulp_of(truth->cross_entropy + truth->z_loss);
    keep_worst(&worst_loss,
               (double)fabsl((long double)a->row_loss[r] - truth->cross_entropy - truth->z_loss),
               loss_bound);
    CHECK_NEAR((double)a->lse[r], (double)truth->logsumexp,
               ulp_of(truth->logsumexp) + 0x1p-22 + capped);
    CHECK_NEAR((double)a->entropy[r], (double)truth->entropy,
               0x1p-20 * (1 + (double)truth->entropy) + capped * 4);
    for (size_t i = 0; i < COLS; i++) {
        double exact = (double)(slope(p, weights, r, i, per_w, per_n) *
                                (long double)o->gradient_scale);
        double scale = (double)o->gradient_scale / T *
                       ((double)per_w * (mass * focal + 1) +
                        2 * (double)o->z_loss * (lse + 1) * (double)per_n);
        double bound = scale * (0x1p-21 + 4 * capped) + ulp_of(exact);
        double got = (double)((const float *)(const void *)a->gradient)[r * COLS + i];
        keep_worst(&worst_gradient, fabs(got - exact), bound);
    }
}

static bool is_argmax(const struct problem *p, size_t r)
{
    const float *x = p->logits + r * COLS;
    size_t best = 0;
    for (size_t i = 1; i < COLS; i++)
        best = x[i] > x[best] ? i : best;
    return best == (size_t)p->classes[r];
}

static void check_ignored_row(const struct answer *a, size_t r)
{
    static const float zeros[COLS];
    CHECK(a->row_loss[r] == 0 && a->lse[r] == 0 && a->entropy[r] == 0 && a->correct[r] == 0);
    CHECK_MEM(a->gradient + r * COLS * sizeof(float), zeros, sizeof zeros);
}

static void check_answer(const struct problem *p, unsigned options, const struct answer *a)
{
    const float *weights = options & WEIGHTS ? p->weights : NULL;
    bool is_mean = p->options.reduction == TEMPERA_REDUCTION_MEAN;
    long double w, n, x[COLS], cross_entropy = 0, z_loss = 0;
    size_t n_correct = 0;
    normalisers(p, weights, &w, &n);
    long double per_w = is_mean ? 1 / w : 1, per_n = is_mean ? 1 / n : 1;
    CHECK_STATUS(a->status, TEMPERA_OK);
    CHECK_EQ_SIZE(a->count, (size_t)n);
    CHECK_NEAR(a->weight_sum, (double)w, 1e-15 * (double)w);
    for (size_t r = 0; r < ROWS; r++) {
        CHECK_STATUS(a->row_status[r], TEMPERA_OK);
        if (is_ignored(p, r)) {
            check_ignored_row(a, r);
            continue;
        }
        for (size_t i = 0; i < COLS; i++)
            x[i] = (long double)p->logits[r * COLS + i];
        struct truth truth = formula(p, weights, r, x);
        check_row(p, weights, a, r, per_w, per_n, &truth);
        cross_entropy += truth.cross_entropy;
        z_loss += truth.z_loss;
        n_correct += !p->soft && is_argmax(p, r);
        CHECK(p->soft || a->correct[r] == is_argmax(p, r));
    }
    CHECK_EQ_SIZE(a->n_correct, n_correct);
    double total = (double)(cross_entropy * per_w + z_loss * per_n);
    CHECK_NEAR(a->loss, total, 0x1p-17 * (1 + fabs(total)));
    CHECK_NEAR(a->z_loss, (double)(z_loss * per_n), 0x1p-17 * (double)(z_loss * per_n));
}

static bool is_a_set(unsigned options)
{
    return !(options & SOFT) || !(options & (FOCAL | IGNORE));
}

// Each option alone, each pair, and every larger set.
static void formula_and_differences(void)
{
    const unsigned step = (unsigned)check_stride(7);
    for (unsigned options = 0; options < ALL_OPTIONS; options += step)
        for (unsigned reduction = 0; is_a_set(options) && reduction < 3; reduction++) {
            enum tempera_dtype dtype = dtypes[(options + reduction) % 3];
            struct problem p = make_problem(options, (enum tempera_reduction)reduction, dtype);
            struct answer a = ask(&p, options, TEMPERA_F32, false, NULL);
            size_t failures = check_n_failures();
            check_answer(&p, options, &a);
            check_losses_alone(&p, options, &a);
            if (check_n_failures() > failures)
                printf("# options 0x%x, reduction %u, %s\n", options, reduction,
                       tempera_dtype_name(dtype));
        }
    printf("# the worst: losses %.3f, gradients %.3f of their bounds\n", worst_loss,
           worst_gradient);
}

// ------------------------------------------------------------------------------------------------
// The same bits

static void check_same(const struct answer *a, const struct answer *b)
{
    CHECK_MEM(&a->loss, &b->loss, sizeof a->loss);
    CHECK_MEM(&a->z_loss, &b->z_loss, sizeof a->z_loss);
    CHECK_MEM(a->row_loss, b->row_loss, sizeof a->row_loss);
    CHECK_MEM(a->lse, b->lse, sizeof a->lse);
    CHECK_MEM(a->entropy, b->entropy, sizeof a->entropy);
}

// A gradient in place is the one apart, and one of 16 bits the one of 32, rounded.
static void places_and_types(void)
{
    const unsigned step = (unsigned)check_stride(7);
    for (unsigned options = 0; options < ALL_OPTIONS; options += step)
        for (size_t t = 0; is_a_set(options) && t < 3; t++) {
            struct problem p = make_problem(options, TEMPERA_REDUCTION_MEAN, dtypes[t]);
            struct answer wide = ask(&p, options, TEMPERA_F32, false, NULL);
            struct answer in_place = ask(&p, options, dtypes[t], true, NULL);
            check_same(&wide, &in_place);
            for (size_t other = 0; other < 3; other++) {
                struct answer apart = ask(&p, options, dtypes[other], false, NULL);
                char rounded[COUNT * 4] = {0};
                for (size_t i = 0; i < COUNT; i++)
                    narrow(dtypes[other], widen(TEMPERA_F32, wide.gradient, i), rounded, i);
                size_t nbytes = COUNT * tempera_dtype_nbytes(dtypes[other]);
                CHECK_MEM(apart.gradient, rounded, nbytes);
                if (other == t)
                    CHECK_MEM(in_place.gradient, rounded, nbytes);
                check_same(&wide, &apart);
            }
        }
}

// Rows are shared out among threads; what comes out doesn't show how.
static void threads(void)
{
    static const size_t counts[] = {1, 2, 3, 7};
    static const unsigned sets[] = {0, SMOOTHING, SMOOTHING | WEIGHTS | Z_LOSS | FOCAL | IGNORE,
                                    SOFT | SOFTCAP | TEMPERATURE | WEIGHTS};
    for (size_t i = 0; i < 4; i++) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, counts[i]), TEMPERA_OK);
        for (size_t s = 0; s < 4; s++) {
            struct problem p = make_problem(sets[s], TEMPERA_REDUCTION_MEAN, dtypes[s % 3]);
            struct answer one = ask(&p, sets[s], p.dtype, true, NULL);
            struct answer many =
                ask(&p, sets[s], p.dtype, true, tempera_thread_pool_executor(pool));
            check_same(&one, &many);
            CHECK_MEM(one.gradient, many.gradient, sizeof one.gradient);
        }
        tempera_thread_pool_close(&pool);
    }
}

// ------------------------------------------------------------------------------------------------
// Hard rows

static void make_hard(struct problem *p, unsigned round)
{
    for (size_t i = 0; i < COUNT; i++) {
        int kind = (int)check_random_below(3) - 1;
        float x = p->logits[i];
        if (round == 0)
            x += 1e4f * (float)kind;
        else if (round == 1)
            x += 80 * (float)kind;
        else if (round == 2)
            x = i % COLS == (size_t)p->classes[i / COLS] ? 50 : 0; // one-hot, and right
        else
            x = i % COLS == 5 ? 50 : 0; // and wrong
        set_logit(p, i, x);
    }
}

// Scores of +-1e4 and +-80, rows with all mass on one score: every loss, by the same bounds. The
// finite differences of such rows are as good: what is steep there is steep over h as well.
static void extreme_scores(void)
{
    const unsigned step = (unsigned)check_stride(5);
    for (unsigned options = 0; options < ALL_OPTIONS; options += step)
        for (unsigned round = options / 3 % 2; round < 4 && is_a_set(options); round += 2) {
            struct problem p = make_problem(options, TEMPERA_REDUCTION_SUM, TEMPERA_F32);
            make_hard(&p, round);
            struct answer a = ask(&p, options, TEMPERA_F32, false, NULL);
            const float *weights = options & WEIGHTS ? p.weights : NULL;
            CHECK_STATUS(a.status, TEMPERA_OK);
            for (size_t r = 0; r < ROWS; r++) {
                long double x[COLS];
                for (size_t i = 0; i < COLS; i++)
                    x[i] = (long double)p.logits[r * COLS + i];
                struct truth truth = formula(&p, weights, r, x);
                if (!is_ignored(&p, r))
                    check_row(&p, weights, &a, r, 1, 1, &truth);
            }
        }
}

// Temperatures and scores that f32 arithmetic can't hold go to double. With logits, softcap and T
// times a power of two, nothing changes but the gradient, which is divided by it; gradient_scale
// takes that back.
static void rows_in_double(void)
{
    const unsigned step = (unsigned)check_stride(7);
    static const int exponents[] = {-123, 104};
    for (unsigned options = 0; options < ALL_OPTIONS; options += step)
        for (size_t k = 0; k < 2 && is_a_set(options); k++) {
            struct problem p = make_problem(options, TEMPERA_REDUCTION_MEAN, TEMPERA_F32);
            float scale = ldexpf(1, exponents[k]);
            set_logit(&p, 4, -INFINITY); // beside a target, unless the options make it one
            p.probs[4] = 0;
            narrow(TEMPERA_F32, 0, p.probs_memory, 4);
            p.classes[0] = 5;
            struct problem far = p;
            for (size_t i = 0; i < COUNT; i++)
                set_logit(&far, i, p.logits[i] * scale);
            far.options.temperature *= scale;
            far.options.softcap *= scale;
            far.options.gradient_scale *= scale;
            struct answer a = ask(&p, options, TEMPERA_F32, false, NULL);
            struct answer b = ask(&far, options, TEMPERA_F32, false, NULL);
            double capped = options & SOFTCAP ? 16 : 1;
            CHECK_STATUS(b.status, a.status);
            CHECK_NEAR(b.loss, a.loss, 0x1p-18 * capped * (1 + fabs(a.loss)));
            for (size_t r = 0; r < ROWS; r++) {
                CHECK_STATUS(b.row_status[r], a.row_status[r]);
                CHECK_NEAR((double)b.lse[r], (double)a.lse[r], 0x1p-19 * capped);
                CHECK_NEAR((double)b.entropy[r], (double)a.entropy[r], 0x1p-18 * capped);
                CHECK_EQ_INT(b.correct[r], a.correct[r]);
            }
            for (size_t i = 0; i < COUNT; i++)
                CHECK_NEAR((double)widen(TEMPERA_F32, b.gradient, i),
                           (double)widen(TEMPERA_F32, a.gradient, i), 0x1p-17 * capped);
        }
}

// Masked columns are not there: scores so low that they have no mass give the same losses and the
// same gradient.
static void masked_columns(void)
{
    const unsigned step = (unsigned)check_stride(3);
    for (unsigned options = 0; options < ALL_OPTIONS; options += step) {
        if (!is_a_set(options) || options & (SOFTCAP | SMOOTHING))
            continue;
        struct problem p = make_problem(options, TEMPERA_REDUCTION_MEAN, TEMPERA_BF16), low = p;
        for (size_t i = 0; i < COUNT; i++) {
            bool is_masked = i % COLS % 4 == 1 && i % COLS != (size_t)p.classes[i / COLS];
            if (!is_masked)
                continue;
            p.probs[i] = low.probs[i] = 0;
            narrow(TEMPERA_BF16, 0, p.probs_memory, i);
            narrow(TEMPERA_BF16, 0, low.probs_memory, i);
            set_logit(&p, i, -INFINITY);
            set_logit(&low, i, -1e30f);
        }
        struct answer a = ask(&p, options, TEMPERA_F32, false, NULL);
        struct answer b = ask(&low, options, TEMPERA_F32, false, NULL);
        CHECK_STATUS(a.status, TEMPERA_OK);
        check_same(&a, &b);
        CHECK_MEM(a.gradient, b.gradient, sizeof a.gradient);
        for (size_t i = 0; i < COUNT; i++)
            CHECK(p.logits[i] > -INFINITY || widen(TEMPERA_F32, a.gradient, i) == 0);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"every set of options is the formula, and its gradient finite differences",
         formula_and_differences},
        {"bits do not depend on the place or the type", places_and_types},
        {"results do not depend on the thread count", threads},
        {"scores of +-1e4 and +-80 and one-hot rows are the formula", extreme_scores},
        {"rows in double are the formula", rows_in_double},
        {"masked columns count as absent", masked_columns},
    };
    return CHECK_RUN(tests, argc, argv);
}
