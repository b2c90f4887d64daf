// SPDX-License-Identifier: MIT
// Masses are integers, so their sums are exact: the result does not depend on the order of
// summation or on the number of threads. A total is below 2^83, so with 128 random bits the
// probability of each token is exact to a relative error of 2^-45.
#include "sampler/row/draw.h"

#include "base/philox.h"

enum { SUM = TEMPERA_MASSES_PER_SUM };

struct tempera_philox_input tempera_draw_input(uint64_t seed, uint32_t stream, uint64_t step,
                                               uint32_t draw)
{
    return (struct tempera_philox_input){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {draw, stream, (uint32_t)step, (uint32_t)(step >> 32)},
    };
}

tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw)
{
    struct tempera_philox_input in = tempera_draw_input(seed, stream, step, draw);
    uint32_t out[4];
    tempera_philox4x32(in.counter, in.key, out);
    uint64_t low = (uint64_t)out[1] << 32 | out[0], high = (uint64_t)out[3] << 32 | out[2];
    return (tempera_u128)high << 64 | low;
}

tempera_u128 tempera_candidates_random_bits(const struct tempera_candidates *c, uint32_t draw)
{
    return tempera_draw_bits(c->row->seed, c->row->stream, c->step, draw);
}

// floor(a b / 2^128), from products of 64-bit halves.
static tempera_u128 multiply_high(tempera_u128 a, tempera_u128 b)
{
    uint64_t a_low = (uint64_t)a, a_high = (uint64_t)(a >> 64);
    uint64_t b_low = (uint64_t)b, b_high = (uint64_t)(b >> 64);
    tempera_u128 low = (tempera_u128)a_low * b_low;
    tempera_u128 cross1 = (tempera_u128)a_high * b_low + (uint64_t)(low >> 64);
    tempera_u128 cross2 = (tempera_u128)a_low * b_high + (uint64_t)cross1;
    return (tempera_u128)a_high * b_high + (uint64_t)(cross1 >> 64) + (uint64_t)(cross2 >> 64);
}

// The index within one sum's masses.
static size_t index_in(const uint64_t *masses, tempera_u128 target)
{
    size_t at = 0;
    while (target >= masses[at])
        target -= masses[at++];
    return at;
}

size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits)
{
    return index_in(masses, multiply_high(bits, tempera_masses_total(masses, n)));
}

static size_t length_from(struct tempera_score_array scores, size_t first)
{
    return scores.n - first < SUM ? scores.n - first : SUM;
}

struct tempera_block_sums tempera_candidates_block_sums(struct tempera_candidates *c)
{
    struct tempera_block_sums s = {tempera_candidates_scores(c), tempera_mass_scale_of(c),
                                   c->masses, 0};
    for (size_t i = 0; i < s.scores.n; i += SUM)
        s.mass += s.sums[i / SUM] =
            tempera_scores_mass(&s.scale, s.scores.z + i, length_from(s.scores, i));
    return s;
}

// Finds the block that the target lies in by the sums, then the index in it by its masses.
size_t tempera_block_sums_draw(const struct tempera_block_sums *s, tempera_u128 bits)
{
    tempera_u128 target = multiply_high(bits, s->mass);
    size_t first = 0;
    for (size_t i = 0; target >= s->sums[i]; i++) {
        target -= s->sums[i];
        first += SUM;
    }
    uint64_t masses[SUM];
    tempera_masses_compute(&s->scale, s->scores.z + first, length_from(s->scores, first), masses);
    return first + index_in(masses, target);
}
