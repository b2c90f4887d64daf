// SPDX-License-Identifier: MIT
// Every allocation fails in turn, in reading, writing, learning and encoding: the answer is
// OUT_OF_MEMORY, nothing leaks and the next try works.
//
// The functions of <stdlib.h> below replace the C library's in the whole program, which a
// sanitizer does, too; so the test is for builds without one.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                        \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

int main(void)
{
    printf("1..0 # SKIP a sanitizer has replaced the allocator\n");
    return 0;
}

#else

#include "check.h"

#include <tempera/gguf.h>
#include <tempera/tokenizer.h>

// ------------------------------------------------------------------------------------------------
// Memory from one block, never given back one by one. A block starts with its size.

enum { ARENA_NBYTES = 64 << 20, ALIGNMENT = 64, NEVER = -1 };

static _Alignas(ALIGNMENT) unsigned char arena[ARENA_NBYTES];
static size_t n_used, n_live;
static int n_before_failure = NEVER; // allocations that still work
static size_t n_failed;

// The labels make them the C library's functions. By these names, the compiler would know that
// malloc has no effect that a program can see. They are visible to the C library itself, which
// allocates what realpath returns.
#pragma GCC visibility push(default)
void *replaced_malloc(size_t nbytes) __asm__("malloc");
void replaced_free(void *memory) __asm__("free");
void *replaced_calloc(size_t count, size_t nbytes) __asm__("calloc");
void *replaced_realloc(void *memory, size_t nbytes) __asm__("realloc");
void *replaced_aligned_alloc(size_t alignment, size_t nbytes) __asm__("aligned_alloc");
#pragma GCC visibility pop

void *replaced_malloc(size_t nbytes)
{
    if (n_before_failure == 0) {
        n_failed++;
        errno = ENOMEM;
        return NULL;
    }
    if (n_before_failure > 0)
        n_before_failure--;
    if (nbytes > ARENA_NBYTES || n_used + nbytes + 2 * ALIGNMENT > ARENA_NBYTES)
        return NULL;
    memcpy(arena + n_used, &nbytes, sizeof nbytes);
    void *memory = arena + n_used + ALIGNMENT;
    n_used += (nbytes + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    n_live++;
    return memory;
}

void replaced_free(void *memory)
{
    n_live -= memory != NULL;
}

void *replaced_calloc(size_t count, size_t nbytes)
{
    if (nbytes != 0 && count > SIZE_MAX / nbytes)
        return NULL;
    void *memory = replaced_malloc(count * nbytes);
    if (memory != NULL)
        memset(memory, 0, count * nbytes);
    return memory;
}

void *replaced_realloc(void *memory, size_t nbytes)
{
    void *moved = replaced_malloc(nbytes);
    if (moved == NULL || memory == NULL)
        return moved;
    size_t had;
    memcpy(&had, (unsigned char *)memory - ALIGNMENT, sizeof had);
    memcpy(moved, memory, had < nbytes ? had : nbytes);
    replaced_free(memory);
    return moved;
}

void *replaced_aligned_alloc(size_t alignment, size_t nbytes)
{
    return alignment <= ALIGNMENT ? replaced_malloc(nbytes) : NULL;
}

// Calls `action` with its first allocation failing, then its second, until it needs no more.
static void fail_each(enum tempera_status (*action)(struct tempera_error *error), size_t at_least)
{
    size_t used = n_used, live = n_live, n_times = 0;
    for (int i = 0;; i++) {
        struct tempera_error error = {0};
        n_failed = 0;
        n_before_failure = i;
        enum tempera_status status = action(&error);
        n_before_failure = NEVER;
        CHECK_EQ_SIZE(n_live, live);
        n_used = used; // nothing is live, so all of it is free
        if (n_failed == 0) {
            CHECK_STATUS(status, TEMPERA_OK);
            break;
        }
        n_times++;
        // A block that can't be made smaller is not a failure.
        if (status != TEMPERA_OK && CHECK_STATUS(status, TEMPERA_OUT_OF_MEMORY))
            CHECK(error.status == TEMPERA_OK || error.message[0] != '\0');
    }
    CHECK(n_times >= at_least);
}

// ------------------------------------------------------------------------------------------------

static const char path[] = "test_tokenizer_memory.gguf";
static char text[20000];

static enum tempera_status learn(struct tempera_error *error)
{
    struct tempera_tokenizer *t = NULL;
    enum tempera_status status = tempera_tokenizer_train(&t, text, sizeof text, 400, error);
    CHECK((status == TEMPERA_OK) == (t != NULL));
    tempera_tokenizer_close(&t);
    return status;
}

static enum tempera_status make_bytes(struct tempera_error *error)
{
    (void)error;
    struct tempera_tokenizer *t = NULL;
    enum tempera_status status = tempera_tokenizer_bytes(&t);
    CHECK((status == TEMPERA_OK) == (t != NULL));
    tempera_tokenizer_close(&t);
    return status;
}

static struct tempera_tokenizer *tokenizer;

static enum tempera_status save(struct tempera_error *error)
{
    static const float data[3000];
    const uint64_t dims[] = {3000};
    struct tempera_gguf_writer *w = NULL;
    enum tempera_status status = tempera_gguf_writer_open(&w);
    if (status == TEMPERA_OK)
        status = tempera_tokenizer_to_gguf(tokenizer, w);
    if (status == TEMPERA_OK)
        status = tempera_gguf_add_tensor(w, "t", TEMPERA_F16, 1, dims, data);
    if (status == TEMPERA_OK)
        status = tempera_gguf_save(w, path, error);
    tempera_gguf_writer_close(&w);
    return status;
}

static enum tempera_status load(struct tempera_error *error)
{
    struct tempera_gguf *g = NULL;
    struct tempera_tokenizer *t = NULL;
    enum tempera_status status = tempera_gguf_open(&g, path, error);
    CHECK((status == TEMPERA_OK) == (g != NULL));
    if (status == TEMPERA_OK)
        status = tempera_tokenizer_from_gguf(&t, g, error);
    CHECK((status == TEMPERA_OK) == (t != NULL));
    tempera_gguf_close(&g);
    tempera_tokenizer_close(&t);
    return status;
}

static enum tempera_status encode(struct tempera_error *error)
{
    (void)error;
    static int32_t ids[300];
    size_t n;
    char word[300];
    memset(word, 'a', sizeof word);
    return tempera_tokenizer_encode(tokenizer, word, sizeof word, ids, 300, &n);
}

static void learning(void)
{
    fail_each(learn, 10);
    fail_each(make_bytes, 6);
}

static void files_and_long_words(void)
{
    struct tempera_error error;
    CHECK_STATUS(tempera_tokenizer_train(&tokenizer, text, sizeof text, 400, &error), TEMPERA_OK);
    fail_each(save, 8);
    CHECK_STATUS(save(&error), TEMPERA_OK);
    fail_each(load, 10);
    fail_each(encode, 1);
    tempera_tokenizer_close(&tokenizer);
    unlink(path);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = check_random_below(6) == 0 ? ' ' : (char)('a' + check_random_below(10));
    static const struct check_test tests[] = {
        {"training survives the failure of any allocation", learning},
        {"loading and encoding survive the failure of any allocation", files_and_long_words},
    };
    return CHECK_RUN(tests, argc, argv);
}

#endif
