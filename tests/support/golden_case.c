// SPDX-License-Identifier: MIT
#include "golden_case.h"

#include <string.h>

#include "golden_json.h"
#include "sampler_setup.h"

#include <tempera/decoding.h>

enum { SEQUENCE = 6, SEVERAL = 8 };

static size_t n_stages_of(const struct chain *chain)
{
    size_t n = 0;
    while (n < MOST_STAGES && (int)chain->stages[n].kind != 0)
        n++;
    return n;
}

static const struct {
    uint64_t seed;
    uint32_t stream;
} seeds[] = {{1, 0}, {2, 0}, {UINT64_C(0xFEDCBA9876543210), 0}, {1, 7}};

static const char *const head = "      ";

static void put_draw(FILE *to, const struct question *q, struct tempera_sample_row *row,
                     uint64_t seed, uint32_t stream)
{
    row->seed = seed;
    row->stream = stream;
    struct tempera_sample_result result = sample_row(q->row->z, q->row->n, row);
    fprintf(to, "{\"seed\": \"%" PRIu64 "\", \"stream\": %" PRIu32 ", \"token\": %d, ", seed,
            stream, result.token);
    fputs("\"logprob\": ", to);
    json_put_number(to, result.logprob + 0.0f); // 0 rather than -0
    fputs(", ", to);
    json_put_level(to, result.level);
    putc('}', to);
}

static void put_draws(FILE *to, const struct question *q, struct tempera_sample_row *row)
{
    fprintf(to, "%s\"draws\": [\n%s  ", head, head);
    if (q->draws_once)
        put_draw(to, q, row, q->first_seed, 0);
    for (size_t i = 0; i < COUNT_OF(seeds) && !q->draws_once; i++) {
        if (i > 0)
            fprintf(to, ",\n%s  ", head);
        put_draw(to, q, row, seeds[i].seed, seeds[i].stream);
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
    row->seed = seeds[0].seed;
    row->stream = seeds[0].stream;
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
    json_put_ids(to, tokens, n);
    fputs(", ", to);
    json_put_level(to, state->level);
    fputs("}\n", to);
}

static void put_answers(FILE *to, const struct question *q, struct tempera_sample_row *row)
{
    float probs[MOST_SCORES];
    row->seed = q->draws_once ? q->first_seed : seeds[0].seed;
    struct tempera_sample_result result = probs_of_row(q->row->z, q->row->n, row, probs);
    fprintf(to, "%s\"status\": \"%s\",\n", head, tempera_status_name(result.status));
    fprintf(to, "%s\"n_kept\": %" PRIu64 ",\n", head, result.n_kept);
    fprintf(to, "%s\"kept\": [],\n%s\"masses\": [],\n", head, head);
    fprintf(to, "%s\"probabilities\": ", head);
    json_put_numbers(to, probs, q->row->n);
    fputs(",\n", to);
}

void golden_ask(struct file *file, const struct question *q)
{
    FILE *to = file->to;
    size_t n_stages = n_stages_of(q->chain);
    struct tempera_sampler sampler = tempera_sampler_of(q->chain->stages, n_stages);
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
    for (size_t i = 0; i < n_stages; i++) {
        fputs(i > 0 ? ", " : "", to);
        json_put_stage(to, &q->chain->stages[i]);
    }
    fprintf(to, "],\n%s\"mask\": ", head);
    if (q->mask != NULL)
        fprintf(to, "\"%s\"", q->mask);
    else
        fputs("null", to);
    fprintf(to, ",\n%s\"history\": ", head);
    json_put_ids(to, q->history, q->n_history);
    fprintf(to, ",\n%s\"draw\": \"%s\",\n", head, q->draw == TEMPERA_DRAW_RACE ? "race" : "mass");
    put_answers(to, q, &row);
    put_draws(to, q, &row);
    if (q->draws_several)
        put_several(to, q, &row);
    put_sequence(to, q, &row, state);
    fputs("    }", to);
    free(state);
}
