// SPDX-License-Identifier: MIT
#include "sampler_setup.h"

#include "base/half.h"

void *new_scratch(const struct tempera_matrix *logits, const struct tempera_sampler *sampler,
                  const struct tempera_executor *executor, size_t *nbytes)
{
    *nbytes = tempera_sample_scratch_nbytes(logits, sampler, executor);
    return aligned_alloc(64, *nbytes);
}

struct tempera_sample_result sample_row(const float *z, size_t n,
                                        const struct tempera_sample_row *row)
{
    struct tempera_sample_result result;
    struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, n);
    size_t nbytes;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    enum tempera_status status = tempera_sample(&logits, row, &result, scratch, nbytes, NULL);
    CHECK_STATUS(status, result.status);
    free(scratch);
    return result;
}

struct tempera_sample_result probs_of_row(const float *z, size_t n,
                                          const struct tempera_sample_row *row, float *probs)
{
    struct tempera_sample_result result;
    struct tempera_matrix logits = tempera_matrix_const_f32(z, 1, n);
    struct tempera_matrix out = tempera_matrix_f32(probs, 1, n);
    size_t nbytes;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    enum tempera_status status =
        tempera_sampler_probs(&logits, row, &out, &result, scratch, nbytes, NULL);
    CHECK_STATUS(status, result.status);
    free(scratch);
    return result;
}

struct tempera_sample_result run_stages(const float *z, size_t n,
                                        const struct tempera_stage *stages, size_t n_stages,
                                        uint64_t seed)
{
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);
    struct tempera_sample_row row = {
        .sampler = &sampler, .seed = seed, .want = TEMPERA_WANT_RAW_LOGPROB};
    return sample_row(z, n, &row);
}

struct tempera_sample_result run_stage(const float *z, size_t n, struct tempera_stage stage,
                                       uint64_t seed)
{
    return run_stages(z, n, &stage, 1, seed);
}

void check_complaint(struct tempera_stage stage, const char *what)
{
    struct tempera_stage stages[] = {tempera_stage_top_k(4), stage};
    struct tempera_sampler sampler = tempera_sampler_of(stages, 2);
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_sampler_check(&sampler, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(error.status, TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "stage 1") != NULL);
    if (!CHECK(strstr(error.message, what) != NULL))
        printf("# %s\n", error.message);
    CHECK_STATUS(tempera_sampler_check(&sampler, NULL), TEMPERA_INVALID_ARGUMENT);
    CHECK_EQ_SIZE(tempera_sampler_state_nbytes(&sampler), 0);
}

struct tempera_sampler_state *new_state(const struct tempera_sampler *sampler,
                                        const int32_t *tokens, size_t count)
{
    size_t nbytes = tempera_sampler_state_nbytes(sampler);
    struct tempera_sampler_state *state = malloc(nbytes);
    CHECK_STATUS(tempera_sampler_state_init(state, nbytes, sampler), TEMPERA_OK);
    for (size_t i = 0; i < count; i++)
        CHECK_STATUS(tempera_sampler_accept(state, tokens[i], NULL), TEMPERA_OK);
    return state;
}

bool is_canonical_nan(float value)
{
    return tempera_float_bits(value) == 0x7FC00000;
}
