// SPDX-License-Identifier: MIT
#include "sampler/row/candidates.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "sampler/row/score_key.h"

enum { BLOCK = TEMPERA_MAXIMA_BLOCK };

// ------------------------------------------------------------------------------------------------
// Blocks of a whole row

static size_t block_length(const struct tempera_candidates *c, size_t block)
{
    size_t left = c->n_whole - block * BLOCK;
    return left < BLOCK ? left : BLOCK;
}

static size_t first_patch(const struct tempera_candidates *c, size_t block)
{
    return c->n_patches == 0 ? 0 : c->first_patch[block];
}

// A block with its patches applied: in the buffer if it has any.
static const float *block_of(const struct tempera_candidates *c, size_t block, float buffer[BLOCK])
{
    const float *scores = c->whole + block * BLOCK;
    size_t patch = first_patch(c, block);
    if (patch == 0)
        return scores;
    memcpy(buffer, scores, block_length(c, block) * sizeof *buffer);
    for (; patch != 0; patch = c->patches[patch - 1].next)
        buffer[(size_t)c->patches[patch - 1].id % BLOCK] = c->patches[patch - 1].score;
    return buffer;
}

// The patch of a token, or NULL.
static struct tempera_patch *find_patch(const struct tempera_candidates *c, size_t id)
{
    size_t patch = first_patch(c, id / BLOCK);
    while (patch != 0 && (size_t)c->patches[patch - 1].id != id)
        patch = c->patches[patch - 1].next;
    return patch == 0 ? NULL : &c->patches[patch - 1];
}

static void add_patch(struct tempera_candidates *c, size_t id, float score)
{
    if (c->n_patches == 0)
        memset(c->first_patch, 0, tempera_candidates_n_blocks(c) * sizeof *c->first_patch);
    uint16_t *first = &c->first_patch[id / BLOCK];
    c->patches[c->n_patches++] = (struct tempera_patch){(int32_t)id, score, *first};
    *first = (uint16_t)c->n_patches;
}

void tempera_candidates_gather_from(struct tempera_candidates *c, float floor, size_t n_ties)
{
    const struct tempera_kernels *kernels = tempera_kernels_active();
    float buffer[BLOCK];
    floor = floor > -FLT_MAX ? floor : -FLT_MAX;
    size_t kept = 0, blocks = tempera_candidates_n_blocks(c);
    for (size_t b = 0; b < blocks; b++) {
        if (c->maxima[b] < floor || (c->maxima[b] == floor && kept >= n_ties))
            continue;
        kept += kernels->sampler.gather(block_of(c, b, buffer), NULL, block_length(c, b),
                                        (int32_t)(b * BLOCK), floor, INFINITY, c->scores + kept,
                                        c->ids + kept);
    }
    c->whole = NULL;
    c->n_patches = 0;
    c->n = kept;
}

// Copies the row, unless it is a copy, and applies the patches to it.
static void apply_patches(struct tempera_candidates *c)
{
    memcpy(c->own, c->whole, c->n_whole * sizeof *c->own);
    c->whole = c->own;
    for (size_t i = 0; i < c->n_patches; i++)
        c->own[c->patches[i].id] = c->patches[i].score;
    c->n_patches = 0;
}

struct tempera_score_array tempera_candidates_scores(struct tempera_candidates *c)
{
    if (c->whole == NULL)
        return (struct tempera_score_array){c->scores, c->n};
    if (c->n_patches > 0)
        apply_patches(c);
    return (struct tempera_score_array){c->whole, c->n_whole};
}

void tempera_candidates_gather(struct tempera_candidates *c)
{
    if (c->whole != NULL)
        tempera_candidates_gather_from(c, -INFINITY, SIZE_MAX);
}

// ------------------------------------------------------------------------------------------------
// Starting

// Goes through the mask word by word: a grammar allows few tokens of many, and the scores of the
// others are not read.
static size_t gather_allowed(const struct tempera_candidates *c, const float *z,
                             const uint32_t *mask, size_t n)
{
    size_t kept = 0;
    for (size_t first = 0; first < n; first += 32) {
        uint32_t allowed = mask[first / 32];
        if (n - first < 32)
            allowed &= ((uint32_t)1 << (n - first)) - 1;
        for (; allowed != 0; allowed &= allowed - 1) {
            size_t id = first + (size_t)__builtin_ctz(allowed);
            c->ids[kept] = (int32_t)id;
            c->scores[kept] = z[id];
            kept += !(z[id] == -INFINITY);
        }
    }
    return kept;
}

static size_t count_allowed(const uint32_t *mask, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n / 32; i++)
        count += (size_t)__builtin_popcount(mask[i]);
    for (size_t i = n / 32 * 32; i < n; i++)
        count += tempera_mask_allows(mask, i);
    return count;
}

// With NaNs or infinities among scores z[n], or n = 0.
static enum tempera_status begin_with_special(struct tempera_candidates *c, const float *z,
                                              size_t n)
{
    bool has_nan = false;
    c->max = n == 0 ? -INFINITY : tempera_kernels_active()->pieces.max(z, n, &has_nan);
    if (has_nan)
        return TEMPERA_NAN_INPUT;
    if (c->max == -INFINITY)
        return TEMPERA_ALL_MASKED;
    c->n = 0;
    for (size_t i = 0; i < n; i++)
        c->n += z[i] > -INFINITY;
    if (c->max == INFINITY) {
        tempera_candidates_keep_from(c, INFINITY);
        tempera_candidates_equalize(c);
    }
    return TEMPERA_OK;
}

static enum tempera_status begin_whole(struct tempera_candidates *c, const float *z, size_t n)
{
    bool is_finite = false;
    c->whole = z;
    c->n_whole = c->n = n;
    if (n > 0)
        c->max = tempera_kernels_active()->sampler.block_maxima(z, n, c->maxima, &is_finite);
    return is_finite ? TEMPERA_OK : begin_with_special(c, z, n);
}

static enum tempera_status begin_gathered(struct tempera_candidates *c, const float *z,
                                          const uint32_t *mask, size_t n)
{
    bool is_finite = false;
    c->n = gather_allowed(c, z, mask, n);
    if (c->n > 0)
        c->max =
            tempera_kernels_active()->sampler.block_maxima(c->scores, c->n, c->maxima, &is_finite);
    return is_finite ? TEMPERA_OK : begin_with_special(c, c->scores, c->n);
}

enum tempera_status tempera_candidates_begin(struct tempera_candidates *c, const float *z,
                                             const uint32_t *mask, size_t n)
{
    c->whole = NULL;
    c->n_patches = 0;
    c->temperature = c->chain_temperature = 1;
    if (mask == NULL)
        return begin_whole(c, z, n);
    if (count_allowed(mask, n) < n / 8)
        return begin_gathered(c, z, mask, n);
    const struct tempera_prepare how = {.dtype = TEMPERA_F32, .mask = mask, .scale = 1};
    tempera_kernels_active()->convert.prepare(&how, z, 0, n, c->own);
    return begin_whole(c, c->own, n);
}

// ------------------------------------------------------------------------------------------------
// Single candidates

static size_t find_whole(const struct tempera_candidates *c, int32_t id)
{
    if (id < 0 || (size_t)id >= c->n_whole)
        return SIZE_MAX;
    return tempera_candidates_score(c, (size_t)id) > -INFINITY ? (size_t)id : SIZE_MAX;
}

size_t tempera_candidates_find(const struct tempera_candidates *c, int32_t id)
{
    if (c->whole != NULL)
        return find_whole(c, id);
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->ids[low] == id ? low : SIZE_MAX;
}

float tempera_candidates_score(const struct tempera_candidates *c, size_t index)
{
    if (c->whole == NULL)
        return c->scores[index];
    const struct tempera_patch *patch = find_patch(c, index);
    return patch != NULL ? patch->score : c->whole[index];
}

// Into the copy of the row, or a patch.
static void change_whole(struct tempera_candidates *c, size_t id, float score)
{
    struct tempera_patch *patch = find_patch(c, id);
    if (patch != NULL) {
        patch->score = score;
        return;
    }
    if (c->n_patches == TEMPERA_PATCHES)
        apply_patches(c);
    if (c->whole == c->own)
        c->own[id] = score;
    else
        add_patch(c, id, score);
}

// The maximum of the block is looked for again only if it may have fallen.
void tempera_candidates_change(struct tempera_candidates *c, size_t index, float score)
{
    if (c->whole == NULL) {
        c->scores[index] = score;
        return;
    }
    float before = tempera_candidates_score(c, index), *max = &c->maxima[index / BLOCK];
    c->n -= score == -INFINITY;
    change_whole(c, index, score);
    if (score >= *max) {
        *max = score;
    } else if (before == *max) {
        float buffer[BLOCK];
        bool has_nan;
        size_t block = index / BLOCK;
        *max = tempera_kernels_active()->pieces.max(block_of(c, block, buffer),
                                                    block_length(c, block), &has_nan);
    }
}

void tempera_candidates_find_max(struct tempera_candidates *c)
{
    bool has_nan;
    c->max =
        c->n == 0 ? -INFINITY : tempera_kernels_active()->pieces.max(c->scores, c->n, &has_nan);
}

void tempera_candidates_refresh(struct tempera_candidates *c)
{
    bool has_nan;
    if (c->whole != NULL) {
        c->max = tempera_kernels_active()->pieces.max(c->maxima, tempera_candidates_n_blocks(c),
                                                      &has_nan);
        return;
    }
    tempera_candidates_keep_from(c, -FLT_MAX);
    tempera_candidates_find_max(c);
}

// ------------------------------------------------------------------------------------------------
// Many candidates

void tempera_candidates_keep_from(struct tempera_candidates *c, float score)
{
    if (c->whole != NULL)
        tempera_candidates_gather_from(c, score, SIZE_MAX);
    else
        tempera_candidates_keep_interval(c, score, INFINITY);
}

// True if no candidate of a whole row lies below `floor`. In most rows one of the first blocks, or
// of the first scores, does.
static bool all_reach(const struct tempera_candidates *c, float floor)
{
    enum { PIECE = 4096 };
    size_t blocks = tempera_candidates_n_blocks(c);
    float *below = c->scores; // free as long as the row is whole
    if (c->n_patches > 0)
        return false;
    for (size_t b = 0; b < blocks; b++)
        if (c->maxima[b] < floor)
            return false;
    for (size_t i = 0; i < c->n_whole; i += PIECE)
        if (tempera_kernels_active()->sampler.gather(
                c->whole + i, NULL, c->n_whole - i < PIECE ? c->n_whole - i : PIECE, 0, -FLT_MAX,
                tempera_score_before(floor), below, NULL) > 0)
            return false;
    return true;
}

void tempera_candidates_drop_below(struct tempera_candidates *c, float score)
{
    if (c->whole == NULL || !all_reach(c, score))
        tempera_candidates_keep_from(c, score);
}

size_t tempera_candidates_index_after_ties(const struct tempera_candidates *c, float score,
                                           size_t n_ties)
{
    size_t at = 0, seen = 0;
    while (at < c->n) { // by blocks: counting a whole one needs no branch
        size_t end = c->n - at < BLOCK ? c->n : at + BLOCK, count = 0;
        for (size_t i = at; i < end; i++)
            count += c->scores[i] == score;
        if (seen + count >= n_ties)
            break;
        seen += count;
        at = end;
    }
    for (; at < c->n && seen < n_ties; at++)
        seen += c->scores[at] == score;
    return at;
}

// A kernel may write a whole vector after what it keeps, so the 16 candidates around the cut are
// copied one by one.
void tempera_candidates_keep_ties(struct tempera_candidates *c, float score, size_t n_ties)
{
    const struct tempera_kernels *kernels = tempera_kernels_active();
    const struct tempera_candidates all = *c;
    size_t cut = tempera_candidates_index_after_ties(c, score, n_ties), i = cut / 16 * 16;
    size_t end = all.n - i < 16 ? all.n : i + 16;
    size_t kept =
        kernels->sampler.gather(all.scores, all.ids, i, 0, score, INFINITY, all.scores, all.ids);
    for (; i < end; i++) {
        float s = all.scores[i];
        all.ids[kept] = all.ids[i];
        all.scores[kept] = s;
        kept += s > score || (s == score && i < cut);
    }
    c->n = kept + kernels->sampler.gather(all.scores + end, all.ids + end, all.n - end, 0,
                                          tempera_score_after(score), INFINITY, all.scores + kept,
                                          all.ids + kept);
}

void tempera_candidates_keep_interval(struct tempera_candidates *c, float low, float high)
{
    c->n = tempera_kernels_active()->sampler.gather(c->scores, c->ids, c->n, 0, low, high,
                                                    c->scores, c->ids);
}

void tempera_candidates_equalize(struct tempera_candidates *c)
{
    tempera_candidates_gather(c);
    for (size_t i = 0; i < c->n; i++)
        c->scores[i] = 0;
    c->max = 0;
    c->temperature = 1;
}
