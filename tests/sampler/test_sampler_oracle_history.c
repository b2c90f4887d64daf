// SPDX-License-Identifier: MIT
// The stages that look at the history or at lists of tokens, or learn, against an independent
// version that reads like docs/SAMPLING.md: sorted rows, and histories compared token by token.
// Texts grow step by step, so that states are tested with them. Distributions and levels have to
// agree bit for bit.
#include "sampler_masses.h"
#include "sampler_setup.h"

#include "base/exp.h"
#include "sampler/row/u128.h"

#define LN2 0x1.62e42fefa39efp-1

enum { MOST = 5000, MOST_STAGES = 5, LONGEST_WINDOW = 30, MOST_HISTORY = 100, MOST_LISTED = 500 };

static float z[MOST], probs[MOST], expected[MOST];

// What was accepted, the oldest first, and learned.
static struct {
    int32_t tokens[MOST_HISTORY];
    bool drawn[MOST_HISTORY];
    size_t n;
    double level;
} past;

// ------------------------------------------------------------------------------------------------
// The oracle

// A row on its way: candidates in the order of score descending, id ascending.
static struct {
    struct entry {
        int32_t id;
        float score;
        float p; // that adaptive-p saw
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

static float rounded(double score)
{
    return (float)fmin(fmax(score, -0x1.fffffep127), 0x1.fffffep127);
}

static float penalised(const struct tempera_stage *stage, struct entry entry)
{
    double score = (double)entry.score, r = (double)stage->u.penalties.repetition;
    size_t seen = 0, counted = 0;
    for (size_t i = begin_of(stage->u.penalties.window); i < past.n; i++) {
        seen += past.tokens[i] == entry.id;
        counted +=
            past.tokens[i] == entry.id && (past.drawn[i] || stage->u.penalties.drawn_only == 0);
    }
    if (seen == 0)
        return entry.score;
    double penalty = (double)stage->u.penalties.frequency * (double)counted;
    if (counted > 0)
        penalty += (double)stage->u.penalties.presence;
    return rounded((score > 0 ? score / r : score * r) - penalty * left.T);
}

// The longest run of tokens that ends the text, without a breaker, and also stands before an `id`.
static size_t run_before(const struct tempera_stage *stage, int32_t id)
{
    size_t begin = begin_of(stage->u.dry.window), longest = 0;
    for (size_t at = begin; at < past.n; at++) {
        size_t length = 0;
        while (begin + length < at &&
               past.tokens[at - 1 - length] == past.tokens[past.n - 1 - length] &&
               !is_listed(&stage->u.dry.breakers, past.tokens[at - 1 - length]))
            length++;
        if (past.tokens[at] == id && length > longest)
            longest = length;
    }
    return longest;
}

static float dried(const struct tempera_stage *stage, struct entry entry)
{
    size_t length = run_before(stage, entry.id), allowed = (size_t)stage->u.dry.allowed_length;
    if (length < allowed || is_listed(&stage->u.dry.breakers, entry.id))
        return entry.score;
    double power = 1;
    for (size_t i = allowed; i < length; i++)
        power *= (double)stage->u.dry.base;
    power = fmin(power, 0x1.fffffep127);
    return rounded((double)entry.score - (double)stage->u.dry.multiplier * power * left.T);
}

static uint64_t mass_at(size_t i)
{
    return mass_of(left.entries[i].score, left.entries[0].score, left.T);
}

static double gap_at(size_t i)
{
    return gap_of(left.entries[i].score, left.entries[0].score, left.T);
}

static tempera_u128 total(void)
{
    tempera_u128 W = 0;
    for (size_t i = 0; i < left.n; i++)
        W += mass_at(i);
    return W;
}

static double nll_max(void)
{
    return tempera_log1p((double)(total() - mass_at(0)) / (double)mass_at(0));
}

// How many of the sorted entries have z - m >= T min(l, 0).
static size_t n_within(double l)
{
    size_t n = 0;
    while (n < left.n &&
           (double)left.entries[n].score - (double)left.entries[0].score >= left.T * fmin(l, 0))
        n++;
    return n;
}

// The k of mirostat 1, in the words of the definition.
static size_t mirostat_1_keeps(const struct tempera_stage *stage)
{
    size_t j = left.n < (size_t)stage->u.mirostat.m ? left.n : (size_t)stage->u.mirostat.m;
    double tb = 0, tt = 0;
    for (size_t i = 0; i + 1 < j; i++) {
        double t = tempera_log((double)(i + 2) / (double)(i + 1));
        tb += t * (gap_at(i + 1) - gap_at(i));
        tt += t * t;
    }
    if (j < 2 || tb == 0)
        return left.n;
    double s = tb / tt, E = s - 1, ln_N = tempera_log((double)left.n), g = -(E * ln_N), c;
    if (fabs(E) < 0x1p-20)
        c = tempera_log(ln_N);
    else
        c = tempera_log(fabs(1 - (g <= 0 ? tempera_exp(g) : 1 / tempera_exp(-g)))) -
            tempera_log(fabs(E));
    double K = (past.level * LN2 - c) / s;
    return K >= ln_N ? left.n : K <= 0 ? 1 : (size_t)floor(1 / tempera_exp(-K));
}

static void adapt(const struct tempera_stage *stage)
{
    double W = (double)total(), wanted = 2 * (double)stage->u.adaptive_p.target - past.level;
    wanted = fmin(fmax(wanted, 0), 1);
    size_t kept = 0;
    for (size_t i = 0; i < left.n; i++) {
        double w = (double)mass_at(i);
        left.entries[i].p = (float)(w / W);
        kept += w > 0;
    }
    left.n = kept; // the order of scores is that of masses
    for (size_t i = 0; i < left.n; i++) {
        double y = fabs((double)left.entries[i].p - wanted) / 0.3;
        left.entries[i].score = (float)(5 - 10 * y * y / (1 + y));
    }
    left.T = 1;
}

// How many of the sorted entries a filter keeps.
static size_t n_that_stay(const struct tempera_stage *stage)
{
    switch (stage->kind) {
    case TEMPERA_STAGE_TOP_K:
        return stage->u.top_k > 0 ? (size_t)stage->u.top_k : left.n;
    case TEMPERA_STAGE_MIROSTAT_1:
        return mirostat_1_keeps(stage);
    case TEMPERA_STAGE_MIROSTAT_2:
        return n_within(nll_max() - past.level * LN2 - 0x1p-22);
    default:
        return left.n;
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
    if (stage->kind == TEMPERA_STAGE_PENALTIES)
        for (size_t i = 0; i < left.n; i++)
            left.entries[i].score = penalised(stage, left.entries[i]);
    if (stage->kind == TEMPERA_STAGE_DRY)
        for (size_t i = 0; i < left.n; i++)
            left.entries[i].score = dried(stage, left.entries[i]);
    if (stage->kind == TEMPERA_STAGE_ADAPTIVE_P)
        adapt(stage);
    kept = n_that_stay(stage);
    if (kept < stage->min_keep)
        kept = stage->min_keep;
    left.n = kept < left.n ? kept : left.n;
    qsort(left.entries, left.n, sizeof *left.entries, by_order);
}

static double first_level(const struct tempera_sampler *sampler)
{
    const struct tempera_stage *last = &sampler->stages[sampler->n_stages - 1];
    if (sampler->n_stages == 0)
        return 0;
    switch (last->kind) {
    case TEMPERA_STAGE_ADAPTIVE_P:
        return (double)last->u.adaptive_p.target;
    case TEMPERA_STAGE_MIROSTAT_1:
    case TEMPERA_STAGE_MIROSTAT_2:
        return 2 * (double)last->u.mirostat.tau;
    default:
        return 0;
    }
}

static double level_after(const struct tempera_sampler *sampler, int32_t token)
{
    const struct tempera_stage *last = &sampler->stages[sampler->n_stages - 1];
    size_t at = 0;
    while (at < left.n && left.entries[at].id != token)
        at++;
    if (sampler->n_stages == 0 || at == left.n)
        return past.level;
    if (last->kind == TEMPERA_STAGE_ADAPTIVE_P) {
        double D = (double)last->u.adaptive_p.decay;
        return D * past.level + (1 - D) * (double)left.entries[at].p;
    }
    if (last->kind != TEMPERA_STAGE_MIROSTAT_1 && last->kind != TEMPERA_STAGE_MIROSTAT_2)
        return past.level;
    double surprise = (gap_at(at) + nll_max()) / LN2;
    return past.level - (double)last->u.mirostat.eta * (surprise - (double)last->u.mirostat.tau);
}

// Runs a row: afterwards `left` is the distribution to draw from.
static void run_oracle(size_t n, const struct tempera_sampler *sampler)
{
    left.n = 0;
    left.T = 1;
    for (size_t i = 0; i < n; i++)
        left.entries[left.n++] = (struct entry){(int32_t)i, z[i], 0};
    qsort(left.entries, left.n, sizeof *left.entries, by_order);
    for (size_t s = 0; s < sampler->n_stages && left.n > 0; s++)
        apply(&sampler->stages[s]);
}

// One draw of the row by both.
static struct tempera_sample_result compare(size_t n, const struct tempera_sample_row *row)
{
    run_oracle(n, row->sampler);
    double W = (double)total();
    memset(expected, 0, sizeof expected);
    for (size_t i = 0; i < left.n; i++)
        expected[left.entries[i].id] = (float)((double)mass_at(i) / W);
    struct tempera_sample_result result = probs_of_row(z, n, row, probs);
    CHECK_STATUS(result.status, left.n > 0 ? TEMPERA_OK : TEMPERA_ALL_MASKED);
    CHECK_EQ_U64(result.n_kept, left.n);
    CHECK_MEM(probs, expected, n * sizeof *probs);
    double level = level_after(row->sampler, result.token);
    CHECK_MEM(&result.level, &level, sizeof level);
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
    struct tempera_token_list list = {ids, check_random_below(n < 1000 ? 12 : MOST_LISTED + 1)};
    for (size_t i = 0; i < list.count; i++)
        ids[i] = random_token(n);
    return list;
}

static uint32_t random_min_keep(void)
{
    return check_random_below(3) ? 0 : (uint32_t)check_random_below(6);
}

static struct tempera_stage random_feedback_stage(void)
{
    static const float taus[] = {0, 0.5f, 1, 2, 3, 1e30f}, etas[] = {0, 0.1f, 1, 1e30f};
    static const float targets[] = {0, 0.1f, 0.3f, 0.5f, 0.9f, 1},
                       decays[] = {0, 0.5f, 0.9f, 0.99f};
    float tau = RANDOM_OF(taus), eta = RANDOM_OF(etas);
    switch (check_random_below(3)) {
    case 0:
        return tempera_stage_mirostat_1(tau, eta, 2 + (int32_t)check_random_below(40));
    case 1:
        return tempera_stage_mirostat_2(tau, eta);
    default:
        return tempera_stage_adaptive_p(RANDOM_OF(targets), RANDOM_OF(decays));
    }
}

static struct tempera_stage random_stage(int32_t *ids, size_t n)
{
    static const float repetitions[] = {1, 1.3f, 0.5f}, presences[] = {0, 0.5f, -0.3f, 3e38f};
    static const float frequencies[] = {0, 0.25f, -0.1f};
    static const float multipliers[] = {0, 0.2f, 0.8f, 1e-38f}, bases[] = {1, 1.75f, 1e20f};
    const struct tempera_token_list list = random_list(ids, n);
    int32_t window = (int32_t)check_random_below(LONGEST_WINDOW + 1);
    switch (check_random_below(9)) {
    case 0:
        return tempera_stage_temperature((float)check_random_between(0.2, 3));
    case 1:
        return tempera_stage_top_k((int32_t)check_random_below(n + 5));
    case 2:
        return tempera_stage_allow(list.ids, list.count);
    case 3:
        return tempera_stage_ban(list.ids, list.count);
    case 4: {
        struct tempera_stage stage = tempera_stage_penalties(
            RANDOM_OF(repetitions), RANDOM_OF(presences), RANDOM_OF(frequencies), window);
        stage.u.penalties.drawn_only = (int32_t)check_random_below(2);
        return stage;
    }
    case 5:
    case 6:
        return tempera_stage_dry(RANDOM_OF(multipliers), RANDOM_OF(bases),
                                 1 + (int32_t)check_random_below(4), window, list.ids,
                                 list.count / 3);
    default:
        return tempera_stage_no_repeat_ngram((int32_t)check_random_below(5), window);
    }
}

static void fill_row(size_t n)
{
    size_t kind = check_random_below(3);
    for (size_t i = 0; i < n; i++) {
        double u = check_random_between(-4, 4);
        u *= check_random_below(20) ? 1 : 30; // now and then without mass
        z[i] = (float)(kind == 0 ? u : kind == 1 ? rint(u) / 2 : 0.75);
    }
}

static void accept(struct tempera_sampler_state *state, int32_t token,
                   const struct tempera_sample_result *drawn)
{
    CHECK_STATUS(tempera_sampler_accept(state, token, drawn), TEMPERA_OK);
    past.tokens[past.n] = token;
    past.drawn[past.n++] = drawn != NULL;
    if (drawn != NULL)
        past.level = drawn->level;
    CHECK_MEM(&state->level, &past.level, sizeof past.level);
}

// One random chain over a text that grows, mostly by what is drawn.
static void random_text(size_t n)
{
    struct tempera_stage stages[MOST_STAGES];
    static int32_t ids[MOST_STAGES][MOST_LISTED];
    size_t n_stages = check_random_below(MOST_STAGES + 1);
    for (size_t s = 0; s < n_stages; s++)
        stages[s] = random_stage(ids[s], n);
    if (n_stages > 0 && check_random_below(2))
        stages[n_stages - 1] = tempera_stage_keeping(random_feedback_stage(), random_min_keep());
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    past.n = 0;
    past.level = first_level(&sampler);
    CHECK_MEM(&state->level, &past.level, sizeof past.level);
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
    for (size_t round = 0; round < check_cases(8000); round++)
        random_text(1 + check_random_below(12));
}

static void larger_vocabularies(void)
{
    for (size_t round = 0; round < check_cases(2000); round++)
        random_text(1 + check_random_below(80));
}

// Rows of many blocks, and lists longer than what a row is patched with.
static void large_vocabularies(void)
{
    for (size_t round = 0; round < check_cases(60); round++)
        random_text(1000 + check_random_below(MOST - 1000));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"8000 texts over 1 to 12 tokens agree with the oracle", small_vocabularies},
        {"2000 texts over 1 to 80 tokens agree with the oracle", larger_vocabularies},
        {"60 texts over 1000 to 5000 tokens agree with the oracle", large_vocabularies},
    };
    return CHECK_RUN(tests, argc, argv);
}
