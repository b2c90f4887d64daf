// SPDX-License-Identifier: MIT
// Our side of the comparison: makes models for the others to read, and answers what we make of
// the same input. Texts come on stdin as records (u32 length, bytes); answers go to stdout.
//
//     ours model OUT.gguf TEXT VOCAB   a random F32 model with a tokenizer learned from TEXT
//     ours classes OUT.gguf            the same with merges that show how text is cut into words
//     ours ids MODEL                   for each record: u32 count, its ids as i32
//     ours greedy MODEL N              for each record: N times "id gap", a line each: the best
//                                      token and how far its score is above the second best
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>

static void need(enum tempera_status status, const struct tempera_error *error)
{
    if (status == TEMPERA_OK)
        return;
    fprintf(stderr, "ours: %s %s\n", tempera_status_name(status), error ? error->message : "");
    exit(1);
}

static void *need_memory(void *memory)
{
    if (memory == NULL)
        need(TEMPERA_OUT_OF_MEMORY, NULL);
    return memory;
}

// All of a stream. The caller frees it.
static char *read_all(FILE *file, size_t *nbytes)
{
    size_t capacity = 1 << 16;
    char *text = need_memory(malloc(capacity));
    for (*nbytes = 0;;) {
        size_t n = fread(text + *nbytes, 1, capacity - *nbytes, file);
        *nbytes += n;
        if (n == 0)
            return text;
        if (*nbytes == capacity)
            text = need_memory(realloc(text, capacity *= 2));
    }
}

// The next record of stdin; false at the end. The caller frees *text.
static bool read_record(char **text, size_t *nbytes)
{
    uint32_t length;
    if (fread(&length, sizeof length, 1, stdin) != 1)
        return false;
    *text = need_memory(malloc((size_t)length + 1));
    *nbytes = fread(*text, 1, length, stdin);
    if (*nbytes != length)
        need(TEMPERA_TRUNCATED_FILE, NULL);
    return true;
}

// ------------------------------------------------------------------------------------------------
// Models

static struct tempera_model *random_model(uint32_t vocab_size)
{
    struct tempera_error error;
    struct tempera_model_config config = tempera_model_config_default();
    config.vocab_size = vocab_size;
    config.context_length = 256;
    config.n_layers = 2;
    config.dim = 32;
    config.n_heads = 4;
    config.n_kv_heads = 2;
    config.hidden_dim = 64;
    struct tempera_model *model;
    need(tempera_model_create(&model, &config, 1, &error), &error);
    return model;
}

static void make_model(const char *path, const char *text_path, size_t vocab_size)
{
    FILE *file = fopen(text_path, "rb");
    if (file == NULL)
        need(TEMPERA_FILE_NOT_FOUND, NULL);
    size_t nbytes;
    char *text = read_all(file, &nbytes);
    fclose(file);
    struct tempera_error error;
    struct tempera_tokenizer *tokenizer;
    need(tempera_tokenizer_train(&tokenizer, text, nbytes, vocab_size, &error), &error);
    struct tempera_model *model = random_model((uint32_t)vocab_size);
    need(tempera_model_save(path, model, tokenizer, TEMPERA_F32, "acceptance", &error), &error);
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
    free(text);
}

// GPT-2's spelling of a byte.
static size_t spell(unsigned byte, char *out)
{
    unsigned c = byte;
    if (!((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173)))
        c = byte <= 32 ? 256 + byte : byte <= 160 ? 256 + 33 + (byte - 127) : 256 + 67;
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

// A letter, a number, a sign and a tab each merge with every byte that can begin a character. So
// "a" and the character after it share a token if and only if that one is a letter, and so on.
static void make_classes(const char *path)
{
    static const char firsts[] = "a1!\t";
    enum { N_BYTES = 256, N_TOKENS = N_BYTES + 4 * N_BYTES + 1 };
    struct tempera_error error;
    struct tempera_gguf_writer *writer;
    struct tempera_model *model = random_model(N_TOKENS);
    need(tempera_gguf_writer_open(&writer), NULL);
    need(tempera_model_to_gguf(model, writer, TEMPERA_F32, "classes"), NULL);
    need(tempera_gguf_set_string(writer, "tokenizer.ggml.model", "gpt2", 4), NULL);
    need(tempera_gguf_set_string(writer, "tokenizer.ggml.pre", "gpt-2", 5), NULL);
    char text[8];
    static int32_t types[N_TOKENS];
    for (int pass = 0; pass < 2; pass++) { // the tokens, then the merges that make them
        need(pass == 0 ? tempera_gguf_set_strings(writer, "tokenizer.ggml.tokens", N_TOKENS)
                       : tempera_gguf_set_strings(writer, "tokenizer.ggml.merges", 4 * N_BYTES),
             NULL);
        for (unsigned b = 0; pass == 0 && b < N_BYTES; b++)
            need(tempera_gguf_append_string(writer, text, spell(b, text)), NULL);
        for (unsigned i = 0; i < 4 * N_BYTES; i++) {
            size_t n = spell((unsigned char)firsts[i / N_BYTES], text);
            if (pass == 1)
                text[n++] = ' ';
            n += spell(i % N_BYTES, text + n);
            need(tempera_gguf_append_string(writer, text, n), NULL);
        }
        if (pass == 0)
            need(tempera_gguf_append_string(writer, "<|endoftext|>", 13), NULL);
    }
    for (int i = 0; i < N_TOKENS; i++)
        types[i] = i == N_TOKENS - 1 ? 3 : 1;
    need(tempera_gguf_set_i32s(writer, "tokenizer.ggml.token_type", types, N_TOKENS), NULL);
    need(tempera_gguf_set_u32(writer, "tokenizer.ggml.bos_token_id", N_TOKENS - 1), NULL);
    need(tempera_gguf_set_u32(writer, "tokenizer.ggml.eos_token_id", N_TOKENS - 1), NULL);
    need(tempera_gguf_save(writer, path, &error), &error);
    tempera_gguf_writer_close(&writer);
    tempera_model_close(&model);
}

// ------------------------------------------------------------------------------------------------
// Answers

static void load(const char *path, struct tempera_model **model,
                 struct tempera_tokenizer **tokenizer)
{
    struct tempera_error error;
    need(tempera_model_load(path, model, tokenizer, &error), &error);
}

static int32_t *encode(const struct tempera_tokenizer *tokenizer, const char *text, size_t nbytes,
                       size_t *n_ids)
{
    int32_t *ids = need_memory(malloc((nbytes + 1) * sizeof *ids));
    need(tempera_tokenizer_encode(tokenizer, text, nbytes, ids, nbytes, n_ids), NULL);
    char *back = need_memory(malloc(nbytes + 1));
    size_t n_back;
    need(tempera_tokenizer_decode(tokenizer, ids, *n_ids, back, nbytes, &n_back), NULL);
    if (n_back != nbytes || memcmp(back, text, nbytes) != 0) {
        fprintf(stderr, "ours: decoding does not give the text back\n");
        exit(1);
    }
    free(back);
    return ids;
}

static void answer_ids(const char *path)
{
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    load(path, &model, &tokenizer);
    char *text;
    for (size_t nbytes, n_ids; read_record(&text, &nbytes); free(text)) {
        int32_t *ids = encode(tokenizer, text, nbytes, &n_ids);
        uint32_t count = (uint32_t)n_ids;
        fwrite(&count, sizeof count, 1, stdout);
        fwrite(ids, sizeof *ids, n_ids, stdout);
        free(ids);
    }
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
}

static void answer_greedy(const char *path, long n)
{
    struct tempera_model *model;
    struct tempera_tokenizer *tokenizer;
    struct tempera_decoder *decoder;
    load(path, &model, &tokenizer);
    need(tempera_decoder_open(&decoder, model, 0, NULL), NULL);
    size_t vocab_size = tempera_model_get_config(model)->vocab_size;
    float *logits = need_memory(malloc(vocab_size * sizeof *logits));
    char *text;
    for (size_t nbytes, n_ids; read_record(&text, &nbytes); free(text)) {
        int32_t *ids = encode(tokenizer, text, nbytes, &n_ids);
        need(tempera_decoder_rewind(decoder, 0), NULL);
        need(tempera_decoder_append(decoder, ids, n_ids, logits), NULL);
        for (long i = 0; i < n; i++) {
            size_t best = 0;
            float second = -1e30f;
            for (size_t v = 1; v < vocab_size; v++)
                if (logits[v] > logits[best]) {
                    second = logits[best];
                    best = v;
                } else if (logits[v] > second) {
                    second = logits[v];
                }
            printf("%zu %.9g\n", best, (double)(logits[best] - second));
            int32_t id = (int32_t)best;
            need(tempera_decoder_append(decoder, &id, 1, logits), NULL);
        }
        free(ids);
    }
    free(logits);
    tempera_decoder_close(&decoder);
    tempera_model_close(&model);
    tempera_tokenizer_close(&tokenizer);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "model") == 0)
        make_model(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    else if (argc == 3 && strcmp(argv[1], "classes") == 0)
        make_classes(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "ids") == 0)
        answer_ids(argv[2]);
    else if (argc == 4 && strcmp(argv[1], "greedy") == 0)
        answer_greedy(argv[2], strtol(argv[3], NULL, 10));
    else
        return 2;
    return fflush(stdout) == 0 ? 0 : 1;
}
