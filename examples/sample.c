// SPDX-License-Identifier: MIT
// Tokens from scores, as an engine draws them: llama.cpp's chain of samplers with a penalty, the
// history in a state, and the log-probabilities of each token.
#include <stdio.h>
#include <stdlib.h>

#include <tempera/tempera.h>

enum { VOCAB = 32000, TOKENS = 8 };

// In an engine, the model writes these. Here some number likes every token a little.
static void fill_logits(float *logits, unsigned step)
{
    for (unsigned i = 0; i < VOCAB; i++)
        logits[i] = (float)((i + step) * 2654435761u % 4096) / 256;
}

static enum tempera_status draw_tokens(const struct tempera_sampler *sampler, float *logits,
                                       struct tempera_sampler_state *state, void *scratch,
                                       size_t scratch_nbytes)
{
    const struct tempera_matrix row = tempera_matrix_const_f32(logits, 1, VOCAB);
    for (unsigned step = 0; step < TOKENS; step++) {
        struct tempera_sample_result result;
        struct tempera_sample_row how = {
            .sampler = sampler, .state = state, .seed = 42, .want = TEMPERA_WANT_RAW_LOGPROB};
        fill_logits(logits, step);
        enum tempera_status status =
            tempera_sample(&row, &how, &result, scratch, scratch_nbytes, NULL);
        if (status != TEMPERA_OK)
            return status;
        printf("token %5d of %2llu, logprob %7.3f, before the chain %7.3f\n", (int)result.token,
               (unsigned long long)result.n_kept, (double)result.logprob,
               (double)result.raw_logprob);
        tempera_sampler_accept(state, result.token, &result);
    }
    return TEMPERA_OK;
}

int main(void)
{
    struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
    struct tempera_stage stages[TEMPERA_PRESET_STAGES];
    params.presence_penalty = 1;
    size_t n_stages = tempera_preset_temperature_last(&params, stages);
    struct tempera_sampler sampler = tempera_sampler_of(stages, n_stages);

    // The library allocates nothing: it says how much, the caller gives it.
    float *logits = malloc(VOCAB * sizeof *logits);
    struct tempera_matrix shape = tempera_matrix_const_f32(logits, 1, VOCAB);
    size_t state_nbytes = tempera_sampler_state_nbytes(&sampler);
    size_t scratch_nbytes = tempera_sample_scratch_nbytes(&shape, &sampler, NULL);
    struct tempera_sampler_state *state = malloc(state_nbytes);
    void *scratch = aligned_alloc(64, (scratch_nbytes + 63) / 64 * 64);
    enum tempera_status status = TEMPERA_OUT_OF_MEMORY;
    if (logits != NULL && state != NULL && scratch != NULL) {
        tempera_sampler_state_init(state, state_nbytes, &sampler);
        status = draw_tokens(&sampler, logits, state, scratch, scratch_nbytes);
    }
    if (status != TEMPERA_OK)
        fprintf(stderr, "sample: %s\n", tempera_status_text(status));
    free(logits);
    free(state);
    free(scratch);
    return status == TEMPERA_OK ? 0 : 1;
}
