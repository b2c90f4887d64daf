// SPDX-License-Identifier: MIT
// Any bytes as a sampler, a row and a state that may be damaged: a status and nothing written, or a
// token that may be drawn, the same one from every call and every instruction set.
#include <math.h>
#include <string.h>

#include <tempera/cpu.h>
#include <tempera/decoding.h>
#include <tempera/explain.h>
#include <tempera/stage_info.h>

#include "target.h"

enum { MOST = 9000, MOST_STAGES = 6, MOST_LISTED = 40, MOST_TOP = 5, MOST_DRAWS = 3 };

// ------------------------------------------------------------------------------------------------
// Bytes, zeros after the end

static struct {
    const uint8_t *data;
    size_t nbytes;
} input;

static void take(void *to, size_t nbytes)
{
    size_t n = nbytes < input.nbytes ? nbytes : input.nbytes;
    memset(to, 0, nbytes);
    memcpy(to, input.data, n);
    input.data += n;
    input.nbytes -= n;
}

static uint8_t take_byte(void)
{
    uint8_t byte;
    take(&byte, 1);
    return byte;
}

static uint32_t take_word(void)
{
    uint32_t word;
    take(&word, sizeof word);
    return word;
}

// What parameters are made of: values at the edges, shares, or any bits.
static float take_float(void)
{
    static const float edges[] = {0,         1,     0.5f,   2,     -1,        0.95f,
                                  1e-3f,     1e-7f, 1e-40f, 1e30f, 0x1p-149f, INFINITY,
                                  -INFINITY, 0.1f,  40,     3e38f, -0x1p-30f};
    uint8_t kind = take_byte();
    if (kind < sizeof edges / sizeof *edges)
        return edges[kind];
    if (kind < 128)
        return (float)(kind - 16) / 112;
    uint32_t bits = take_word();
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Mostly small.
static int32_t take_int(void)
{
    uint8_t kind = take_byte();
    return kind < 250 ? kind : (int32_t)take_word();
}

// ------------------------------------------------------------------------------------------------
// Arguments

static struct {
    size_t n;
    float z[MOST];
    uint32_t mask[MOST / 32 + 1];
    struct tempera_stage stages[MOST_STAGES];
    int32_t listed[MOST_STAGES][MOST_LISTED];
    struct tempera_logit_bias bias[MOST_STAGES][MOST_LISTED];
    struct tempera_sampler sampler;
    struct tempera_sampler_state *state;
    struct tempera_sample_row row;
} given;

// A pattern that goes round, with a few scores of their own. NaNs in one kind of four only, so that
// they don't end most rows.
static void take_scores(void)
{
    float pattern[64];
    size_t period = 1 + take_byte() % 64, kind = take_byte() % 4;
    given.n = kind == 0 ? 8100u + take_byte() * 3u : 1u + take_byte();
    for (size_t i = 0; i < period; i++)
        pattern[i] = take_float() * (float)(1 + take_byte() % 16);
    for (size_t i = 0; i < given.n; i++)
        given.z[i] = pattern[i % period] + (kind == 1 ? (float)i * 0.01f : 0);
    for (size_t i = take_byte() % 16; i > 0; i--)
        given.z[take_word() % given.n] = take_float();
    for (size_t i = 0; i < given.n; i++)
        given.z[i] = given.z[i] != given.z[i] && kind != 2 ? 1 : given.z[i];
}

static struct tempera_token_list take_list(size_t s)
{
    struct tempera_token_list list = {given.listed[s], take_byte() % MOST_LISTED};
    for (size_t i = 0; i < list.count; i++)
        given.listed[s][i] = take_byte() < 250 ? (int32_t)(take_word() % given.n) : take_int();
    return list;
}

static void take_parameters(struct tempera_stage *stage, size_t s)
{
    switch (stage->kind) {
    case TEMPERA_STAGE_LOGIT_BIAS:
        stage->u.logit_bias.entries = given.bias[s];
        stage->u.logit_bias.count = take_byte() % MOST_LISTED;
        for (size_t i = 0; i < stage->u.logit_bias.count; i++)
            given.bias[s][i] =
                (struct tempera_logit_bias){(int32_t)(take_word() % given.n), take_float()};
        break;
    case TEMPERA_STAGE_PENALTIES:
        *stage = tempera_stage_penalties(take_float(), take_float(), take_float(), take_int());
        stage->u.penalties.drawn_only = take_byte() % 2;
        break;
    case TEMPERA_STAGE_TOP_K:
        stage->u.top_k = take_int();
        break;
    case TEMPERA_STAGE_XTC:
        *stage = tempera_stage_xtc(take_float(), take_float());
        stage->u.xtc.spared = take_list(s);
        break;
    case TEMPERA_STAGE_DRY:
        *stage = tempera_stage_dry(take_float(), take_float(), take_int(), take_int(), NULL, 0);
        stage->u.dry.breakers = take_list(s);
        break;
    case TEMPERA_STAGE_NO_REPEAT_NGRAM:
        *stage = tempera_stage_no_repeat_ngram(take_int(), take_int());
        break;
    case TEMPERA_STAGE_ALLOW:
    case TEMPERA_STAGE_BAN:
        stage->u.tokens = take_list(s);
        break;
    case TEMPERA_STAGE_MIROSTAT_1:
        *stage = tempera_stage_mirostat_1(take_float(), take_float(), take_int());
        break;
    default: // those whose parameters are at most three floats
        *stage = tempera_stage_of(stage->kind);
        for (size_t i = 0; i < 3; i++) {
            float value = take_float();
            memcpy((char *)&stage->u + i * sizeof value, &value, sizeof value);
        }
    }
}

static int n_kinds(void)
{
    int n = 0;
    while (tempera_describe_stage(n + 1) != NULL)
        n++;
    return n;
}

static void take_sampler(void)
{
    size_t n_stages = take_byte() % (MOST_STAGES + 1);
    for (size_t s = 0; s < n_stages; s++) {
        struct tempera_stage *stage = &given.stages[s];
        *stage = tempera_stage_of((enum tempera_stage_kind)(take_byte() % (n_kinds() + 2)));
        take_parameters(stage, s);
        uint8_t keep = take_byte();
        stage->min_keep = keep < 128 ? 0 : keep < 250 ? keep - 127u : take_word();
    }
    given.sampler = tempera_sampler_of(given.stages, n_stages);
    given.sampler.draw = (enum tempera_draw)(take_byte() % 16 % 3);
    if (take_byte() == 255)
        given.sampler.struct_size = take_byte();
}

// A history, and a few bytes of the block changed. What is not a state of so many bytes is not used, as
// sampler.h says of blocks from outside; of what can be one, the head may lie about all but that.
static void take_state(void)
{
    size_t nbytes = tempera_sampler_state_nbytes(&given.sampler);
    given.state = NULL;
    if (nbytes == 0 || nbytes > 1 << 16 || take_byte() % 4 == 0)
        return;
    given.state = aligned_alloc(8, nbytes);
    HOLDS(given.state != NULL);
    HOLDS(tempera_sampler_state_init(given.state, nbytes, &given.sampler) == TEMPERA_OK);
    for (size_t i = take_byte(); i > 0; i--) {
        int32_t token = take_byte() % 8;
        HOLDS(tempera_sampler_accept(given.state, token, NULL) == TEMPERA_OK);
    }
    for (size_t i = take_byte() % 8; i > 4; i--)
        ((uint8_t *)given.state)[take_word() % nbytes] = take_byte();
    if (tempera_sampler_state_check(given.state, nbytes) == TEMPERA_BUFFER_TOO_SMALL) {
        free(given.state);
        given.state = NULL;
        return;
    }
    int32_t token = take_int();
    enum tempera_status status = tempera_sampler_accept(given.state, token, NULL);
    HOLDS(status == TEMPERA_OK || status == TEMPERA_STATE_MISMATCH || token < 0);
}

static void take_row(void)
{
    given.row = (struct tempera_sample_row){.sampler = &given.sampler,
                                            .state = given.state,
                                            .seed = take_word(),
                                            .want = take_byte() % 4};
    if (take_byte() % 3 > 0)
        return;
    uint32_t words[4];
    take(words, sizeof words);
    for (size_t i = 0; i <= given.n / 32; i++)
        given.mask[i] = words[i % 4];
    given.row.mask = given.mask;
    given.row.mask_nbits = take_byte() < 128 ? (uint32_t)given.n : take_word();
}

// ------------------------------------------------------------------------------------------------
// Calls

struct answers {
    enum tempera_status statuses[4];
    struct tempera_sample_result sample, probs, many[MOST_DRAWS], distinct[MOST_DRAWS], explained;
    struct tempera_token_logprob top[MOST_TOP];
    size_t n_distinct;
    float p[MOST];
    struct tempera_stage_report stages[MOST_STAGES + 1];
};

static struct answers first, again;

static void call(const struct tempera_matrix *logits, struct answers *a)
{
    size_t nbytes = tempera_explain_scratch_nbytes(logits, &given.sampler);
    char *scratch = aligned_alloc(64, nbytes > 0 ? nbytes : 64);
    HOLDS(scratch != NULL);
    memset(a, 0xA5, sizeof *a);
    struct tempera_sample_row row = given.row;
    struct tempera_logprobs report = {.struct_size = sizeof report,
                                      .max_top = MOST_TOP,
                                      .order = TEMPERA_LOGPROB_ORDER_FINAL,
                                      .top = a->top};
    row.logprobs = &report;
    a->statuses[0] = tempera_sample(logits, &row, &a->sample, scratch, nbytes, NULL);
    row.logprobs = NULL;
    struct tempera_matrix p = tempera_matrix_f32(a->p, 1, given.n);
    a->statuses[1] = tempera_sampler_probs(logits, &row, &p, &a->probs, scratch, nbytes, NULL);
    tempera_sample_many(logits, &row, MOST_DRAWS, a->many, scratch, nbytes);
    a->statuses[2] = tempera_sample_distinct(logits, &row, MOST_DRAWS, a->distinct, &a->n_distinct,
                                             scratch, nbytes);
    struct tempera_explanation explanation = {.struct_size = sizeof explanation,
                                              .stages = a->stages,
                                              .n_stages = given.sampler.n_stages + 1};
    a->statuses[3] = tempera_explain(logits, &row, &explanation, &a->explained, scratch, nbytes);
    free(scratch);
}

static void check_token(const struct answers *a)
{
    const struct tempera_sample_result *result = &a->sample;
    size_t token = (size_t)result->token;
    double sum = 0;
    HOLDS(token < given.n && given.z[token] > -INFINITY);
    HOLDS(given.row.mask == NULL ||
          (token < given.row.mask_nbits && (given.mask[token / 32] >> token % 32 & 1)));
    HOLDS(result->logprob <= 0 && result->n_kept >= 1 && result->n_kept <= given.n);
    HOLDS(isfinite(result->level));
    for (size_t i = 0; i < given.n; i++) {
        HOLDS(a->p[i] >= 0 && a->p[i] <= 1);
        sum += (double)a->p[i];
    }
    HOLDS(a->p[token] > 0 && fabs(sum - 1) < 1e-3);
    HOLDS(a->n_distinct >= 1 && a->n_distinct <= MOST_DRAWS);
    if (given.sampler.draw == TEMPERA_DRAW_RACE)
        HOLDS(a->distinct[0].token == result->token);
    else
        HOLDS(a->many[0].token == result->token);
    for (size_t i = 1; i < a->n_distinct; i++)
        HOLDS(a->distinct[i].token != a->distinct[i - 1].token && a->distinct[i].logprob <= 0);
    for (size_t s = 0; s <= given.sampler.n_stages; s++)
        HOLDS(a->stages[s].mass_removed >= 0 && a->stages[s].mass_removed <= 1 &&
              a->stages[s].divergence >= 0 && isfinite(a->stages[s].entropy));
}

static void check_answers(const struct answers *a)
{
    enum tempera_status status = a->statuses[0];
    for (size_t i = 1; i < 4; i++)
        HOLDS(a->statuses[i] == status);
    if (status >= TEMPERA_INVALID_ARGUMENT) { // nothing is written
        const uint8_t *bytes = (const uint8_t *)&a->sample;
        for (size_t i = 0; i < sizeof *a - offsetof(struct answers, sample); i++)
            HOLDS(bytes[i] == 0xA5);
        return;
    }
    HOLDS(memcmp(&a->sample, &a->probs, sizeof a->sample) == 0);
    HOLDS(memcmp(&a->sample, &a->explained, sizeof a->sample) == 0);
    HOLDS(a->sample.status == status);
    if (status == TEMPERA_OK)
        check_token(a);
    else
        HOLDS(a->sample.token == -1 && a->n_distinct == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    input.data = data;
    input.nbytes = nbytes;
    take_scores();
    take_sampler();
    take_state();
    take_row();
    struct tempera_matrix logits = tempera_matrix_const_f32(given.z, 1, given.n);
    if (tempera_sample_scratch_nbytes(&logits, &given.sampler, NULL) < 1 << 24) {
        HOLDS(tempera_cpu_set_mask(UINT32_MAX) == TEMPERA_OK);
        call(&logits, &first);
        check_answers(&first);
        HOLDS(tempera_cpu_set_mask(TEMPERA_ISA_SCALAR) == TEMPERA_OK);
        call(&logits, &again);
        HOLDS(memcmp(&first, &again, sizeof first) == 0);
        HOLDS(tempera_cpu_set_mask(UINT32_MAX) == TEMPERA_OK);
    }
    free(given.state);
    return 0;
}
