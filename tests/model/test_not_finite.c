// SPDX-License-Identifier: MIT
// Models whose scores are not finite: evaluating and generating both say which tensor or layer.
#include "check.h"

#include <float.h>

#include <tempera/train.h>

#include "model/diagnose.h"

static struct tempera_model *model;
static struct tempera_tokenizer *tokenizer;

static void open_model(bool tied)
{
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = 257;
    config.context_length = 64;
    config.n_layers = 3;
    config.dim = 16;
    config.n_heads = 4;
    config.n_kv_heads = 2;
    config.hidden_dim = 24;
    config.tied_embeddings = tied;
    CHECK_STATUS(tempera_model_create(&model, &config, 3, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
}

static void close_model(void)
{
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
}

static void fill(const char *name, float value)
{
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(model, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; strcmp(table[i].name, name) == 0 && j < table[i].rows * table[i].cols;
             j++)
            table[i].data[j] = value;
}

static bool go_on(void *context, const struct tempera_generated *generated)
{
    (void)context;
    (void)generated;
    return true;
}

static void check_message(const struct tempera_error *error, const char *first, const char *second)
{
    check_that(strstr(error->message, first) != NULL && strstr(error->message, second) != NULL,
               __FILE__, __LINE__, "\"%s\" lacks %s or %s", error->message, first, second);
}

// Both ways to use the model must fail and say these two things.
static void both_say(const char *first, const char *second)
{
    static const char text[] = "a text of some length, longer than the context of this model is";
    struct tempera_error error;
    struct tempera_evaluation evaluation;
    CHECK_STATUS(tempera_evaluate(model, tokenizer, text, sizeof text - 1, 0, NULL, NULL,
                                  &evaluation, NULL, &error),
                 TEMPERA_NAN_INPUT);
    check_message(&error, first, second);
    for (int raw = 0; raw < 2; raw++) {
        struct tempera_generate_options options = tempera_generate_options_default();
        struct tempera_decoder *decoder = NULL;
        options.max_tokens = 5;
        options.raw = raw;
        CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
        CHECK_STATUS(
            tempera_generate(decoder, tokenizer, text, 20, &options, go_on, NULL, NULL, &error),
            TEMPERA_NAN_INPUT);
        check_message(&error, first, second);
        tempera_decoder_close(&decoder);
    }
}

static void weights_that_are_none(void)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    static const char *const shown[] = {"nan", "inf", "-inf"};
    open_model(false);
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(model, &count);
    for (size_t i = 0; i < count; i++) {
        char where[64];
        size_t row = i == 0 ? 'e' : table[i].rows - 1; // a token of the text
        size_t at = row * table[i].cols + 3;
        float was = table[i].data[at];
        snprintf(where, sizeof where, "%s in row %zu, column 3", shown[i % 3], row);
        table[i].data[at] = values[i % 3];
        both_say(table[i].name, where);
        table[i].data[at] = was;
    }
    close_model();
}

static void arithmetic_that_overflows(void)
{
    static const struct {
        const char *tensor;
        float value;
        const char *where, *blamed;
    } cases[] = {
        {"token_embd.weight", 1e30f, "layer 0: the output of attn_norm", "token_embd.weight"},
        {"blk.0.attn_norm.weight", FLT_MAX, "layer 0: the output of attn",
         "blk.0.attn_norm.weight"},
        {"blk.1.attn_norm.weight", 3e38f, "layer 1: the output of attn", "blk.1.attn_norm.weight"},
        {"blk.1.attn_v.weight", FLT_MAX, "layer 1: the output of ", "blk.1.attn_v.weight"},
        {"blk.2.ffn_norm.weight", 3e38f, "layer 2: the output of ffn_", "blk.2.ffn_norm.weight"},
        {"blk.2.ffn_up.weight", FLT_MAX, "layer 2: the output of ", "blk.2.ffn_up.weight"},
        {"blk.0.ffn_down.weight", 1e37f, "layer 1: the output of attn_norm",
         "blk.0.ffn_down.weight"},
        {"blk.2.ffn_down.weight", 1e37f, "after the layers: the output of output_norm",
         "blk.2.ffn_down.weight"},
        {"output_norm.weight", 3e38f, "isn't finite", "output_norm.weight"},
        {"output.weight", FLT_MAX, "the scores: the output of the last product", "output.weight"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        open_model(false);
        fill(cases[i].tensor, cases[i].value);
        if (i == 9) // sums that don't cancel
            fill("output_norm.weight", 4);
        both_say(cases[i].where, cases[i].blamed);
        close_model();
    }
}

// One token alone, which the text doesn't have, with a score of -inf: a loss would not show it.
static void one_score_of_many(void)
{
    open_model(false);
    size_t count;
    const struct tempera_parameter *table = tempera_model_parameters(model, &count);
    for (size_t token = 0; token < table[0].rows; token++)
        table[0].data[token * table[0].cols + 3] = -1;
    CHECK_EQ_STR(table[count - 1].name, "output.weight");
    table[count - 1].data['Z' * table[count - 1].cols + 3] = FLT_MAX;
    both_say("the scores: the output of the last product isn't finite", "output.weight");
    close_model();
}

static void numbers_are_left_alone(void)
{
    float x[37];
    for (size_t i = 0; i < 37; i++)
        x[i] = i % 2 == 0 ? FLT_MAX : -0x1p-149f;
    CHECK(tempera_all_finite(x, 37) && tempera_all_finite(x, 0));
    for (size_t i = 0; i < 37; i++) {
        static const float values[] = {NAN, INFINITY, -INFINITY};
        float was = x[i];
        x[i] = values[i % 3];
        CHECK(!tempera_all_finite(x, 37));
        x[i] = was;
    }
    open_model(true);
    struct tempera_evaluation evaluation;
    CHECK_STATUS(
        tempera_evaluate(model, tokenizer, "text", 4, 0, NULL, NULL, &evaluation, NULL, NULL),
        TEMPERA_OK);
    CHECK(evaluation.perplexity > 200 && evaluation.perplexity < 300);
    struct tempera_error error = {0};
    static const int32_t tokens[] = {1, 2, 3};
    CHECK_STATUS(tempera_model_diagnose_text(model, tokens, 3, NULL, &error), TEMPERA_NAN_INPUT);
    check_message(&error, "after 3 tokens", "not finite");
    close_model();
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"weights that are not finite are named", weights_that_are_none},
        {"arithmetic that overflows is named", arithmetic_that_overflows},
        {"one score of many is found", one_score_of_many},
        {"numbers are left alone", numbers_are_left_alone},
    };
    return CHECK_RUN(tests, argc, argv);
}
