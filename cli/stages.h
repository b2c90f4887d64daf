// SPDX-License-Identifier: MIT
// What the stages of a sampler did to a row, as a table and as JSON: explain and generate.
#ifndef CLI_STAGES_H
#define CLI_STAGES_H

#include <jansson.h>

#include <tempera/explain.h>
#include <tempera/tokenizer.h>

// Made by cli_explained_make, freed by cli_explained_free.
struct cli_explained {
    const struct tempera_sampler *sampler;
    size_t vocab;
    struct tempera_stage_report *stages; // [sampler->n_stages + 1]
    struct tempera_token_report *tokens; // [n_tokens]
    size_t n_tokens;
    struct tempera_sample_result result;
};

// Explains logits[vocab] and asks for tokens ids[n_ids].
enum tempera_status cli_explained_make(struct cli_explained *explained, const float *logits,
                                       size_t vocab, const struct tempera_sample_row *row,
                                       const int32_t *ids, size_t n_ids);
void cli_explained_free(struct cli_explained *explained);

void cli_explained_print_stages(const struct cli_explained *explained);
void cli_explained_print_tokens(const struct cli_explained *explained,
                                const struct tempera_tokenizer *tokenizer);
json_t *cli_explained_stages_json(const struct cli_explained *explained);
json_t *cli_explained_tokens_json(const struct cli_explained *explained,
                                  const struct tempera_tokenizer *tokenizer);

// A token in one line, in quotes.
void cli_token_text(const struct tempera_tokenizer *tokenizer, int32_t id, char *text,
                    size_t nbytes_text);

// Adds "token", "text" and "bytes" to an object: the text may stand for bytes that are no UTF-8.
void cli_token_json(json_t *object, const struct tempera_tokenizer *tokenizer, int32_t id);

#endif
