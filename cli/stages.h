// SPDX-License-Identifier: MIT
// What the stages of a sampler did to a row, as a table and as JSON: explain and generate.
#ifndef CLI_STAGES_H
#define CLI_STAGES_H

#include <jansson.h>

#include <tempera/explain.h>
#include <tempera/model.h>
#include <tempera/tokenizer.h>

// What a step of generation draws from, and how its tokens read. Borrowed, all of it.
struct cli_row {
    const struct tempera_tokenizer *tokenizer;
    const struct tempera_generated *step;
};

// The token that a column stands for, and those of its bytes that are not the prompt's.
int32_t cli_row_token(const struct cli_row *row, size_t column);
const uint8_t *cli_row_bytes(const struct cli_row *row, size_t column, size_t *nbytes);

// A token in a table: so many columns, and the bytes that they may take.
enum { CLI_TOKEN_COLUMNS = 24, CLI_TOKEN_NBYTES = 128 };

// Those bytes in one line, in quotes, of CLI_TOKEN_COLUMNS at most.
void cli_row_text(const struct cli_row *row, size_t column, char *text, size_t nbytes_text);

// Adds "token", "text" and "bytes" to an object: the text may stand for bytes that are no UTF-8.
void cli_row_json(const struct cli_row *row, size_t column, json_t *object);

// Made by cli_explained_make, freed by cli_explained_free.
struct cli_explained {
    const struct tempera_sampler *sampler;
    size_t n_columns;
    struct tempera_stage_report *stages; // [sampler->n_stages + 1]
    struct tempera_token_report *tokens; // [n_tokens]
    size_t n_tokens;
    struct tempera_sample_result result;
};

// Explains a step and asks for columns[n_columns]. how: the step's row, with wants and a report of
// the caller's.
enum tempera_status cli_explained_make(struct cli_explained *explained, const struct cli_row *row,
                                       const struct tempera_sample_row *how, const int32_t *columns,
                                       size_t n_columns);
void cli_explained_free(struct cli_explained *explained);

void cli_explained_print_stages(const struct cli_explained *explained);
void cli_explained_print_tokens(const struct cli_explained *explained, const struct cli_row *row);
json_t *cli_explained_stages_json(const struct cli_explained *explained);
json_t *cli_explained_tokens_json(const struct cli_explained *explained, const struct cli_row *row);

#endif
