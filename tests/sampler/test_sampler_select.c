// SPDX-License-Identifier: MIT
// Where a prefix ends, against sorting: by score and by distance, by counts and by masses; on rows
// with many ties, on rows that defeat the choice of pivots, and at the ends of the floats.
#include "check.h"

#include "sampler/row/candidates.h"
#include "sampler/row/masses.h"
#include "sampler/row/partition.h"
#include "sampler/row/ranking.h"
#include "sampler/row/score_key.h"
#include "sampler/row/scratch.h"

enum { MOST = 5000 };

static float scores[MOST], sorted[MOST], scratch[2 * TEMPERA_PADDED(MOST)];
static const struct tempera_ranking *order; // for qsort

static int by_key(const void *a, const void *b)
{
    uint64_t x = tempera_ranking_key(order, *(const float *)a);
    uint64_t y = tempera_ranking_key(order, *(const float *)b);
    return x > y ? -1 : x < y;
}

static uint64_t weight_of(const struct tempera_ranking *ranking, float score)
{
    uint64_t weight = 1;
    if (!ranking->by_count)
        tempera_masses_compute(ranking->scale, &score, 1, &weight);
    return weight;
}

static void compare(const struct tempera_ranking *ranking, size_t n, tempera_u128 least)
{
    tempera_u128 above = 0;
    size_t first = 0, end = 0;
    order = ranking;
    memcpy(sorted, scores, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_key);
    for (tempera_u128 sum = 0; end < n && sum < least; end++) {
        if (end > 0 && by_key(&sorted[end - 1], &sorted[end]) != 0) {
            above = sum;
            first = end;
        }
        sum += weight_of(ranking, sorted[end]);
    }
    uint64_t key = tempera_ranking_key(ranking, sorted[first]);
    while (end < n && tempera_ranking_key(ranking, sorted[end]) == key)
        end++;
    struct tempera_prefix_end found = tempera_find_prefix_end(ranking, scores, n, least, scratch);
    CHECK_EQ_U64(found.key, key);
    CHECK_EQ_SIZE(found.n, end - first);
    CHECK(found.weight_above == above);
    for (size_t i = 0; i < found.n; i++)
        CHECK_EQ_U64(tempera_ranking_key(ranking, found.scores[i]), key);
}

// All rankings, with the end at some places of the order.
static void compare_all(size_t n, double T)
{
    struct tempera_candidates c = {.max = scores[0], .temperature = T};
    for (size_t i = 0; i < n; i++)
        c.max = scores[i] > c.max ? scores[i] : c.max;
    c.max += 0.0f;
    const struct tempera_mass_scale scale = tempera_mass_scale_of(&c);
    for (int kind = 0; kind < 4; kind++) {
        struct tempera_ranking ranking = {.scale = &scale};
        if (kind % 2 == 1)
            ranking = tempera_ranking_by_distance(&scale, check_random_between(0, 3));
        ranking.by_count = kind >= 2;
        tempera_u128 all = tempera_weight_of(&ranking, scores, n);
        compare(&ranking, n, 1);
        compare(&ranking, n, all);
        for (unsigned i = 1; i < 6; i++)
            compare(&ranking, n, all / 6 * i + 1);
    }
}

static void rows_with_ties(void)
{
    for (size_t round = 0; round < check_cases(300); round++) {
        size_t n = 1 + check_random_below(round % 10 == 0 ? MOST : 100);
        double step = round % 3 == 0 ? 0.5 : 0x1p-20;
        for (size_t i = 0; i < n; i++)
            scores[i] = (float)(rint(check_random_between(-4, 4) / step) * step);
        compare_all(n, check_random_between(0.1, 3));
    }
}

// Both zeros, the least and the largest floats, neighbours of one another.
static void ends_of_the_floats(void)
{
    static const float values[] = {0.0f,     -0.0f,     0x1p-149f,        -0x1p-149f,
                                   1,        0x1p-126f, 0x1.fffffep127f,  -0x1.fffffep127f,
                                   0x1p103f, -1,        0x1.fffffep-127f, 0x1.000002p0f};
    const size_t n_values = COUNT_OF(values);
    for (size_t round = 0; round < check_cases(200); round++) {
        size_t n = 1 + check_random_below(60), kinds = 1 + check_random_below(n_values);
        for (size_t i = 0; i < n; i++)
            scores[i] = values[(round + check_random_below(kinds)) % n_values];
        compare_all(n, round % 2 ? 1 : 1e30);
    }
}

// In every step the scores that the pivot is chosen from are the largest that are left, so that
// next to nothing is parted off: the steps after that halve the range of keys.
static void rows_that_defeat_the_pivots(void)
{
    enum { FEW = 15, N = 4000 };
    static size_t left[N];
    size_t n = N;
    float next = 100;
    for (size_t i = 0; i < N; i++) {
        left[i] = i;
        scores[i] = 0;
    }
    while (n > 2 * FEW) {
        for (size_t i = 0; i < FEW; i++)
            if (scores[left[i * (n / FEW)]] == 0)
                scores[left[i * (n / FEW)]] = next -= 0.01f;
        size_t kept = 0;
        float pivot = scores[left[0]];
        for (size_t i = 0; i < n; i++) // what the first half of them parts off
            if (scores[left[i]] == 0 || scores[left[i]] < pivot)
                left[kept++] = left[i];
        n = kept;
    }
    compare_all(N, 1);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"rows with ties are partitioned exactly", rows_with_ties},
        {"the smallest and largest floats are partitioned exactly", ends_of_the_floats},
        {"rows that defeat the pivots are partitioned exactly", rows_that_defeat_the_pivots},
    };
    return CHECK_RUN(tests, argc, argv);
}
