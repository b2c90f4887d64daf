// SPDX-License-Identifier: MIT
// The draw. Masses are integers, so their sums are exact and the answer does not depend on the
// order or the number of threads that summed them. A total is below 2^82, so of 2^128 equal bits
// every token has its share to a relative error of at most 2^-46.
#include "base/philox.h"
#include "sampler/row/row.h"

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

// floor(a b / 2^128), by schoolbook on 64-bit halves.
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

static size_t length_from(struct tempera_scores scores, size_t first)
{
    return scores.n - first < SUM ? scores.n - first : SUM;
}

struct tempera_sums tempera_candidates_sums(struct tempera_candidates *c)
{
    struct tempera_sums s = {tempera_candidates_scores(c), tempera_scale_of(c), c->masses, 0};
    for (size_t i = 0; i < s.scores.n; i += SUM)
        s.W += s.sums[i / SUM] =
            tempera_scale_sum(&s.scale, s.scores.z + i, length_from(s.scores, i));
    return s;
}

// The block that reaches the target, and of that one the masses themselves.
size_t tempera_sums_draw(const struct tempera_sums *s, tempera_u128 bits)
{
    tempera_u128 target = multiply_high(bits, s->W);
    size_t first = 0;
    for (size_t i = 0; target >= s->sums[i]; i++) {
        target -= s->sums[i];
        first += SUM;
    }
    uint64_t masses[SUM];
    tempera_scale_masses(&s->scale, s->scores.z + first, length_from(s->scores, first), masses);
    return first + index_in(masses, target);
}
