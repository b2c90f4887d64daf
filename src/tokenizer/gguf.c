// SPDX-License-Identifier: MIT
// A tokenizer in a model file, as llama.cpp reads and writes it:
//
//     tokenizer.ggml.model          "gpt2": byte-level BPE
//     tokenizer.ggml.pre            "gpt-2": how text is cut into words
//     tokenizer.ggml.tokens         the tokens, their bytes written in GPT-2's alphabet
//     tokenizer.ggml.token_type     1: text; 2, 3, 5: unknown, control, unused: not text
//     tokenizer.ggml.merges         "left right", best first
//     tokenizer.ggml.bos_token_id, eos_token_id
//     tokenizer.ggml.add_bos_token  whether a prompt begins with bos; ours doesn't
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/show.h"
#include "base/utf8.h"
#include "gguf/reader.h"
#include "gguf/value.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/vocabulary.h"

static const char model_key[] = "tokenizer.ggml.model", pre_key[] = "tokenizer.ggml.pre";
static const char tokens_key[] = "tokenizer.ggml.tokens";
static const char types_key[] = "tokenizer.ggml.token_type";
static const char merges_key[] = "tokenizer.ggml.merges";
static const char bos_key[] = "tokenizer.ggml.bos_token_id";
static const char eos_key[] = "tokenizer.ggml.eos_token_id";
static const char add_bos_key[] = "tokenizer.ggml.add_bos_token";
static const char model_name[] = "gpt2", pre_name[] = "gpt-2";

enum token_type {
    TYPE_TEXT = 1,
    TYPE_UNKNOWN = 2,
    TYPE_CONTROL = 3,
    TYPE_USER = 4, // found in a text before it is cut into words
    TYPE_UNUSED = 5,
    TYPE_BYTE = 6, // of another kind of tokenizer
};

// ------------------------------------------------------------------------------------------------
// Writing

static size_t spell_byte(uint8_t byte, uint8_t *out)
{
    return tempera_utf8_encode(tempera_byte_to_character(byte), out);
}

// Writes a token of text in GPT-2's alphabet to out[2 * nbytes]; its characters have two bytes at
// most. Returns the length.
static size_t spell_token(const struct tempera_tokenizer *t, int32_t id, uint8_t *out)
{
    size_t nbytes, n = 0;
    const uint8_t *bytes = tempera_tokenizer_token(t, id, &nbytes);
    if (t->special[id]) {
        memcpy(out, bytes, nbytes);
        return nbytes;
    }
    for (size_t i = 0; i < nbytes; i++)
        n += spell_byte(bytes[i], out + n);
    return n;
}

static enum tempera_status write_tokens(const struct tempera_tokenizer *t,
                                        struct tempera_gguf_writer *writer, uint8_t *buffer)
{
    enum tempera_status status = tempera_gguf_set_strings(writer, tokens_key, t->n_tokens);
    for (size_t i = 0; i < t->n_tokens && status == TEMPERA_OK; i++) {
        size_t n = spell_token(t, (int32_t)i, buffer);
        status = tempera_gguf_append_string(writer, (const char *)buffer, n);
    }
    return status;
}

static enum tempera_status write_types(const struct tempera_tokenizer *t,
                                       struct tempera_gguf_writer *writer)
{
    int32_t *types = calloc(t->n_tokens + 1, sizeof *types);
    if (types == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    for (size_t i = 0; i < t->n_tokens; i++)
        types[i] = t->special[i] ? TYPE_CONTROL : TYPE_TEXT;
    enum tempera_status status = tempera_gguf_set_i32s(writer, types_key, types, t->n_tokens);
    free(types);
    return status;
}

static enum tempera_status write_merges(const struct tempera_tokenizer *t,
                                        struct tempera_gguf_writer *writer, uint8_t *buffer)
{
    enum tempera_status status = tempera_gguf_set_strings(writer, merges_key, t->n_merges);
    for (size_t i = 0; i < t->n_merges && status == TEMPERA_OK; i++) {
        size_t n = spell_token(t, t->merges[i].left, buffer);
        buffer[n++] = ' ';
        n += spell_token(t, t->merges[i].right, buffer + n);
        status = tempera_gguf_append_string(writer, (const char *)buffer, n);
    }
    return status;
}

enum tempera_status tempera_tokenizer_to_gguf(const struct tempera_tokenizer *t,
                                              struct tempera_gguf_writer *writer)
{
    if (t == NULL || writer == NULL)
        return TEMPERA_INVALID_ARGUMENT;
    size_t longest = 0;
    for (size_t i = 0; i < t->n_tokens; i++)
        if (t->starts[i + 1] - t->starts[i] > longest)
            longest = t->starts[i + 1] - t->starts[i];
    uint8_t *buffer = malloc(4 * longest + 1); // two tokens and a blank
    if (buffer == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    enum tempera_status status =
        tempera_gguf_set_string(writer, model_key, model_name, sizeof model_name - 1);
    if (status == TEMPERA_OK)
        status = tempera_gguf_set_string(writer, pre_key, pre_name, sizeof pre_name - 1);
    if (status == TEMPERA_OK)
        status = write_tokens(t, writer, buffer);
    if (status == TEMPERA_OK)
        status = write_types(t, writer);
    if (status == TEMPERA_OK)
        status = write_merges(t, writer, buffer);
    if (status == TEMPERA_OK && t->bos >= 0)
        status = tempera_gguf_set_u32(writer, bos_key, (uint32_t)t->bos);
    if (status == TEMPERA_OK && t->eos >= 0)
        status = tempera_gguf_set_u32(writer, eos_key, (uint32_t)t->eos);
    if (status == TEMPERA_OK)
        status = tempera_gguf_set_bool(writer, add_bos_key, t->adds_bos);
    free(buffer);
    return status;
}

// ------------------------------------------------------------------------------------------------
// Reading

// A token as the file spells it.
struct spelling {
    const uint8_t *bytes;
    size_t nbytes;
    int32_t id;
};

struct reading {
    const struct tempera_gguf *gguf;
    struct tempera_error *error;
    enum tempera_status status;
    size_t n_tokens, n_merges;
    uint8_t *types;   // [n_tokens]; NULL: all text
    int32_t bos, eos; // -1: none
    bool adds_bos;
    struct spelling *sorted; // [n_tokens], by bytes
    uint8_t *buffer;         // for the longest merge
    struct tempera_tokenizer *tokenizer;
};

// Returns false.
__attribute__((format(printf, 3, 4))) static bool
fail(struct reading *r, enum tempera_status status, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->status = tempera_fail(r->error, status, "'%s': %s", tempera_gguf_source_name(r->gguf), text);
    return false;
}

static bool fail_memory(struct reading *r)
{
    return fail(r, TEMPERA_OUT_OF_MEMORY, "no memory for the tokenizer");
}

static struct spelling token_at(const struct reading *r, size_t index)
{
    const char *bytes = NULL;
    struct spelling spelling = {.id = (int32_t)index};
    tempera_gguf_get_strings_at(r->gguf, tokens_key, index, &bytes, &spelling.nbytes);
    spelling.bytes = (const uint8_t *)bytes;
    return spelling;
}

// A spelling as a message shows it.
struct shown {
    char text[40];
};

static struct shown show(const void *bytes, size_t nbytes)
{
    struct shown shown;
    tempera_show_text(shown.text, sizeof shown.text, bytes, nbytes);
    return shown;
}

// Reports that a key has a wrong value.
static bool fail_value(struct reading *r, const char *key, const char *what_can_be)
{
    char shown[TEMPERA_SHOWN_VALUE_NBYTES];
    tempera_gguf_show_value(r->gguf, key, shown);
    return fail(r, TEMPERA_BAD_TOKENIZER, "%s is %s, not %s", key, shown, what_can_be);
}

// `key` must be a string with this value.
static bool check_name(struct reading *r, const char *key, const char *expected)
{
    const char *bytes;
    size_t nbytes;
    enum tempera_status status = tempera_gguf_get_string(r->gguf, key, &bytes, &nbytes);
    if (status == TEMPERA_BAD_FORMAT)
        return fail_value(r, key, "a string");
    if (status != TEMPERA_OK) {
        r->status = tempera_gguf_check_whole(r->gguf, r->error);
        return r->status == TEMPERA_OK ? fail(r, TEMPERA_UNSUPPORTED,
                                              "%s is missing; this version reads %s", key, expected)
                                       : false;
    }
    if (nbytes != strlen(expected) || memcmp(bytes, expected, nbytes) != 0)
        return fail(r, TEMPERA_UNSUPPORTED, "%s is %s; this version reads %s", key,
                    show(bytes, nbytes).text, expected);
    return true;
}

static bool count_strings(struct reading *r, const char *key, size_t *count)
{
    enum tempera_status status = tempera_gguf_get_strings(r->gguf, key, count);
    if (status == TEMPERA_NOT_FOUND)
        return fail(r, TEMPERA_BAD_TOKENIZER, "%s is missing", key);
    if (status != TEMPERA_OK)
        return fail_value(r, key, "an array of strings");
    return true;
}

static bool read_special_id(struct reading *r, const char *key, int32_t *id)
{
    struct tempera_number number;
    *id = -1;
    enum tempera_status status = tempera_gguf_number(r->gguf, key, &number);
    if (status == TEMPERA_NOT_FOUND)
        return true;
    if (status != TEMPERA_OK || !(number.value >= 0 && number.value == floor(number.value)))
        return fail_value(r, key, "a token's id");
    if (number.value >= (double)r->n_tokens)
        return fail(r, TEMPERA_BAD_TOKENIZER, "%s is %.0f, but there are %zu tokens", key,
                    number.value, r->n_tokens);
    *id = (int32_t)number.value;
    return true;
}

// The number 0 or 1 is accepted, too: not every program writes bools.
static bool read_adds_bos(struct reading *r)
{
    struct tempera_number number = {0};
    enum tempera_status status = tempera_gguf_get_bool(r->gguf, add_bos_key, &r->adds_bos);
    if (status == TEMPERA_BAD_FORMAT) {
        status = tempera_gguf_number(r->gguf, add_bos_key, &number);
        if (status != TEMPERA_OK || (number.value != 0 && number.value != 1))
            return fail_value(r, add_bos_key, "true or false");
        r->adds_bos = number.value != 0;
    }
    if (r->adds_bos && r->bos < 0)
        return fail(r, TEMPERA_BAD_TOKENIZER, "%s is true, but there is no %s", add_bos_key,
                    bos_key);
    return true;
}

static bool read_type(struct reading *r, size_t index)
{
    double type;
    if (!tempera_gguf_number_at(r->gguf, types_key, index, &type))
        return fail_value(r, types_key, "an array of numbers");
    if (type == TYPE_USER || type == TYPE_BYTE)
        return fail(r, TEMPERA_UNSUPPORTED,
                    "token %zu is user-defined or a byte (type %.0f), which this version does not "
                    "read",
                    index, type);
    if (!(type >= TYPE_TEXT && type <= TYPE_BYTE && type == floor(type)))
        return fail(r, TEMPERA_BAD_TOKENIZER, "token %zu is of type %.10g; 1 to 6 are allowed",
                    index, type);
    r->types[index] = (uint8_t)type;
    return true;
}

static bool read_types(struct reading *r)
{
    const struct tempera_gguf_entry *entry = tempera_gguf_find(r->gguf, types_key);
    if (entry == NULL)
        return true;
    if (!entry->is_array)
        return fail_value(r, types_key, "an array of numbers");
    if (entry->count != r->n_tokens)
        return fail(r, TEMPERA_BAD_TOKENIZER, "%s has %zu elements, but there are %zu tokens",
                    types_key, entry->count, r->n_tokens);
    r->types = malloc(entry->count + 1);
    if (r->types == NULL)
        return fail_memory(r);
    for (size_t id = 0; id < entry->count; id++)
        if (!read_type(r, id))
            return false;
    return true;
}

static bool is_special(const struct reading *r, int32_t id)
{
    return id == r->bos || id == r->eos || (r->types != NULL && r->types[id] != TYPE_TEXT);
}

static int compare_bytes(const struct spelling *left, const struct spelling *right)
{
    size_t common = left->nbytes < right->nbytes ? left->nbytes : right->nbytes;
    int order = common > 0 ? memcmp(left->bytes, right->bytes, common) : 0;
    return order != 0 ? order : (left->nbytes > right->nbytes) - (left->nbytes < right->nbytes);
}

static int compare_spellings(const void *a, const void *b)
{
    const struct spelling *left = a, *right = b;
    int order = compare_bytes(left, right);
    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

// The id of the token of text that is spelled so, or -1.
static int32_t find_token(const struct reading *r, const uint8_t *bytes, size_t nbytes)
{
    struct spelling wanted = {.bytes = bytes, .nbytes = nbytes};
    size_t low = 0, high = r->n_tokens;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_bytes(&r->sorted[middle], &wanted);
        if (order == 0)
            return is_special(r, r->sorted[middle].id) ? -1 : r->sorted[middle].id;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

// Sorts the spellings, adds up their length and fails if one is there twice.
static bool sort_tokens(struct reading *r, size_t *nbytes)
{
    r->sorted = malloc((r->n_tokens + 1) * sizeof *r->sorted);
    if (r->sorted == NULL)
        return fail_memory(r);
    *nbytes = 0;
    for (size_t i = 0; i < r->n_tokens; i++) {
        r->sorted[i] = token_at(r, i);
        *nbytes += r->sorted[i].nbytes; // less than the file's header has
    }
    qsort(r->sorted, r->n_tokens, sizeof *r->sorted, compare_spellings);
    for (size_t i = 1; i < r->n_tokens; i++)
        if (compare_bytes(&r->sorted[i - 1], &r->sorted[i]) == 0)
            return fail(r, TEMPERA_BAD_TOKENIZER,
                        "tokens %" PRId32 " and %" PRId32 " are the same, \"%s\"",
                        r->sorted[i - 1].id, r->sorted[i].id,
                        show(r->sorted[i].bytes, r->sorted[i].nbytes).text);
    return true;
}

// Converts GPT-2's alphabet to bytes, at most nbytes of them, in out. False if a character
// isn't of that alphabet.
static bool unspell(const int16_t *alphabet, const uint8_t *spelled, size_t nbytes, uint8_t *out,
                    size_t *n_out)
{
    *n_out = 0;
    for (size_t at = 0, length; at < nbytes; at += length) {
        uint32_t character;
        length = tempera_utf8_decode(spelled + at, nbytes - at, &character);
        if (length == 0 || character >= 2 * TEMPERA_N_BYTES || alphabet[character] < 0)
            return false;
        out[(*n_out)++] = (uint8_t)alphabet[character];
    }
    return true;
}

static bool read_tokens(struct reading *r)
{
    int16_t alphabet[2 * TEMPERA_N_BYTES];
    bool found[TEMPERA_N_BYTES] = {false};
    for (uint32_t c = 0; c < 2 * TEMPERA_N_BYTES; c++)
        alphabet[c] = (int16_t)tempera_character_to_byte(c);
    struct tempera_tokenizer *t = r->tokenizer;
    for (int32_t id = 0; id < (int32_t)r->n_tokens; id++) {
        struct spelling token = token_at(r, (size_t)id);
        const uint8_t *bytes = token.bytes;
        uint8_t *unspelled = t->bytes + t->starts[id];
        size_t nbytes = token.nbytes;
        if (nbytes == 0)
            return fail(r, TEMPERA_BAD_TOKENIZER, "token %" PRId32 " is empty", id);
        if (!is_special(r, id)) {
            if (!unspell(alphabet, token.bytes, token.nbytes, unspelled, &nbytes))
                return fail(r, TEMPERA_BAD_TOKENIZER,
                            "token %" PRId32 ", \"%s\", is not spelled in GPT-2's alphabet", id,
                            show(token.bytes, token.nbytes).text);
            bytes = unspelled;
            if (nbytes == 1)
                found[bytes[0]] = true;
        }
        tempera_tokenizer_set_token(t, id, bytes, nbytes, is_special(r, id));
    }
    for (int b = 0; b < TEMPERA_N_BYTES; b++)
        if (!found[b])
            return fail(r, TEMPERA_BAD_TOKENIZER, "no token stands for byte 0x%02X", (unsigned)b);
    return true;
}

// "left right": both and what they become must be tokens of text.
static bool read_merge(struct reading *r, size_t index)
{
    const char *text;
    size_t nbytes;
    tempera_gguf_get_strings_at(r->gguf, merges_key, index, &text, &nbytes);
    const char *blank = nbytes > 0 ? memchr(text, ' ', nbytes) : NULL;
    size_t n_left = blank != NULL ? (size_t)(blank - text) : 0;
    if (n_left == 0 || n_left + 1 == nbytes)
        return fail(r, TEMPERA_BAD_TOKENIZER, "merge %zu, \"%s\", is not two tokens and a blank",
                    index, show(text, nbytes).text);
    memcpy(r->buffer, text, n_left);
    memcpy(r->buffer + n_left, blank + 1, nbytes - n_left - 1);
    struct tempera_merge merge = {
        .left = find_token(r, r->buffer, n_left),
        .right = find_token(r, r->buffer + n_left, nbytes - n_left - 1),
        .token = find_token(r, r->buffer, nbytes - 1),
    };
    if (merge.left < 0 || merge.right < 0 || merge.token < 0)
        return fail(r, TEMPERA_BAD_TOKENIZER, "merge %zu, \"%s\": %s is not a token of text", index,
                    show(text, nbytes).text,
                    merge.left < 0    ? "its left part"
                    : merge.right < 0 ? "its right part"
                                      : "what it becomes");
    r->tokenizer->merges[index] = merge;
    return true;
}

static bool read_merges(struct reading *r)
{
    size_t longest = 0, nbytes = 0;
    const char *text;
    for (size_t i = 0; i < r->n_merges; i++) {
        tempera_gguf_get_strings_at(r->gguf, merges_key, i, &text, &nbytes);
        longest = nbytes > longest ? nbytes : longest;
    }
    r->buffer = malloc(longest + 1);
    if (r->buffer == NULL)
        return fail_memory(r);
    for (size_t i = 0; i < r->n_merges; i++)
        if (!read_merge(r, i))
            return false;
    size_t twice = tempera_tokenizer_rank(r->tokenizer);
    if (twice < r->n_merges)
        return fail(r, TEMPERA_BAD_TOKENIZER, "merge %zu is there twice", twice);
    return true;
}

static bool read_tokenizer(struct reading *r)
{
    size_t nbytes = 0;
    if (!check_name(r, model_key, model_name) || !check_name(r, pre_key, pre_name) ||
        !count_strings(r, tokens_key, &r->n_tokens) ||
        !count_strings(r, merges_key, &r->n_merges) || !read_special_id(r, bos_key, &r->bos) ||
        !read_special_id(r, eos_key, &r->eos) || !read_adds_bos(r) || !read_types(r) ||
        !sort_tokens(r, &nbytes))
        return false;
    r->tokenizer = tempera_tokenizer_new(r->n_tokens, nbytes, r->n_merges);
    if (r->tokenizer == NULL)
        return fail_memory(r);
    r->tokenizer->bos = r->bos;
    r->tokenizer->eos = r->eos;
    r->tokenizer->adds_bos = r->adds_bos;
    return read_tokens(r) && read_merges(r);
}

enum tempera_status tempera_tokenizer_from_gguf(struct tempera_tokenizer **tokenizer,
                                                const struct tempera_gguf *gguf,
                                                struct tempera_error *error)
{
    if (tokenizer == NULL || gguf == NULL)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT, "tokenizer or gguf is NULL");
    struct reading r = {.gguf = gguf, .error = error};
    bool good = read_tokenizer(&r);
    free(r.types);
    free(r.sorted);
    free(r.buffer);
    if (!good) {
        tempera_tokenizer_close(&r.tokenizer);
        return r.status;
    }
    *tokenizer = r.tokenizer;
    return tempera_succeed(error);
}
