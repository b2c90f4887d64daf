// SPDX-License-Identifier: MIT
// Rows whose columns stand for tokens of their own: a short list against the whole vocabulary, and
// branches against scores that were changed by the definitions before the call.
#include "sampler_setup.h"

#include <tempera/decoding.h>
#include <tempera/explain.h>

enum { VOCAB = 300, MOST_COLUMNS = 400, MOST_HISTORY = 24, N_BRANCHES = 4 };

static float z[MOST_COLUMNS], expected_z[MOST_COLUMNS];
static int32_t tokens[MOST_COLUMNS];
static float probs[MOST_COLUMNS], expected_probs[MOST_COLUMNS];

static float random_score(void)
{
    return (float)(check_random_below(1000)) / 100 - 5; // ties, too
}

// ------------------------------------------------------------------------------------------------
// A short list

static const int32_t some[] = {3, 17, 18, 40, 41, 42, 77, 120, 200, 299};
static const struct tempera_logit_bias biases[] = {{17, 2.5f}, {18, -INFINITY}, {250, 9}};

static size_t list_stages(size_t kind, struct tempera_stage *stages)
{
    size_t n = 0;
    stages[n++] = tempera_stage_logit_bias(biases, COUNT_OF(biases));
    stages[n++] = tempera_stage_penalties(1.3f, 0.2f, 0.1f, 16);
    stages[n++] = tempera_stage_dry(0.8f, 1.75f, 1, 16, some + 4, 3);
    if (kind % 2 == 1)
        stages[n++] = tempera_stage_no_repeat_ngram(2, 16);
    stages[n++] = kind % 3 == 0 ? tempera_stage_allow(some, COUNT_OF(some))
                                : tempera_stage_ban(some, COUNT_OF(some));
    stages[n++] = tempera_stage_top_k(20);
    stages[n++] = kind % 5 == 0 ? tempera_stage_typical(0.8f) : tempera_stage_top_p(0.9f);
    stages[n] = tempera_stage_xtc(0.5f, 0.05f);
    stages[n++].u.xtc.spared = (struct tempera_token_list){some, COUNT_OF(some)};
    stages[n++] = tempera_stage_temperature(0.7f);
    return n;
}

// About every third token of the vocabulary, or the banned ones as well: the same token, the same
// logprobs, with lists that name tokens that have no column.
static void short_list(void)
{
    for (uint64_t round = 0; round < 60; round++) {
        float whole[VOCAB];
        uint32_t mask[VOCAB / 32 + 1] = {0};
        size_t n = 0;
        for (int32_t id = 0; id < VOCAB; id++) {
            whole[id] = random_score();
            if (check_random_below(3) > 0)
                continue;
            tokens[n] = id;
            z[n++] = whole[id];
            mask[id / 32] |= 1u << (id % 32);
        }
        struct tempera_stage stages[16];
        struct tempera_sampler sampler = tempera_sampler_of(stages, list_stages(round, stages));
        int32_t history[MOST_HISTORY];
        for (size_t i = 0; i < MOST_HISTORY; i++)
            history[i] = (int32_t)check_random_below(VOCAB / 8);
        struct tempera_sampler_state *state = new_state(&sampler, history, MOST_HISTORY);
        struct tempera_sample_row row = {.sampler = &sampler,
                                         .state = state,
                                         .seed = round,
                                         .want = TEMPERA_WANT_RAW_LOGPROB,
                                         .tokens = tokens};
        struct tempera_sample_row whole_row = row;
        whole_row.tokens = NULL;
        whole_row.mask = mask;
        whole_row.mask_nbits = VOCAB;
        struct tempera_sample_result got = probs_of_row(z, n, &row, probs);
        struct tempera_sample_result expected =
            probs_of_row(whole, VOCAB, &whole_row, expected_probs);
        CHECK_STATUS(got.status, expected.status);
        CHECK_EQ_INT(got.token, expected.token);
        CHECK_EQ_U64(got.n_kept, expected.n_kept);
        CHECK(memcmp(&got.logprob, &expected.logprob, sizeof got.logprob) == 0);
        CHECK(got.status != TEMPERA_OK || tokens[got.column] == got.token);
        CHECK_EQ_INT(expected.column, expected.token);
        CHECK_NEAR((double)got.raw_logprob, (double)expected.raw_logprob, 2e-6);
        for (size_t i = 0; i < n; i++)
            CHECK(memcmp(&probs[i], &expected_probs[tokens[i]], sizeof *probs) == 0);
        free(state);
    }
}

// ------------------------------------------------------------------------------------------------
// Branches

struct history {
    int32_t tokens[MOST_HISTORY];
    size_t n;
};

static size_t count_in(const struct history *h, int32_t token)
{
    size_t count = 0;
    for (size_t i = 0; i < h->n; i++)
        count += h->tokens[i] == token;
    return count;
}

// The longest run before a place of the token that is also the end of the history.
static size_t longest_run(const struct history *h, int32_t token)
{
    size_t longest = 0;
    for (size_t i = 0; i < h->n; i++) {
        size_t length = 0;
        while (h->tokens[i] == token && length < i &&
               h->tokens[i - 1 - length] == h->tokens[h->n - 1 - length])
            length++;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static const int32_t banned[] = {2, 5, 1000};
static const int32_t allowed[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 13, 21, 22, 23, 30, 31, 2000};
static const struct tempera_logit_bias branch_biases[] = {{1, 1.5f}, {7, -2}};
static const float presence = 0.25f, frequency = 0.125f, multiplier = 0.5f;

static size_t history_stages(struct tempera_stage *stages)
{
    size_t n = 0;
    stages[n++] = tempera_stage_logit_bias(branch_biases, COUNT_OF(branch_biases));
    stages[n++] = tempera_stage_allow(allowed, COUNT_OF(allowed));
    stages[n++] = tempera_stage_ban(banned, COUNT_OF(banned));
    stages[n++] = tempera_stage_penalties(1, presence, frequency, MOST_HISTORY);
    stages[n++] = tempera_stage_no_repeat_ngram(3, MOST_HISTORY);
    stages[n++] = tempera_stage_dry(multiplier, 2, 1, MOST_HISTORY, NULL, 0);
    return n;
}

// What those stages make of a score, by their definitions.
static float changed(const struct history *h, int32_t token, float score)
{
    for (size_t i = 0; i < COUNT_OF(branch_biases); i++)
        if (branch_biases[i].token == token)
            score += branch_biases[i].bias;
    bool is_allowed = false;
    for (size_t i = 0; i < COUNT_OF(allowed); i++)
        is_allowed |= allowed[i] == token;
    for (size_t i = 0; i < COUNT_OF(banned); i++)
        is_allowed &= banned[i] != token;
    if (!is_allowed)
        return -INFINITY;
    size_t count = count_in(h, token), run = longest_run(h, token);
    score -= (count > 0 ? presence : 0) + frequency * (float)count;
    if (run >= 2)
        return -INFINITY; // the third token of a trigram
    return run == 0 ? score : score - multiplier * (float)(1 << (run - 1));
}

struct branched {
    struct history histories[N_BRANCHES];
    struct tempera_sampler_state *states[N_BRANCHES];
    struct tempera_branch branches[N_BRANCHES];
    size_t n_columns;
};

// Branch 2 is empty; the others have about half of a small vocabulary, so that most tokens stand
// there several times, with histories that hold them several times.
static struct branched make_branches(const struct tempera_sampler *sampler)
{
    struct branched made = {.n_columns = 0};
    for (size_t b = 0; b < N_BRANCHES; b++) {
        struct history *h = &made.histories[b];
        for (h->n = 0; h->n < 4 + 5 * b; h->n++)
            h->tokens[h->n] = (int32_t)check_random_below(6);
        for (int32_t id = 0; id < 40 && b != 2; id++)
            if (check_random_below(2) == 0) {
                tokens[made.n_columns] = id;
                z[made.n_columns] = random_score();
                expected_z[made.n_columns] = changed(h, id, z[made.n_columns]);
                made.n_columns++;
            }
        made.states[b] = new_state(sampler, h->tokens, h->n);
        made.branches[b] = (struct tempera_branch){made.n_columns, made.states[b]};
    }
    return made;
}

static void free_branches(struct branched *made)
{
    for (size_t b = 0; b < N_BRANCHES; b++)
        free(made->states[b]);
}

// The columns of tokens that XTC spares.
static const int32_t spared[] = {0, 3, 8};

static size_t spared_columns(size_t n_columns, int32_t *columns)
{
    size_t n = 0;
    for (size_t i = 0; i < n_columns; i++)
        for (size_t s = 0; s < COUNT_OF(spared); s++)
            if (tokens[i] == spared[s])
                columns[n++] = (int32_t)i;
    return n;
}

// The row of the branches is a plain row of the changed scores, whatever stages follow.
static void branches(void)
{
    for (uint64_t round = 0; round < 100; round++) {
        struct tempera_stage stages[16], plain_stages[16];
        int32_t columns[MOST_COLUMNS];
        size_t n_history = history_stages(stages), n = n_history;
        stages[n] = tempera_stage_xtc(1, 0.05f);
        stages[n++].u.xtc.spared = (struct tempera_token_list){spared, COUNT_OF(spared)};
        stages[n++] = tempera_stage_top_k(25);
        stages[n++] = tempera_stage_min_p(0.02f);
        stages[n++] = tempera_stage_temperature(1.5f);
        if (round % 2 == 1)
            stages[n++] = tempera_stage_mirostat_2(3, 0.1f);
        memcpy(plain_stages, stages + n_history, (n - n_history) * sizeof *stages);
        struct tempera_sampler sampler = tempera_sampler_of(stages, n);
        struct tempera_sampler rest = tempera_sampler_of(plain_stages, n - n_history);
        sampler.draw = rest.draw = round % 3 == 0 ? TEMPERA_DRAW_RACE : TEMPERA_DRAW_MASS;
        struct branched made = make_branches(&sampler);
        plain_stages[0].u.xtc.spared =
            (struct tempera_token_list){columns, spared_columns(made.n_columns, columns)};
        struct tempera_sampler_state *state = new_state(&sampler, tokens, 3);
        struct tempera_sample_row row = {.sampler = &sampler,
                                         .state = state,
                                         .seed = round,
                                         .tokens = tokens,
                                         .branches = made.branches,
                                         .n_branches = N_BRANCHES};
        struct tempera_sample_row plain = {.sampler = &rest, .state = state, .seed = round};
        struct tempera_sample_result got = probs_of_row(z, made.n_columns, &row, probs);
        struct tempera_sample_result expected =
            probs_of_row(expected_z, made.n_columns, &plain, expected_probs);
        CHECK_MEM(probs, expected_probs, made.n_columns * sizeof *probs);
        CHECK_EQ_INT(got.column, expected.token);
        CHECK_EQ_INT(got.token, tokens[got.column]);
        CHECK(got.logprob == expected.logprob && got.level == expected.level);
        free(state);
        free_branches(&made);
    }
}

// Without a branch that has a history of its own, the row's serves.
static void one_branch(void)
{
    struct tempera_stage stage = tempera_stage_no_repeat_ngram(1, 8);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    const int32_t history[] = {9}, columns[] = {4, 9};
    const float scores[] = {0, 50};
    struct tempera_sampler_state *state = new_state(&sampler, history, 1);
    struct tempera_sample_row row = {.sampler = &sampler, .state = state, .tokens = columns};
    CHECK_EQ_INT(sample_row(scores, 2, &row).token, 4);
    struct tempera_branch branch = {2, NULL}; // no history at all
    row.branches = &branch;
    row.n_branches = 1;
    CHECK_EQ_INT(sample_row(scores, 2, &row).token, 9);
    free(state);
}

// ------------------------------------------------------------------------------------------------
// Reports

// Token 5 stands in both branches; reports tell the columns apart.
static void reports(void)
{
    static const int32_t columns[] = {5, 8, 5, 6}, asked[] = {2, 1};
    static const float scores[] = {1, 0, 3, 2};
    struct tempera_branch two[] = {{2, NULL}, {4, NULL}};
    struct tempera_stage stages[] = {tempera_stage_top_k(2)};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 1);
    struct tempera_token_logprob named[2], top[4];
    struct tempera_logprobs report = {.struct_size = sizeof report,
                                      .ids = asked,
                                      .n_ids = 2,
                                      .named = named,
                                      .max_top = 4,
                                      .top = top};
    struct tempera_sample_row row = {.sampler = &sampler,
                                     .tokens = columns,
                                     .branches = two,
                                     .n_branches = 2,
                                     .logprobs = &report};
    sample_row(scores, 4, &row);
    const int32_t by_score[] = {2, 3, 0, 1};
    CHECK_EQ_SIZE(report.n_top, 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ_INT(top[i].column, by_score[i]);
        CHECK_EQ_INT(top[i].token, columns[by_score[i]]);
    }
    CHECK_EQ_INT(named[0].token, 5);
    CHECK_EQ_INT(named[1].token, 8);
    CHECK(named[0].final > -1 && named[1].final == -INFINITY);

    struct tempera_matrix logits = tempera_matrix_const_f32(scores, 1, 4);
    struct tempera_stage_report after[2];
    struct tempera_token_report fates[2];
    const struct tempera_explanation to = {sizeof to, after, 2, asked, fates, 2};
    struct tempera_sample_result result, drawn[4];
    size_t nbytes = tempera_explain_scratch_nbytes(&logits, &sampler), n_drawn;
    void *scratch = aligned_alloc(64, nbytes);
    CHECK_STATUS(tempera_explain(&logits, &row, &to, &result, scratch, nbytes), TEMPERA_OK);
    CHECK_EQ_INT(fates[0].column, 2);
    CHECK_EQ_INT(fates[0].token, 5);
    CHECK_EQ_INT(fates[0].removed_by, TEMPERA_TOKEN_STAYED);
    CHECK_EQ_INT(fates[1].token, 8);
    CHECK_EQ_INT(fates[1].removed_by, 0);
    CHECK_STATUS(tempera_sample_distinct(&logits, &row, 4, drawn, &n_drawn, scratch, nbytes),
                 TEMPERA_OK);
    CHECK_EQ_SIZE(n_drawn, 2);
    for (size_t i = 0; i < n_drawn; i++)
        CHECK_EQ_INT(drawn[i].token, columns[drawn[i].column]);
    // a row without a token
    const float none[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    CHECK_EQ_INT(sample_row(none, 4, &row).column, -1);
    CHECK_EQ_INT(named[0].token, 5);
    CHECK_EQ_INT(named[0].column, 2);
    free(scratch);
}

// ------------------------------------------------------------------------------------------------

// A call with everything in order; a test spoils one thing and then calls check_refused.
struct call {
    const struct tempera_matrix *logits;
    struct tempera_sample_row good, row;
    struct tempera_branch branches[2];
    void *scratch;
    size_t nbytes;
};

static void restore_call(struct call *c)
{
    c->branches[0] = (struct tempera_branch){2, NULL};
    c->branches[1] = (struct tempera_branch){4, NULL};
    c->row = c->good;
    c->row.branches = c->branches;
}

// Then everything is in order again.
static void check_refused(struct call *c)
{
    struct tempera_sample_result result;
    CHECK_STATUS(tempera_sample(c->logits, &c->row, &result, c->scratch, c->nbytes, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    restore_call(c);
}

static void bad_rows(void)
{
    static const int32_t columns[] = {5, 8, 5, 6}, negative[] = {-1, 8, 5, 6},
                         twice[] = {5, 5, 1, 2};
    float scores[4] = {0};
    struct tempera_stage stage = tempera_stage_no_repeat_ngram(1, 8);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sampler no_window = tempera_sampler_of(NULL, 0);
    struct tempera_sampler_state *forgetful = new_state(&no_window, NULL, 0);
    struct tempera_sampler_state *sound = new_state(&sampler, NULL, 0);
    struct tempera_matrix logits = tempera_matrix_f32(scores, 1, 4);
    struct tempera_sample_row good = {.sampler = &sampler, .tokens = columns, .n_branches = 2};
    struct tempera_sample_result result;
    struct call c = {.logits = &logits, .good = good};
    size_t n_tokens;
    void *scratch = c.scratch = new_scratch(&logits, &sampler, NULL, &c.nbytes);
    restore_call(&c);
    c.row.tokens = NULL;
    check_refused(&c);
    c.row.branches = NULL;
    check_refused(&c);
    // one branch, whose tokens then don't ascend
    c.row.n_branches = 0;
    check_refused(&c);
    c.row.n_branches = SIZE_MAX;
    check_refused(&c);
    c.branches[1].end = 3;
    check_refused(&c);
    c.branches[1].end = 5;
    check_refused(&c);
    c.branches[0].end = 4;
    c.branches[1].end = 3;
    check_refused(&c);
    c.row.tokens = negative;
    check_refused(&c);
    c.row.tokens = twice;
    check_refused(&c);
    c.branches[1].state = forgetful;
    check_refused(&c);
    c.branches[1].state = (void *)((char *)forgetful + 4);
    check_refused(&c);
    memcpy(scratch, sound, sound->nbytes);
    c.branches[1].state = scratch;
    check_refused(&c);
    c.row.branches = scratch;
    check_refused(&c);
    c.row.tokens = scratch;
    check_refused(&c);
    CHECK_STATUS(tempera_speculative_verify(&logits, &good, NULL, NULL, 0, NULL, &result, &n_tokens,
                                            scratch, c.nbytes),
                 TEMPERA_INVALID_ARGUMENT);
    free(scratch);
    free(forgetful);
    free(sound);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a short list of tokens is the vocabulary with the rest masked", short_list},
        {"each branch has the history of its own", branches},
        {"without branches, the row's state is the history", one_branch},
        {"reports tell columns of the same token apart", reports},
        {"rows whose columns make no sense are refused", bad_rows},
    };
    return CHECK_RUN(tests, argc, argv);
}
