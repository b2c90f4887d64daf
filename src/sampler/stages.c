// SPDX-License-Identifier: MIT
// Checking stages, and those that change scores.
#include <math.h>
#include <stdio.h>

#include "sampler/sampler.h"

// ------------------------------------------------------------------------------------------------
// Checks

// What is wrong with a stage, or NULL.
static const char *complaint(const struct tempera_stage *stage)
{
    switch (stage->kind) {
    case TEMPERA_STAGE_LOGIT_BIAS:
        if (stage->u.logit_bias.count > 0 && stage->u.logit_bias.entries == NULL)
            return "logit_bias has a count but no entries";
        for (size_t i = 0; i < stage->u.logit_bias.count; i++)
            if (!(stage->u.logit_bias.entries[i].bias < INFINITY))
                return "a logit bias is NaN or +inf; it must be finite, or -inf to ban";
        return NULL;
    case TEMPERA_STAGE_PENALTIES:
        if (!(stage->u.penalties.repetition > 0 && stage->u.penalties.repetition < INFINITY))
            return "the repetition penalty must be above 0 and finite; 1 is off";
        if (!isfinite(stage->u.penalties.presence) || !isfinite(stage->u.penalties.frequency))
            return "presence and frequency penalties must be finite; 0 is off";
        return stage->u.penalties.window < 0 ? "the penalties' window is negative" : NULL;
    case TEMPERA_STAGE_TEMPERATURE:
        return stage->u.temperature >= 0 ? NULL : "temperature must be in [0, inf]";
    case TEMPERA_STAGE_TOP_K:
        return stage->u.top_k >= 0 ? NULL : "top_k must be 0 (off) or more";
    case TEMPERA_STAGE_TOP_P:
        return stage->u.top_p >= 0 && stage->u.top_p <= 1 ? NULL : "top_p must be in [0, 1]";
    case TEMPERA_STAGE_MIN_P:
        return stage->u.min_p >= 0 && stage->u.min_p <= 1 ? NULL : "min_p must be in [0, 1]";
    }
    return "there is no such kind of stage";
}

static enum tempera_status refuse(struct tempera_error *error, size_t stage, const char *what)
{
    if (error != NULL) {
        error->status = TEMPERA_INVALID_ARGUMENT;
        error->offset = stage;
        snprintf(error->message, sizeof error->message, "stage %zu of the sampler: %s", stage,
                 what);
    }
    return TEMPERA_INVALID_ARGUMENT;
}

enum tempera_status tempera_sampler_check(const struct tempera_sampler *sampler,
                                          struct tempera_error *error)
{
    if (sampler == NULL || sampler->struct_size < sizeof *sampler)
        return refuse(error, 0, "the sampler is NULL or its struct_size isn't set");
    if (sampler->n_stages > 0 && sampler->stages == NULL)
        return refuse(error, 0, "n_stages is set, but there are no stages");
    for (size_t i = 0; i < sampler->n_stages; i++) {
        const char *what = complaint(&sampler->stages[i]);
        if (what != NULL)
            return refuse(error, i, what);
    }
    if (error != NULL)
        *error = (struct tempera_error){0};
    return TEMPERA_OK;
}

// ------------------------------------------------------------------------------------------------
// Scores

// The candidate with this id, by bisection: ids ascend. NULL if it was removed.
static float *find_score(struct tempera_candidates *c, int32_t id)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->ids[low] == id ? &c->scores[low] : NULL;
}

// After scores changed: drops those that became -inf and finds the maximum.
static void settle(struct tempera_candidates *c)
{
    size_t kept = 0;
    c->max = -INFINITY;
    c->has_masses = false;
    for (size_t i = 0; i < c->n; i++) {
        if (c->scores[i] == -INFINITY)
            continue;
        c->ids[kept] = c->ids[i];
        c->scores[kept] = c->scores[i];
        c->max = c->scores[i] > c->max ? c->scores[i] : c->max;
        kept++;
    }
    c->n = kept;
}

// Finite scores stay finite: a sum beyond the largest float becomes the largest float.
static float finite(double score)
{
    const double largest = 0x1.fffffep127;
    return (float)(score > largest ? largest : score < -largest ? -largest : score);
}

// Scores are divided by the temperature only in the end: what is added to them now must be
// multiplied by what they will be divided by.
void tempera_apply_logit_bias(struct tempera_candidates *c, const struct tempera_stage *stage)
{
    for (size_t i = 0; i < stage->u.logit_bias.count; i++) {
        const struct tempera_logit_bias *entry = &stage->u.logit_bias.entries[i];
        float *score = find_score(c, entry->token);
        if (score == NULL || *score == -INFINITY)
            continue;
        if (entry->bias == -INFINITY)
            *score = -INFINITY;
        else
            *score = finite((double)*score + (double)entry->bias * c->temperature);
    }
    settle(c);
}

static size_t count_in_window(const struct tempera_sampler_state *state, size_t n, int32_t token)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += tempera_state_recent(state, i) == token;
    return count;
}

static bool seen_later(const struct tempera_sampler_state *state, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (tempera_state_recent(state, j) == tempera_state_recent(state, i))
            return true;
    return false;
}

void tempera_apply_penalties(struct tempera_candidates *c, const struct tempera_stage *stage,
                             const struct tempera_sampler_state *state)
{
    size_t n = tempera_state_n_recent(state, (size_t)stage->u.penalties.window);
    for (size_t i = 0; i < n; i++) {
        int32_t token = tempera_state_recent(state, i);
        float *score = seen_later(state, i) ? NULL : find_score(c, token);
        if (score == NULL)
            continue;
        double repetition = (double)stage->u.penalties.repetition, z = (double)*score;
        double count = (double)count_in_window(state, n, token);
        z = z > 0 ? z / repetition : z * repetition;
        z -= c->temperature * ((double)stage->u.penalties.presence +
                               count * (double)stage->u.penalties.frequency);
        *score = finite(z);
    }
    settle(c);
}
