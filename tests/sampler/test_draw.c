// SPDX-License-Identifier: MIT
// The draw as a function of its 128 bits: every border of the running masses and one step to
// either side, all of a small total, and tokens so rare that floats never reach them.
#include "check.h"

#include "sampler/row/draw.h"
#include "sampler/row/masses.h"

static const tempera_u128 all_bits = ~(tempera_u128)0;

// The smallest bits whose floor(bits W / 2^128) is `sum` or more: ceil(sum 2^128 / W), by long
// division, for sum < W.
static tempera_u128 first_bits(tempera_u128 sum, tempera_u128 W)
{
    tempera_u128 quotient = 0, rest = sum;
    for (int i = 0; i < 128; i++) {
        rest <<= 1; // W is below 2^127
        quotient <<= 1;
        if (rest >= W) {
            rest -= W;
            quotient |= 1;
        }
    }
    return quotient + (rest != 0);
}

// At the first bits of every token, one before, one after; and at the last bits of it.
static void check_borders(const uint64_t *masses, size_t n)
{
    tempera_u128 W = 0, sum = 0;
    size_t before = n; // the last token with mass so far
    for (size_t i = 0; i < n; i++)
        W += masses[i];
    for (size_t i = 0; i < n; i++) {
        if (masses[i] == 0)
            continue;
        tempera_u128 first = first_bits(sum, W);
        CHECK_EQ_SIZE(tempera_draw_index(masses, n, first), i);
        CHECK_EQ_SIZE(tempera_draw_index(masses, n, first + 1), i);
        if (before < n)
            CHECK_EQ_SIZE(tempera_draw_index(masses, n, first - 1), before);
        sum += masses[i];
        before = i;
    }
    CHECK_EQ_SIZE(tempera_draw_index(masses, n, all_bits), before);
}

static void borders(void)
{
    const uint64_t largest = UINT64_C(1) << 51;
    static uint64_t masses[10000];
    for (int round = 0; round < (int)check_cases(300); round++) {
        size_t n = 1 + check_random_below(60);
        for (size_t i = 0; i < n; i++)
            masses[i] = (check_random() >> 12) >> check_random_below(53);
        masses[check_random_below(n)] = largest;
        check_borders(masses, n);
    }
    for (size_t n = 1; n <= 10000; n = n < 4090 ? 4090 : n < 4100 ? n + 1 : n * 2) {
        for (size_t i = 0; i < n; i++) // the largest in the middle of the smallest and of nothing
            masses[i] = i == n / 2 ? largest : i % 3 != 0;
        if (n < 4100)
            check_borders(masses, n);
        for (size_t i = 0; i < n; i++)
            masses[i] = largest;
        if (n < 4100)
            check_borders(masses, n);
    }
}

// Many tokens: the search by blocks, at the borders of the blocks.
static void blocks(void)
{
    enum { N = 21 * TEMPERA_MASSES_PER_SUM + 5 };
    static uint64_t masses[N];
    tempera_u128 W = 0, sum = 0;
    for (size_t i = 0; i < N; i++)
        W += masses[i] = i % 5 == 0 ? 0 : (check_random() >> 13) | 1;
    CHECK(W >> 64 != 0); // both halves of the product count
    for (size_t i = 0; i < N; i++) {
        bool near_border = i % TEMPERA_MASSES_PER_SUM < 3 ||
                           i % TEMPERA_MASSES_PER_SUM > TEMPERA_MASSES_PER_SUM - 3;
        if (near_border && masses[i] > 0) {
            CHECK_EQ_SIZE(tempera_draw_index(masses, N, first_bits(sum, W)), i);
            if (sum + masses[i] < W)
                CHECK_EQ_SIZE(tempera_draw_index(masses, N, first_bits(sum + masses[i], W) - 1), i);
        }
        sum += masses[i];
    }
}

// All values that bits can take, as far as a total of 16 can tell them apart.
static void enumeration(void)
{
    const uint64_t masses[] = {3, 0, 1, 4, 0, 8};
    const tempera_u128 sixteenth = (tempera_u128)1 << 124;
    size_t hits[6] = {0};
    for (unsigned i = 0; i < 16; i++) {
        hits[tempera_draw_index(masses, 6, i * sixteenth)]++;
        hits[tempera_draw_index(masses, 6, i * sixteenth + (sixteenth - 1))]++;
    }
    for (size_t i = 0; i < 6; i++)
        CHECK_EQ_SIZE(hits[i], 2 * masses[i]);
}

// Bits of all zeros and all ones give tokens with mass, whatever stands at the ends of the row.
static void ends_of_the_bits(void)
{
    const uint64_t masses[] = {0, 0, 1, UINT64_C(1) << 51, 1, 0};
    CHECK_EQ_SIZE(tempera_draw_index(masses, 6, 0), 2);
    CHECK_EQ_SIZE(tempera_draw_index(masses, 6, all_bits), 4);
    CHECK_EQ_SIZE(tempera_draw_index(masses + 3, 1, 0), 0);
    CHECK_EQ_SIZE(tempera_draw_index(masses + 3, 1, all_bits), 0);
}

// ------------------------------------------------------------------------------------------------
// Bits

static void bits_depend_on_every_bit_of_their_key(void)
{
    const tempera_u128 base = tempera_draw_bits(1, 2, 3, 4);
    CHECK(base == tempera_draw_bits(1, 2, 3, 4));
    for (int i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        CHECK(base != tempera_draw_bits(1 ^ bit, 2, 3, 4));
        CHECK(base != tempera_draw_bits(1, 2, 3 ^ bit, 4));
        if (i < 32) {
            CHECK(base != tempera_draw_bits(1, 2 ^ (uint32_t)bit, 3, 4));
            CHECK(base != tempera_draw_bits(1, 2, 3, 4 ^ (uint32_t)bit));
        }
    }
}

// The block of the counter (draw, stream, step) under the key seed, lowest word first: pinned,
// since a saved state must go on with the same tokens. The answer to counter and key of zeros is
// the one that the authors of Philox publish with their code.
static void bits_are_pinned(void)
{
    CHECK(tempera_draw_bits(0, 0, 0, 0) ==
          ((tempera_u128)UINT64_C(0x9b00dbd8bc57ac4c) << 64 | UINT64_C(0xe169c58d6627e8d5)));
    tempera_u128 bits =
        tempera_draw_bits(UINT64_C(0x0123456789ABCDEF), 0xFEDC, UINT64_C(0x1122334455667788), 7);
    CHECK(bits ==
          ((tempera_u128)UINT64_C(0xaf0f341e7a6cc4d1) << 64 | UINT64_C(0xd8ff2e2e289b3f69)));
}

// ------------------------------------------------------------------------------------------------
// The tail

// One token against 262,144 that share 2^-17 of the mass, 2^-35 each: noise with 24 or 32 bits
// never reaches a single one of them. 2^22 draws should hit them 32.8 times, and fewer
// draws as often, where each has more mass.
static void tail_is_reached(void)
{
    enum { TAIL = 262144 };
    const size_t draws = check_cases(1 << 22);
    static uint64_t masses[TAIL + 1];
    static unsigned char was_hit[TAIL + 1];
    masses[0] = UINT64_C(1) << 51;
    for (size_t i = 1; i <= TAIL; i++)
        masses[i] = (uint64_t)(0x1p51 * 32.8 / (double)draws / TAIL);
    tempera_u128 W = tempera_masses_total(masses, TAIL + 1);
    tempera_u128 border = first_bits(masses[0], W);
    size_t hits = 0, n_distinct = 0;
    for (uint64_t step = 0; step < draws; step++) {
        tempera_u128 bits = tempera_draw_bits(1, 0, step, 0);
        if (bits < border) // the first token, as the borders' test shows
            continue;
        size_t at = tempera_draw_index(masses, TAIL + 1, bits);
        CHECK(at > 0 && at <= TAIL);
        n_distinct += !was_hit[at];
        was_hit[at] = 1;
        hits++;
    }
    printf("# %zu hits in the tail, 32.8 expected\n", hits);
    // Outside of [10, 66] with a chance below 1e-6, as the sum of Poisson's probabilities tells;
    // two hits in one token have a chance of 1 in 500.
    CHECK(hits >= 10 && hits <= 66);
    CHECK_EQ_SIZE(n_distinct, hits);
}

// Many at once, by every table: the lower half of each token's bits.
static void bits_of_many(void)
{
    enum { MOST = 67 };
    const uint64_t seed = 0x123456789ABCDEF0u, step = 0xFEDCBA9876543210u;
    const struct tempera_kernels *table;
    for (size_t t = 0; (table = tempera_kernels_at(t)) != NULL; t++)
        for (size_t n = 0; n <= MOST; n++) {
            int32_t ids[MOST];
            uint64_t bits[MOST + 1];
            for (size_t i = 0; i < n; i++)
                ids[i] = (int32_t)(i % 3 == 0 ? INT32_MAX - i : i * 7919);
            bits[n] = 42;
            struct tempera_philox_input in = tempera_draw_input(seed, 7, step, TEMPERA_DRAW_NOISE);
            table->sampler.random_bits(in.key, in.counter, ids, n, bits);
            for (size_t i = 0; i < n; i++) {
                uint32_t draw = TEMPERA_DRAW_NOISE + (uint32_t)ids[i];
                CHECK_EQ_U64(bits[i], (uint64_t)tempera_draw_bits(seed, 7, step, draw));
            }
            CHECK_EQ_U64(bits[n], 42);
        }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"one step decides at every border of the masses", borders},
        {"one step decides at the borders of blocks", blocks},
        {"enumerated bits give exact probabilities", enumeration},
        {"bits of all zeros and all ones give tokens with mass", ends_of_the_bits},
        {"bits depend on every bit of seed, stream, step and draw",
         bits_depend_on_every_bit_of_their_key},
        {"random bits are the recorded ones", bits_are_pinned},
        {"every instruction set gives many tokens the same bits", bits_of_many},
        {"tokens of probability 2^-35 are drawn as often as they should", tail_is_reached},
    };
    return CHECK_RUN(tests, argc, argv);
}
