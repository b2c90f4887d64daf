// SPDX-License-Identifier: MIT
// Generation with an untrained model: what comes out is noise, and must be noise of the right
// form: beyond the prompt, without stop strings, the same for the same seed.
#include "check.h"

#include <tempera/model.h>

#include "tokenizer/vocabulary.h"

enum { CONTEXT = 48, VOCAB = 304, MOST_TEXT = 65536 };

static const char rhyme[] =
    "Humpty Dumpty sat on a wall, Humpty Dumpty had a great fall. Humpty Dumpty Humpty Dumpty. "
    "All the king's horses and all the king's men couldn't put Humpty together again. "
    "Jack and Jill went up the hill to fetch a pail of water. Humpty Dumpty, Dumpty, Dumpty! "
    "Three blind mice, see how they run; wer reitet so sp\xC3\xA4t durch Nacht und Wind? "
    "\xE2\x82\xAC "
    "Mary had a little lamb, its fleece was white as snow, and everywhere that Mary went.";

struct setting {
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    struct tempera_decoder *decoder;
};

static struct setting open_setting(bool bytes)
{
    struct setting s = {0};
    struct tempera_error error = {0};
    struct tempera_model_config config = tempera_model_config_default();
    if (bytes)
        CHECK_STATUS(tempera_tokenizer_bytes(&s.tokenizer), TEMPERA_OK);
    else
        CHECK_STATUS(
            tempera_tokenizer_train(&s.tokenizer, rhyme, sizeof rhyme - 1, VOCAB - 7, &error),
            TEMPERA_OK);
    config.vocab_size = bytes ? 257 : VOCAB; // seven more than the tokenizer knows
    config.context_length = CONTEXT;
    config.n_layers = 1;
    config.dim = 16;
    config.n_heads = 2;
    config.n_kv_heads = 1;
    config.hidden_dim = 24;
    CHECK_STATUS(tempera_model_create(&s.model, &config, 3, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&s.decoder, s.model, 0, NULL), TEMPERA_OK);
    return s;
}

static void close_setting(struct setting *s)
{
    tempera_decoder_close(&s->decoder);
    tempera_model_close(&s->model);
    tempera_tokenizer_close(&s->tokenizer);
}

// What the callback saw.
struct seen {
    char text[MOST_TEXT];
    size_t nbytes;
    int32_t tokens[1024];
    size_t n_tokens;
    size_t n_known;    // bytes of the first token that are the prompt's
    size_t stop_after; // tokens; 0: never
    bool called_after_stop, stopped;
};

// The row says all that the token was drawn with, under a mask and with a history, too. Returns the
// token's column.
static size_t check_replay(const struct tempera_generated *generated)
{
    struct tempera_matrix logits =
        tempera_matrix_const_f32(generated->logits, 1, generated->n_logits);
    struct tempera_sample_result result;
    size_t nbytes = tempera_sample_scratch_nbytes(&logits, generated->row->sampler, NULL);
    void *scratch = aligned_alloc(64, nbytes);
    CHECK_STATUS(tempera_sample(&logits, generated->row, &result, scratch, nbytes, NULL),
                 TEMPERA_OK);
    CHECK_EQ_INT(result.token, generated->token);
    CHECK(result.logprob == generated->logprob && result.raw_logprob == generated->raw_logprob);
    free(scratch);
    return (size_t)result.column;
}

static bool see(void *context, const struct tempera_generated *generated)
{
    struct seen *seen = context;
    seen->called_after_stop |= seen->stopped;
    memcpy(seen->text + seen->nbytes, generated->text, generated->nbytes);
    seen->nbytes += generated->nbytes;
    CHECK((generated->logits == NULL) == (generated->row == NULL));
    if (generated->logits != NULL) {
        size_t column = check_replay(generated);
        CHECK(generated->n_known == NULL || seen->n_tokens == 0);
        if (generated->n_known != NULL)
            seen->n_known = generated->n_known[column];
        seen->tokens[seen->n_tokens++] = generated->token;
        CHECK(generated->entropy_bits > 0 && generated->entropy_bits < 10);
        CHECK(generated->logprob <= 0 && generated->raw_logprob <= 0);
    }
    seen->stopped = seen->stop_after > 0 && seen->n_tokens >= seen->stop_after;
    return !seen->stopped;
}

static enum tempera_status generate(struct setting *s, const char *prompt,
                                    const struct tempera_generate_options *options,
                                    struct seen *seen)
{
    size_t n = 0, stop_after = seen->stop_after;
    struct tempera_error error = {0};
    memset(seen, 0, sizeof *seen);
    seen->stop_after = stop_after;
    CHECK_STATUS(tempera_decoder_rewind(s->decoder, 0), TEMPERA_OK);
    enum tempera_status status = tempera_generate(s->decoder, s->tokenizer, prompt, strlen(prompt),
                                                  options, see, seen, &n, &error);
    CHECK_EQ_SIZE(n, seen->n_tokens);
    CHECK((status == TEMPERA_OK) == (error.message[0] == '\0'));
    return status;
}

static size_t decode(const struct setting *s, const int32_t *ids, size_t n, char *text)
{
    size_t nbytes;
    CHECK_STATUS(tempera_tokenizer_decode(s->tokenizer, ids, n, text, MOST_TEXT, &nbytes),
                 TEMPERA_OK);
    return nbytes;
}

// Of text[nbytes], what is left when a character at the end that hasn't ended is left out.
static size_t whole_nbytes(const char *text, size_t nbytes)
{
    static char shown[MOST_TEXT];
    struct tempera_utf8_holdback holdback = {.nbytes = 0};
    return tempera_utf8_push(&holdback, (const uint8_t *)text, nbytes, shown);
}

// A chain without filters, hot, so that every token can come.
static struct tempera_stage hot = {.kind = TEMPERA_STAGE_TEMPERATURE, .u.temperature = 3};

static struct tempera_generate_options hot_options(uint64_t seed, size_t max_tokens)
{
    struct tempera_generate_options options = tempera_generate_options_default();
    options.sampler = tempera_sampler_of(&hot, 1);
    options.seed = seed;
    options.max_tokens = max_tokens;
    return options;
}

// ------------------------------------------------------------------------------------------------

struct first_logits {
    float *logits; // [vocab], of the first token that is drawn
    size_t vocab;
};

static bool keep_logits(void *context, const struct tempera_generated *generated)
{
    struct first_logits *first = context;
    if (generated->logits == NULL) // the prompt's own tokens
        return true;
    memcpy(first->logits, generated->logits, first->vocab * sizeof *first->logits);
    return false;
}

// A model that was trained with bos before every prompt gets it, once, and is asked what follows;
// without that, a prompt of text stands by itself.
static void bos_before_the_prompt(void)
{
    static struct seen seen;
    struct setting s = open_setting(false);
    int32_t ids[16];
    size_t n_ids, vocab = tempera_model_get_config(s.model)->vocab_size;
    struct first_logits first = {malloc(vocab * sizeof(float)), vocab};
    float *expected = malloc(vocab * sizeof *expected);
    struct tempera_generate_options options = hot_options(1, 1);
    ids[0] = tempera_tokenizer_bos(s.tokenizer);
    CHECK_STATUS(tempera_tokenizer_encode(s.tokenizer, "Humpty ", 7, ids + 1, 15, &n_ids),
                 TEMPERA_OK);
    options.raw = true; // nothing is taken back
    for (size_t adds_bos = 0; adds_bos < 2; adds_bos++) {
        s.tokenizer->adds_bos = adds_bos == 1;
        CHECK_STATUS(tempera_decoder_rewind(s.decoder, 0), TEMPERA_OK);
        CHECK_STATUS(tempera_generate(s.decoder, s.tokenizer, "Humpty ", 7, &options, keep_logits,
                                      &first, NULL, NULL),
                     TEMPERA_OK);
        CHECK_STATUS(tempera_decoder_rewind(s.decoder, 0), TEMPERA_OK);
        CHECK_STATUS(
            tempera_decoder_append(s.decoder, ids + 1 - adds_bos, n_ids + adds_bos, expected),
            TEMPERA_OK);
        CHECK_MEM(first.logits, expected, vocab * sizeof *expected);
    }
    s.tokenizer->adds_bos = false;
    s.tokenizer->bos = -1;
    CHECK_STATUS(generate(&s, "", &options, &seen), TEMPERA_INVALID_ARGUMENT);
    free(first.logits);
    free(expected);
    close_setting(&s);
}

// The prompt is cut after every byte: the first token begins with what it repeats of the prompt's
// end, and the callback gets exactly the rest of all tokens.
static void prompt_is_kept(void)
{
    static struct seen seen;
    static char text[MOST_TEXT];
    struct setting s = open_setting(false);
    for (size_t length = 1; length < 110; length++) {
        char prompt[128];
        memcpy(prompt, rhyme, length);
        prompt[length] = '\0';
        struct tempera_generate_options options = hot_options(length, 12);
        enum tempera_status status = generate(&s, prompt, &options, &seen);
        if (status == TEMPERA_CONTEXT_FULL)
            break;
        CHECK_STATUS(status, TEMPERA_OK);
        for (size_t i = 0; i < seen.n_tokens; i++)
            CHECK(seen.tokens[i] < VOCAB - 7); // never one that the tokenizer doesn't know
        size_t nbytes = decode(&s, seen.tokens, seen.n_tokens, text);
        CHECK(seen.n_known <= length && seen.n_known <= nbytes);
        CHECK_MEM(text, prompt + length - seen.n_known, seen.n_known);
        CHECK_EQ_SIZE(seen.nbytes, whole_nbytes(text + seen.n_known, nbytes - seen.n_known));
        CHECK_MEM(seen.text, text + seen.n_known, seen.nbytes);
        CHECK(seen.nbytes > 0 || seen.tokens[0] == tempera_tokenizer_eos(s.tokenizer));
    }
    close_setting(&s);
}

// "Dumpty" is one token here. After "Humpty D" it must be possible, and raw must forbid nothing.
static void word_is_completed(void)
{
    static struct seen seen;
    struct setting s = open_setting(false);
    int32_t word[8];
    size_t n_word, hits = 0, raw_hits = 0;
    CHECK_STATUS(tempera_tokenizer_encode(s.tokenizer, " Dumpty", 7, word, 8, &n_word), TEMPERA_OK);
    CHECK_EQ_SIZE(n_word, 1);
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct tempera_generate_options options = hot_options(seed, 1);
        CHECK_STATUS(generate(&s, "Humpty D", &options, &seen), TEMPERA_OK);
        if (seen.tokens[0] == word[0] && seen.n_known > 0) {
            hits++;
            CHECK_EQ_SIZE(seen.n_known, 2);
            CHECK_EQ_SIZE(seen.nbytes, 5);
            CHECK_MEM(seen.text, "umpty", 5);
        }
        options.raw = true;
        CHECK_STATUS(generate(&s, "Humpty D", &options, &seen), TEMPERA_OK);
        raw_hits += seen.tokens[0] == word[0];
    }
    CHECK(hits > 20); // one of the few ways to read " D" in a model that knows nothing
    CHECK(raw_hits < 20);
    close_setting(&s);
}

static void seeds_and_zero(void)
{
    static struct seen a, b;
    struct setting s = open_setting(true);
    struct tempera_generate_options options = hot_options(5, 30);
    CHECK_STATUS(generate(&s, "Ab", &options, &a), TEMPERA_OK);
    CHECK_STATUS(generate(&s, "Ab", &options, &b), TEMPERA_OK);
    CHECK_EQ_SIZE(a.n_tokens, 30);
    CHECK_MEM(a.tokens, b.tokens, sizeof a.tokens);
    options.seed = 6;
    CHECK_STATUS(generate(&s, "Ab", &options, &b), TEMPERA_OK);
    CHECK(memcmp(a.tokens, b.tokens, sizeof a.tokens) != 0);
    options.seed = 5;
    options.stream = 1;
    CHECK_STATUS(generate(&s, "Ab", &options, &b), TEMPERA_OK);
    CHECK(memcmp(a.tokens, b.tokens, sizeof a.tokens) != 0);
    struct tempera_stage zero = tempera_stage_temperature(0);
    options.sampler = tempera_sampler_of(&zero, 1);
    CHECK_STATUS(generate(&s, "Ab", &options, &a), TEMPERA_OK);
    options.seed = 77;
    CHECK_STATUS(generate(&s, "Ab", &options, &b), TEMPERA_OK);
    CHECK_MEM(a.tokens, b.tokens, sizeof a.tokens);
    close_setting(&s);
}

// Bytes of any kind come out unchanged, in whole characters where they are some; the text ends with
// the last whole one, the tokens after it count.
static void bytes_are_kept(void)
{
    static struct seen seen;
    static char text[MOST_TEXT];
    struct setting s = open_setting(true);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct tempera_generate_options options = hot_options(seed, 40);
        options.raw = true;
        CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_OK);
        size_t nbytes = decode(&s, seen.tokens, seen.n_tokens, text);
        CHECK_EQ_SIZE(seen.nbytes, whole_nbytes(text, nbytes));
        CHECK_MEM(seen.text, text, seen.nbytes);
    }
    // the first two bytes of a character of three, for ever
    const int32_t begin[] = {0xE4, 0xBD};
    struct tempera_stage allowed = tempera_stage_allow(begin, 2);
    struct tempera_generate_options options = hot_options(1, 21);
    options.sampler = tempera_sampler_of(&allowed, 1);
    for (options.seed = 0; options.seed < 8; options.seed++) {
        CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_OK);
        CHECK_EQ_SIZE(seen.n_tokens, 21);
        size_t n_open = seen.tokens[20] == 0xE4 ? 1 : seen.tokens[19] == 0xE4 ? 2 : 0;
        CHECK_EQ_SIZE(seen.nbytes, 21 - n_open);
    }
    close_setting(&s);
}

// Any piece of the text can be a stop string: the text then ends before its first place.
static void stop_strings(void)
{
    static struct seen whole, seen;
    struct setting s = open_setting(false);
    struct tempera_generate_options options = hot_options(11, 30);
    CHECK_STATUS(generate(&s, "Mary", &options, &whole), TEMPERA_OK);
    for (size_t from = 0; from + 9 < whole.nbytes; from += 3)
        for (size_t length = 1; length <= 9; length += 4) {
            char stop[16];
            memcpy(stop, whole.text + from, length);
            stop[length] = '\0';
            if (strlen(stop) != length)
                continue; // a NUL among the bytes
            const char *const stops[] = {"never to be seen", stop, ""};
            options.stops = stops;
            options.n_stops = 3;
            CHECK_STATUS(generate(&s, "Mary", &options, &seen), TEMPERA_OK);
            size_t first = 0;
            while (memcmp(whole.text + first, stop, length) != 0)
                first++;
            CHECK_EQ_SIZE(seen.nbytes, first);
            CHECK_MEM(seen.text, whole.text, seen.nbytes);
            CHECK(seen.n_tokens <= whole.n_tokens);
        }
    // what only begins like a stop string is shown in the end
    const char *const longer[] = {"zzzzzzzz"};
    options.stops = longer;
    options.n_stops = 1;
    CHECK_STATUS(generate(&s, "Mary", &options, &seen), TEMPERA_OK);
    CHECK_EQ_SIZE(seen.nbytes, whole.nbytes);
    CHECK_MEM(seen.text, whole.text, whole.nbytes);
    close_setting(&s);
}

// What the decoder holds after it slid are the last tokens: asked what follows them, it says what a
// fresh decoder says. The last token that was drawn was not fed.
static void check_window(struct setting *s, const struct seen *seen)
{
    size_t length = tempera_decoder_length(s->decoder), vocab = 0;
    struct tempera_decoder *fresh = NULL;
    vocab = tempera_model_get_config(s->model)->vocab_size;
    float *logits = malloc(vocab * sizeof *logits), *expected = malloc(vocab * sizeof *expected);
    int32_t last = seen->tokens[seen->n_tokens - 1];
    CHECK(length > 2 && length < seen->n_tokens);
    CHECK_STATUS(tempera_decoder_open(&fresh, s->model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(
        tempera_decoder_append(fresh, seen->tokens + seen->n_tokens - 1 - length, length, NULL),
        TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(fresh, &last, 1, expected), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(s->decoder, &last, 1, logits), TEMPERA_OK);
    for (size_t i = 0; i < vocab; i++)
        CHECK_NEAR((double)logits[i], (double)expected[i], 1e-5);
    tempera_decoder_close(&fresh);
    free(logits);
    free(expected);
}

static void ends(void)
{
    static struct seen seen;
    struct setting s = open_setting(true);
    struct tempera_generate_options options = hot_options(1, 0);
    // the context is full: the text ends
    CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_OK);
    CHECK(seen.n_tokens == CONTEXT - 1 || seen.tokens[seen.n_tokens - 1] == 256); // bos, x
    // it slides: the text goes on
    const struct tempera_logit_bias no_end = {256, -INFINITY};
    struct tempera_stage stages[] = {tempera_stage_logit_bias(&no_end, 1), hot};
    options.sampler = tempera_sampler_of(stages, 2);
    options.slide = true;
    options.max_tokens = 300;
    CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_OK);
    CHECK_EQ_SIZE(seen.n_tokens, 300);
    check_window(&s, &seen);
    // the callback says stop, and isn't called again
    seen.stop_after = 4;
    CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_OK);
    CHECK_EQ_SIZE(seen.n_tokens, 4);
    CHECK(!seen.called_after_stop);
    seen.stop_after = 0;
    // the end of text comes: no text, no more tokens
    const struct tempera_logit_bias end_now = {256, 1000};
    stages[0] = tempera_stage_logit_bias(&end_now, 1);
    CHECK_STATUS(generate(&s, "", &options, &seen), TEMPERA_OK);
    CHECK_EQ_SIZE(seen.n_tokens, 1);
    CHECK_EQ_SIZE(seen.nbytes, 0);
    // its name is not text: after a prompt that begins like it, it is still the end
    CHECK_STATUS(generate(&s, "<", &options, &seen), TEMPERA_OK);
    CHECK(seen.n_tokens == 1 && seen.tokens[0] == 256 && seen.n_known == 0 && seen.nbytes == 0);
    close_setting(&s);
}

static void bad_calls(void)
{
    static struct seen seen;
    struct setting s = open_setting(true);
    struct tempera_generate_options options = hot_options(1, 5);
    char prompt[200];
    memset(prompt, 'a', sizeof prompt - 1);
    prompt[CONTEXT] = '\0'; // no room for another token
    CHECK_STATUS(generate(&s, prompt, &options, &seen), TEMPERA_CONTEXT_FULL);
    CHECK_EQ_SIZE(seen.n_tokens, 0);
    prompt[CONTEXT - 1] = '\0';
    CHECK_STATUS(generate(&s, prompt, &options, &seen), TEMPERA_OK);
    struct tempera_stage bad = tempera_stage_temperature(-1);
    options.sampler = tempera_sampler_of(&bad, 1);
    CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_INVALID_ARGUMENT);
    options = hot_options(1, 5);
    options.struct_size = 0;
    CHECK_STATUS(generate(&s, "x", &options, &seen), TEMPERA_INVALID_ARGUMENT);
    // a decoder that isn't empty
    options = hot_options(1, 5);
    CHECK_STATUS(tempera_decoder_append(s.decoder, &(int32_t){7}, 1, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_generate(s.decoder, s.tokenizer, "x", 1, &options, see, &seen, NULL, NULL),
                 TEMPERA_INVALID_ARGUMENT);
    close_setting(&s);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"a beginning token comes before the prompt", bos_before_the_prompt},
        {"the prompt is kept, wherever it is cut", prompt_is_kept},
        {"a word is completed", word_is_completed},
        {"seed and stream decide the text, and T = 0 needs none", seeds_and_zero},
        {"bytes that are not UTF-8 are kept", bytes_are_kept},
        {"stop strings end the text", stop_strings},
        {"a text ends for the reason it gives", ends},
        {"bad calls are refused", bad_calls},
    };
    return CHECK_RUN(tests, argc, argv);
}
