// SPDX-License-Identifier: MIT
// Model and schedule for a text when the user gives none. Rules of thumb, in this order:
//
//   vocabulary   bytes below 64 kB: every token is then seen often; more tokens for longer texts
//   passes       a text of up to 10 kB is read 300 times, which memorises it; from 200 kB on
//                16 times at most, since more only costs held-out loss; 3.2 MB in all in between
//   model        the largest of a ladder that has at most 2000 sqrt(bytes) parameters (and 400 000
//                in any case), and gets at least 3 tokens a parameter in the time
//   steps        what the time allows, up to the passes, or 300 steps if that is more
//
// Time is estimated from the operations of a token, 6 a parameter and 6 layers x dim x context
// for attention, at 50e9 dim / (dim + 80) a second, times threads^0.9. That is half of what was
// measured on an EPYC of 2024 (44e3 tokens a second and thread at 64 x 2 layers, 3.2e3 at 256 x 4),
// and within reach of processors with AVX2, so the time asked for is rarely used up.
#include <math.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "train/options.h"
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

static uint32_t vocab_for(double nbytes)
{
    static const struct {
        double nbytes;
        uint32_t vocab;
    } steps[] = {
        {0x1p16, BYTES_VOCAB}, {0x1p18, 512}, {0x1p20, 1024}, {0x1p24, 2048}, {0x1p27, 4096}};
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
static void fill_options(struct tempera_train_options *options, uint32_t dim)
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
        return tempera_fail(error, invalid, "a required argument is NULL");
    if (config->struct_size < sizeof *config || options->struct_size < sizeof *options)
        return tempera_fail(error, invalid, "a struct_size is wrong: set it to sizeof");
    if (!(minutes >= 0 && minutes < 1e9))
        return tempera_fail(error, invalid, "minutes must be at least 0, not %g", minutes);
    if (text_nbytes < 2 * MIN_CONTEXT)
        return tempera_fail(error, TEMPERA_TEXT_TOO_SHORT,
                            "a text of %zu bytes is too short to learn from; %d are the "
                            "least",
                            text_nbytes, 2 * MIN_CONTEXT);
    return TEMPERA_OK;
}

// What the user asked for, with the fields that neither model nor time decide.
static void fill_asked(double nbytes, struct tempera_model_config *asked,
                       struct tempera_train_options *options)
{
    const struct tempera_model_config usual = tempera_model_config_default();
    if (asked->vocab_size == 0)
        asked->vocab_size = vocab_for(nbytes);
    if (asked->rms_epsilon == 0)
        asked->rms_epsilon = usual.rms_epsilon;
    if (asked->rope_base == 0)
        asked->rope_base = usual.rope_base;
    if (options->context == 0)
        options->context = asked->context_length > 0
                               ? asked->context_length
                               : context_for(nbytes / bytes_a_token(asked->vocab_size));
    if (asked->context_length == 0)
        asked->context_length = (uint32_t)options->context;
}

// Model, batch and steps, within so many seconds.
static void choose(double nbytes, double seconds, size_t n_threads,
                   struct tempera_model_config *config, struct tempera_train_options *options)
{
    const struct tempera_model_config asked = *config;
    double passes = fmin(300, fmax(16, 3.2e6 / nbytes)), tokens = 0, in_time = 0;
    double most = passes * nbytes / bytes_a_token(asked.vocab_size);
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        *config = complete(&asked, &ladder[i]);
        double n = (double)tempera_model_config_n_parameters(config);
        if (n == 0)
            continue; // impossible as asked; said by the check after this
        in_time = reserve * seconds * tokens_per_second(config, options->context, n_threads);
        tokens = fmin(most, in_time);
        if (n <= fmax(4e5, 2000 * sqrt(nbytes)) && tokens >= tokens_a_parameter * n)
            break;
    }
    if (options->batch == 0)
        options->batch = tokens < 4e6 ? 4 : tokens < 40e6 ? 8 : 16;
    double a_step = (double)options->batch * (double)options->context;
    double trained = fmin(in_time, fmax(tokens, MIN_STEPS * a_step));
    if (options->steps == 0)
        options->steps = (uint64_t)fmax(1, trained / a_step);
}

static enum tempera_status train_plan_guarded(size_t text_nbytes, double minutes, size_t n_threads,
                                              struct tempera_model_config *config,
                                              struct tempera_train_options *options,
                                              struct tempera_error *error)
{
    tempera_succeed(error);
    TEMPERA_TRY(check(text_nbytes, minutes, config, options, error));
    minutes = minutes > 0 ? minutes : default_minutes;
    n_threads = n_threads > 0 ? n_threads : 1;
    struct tempera_model_config chosen = *config;
    struct tempera_train_options o = *options;
    fill_asked((double)text_nbytes, &chosen, &o);
    choose((double)text_nbytes, 60 * minutes, n_threads, &chosen, &o);
    TEMPERA_TRY(tempera_model_config_check(&chosen, error));
    fill_options(&o, chosen.dim);
    TEMPERA_TRY(tempera_train_options_check(&o, error));
    *config = chosen;
    *options = o;
    return TEMPERA_OK;
}

enum tempera_status tempera_train_plan(size_t text_nbytes, double minutes, size_t n_threads,
                                       struct tempera_model_config *config,
                                       struct tempera_train_options *options,
                                       struct tempera_error *error)
{
    struct tempera_fpenv env = tempera_fpenv_enter();
    tempera_fpenv_carry(&minutes);
    enum tempera_status status =
        train_plan_guarded(text_nbytes, minutes, n_threads, config, options, error);
    tempera_fpenv_leave(env);
    return status;
}
