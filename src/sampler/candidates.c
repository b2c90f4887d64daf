// SPDX-License-Identifier: MIT
#include <math.h>

#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Gathering

// What was gathered so far; a value, so that it stays in registers while the arrays are written.
struct gathered {
    size_t n;
    float max;
    bool has_nan;
};

// Branch-free, for the common case of a whole vocabulary: a score that doesn't count is
// overwritten by the next one.
static inline struct gathered take(struct gathered g, const struct tempera_candidates *c, size_t id,
                                   float score)
{
    c->ids[g.n] = (int32_t)id;
    c->scores[g.n] = score;
    g.n += score > -INFINITY;
    g.max = score > g.max ? score : g.max;
    g.has_nan |= score != score;
    return g;
}

static struct gathered take_all(struct tempera_candidates c, const float *z, size_t n)
{
    struct gathered g = {0, -INFINITY, false};
    for (size_t id = 0; id < n; id++)
        g = take(g, &c, id, z[id]);
    return g;
}

// Walks the mask word by word: a grammar allows few tokens of many, and what it doesn't allow is
// not read.
static struct gathered take_masked(struct tempera_candidates c, const float *z,
                                   const uint32_t *mask, size_t n)
{
    struct gathered g = {0, -INFINITY, false};
    for (size_t first = 0; first < n; first += 32) {
        uint32_t allowed = mask[first / 32];
        if (n - first < 32)
            allowed &= ((uint32_t)1 << (n - first)) - 1;
        for (; allowed != 0; allowed &= allowed - 1) {
            size_t id = first + (size_t)__builtin_ctz(allowed);
            g = take(g, &c, id, z[id]);
        }
    }
    return g;
}

enum tempera_status tempera_candidates_gather(struct tempera_candidates *c, const float *z,
                                              const uint32_t *mask, size_t n)
{
    struct gathered g = mask == NULL ? take_all(*c, z, n) : take_masked(*c, z, mask, n);
    c->n = g.n;
    c->max = g.max;
    c->temperature = 1;
    c->chain_temperature = 1;
    c->has_masses = false;
    if (g.has_nan)
        return TEMPERA_NAN_INPUT;
    if (c->n == 0)
        return TEMPERA_ALL_MASKED;
    if (c->max == INFINITY) {
        tempera_candidates_keep_from(c, INFINITY);
        tempera_candidates_level(c);
    }
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Finding and keeping

size_t tempera_candidates_find(const struct tempera_candidates *c, int32_t id)
{
    // Ids ascend, so that number i is at least i, and equal while nothing before it was removed.
    if (id >= 0 && (size_t)id < c->n && c->ids[id] == id)
        return (size_t)id;
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->ids[low] == id ? low : c->n;
}

// The maximum always stays, and masses depend on nothing else: they remain valid.
void tempera_candidates_keep_from(struct tempera_candidates *c, float score)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        kept += s >= score;
    }
    c->n = kept;
}

void tempera_candidates_keep_ties(struct tempera_candidates *c, float score, size_t n_ties)
{
    const struct tempera_candidates all = *c;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        bool tie = s == score && n_ties > 0;
        n_ties -= tie;
        kept += tie || s > score;
    }
    c->n = kept;
}

void tempera_candidates_settle(struct tempera_candidates *c)
{
    c->has_masses = false;
    const struct tempera_candidates all = *c;
    float max = -INFINITY;
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        float s = all.scores[i];
        tempera_candidates_move(all, i, kept);
        kept += s > -INFINITY;
        max = s > max ? s : max;
    }
    c->n = kept;
    c->max = max;
}

void tempera_candidates_level(struct tempera_candidates *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->scores[i] = 0;
    c->max = 0;
    c->has_masses = false;
}
