// SPDX-License-Identifier: MIT
// Links libtempera alone: three scores to probabilities.
#include <stdio.h>
#include <string.h>

#include <tempera/tempera.h>

int main(void)
{
    float logits[3] = {2.0f, 1.0f, 0.1f}, probs[3];
    struct tempera_matrix in = tempera_matrix_f32(logits, 1, 3);
    struct tempera_matrix out = tempera_matrix_f32(probs, 1, 3);
    if (tempera_softmax(&in, NULL, &out, NULL, NULL) != TEMPERA_OK)
        return 1;
    char text[64];
    snprintf(text, sizeof text, "%.3f %.3f %.3f", (double)probs[0], (double)probs[1],
             (double)probs[2]);
    puts(text);
    return strcmp(text, "0.659 0.242 0.099") != 0;
}
