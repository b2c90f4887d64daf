// SPDX-License-Identifier: MIT
#include "stages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/stage_info.h>

#include "support.h"
#include "text.h"

enum { BAR_WIDTH = 20 };

static const double bits_of_a_nat = 1.4426950408889634;

// ------------------------------------------------------------------------------------------------
// Columns

int32_t cli_row_token(const struct cli_row *row, size_t column)
{
    const int32_t *tokens = row->step->row->tokens;
    return tokens != NULL ? tokens[column] : (int32_t)column;
}

const uint8_t *cli_row_bytes(const struct cli_row *row, size_t column, size_t *nbytes)
{
    size_t n_known = row->step->n_known != NULL ? row->step->n_known[column] : 0;
    const uint8_t *bytes =
        tempera_tokenizer_token(row->tokenizer, cli_row_token(row, column), nbytes);
    *nbytes -= n_known;
    return bytes + n_known;
}

void cli_row_text(const struct cli_row *row, size_t column, char *text, size_t nbytes_text)
{
    size_t nbytes;
    const uint8_t *bytes = cli_row_bytes(row, column, &nbytes);
    cli_quote(bytes, nbytes, CLI_TOKEN_COLUMNS, text, nbytes_text);
}

void cli_row_json(const struct cli_row *row, size_t column, json_t *object)
{
    size_t nbytes;
    const uint8_t *bytes = cli_row_bytes(row, column, &nbytes);
    json_t *array = json_array();
    for (size_t i = 0; i < nbytes; i++)
        json_array_append_new(array, json_integer(bytes[i]));
    json_object_set_new(object, "token", json_integer(cli_row_token(row, column)));
    json_object_set_new(object, "text", cli_json_text((const char *)bytes, nbytes));
    json_object_set_new(object, "bytes", array);
}

// ------------------------------------------------------------------------------------------------
// Explaining

enum tempera_status cli_explained_make(struct cli_explained *explained, const struct cli_row *row,
                                       const struct tempera_sample_row *how, const int32_t *columns,
                                       size_t n_columns)
{
    size_t n_stages = how->sampler->n_stages + 1;
    *explained = (struct cli_explained){
        .sampler = how->sampler,
        .n_columns = row->step->n_logits,
        .stages = cli_realloc(NULL, n_stages * sizeof *explained->stages),
        .tokens = cli_realloc(NULL, n_columns * sizeof *explained->tokens),
        .n_tokens = n_columns,
    };
    const struct tempera_explanation to = {sizeof to, explained->stages, n_stages,
                                           columns,   explained->tokens, n_columns};
    struct tempera_matrix matrix =
        tempera_matrix_const_f32(row->step->logits, 1, row->step->n_logits);
    size_t nbytes = tempera_explain_scratch_nbytes(&matrix, how->sampler);
    void *scratch = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    if (scratch == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    enum tempera_status status =
        tempera_explain(&matrix, how, &to, &explained->result, scratch, nbytes);
    free(scratch);
    return status;
}

void cli_explained_free(struct cli_explained *explained)
{
    free(explained->stages);
    free(explained->tokens);
    *explained = (struct cli_explained){0};
}

// ------------------------------------------------------------------------------------------------
// Names

// A number that a stage has, but for windows: its value, too.
static bool is_number(const struct tempera_parameter_info *parameter)
{
    return parameter->stage_offset != 0 && (parameter->type == TEMPERA_PARAMETER_FLOAT ||
                                            parameter->type == TEMPERA_PARAMETER_INT32);
}

static double number_of(const struct tempera_stage *stage,
                        const struct tempera_parameter_info *parameter)
{
    const char *value = (const char *)stage + parameter->stage_offset;
    return parameter->type == TEMPERA_PARAMETER_FLOAT ? (double)*(const float *)(const void *)value
                                                      : *(const int32_t *)(const void *)value;
}

enum { STAGE_NBYTES = 128 };

// "top-k 40", and "penalties 1.1 0 0.5" with all numbers; number 0 is the row before any stage.
// Returns the length.
static int stage_text(const struct cli_explained *e, size_t number, char *text)
{
    const struct tempera_parameter_info *parameter;
    if (number == 0)
        return snprintf(text, STAGE_NBYTES, "(scores)");
    const struct tempera_stage *stage = &e->sampler->stages[number - 1];
    int length = snprintf(text, STAGE_NBYTES, "%s", tempera_stage_name(stage->kind));
    for (size_t i = 0; (parameter = tempera_describe_parameter((int)stage->kind, i)) != NULL; i++)
        if (is_number(parameter) && length < STAGE_NBYTES / 2)
            length += snprintf(text + length, STAGE_NBYTES - (size_t)length, " %g",
                               number_of(stage, parameter));
    return length;
}

// ------------------------------------------------------------------------------------------------
// Tables

void cli_explained_print_stages(const struct cli_explained *e)
{
    char text[STAGE_NBYTES];
    int width = 0;
    for (size_t s = 0; s <= e->sampler->n_stages; s++) {
        int length = stage_text(e, s, text);
        width = length > width ? length : width;
    }
    printf("%-*s  %8s  %9s  %9s  %9s  %7s\n", width, "stage", "tokens", "removed", "entropy", "KL",
           "T");
    for (size_t s = 0; s <= e->sampler->n_stages; s++) {
        const struct tempera_stage_report *report = &e->stages[s];
        char bar[3 * BAR_WIDTH + 4];
        double entropy = report->entropy * bits_of_a_nat;
        stage_text(e, s, text);
        cli_bar(entropy / log2((double)e->n_columns), BAR_WIDTH, bar);
        printf("%-*s  %8llu  %7.3f %%  %9.3f  %9.3f  %7.4g  %s\n", width, text,
               (unsigned long long)report->n_left, 100 * report->mass_removed, entropy,
               report->divergence * bits_of_a_nat, report->temperature, bar);
    }
}

static void print_fate(const struct cli_explained *e, const struct tempera_token_report *token)
{
    if (token->removed_by == TEMPERA_TOKEN_MASKED) {
        printf("it never was a candidate\n");
        return;
    }
    printf("rank %llu, %.3f %% of the scores; ", (unsigned long long)token->raw_rank,
           100 * exp((double)token->raw_logprob));
    if (token->removed_by == TEMPERA_TOKEN_STAYED) {
        printf("it stays, with %.3f %%\n", 100 * exp((double)token->final_logprob));
        return;
    }
    char text[STAGE_NBYTES];
    stage_text(e, (size_t)token->removed_by + 1, text);
    if (isinf(token->missed_by))
        printf("it is banned by %s\n", text);
    else
        printf("%s removes it, %.3g nats (a factor of %.3g) from what stays\n", text,
               token->missed_by, exp(token->missed_by));
}

void cli_explained_print_tokens(const struct cli_explained *e, const struct cli_row *row)
{
    for (size_t i = 0; i < e->n_tokens; i++) {
        char text[CLI_TOKEN_NBYTES];
        cli_row_text(row, (size_t)e->tokens[i].column, text, sizeof text);
        printf("%s (%d): ", text, e->tokens[i].token);
        print_fate(e, &e->tokens[i]);
    }
}

// ------------------------------------------------------------------------------------------------
// JSON

// The number that stands for a stage, null where none does.
static json_t *parameter_json(const struct tempera_stage *stage)
{
    const struct tempera_parameter_info *parameter;
    int kind = stage == NULL ? 0 : (int)stage->kind;
    for (size_t i = 0; (parameter = tempera_describe_parameter(kind, i)) != NULL; i++)
        if (parameter->is_main)
            return cli_json_temperature(number_of(stage, parameter));
    return json_null();
}

json_t *cli_explained_stages_json(const struct cli_explained *e)
{
    json_t *stages = json_array();
    for (size_t s = 0; s <= e->sampler->n_stages; s++) {
        const struct tempera_stage_report *report = &e->stages[s];
        const struct tempera_stage *stage = s == 0 ? NULL : &e->sampler->stages[s - 1];
        json_array_append_new(stages,
                              json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o}", "stage",
                                        stage == NULL ? "scores" : tempera_stage_name(stage->kind),
                                        "parameter", parameter_json(stage), "kept",
                                        (json_int_t)report->n_left, "mass_removed",
                                        cli_json_number(report->mass_removed), "entropy_bits",
                                        cli_json_number(report->entropy * bits_of_a_nat), "kl_bits",
                                        cli_json_number(report->divergence * bits_of_a_nat),
                                        "temperature", cli_json_temperature(report->temperature)));
    }
    return stages;
}

static json_t *remover_json(const struct cli_explained *e, int32_t removed_by)
{
    if (removed_by == TEMPERA_TOKEN_STAYED)
        return json_null();
    if (removed_by == TEMPERA_TOKEN_MASKED)
        return json_string("mask");
    return json_string(tempera_stage_name(e->sampler->stages[removed_by].kind));
}

json_t *cli_explained_tokens_json(const struct cli_explained *e, const struct cli_row *row)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < e->n_tokens; i++) {
        const struct tempera_token_report *report = &e->tokens[i];
        json_t *token =
            json_pack("{s:o, s:o, s:I, s:o, s:o}", "removed_by",
                      remover_json(e, report->removed_by), "missed_by_nats",
                      cli_json_number(report->missed_by), "rank", (json_int_t)report->raw_rank,
                      "raw_logprob", cli_json_number((double)report->raw_logprob), "logprob",
                      cli_json_number((double)report->final_logprob));
        cli_row_json(row, (size_t)report->column, token);
        json_array_append_new(tokens, token);
    }
    return tokens;
}
