// SPDX-License-Identifier: MIT
// A row on its way through the stages: the candidates that are left, their scores, and the
// temperature so far. In the order of a call: sample.c (rows of a batch), check.c (arguments),
// chain.c (one row), candidates.c (what may be drawn), stages.c (the table of stages), scores.c and
// dry.c (those that change scores), bans.c (those that remove tokens by name); those that filter:
// select.c (by rank), nucleus.c, thresholds.c, typical.c, top_h.c, tail_free.c, xtc.c; those that
// learn: mirostat.c, adaptive_p.c; draw.c, race.c; logprobs.c (what is reported). Beside them
// weigh.c (masses and sums of them), best.c (the largest of many) and state.c (history). The other
// calls: explain.c, draws.c, speculative.c, beam.c, guide.c; presets.c writes chains. The
// definitions are in docs/SAMPLING.md.
#ifndef TEMPERA_SAMPLER_SAMPLER_H
#define TEMPERA_SAMPLER_SAMPLER_H

#include <stdbool.h>
#include <string.h>

#include <tempera/sampler.h>

#include "base/half.h"
#include "kernels/kernels.h"

// A sum of masses: at most 2^31 of them, each below 2^52.
__extension__ typedef unsigned __int128 tempera_u128;

// The longest window; keeps the size of a state within 32 bits.
enum { TEMPERA_WINDOW_MAX = 1 << 28 };

// Taken off the logarithm of a threshold. Covers the rounding of a parameter to f32: the float 0.1f
// is above 0.1, and without it epsilon = 0.1 would remove ten equal tokens.
#define TEMPERA_LOG_SLACK 0x1p-22

// A score that a stage has changed while the row is whole.
struct tempera_patch {
    int32_t id;
    float score;
    uint16_t next; // number, from 1, of another one in the same block; 0: there is none
};

enum { TEMPERA_PATCHES = 256 };

// Floats that an array for n of them has room for: kernels write whole vectors.
#define TEMPERA_ROOM(n) (((n) + 31) / 16 * 16)

// As long as no token was removed by its score, a row stays where it lies, or where it was unpacked
// to, with a few patches: most chains then need a fraction of it only. A stage that says so in the
// table works on whole rows, too; for the others what is left is gathered first.
//
// Scores are those of the row, with what stages added or multiplied; the temperature is kept
// beside them, so that it is never rounded into them. What a stage sees as z is score / T.
struct tempera_candidates {
    const float *whole; // [n_whole], by id, -inf where there is no candidate; NULL: gathered
    size_t n_whole;
    float *maxima; // of the whole row's blocks of TEMPERA_SURVEY_BLOCK, patches included
    struct tempera_patch *patches; // [n_patches], of n_patches <= TEMPERA_PATCHES different tokens
    uint16_t *first_patch;         // of each block, as `next`; set once there are patches
    size_t n_patches;
    float *own; // room for a whole row

    int32_t *ids;     // [n], ascending, once gathered; room for all tokens
    float *scores;    // [n], finite, once gathered; room for all tokens
    uint64_t *masses; // room for all tokens, for whoever needs it, of two whole rows of floats
    size_t n;
    float max;                // the largest score
    double temperature;       // T, the product so far, in [2^-1000, 2^1000]
    double chain_temperature; // the product of all temperatures; once 0 or inf, it stays so
    uint64_t step;            // numbers the draws
    const struct tempera_sample_row *row; // what the caller says of it, the history among it
    void *room; // as large as the stage that needs most has asked for; each uses it as it likes
};

// ------------------------------------------------------------------------------------------------
// Candidates

// Begins with what `mask` (NULL: all) allows of scores z[n], in arrays that have room for n rounded
// up to 16. Scores of +inf leave only themselves and become 0. Returns OK, NAN_INPUT or ALL_MASKED.
enum tempera_status tempera_candidates_begin(struct tempera_candidates *c, const float *z,
                                             const uint32_t *mask, size_t n);

// Gathers what is left of a whole row.
void tempera_candidates_gather(struct tempera_candidates *c);

// The place of a token: its number among the gathered, its id in a whole row. SIZE_MAX if it is no
// candidate.
size_t tempera_candidates_find(const struct tempera_candidates *c, int32_t id);

// To the nearest float. What is finite stays finite: only a ban removes a token.
static inline float tempera_to_score(double score)
{
    const double largest = 0x1.fffffep127;
    return (float)(score > largest ? largest : score < -largest ? -largest : score);
}

// The score at a place, and changing it; -inf removes. Afterwards, `settle` is to be called.
float tempera_candidates_score(const struct tempera_candidates *c, size_t place);
void tempera_candidates_change(struct tempera_candidates *c, size_t place, float score);

// To be called after changing scores: drops those that became -inf, finds the maximum.
void tempera_candidates_settle(struct tempera_candidates *c);

// To be called after removing the maximum from gathered candidates.
void tempera_candidates_find_max(struct tempera_candidates *c);

// Copies candidate `from` to place `to`, once gathered. By value, so that a loop has the pointers
// in registers.
static inline void tempera_candidates_move(struct tempera_candidates c, size_t from, size_t to)
{
    c.ids[to] = c.ids[from];
    c.scores[to] = c.scores[from];
}

// Keeps the candidates with scores of `score` or more.
void tempera_candidates_keep_from(struct tempera_candidates *c, float score);

// Keeps the scores in [low, high], of gathered candidates.
void tempera_candidates_keep_within(struct tempera_candidates *c, float low, float high);

// Keeps the scores above `score` and the first n_ties of those equal to it, of gathered candidates.
void tempera_candidates_keep_ties(struct tempera_candidates *c, float score, size_t n_ties);

// Keeps the first min(k, n) of the order (score descending, id ascending); k > 0.
void tempera_candidates_keep_first(struct tempera_candidates *c, size_t k);

// The k-th largest of the maxima of a whole row's blocks, which at least k scores reach; -infinity
// if there are fewer blocks.
float tempera_candidates_largest_maximum(const struct tempera_candidates *c, size_t k);

// Makes all scores equal.
void tempera_candidates_level(struct tempera_candidates *c);

// The random bits of the row for a purpose.
tempera_u128 tempera_candidates_luck(const struct tempera_candidates *c, uint32_t draw);

// ------------------------------------------------------------------------------------------------
// Masses

// The scores that masses are computed from, by place; a whole row has its patches in it then.
struct tempera_scores {
    const float *z;
    size_t n;
};

struct tempera_scores tempera_candidates_scores(struct tempera_candidates *c);

// How masses follow from scores, at the temperature so far.
struct tempera_scale {
    float max;
    double T;
    bool is_ordinary;
    struct tempera_exponent exponent; // if so
    uint64_t largest;                 // the mass of the maximum
};

struct tempera_scale tempera_scale_of(const struct tempera_candidates *c);

// w[n] of the scores z[n].
void tempera_scale_masses(const struct tempera_scale *scale, const float *z, size_t n, uint64_t *w);

// The sum of the masses of scores z[n]; n at most TEMPERA_MASSES_PER_SUM.
uint64_t tempera_scale_sum(const struct tempera_scale *scale, const float *z, size_t n);

// W, the sum of the masses.
tempera_u128 tempera_candidates_weigh(struct tempera_candidates *c);

// The same, of gathered candidates, whose masses it stores.
tempera_u128 tempera_candidates_fill_masses(struct tempera_candidates *c);

tempera_u128 tempera_masses_total(const uint64_t *masses, size_t n);

// How far a score lies below the maximum, in nats: x = (m - z) / T, at most 1024, where masses have
// long been 0.
static inline double tempera_depth(float score, float max, double inverse_T)
{
    double x = ((double)max - (double)score) * inverse_T;
    return x < 1024 ? x : 1024;
}

// -ln p of the maximum, W being the sum of the masses: ln(W / largest), with no loss where it is
// small.
double tempera_lambda_of(tempera_u128 W, const struct tempera_scale *scale);

// The sums of masses, and of masses times depths, of scores z[n].
struct tempera_depth_sums {
    tempera_u128 W, V;
};

struct tempera_depth_sums tempera_scale_depths(const struct tempera_scale *scale, const float *z,
                                               size_t n);

// The distribution in a few numbers.
struct tempera_moments {
    tempera_u128 W;
    double lambda;
    double mean_depth; // the mean of x, each weighted by its p. With lambda it is the entropy
};

struct tempera_moments tempera_candidates_moments(struct tempera_candidates *c);

// lambda alone, in less time.
double tempera_candidates_lambda(struct tempera_candidates *c);

// The sum of p^2, divided by p_max.
double tempera_candidates_squares(struct tempera_candidates *c);

// ------------------------------------------------------------------------------------------------
// Stages

// What learning stages learn from: the place of a candidate, and its -ln p in the distribution that
// was drawn from.
struct tempera_drawn {
    size_t place;
    double surprise;
};

// A kind of stage. The table of all is in stages.c.
struct tempera_stage_type {
    const char *name;
    // What is wrong with the parameters, or NULL.
    const char *(*complaint)(const struct tempera_stage *stage);
    // The candidates are at least one; only bans can leave none.
    void (*apply)(struct tempera_candidates *c, const struct tempera_stage *stage);
    // NULL where there is nothing of the kind:
    int32_t (*highest_token)(const struct tempera_stage *stage);     // that it names, -1: none
    int32_t (*window)(const struct tempera_stage *stage);            // the history that it looks at
    size_t (*room)(const struct tempera_stage *stage, size_t vocab); // bytes beside the candidates
    // Of learning stages, which have both: the level to begin with, and the next one if what is
    // drawn is accepted. Nothing comes between apply and learn but the draw.
    double (*first_level)(const struct tempera_stage *stage);
    double (*learn)(const struct tempera_candidates *c, const struct tempera_stage *stage,
                    const struct tempera_drawn *drawn);
    bool takes_whole; // apply works on whole rows
};

// NULL if there is no such kind.
const struct tempera_stage_type *tempera_stage_type_of(enum tempera_stage_kind kind);

// The stage that learns, NULL if there is none.
const struct tempera_stage *tempera_learning_stage(const struct tempera_sampler *sampler);

// Bytes of room for the stages. The sampler is valid.
size_t tempera_sampler_room(const struct tempera_sampler *sampler, size_t vocab);

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
double tempera_first_level_mirostat(const struct tempera_stage *stage);
double tempera_learn_mirostat(const struct tempera_candidates *c, const struct tempera_stage *stage,
                              const struct tempera_drawn *drawn);

void tempera_apply_adaptive_p(struct tempera_candidates *c, const struct tempera_stage *stage);
size_t tempera_room_adaptive_p(const struct tempera_stage *stage, size_t vocab);
double tempera_first_level_adaptive_p(const struct tempera_stage *stage);
double tempera_learn_adaptive_p(const struct tempera_candidates *c,
                                const struct tempera_stage *stage,
                                const struct tempera_drawn *drawn);

// Keeps m - z_i <= -T min(l, 0), and as many as the stage wants at least.
void tempera_keep_within(struct tempera_candidates *c, const struct tempera_stage *stage, double l);

// floor(P W) and ceil(P W), exactly, for P in [0, 1] and W below 2^104.
tempera_u128 tempera_share_below(float P, tempera_u128 W);
tempera_u128 tempera_share_above(float P, tempera_u128 W);

// A score as an integer in the same order; the zeros apart.
static inline uint32_t tempera_score_key(float score)
{
    uint32_t bits = tempera_float_bits(score);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// And back.
static inline float tempera_key_score(uint32_t key)
{
    return tempera_bits_float(key >> 31 ? key & 0x7FFFFFFFu : ~key);
}

// An order of scores, the first with the largest key: by score, or by how near the depth lies to a
// centre.
struct tempera_ranking {
    const struct tempera_scale *scale; // of the masses
    bool counts;                       // each score weighs 1, not its mass
    bool ends_late;                    // the end is likely behind two thirds of the scores
    bool by_distance;                  // the rest is for this, and scale
    double inverse_T, centre;
    uint32_t nearest; // the score key of the first of all floats
};

struct tempera_ranking tempera_ranking_by_distance(const struct tempera_scale *scale,
                                                   double centre);

// The scores at which a prefix ends: all have the same key. Those with a larger one weigh `above`.
struct tempera_prefix_end {
    uint64_t key;
    const float *scores; // [n], in the room or where they were
    size_t n;
    tempera_u128 above;
};

// Finds where the weights of scores[n], n > 0, from the first in the order on, reach `least`. If
// they don't, the end is the last of them. room: two arrays of n floats, with room.
struct tempera_prefix_end tempera_find_end(const struct tempera_ranking *ranking,
                                           const float *scores, size_t n, tempera_u128 least,
                                           float *room);

uint64_t tempera_ranking_key(const struct tempera_ranking *ranking, float score);

// The sum of the weights of scores[n].
tempera_u128 tempera_weight_of(const struct tempera_ranking *ranking, const float *scores,
                               size_t n);

// The interval of the scores that come no later than those with this key.
struct tempera_interval {
    float low, high;
};

struct tempera_interval tempera_interval_of(const struct tempera_ranking *ranking, uint64_t key);

// How many of equal scores are needed for their weights to reach `missing`, which isn't 0. SIZE_MAX
// if they have none.
size_t tempera_ties_needed(const struct tempera_ranking *ranking, float score,
                           tempera_u128 missing);

// Keeps the smallest prefix of the order by score that weighs `least` or more and has min_keep
// candidates; of gathered ones, whose room for masses it uses. False if these aren't enough.
bool tempera_keep_prefix(struct tempera_candidates *c, const struct tempera_ranking *by_score,
                         tempera_u128 least, size_t min_keep);

// Gathers the scores from some one on, which it returns, such that about `tail` of the mass lies
// below: a guess from a sample, so whoever uses it has to find out whether that is enough.
// -infinity: all were gathered.
float tempera_gather_likely(struct tempera_candidates *c, double tail);

// The next float below or above, the zeros being one.
static inline float tempera_score_before(float score)
{
    return score == 0 ? -0x1p-149f : tempera_key_score(tempera_score_key(score) - 1);
}

static inline float tempera_score_after(float score)
{
    return score == 0 ? 0x1p-149f : tempera_key_score(tempera_score_key(score) + 1);
}

// The mass that top-p has to keep of W: max(1, ceil(P W) - floor(W / 2^24)), exactly.
tempera_u128 tempera_nucleus_weight(float P, tempera_u128 W);

// ------------------------------------------------------------------------------------------------
// History

// OK if the state (NULL: none) is sound, remembers enough for the sampler and learns what it does;
// else STATE_MISMATCH or INVALID_ARGUMENT.
enum tempera_status tempera_state_check(const struct tempera_sampler_state *state,
                                        const struct tempera_sampler *sampler);

// How many tokens there are in the last `window`, and number i of them, the latest first.
size_t tempera_state_n_recent(const struct tempera_sampler_state *state, size_t window);
int32_t tempera_state_recent(const struct tempera_sampler_state *state, size_t i);

// True if that token was drawn, false if it is one of the prompt.
bool tempera_state_recent_was_drawn(const struct tempera_sampler_state *state, size_t i);

// Into matches[i], for i in [1, n): how many tokens before number i - 1 are also the last ones of
// the history, so that the token i - 1 may come again. Of the last n tokens, in linear time.
void tempera_state_matches(const struct tempera_sampler_state *state, size_t n, int32_t *matches);

// What was learned so far: the state's level, or without a state what learning begins with.
double tempera_row_level(const struct tempera_sample_row *row);

// ------------------------------------------------------------------------------------------------
// The draw

// What draws are numbered by: every purpose has its own numbers, so that no stage shifts another's
// luck.
enum tempera_draw_number {
    TEMPERA_DRAW_TOKEN = 0,             // + i for draw number i of several
    TEMPERA_DRAW_XTC = 0x40000000,      // + i for the XTC stage number i, XTC stages counted only
    TEMPERA_DRAW_ACCEPT = 0x50000000,   // speculative verification: is the drafted token accepted?
    TEMPERA_DRAW_RESIDUAL = 0x50000001, // and if not, which one is it?
};

// A token's noise, + its id; too large for an enumeration.
#define TEMPERA_DRAW_NOISE 0x80000000u

// 128 random bits of (seed, stream, step, draw).
tempera_u128 tempera_draw_bits(uint64_t seed, uint32_t stream, uint64_t step, uint32_t draw);

// What the running mass of the drawn token exceeds first: floor(bits W / 2^128).
tempera_u128 tempera_draw_target(tempera_u128 bits, tempera_u128 W);

// The draw as a function of its bits: the first index whose prefix sum exceeds the target, where W
// > 0 is the sum of masses[n].
size_t tempera_draw_index(const uint64_t *masses, size_t n, tempera_u128 bits);

// What draws are made from, any number of them: sums of the masses by blocks.
struct tempera_sums {
    struct tempera_scores scores;
    struct tempera_scale scale;
    uint64_t *sums; // in the room for masses
    tempera_u128 W;
};

struct tempera_sums tempera_candidates_sums(struct tempera_candidates *c);

// The place of the candidate that is drawn.
size_t tempera_sums_draw(const struct tempera_sums *s, tempera_u128 bits);

// An exponential variable made of 64 bits: -ln((r + 1/2) / 2^64), in (0, 38), to 2 ulp.
double tempera_race_noise(uint64_t r);

#endif
