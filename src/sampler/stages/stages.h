// SPDX-License-Identifier: MIT
// The stages, each a function on the candidates, and what the table says about them.
#ifndef TEMPERA_SAMPLER_STAGES_STAGES_H
#define TEMPERA_SAMPLER_STAGES_STAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tempera/stage_info.h>

#include "sampler/row/candidates.h"

// What feedback stages learn from: the index of a candidate, and its -ln p in the distribution that
// was drawn from.
struct tempera_drawn {
    size_t index;
    double surprise;
};

enum { TEMPERA_MOST_PARAMETERS = 6 };

// A kind of stage. The table of all is in table.c. NULL where there is nothing of the kind.
struct tempera_stage_type {
    struct tempera_stage_info info;
    // Up to the first without a name.
    struct tempera_parameter_info parameters[TEMPERA_MOST_PARAMETERS + 1];
    // What is wrong with parameters that are in their ranges, or NULL.
    const char *(*complaint)(const struct tempera_stage *stage);
    // The candidates are at least one; only bans can leave none.
    void (*apply)(struct tempera_candidates *c, const struct tempera_stage *stage);
    // Bytes of scratch beside the candidates.
    size_t (*scratch_nbytes)(const struct tempera_stage *stage, size_t vocab);
    // Of feedback stages, which have both: the level to begin with, and the next one if what is
    // drawn is accepted. Nothing comes between apply and next_feedback but the draw.
    double (*initial_feedback)(const struct tempera_stage *stage);
    double (*next_feedback)(const struct tempera_candidates *c, const struct tempera_stage *stage,
                            const struct tempera_drawn *drawn);
    // Where a preset's stage is more than a copy of its parameters: fills in what is missing, and
    // says whether it is on.
    bool (*preset)(const struct tempera_sampling_params *params, struct tempera_stage *stage);
    bool takes_whole; // apply works on whole rows
};

// NULL if there is no such kind.
const struct tempera_stage_type *tempera_stage_type_of(enum tempera_stage_kind kind);

// The feedback stage, NULL if there is none.
const struct tempera_stage *tempera_feedback_stage(const struct tempera_sampler *sampler);

// Bytes of scratch for the stages. The sampler is valid.
size_t tempera_sampler_stage_scratch_nbytes(const struct tempera_sampler *sampler, size_t vocab);

// The highest token that a stage names, -1 if it names none.
int32_t tempera_stage_highest_token(const struct tempera_stage *stage);

// How many of the last tokens a stage looks at.
int32_t tempera_stage_window(const struct tempera_stage *stage);

// What a parameter of a type says as a number; of a list, its count.
double tempera_parameter_number(enum tempera_parameter_type type, const void *value);

void tempera_apply_temperature(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_dynamic_temperature(struct tempera_candidates *c,
                                       const struct tempera_stage *stage);
void tempera_apply_smoothing(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_logit_bias(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_penalties(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_dry(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_allow(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_ban(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_no_repeat_ngram(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_top_k(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_top_p(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_min_p(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_epsilon(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_eta(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_top_a(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_p_less(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_top_n_sigma(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_typical(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_top_h(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_tail_free(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_xtc(struct tempera_candidates *c, const struct tempera_stage *stage);

void tempera_apply_mirostat_1(struct tempera_candidates *c, const struct tempera_stage *stage);
void tempera_apply_mirostat_2(struct tempera_candidates *c, const struct tempera_stage *stage);
double tempera_initial_feedback_mirostat(const struct tempera_stage *stage);
double tempera_next_feedback_mirostat(const struct tempera_candidates *c,
                                      const struct tempera_stage *stage,
                                      const struct tempera_drawn *drawn);

void tempera_apply_adaptive_p(struct tempera_candidates *c, const struct tempera_stage *stage);
size_t tempera_scratch_nbytes_adaptive_p(const struct tempera_stage *stage, size_t vocab);
double tempera_initial_feedback_adaptive_p(const struct tempera_stage *stage);
double tempera_next_feedback_adaptive_p(const struct tempera_candidates *c,
                                        const struct tempera_stage *stage,
                                        const struct tempera_drawn *drawn);

bool tempera_preset_of_temperature(const struct tempera_sampling_params *params,
                                   struct tempera_stage *stage);
bool tempera_preset_of_dynamic_temperature(const struct tempera_sampling_params *params,
                                           struct tempera_stage *stage);
bool tempera_preset_of_mirostat_1(const struct tempera_sampling_params *params,
                                  struct tempera_stage *stage);
bool tempera_preset_of_mirostat_2(const struct tempera_sampling_params *params,
                                  struct tempera_stage *stage);

#endif
