// SPDX-License-Identifier: MIT
// What every call of Tempera returns, and how a parser says where a file is wrong.
//
// The library never prints, exits, aborts on input or reports through errno. Numeric values are
// pinned: they are part of the ABI and never change. Read next: matrix.h.
#ifndef TEMPERA_STATUS_H
#define TEMPERA_STATUS_H

#include <stdint.h>

#if defined(_WIN32)
#define TEMPERA_API
#else
#define TEMPERA_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Groups of ten. Values 1 to 9 are outcomes of one row of scores: the call did its work and the
// outputs of that row are the ones which the function's header defines for the case. A call over
// many rows returns the worst (largest) status of its rows; from 10 on nothing was written
// unless the function says otherwise.
enum tempera_status {
    TEMPERA_OK = 0,

    TEMPERA_ALL_MASKED = 1,    // a row without any allowed score: p = 0, no token
    TEMPERA_TARGET_MASKED = 2, // a loss whose target is masked: loss +inf, gradient 0
    TEMPERA_NAN_INPUT = 3,     // a row with a NaN: outputs are the canonical NaN, no token

    TEMPERA_INVALID_ARGUMENT = 10,
    TEMPERA_UNSUPPORTED = 11,         // valid, but not in this version (a dtype, a stage, an ISA)
    TEMPERA_TARGET_OUT_OF_RANGE = 12, // a class index that is neither in [0, cols) nor ignored
    TEMPERA_TOKEN_OUT_OF_RANGE = 13,  // a token id outside the vocabulary
    TEMPERA_BUFFER_TOO_SMALL = 14,    // scratch, state or output shorter than its query says
    TEMPERA_NOT_FOUND = 15,           // a key, a tensor, a token that isn't there

    TEMPERA_OUT_OF_MEMORY = 20,
    TEMPERA_NO_THREADS = 21, // the system refused to start a thread

    TEMPERA_IO_ERROR = 30,       // reading or writing failed; the message has the system's reason
    TEMPERA_FILE_NOT_FOUND = 31, // no such file, or not readable
    TEMPERA_DISK_FULL = 32,      // no space left, or the file may not grow; the old one is intact

    TEMPERA_BAD_FORMAT = 40,     // not such a file, or a damaged one; offset says where
    TEMPERA_TRUNCATED_FILE = 41, // ends before its own counts say
    TEMPERA_BAD_TOKENIZER = 42,  // the vocabulary or the merges in the file contradict themselves

    TEMPERA_BAD_MODEL = 50,         // a tensor or key is missing or has the wrong shape or type
    TEMPERA_CONTEXT_FULL = 51,      // more tokens than the context holds
    TEMPERA_TEXT_TOO_SHORT = 52,    // less text than training, or the vocabulary asked for, needs
    TEMPERA_STATE_MISMATCH = 53,    // a saved state that belongs to another model, data or version
    TEMPERA_UNSAFE_LIBRARY = 54,    // the matrix library at hand can't be called from two threads
    TEMPERA_TRAINING_DIVERGED = 55, // the loss or a gradient became NaN or infinite
    TEMPERA_STOPPED = 56,           // the caller's callback asked to stop; nothing is lost
};

// "TEMPERA_NAN_INPUT"; "TEMPERA_UNKNOWN_STATUS" for a value that isn't one. Never NULL.
TEMPERA_API const char *tempera_status_name(enum tempera_status status);

// A short sentence for a person, such as "a row of scores contains a NaN". Never NULL.
TEMPERA_API const char *tempera_status_text(enum tempera_status status);

// About struct_size: structs that begin with it can gain fields at their end in later versions. Set
// it to sizeof, as the functions do that return defaults. A larger value than this version knows is
// accepted and the extra fields are ignored (tempera_version tells the version); one that is too
// small is INVALID_ARGUMENT.

// Filled by functions that read files or user input, when the caller passes one; owned by the
// caller. On success it is left with status TEMPERA_OK and an empty message.
struct tempera_error {
    enum tempera_status status;
    uint64_t offset;   // byte offset in the input where it went wrong, 0 if that has no meaning
    char message[240]; // what was wrong, where, and what to do; always ends in NUL
};

#ifdef __cplusplus
}
#endif
#endif
