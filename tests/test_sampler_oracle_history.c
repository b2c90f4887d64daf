// SPDX-License-Identifier: MIT
// The stages that look at the history or at lists of tokens, against an independent version that
// reads like docs/SAMPLING.md: sorted rows, and histories compared token by token. Texts grow step
// by step, so that states are tested with them. Distributions have to agree bit for bit.
#include "test_sampler_setup.h"

#include "kernels/kernels.h"
#include "sampler/sampler.h"

enum { MOST = 80, MOST_STAGES = 5, LONGEST_WINDOW = 30, MOST_HISTORY = 100, MOST_LISTED = 12 };

static float z[MOST], probs[MOST], expected[MOST];

// What was accepted, the oldest first.
static struct {
    int32_t tokens[MOST_HISTORY];
    size_t n;
} past;

// ------------------------------------------------------------------------------------------------
// The oracle

// A row on its way: candidates in the order of score descending, id ascending.
static struct {
    struct entry {
        int32_t id;
        float score;
    } entries[MOST];
    size_t n;
    double T;
} left;

static int by_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static bool is_listed(const struct tempera_token_list *list, int32_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

// The last tokens of the past: where the window begins.
static size_t begin_of(int32_t window)
{
    return past.n < (size_t)window ? 0 : past.n - (size_t)window;
}

// True if `id` would end a run of n tokens that is in the window already.
static bool would_repeat(const struct tempera_stage *stage, int32_t id)
{
    size_t n = (size_t)stage->u.no_repeat_ngram.n;
    size_t begin = begin_of(stage->u.no_repeat_ngram.window);
    for (size_t end = begin + n; n > 0 && end <= past.n; end++) { // a run is [end - n, end)
        bool same = past.tokens[end - 1] == id;
        for (size_t i = 0; i + 1 < n; i++)
            same &= past.tokens[end - n + i] == past.tokens[past.n - n + 1 + i];
        if (same)
            return true;
    }
    return false;
}

static bool is_banned(const struct tempera_stage *stage, int32_t id)
{
    switch (stage->kind) {
    case TEMPERA_STAGE_ALLOW:
        return !is_listed(&stage->u.tokens, id);
    case TEMPERA_STAGE_BAN:
        return is_listed(&stage->u.tokens, id);
    case TEMPERA_STAGE_NO_REPEAT_NGRAM:
        return would_repeat(stage, id);
    default:
        return false;
    }
}

static void apply(const struct tempera_stage *stage)
{
    size_t kept = 0;
    for (size_t i = 0; i < left.n; i++)
        if (!is_banned(stage, left.entries[i].id))
            left.entries[kept++] = left.entries[i];
    left.n = kept;
    if (stage->kind == TEMPERA_STAGE_TEMPERATURE)
        left.T *= (double)stage->u.temperature;
    if (stage->kind == TEMPERA_STAGE_TOP_K && stage->u.top_k > 0 && left.n > (size_t)stage->u.top_k)
        left.n = (size_t)stage->u.top_k;
    qsort(left.entries, left.n, sizeof *left.entries, by_order);
}

static uint64_t mass_of(float score)
{
    uint64_t w;
    tempera_masses(&score, 1, left.entries[0].score, left.T, &w);
    return w;
}

// Runs a row: afterwards `left` is the distribution to draw from.
static void run_oracle(size_t n, const struct tempera_sampler *sampler)
{
    left.n = 0;
    left.T = 1;
    for (size_t i = 0; i < n; i++)
        left.entries[left.n++] = (struct entry){(int32_t)i, z[i]};
    qsort(left.entries, left.n, sizeof *left.entries, by_order);
    for (size_t s = 0; s < sampler->n_stages && left.n > 0; s++)
        apply(&sampler->stages[s]);
}

// One draw of the row by both.
static struct tempera_sample_result compare(size_t n, const struct tempera_sample_row *row)
{
    run_oracle(n, row->sampler);
    tempera_u128 W = 0;
    for (size_t i = 0; i < left.n; i++)
        W += mass_of(left.entries[i].score);
    memset(expected, 0, sizeof expected);
    for (size_t i = 0; i < left.n; i++)
        expected[left.entries[i].id] = (float)((double)mass_of(left.entries[i].score) / (double)W);
    struct tempera_sample_result result = probs_of_row(z, n, row, probs);
    CHECK_STATUS(result.status, left.n > 0 ? TEMPERA_OK : TEMPERA_ALL_MASKED);
    CHECK_EQ_U64(result.n_kept, left.n);
    CHECK_MEM(probs, expected, n * sizeof *probs);
    return result;
}

// ------------------------------------------------------------------------------------------------
// Texts

// A few tokens that come again and again, a few others.
static int32_t random_token(size_t n)
{
    return (int32_t)check_random_below(check_random_below(4) ? 1 + n / 8 : n);
}

static struct tempera_token_list random_list(int32_t *ids, size_t n)
{
    struct tempera_token_list list = {ids, check_random_below(MOST_LISTED + 1)};
    for (size_t i = 0; i < list.count; i++)
        ids[i] = random_token(n);
    return list;
}

static struct tempera_stage random_stage(int32_t *ids, size_t n)
{
    const struct tempera_token_list list = random_list(ids, n);
    int32_t window = (int32_t)check_random_below(LONGEST_WINDOW + 1);
    switch (check_random_below(7)) {
    case 0:
        return tempera_stage_temperature((float)check_random_between(0.2, 3));
    case 1:
        return tempera_stage_top_k((int32_t)check_random_below(n + 5));
    case 2:
        return tempera_stage_allow(list.ids, list.count);
    case 3:
        return tempera_stage_ban(list.ids, list.count);
    default:
        return tempera_stage_no_repeat_ngram((int32_t)check_random_below(5), window);
    }
}

static void fill_row(size_t n)
{
    size_t kind = check_random_below(3);
    for (size_t i = 0; i < n; i++) {
        double u = check_random_between(-4, 4);
        z[i] = (float)(kind == 0 ? u : kind == 1 ? rint(u) / 2 : 0.75);
    }
}

static void accept(struct tempera_sampler_state *state, int32_t token,
                   const struct tempera_sample_result *drawn)
{
    CHECK_STATUS(tempera_sampler_accept(state, token, drawn), TEMPERA_OK);
    past.tokens[past.n++] = token;
}

// One random chain over a text that grows, mostly by what is drawn.
static void random_text(size_t n)
{
    struct tempera_stage stages[MOST_STAGES];
    int32_t ids[MOST_STAGES][MOST_LISTED];
    size_t n_stages = check_random_below(MOST_STAGES + 1);
    for (size_t s = 0; s < n_stages; s++)
        stages[s] = random_stage(ids[s], n);
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    past.n = 0;
    for (size_t i = check_random_below(2 * LONGEST_WINDOW); i > 0; i--)
        accept(state, random_token(n + 2), NULL); // some beyond the vocabulary
    for (size_t step = 0; step < 8; step++) {
        struct tempera_sample_row row = {
            .sampler = &sampler, .state = state, .seed = check_random()};
        fill_row(n);
        struct tempera_sample_result result = compare(n, &row);
        if (result.status == TEMPERA_OK && check_random_below(4) > 0)
            accept(state, result.token, &result);
        else
            accept(state, random_token(n), NULL);
    }
    free(state);
}

static void small_vocabularies(void)
{
    for (size_t round = 0; round < 8000; round++)
        random_text(1 + check_random_below(12));
}

static void larger_vocabularies(void)
{
    for (size_t round = 0; round < 2000; round++)
        random_text(1 + check_random_below(MOST));
}

int main(void)
{
    static const struct check_test tests[] = {
        {"8000 texts of 1 to 12 tokens", small_vocabularies},
        {"2000 texts of 1 to 80 tokens", larger_vocabularies},
    };
    return CHECK_RUN(tests);
}
