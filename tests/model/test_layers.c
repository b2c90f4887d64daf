// SPDX-License-Identifier: MIT
// Every layer, forward and backward, against plain versions in double; and those against finite
// differences of themselves. The library's backward is held against the same differences.
//
// Bounds: a result in f32 of k roundings is off by at most about k 2^-24 of the magnitudes it was
// added up from; k is the length of the layer's longest sum plus a few. Differences in double with
// a step of 2^-20 are off by about 2^-40 and 2^-33 relative, far below.
#include "check.h"

#include "model/attention.h"
#include "model/layer_ops.h"
#include "matmul/matmul.h"

enum { MOST = 4096 };

static const double unit = 0x1p-24;

static void fill(float *x, size_t n, double spread)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)check_random_between(-spread, spread);
}

static double largest(const double *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

// ------------------------------------------------------------------------------------------------
// A layer as a function of one block of inputs, and what the library says about it.

struct layer {
    const char *name;
    size_t n_in, n_out;
    void (*reference)(const double *in, double *out); // in double
    void (*forward)(const float *in, float *out);     // the library's
    void (*backward)(const float *in, const float *d_out, float *d_in);
    double roundings; // k
};

static double weighted(const struct layer *l, const double *in, const float *d_out)
{
    static double out[MOST];
    double sum = 0;
    l->reference(in, out);
    for (size_t i = 0; i < l->n_out; i++)
        sum += (double)d_out[i] * out[i];
    return sum;
}

static void check_layer(const struct layer *l)
{
    static float in[MOST], out[MOST], d_out[MOST], d_in[MOST];
    static double exact_in[MOST], exact[MOST], slope[MOST];
    fill(in, l->n_in, 1.5);
    fill(d_out, l->n_out, 1);
    for (size_t i = 0; i < l->n_in; i++)
        exact_in[i] = (double)in[i];
    l->reference(exact_in, exact);
    l->forward(in, out);
    double scale = largest(exact, l->n_out);
    for (size_t i = 0; i < l->n_out; i++)
        CHECK_NEAR((double)out[i], exact[i], l->roundings * unit * scale);
    const double h = 0x1p-20;
    for (size_t i = 0; i < l->n_in; i++) {
        double kept = exact_in[i];
        exact_in[i] = kept + h;
        double above = weighted(l, exact_in, d_out);
        exact_in[i] = kept - h;
        double below = weighted(l, exact_in, d_out);
        exact_in[i] = kept;
        slope[i] = (above - below) / (2 * h);
    }
    l->backward(in, d_out, d_in);
    scale = largest(slope, l->n_in);
    for (size_t i = 0; i < l->n_in; i++)
        CHECK_NEAR((double)d_in[i], slope[i], l->roundings * unit * scale);
}

// ------------------------------------------------------------------------------------------------
// RMSNorm: x[N, D] and then weight[D]

enum { NORM_N = 5, NORM_D = 37 };

static void norm_reference(const double *in, double *out)
{
    const double *weight = in + NORM_N * NORM_D;
    for (size_t n = 0; n < NORM_N; n++) {
        double squares = 0;
        for (size_t d = 0; d < NORM_D; d++)
            squares += in[n * NORM_D + d] * in[n * NORM_D + d];
        for (size_t d = 0; d < NORM_D; d++)
            out[n * NORM_D + d] =
                in[n * NORM_D + d] / sqrt(squares / NORM_D + (double)1e-5f) * weight[d];
    }
}

static float norm_inverse[NORM_N];

static void norm_forward(const float *in, float *out)
{
    tempera_rmsnorm(in, in + NORM_N * NORM_D, 1e-5f, NORM_N, NORM_D, out, norm_inverse, NULL);
}

static void norm_backward(const float *in, const float *d_out, float *d_in)
{
    memset(d_in, 0, (NORM_N + 1) * NORM_D * sizeof *d_in);
    tempera_rmsnorm_backward(d_out, in, in + NORM_N * NORM_D, norm_inverse, NORM_N, NORM_D, d_in,
                             d_in + NORM_N * NORM_D, NULL);
}

// ------------------------------------------------------------------------------------------------
// Rotary positions: x[N, heads, E], rows of two sequences of four

enum { ROPE_N = 8, ROPE_HEADS = 2, ROPE_E = 6, ROPE_T = 4 };

static void rope_reference(const double *in, double *out)
{
    for (size_t n = 0; n < ROPE_N; n++)
        for (size_t h = 0; h < ROPE_HEADS; h++)
            for (size_t e = 0; e < ROPE_E; e += 2) {
                size_t at = (n * ROPE_HEADS + h) * ROPE_E + e;
                double angle = (double)(n % ROPE_T) * pow(10000, -(double)e / ROPE_E);
                out[at] = in[at] * cos(angle) - in[at + 1] * sin(angle);
                out[at + 1] = in[at] * sin(angle) + in[at + 1] * cos(angle);
            }
}

static void rope_forward(const float *in, float *out)
{
    float table[ROPE_T * ROPE_E];
    tempera_rope_table(0, ROPE_T / 3, ROPE_E, 10000, table);
    tempera_rope_table(ROPE_T / 3, ROPE_T, ROPE_E, 10000, table);
    memcpy(out, in, ROPE_N * ROPE_HEADS * ROPE_E * sizeof *out);
    tempera_rope(out, table, ROPE_N, ROPE_HEADS, ROPE_E, 0, ROPE_T, false, NULL);
}

static void rope_backward(const float *in, const float *d_out, float *d_in)
{
    (void)in;
    float table[ROPE_T * ROPE_E];
    tempera_rope_table(0, ROPE_T, ROPE_E, 10000, table);
    memcpy(d_in, d_out, ROPE_N * ROPE_HEADS * ROPE_E * sizeof *d_in);
    tempera_rope(d_in, table, ROPE_N, ROPE_HEADS, ROPE_E, 0, ROPE_T, true, NULL);
}

// ------------------------------------------------------------------------------------------------
// SwiGLU: g[N, F] and then u[N, F]

enum { GLU_N = 19, GLU_F = 11 };

static void glu_reference(const double *in, double *out)
{
    for (size_t i = 0; i < GLU_N * GLU_F; i++)
        out[i] = in[i] / (1 + exp(-in[i])) * in[GLU_N * GLU_F + i];
}

static void glu_forward(const float *in, float *out)
{
    tempera_swiglu(in, in + GLU_N * GLU_F, GLU_N, GLU_F, out, NULL);
}

static void glu_backward(const float *in, const float *d_out, float *d_in)
{
    float *d_u = d_in + GLU_N * GLU_F;
    memcpy(d_u, d_out, GLU_N * GLU_F * sizeof *d_u); // d_u may take the place of d_y
    tempera_swiglu_backward(d_u, in, in + GLU_N * GLU_F, GLU_N, GLU_F, d_in, d_u, NULL);
}

// ------------------------------------------------------------------------------------------------
// Attention: q[B, n, H, E], k[B, n, G, E], v[B, n, G, E]

enum { B = 2, T = 7, H = 4, G = 2, E = 4, Q_SIZE = B * T * H * E, KV_SIZE = B * T * G * E };

static void attention_reference(const double *in, double *out)
{
    const double *q = in, *k = in + Q_SIZE, *v = k + KV_SIZE;
    for (size_t b = 0; b < B; b++)
        for (size_t h = 0; h < H; h++)
            for (size_t i = 0; i < T; i++) {
                double p[T], sum = 0, *o = out + ((b * T + i) * H + h) * E;
                for (size_t j = 0; j <= i; j++) {
                    double score = 0;
                    for (size_t e = 0; e < E; e++)
                        score += q[((b * T + i) * H + h) * E + e] *
                                 k[((b * T + j) * G + h / (H / G)) * E + e];
                    p[j] = exp(score / sqrt(E));
                    sum += p[j];
                }
                memset(o, 0, E * sizeof *o);
                for (size_t j = 0; j <= i; j++)
                    for (size_t e = 0; e < E; e++)
                        o[e] += p[j] / sum * v[((b * T + j) * G + h / (H / G)) * E + e];
            }
}

static float attention_p[B * H * T * T], attention_o[Q_SIZE];

static struct tempera_attention attention_of(const float *in)
{
    return (struct tempera_attention){.B = B,
                                      .n = T,
                                      .n_heads = H,
                                      .n_kv_heads = G,
                                      .head_dim = E,
                                      .q = in,
                                      .k = in + Q_SIZE,
                                      .v = in + Q_SIZE + KV_SIZE,
                                      .p = attention_p,
                                      .o = attention_o};
}

static void attention_forward(const float *in, float *out)
{
    struct tempera_attention a = attention_of(in);
    tempera_attention_forward(&a, NULL);
    memcpy(out, attention_o, sizeof attention_o);
}

static void attention_backward(const float *in, const float *d_out, float *d_in)
{
    static float scratch[B * G * T * T];
    struct tempera_attention a = attention_of(in);
    CHECK(tempera_attention_scratch(T) <= T * T);
    a.d_o = d_out;
    a.d_q = d_in;
    a.d_k = d_in + Q_SIZE;
    a.d_v = d_in + Q_SIZE + KV_SIZE;
    a.scratch = scratch;
    tempera_attention_backward(&a, NULL);
}

// ------------------------------------------------------------------------------------------------

static void rmsnorm(void)
{
    check_layer(&(struct layer){"RMSNorm is the formula, forward and backward",
                                (NORM_N + 1) * NORM_D, NORM_N * NORM_D, norm_reference,
                                norm_forward, norm_backward, NORM_D + 8});
}

static void rope(void)
{
    check_layer(&(struct layer){"rope", ROPE_N * ROPE_HEADS * ROPE_E, ROPE_N * ROPE_HEADS * ROPE_E,
                                rope_reference, rope_forward, rope_backward, 6});
}

static void swiglu(void)
{
    check_layer(&(struct layer){"SwiGLU is the formula, forward and backward", 2 * GLU_N * GLU_F,
                                GLU_N * GLU_F, glu_reference, glu_forward, glu_backward, 12});
}

static void attention(void)
{
    check_layer(&(struct layer){"attention", Q_SIZE + 2 * KV_SIZE, Q_SIZE, attention_reference,
                                attention_forward, attention_backward, 4 * T + 8 * E});
}

// Blocks of 64 queries, and queries that follow a past, give what one row at a time gives.
static void attention_in_pieces(void)
{
    enum { LONG = 150, PAST = 41, HEADS = 2, DIM = 4, WIDTH = HEADS * DIM };
    static float q[LONG * WIDTH], k[LONG * WIDTH], v[LONG * WIDTH];
    static float p[HEADS * LONG * LONG], whole[LONG * WIDTH], rest[LONG * WIDTH];
    fill(q, LONG * WIDTH, 1);
    fill(k, LONG * WIDTH, 1);
    fill(v, LONG * WIDTH, 1);
    struct tempera_attention a = {.B = 1,
                                  .n = LONG,
                                  .n_heads = HEADS,
                                  .n_kv_heads = HEADS,
                                  .head_dim = DIM,
                                  .q = q,
                                  .k = k,
                                  .v = v,
                                  .p = p,
                                  .o = whole};
    tempera_attention_forward(&a, NULL);
    a.n = LONG - PAST;
    a.past = PAST;
    a.q = q + PAST * WIDTH;
    a.o = rest;
    tempera_attention_forward(&a, NULL);
    for (size_t i = 0; i < (LONG - PAST) * WIDTH; i++)
        CHECK_NEAR((double)rest[i], (double)whole[PAST * WIDTH + i], (LONG + 8) * unit);
    // causal: a later key changes nothing before it
    k[120 * WIDTH] += 5;
    a.n = LONG;
    a.past = 0;
    a.q = q;
    a.o = rest;
    tempera_attention_forward(&a, NULL);
    CHECK_MEM(rest, whole, 120 * WIDTH * sizeof *rest);
    CHECK(memcmp(rest + 120 * WIDTH, whole + 120 * WIDTH, WIDTH * sizeof *rest) != 0);
}

static void embedding(void)
{
    enum { ROWS = 9, D = 40, V = 5 };
    static float table[V * D], x[ROWS * D], d_table[V * D];
    static const int32_t tokens[ROWS] = {4, 0, 4, 4, 2, 1, 0, 4, 2};
    fill(table, V * D, 1);
    tempera_embed(table, tokens, ROWS, D, x, NULL);
    for (size_t n = 0; n < ROWS; n++)
        CHECK_MEM(x + n * D, table + (size_t)tokens[n] * D, D * sizeof *x);
    for (size_t n = 0; n < ROWS * D; n++)
        x[n] = (float)(n / D + 1); // small integers: exact sums
    tempera_embed_backward(x, tokens, ROWS, D, d_table, NULL);
    static const float sums[V] = {2 + 7, 6, 5 + 9, 0, 1 + 3 + 4 + 8};
    for (size_t i = 0; i < V * D; i++)
        CHECK(d_table[i] == sums[i / D]);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"RMSNorm is the formula, forward and backward", rmsnorm},
        {"rotary positions are the formula, forward and backward", rope},
        {"SwiGLU is the formula, forward and backward", swiglu},
        {"grouped attention is the formula, forward and backward", attention},
        {"attention in pieces and after a past gives the same", attention_in_pieces},
        {"embeddings are looked up, and gradients added", embedding},
    };
    if (tempera_matmul_start() != TEMPERA_OK)
        return 1;
    return CHECK_RUN(tests, argc, argv);
}
