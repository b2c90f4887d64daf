// SPDX-License-Identifier: MIT
// Leaf or flower: a small network trained on the spot, to show what scores, probabilities, loss
// and gradient are.
//
//     plants [data/plants.csv]
//
// Each plant has two numbers, its colour and its volume. The network turns them into two scores,
// one a class; softmax turns the scores into probabilities; the cross-entropy is the loss; its
// gradient, which tempera_cross_entropy gives in the same call, goes back through the network.
//
//     x[2] -> h[HIDDEN] = tanh(W1 x + b1) -> z[2] = W2 h + b2
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/tempera.h>

enum { HIDDEN = 8, CLASSES = 2, INPUTS = 2, MOST_ROWS = 10000, STEPS = 300, HELD_OUT = 4 };

static const char *const class_names[CLASSES] = {"leaf", "flower"};

struct plants {
    float x[MOST_ROWS][INPUTS]; // standardised: mean 0, deviation 1
    int32_t classes[MOST_ROWS];
    float raw[MOST_ROWS][INPUTS];
    size_t count;
};

struct network {
    float w1[HIDDEN][INPUTS], b1[HIDDEN];
    float w2[CLASSES][HIDDEN], b2[CLASSES];
};

// ------------------------------------------------------------------------------------------------
// Data: every fourth plant is held out, the others are trained on.

static bool read_plants(const char *path, struct plants *train, struct plants *held_out)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "plants: can't read %s; give its path, or start in the project's folder\n",
                path);
        return false;
    }
    char line[256], name[32];
    size_t number = 0;
    bool ok = fgets(line, sizeof line, file) != NULL; // the heading
    while (ok && fgets(line, sizeof line, file) != NULL) {
        struct plants *to = number % HELD_OUT == 0 ? held_out : train;
        float *raw = to->raw[to->count];
        ok = to->count < MOST_ROWS && sscanf(line, "%f,%f,%31[a-z]", &raw[0], &raw[1], name) == 3 &&
             (strcmp(name, class_names[0]) == 0 || strcmp(name, class_names[1]) == 0);
        if (ok)
            to->classes[to->count++] = strcmp(name, class_names[1]) == 0;
        number++;
    }
    fclose(file);
    if (!ok || train->count == 0 || held_out->count == 0) {
        fprintf(stderr, "plants: %s: row %zu isn't 'colour,volume,leaf|flower'\n", path, number);
        return false;
    }
    return true;
}

// Mean and deviation come from the training rows alone.
static void standardise(const struct plants *train, struct plants *plants)
{
    for (size_t j = 0; j < INPUTS; j++) {
        double sum = 0, squares = 0, n = (double)train->count;
        for (size_t i = 0; i < train->count; i++) {
            sum += (double)train->raw[i][j];
            squares += (double)train->raw[i][j] * (double)train->raw[i][j];
        }
        double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
        for (size_t i = 0; i < plants->count; i++)
            plants->x[i][j] = (float)(((double)plants->raw[i][j] - mean) / deviation);
    }
}

// ------------------------------------------------------------------------------------------------
// Network

static void start_weights(struct network *net)
{
    uint32_t state = 1;
    float *weights = &net->w1[0][0];
    memset(net, 0, sizeof *net);
    for (size_t i = 0; i < sizeof *net / sizeof(float); i++) {
        state = state * 1664525u + 1013904223u;
        weights[i] = (float)(state >> 8) / 16777216.0f - 0.5f;
    }
}

// hidden[n, HIDDEN] and scores[n, CLASSES] of plants->x[n, INPUTS]
static void forward(const struct network *net, const struct plants *plants, float (*hidden)[HIDDEN],
                    float (*scores)[CLASSES])
{
    for (size_t i = 0; i < plants->count; i++) {
        const float *x = plants->x[i];
        for (size_t h = 0; h < HIDDEN; h++)
            hidden[i][h] = tanhf(net->w1[h][0] * x[0] + net->w1[h][1] * x[1] + net->b1[h]);
        for (size_t c = 0; c < CLASSES; c++) {
            scores[i][c] = net->b2[c];
            for (size_t h = 0; h < HIDDEN; h++)
                scores[i][c] += net->w2[c][h] * hidden[i][h];
        }
    }
}

// Adds the gradients of the weights; d_scores is what tempera_cross_entropy gave.
static void backward(const struct network *net, const struct plants *plants,
                     float (*hidden)[HIDDEN], float (*d_scores)[CLASSES], struct network *d)
{
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < plants->count; i++) {
        for (size_t h = 0; h < HIDDEN; h++) {
            float d_hidden = 0;
            for (size_t c = 0; c < CLASSES; c++) {
                d_hidden += net->w2[c][h] * d_scores[i][c];
                d->w2[c][h] += d_scores[i][c] * hidden[i][h];
            }
            float d_sum = d_hidden * (1 - hidden[i][h] * hidden[i][h]); // of tanh
            for (size_t j = 0; j < INPUTS; j++)
                d->w1[h][j] += d_sum * plants->x[i][j];
            d->b1[h] += d_sum;
        }
        for (size_t c = 0; c < CLASSES; c++)
            d->b2[c] += d_scores[i][c];
    }
}

static void descend(struct network *net, const struct network *d, float rate)
{
    float *weights = &net->w1[0][0];
    const float *gradient = &d->w1[0][0];
    for (size_t i = 0; i < sizeof *net / sizeof(float); i++)
        weights[i] -= rate * gradient[i];
}

// ------------------------------------------------------------------------------------------------
// The show

static double loss_of(float (*scores)[CLASSES], const struct plants *plants, size_t *n_right)
{
    struct tempera_matrix logits = tempera_matrix_f32(scores[0], plants->count, CLASSES);
    struct tempera_targets targets = {.classes = plants->classes};
    double loss = 0;
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs, .loss = &loss};
    if (tempera_cross_entropy(&logits, &targets, NULL, &outputs, NULL) != TEMPERA_OK)
        return NAN;
    *n_right = 0;
    for (size_t i = 0; i < plants->count; i++)
        *n_right += (scores[i][1] > scores[i][0]) == (plants->classes[i] == 1);
    return loss;
}

static bool train_network(struct network *net, const struct plants *train,
                          const struct plants *held_out)
{
    static float hidden[MOST_ROWS][HIDDEN], scores[MOST_ROWS][CLASSES];
    static struct network gradient;
    struct tempera_targets targets = {.classes = train->classes};
    struct tempera_matrix logits = tempera_matrix_f32(scores[0], train->count, CLASSES);
    double loss = 0;
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = &logits, .loss = &loss}; // gradient in place
    printf("  step     loss   held-out loss   held-out accuracy\n");
    for (int step = 0; step <= STEPS; step++) {
        if (step % 50 == 0) {
            size_t n_right;
            forward(net, held_out, hidden, scores);
            double held_out_loss = loss_of(scores, held_out, &n_right);
            size_t n_train_right;
            forward(net, train, hidden, scores);
            printf("  %4d   %6.4f          %6.4f             %5.1f %%\n", step,
                   loss_of(scores, train, &n_train_right), held_out_loss,
                   100.0 * (double)n_right / (double)held_out->count);
        }
        forward(net, train, hidden, scores);
        if (tempera_cross_entropy(&logits, &targets, NULL, &outputs, NULL) != TEMPERA_OK)
            return false;
        backward(net, train, hidden, scores, &gradient);
        descend(net, &gradient, 1.0f);
    }
    return true;
}

// A few plants nobody trained on: numbers, scores, probabilities, loss.
static bool show_plants(const struct network *net, const struct plants *held_out)
{
    static float hidden[MOST_ROWS][HIDDEN], scores[MOST_ROWS][CLASSES];
    static float probs[MOST_ROWS][CLASSES], losses[MOST_ROWS];
    forward(net, held_out, hidden, scores);
    struct tempera_matrix logits = tempera_matrix_f32(scores[0], held_out->count, CLASSES);
    struct tempera_matrix p = tempera_matrix_f32(probs[0], held_out->count, CLASSES);
    struct tempera_targets targets = {.classes = held_out->classes};
    struct tempera_cross_entropy_outputs outputs = {.struct_size = sizeof outputs,
                                                    .row_loss = losses};
    if (tempera_softmax(&logits, NULL, &p, NULL, NULL) != TEMPERA_OK ||
        tempera_cross_entropy(&logits, &targets, NULL, &outputs, NULL) != TEMPERA_OK)
        return false;
    printf("\n  colour  volume    scores (leaf, flower)    leaf    flower    truth     loss\n");
    for (size_t i = 0; i < 6 && i < held_out->count; i++)
        printf("  %6.2f  %6.2f       (%5.2f, %5.2f)     %5.1f %%   %5.1f %%    %-6s  %6.3f\n",
               (double)held_out->raw[i][0], (double)held_out->raw[i][1], (double)scores[i][0],
               (double)scores[i][1], 100 * (double)probs[i][0], 100 * (double)probs[i][1],
               class_names[held_out->classes[i]], (double)losses[i]);
    return true;
}

int main(int argc, char **argv)
{
    static struct plants train, held_out;
    static struct network net;
    const char *path = argc > 1 ? argv[1] : "data/plants.csv";
    if (!read_plants(path, &train, &held_out))
        return 1;
    standardise(&train, &held_out);
    standardise(&train, &train);
    start_weights(&net);
    printf("Leaf or flower, from colour and volume: %zu plants to learn from, %zu held out\n",
           train.count, held_out.count);
    if (!train_network(&net, &train, &held_out) || !show_plants(&net, &held_out)) {
        fprintf(stderr, "plants: the scores became NaN\n");
        return 1;
    }
    return 0;
}
