// SPDX-License-Identifier: MIT
// What to train on a text when the user says nothing. Rules of thumb, in this order:
//
//   vocabulary   bytes below 64 kB: every token is then seen often; more tokens for longer texts
//   passes       a text of up to 10 kB is read 300 times, which learns it by heart; from 200 kB on
//                16 times at most, since more only costs held-out loss; 3.2 MB in all in between
//   model        the largest of a ladder that has at most 2000 sqrt(bytes) parameters (and 400 000
//                in any case), and gets at least 3 tokens a parameter in the time
//   steps        what the time allows, up to the passes
//
// Time is estimated from the operations of a token, 6 a parameter and 6 layers x dim x context
// for attention, at 50e9 dim / (dim + 80) a second and thread. That is half of what was measured
// on an EPYC of 2024 (44e3 tokens a second and thread at 64 x 2 layers, 3.2e3 at 256 x 4), and
// within reach of processors with AVX2, so the time asked for is rarely used up.
#include <math.h>

#include "train/trainer.h"

enum { CONTEXT = 256, MIN_CONTEXT = 8, MIN_STEPS = 300, BYTES_VOCAB = 257 };

static const double default_minutes = 5, reserve = 0.85, tokens_a_parameter = 3;

struct shape {
    uint32_t dim, n_layers;
};

static const struct shape ladder[] = {
    {512, 8}, {384, 8}, {384, 6}, {320, 6}, {256, 6}, {256, 4},
    {192, 4}, {160, 4}, {128, 4}, {96, 3},  {64, 2},
};

static uint32_t vocab_for(size_t nbytes)
{
    static const struct {
        size_t nbytes;
        uint32_t vocab;
    } steps[] = {{64u << 10, BYTES_VOCAB}, {256u << 10, 512}, {1u << 20, 1024}, {16u << 20, 2048},
                 {128u << 20, 4096}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (nbytes < steps[i].nbytes)
            return steps[i].vocab;
    return 8192;
}

// Bytes of English that a token of such a vocabulary stands for, rounded down.
static double bytes_a_token(uint32_t vocab)
{
    return vocab <= BYTES_VOCAB ? 1 : fmin(4, 1.7 + 0.5 * log2(vocab / 512.0));
}

static uint32_t heads_for(uint32_t dim, uint32_t kv_heads)
{
    uint32_t widest = dim > 256 ? 64 : 32;
    uint32_t step = kv_heads > 0 ? kv_heads : 1;
    for (uint32_t heads = dim / widest / step * step; heads > step; heads -= step)
        if (dim % heads == 0 && dim / heads % 2 == 0)
            return heads;
    return step;
}

// The user's config with what is missing from a shape of the ladder.
static struct tempera_model_config complete(const struct tempera_model_config *asked,
                                            const struct shape *shape)
{
    struct tempera_model_config c = *asked;
    if (c.dim == 0) {
        uint32_t unit = c.n_heads > 0 && c.n_heads <= 1024 ? 2 * c.n_heads : 2;
        c.dim = (shape->dim + unit - 1) / unit * unit;
    }
    if (c.n_layers == 0)
        c.n_layers = shape->n_layers;
    if (c.n_heads == 0)
        c.n_heads = heads_for(c.dim, c.n_kv_heads);
    if (c.n_kv_heads == 0)
        c.n_kv_heads = c.n_heads;
    if (c.hidden_dim == 0)
        c.hidden_dim = (uint32_t)(((uint64_t)c.dim * 8 / 3 + 31) / 32 * 32);
    return c;
}

static double tokens_per_second(const struct tempera_model_config *config, size_t context,
                                size_t n_threads)
{
    double operations = 6.0 * (double)tempera_model_config_n_parameters(config) +
                        6.0 * config->n_layers * (double)config->dim * (double)context;
    double rate = 50e9 * config->dim / (config->dim + 80.0);
    return rate * pow((double)n_threads, 0.9) / operations;
}

static size_t context_for(double n_tokens)
{
    size_t context = MIN_CONTEXT;
    while (context < CONTEXT && 2.0 * (double)context <= n_tokens)
        context *= 2;
    return context;
}

// Of what the user left open: everything that follows from the steps.
static void fill_options(struct tempera_train_options *options, uint32_t dim, double minutes)
{
    struct tempera_train_options *o = options;
    const struct tempera_train_options usual = tempera_train_options_default();
    uint64_t steps = o->steps;
    if (o->learning_rate == 0)
        o->learning_rate = (float)fmin(3e-3, 0.4 / dim);
    if (o->min_learning_rate == 0)
        o->min_learning_rate = o->learning_rate / 10;
    if (o->warmup_steps == 0)
        o->warmup_steps = steps < 2000 ? steps / 20 + 1 : 100;
    if (o->evaluate_every == 0)
        o->evaluate_every = steps / 20 + 1;
    if (o->sample_every == 0)
        o->sample_every = steps / 5 + 1;
    if (o->checkpoint_every == 0)
        o->checkpoint_every = (uint64_t)((double)steps / fmax(2, minutes)) + 1;
    if (o->weight_decay == 0)
        o->weight_decay = usual.weight_decay;
    if (o->beta1 == 0)
        o->beta1 = usual.beta1;
    if (o->beta2 == 0)
        o->beta2 = usual.beta2;
    if (o->epsilon == 0)
        o->epsilon = usual.epsilon;
    if (o->clip_norm == 0)
        o->clip_norm = usual.clip_norm;
}

static enum tempera_status check(size_t text_nbytes, double minutes,
                                 const struct tempera_model_config *config,
                                 const struct tempera_train_options *options,
                                 struct tempera_error *error)
{
    const enum tempera_status invalid = TEMPERA_INVALID_ARGUMENT;
    if (config == NULL || options == NULL)
        return tempera_train_fail(error, invalid, "a required argument is NULL");
    if (config->struct_size != sizeof *config || options->struct_size != sizeof *options)
        return tempera_train_fail(error, invalid, "a struct_size is wrong: set it to sizeof");
    if (!(minutes >= 0 && minutes < 1e9))
        return tempera_train_fail(error, invalid, "minutes must be at least 0, not %g", minutes);
    if (text_nbytes < 2 * MIN_CONTEXT)
        return tempera_train_fail(error, TEMPERA_TEXT_TOO_SHORT,
                                  "a text of %zu bytes is too short to learn from; %d are the "
                                  "least",
                                  text_nbytes, 2 * MIN_CONTEXT);
    return TEMPERA_OK;
}

enum tempera_status tempera_train_plan(size_t text_nbytes, double minutes, size_t n_threads,
                                       struct tempera_model_config *config,
                                       struct tempera_train_options *options,
                                       struct tempera_error *error)
{
    if (error != NULL)
        *error = (struct tempera_error){.status = TEMPERA_OK};
    enum tempera_status status = check(text_nbytes, minutes, config, options, error);
    if (status != TEMPERA_OK)
        return status;
    struct tempera_model_config asked = *config;
    const struct tempera_model_config usual = tempera_model_config_default();
    double nbytes = (double)text_nbytes;
    minutes = minutes > 0 ? minutes : default_minutes;
    n_threads = n_threads > 0 ? n_threads : 1;
    if (asked.vocab_size == 0)
        asked.vocab_size = vocab_for(text_nbytes);
    if (asked.rms_epsilon == 0)
        asked.rms_epsilon = usual.rms_epsilon;
    if (asked.rope_base == 0)
        asked.rope_base = usual.rope_base;
    double n_tokens = nbytes / bytes_a_token(asked.vocab_size);
    size_t context = options->context;
    if (context == 0)
        context = asked.context_length > 0 ? asked.context_length : context_for(n_tokens);
    if (asked.context_length == 0)
        asked.context_length = (uint32_t)context;

    const size_t n_shapes = sizeof ladder / sizeof *ladder;
    double most = fmin(300, fmax(16, 3.2e6 / nbytes)) * n_tokens, tokens = 0;
    struct tempera_model_config chosen = asked;
    for (size_t i = 0; i < n_shapes; i++) {
        chosen = complete(&asked, &ladder[i]);
        double n = (double)tempera_model_config_n_parameters(&chosen);
        if (n == 0)
            continue;
        double rate = tokens_per_second(&chosen, context, n_threads);
        tokens = fmin(most, reserve * 60 * minutes * rate);
        if (n <= fmax(4e5, 2000 * sqrt(nbytes)) && tokens >= tokens_a_parameter * n)
            break;
    }
    status = tempera_model_config_check(&chosen, error);
    if (status != TEMPERA_OK)
        return status;

    struct tempera_train_options o = *options;
    o.context = context;
    if (o.batch == 0)
        o.batch = tokens < 4e6 ? 4 : tokens < 40e6 ? 8 : 16;
    double tokens_a_step = (double)o.batch * (double)context;
    double rate = tokens_per_second(&chosen, context, n_threads);
    if (o.steps == 0) {
        double in_time = reserve * 60 * minutes * rate / tokens_a_step;
        o.steps = (uint64_t)fmax(1, fmin(in_time, fmax(tokens / tokens_a_step, MIN_STEPS)));
    }
    fill_options(&o, chosen.dim, (double)o.steps * tokens_a_step / rate / 60);
    status = tempera_train_options_check(&o, error);
    if (status != TEMPERA_OK)
        return status;
    *config = chosen;
    *options = o;
    return TEMPERA_OK;
}
