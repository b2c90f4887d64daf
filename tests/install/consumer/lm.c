// SPDX-License-Identifier: MIT
// Links libtempera-lm: a small model with random weights gives scores, softmax turns them into
// probabilities.
#include <math.h>
#include <stdio.h>

#include <tempera/model.h>
#include <tempera/softmax.h>

enum { VOCABULARY = 32 };

int main(void)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = VOCABULARY;
    config.context_length = 8;
    config.n_layers = 1;
    config.dim = config.hidden_dim = 16;
    config.n_heads = config.n_kv_heads = 2;
    struct tempera_model *model = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    float scores[VOCABULARY], sum = 0;
    struct tempera_matrix row = tempera_matrix_f32(scores, 1, VOCABULARY);
    enum tempera_status status = tempera_model_create(&model, &config, 1, &error);
    if (status == TEMPERA_OK)
        status = tempera_decoder_open(&decoder, model, 0, NULL);
    if (status == TEMPERA_OK)
        status = tempera_decoder_append(decoder, (const int32_t[]){3, 1, 4}, 3, scores);
    if (status == TEMPERA_OK)
        status = tempera_softmax(&row, NULL, &row, NULL, NULL);
    for (size_t i = 0; i < VOCABULARY; i++)
        sum += scores[i];
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
    printf("%s, sum of probabilities %.6f\n", tempera_status_text(status), (double)sum);
    return status != TEMPERA_OK || fabsf(sum - 1) > 1e-6f;
}
