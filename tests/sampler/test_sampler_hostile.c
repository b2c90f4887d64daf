// SPDX-License-Identifier: MIT
// Arguments that a careless caller gives: memory that overlaps, lies askew or isn't there, counts
// that can't be, structures of other sizes. A status, and not a byte is written.
#include "sampler_setup.h"

#include <tempera/decoding.h>
#include <tempera/explain.h>

enum { N = 200, N_TOP = 4 };

// All that a call is given, in one block, so that parts of it can be put upon one another and one
// comparison sees whether anything was written.
static struct block {
    _Alignas(64) char scratch[1 << 15];
    float z[N];
    uint32_t mask[N / 32 + 2];
    struct tempera_stage stages[2];
    struct tempera_sampler sampler;
    struct tempera_sample_row row;
    struct tempera_logprobs report;
    int32_t ids[N_TOP];
    struct tempera_token_logprob named[N_TOP], top[N_TOP];
    struct tempera_sample_result result;
    _Alignas(8) char state[1 << 9];
} b, before;

static void *scratch;

static void set_up(void)
{
    memset(&b, 0x11, sizeof b);
    scratch = b.scratch;
    for (size_t i = 0; i < N; i++)
        b.z[i] = (float)(i * 37 % 101) * 0.1f;
    memset(b.mask, 0xFF, sizeof b.mask);
    for (int32_t i = 0; i < N_TOP; i++)
        b.ids[i] = i;
    b.stages[0] = tempera_stage_penalties(1.1f, 0, 0, 8);
    b.stages[1] = tempera_stage_top_p(0.9f);
    b.sampler = tempera_sampler_of(b.stages, 2);
    b.report = (struct tempera_logprobs){sizeof b.report,           b.ids, N_TOP, b.named, N_TOP,
                                         TEMPERA_LOGPROB_ORDER_RAW, b.top, 0};
    struct tempera_sampler_state *state = (void *)b.state;
    CHECK_STATUS(tempera_sampler_state_init(state, sizeof b.state, &b.sampler), TEMPERA_OK);
    CHECK_STATUS(tempera_sampler_accept(state, 3, NULL), TEMPERA_OK);
    b.row = (struct tempera_sample_row){.sampler = &b.sampler,
                                        .state = state,
                                        .mask = b.mask,
                                        .mask_nbits = N,
                                        .logprobs = &b.report};
}

static enum tempera_status sample(void)
{
    struct tempera_matrix logits = tempera_matrix_const_f32(b.z, 1, N);
    before = b;
    return tempera_sample(&logits, &b.row, &b.result, scratch, sizeof b.scratch, NULL);
}

// The block as a test has changed it is refused. Then it is sound again.
static void check_refused(enum tempera_status expected, int line)
{
    check_status(sample(), expected, "sample()", __FILE__, line);
    check_that(memcmp(&b, &before, sizeof b) == 0, __FILE__, line, "something was written");
    set_up();
}

#define CHECK_REFUSED(status) check_refused(status, __LINE__)

static void the_block_is_sound(void)
{
    set_up();
    CHECK_STATUS(sample(), TEMPERA_OK);
    CHECK(b.result.token >= 0 && b.report.n_top == N_TOP);
}

static void inputs_in_scratch(void)
{
    set_up();
    b.row.mask = (void *)b.scratch;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memcpy(b.scratch + 640, b.state, sizeof b.state);
    b.row.state = (void *)(b.scratch + 640);
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memcpy(b.scratch, &b.sampler, sizeof b.sampler);
    b.row.sampler = (void *)b.scratch;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memcpy(b.scratch, b.stages, sizeof b.stages);
    b.sampler.stages = (void *)b.scratch;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memcpy(b.scratch, &b.report, sizeof b.report);
    b.row.logprobs = (void *)b.scratch;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memcpy(b.scratch, b.ids, sizeof b.ids);
    b.report.ids = (void *)b.scratch;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
}

static void outputs_on_others(void)
{
    set_up();
    b.report.top = (void *)b.z;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = b.named + 1;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.named = (void *)b.ids;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = (void *)b.mask;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = (void *)b.state;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = (void *)b.stages;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = (void *)&b.row;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = (void *)&b.result;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.row.mask = (void *)&b.result;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
}

static void askew(void)
{
    set_up();
    scratch = b.scratch + 8;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.row.mask = (void *)((char *)b.mask + 1);
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    memmove(b.state + 4, b.state, sizeof b.state - 4);
    b.row.state = (void *)(b.state + 4);
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    before = b;
    CHECK_STATUS(tempera_sampler_accept((void *)(b.state + 4), 1, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK(memcmp(&b, &before, sizeof b) == 0);
}

static void missing(void)
{
    set_up();
    scratch = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.row.sampler = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.sampler.stages = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.ids = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.named = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.top = NULL;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
}

static void impossible(void)
{
    set_up();
    b.report.max_top = SIZE_MAX;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.n_ids = SIZE_MAX;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.struct_size--;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.sampler.struct_size = 0;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.report.order = (enum tempera_logprob_order)2;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.row.reserved = 1;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.row.want = 4;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
    b.ids[N_TOP - 1] = -1;
    CHECK_REFUSED(TEMPERA_TOKEN_OUT_OF_RANGE);
    b.ids[0] = N;
    CHECK_REFUSED(TEMPERA_TOKEN_OUT_OF_RANGE);
    b.stages[0].kind = (enum tempera_stage_kind) - 1;
    CHECK_REFUSED(TEMPERA_UNSUPPORTED);
    b.sampler.draw = (enum tempera_draw) - 1;
    CHECK_REFUSED(TEMPERA_INVALID_ARGUMENT);
}

// Every byte of a state's head with every value: a token, or a status and nothing written.
static void damaged_heads(void)
{
    for (size_t at = 0; at < sizeof(struct tempera_sampler_state); at++)
        for (unsigned value = 0; value < 256; value++) {
            set_up();
            b.state[at] = (char)value;
            enum tempera_status status = sample();
            bool is_written = memcmp(&b, &before, sizeof b) != 0;
            CHECK(status == TEMPERA_OK ? is_written
                                       : !is_written && (status == TEMPERA_STATE_MISMATCH ||
                                                         status == TEMPERA_INVALID_ARGUMENT));
        }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the unchanged block is accepted", the_block_is_sound},
        {"inputs in the scratch are refused", inputs_in_scratch},
        {"outputs on inputs or other outputs are refused", outputs_on_others},
        {"misaligned memory is refused", askew},
        {"NULL is refused", missing},
        {"impossible counts, sizes and values are refused", impossible},
        {"damaged states give a token or a status", damaged_heads},
    };
    return CHECK_RUN(tests, argc, argv);
}
