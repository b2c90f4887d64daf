// SPDX-License-Identifier: MIT
// The vectors of tests/golden/sampling: the library still gives what the files say. What is in a
// file is described in the README beside them. tests/sampler/sampling_reference.py checks them
// against the definitions; scripts/make-sampling-vectors writes them:
//
//     test_sampler_golden [--write FOLDER]
//
// Writing leaves `kept` and `masses` empty, which the public calls don't tell: the reference fills
// them in. So they are passed over here, where files are compared line by line.
#include "check.h"
#include "golden_case.h"
#include "golden_json.h"

enum { LINE = 4096 };

// ------------------------------------------------------------------------------------------------
// Rows

// Ordinary scores with all their bits, ties with zeros of both signs, equal ones, one alone, and
// some that can't or can hardly be drawn.
static struct row spread = {"spread", 20, {0}};
static const struct row ties = {"ties", 12, {0, 1, -1, 2, 1, -0.0f, 2, -1, 1, 0, 2, -0.0f}};
static const struct row equal = {
    "equal", 10, {1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f, 1.5f}};
static const struct row alone = {"alone",
                                 12,
                                 {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -7.25f, -INFINITY,
                                  -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY,
                                  -INFINITY}};
static const struct row gaps = {"gaps",
                                16,
                                {-60, -INFINITY, 3, 2.5f, -36, -31.75f, -INFINITY, 0.125f, 3, -90,
                                 -2, -33.5f, 1, -5, -8, -1e30f}};

static const struct row certain = {"certain", 3, {-100, 0, -200}}; // no entropy, with three left
static const struct row infinite = {"infinite", 6, {1, INFINITY, 3, -INFINITY, INFINITY, 1e38f}};
static const struct row nan_row = {"nan", 6, {1, 2, NAN, 0.5f, -INFINITY, 1.5f}};
static const struct row nothing = {"nothing", 3, {-INFINITY, -INFINITY, -INFINITY}};
static const struct row huge = {
    "huge", 8, {3.2e38f, 3.0e38f, -3.4e38f, 1e31f, 2e31f, 0, 3.2e38f, 3.19999e38f}};
static const struct row tiny = {
    "tiny", 8, {1e-40f, 2e-40f, 0, -1e-40f, 1.17549435e-38f, 3e-40f, 2e-40f, -1e-38f}};
static const struct row far_up = {
    "far up", 8, {1e6f, 1000001.5f, 999999.25f, 999990, 1000001.5f, 1e6f, 1000000.5f, 0}};

static const struct row *const usual_rows[] = {&spread, &ties, &equal, &alone, &gaps};

// Near enough to normal numbers; no two machines differ about them.
static void fill_spread(void)
{
    uint64_t state = 11;
    for (size_t i = 0; i < spread.n; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (double)(state >> 33) * 0x1p-30 - 1;
        }
        spread.z[i] = (float)(sum * 2.25);
    }
}

// ------------------------------------------------------------------------------------------------
// Files: each has the rows that it asks about, and all its chains for each of them

static const int32_t history[] = {3, 1, 4, 1, 5, 9, 2, 1, 3, 5};

static const struct tempera_logit_bias biases[] = {
    {2, 1.5f}, {0, -0.75f}, {2, 0.1f}, {4, -INFINITY}, {9, 30}};
static const struct tempera_logit_bias bans[] = {
    {0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}, {3, -INFINITY}, {4, -INFINITY}, {5, -INFINITY},
    {4, 1},         {6, -INFINITY}, {7, -INFINITY}, {8, -INFINITY}, {9, -INFINITY}};

static void ask_all(struct file *file, const struct row *const *rows, size_t n_rows,
                    const struct chain *chains, size_t n_chains)
{
    for (size_t c = 0; c < n_chains; c++)
        for (size_t r = 0; r < n_rows; r++)
            golden_ask(file, &(struct question){.row = rows[r], .chain = &chains[c]});
}

static void ask_usual(struct file *file, const struct chain *chains, size_t n_chains)
{
    ask_all(file, usual_rows, COUNT_OF(usual_rows), chains, n_chains);
}

static void ask_temperature(struct file *file)
{
    const struct chain chains[] = {
        {"nothing at all", {tempera_stage_temperature(1)}},
        {"T = 0", {tempera_stage_temperature(0)}},
        {"T = 0.7", {tempera_stage_temperature(0.7f)}},
        {"T = 2", {tempera_stage_temperature(2)}},
        {"T = inf", {tempera_stage_temperature(INFINITY)}},
        {"two temperatures", {tempera_stage_temperature(0.3f), tempera_stage_temperature(5)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static struct chain eight_times(const char *name, struct tempera_stage stage)
{
    struct chain chain = {.name = name};
    for (size_t i = 0; i < 8; i++)
        chain.stages[i] = stage;
    return chain;
}

// Where f32 arithmetic needs another way, or just doesn't yet.
static void ask_extremes(struct file *file)
{
    static const struct row *const rows[] = {&spread, &gaps, &huge, &tiny, &far_up};
    const struct chain chains[] = {
        {"T = 1", {tempera_stage_temperature(1)}},
        {"T = 2e-36", {tempera_stage_temperature(2e-36f)}},
        {"T = 1e-38", {tempera_stage_temperature(1e-38f)}},
        {"T = 1e-42", {tempera_stage_temperature(1e-42f)}},
        {"T = 1e29", {tempera_stage_temperature(1e29f)}},
        {"T = 3e38", {tempera_stage_temperature(3e38f)}},
        {"T = 3e38, typical", {tempera_stage_temperature(3e38f), tempera_stage_typical(0.6f)}},
        {"T = 1e38, p-less", {tempera_stage_temperature(1e38f), tempera_stage_p_less()}},
        eight_times("0 by eight stages", tempera_stage_temperature(1e-38f)),
        eight_times("inf by eight stages", tempera_stage_temperature(3e38f)),
    };
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

static void ask_top_k(struct file *file)
{
    const struct chain chains[] = {
        {"k = 0", {tempera_stage_top_k(0)}},
        {"k = 1", {tempera_stage_top_k(1)}},
        {"k = 4", {tempera_stage_top_k(4)}},
        {"k = 100", {tempera_stage_top_k(100)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_top_p(struct file *file)
{
    const struct chain chains[] = {
        {"p = 0", {tempera_stage_top_p(0)}},      {"p = 0.3", {tempera_stage_top_p(0.3f)}},
        {"p = 0.8", {tempera_stage_top_p(0.8f)}}, {"p = 0.999", {tempera_stage_top_p(0.999f)}},
        {"p = 1", {tempera_stage_top_p(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_min_p(struct file *file)
{
    const struct chain chains[] = {
        {"p = 0", {tempera_stage_min_p(0)}},
        {"p = 0.05", {tempera_stage_min_p(0.05f)}},
        {"p = 0.4", {tempera_stage_min_p(0.4f)}},
        {"p = 1", {tempera_stage_min_p(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_typical(struct file *file)
{
    const struct chain chains[] = {
        {"p = 0", {tempera_stage_typical(0)}},
        {"p = 0.2", {tempera_stage_typical(0.2f)}},
        {"p = 0.9", {tempera_stage_typical(0.9f)}},
        {"p = 1", {tempera_stage_typical(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_epsilon(struct file *file)
{
    const struct chain chains[] = {
        {"epsilon = 0", {tempera_stage_epsilon(0)}},
        {"epsilon = 0.01", {tempera_stage_epsilon(0.01f)}},
        {"epsilon = 0.1", {tempera_stage_epsilon(0.1f)}},
        {"epsilon = 1", {tempera_stage_epsilon(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_eta(struct file *file)
{
    const struct chain chains[] = {
        {"epsilon = 0", {tempera_stage_eta(0)}},
        {"epsilon = 0.01", {tempera_stage_eta(0.01f)}},
        {"epsilon = 0.3", {tempera_stage_eta(0.3f)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_tail_free(struct file *file)
{
    const struct chain chains[] = {
        {"z = 0", {tempera_stage_tail_free(0)}},
        {"z = 0.5", {tempera_stage_tail_free(0.5f)}},
        {"z = 0.95", {tempera_stage_tail_free(0.95f)}},
        {"z = 1", {tempera_stage_tail_free(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_top_a(struct file *file)
{
    const struct chain chains[] = {
        {"a = 0", {tempera_stage_top_a(0)}},
        {"a = 0.2", {tempera_stage_top_a(0.2f)}},
        {"a = 1", {tempera_stage_top_a(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_top_n_sigma(struct file *file)
{
    const struct chain chains[] = {
        {"n = 0", {tempera_stage_top_n_sigma(0)}},
        {"n = 1", {tempera_stage_top_n_sigma(1)}},
        {"n = 0.3", {tempera_stage_top_n_sigma(0.3f)}},
        {"n = 2", {tempera_stage_top_n_sigma(2)}},
        {"n = inf", {tempera_stage_top_n_sigma(INFINITY)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_p_less(struct file *file)
{
    const struct chain chains[] = {
        {"p-less", {tempera_stage_p_less()}},
        {"at T = 2", {tempera_stage_temperature(2), tempera_stage_p_less()}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_xtc(struct file *file)
{
    static const int32_t spared[] = {2, 3, 8};
    struct chain chains[] = {
        {"always, from 0.1", {tempera_stage_xtc(1, 0.1f)}},
        {"always, from 0", {tempera_stage_xtc(1, 0)}},
        {"always, from 0.5", {tempera_stage_xtc(1, 0.5f)}},
        {"never", {tempera_stage_xtc(0, 0.1f)}},
        {"off by its threshold", {tempera_stage_xtc(1, 0.6f)}},
        {"some spared", {tempera_stage_xtc(1, 0.02f)}},
        {"twice, by two coins", {tempera_stage_xtc(0.5f, 0.1f), tempera_stage_xtc(0.5f, 0.1f)}},
    };
    chains[5].stages[0].u.xtc.spared = (struct tempera_token_list){spared, COUNT_OF(spared)};
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++)
            for (uint64_t seed = 1; seed <= (c < 6 ? 1 : 4); seed++)
                golden_ask(file, &(struct question){.row = usual_rows[r],
                                                    .chain = &chains[c],
                                                    .draws_once = true,
                                                    .first_seed = seed});
}

static void ask_dynamic_temperature(struct file *file)
{
    const struct chain exponent_0[] = {
        {"exponent 0", {tempera_stage_dynamic_temperature(0.5f, 60, 0)}}};
    static const struct row *const rows[] = {&certain};
    ask_all(file, rows, 1, exponent_0, 1);
    const struct chain chains[] = {
        {"0.5 to 1.5", {tempera_stage_dynamic_temperature(0.5f, 1.5f, 1)}},
        {"0 to 2", {tempera_stage_dynamic_temperature(0, 2, 0.5f)}},
        {"exponent 0", {tempera_stage_dynamic_temperature(0.5f, 3, 0)}},
        {"at T = 0.6",
         {tempera_stage_temperature(0.6f), tempera_stage_dynamic_temperature(0.8f, 1.4f, 2)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_smoothing(struct file *file)
{
    const struct chain chains[] = {
        {"quadratic", {tempera_stage_smoothing(0.3f, 1)}},
        {"cubic", {tempera_stage_smoothing(0.05f, 3)}},
        {"between, at T = 0.8",
         {tempera_stage_temperature(0.8f), tempera_stage_smoothing(0.2f, 1.7f)}},
        {"off", {tempera_stage_smoothing(0, 1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_logit_bias(struct file *file)
{
    static const struct row *const rows[] = {&spread, &equal};
    const struct chain chains[] = {
        {"five entries", {tempera_stage_logit_bias(biases, COUNT_OF(biases))}},
        {"after T = 2",
         {tempera_stage_temperature(2), tempera_stage_logit_bias(biases, COUNT_OF(biases))}},
        {"the first ten banned", {tempera_stage_logit_bias(bans, COUNT_OF(bans))}},
    };
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

// With a history, of the prompt; the sequence then adds to it what was drawn.
static void ask_with_history(struct file *file, const struct chain *chains, size_t n_chains)
{
    static const struct row *const rows[] = {&spread, &ties, &equal};
    for (size_t c = 0; c < n_chains; c++)
        for (size_t r = 0; r < COUNT_OF(rows); r++)
            golden_ask(file, &(struct question){.row = rows[r],
                                                .chain = &chains[c],
                                                .history = history,
                                                .n_history = COUNT_OF(history)});
}

static void ask_penalties(struct file *file)
{
    struct chain chains[] = {
        {"repetition", {tempera_stage_penalties(1.3f, 0, 0, 64)}},
        {"presence, frequency", {tempera_stage_penalties(1, 0.6f, 0.4f, 64)}},
        {"window of 3", {tempera_stage_penalties(1.2f, 0.1f, 0.2f, 3)}},
        {"window of 0", {tempera_stage_penalties(1.2f, 0.1f, 0.2f, 0)}},
        {"after T = 0.5",
         {tempera_stage_temperature(0.5f), tempera_stage_penalties(1.2f, -0.5f, 0.3f, 64)}},
        {"after T = inf",
         {tempera_stage_temperature(2), tempera_stage_temperature(INFINITY),
          tempera_stage_penalties(1.2f, 0.5f, 0, 64)}},
        {"presence and frequency of what was drawn", {tempera_stage_penalties(1.2f, 1, 0.5f, 64)}},
        {"the same, window of 2", {tempera_stage_penalties(1.2f, 1, 0.5f, 2)}},
    };
    chains[6].stages[0].u.penalties.drawn_only = 1;
    chains[7].stages[0].u.penalties.drawn_only = 1;
    ask_with_history(file, chains, COUNT_OF(chains));
}

static void ask_dry(struct file *file)
{
    static const int32_t breakers[] = {4, 9};
    const struct chain chains[] = {
        {"no breakers", {tempera_stage_dry(0.8f, 1.75f, 1, 64, NULL, 0)}},
        {"two breakers", {tempera_stage_dry(0.8f, 1.75f, 1, 64, breakers, 2)}},
        {"allowed length 2", {tempera_stage_dry(2.5f, 3, 2, 64, NULL, 0)}},
        {"window of 5, after T = 2",
         {tempera_stage_temperature(2), tempera_stage_dry(0.8f, 1.75f, 1, 5, NULL, 0)}},
        {"off", {tempera_stage_dry(0, 1.75f, 1, 64, NULL, 0)}},
    };
    ask_with_history(file, chains, COUNT_OF(chains));
    // Runs that overlap, as long as the history.
    static const int32_t again[] = {2, 2, 2, 2, 2, 2}, turns[] = {0, 1, 0, 1, 0, 1, 0};
    golden_ask(file, &(struct question){
                         .row = &equal, .chain = &chains[0], .history = again, .n_history = 6});
    golden_ask(file, &(struct question){
                         .row = &equal, .chain = &chains[2], .history = turns, .n_history = 7});
}

static void ask_no_repeat_ngram(struct file *file)
{
    const struct chain chains[] = {
        {"n = 1", {tempera_stage_no_repeat_ngram(1, 64)}},
        {"n = 2", {tempera_stage_no_repeat_ngram(2, 64)}},
        {"n = 3", {tempera_stage_no_repeat_ngram(3, 64)}},
        {"n = 2, window of 4", {tempera_stage_no_repeat_ngram(2, 4)}},
        {"n = 0", {tempera_stage_no_repeat_ngram(0, 64)}},
    };
    ask_with_history(file, chains, COUNT_OF(chains));
}

static void ask_lists(struct file *file)
{
    static const int32_t some[] = {3, 7, 3, 4, 0}, none[] = {0};
    const struct chain chains[] = {
        {"allow four", {tempera_stage_allow(some, COUNT_OF(some))}},
        {"allow none", {tempera_stage_allow(none, 0)}},
        {"ban four", {tempera_stage_ban(some, COUNT_OF(some))}},
        {"ban none", {tempera_stage_ban(none, 0)}},
        {"both",
         {tempera_stage_allow(some, COUNT_OF(some)), tempera_stage_ban(some, 2),
          tempera_stage_top_p(0.5f)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_top_h(struct file *file)
{
    const struct chain chains[] = {
        {"h = 0", {tempera_stage_top_h(0)}},
        {"h = 0.4", {tempera_stage_top_h(0.4f)}},
        {"h = 0.7", {tempera_stage_top_h(0.7f)}},
        {"h = 1", {tempera_stage_top_h(1)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_mirostat_1(struct file *file)
{
    const struct chain chains[] = {
        {"tau = 1", {tempera_stage_mirostat_1(1, 0.3f, 100)}},
        {"tau = 2.5, T = 1.5, m = 5",
         {tempera_stage_temperature(1.5f), tempera_stage_mirostat_1(2.5f, 0.1f, 5)}},
        {"tau = 0.3, m = 2", {tempera_stage_mirostat_1(0.3f, 1, 2)}},
        {"tau = 0", {tempera_stage_mirostat_1(0, 0.1f, 100)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_mirostat_2(struct file *file)
{
    const struct chain chains[] = {
        {"tau = 1", {tempera_stage_mirostat_2(1, 0.3f)}},
        {"tau = 2.5, T = 1.5",
         {tempera_stage_temperature(1.5f), tempera_stage_mirostat_2(2.5f, 0.1f)}},
        {"tau = 0", {tempera_stage_mirostat_2(0, 0.1f)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

static void ask_adaptive_p(struct file *file)
{
    const struct chain chains[] = {
        {"target 0.5", {tempera_stage_adaptive_p(0.5f, 0.9f)}},
        {"target 0.1, T = 2, top-k 9",
         {tempera_stage_temperature(2), tempera_stage_top_k(9),
          tempera_stage_adaptive_p(0.1f, 0.5f)}},
        {"target 1, decay 0", {tempera_stage_adaptive_p(1, 0)}},
    };
    ask_usual(file, chains, COUNT_OF(chains));
}

// Each filter at a parameter that alone would leave one token, or few.
static void ask_min_keep(struct file *file)
{
    struct chain chains[] = {
        {"top-k", {tempera_stage_top_k(1)}},
        {"top-p", {tempera_stage_top_p(0.1f)}},
        {"min-p", {tempera_stage_min_p(1)}},
        {"typical", {tempera_stage_typical(0.1f)}},
        {"epsilon", {tempera_stage_epsilon(1)}},
        {"eta", {tempera_stage_eta(1)}},
        {"tail-free", {tempera_stage_tail_free(0)}},
        {"top-a", {tempera_stage_top_a(1)}},
        {"top-n-sigma", {tempera_stage_top_n_sigma(0)}},
        {"top-H", {tempera_stage_top_h(0)}},
        {"p-less", {tempera_stage_p_less()}},
        {"XTC", {tempera_stage_xtc(1, 0)}},
        {"mirostat 1", {tempera_stage_mirostat_1(0, 0.1f, 100)}},
        {"mirostat 2", {tempera_stage_mirostat_2(0, 0.1f)}},
    };
    static const struct row *const rows[] = {&spread, &ties, &gaps};
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        chains[c].stages[0].min_keep = 4;
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

static void ask_masks(struct file *file)
{
    const struct chain chains[] = {
        {"plain", {tempera_stage_temperature(1)}},
        {"top-p 0.7, T = 1.5", {tempera_stage_top_p(0.7f), tempera_stage_temperature(1.5f)}},
    };
    static const struct {
        const struct row *row;
        const char *mask;
    } masked[] = {
        {&spread, "10110100111001011010"},
        {&spread, "1011"}, // what it doesn't reach is banned
        {&spread, "0000000000000000000000"},
        {&ties, "011111011111"},
        {&gaps, "1101111111111111"},
        {&nan_row, "110111"},
        {&nan_row, NULL},
        {&infinite, NULL},
        {&infinite, "101101"},
        {&nothing, NULL},
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t i = 0; i < COUNT_OF(masked); i++)
            golden_ask(file, &(struct question){.row = masked[i].row,
                                                .chain = &chains[c],
                                                .mask = masked[i].mask});
}

static void ask_chains(struct file *file)
{
    const struct chain chains[] = {
        {"llama.cpp's defaults",
         {tempera_stage_top_k(40), tempera_stage_top_p(0.95f), tempera_stage_min_p(0.05f),
          tempera_stage_temperature(0.8f)}},
        {"temperature first",
         {tempera_stage_penalties(1.1f, 0.2f, 0.1f, 8), tempera_stage_temperature(1.4f),
          tempera_stage_top_k(8), tempera_stage_top_p(0.9f), tempera_stage_min_p(0.02f)}},
        {"typical may take the maximum",
         {tempera_stage_typical(0.3f), tempera_stage_temperature(0.9f), tempera_stage_top_p(0.8f)}},
        {"T = 0 before filters",
         {tempera_stage_temperature(0), tempera_stage_typical(0.5f), tempera_stage_top_n_sigma(1)}},
        {"T = inf between filters",
         {tempera_stage_top_k(7), tempera_stage_temperature(INFINITY), tempera_stage_top_p(0.5f),
          tempera_stage_temperature(0.5f)}},
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++)
            golden_ask(file, &(struct question){.row = usual_rows[r],
                                                .chain = &chains[c],
                                                .history = history,
                                                .n_history = c == 1 ? 4 : 0});
}

// The other way to draw, and more than one token from a row.
static void ask_draws(struct file *file)
{
    const struct chain chains[] = {
        {"as it is", {tempera_stage_temperature(1)}},
        {"T = 3", {tempera_stage_temperature(3)}},
        {"top-k 5", {tempera_stage_top_k(5)}},
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++) {
            golden_ask(file, &(struct question){.row = usual_rows[r],
                                                .chain = &chains[c],
                                                .draw = TEMPERA_DRAW_RACE});
            golden_ask(file, &(struct question){
                                 .row = usual_rows[r], .chain = &chains[c], .draws_several = true});
        }
}

static const struct row *const all_rows[] = {&spread,   &ties,    &equal,   &alone, &gaps, &certain,
                                             &infinite, &nan_row, &nothing, &huge,  &tiny, &far_up};

static const struct {
    const char *name;
    void (*ask)(struct file *file);
} files[] = {
    {"temperature", ask_temperature},
    {"extremes", ask_extremes},
    {"top-k", ask_top_k},
    {"top-p", ask_top_p},
    {"min-p", ask_min_p},
    {"typical", ask_typical},
    {"epsilon", ask_epsilon},
    {"eta", ask_eta},
    {"tail-free", ask_tail_free},
    {"top-a", ask_top_a},
    {"top-n-sigma", ask_top_n_sigma},
    {"p-less", ask_p_less},
    {"xtc", ask_xtc},
    {"dynamic-temperature", ask_dynamic_temperature},
    {"smoothing", ask_smoothing},
    {"logit-bias", ask_logit_bias},
    {"penalties", ask_penalties},
    {"dry", ask_dry},
    {"no-repeat-ngram", ask_no_repeat_ngram},
    {"lists", ask_lists},
    {"top-h", ask_top_h},
    {"mirostat-1", ask_mirostat_1},
    {"mirostat-2", ask_mirostat_2},
    {"adaptive-p", ask_adaptive_p},
    {"min-keep", ask_min_keep},
    {"masks", ask_masks},
    {"chains", ask_chains},
    {"draws", ask_draws},
};

static void write_vectors(FILE *to, size_t number)
{
    struct file file = {to, 0};
    fputs("{\n  \"rows\": {\n", to);
    for (size_t i = 0; i < COUNT_OF(all_rows); i++) {
        fprintf(to, "    \"%s\": ", all_rows[i]->name);
        json_put_numbers(to, all_rows[i]->z, all_rows[i]->n);
        fputs(i + 1 < COUNT_OF(all_rows) ? ",\n" : "\n", to);
    }
    fputs("  },\n  \"cases\": [\n", to);
    files[number].ask(&file);
    fputs("\n  ]\n}\n", to);
}

// ------------------------------------------------------------------------------------------------

static bool write_all(const char *folder)
{
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[LINE];
        snprintf(path, sizeof path, "%s/%s.json", folder, files[i].name);
        FILE *to = fopen(path, "w");
        if (to == NULL)
            return false;
        write_vectors(to, i);
        if (fclose(to) != 0)
            return false;
    }
    return true;
}

static bool is_for_the_reference(const char *line)
{
    line += strspn(line, " ");
    return strncmp(line, "\"kept\":", 7) == 0 || strncmp(line, "\"masses\":", 9) == 0;
}

static void compare_with_file(FILE *now, size_t number)
{
    char path[LINE], got[LINE], expected[LINE];
    snprintf(path, sizeof path, "%s/tests/golden/sampling/%s.json", TEMPERA_SOURCE_DIR,
             files[number].name);
    FILE *golden = fopen(path, "r");
    if (!CHECK(golden != NULL))
        return;
    bool goes_on = true;
    for (int line = 1; goes_on; line++) {
        goes_on = fgets(expected, sizeof expected, golden) != NULL;
        bool has_line = fgets(got, sizeof got, now) != NULL;
        bool is_same =
            goes_on == has_line && (!goes_on || strcmp(got, expected) == 0 ||
                                    (is_for_the_reference(got) && is_for_the_reference(expected)));
        if (!is_same)
            printf("# %s:%d\n# now %s", path, line, has_line ? got : "at its end\n");
        goes_on = CHECK(is_same) && goes_on;
    }
    fclose(golden);
}

static void the_library_gives_what_the_files_say(void)
{
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        FILE *now = tmpfile();
        if (!CHECK(now != NULL))
            return;
        write_vectors(now, i);
        rewind(now);
        compare_with_file(now, i);
        fclose(now);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the library gives what the files say", the_library_gives_what_the_files_say},
    };
    fill_spread();
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_all(argv[2]) && check_n_failures() == 0 ? 0 : 1;
    return CHECK_RUN(tests, argc, argv);
}
