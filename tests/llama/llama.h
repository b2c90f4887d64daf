// SPDX-License-Identifier: MIT
// Not llama.cpp's header, but a small one of our own with what tempera/llama_adapter.h uses, so
// that the adapter is compiled and tested where there is no llama.cpp. A sampler is an interface
// and a context; the calls hand over to the interface.
#ifndef TEMPERA_TEST_LLAMA_H
#define TEMPERA_TEST_LLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef int32_t llama_token;
typedef void *llama_sampler_context_t;

typedef struct llama_token_data {
    llama_token id;
    float logit, p;
} llama_token_data;

typedef struct llama_token_data_array {
    llama_token_data *data; // [size]
    size_t size;
    int64_t selected; // a place in data, -1: none
    bool sorted;
} llama_token_data_array;

struct llama_sampler;

struct llama_sampler_i {
    const char *(*name)(const struct llama_sampler *smpl);
    void (*accept)(struct llama_sampler *smpl, llama_token token);
    void (*apply)(struct llama_sampler *smpl, llama_token_data_array *candidates);
    void (*reset)(struct llama_sampler *smpl);
    struct llama_sampler *(*clone)(const struct llama_sampler *smpl);
    void (*free)(struct llama_sampler *smpl);
    void (*later)(void); // stands for what versions have added, all of which may be NULL
};

struct llama_sampler {
    struct llama_sampler_i *iface;
    llama_sampler_context_t ctx;
};

static inline struct llama_sampler *llama_sampler_init(struct llama_sampler_i *iface,
                                                       llama_sampler_context_t ctx)
{
    struct llama_sampler *smpl = (struct llama_sampler *)malloc(sizeof *smpl);
    if (smpl == NULL)
        abort();
    smpl->iface = iface;
    smpl->ctx = ctx;
    return smpl;
}

static inline void llama_sampler_free(struct llama_sampler *smpl)
{
    smpl->iface->free(smpl);
    free(smpl);
}

#endif
