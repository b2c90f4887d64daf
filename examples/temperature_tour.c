// SPDX-License-Identifier: MIT
// What temperature does to text: one prompt, four temperatures, and numbers over several seeds.
//
//     temperature_tour MODEL.gguf [PROMPT]
//
// Greedy text repeats itself, text at a high temperature wanders: the fraction of repeated 4-grams
// of words falls with the temperature, the number of distinct words and the entropy rise.
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>
#include <tempera/softmax.h>

enum { SEEDS = 4, TOKENS = 160, MOST_TEXT = 65536, MOST_WORDS = 4096, GRAM = 4 };

struct text {
    char bytes[MOST_TEXT];
    size_t nbytes;
    float temperature;
    double entropy_sum;
    size_t n_tokens;
};

struct numbers {
    double repeated_4grams; // fraction
    double distinct_words;  // fraction of all words
    double entropy_bits;    // mean, of what was drawn from along the text
};

// Of softmax(logits[n] / T), in bits.
static double entropy_of(const float *logits, size_t n, float temperature)
{
    float *p = malloc(n * sizeof *p);
    struct tempera_matrix scores = tempera_matrix_const_f32(logits, 1, n);
    struct tempera_matrix probs = tempera_matrix_f32(p, 1, n);
    struct tempera_softmax_options options = tempera_softmax_options_default();
    double bits = 0;
    options.temperature = temperature;
    if (p == NULL || tempera_softmax(&scores, &options, &probs, NULL, NULL) != TEMPERA_OK)
        bits = NAN;
    for (size_t i = 0; i < n && !isnan(bits); i++)
        if (p[i] > 0)
            bits -= (double)p[i] * log2((double)p[i]);
    free(p);
    return bits;
}

static bool keep_text(void *context, const struct tempera_generated *generated)
{
    struct text *text = context;
    if (text->nbytes + generated->nbytes > sizeof text->bytes - 1)
        return false;
    memcpy(text->bytes + text->nbytes, generated->text, generated->nbytes);
    text->nbytes += generated->nbytes;
    if (generated->logits != NULL) {
        text->entropy_sum += entropy_of(generated->logits, generated->n_logits, text->temperature);
        text->n_tokens++;
    }
    return true;
}

// Cuts the text into words of letters, in place, lower case.
static size_t split_words(char *bytes, char *words[MOST_WORDS])
{
    size_t n = 0;
    for (char *c = bytes; *c != '\0' && n < MOST_WORDS;) {
        while (*c != '\0' && !isalpha((unsigned char)*c))
            *c++ = '\0';
        if (*c == '\0')
            break;
        words[n++] = c;
        for (; isalpha((unsigned char)*c) || *c == '\''; c++)
            *c = (char)tolower((unsigned char)*c);
    }
    return n;
}

static bool same_gram(char *const *a, char *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

// The fraction of word n-grams that stood earlier in the same text.
static double repeated_fraction(char *const *words, size_t n_words, size_t n)
{
    size_t repeated = 0;
    if (n_words < n)
        return 0;
    for (size_t i = 0; i + n <= n_words; i++)
        for (size_t j = 0; j < i; j++)
            if (same_gram(words + i, words + j, n)) {
                repeated++;
                break;
            }
    return (double)repeated / (double)(n_words - n + 1);
}

static struct numbers measure(const struct text *text)
{
    static char copy[MOST_TEXT];
    static char *words[MOST_WORDS];
    memcpy(copy, text->bytes, text->nbytes);
    copy[text->nbytes] = '\0';
    size_t n_words = split_words(copy, words);
    return (struct numbers){
        .repeated_4grams = repeated_fraction(words, n_words, GRAM),
        .distinct_words = 1 - repeated_fraction(words, n_words, 1),
        .entropy_bits = text->n_tokens > 0 ? text->entropy_sum / (double)text->n_tokens : 0,
    };
}

static enum tempera_status write_text(struct tempera_decoder *decoder,
                                      const struct tempera_tokenizer *tokenizer, const char *prompt,
                                      uint64_t seed, struct text *text)
{
    struct tempera_stage stage = tempera_stage_temperature(text->temperature); // nothing else acts
    struct tempera_generate_options options = tempera_generate_options_default();
    options.sampler = tempera_sampler_of(&stage, 1);
    options.seed = seed;
    options.max_tokens = TOKENS;
    options.slide = true;
    text->nbytes = text->n_tokens = 0;
    text->entropy_sum = 0;
    enum tempera_status status = tempera_decoder_rewind(decoder, 0);
    if (status == TEMPERA_OK)
        status = tempera_generate(decoder, tokenizer, prompt, strlen(prompt), &options, keep_text,
                                  text, NULL, NULL);
    return status;
}

// The text at one temperature, and the mean of its numbers over all seeds.
static enum tempera_status visit(struct tempera_decoder *decoder,
                                 const struct tempera_tokenizer *tokenizer, const char *prompt,
                                 float temperature, struct numbers *mean)
{
    static struct text text;
    text.temperature = temperature;
    *mean = (struct numbers){0, 0, 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        enum tempera_status status = write_text(decoder, tokenizer, prompt, seed, &text);
        if (status != TEMPERA_OK)
            return status;
        if (seed == 1)
            printf("T = %g: %s%.*s\n\n", (double)temperature, prompt, (int)text.nbytes, text.bytes);
        struct numbers numbers = measure(&text);
        mean->repeated_4grams += numbers.repeated_4grams / SEEDS;
        mean->distinct_words += numbers.distinct_words / SEEDS;
        mean->entropy_bits += numbers.entropy_bits / SEEDS;
    }
    return TEMPERA_OK;
}

static enum tempera_status tour(struct tempera_decoder *decoder,
                                const struct tempera_tokenizer *tokenizer, const char *prompt)
{
    static const float temperatures[] = {0, 0.7f, 1, 1.5f};
    enum { STOPS = sizeof temperatures / sizeof *temperatures };
    struct numbers numbers[STOPS];
    enum tempera_status status = TEMPERA_OK;
    for (size_t i = 0; i < STOPS && status == TEMPERA_OK; i++)
        status = visit(decoder, tokenizer, prompt, temperatures[i], &numbers[i]);
    if (status != TEMPERA_OK)
        return status;
    printf("Means over %d seeds of %d tokens each:\n", SEEDS, TOKENS);
    printf("     T   repeated 4-grams   distinct words   entropy at T\n");
    for (size_t i = 0; i < STOPS; i++)
        printf("  %4.1f            %5.1f %%          %5.1f %%      %5.2f bits\n",
               (double)temperatures[i], 100 * numbers[i].repeated_4grams,
               100 * numbers[i].distinct_words, numbers[i].entropy_bits);
    return TEMPERA_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: temperature_tour MODEL.gguf [PROMPT]\n");
        return 2;
    }
    const char *prompt = argc > 2 ? argv[2] : "And the king said";
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_thread_pool *pool = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_error error = {0};
    enum tempera_status status = tempera_model_load(argv[1], &model, &tokenizer, &error);
    if (status == TEMPERA_OK)
        status = tempera_thread_pool_open(&pool, 0);
    if (status == TEMPERA_OK)
        status = tempera_decoder_open(&decoder, model, 0, tempera_thread_pool_executor(pool));
    if (status == TEMPERA_OK)
        status = tour(decoder, tokenizer, prompt);
    if (status != TEMPERA_OK)
        fprintf(stderr, "temperature_tour: %s\n",
                error.message[0] != '\0' ? error.message : tempera_status_text(status));
    tempera_decoder_close(&decoder);
    tempera_thread_pool_close(&pool);
    tempera_tokenizer_close(&tokenizer);
    tempera_model_close(&model);
    return status == TEMPERA_OK ? 0 : 1;
}
