// SPDX-License-Identifier: MIT
// The adapter for llama.cpp, driven as llama.cpp drives a sampler, over the small llama.h of
// tests/llama: what it draws is what tempera_sample draws, whatever the candidates' order.
#include "sampler_setup.h"

#include <llama.h>

static size_t n_allocations;

static void *counting_malloc(size_t nbytes)
{
    n_allocations++;
    return malloc(nbytes);
}

#define malloc counting_malloc
#include <tempera/llama_adapter.h>
#undef malloc

enum { VOCABULARY = 200, SEED = 7, STREAM = 3 };

static float z[VOCABULARY];
static llama_token_data data[VOCABULARY];

// Penalties, so that the history matters, and filters.
static struct tempera_stage stages[3];
static struct tempera_sampler sampler;

static void set_up(void)
{
    for (size_t i = 0; i < VOCABULARY; i++)
        z[i] = (float)check_random_between(-3, 3);
    stages[0] = tempera_stage_penalties(1.3f, 0.5f, 0.25f, 16);
    stages[1] = tempera_stage_top_k(50);
    stages[2] = tempera_stage_temperature(1.5f);
    sampler = tempera_sampler_of(stages, COUNT_OF(stages));
}

static struct llama_sampler *new_sampler(void)
{
    struct llama_sampler *smpl = tempera_llama_sampler_init(&sampler, VOCABULARY, SEED, STREAM);
    if (!CHECK(smpl != NULL))
        abort();
    return smpl;
}

// All tokens in the order of ids, as llama.cpp begins.
static llama_token_data_array all_candidates(void)
{
    for (int32_t i = 0; i < VOCABULARY; i++)
        data[i] = (llama_token_data){i, z[i], 0};
    return (llama_token_data_array){data, VOCABULARY, -1, false};
}

static void shuffle(llama_token_data_array *candidates)
{
    for (size_t i = candidates->size; i-- > 1;) {
        size_t j = check_random_below(i + 1);
        llama_token_data swapped = candidates->data[i];
        candidates->data[i] = candidates->data[j];
        candidates->data[j] = swapped;
    }
}

static llama_token apply(struct llama_sampler *smpl, llama_token_data_array *candidates)
{
    smpl->iface->apply(smpl, candidates);
    bool found = candidates->selected >= 0 && (size_t)candidates->selected < candidates->size;
    return found ? candidates->data[candidates->selected].id : -1;
}

// As llama_sampler_sample: from the whole vocabulary, accepting what was drawn.
static llama_token sample(struct llama_sampler *smpl)
{
    llama_token_data_array candidates = all_candidates();
    llama_token token = apply(smpl, &candidates);
    smpl->iface->accept(smpl, token);
    return token;
}

// What the library itself draws after the tokens accepted so far.
static struct tempera_sample_result draw(const float *scores, const struct tempera_sampler *from,
                                         const struct tempera_sampler_state *state)
{
    struct tempera_sample_row row = {
        .sampler = from, .state = state, .seed = SEED, .stream = STREAM};
    return sample_row(scores, VOCABULARY, &row);
}

// ------------------------------------------------------------------------------------------------

static void draws_what_the_library_draws(void)
{
    set_up();
    static const int32_t prompt[] = {5, 17, 5};
    struct llama_sampler *smpl = new_sampler();
    CHECK_EQ_STR(smpl->iface->name(smpl), "tempera");
    CHECK(smpl->iface->later == NULL);
    struct tempera_sampler_state *state = new_state(&sampler, prompt, COUNT_OF(prompt));
    for (size_t i = 0; i < COUNT_OF(prompt); i++)
        smpl->iface->accept(smpl, prompt[i]);

    for (int step = 0; step < 100; step++) {
        struct tempera_sample_result expected = draw(z, &sampler, state);
        CHECK_EQ_INT(sample(smpl), expected.token);
        const struct tempera_sample_result *result = tempera_llama_sampler_result(smpl);
        CHECK_MEM(&result->logprob, &expected.logprob, sizeof(float));
        CHECK_EQ_U64(result->n_kept, 50);
        tempera_sampler_accept(state, expected.token, &expected);
    }
    free(state);
    llama_sampler_free(smpl);
}

// A sampler before this one has removed some and sorted or mixed the rest.
static void takes_any_subset_in_any_order(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    for (int step = 0; step < 100; step++) {
        float left[VOCABULARY];
        llama_token_data_array candidates = all_candidates();
        shuffle(&candidates);
        candidates.size = 1 + check_random_below(VOCABULARY);
        for (size_t i = 0; i < VOCABULARY; i++)
            left[i] = -INFINITY;
        for (size_t i = 0; i < candidates.size; i++)
            left[data[i].id] = data[i].logit;
        llama_token_data before[VOCABULARY];
        memcpy(before, data, sizeof data);

        struct tempera_sample_result expected = draw(left, &sampler, state);
        llama_token token = apply(smpl, &candidates);
        CHECK_EQ_INT(token, expected.token);
        CHECK_MEM(data, before, sizeof data);
        smpl->iface->accept(smpl, token);
        tempera_sampler_accept(state, expected.token, &expected);
    }
    free(state);
    llama_sampler_free(smpl);
}

static void ids_beyond_the_vocabulary_are_no_candidates(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    llama_token_data strange[] = {{-1, 9, 0}, {VOCABULARY, 9, 0}, {3, 0, 0}, {INT32_MAX, 9, 0}};
    llama_token_data_array candidates = {strange, COUNT_OF(strange), -1, false};
    CHECK_EQ_INT(apply(smpl, &candidates), 3);
    tempera_llama_sampler_keep_probs(smpl, true);
    CHECK_EQ_INT(apply(smpl, &candidates), 3);
    CHECK_EQ_SIZE(candidates.size, 1);
    llama_sampler_free(smpl);
}

static void applying_twice_gives_the_same_token(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    for (int step = 0; step < 20; step++) {
        llama_token_data_array candidates = all_candidates();
        llama_token first = apply(smpl, &candidates);
        CHECK_EQ_INT(apply(smpl, &candidates), first);
        smpl->iface->accept(smpl, first);
    }
    llama_sampler_free(smpl);
}

static void reset_begins_anew(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    llama_token first[30];
    for (size_t i = 0; i < COUNT_OF(first); i++)
        first[i] = sample(smpl);
    smpl->iface->reset(smpl);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        CHECK_EQ_INT(sample(smpl), first[i]);
    llama_sampler_free(smpl);
}

// A clone goes on alike, by itself, and when the original is gone.
static void clones_are_copies(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    for (int i = 0; i < 10; i++)
        sample(smpl);
    struct llama_sampler *clone = smpl->iface->clone(smpl);
    struct llama_sampler *other = smpl->iface->clone(smpl);
    CHECK(clone->iface == smpl->iface);
    other->iface->accept(other, 11); // must not reach the others
    llama_token drawn[30];
    bool others_differ = false;
    for (size_t i = 0; i < COUNT_OF(drawn); i++) {
        drawn[i] = sample(smpl);
        others_differ |= sample(other) != drawn[i];
    }
    llama_sampler_free(smpl);
    for (size_t i = 0; i < COUNT_OF(drawn); i++)
        CHECK_EQ_INT(sample(clone), drawn[i]);
    CHECK(others_differ);
    llama_sampler_free(clone);
    llama_sampler_free(other);
}

// What was drawn is told apart from the prompt, and teaches a learning stage.
static void learns_from_what_was_drawn(void)
{
    set_up();
    stages[0].u.penalties.drawn_only = 1;
    stages[2] = tempera_stage_mirostat_2(3, 0.2f);
    struct llama_sampler *smpl = new_sampler();
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    for (int32_t step = 0; step < 60; step++) {
        if (step == 20) { // a token of somebody else's choice, and that again
            smpl->iface->accept(smpl, 7);
            smpl->iface->accept(smpl, 7);
            tempera_sampler_accept(state, 7, NULL);
            tempera_sampler_accept(state, 7, NULL);
        }
        if (step == 40) {
            struct llama_sampler *clone = smpl->iface->clone(smpl);
            llama_sampler_free(smpl);
            smpl = clone;
        }
        struct tempera_sample_result expected = draw(z, &sampler, state);
        CHECK_EQ_INT(sample(smpl), expected.token);
        double level = tempera_llama_sampler_result(smpl)->level;
        CHECK_MEM(&level, &expected.level, sizeof level);
        tempera_sampler_accept(state, expected.token, &expected);
    }
    free(state);
    llama_sampler_free(smpl);
}

// A result is learned once, and by a clone that was made before.
static void accepting_again_is_no_draw(void)
{
    set_up();
    stages[2] = tempera_stage_mirostat_2(3, 0.2f);
    struct llama_sampler *smpl = new_sampler();
    llama_token_data_array candidates = all_candidates();
    llama_token token = apply(smpl, &candidates);
    struct llama_sampler *both[] = {smpl, smpl->iface->clone(smpl)};
    struct tempera_sampler_state *state = new_state(&sampler, NULL, 0);
    struct tempera_sample_result drawn = draw(z, &sampler, state);
    tempera_sampler_accept(state, drawn.token, &drawn);
    tempera_sampler_accept(state, drawn.token, NULL);
    for (size_t i = 0; i < 2; i++) {
        const struct tempera_llama_context *c = both[i]->ctx;
        both[i]->iface->accept(both[i], token);
        both[i]->iface->accept(both[i], token);
        CHECK_EQ_U64(c->state->step, 2);
        CHECK_MEM(c->state, state, c->state_nbytes);
        llama_sampler_free(both[i]);
    }
    free(state);
}

static void keeps_the_drawable_with_their_probabilities(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    tempera_llama_sampler_keep_probs(smpl, true);
    float probs[VOCABULARY];
    struct tempera_sample_row row = {.sampler = &sampler, .seed = SEED, .stream = STREAM};
    struct tempera_sample_result expected = probs_of_row(z, VOCABULARY, &row, probs);

    llama_token_data_array candidates = all_candidates();
    candidates.sorted = true;
    CHECK_EQ_INT(apply(smpl, &candidates), expected.token);
    CHECK_EQ_SIZE(candidates.size, 50);
    CHECK(!candidates.sorted);
    double sum = 0;
    for (size_t i = 0; i < candidates.size; i++) {
        CHECK_MEM(&data[i].p, &probs[data[i].id], sizeof(float));
        CHECK_MEM(&data[i].logit, &z[data[i].id], sizeof(float));
        CHECK(i == 0 || data[i - 1].id < data[i].id);
        sum += (double)data[i].p;
    }
    CHECK_NEAR(sum, 1, 50 * 0x1p-25);

    struct llama_sampler *clone = smpl->iface->clone(smpl);
    candidates = all_candidates();
    CHECK_EQ_INT(apply(clone, &candidates), expected.token);
    CHECK_EQ_SIZE(candidates.size, 50);
    llama_sampler_free(clone);
    llama_sampler_free(smpl);
}

static void bad_rows_have_no_token(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    llama_token_data_array nothing = {data, 0, 0, false};
    CHECK_EQ_INT(apply(smpl, &nothing), -1);
    CHECK_EQ_INT(nothing.selected, -1);
    CHECK_STATUS(tempera_llama_sampler_result(smpl)->status, TEMPERA_ALL_MASKED);

    z[100] = NAN;
    llama_token_data_array candidates = all_candidates();
    CHECK_EQ_INT(apply(smpl, &candidates), -1);
    CHECK_EQ_INT(candidates.selected, -1);
    CHECK_STATUS(tempera_llama_sampler_result(smpl)->status, TEMPERA_NAN_INPUT);

    z[100] = INFINITY;
    candidates = all_candidates();
    CHECK_EQ_INT(apply(smpl, &candidates), 100);
    llama_sampler_free(smpl);
}

static void refuses_what_cant_be_sampled(void)
{
    set_up();
    CHECK(tempera_llama_sampler_init(NULL, VOCABULARY, 0, 0) == NULL);
    CHECK(tempera_llama_sampler_init(&sampler, 0, 0, 0) == NULL);
    CHECK(tempera_llama_sampler_init(&sampler, -1, 0, 0) == NULL);
    struct tempera_logit_bias beyond = {VOCABULARY, 1};
    stages[0] = tempera_stage_logit_bias(&beyond, 1);
    CHECK(tempera_llama_sampler_init(&sampler, VOCABULARY, 0, 0) == NULL);
    stages[0] = tempera_stage_temperature(-1);
    CHECK(tempera_llama_sampler_init(&sampler, VOCABULARY, 0, 0) == NULL);
    // No stage at all is a plain draw.
    sampler = tempera_sampler_of(NULL, 0);
    llama_sampler_free(new_sampler());
}

static void the_stages_are_its_own(void)
{
    set_up();
    struct llama_sampler *smpl = new_sampler();
    struct tempera_sample_result expected = draw(z, &sampler, NULL);
    memset(stages, 0, sizeof stages);
    CHECK_EQ_INT(sample(smpl), expected.token);
    llama_sampler_free(smpl);
}

static void no_memory_is_taken_for_a_token(void)
{
    set_up();
    n_allocations = 0;
    struct llama_sampler *smpl = new_sampler();
    CHECK_EQ_SIZE(n_allocations, 1);
    for (int i = 0; i < 100; i++)
        sample(smpl);
    CHECK_EQ_SIZE(n_allocations, 1);
    llama_sampler_free(smpl);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the adapter draws what the library draws", draws_what_the_library_draws},
        {"any subset in any order is taken", takes_any_subset_in_any_order},
        {"ids beyond the vocabulary are not candidates",
         ids_beyond_the_vocabulary_are_no_candidates},
        {"applying twice gives the same token", applying_twice_gives_the_same_token},
        {"a reset starts over", reset_begins_anew},
        {"clones are copies", clones_are_copies},
        {"feedback comes from what was drawn", learns_from_what_was_drawn},
        {"accepting again is not a draw", accepting_again_is_no_draw},
        {"what can be drawn stays, with its probabilities",
         keeps_the_drawable_with_their_probabilities},
        {"bad_rows_have_no_token", bad_rows_have_no_token},
        {"refuses_what_cant_be_sampled", refuses_what_cant_be_sampled},
        {"the_stages_are_its_own", the_stages_are_its_own},
        {"no_memory_is_taken_for_a_token", no_memory_is_taken_for_a_token},
    };
    return CHECK_RUN(tests, argc, argv);
}
