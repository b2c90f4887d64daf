// SPDX-License-Identifier: MIT
// The vectors of tests/golden/sampling: the library still gives what the files say. What is in a
// file is described in the README beside them. tests/sampler/sampling_reference.py checks them
// against the definitions; scripts/make-sampling-vectors writes them:
//
//     test_sampler_golden [--write FOLDER]
//
// Writing leaves `kept` and `masses` empty, which the public calls don't tell: the reference fills
// them in. So they are passed over here, where files are compared line by line.
#include "sampler_setup.h"

#include "test_sampler_golden_json.h"

#include <tempera/decoding.h>

enum {
    MOST_SCORES = 24,
    MOST_STAGES = 8,
    MOST_HISTORY = 12,
    SEQUENCE = 6,
    SEVERAL = 8,
    LINE = 4096
};

// ------------------------------------------------------------------------------------------------
// Rows

struct row {
    const char *name;
    size_t n;
    float z[MOST_SCORES];
};

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
// Cases

struct chain {
    const char *name;
    struct tempera_stage stages[MOST_STAGES];
    size_t n_stages;
};

#define CHAIN(name, ...)                                                                           \
    {                                                                                              \
        name, {__VA_ARGS__},                                                                       \
            sizeof((struct tempera_stage[]){__VA_ARGS__}) / sizeof(struct tempera_stage)           \
    }

struct question {
    const struct row *row;
    const struct chain *chain;
    const char *mask; // "1101...": what is allowed, by id; what it doesn't reach is banned
    const int32_t *history;
    size_t n_history;
    enum tempera_draw draw;
    bool draws_several; // many and distinct, too
    bool draws_once;    // for stages that are chance themselves
    uint64_t first_seed;
};

static const struct {
    uint64_t seed;
    uint32_t stream;
} lucks[] = {{1, 0}, {2, 0}, {UINT64_C(0xFEDCBA9876543210), 0}, {1, 7}};

static const char *const head = "      ";

// A file being written; commas stand between cases.
struct file {
    FILE *to;
    size_t n_cases;
};

static void put_draw(FILE *to, const struct question *q, struct tempera_sample_row *row,
                     uint64_t seed, uint32_t stream)
{
    row->seed = seed;
    row->stream = stream;
    struct tempera_sample_result result = sample_row(q->row->z, q->row->n, row);
    fprintf(to, "{\"seed\": \"%" PRIu64 "\", \"stream\": %" PRIu32 ", \"token\": %d, ", seed,
            stream, result.token);
    fputs("\"logprob\": ", to);
    put_number(to, result.logprob + 0.0f); // 0 rather than -0
    fputs(", ", to);
    put_level(to, result.level);
    putc('}', to);
}

static void put_draws(FILE *to, const struct question *q, struct tempera_sample_row *row)
{
    fprintf(to, "%s\"draws\": [\n%s  ", head, head);
    if (q->draws_once)
        put_draw(to, q, row, q->first_seed, 0);
    for (size_t i = 0; i < COUNT_OF(lucks) && !q->draws_once; i++) {
        if (i > 0)
            fprintf(to, ",\n%s  ", head);
        put_draw(to, q, row, lucks[i].seed, lucks[i].stream);
    }
    fputs("],\n", to);
}

static void put_results(FILE *to, const char *name, const struct tempera_sample_result *results,
                        size_t n)
{
    fprintf(to, "%s\"%s\": [", head, name);
    for (size_t i = 0; i < n; i++)
        fprintf(to, "%s%d", i > 0 ? ", " : "", results[i].token);
    fputs("],\n", to);
}

static void put_several(FILE *to, const struct question *q, struct tempera_sample_row *row)
{
    struct tempera_sample_result many[SEVERAL], distinct[SEVERAL];
    struct tempera_matrix logits = tempera_matrix_const_f32(q->row->z, 1, q->row->n);
    size_t nbytes, n_drawn;
    void *scratch = new_scratch(&logits, row->sampler, NULL, &nbytes);
    row->seed = lucks[0].seed;
    row->stream = lucks[0].stream;
    CHECK_STATUS(tempera_sample_many(&logits, row, SEVERAL, many, scratch, nbytes), TEMPERA_OK);
    CHECK_STATUS(
        tempera_sample_distinct(&logits, row, SEVERAL, distinct, &n_drawn, scratch, nbytes),
        TEMPERA_OK);
    free(scratch);
    put_results(to, "many", many, SEVERAL);
    put_results(to, "distinct", distinct, n_drawn);
}

// What is drawn when each token is accepted before the next.
static void put_sequence(FILE *to, const struct question *q, struct tempera_sample_row *row,
                         struct tempera_sampler_state *state)
{
    int32_t tokens[SEQUENCE];
    size_t n = 0;
    row->seed = 42;
    row->stream = 3;
    for (; n < SEQUENCE; n++) {
        struct tempera_sample_result result = sample_row(q->row->z, q->row->n, row);
        if (result.status != TEMPERA_OK)
            break;
        tokens[n] = result.token;
        CHECK_STATUS(tempera_sampler_accept(state, result.token, &result), TEMPERA_OK);
    }
    fprintf(to, "%s\"sequence\": {\"seed\": \"42\", \"stream\": 3, \"tokens\": ", head);
    put_ids(to, tokens, n);
    fputs(", ", to);
    put_level(to, state->level);
    fputs("}\n", to);
}

static void put_answers(FILE *to, const struct question *q, struct tempera_sample_row *row)
{
    float probs[MOST_SCORES];
    row->seed = q->draws_once ? q->first_seed : lucks[0].seed;
    struct tempera_sample_result result = probs_of_row(q->row->z, q->row->n, row, probs);
    fprintf(to, "%s\"status\": \"%s\",\n", head, tempera_status_name(result.status));
    fprintf(to, "%s\"n_kept\": %" PRIu64 ",\n", head, result.n_kept);
    fprintf(to, "%s\"kept\": [],\n%s\"masses\": [],\n", head, head);
    fprintf(to, "%s\"probabilities\": ", head);
    put_numbers(to, probs, q->row->n);
    fputs(",\n", to);
}

static void ask(struct file *file, const struct question *q)
{
    FILE *to = file->to;
    struct tempera_sampler sampler = tempera_sampler_of(q->chain->stages, q->chain->n_stages);
    sampler.draw = q->draw;
    struct tempera_sampler_state *state = new_state(&sampler, q->history, q->n_history);
    uint32_t mask_bits = 0;
    struct tempera_sample_row row = {.sampler = &sampler, .state = state};
    for (size_t i = 0; q->mask != NULL && q->mask[i] != '\0'; i++)
        mask_bits |= (uint32_t)(q->mask[i] == '1') << i;
    if (q->mask != NULL) {
        row.mask = &mask_bits;
        row.mask_nbits = (uint32_t)strlen(q->mask);
    }

    fprintf(to, "%s    {\n", file->n_cases++ > 0 ? ",\n" : "");
    fprintf(to, "%s\"name\": \"%s, %s\",\n", head, q->chain->name, q->row->name);
    fprintf(to, "%s\"row\": \"%s\",\n%s\"stages\": [", head, q->row->name, head);
    for (size_t i = 0; i < q->chain->n_stages; i++) {
        fputs(i > 0 ? ", " : "", to);
        put_stage(to, &q->chain->stages[i]);
    }
    fprintf(to, "],\n%s\"mask\": ", head);
    if (q->mask != NULL)
        fprintf(to, "\"%s\"", q->mask);
    else
        fputs("null", to);
    fprintf(to, ",\n%s\"history\": ", head);
    put_ids(to, q->history, q->n_history);
    fprintf(to, ",\n%s\"draw\": \"%s\",\n", head, q->draw == TEMPERA_DRAW_RACE ? "race" : "mass");
    put_answers(to, q, &row);
    put_draws(to, q, &row);
    if (q->draws_several)
        put_several(to, q, &row);
    put_sequence(to, q, &row, state);
    fputs("    }", to);
    free(state);
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
            ask(file, &(struct question){.row = rows[r], .chain = &chains[c]});
}

// All chains, with the usual rows.
#define ASK_USUAL(file, ...)                                                                       \
    do {                                                                                           \
        const struct chain chains_of_it[] = {__VA_ARGS__};                                         \
        ask_all((file), usual_rows, COUNT_OF(usual_rows), chains_of_it, COUNT_OF(chains_of_it));   \
    } while (0)

static void ask_temperature(struct file *file)
{
    ASK_USUAL(
        file, CHAIN("nothing at all", tempera_stage_temperature(1)),
        CHAIN("T = 0", tempera_stage_temperature(0)),
        CHAIN("T = 0.7", tempera_stage_temperature(0.7f)),
        CHAIN("T = 2", tempera_stage_temperature(2)),
        CHAIN("T = inf", tempera_stage_temperature(INFINITY)),
        CHAIN("two temperatures", tempera_stage_temperature(0.3f), tempera_stage_temperature(5)));
}

#define EIGHT(stage) stage, stage, stage, stage, stage, stage, stage, stage

// Where f32 arithmetic needs another way, or just doesn't yet.
static void ask_extremes(struct file *file)
{
    static const struct row *const rows[] = {&spread, &gaps, &huge, &tiny, &far_up};
    const struct chain chains[] = {
        CHAIN("T = 1", tempera_stage_temperature(1)),
        CHAIN("T = 2e-36", tempera_stage_temperature(2e-36f)),
        CHAIN("T = 1e-38", tempera_stage_temperature(1e-38f)),
        CHAIN("T = 1e-42", tempera_stage_temperature(1e-42f)),
        CHAIN("T = 1e29", tempera_stage_temperature(1e29f)),
        CHAIN("T = 3e38", tempera_stage_temperature(3e38f)),
        CHAIN("T = 3e38, typical", tempera_stage_temperature(3e38f), tempera_stage_typical(0.6f)),
        CHAIN("T = 1e38, p-less", tempera_stage_temperature(1e38f), tempera_stage_p_less()),
        {"0 by eight stages", {EIGHT(tempera_stage_temperature(1e-38f))}, 8},
        {"inf by eight stages", {EIGHT(tempera_stage_temperature(3e38f))}, 8},
    };
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

static void ask_top_k(struct file *file)
{
    ASK_USUAL(file, CHAIN("k = 0", tempera_stage_top_k(0)), CHAIN("k = 1", tempera_stage_top_k(1)),
              CHAIN("k = 4", tempera_stage_top_k(4)), CHAIN("k = 100", tempera_stage_top_k(100)));
}

static void ask_top_p(struct file *file)
{
    ASK_USUAL(
        file, CHAIN("p = 0", tempera_stage_top_p(0)), CHAIN("p = 0.3", tempera_stage_top_p(0.3f)),
        CHAIN("p = 0.8", tempera_stage_top_p(0.8f)),
        CHAIN("p = 0.999", tempera_stage_top_p(0.999f)), CHAIN("p = 1", tempera_stage_top_p(1)));
}

static void ask_min_p(struct file *file)
{
    ASK_USUAL(file, CHAIN("p = 0", tempera_stage_min_p(0)),
              CHAIN("p = 0.05", tempera_stage_min_p(0.05f)),
              CHAIN("p = 0.4", tempera_stage_min_p(0.4f)), CHAIN("p = 1", tempera_stage_min_p(1)));
}

static void ask_typical(struct file *file)
{
    ASK_USUAL(file, CHAIN("p = 0", tempera_stage_typical(0)),
              CHAIN("p = 0.2", tempera_stage_typical(0.2f)),
              CHAIN("p = 0.9", tempera_stage_typical(0.9f)),
              CHAIN("p = 1", tempera_stage_typical(1)));
}

static void ask_epsilon(struct file *file)
{
    ASK_USUAL(file, CHAIN("epsilon = 0", tempera_stage_epsilon(0)),
              CHAIN("epsilon = 0.01", tempera_stage_epsilon(0.01f)),
              CHAIN("epsilon = 0.1", tempera_stage_epsilon(0.1f)),
              CHAIN("epsilon = 1", tempera_stage_epsilon(1)));
}

static void ask_eta(struct file *file)
{
    ASK_USUAL(file, CHAIN("epsilon = 0", tempera_stage_eta(0)),
              CHAIN("epsilon = 0.01", tempera_stage_eta(0.01f)),
              CHAIN("epsilon = 0.3", tempera_stage_eta(0.3f)));
}

static void ask_tail_free(struct file *file)
{
    ASK_USUAL(file, CHAIN("z = 0", tempera_stage_tail_free(0)),
              CHAIN("z = 0.5", tempera_stage_tail_free(0.5f)),
              CHAIN("z = 0.95", tempera_stage_tail_free(0.95f)),
              CHAIN("z = 1", tempera_stage_tail_free(1)));
}

static void ask_top_a(struct file *file)
{
    ASK_USUAL(file, CHAIN("a = 0", tempera_stage_top_a(0)),
              CHAIN("a = 0.2", tempera_stage_top_a(0.2f)), CHAIN("a = 1", tempera_stage_top_a(1)));
}

static void ask_top_n_sigma(struct file *file)
{
    ASK_USUAL(file, CHAIN("n = 0", tempera_stage_top_n_sigma(0)),
              CHAIN("n = 1", tempera_stage_top_n_sigma(1)),
              CHAIN("n = 0.3", tempera_stage_top_n_sigma(0.3f)),
              CHAIN("n = 2", tempera_stage_top_n_sigma(2)),
              CHAIN("n = inf", tempera_stage_top_n_sigma(INFINITY)));
}

static void ask_p_less(struct file *file)
{
    ASK_USUAL(file, CHAIN("p-less", tempera_stage_p_less()),
              CHAIN("at T = 2", tempera_stage_temperature(2), tempera_stage_p_less()));
}

static void ask_xtc(struct file *file)
{
    static const int32_t spared[] = {2, 3, 8};
    struct chain chains[] = {
        CHAIN("always, from 0.1", tempera_stage_xtc(1, 0.1f)),
        CHAIN("always, from 0", tempera_stage_xtc(1, 0)),
        CHAIN("always, from 0.5", tempera_stage_xtc(1, 0.5f)),
        CHAIN("never", tempera_stage_xtc(0, 0.1f)),
        CHAIN("off by its threshold", tempera_stage_xtc(1, 0.6f)),
        CHAIN("some spared", tempera_stage_xtc(1, 0.02f)),
        CHAIN("twice, by two coins", tempera_stage_xtc(0.5f, 0.1f), tempera_stage_xtc(0.5f, 0.1f)),
    };
    chains[5].stages[0].u.xtc.spared = (struct tempera_token_list){spared, COUNT_OF(spared)};
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++)
            for (uint64_t seed = 1; seed <= (c < 6 ? 1 : 4); seed++)
                ask(file, &(struct question){.row = usual_rows[r],
                                             .chain = &chains[c],
                                             .draws_once = true,
                                             .first_seed = seed});
}

static void ask_dynamic_temperature(struct file *file)
{
    const struct chain exponent_0[] = {
        CHAIN("exponent 0", tempera_stage_dynamic_temperature(0.5f, 60, 0))};
    static const struct row *const rows[] = {&certain};
    ask_all(file, rows, 1, exponent_0, 1);
    ASK_USUAL(file, CHAIN("0.5 to 1.5", tempera_stage_dynamic_temperature(0.5f, 1.5f, 1)),
              CHAIN("0 to 2", tempera_stage_dynamic_temperature(0, 2, 0.5f)),
              CHAIN("exponent 0", tempera_stage_dynamic_temperature(0.5f, 3, 0)),
              CHAIN("at T = 0.6", tempera_stage_temperature(0.6f),
                    tempera_stage_dynamic_temperature(0.8f, 1.4f, 2)));
}

static void ask_smoothing(struct file *file)
{
    ASK_USUAL(file, CHAIN("quadratic", tempera_stage_smoothing(0.3f, 1)),
              CHAIN("cubic", tempera_stage_smoothing(0.05f, 3)),
              CHAIN("between, at T = 0.8", tempera_stage_temperature(0.8f),
                    tempera_stage_smoothing(0.2f, 1.7f)),
              CHAIN("off", tempera_stage_smoothing(0, 1)));
}

static void ask_logit_bias(struct file *file)
{
    static const struct row *const rows[] = {&spread, &equal};
    const struct chain chains[] = {
        CHAIN("five entries", tempera_stage_logit_bias(biases, COUNT_OF(biases))),
        CHAIN("behind T = 2", tempera_stage_temperature(2),
              tempera_stage_logit_bias(biases, COUNT_OF(biases))),
        CHAIN("the first ten banned", tempera_stage_logit_bias(bans, COUNT_OF(bans))),
    };
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

// With a history, of the prompt; the sequence then adds to it what was drawn.
static void ask_with_history(struct file *file, const struct chain *chains, size_t n_chains)
{
    static const struct row *const rows[] = {&spread, &ties, &equal};
    for (size_t c = 0; c < n_chains; c++)
        for (size_t r = 0; r < COUNT_OF(rows); r++)
            ask(file, &(struct question){.row = rows[r],
                                         .chain = &chains[c],
                                         .history = history,
                                         .n_history = COUNT_OF(history)});
}

static void ask_penalties(struct file *file)
{
    struct chain chains[] = {
        CHAIN("repetition", tempera_stage_penalties(1.3f, 0, 0, 64)),
        CHAIN("presence, frequency", tempera_stage_penalties(1, 0.6f, 0.4f, 64)),
        CHAIN("window of 3", tempera_stage_penalties(1.2f, 0.1f, 0.2f, 3)),
        CHAIN("window of 0", tempera_stage_penalties(1.2f, 0.1f, 0.2f, 0)),
        CHAIN("behind T = 0.5", tempera_stage_temperature(0.5f),
              tempera_stage_penalties(1.2f, -0.5f, 0.3f, 64)),
        CHAIN("behind T = inf", tempera_stage_temperature(2), tempera_stage_temperature(INFINITY),
              tempera_stage_penalties(1.2f, 0.5f, 0, 64)),
        CHAIN("presence and frequency of what was drawn",
              tempera_stage_penalties(1.2f, 1, 0.5f, 64)),
        CHAIN("the same, window of 2", tempera_stage_penalties(1.2f, 1, 0.5f, 2)),
    };
    chains[6].stages[0].u.penalties.drawn_only = 1;
    chains[7].stages[0].u.penalties.drawn_only = 1;
    ask_with_history(file, chains, COUNT_OF(chains));
}

static void ask_dry(struct file *file)
{
    static const int32_t breakers[] = {4, 9};
    const struct chain chains[] = {
        CHAIN("no breakers", tempera_stage_dry(0.8f, 1.75f, 1, 64, NULL, 0)),
        CHAIN("two breakers", tempera_stage_dry(0.8f, 1.75f, 1, 64, breakers, 2)),
        CHAIN("allowed length 2", tempera_stage_dry(2.5f, 3, 2, 64, NULL, 0)),
        CHAIN("window of 5, behind T = 2", tempera_stage_temperature(2),
              tempera_stage_dry(0.8f, 1.75f, 1, 5, NULL, 0)),
        CHAIN("off", tempera_stage_dry(0, 1.75f, 1, 64, NULL, 0)),
    };
    ask_with_history(file, chains, COUNT_OF(chains));
    // Runs that overlap, as long as the history.
    static const int32_t again[] = {2, 2, 2, 2, 2, 2}, turns[] = {0, 1, 0, 1, 0, 1, 0};
    ask(file,
        &(struct question){.row = &equal, .chain = &chains[0], .history = again, .n_history = 6});
    ask(file,
        &(struct question){.row = &equal, .chain = &chains[2], .history = turns, .n_history = 7});
}

static void ask_no_repeat_ngram(struct file *file)
{
    const struct chain chains[] = {
        CHAIN("n = 1", tempera_stage_no_repeat_ngram(1, 64)),
        CHAIN("n = 2", tempera_stage_no_repeat_ngram(2, 64)),
        CHAIN("n = 3", tempera_stage_no_repeat_ngram(3, 64)),
        CHAIN("n = 2, window of 4", tempera_stage_no_repeat_ngram(2, 4)),
        CHAIN("n = 0", tempera_stage_no_repeat_ngram(0, 64)),
    };
    ask_with_history(file, chains, COUNT_OF(chains));
}

static void ask_lists(struct file *file)
{
    static const int32_t some[] = {3, 7, 3, 4, 0}, none[] = {0};
    ASK_USUAL(file, CHAIN("allow four", tempera_stage_allow(some, COUNT_OF(some))),
              CHAIN("allow none", tempera_stage_allow(none, 0)),
              CHAIN("ban four", tempera_stage_ban(some, COUNT_OF(some))),
              CHAIN("ban none", tempera_stage_ban(none, 0)),
              CHAIN("both", tempera_stage_allow(some, COUNT_OF(some)), tempera_stage_ban(some, 2),
                    tempera_stage_top_p(0.5f)));
}

static void ask_top_h(struct file *file)
{
    ASK_USUAL(file, CHAIN("h = 0", tempera_stage_top_h(0)),
              CHAIN("h = 0.4", tempera_stage_top_h(0.4f)),
              CHAIN("h = 0.7", tempera_stage_top_h(0.7f)), CHAIN("h = 1", tempera_stage_top_h(1)));
}

static void ask_mirostat_1(struct file *file)
{
    ASK_USUAL(file, CHAIN("tau = 1", tempera_stage_mirostat_1(1, 0.3f, 100)),
              CHAIN("tau = 2.5, T = 1.5, m = 5", tempera_stage_temperature(1.5f),
                    tempera_stage_mirostat_1(2.5f, 0.1f, 5)),
              CHAIN("tau = 0.3, m = 2", tempera_stage_mirostat_1(0.3f, 1, 2)),
              CHAIN("tau = 0", tempera_stage_mirostat_1(0, 0.1f, 100)));
}

static void ask_mirostat_2(struct file *file)
{
    ASK_USUAL(file, CHAIN("tau = 1", tempera_stage_mirostat_2(1, 0.3f)),
              CHAIN("tau = 2.5, T = 1.5", tempera_stage_temperature(1.5f),
                    tempera_stage_mirostat_2(2.5f, 0.1f)),
              CHAIN("tau = 0", tempera_stage_mirostat_2(0, 0.1f)));
}

static void ask_adaptive_p(struct file *file)
{
    ASK_USUAL(file, CHAIN("target 0.5", tempera_stage_adaptive_p(0.5f, 0.9f)),
              CHAIN("target 0.1, T = 2, top-k 9", tempera_stage_temperature(2),
                    tempera_stage_top_k(9), tempera_stage_adaptive_p(0.1f, 0.5f)),
              CHAIN("target 1, decay 0", tempera_stage_adaptive_p(1, 0)));
}

// Each filter at a parameter that alone would leave one token, or few.
static void ask_min_keep(struct file *file)
{
    struct chain chains[] = {
        CHAIN("top-k", tempera_stage_top_k(1)),
        CHAIN("top-p", tempera_stage_top_p(0.1f)),
        CHAIN("min-p", tempera_stage_min_p(1)),
        CHAIN("typical", tempera_stage_typical(0.1f)),
        CHAIN("epsilon", tempera_stage_epsilon(1)),
        CHAIN("eta", tempera_stage_eta(1)),
        CHAIN("tail-free", tempera_stage_tail_free(0)),
        CHAIN("top-a", tempera_stage_top_a(1)),
        CHAIN("top-n-sigma", tempera_stage_top_n_sigma(0)),
        CHAIN("top-H", tempera_stage_top_h(0)),
        CHAIN("p-less", tempera_stage_p_less()),
        CHAIN("XTC", tempera_stage_xtc(1, 0)),
        CHAIN("mirostat 1", tempera_stage_mirostat_1(0, 0.1f, 100)),
        CHAIN("mirostat 2", tempera_stage_mirostat_2(0, 0.1f)),
    };
    static const struct row *const rows[] = {&spread, &ties, &gaps};
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        chains[c].stages[0].min_keep = 4;
    ask_all(file, rows, COUNT_OF(rows), chains, COUNT_OF(chains));
}

static void ask_masks(struct file *file)
{
    const struct chain chains[] = {
        CHAIN("plain", tempera_stage_temperature(1)),
        CHAIN("top-p 0.7, T = 1.5", tempera_stage_top_p(0.7f), tempera_stage_temperature(1.5f)),
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
            ask(file, &(struct question){
                          .row = masked[i].row, .chain = &chains[c], .mask = masked[i].mask});
}

static void ask_chains(struct file *file)
{
    const struct chain chains[] = {
        CHAIN("llama.cpp's defaults", tempera_stage_top_k(40), tempera_stage_top_p(0.95f),
              tempera_stage_min_p(0.05f), tempera_stage_temperature(0.8f)),
        CHAIN("temperature first", tempera_stage_penalties(1.1f, 0.2f, 0.1f, 8),
              tempera_stage_temperature(1.4f), tempera_stage_top_k(8), tempera_stage_top_p(0.9f),
              tempera_stage_min_p(0.02f)),
        CHAIN("typical may take the maximum", tempera_stage_typical(0.3f),
              tempera_stage_temperature(0.9f), tempera_stage_top_p(0.8f)),
        CHAIN("T = 0 before filters", tempera_stage_temperature(0), tempera_stage_typical(0.5f),
              tempera_stage_top_n_sigma(1)),
        CHAIN("T = inf between filters", tempera_stage_top_k(7),
              tempera_stage_temperature(INFINITY), tempera_stage_top_p(0.5f),
              tempera_stage_temperature(0.5f)),
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++)
            ask(file, &(struct question){.row = usual_rows[r],
                                         .chain = &chains[c],
                                         .history = history,
                                         .n_history = c == 1 ? 4 : 0});
}

// The other way to draw, and more than one token from a row.
static void ask_draws(struct file *file)
{
    const struct chain chains[] = {
        CHAIN("as it is", tempera_stage_temperature(1)),
        CHAIN("T = 3", tempera_stage_temperature(3)),
        CHAIN("top-k 5", tempera_stage_top_k(5)),
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++)
        for (size_t r = 0; r < COUNT_OF(usual_rows); r++) {
            ask(file, &(struct question){
                          .row = usual_rows[r], .chain = &chains[c], .draw = TEMPERA_DRAW_RACE});
            ask(file, &(struct question){
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

static void write_file(FILE *to, size_t number)
{
    struct file file = {to, 0};
    fputs("{\n  \"rows\": {\n", to);
    for (size_t i = 0; i < COUNT_OF(all_rows); i++) {
        fprintf(to, "    \"%s\": ", all_rows[i]->name);
        put_numbers(to, all_rows[i]->z, all_rows[i]->n);
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
        write_file(to, i);
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
        write_file(now, i);
        rewind(now);
        compare_with_file(now, i);
        fclose(now);
    }
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"the_library_gives_what_the_files_say", the_library_gives_what_the_files_say},
    };
    fill_spread();
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_all(argv[2]) && check_n_failures() == 0 ? 0 : 1;
    return CHECK_RUN(tests, argc, argv);
}
