// SPDX-License-Identifier: MIT
// What follows a prompt, with the model that ships: after "he was a great king" a letter comes as
// often as the model has it, whatever the seed, with all filters off and with the usual ones.
#include "sampler_setup.h"

#include <tempera/model.h>

#include <ctype.h>

enum { N_SEEDS = 4000 };

struct shares {
    const struct tempera_tokenizer *tokenizer;
    double exact; // of the row's distribution
    double drawn; // of N_SEEDS draws
};

static bool adds_letter(const struct shares *shares, const struct tempera_generated *generated,
                        size_t column)
{
    size_t nbytes;
    const uint8_t *bytes =
        tempera_tokenizer_token(shares->tokenizer, generated->row->tokens[column], &nbytes);
    return !tempera_tokenizer_is_special(shares->tokenizer, generated->row->tokens[column]) &&
           isalpha(bytes[generated->n_known[column]]);
}

// Draws with each seed as generation would, and goes no further.
static bool draw_all(void *context, const struct tempera_generated *generated)
{
    struct shares *shares = context;
    size_t n = generated->n_logits, n_letters = 0;
    float *probs = malloc(n * sizeof *probs);
    struct tempera_sample_row row = *generated->row;
    probs_of_row(generated->logits, n, &row, probs);
    for (size_t c = 0; c < n; c++)
        if (adds_letter(shares, generated, c))
            shares->exact += (double)probs[c];
    for (row.seed = 0; row.seed < N_SEEDS; row.seed++) {
        struct tempera_sample_result result = sample_row(generated->logits, n, &row);
        n_letters += adds_letter(shares, generated, (size_t)result.column);
    }
    shares->drawn = (double)n_letters / N_SEEDS;
    free(probs);
    return false;
}

static struct shares shares_after(const char *prompt,
                                  const struct tempera_generate_options *options)
{
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_model_load(TEMPERA_SOURCE_DIR "/models/tempera-kjv.gguf", &model,
                                    &tokenizer, &error),
                 TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    struct shares shares = {.tokenizer = tokenizer};
    CHECK_STATUS(tempera_generate(decoder, tokenizer, prompt, strlen(prompt), options, draw_all,
                                  &shares, NULL, &error),
                 TEMPERA_OK);
    tempera_decoder_close(&decoder);
    tempera_tokenizer_close(&tokenizer);
    tempera_model_close(&model);
    return shares;
}

static double three_sigma(double share)
{
    return 3 * sqrt(share * (1 - share) / N_SEEDS);
}

static void letters_after_king(void)
{
    struct tempera_generate_options options = tempera_generate_options_default();
    struct shares usual = shares_after("he was a great king", &options);
    CHECK_NEAR(usual.drawn, usual.exact, three_sigma(usual.exact));
    options.sampler = tempera_sampler_of(NULL, 0);
    struct shares all = shares_after("he was a great king", &options);
    CHECK_NEAR(all.drawn, all.exact, three_sigma(all.exact));
    CHECK_NEAR(all.drawn, 0.131, three_sigma(0.131)); // "dom", "s", ..., by hand from the model
    printf("# letters: %.4f of %.4f; with the usual filters %.4f of %.4f\n", all.drawn, all.exact,
           usual.drawn, usual.exact);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a letter follows a word as often as the model has it", letters_after_king},
    };
    return CHECK_RUN(tests, argc, argv);
}
