// SPDX-License-Identifier: MIT
// The draw. Masses are integers, so their sums are exact and the answer does not depend on the
// order or the number of threads that summed them. A total is below 2^82, so of 2^128 equal bits
// every token has its share to a relative error of at most 2^-46.
#include "base/philox.h"
#include "sampler/sampler.h"

tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {draw, stream, (uint32_t)step, (uint32_t)(step >> 32)};
    uint32_t out[4];
    tempera_philox4x32(counter, key, out);
    uint64_t low = (uint64_t)out[1] << 32 | out[0], high = (uint64_t)out[3] << 32 | out[2];
    return (tempera_u128)high << 64 | low;
}

tempera_u128 tempera_candidates_luck(const struct tempera_candidates *c, uint32_t draw)
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

// First by blocks, then within the one that reaches the target.
size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits)
{
    // What is left of the target after the masses that were passed.
    tempera_u128 left = multiply_high(bits, tempera_masses_total(masses, n));
    size_t first = 0;
    while (n - first > TEMPERA_MASSES_PER_SUM) {
        uint64_t sum = 0;
        for (size_t i = 0; i < TEMPERA_MASSES_PER_SUM; i++)
            sum += masses[first + i];
        if (left < sum)
            break;
        left -= sum;
        first += TEMPERA_MASSES_PER_SUM;
    }
    size_t at = first;
    while (left >= masses[at])
        left -= masses[at++];
    return at;
}
