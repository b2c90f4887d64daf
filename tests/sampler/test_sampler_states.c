// SPDX-License-Identifier: MIT
// States are values: copied to clone, copied back to roll back, written to a file to save, they
// lead to the same tokens. And states that don't fit are refused.
#include "sampler_setup.h"

enum { N = 40, STEPS = 30 };

static float z[N];

static void fill_row(void)
{
    for (size_t i = 0; i < N; i++)
        z[i] = (float)check_random_between(-2, 2);
}

// ------------------------------------------------------------------------------------------------
// Branching

static const int32_t prompt[13] = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2};

// Draws and accepts; the results go to steps.
static void go_on(const struct tempera_sampler *sampler, struct tempera_sampler_state *state,
                  struct tempera_sample_result *steps, size_t n)
{
    struct tempera_sample_row row = {.sampler = sampler, .state = state, .seed = 11};
    for (size_t i = 0; i < n; i++) {
        steps[i] = sample_row(z, N, &row);
        CHECK_STATUS(tempera_sampler_accept(state, steps[i].token, &steps[i]), TEMPERA_OK);
    }
}

// Through a file and back.
static struct tempera_sampler_state *reloaded(const void *bytes, size_t nbytes)
{
    FILE *file = tmpfile();
    struct tempera_sampler_state *state = malloc(nbytes);
    CHECK(file != NULL && fwrite(bytes, 1, nbytes, file) == nbytes);
    rewind(file);
    CHECK(fread(state, 1, nbytes, file) == nbytes);
    fclose(file);
    return state;
}

// From the middle of a text on, the same is drawn from a clone, from a state that was rolled back
// and from one that was saved; not from one at another place.
static void branch(const char *name, const struct tempera_stage *stages, size_t n_stages)
{
    static struct tempera_sample_result before[STEPS], first[STEPS], again[STEPS];
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sampler_state *state = new_state(&sampler, prompt, COUNT_OF(prompt));
    size_t nbytes = tempera_sampler_state_nbytes(&sampler);
    CHECK_EQ_U64(state->nbytes, nbytes);
    fill_row();
    go_on(&sampler, state, before, STEPS);
    CHECK_EQ_U64(state->step, COUNT_OF(prompt) + STEPS);
    char *saved = malloc(nbytes);
    memcpy(saved, state, nbytes); // clone
    go_on(&sampler, state, first, STEPS);
    bool varied = false;
    for (size_t i = 1; i < STEPS; i++)
        varied |= first[i].token != first[0].token;
    CHECK(varied); // the step tells draws apart
    bool same = CHECK(memcmp(before, first, sizeof first) != 0);

    memcpy(state, saved, nbytes); // roll back
    go_on(&sampler, state, again, STEPS);
    same &= CHECK_MEM(again, first, sizeof first);
    struct tempera_sampler_state *other = reloaded(saved, nbytes);
    go_on(&sampler, other, again, STEPS);
    same &= CHECK_MEM(again, first, sizeof first);
    same &= CHECK_MEM(other, state, nbytes);
    if (!same)
        printf("# %s\n", name);
    free(other);
    free(saved);
    free(state);
}

static void states_are_values(void)
{
    struct tempera_stage drawn_only = tempera_stage_penalties(1, 0.8f, 0.4f, 16);
    drawn_only.u.penalties.drawn_only = 1;
    const struct {
        const char *name;
        struct tempera_stage stage;
    } cases[] = {
        {"penalties", tempera_stage_penalties(1.3f, 0.4f, 0.2f, 8)},
        {"penalties over what was drawn", drawn_only},
        {"DRY", tempera_stage_dry(2, 1.75f, 1, 50, prompt, 1)},
        {"n-grams", tempera_stage_no_repeat_ngram(2, 40)},
        {"mirostat 1", tempera_stage_mirostat_1(3, 0.2f, 30)},
        {"mirostat 2", tempera_stage_mirostat_2(3, 0.2f)},
        {"adaptive-p", tempera_stage_adaptive_p(0.1f, 0.8f)},
    };
    branch("no stage", NULL, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct tempera_stage stages[] = {tempera_stage_temperature(1.2f), cases[i].stage};
        branch(cases[i].name, stages, 2);
    }
}

// ------------------------------------------------------------------------------------------------
// States that don't fit

static enum tempera_status status_with(struct tempera_sampler_state *state,
                                       const struct tempera_sampler *sampler)
{
    struct tempera_sample_row row = {.sampler = sampler, .state = state};
    struct tempera_sample_result result;
    struct tempera_matrix logits = tempera_matrix_f32(z, 1, 4);
    size_t nbytes;
    void *scratch = new_scratch(&logits, sampler, NULL, &nbytes);
    enum tempera_status status = tempera_sample(&logits, &row, &result, scratch, nbytes, NULL);
    free(scratch);
    return status;
}

static void states_that_do_not_fit(void)
{
    struct tempera_stage stage = tempera_stage_penalties(1.1f, 0, 0, 16);
    struct tempera_sampler wide = tempera_sampler_of(&stage, 1), none = tempera_sampler_of(NULL, 0);
    size_t nbytes = tempera_sampler_state_nbytes(&wide);
    CHECK(tempera_sampler_state_nbytes(&none) < nbytes);
    struct tempera_sampler_state *state = new_state(&wide, NULL, 0);
    CHECK_STATUS(tempera_sampler_state_init(state, nbytes - 1, &wide), TEMPERA_BUFFER_TOO_SMALL);
    CHECK_STATUS(tempera_sampler_state_init(NULL, nbytes, &wide), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_sampler_state_init(state, nbytes, NULL), TEMPERA_INVALID_ARGUMENT);
    char *odd = (char *)state + 4;
    CHECK_STATUS(tempera_sampler_state_init((void *)odd, nbytes, &none), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_sampler_accept(state, -1, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_sampler_accept(NULL, 1, NULL), TEMPERA_INVALID_ARGUMENT);
    const struct tempera_sample_result other = {.token = 2};
    CHECK_STATUS(tempera_sampler_accept(state, 1, &other), TEMPERA_INVALID_ARGUMENT);
    CHECK_EQ_U64(state->step, 0);
    CHECK_STATUS(status_with(state, &wide), TEMPERA_OK);
    CHECK_STATUS(status_with(state, &none), TEMPERA_OK);
    // Fields of the head that came back wrong from a file
    const struct tempera_sampler_state good = *state;
    state->version++;
    CHECK_STATUS(tempera_sampler_accept(state, 1, NULL), TEMPERA_STATE_MISMATCH);
    CHECK_STATUS(status_with(state, &wide), TEMPERA_STATE_MISMATCH);
    memcpy(state, &good, sizeof good);
    state->window = UINT32_MAX;
    CHECK_STATUS(tempera_sampler_accept(state, 1, NULL), TEMPERA_STATE_MISMATCH);
    memcpy(state, &good, sizeof good);
    state->nbytes -= 8;
    CHECK_STATUS(status_with(state, &wide), TEMPERA_STATE_MISMATCH);
    memcpy(state, &good, sizeof good);
    state->level = NAN;
    CHECK_STATUS(tempera_sampler_accept(state, 1, NULL), TEMPERA_STATE_MISMATCH);
    CHECK_STATUS(status_with(state, &wide), TEMPERA_STATE_MISMATCH);
    // A state that remembers less than a window asks for
    CHECK_STATUS(tempera_sampler_state_init(state, nbytes, &none), TEMPERA_OK);
    CHECK_STATUS(tempera_sampler_accept(state, 1, NULL), TEMPERA_OK);
    CHECK_STATUS(status_with(state, &none), TEMPERA_OK);
    CHECK_STATUS(status_with(state, &wide), TEMPERA_INVALID_ARGUMENT);
    free(state);
}

// A state for one learning stage serves none of another kind, but samplers that learn nothing; they
// leave the level as it is.
static void learners_that_do_not_fit(void)
{
    const struct tempera_stage stages[] = {tempera_stage_mirostat_2(3, 0.1f),
                                           tempera_stage_mirostat_1(3, 0.1f, 100),
                                           tempera_stage_adaptive_p(0.3f, 0.9f)};
    struct tempera_sampler none = tempera_sampler_of(NULL, 0);
    for (size_t i = 0; i < COUNT_OF(stages); i++) {
        struct tempera_sampler own = tempera_sampler_of(&stages[i], 1);
        struct tempera_sampler_state *state = new_state(&own, NULL, 0);
        for (size_t j = 0; j < COUNT_OF(stages); j++) {
            struct tempera_sampler other = tempera_sampler_of(&stages[j], 1);
            CHECK_STATUS(status_with(state, &other),
                         i == j ? TEMPERA_OK : TEMPERA_INVALID_ARGUMENT);
        }
        CHECK_STATUS(status_with(state, &none), TEMPERA_OK);
        state->level = 1.25;
        struct tempera_sample_row row = {.sampler = &none, .state = state};
        struct tempera_sample_result result = sample_row(z, 4, &row);
        CHECK(result.level == 1.25);
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
        CHECK_STATUS(tempera_sampler_accept(state, 3, NULL), TEMPERA_OK); // teaches nothing
        CHECK(state->level == 1.25);
        result.level = INFINITY;
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result),
                     TEMPERA_INVALID_ARGUMENT);
        CHECK_EQ_U64(state->step, 2);
        free(state);
        state = new_state(&none, NULL, 0);
        CHECK_STATUS(status_with(state, &own), TEMPERA_INVALID_ARGUMENT);
        free(state);
    }
}

// ------------------------------------------------------------------------------------------------
// Blocks from outside

static enum tempera_status check_with(const struct tempera_sampler_state *good, size_t at,
                                      const void *bytes, size_t n)
{
    size_t nbytes = good->nbytes;
    struct tempera_sampler_state *copy = malloc(nbytes); // as long, so that a sanitizer sees more
    memcpy(copy, good, nbytes);
    memcpy((char *)copy + at, bytes, n);
    enum tempera_status status = tempera_sampler_state_check(copy, nbytes);
    free(copy);
    return status;
}

// The state with another head. Then that head is the state's own again.
static void check_forged(const struct tempera_sampler_state *state,
                         struct tempera_sampler_state *head, enum tempera_status expected)
{
    CHECK_STATUS(check_with(state, 0, head, sizeof *head), expected);
    *head = *state;
}

// A window longer than the block, with a length to match, is what the head alone can't show.
static void forged_heads(void)
{
    struct tempera_stage stage = tempera_stage_penalties(1.1f, 0, 0, 5);
    struct tempera_sampler sampler = tempera_sampler_of(&stage, 1);
    struct tempera_sampler_state *state = new_state(&sampler, prompt, 3);
    size_t nbytes = state->nbytes, head = sizeof *state;
    CHECK_STATUS(tempera_sampler_state_check(state, nbytes), TEMPERA_OK);
    CHECK_STATUS(tempera_sampler_state_check(state, nbytes + 100), TEMPERA_OK);
    for (size_t n = 0; n < nbytes; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, state, n);
        CHECK_STATUS(tempera_sampler_state_check((void *)cut, n), TEMPERA_BUFFER_TOO_SMALL);
        free(cut);
    }
    CHECK_STATUS(tempera_sampler_state_check(NULL, nbytes), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_sampler_state_check((void *)((char *)state + 4), nbytes),
                 TEMPERA_INVALID_ARGUMENT);
    struct tempera_sampler_state forged = *state;
    forged.window = 1 << 20;
    forged.nbytes = (uint32_t)(head + (sizeof(int32_t) << 20));
    CHECK_STATUS(check_with(state, 0, &forged, head), TEMPERA_BUFFER_TOO_SMALL);
    forged.window = UINT32_MAX;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.version = state->version + 1;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.window = 7;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.step = UINT64_MAX;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.step = INT64_MAX;
    check_forged(state, &forged, TEMPERA_OK);
    // with a third token
    forged.step = 2;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.level = NAN;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    // of no stage
    forged.level = 1;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.learner = TEMPERA_STAGE_TOP_K;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.learner = UINT32_MAX;
    check_forged(state, &forged, TEMPERA_STATE_MISMATCH);
    forged.learner = TEMPERA_STAGE_MIROSTAT_2;
    check_forged(state, &forged, TEMPERA_OK);
    for (size_t at = head + 3 * sizeof(int32_t); at < nbytes; at += sizeof(int32_t))
        CHECK_STATUS(check_with(state, at, &(int32_t){1}, sizeof(int32_t)), TEMPERA_STATE_MISMATCH);
    // The step that would come round, in every call
    state->step = UINT64_MAX;
    CHECK_STATUS(tempera_sampler_accept(state, 1, NULL), TEMPERA_STATE_MISMATCH);
    CHECK_STATUS(status_with(state, &sampler), TEMPERA_STATE_MISMATCH);
    free(state);
}

// What accepting makes is always a state, at every step and level.
static void accepted_states_are_sound(void)
{
    const struct tempera_stage stages[] = {
        tempera_stage_mirostat_2(0.01f, 5), tempera_stage_mirostat_1(9, 5, 100),
        tempera_stage_adaptive_p(1, 0.99f), tempera_stage_adaptive_p(0.01f, 0),
        tempera_stage_penalties(1.1f, 0, 0, 7)};
    for (size_t i = 0; i < COUNT_OF(stages); i++) {
        struct tempera_sampler sampler = tempera_sampler_of(&stages[i], 1);
        struct tempera_sampler_state *state = new_state(&sampler, prompt, i);
        struct tempera_sample_row row = {.sampler = &sampler, .state = state, .seed = i};
        fill_row();
        for (size_t k = 0; k < STEPS; k++) {
            struct tempera_sample_result result = sample_row(z, N, &row);
            CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
            CHECK_STATUS(tempera_sampler_accept(state, INT32_MAX, NULL), TEMPERA_OK);
            CHECK_STATUS(tempera_sampler_state_check(state, state->nbytes), TEMPERA_OK);
        }
        struct tempera_sampler_state high = *state;
        high.level = 1.5;
        CHECK_STATUS(check_with(state, 0, &high, sizeof high),
                     high.learner == TEMPERA_STAGE_MIROSTAT_1 ||
                             high.learner == TEMPERA_STAGE_MIROSTAT_2
                         ? TEMPERA_OK
                         : TEMPERA_STATE_MISMATCH);
        free(state);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a copy of a state goes on as the original", states_are_values},
        {"states that do not fit are refused", states_that_do_not_fit},
        {"states that learn something else are refused", learners_that_do_not_fit},
        {"blocks from outside are checked", forged_heads},
        {"every state that accepting makes passes the check", accepted_states_are_sound},
    };
    return CHECK_RUN(tests, argc, argv);
}
