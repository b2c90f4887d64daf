// SPDX-License-Identifier: MIT
// A 64-bit digest (FNV-1a: Fowler, Noll, Vo) that tells texts and training states apart and
// finds damaged files. Against accidents, not against an adversary.
#ifndef TEMPERA_TRAIN_DIGEST_H
#define TEMPERA_TRAIN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define TEMPERA_DIGEST_EMPTY UINT64_C(0xcbf29ce484222325)

// Continues `digest` over data[nbytes]; the result does not depend on how bytes are split into
// calls. Each byte maps the digest one to one, so a change of any single byte always changes the
// result.
static inline uint64_t tempera_digest(uint64_t digest, const void *data, size_t nbytes)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < nbytes; i++)
        digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
    return digest;
}

#endif
