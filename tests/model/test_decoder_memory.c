// SPDX-License-Identifier: MIT
// The decoder's memory: as much as the length needs, whatever the context, and a decoder that is
// as it was where there is none.
#include "check.h"

#include <malloc.h>
#include <sys/resource.h>

#include <tempera/model.h>

enum { V = 31, LONG = 1 << 24, N = 700 };

static struct tempera_model *make_model(uint32_t context)
{
    struct tempera_model_config config = tempera_model_config_default();
    struct tempera_model *model = NULL;
    config.vocab_size = V;
    config.context_length = context;
    config.n_layers = 2;
    config.dim = 16;
    config.n_heads = 4;
    config.n_kv_heads = 2;
    config.hidden_dim = 24;
    CHECK_STATUS(tempera_model_create(&model, &config, 3, NULL), TEMPERA_OK);
    size_t n;
    float *weights = tempera_model_weights(model, &n);
    for (size_t i = 0; i < n; i++) // far from the uniform scores of a fresh model
        weights[i] *= 6;
    return model;
}

static void fill_tokens(int32_t *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)check_random_below(V);
}

// Pieces of all sizes, and back and forth, in a decoder whose memory grows: the bits of one whose
// memory was there from the start, that is, after it has once been that long.
static void same_bits_as_it_grows(void)
{
    struct tempera_model *model = make_model(N);
    struct tempera_decoder *grows = NULL, *large = NULL;
    static int32_t tokens[N];
    float a[V], b[V];
    fill_tokens(tokens, N);
    CHECK_STATUS(tempera_decoder_open(&grows, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&large, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(large, tokens, N, a), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_rewind(large, 0), TEMPERA_OK);
    for (size_t at = 0, round = 0; at < N; round++) {
        size_t n = round % 3 == 0 ? 1 : 1 + check_random_below(100);
        n = n < N - at ? n : N - at;
        CHECK_STATUS(tempera_decoder_append(grows, tokens + at, n, a), TEMPERA_OK);
        CHECK_STATUS(tempera_decoder_append(large, tokens + at, n, b), TEMPERA_OK);
        CHECK_MEM(a, b, sizeof a);
        at += n;
        if (round % 5 == 4) {
            at -= at / 4;
            CHECK_STATUS(tempera_decoder_rewind(grows, at), TEMPERA_OK);
            CHECK_STATUS(tempera_decoder_rewind(large, at), TEMPERA_OK);
        }
    }
    CHECK_EQ_SIZE(tempera_decoder_length(grows), N);
    CHECK_STATUS(tempera_decoder_append(grows, tokens, 1, a), TEMPERA_CONTEXT_FULL);
    tempera_decoder_close(&grows);
    tempera_decoder_close(&large);
    tempera_model_close(&model);
}

// Limits what may still be mapped to so many bytes; 0 lifts it.
static void limit_memory(size_t nbytes)
{
    static struct rlimit before;
    struct rlimit limit;
    if (nbytes == 0) {
        setrlimit(RLIMIT_AS, &before);
        return;
    }
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    getrlimit(RLIMIT_AS, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)pages * 4096 + nbytes;
    CHECK_EQ_INT(setrlimit(RLIMIT_AS, &limit), 0);
}

// A context of 16 million positions would be gigabytes: five tokens are given 8 MB.
__attribute__((unused)) static void a_long_context_costs_nothing(void)
{
    struct tempera_model *model = make_model(LONG);
    struct tempera_decoder *decoder = NULL;
    int32_t tokens[5];
    float logits[V];
    fill_tokens(tokens, 5);
    limit_memory(8 << 20);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_EQ_SIZE(tempera_decoder_capacity(decoder), LONG);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens, 5, logits), TEMPERA_OK);
    limit_memory(0);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
}

// Appends that need more than there is change nothing, and the decoder goes on afterwards with the
// bits of one that never failed.
__attribute__((unused)) static void no_memory_to_grow(void)
{
    struct tempera_model *model = make_model(LONG);
    struct tempera_decoder *decoder = NULL, *other = NULL;
    const size_t many = 100000;
    int32_t *tokens = calloc(many, sizeof *tokens);
    float a[V], b[V];
    fill_tokens(tokens, 200);
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_open(&other, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(decoder, tokens, 100, a), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(other, tokens, 100, a), TEMPERA_OK);
    for (size_t room = 1 << 20; room <= 64 << 20; room *= 2) { // another buffer fails each time
        memset(a, 7, sizeof a);
        memcpy(b, a, sizeof b);
        limit_memory(room);
        enum tempera_status status = tempera_decoder_append(decoder, tokens, many, a);
        limit_memory(0);
        CHECK_STATUS(status, TEMPERA_OUT_OF_MEMORY);
        CHECK_MEM(a, b, sizeof a);
        CHECK_EQ_SIZE(tempera_decoder_length(decoder), 100);
    }
    CHECK_STATUS(tempera_decoder_append(decoder, tokens + 100, 100, a), TEMPERA_OK);
    CHECK_STATUS(tempera_decoder_append(other, tokens + 100, 100, b), TEMPERA_OK);
    CHECK_MEM(a, b, sizeof a);
    free(tokens);
    tempera_decoder_close(&decoder);
    tempera_decoder_close(&other);
    tempera_model_close(&model);
}

static bool go_on(void *context, const struct tempera_generated *generated)
{
    (void)context;
    (void)generated;
    return true;
}

// Text, too: what generating keeps of the context grows as the decoder does.
__attribute__((unused)) static void generating_costs_nothing(void)
{
    struct tempera_model_config config = tempera_model_config_default();
    struct tempera_model *model = NULL;
    struct tempera_tokenizer *tokenizer = NULL;
    struct tempera_decoder *decoder = NULL;
    struct tempera_generate_options options = tempera_generate_options_default();
    size_t n = 0;
    config.vocab_size = 257;
    config.context_length = LONG;
    config.n_layers = 1;
    config.dim = 8;
    config.n_heads = config.n_kv_heads = 2;
    config.hidden_dim = 8;
    options.max_tokens = 5;
    CHECK_STATUS(tempera_model_create(&model, &config, 3, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_tokenizer_bytes(&tokenizer), TEMPERA_OK);
    limit_memory(12 << 20); // 64 MB is what a list of the context's tokens would take
    CHECK_STATUS(tempera_decoder_open(&decoder, model, 0, NULL), TEMPERA_OK);
    CHECK_STATUS(tempera_generate(decoder, tokenizer, "abc", 3, &options, go_on, NULL, &n, NULL),
                 TEMPERA_OK);
    limit_memory(0);
    CHECK(n >= 1 && n <= 5);
    tempera_decoder_close(&decoder);
    tempera_tokenizer_close(&tokenizer);
    tempera_model_close(&model);
}

// The address sanitizer maps more than any limit.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

int main(int argc, char **argv)
{
    mallopt(M_MMAP_THRESHOLD, 64 << 10); // so that what is freed counts no longer
    static const struct check_test tests[] = {
        {"growing changes no bit", same_bits_as_it_grows},
#ifndef SANITIZED
        {"a long context costs nothing", a_long_context_costs_nothing},
        {"growing without memory is an error and loses nothing", no_memory_to_grow},
        {"generating costs nothing", generating_costs_nothing},
#endif
    };
    return CHECK_RUN(tests, argc, argv);
}
