// SPDX-License-Identifier: MIT
// Lists of tokens as a user writes them: by id, or by the text that they contain.
#ifndef CLI_TOKEN_LISTS_H
#define CLI_TOKEN_LISTS_H

#include <tempera/sampler_stages.h>
#include <tempera/tokenizer.h>

#include "options.h"

struct cli_tokens {
    int32_t *ids; // [count], freed by the caller
    size_t count;
};

// Ids of "3,17,4" and the like, of all texts together. False after a message that says what is
// wrong with --option; *tokens is then empty.
bool cli_tokens_by_id(const char *command, const char *option, const struct cli_texts *texts,
                      const struct tempera_tokenizer *tokenizer, struct cli_tokens *tokens);

// "ID:BIAS" each, the bias a number or -inf. The caller frees *bias.
bool cli_token_biases(const char *command, const char *option, const struct cli_texts *texts,
                      const struct tempera_tokenizer *tokenizer, struct tempera_logit_bias **bias);

// All tokens of text that contain one of the texts; no token contains the empty one.
struct cli_tokens cli_tokens_with_text(const struct cli_texts *texts,
                                       const struct tempera_tokenizer *tokenizer);

#endif
