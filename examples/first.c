// SPDX-License-Identifier: MIT
// The first program: scores to probabilities at a temperature.
#include <stdio.h>
#include <tempera/tempera.h>

int main(void)
{
    float scores[] = {2, 1, 0.1f};
    struct tempera_matrix row = tempera_matrix_f32(scores, 1, 3);
    enum tempera_status status = tempera_softmax(&row, NULL, &row, NULL, NULL); // in place
    if (status == TEMPERA_OK)
        printf("%.1f %% %.1f %% %.1f %%\n", 100 * scores[0], 100 * scores[1], 100 * scores[2]);
    return status == TEMPERA_OK ? 0 : 1;
}
