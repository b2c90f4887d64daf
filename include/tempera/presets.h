// SPDX-License-Identifier: MIT
// The parameters that people know by name, and the two orders in which engines apply them:
//
//     struct tempera_sampling_params params = tempera_sampling_params_llama_cpp();
//     params.temperature = 0.7f;
//     struct tempera_stage stages[TEMPERA_PRESET_STAGES];
//     size_t n = tempera_preset_temperature_last(&params, stages);
//     struct tempera_sampler sampler = tempera_sampler_of(stages, n);
//
// The orders differ in what filters see: the distribution at T, if the temperature comes first, or
// the one at T = 1. At T = 1.5 top-p keeps far more in the former. Neither is wrong, so the caller
// has to choose. Read first: sampler_stages.h.
#ifndef TEMPERA_PRESETS_H
#define TEMPERA_PRESETS_H

#include <tempera/sampler_stages.h>

#ifdef __cplusplus
extern "C" {
#endif

// Ranges and off-values are those of the stages, unless said otherwise. Lists are borrowed. Later
// versions append, and struct_size tells them what the caller knows.
struct tempera_sampling_params {
    size_t struct_size;
    uint32_t min_keep; // of every filter
    float temperature;
    float temperature_range;    // dynamic temperature: from T - range, at least 0, to T + range; 0
                                // is off; no meaning at T = 0 or inf
    float temperature_exponent; // of that
    float smoothing_factor, smoothing_curve;
    int32_t top_k;
    float top_p, min_p, typical, epsilon, eta, tail_free, top_a, top_h;
    float top_n_sigma; // a negative value, too, is off
    int32_t p_less;    // not 0: on
    float xtc_probability, xtc_threshold;
    struct tempera_token_list xtc_spared;
    float repetition_penalty, presence_penalty, frequency_penalty;
    int32_t penalty_window;
    int32_t penalty_drawn_only; // not 0: presence and frequency ignore the prompt's tokens
    float dry_multiplier, dry_base;
    int32_t dry_allowed_length, dry_window;
    struct tempera_token_list dry_breakers;
    int32_t ngram, ngram_window;
    const struct tempera_logit_bias *logit_bias; // [n_logit_bias]
    size_t n_logit_bias;
    struct tempera_token_list allowed; // count 0: off
    struct tempera_token_list banned;
    int32_t mirostat; // 0: off; 1, 2: instead of all filters
    float mirostat_tau, mirostat_eta;
    int32_t mirostat_m;
    float adaptive_target; // a negative value is off
    float adaptive_decay;
};

enum { TEMPERA_PRESET_STAGES = 32 };

// Everything off, T = 1: what vLLM and OpenAI begin with. Windows of 1024, presence and frequency
// for what was drawn only.
TEMPERA_API struct tempera_sampling_params tempera_sampling_params_default(void);

// llama.cpp's: T = 0.8, top-k 40, top-p 0.95, min-p 0.05; windows of 64, for all tokens alike.
TEMPERA_API struct tempera_sampling_params tempera_sampling_params_llama_cpp(void);

// Both fill stages[TEMPERA_PRESET_STAGES] and return how many there are; 0 stages make a valid
// sampler, too. Stages that are off are left out. The array is an ordinary one: add to it, or
// change it. Nothing is checked: tempera_sampler_check does, on the sampler. It refuses what params
// with too small a struct_size or an unknown mirostat give, and mirostat together with adaptive-p.
// The whole orders are in docs/SAMPLING.md, and tempera_describe_preset (stage_info.h) has them as
// data.

// The order of Transformers, vLLM and OpenAI: temperatures before all filters.
TEMPERA_API size_t tempera_preset_temperature_first(const struct tempera_sampling_params *params,
                                                    struct tempera_stage *stages);

// llama.cpp's order: temperatures after all filters.
TEMPERA_API size_t tempera_preset_temperature_last(const struct tempera_sampling_params *params,
                                                   struct tempera_stage *stages);

#ifdef __cplusplus
}
#endif
#endif
