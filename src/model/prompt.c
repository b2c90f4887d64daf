// SPDX-License-Identifier: MIT
// A prompt's columns. The prefixes are a tree: each is run once, after its parent, and the decoder
// goes back to where the next one branches off.
#include "model/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arguments.h"
#include "base/error.h"
#include "base/exp.h"
#include "base/memory.h"
#include "model/decoder.h"
#include "model/diagnose.h"
#include "model/parameters.h"
#include "tokenizer/split.h"

// ------------------------------------------------------------------------------------------------
// The prompt

// How many bytes before `at` have to be kept as context, so that w is cut into words as it is in
// the whole text: a few whole characters that do not start with what looks like an English ending.
static size_t lead_of(const uint8_t *text, size_t n_final, size_t at)
{
    const size_t enough = 16;
    size_t begin = at - n_final > enough ? at - enough : n_final;
    while (begin > n_final && ((text[begin] & 0xC0) == 0x80 || text[begin] == '\''))
        begin--;
    return at - begin;
}

// Removes tokens from the end while they belong to the text's last words.
static void cut(struct tempera_prompt *prompt, const struct tempera_tokenizer *tokenizer,
                const uint8_t *text, size_t nbytes, size_t n_kept_at_least)
{
    size_t n_final = tempera_split_final(text, nbytes), at = nbytes;
    while (prompt->n_ids > n_kept_at_least) {
        size_t length;
        tempera_tokenizer_token(tokenizer, prompt->ids[prompt->n_ids - 1], &length);
        if (at - length < n_final || nbytes - (at - length) > TEMPERA_MOST_TAIL)
            break;
        at -= length;
        prompt->n_ids--;
    }
    prompt->tail = text + at;
    prompt->tail_nbytes = nbytes - at;
    prompt->n_lead = lead_of(text, n_final, at);
}

enum tempera_status tempera_prompt_open(struct tempera_prompt *prompt,
                                        const struct tempera_tokenizer *tokenizer, const char *text,
                                        size_t nbytes, bool whole, struct tempera_error *error)
{
    int32_t bos = tempera_tokenizer_bos(tokenizer);
    bool adds_bos = tempera_tokenizer_adds_bos(tokenizer), has_bos = bos >= 0;
    *prompt = (struct tempera_prompt){.ids = tempera_alloc(nbytes + 1, sizeof *prompt->ids)};
    if (prompt->ids == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    TEMPERA_TRY(
        tempera_tokenizer_encode(tokenizer, text, nbytes, prompt->ids, nbytes, &prompt->n_ids));
    prompt->n_whole = prompt->n_ids + adds_bos;
    if (!whole && nbytes > 0)
        cut(prompt, tokenizer, (const uint8_t *)text, nbytes, has_bos ? 0 : 1);
    if (!adds_bos && prompt->n_ids > 0)
        return TEMPERA_OK;
    if (!has_bos)
        return tempera_fail(error, TEMPERA_INVALID_ARGUMENT,
                            "the model has no token to begin a text with: give a prompt");
    memmove(prompt->ids + 1, prompt->ids, prompt->n_ids * sizeof *prompt->ids);
    prompt->ids[0] = bos;
    prompt->n_ids++;
    prompt->n_whole += !adds_bos;
    return TEMPERA_OK;
}

void tempera_prompt_close(struct tempera_prompt *prompt)
{
    free(prompt->ids);
    *prompt = (struct tempera_prompt){0};
}

// ------------------------------------------------------------------------------------------------
// Scores

struct reader {
    struct tempera_prompt_row *row;
    struct tempera_decoder *decoder;
    size_t n_context; // tokens of c
    size_t n_known;   // tokens that the tokenizer knows
    float *logits;    // [V], of the prefix in work
    double *ln_p;     // [n_prefixes]
    double *offset;   // [n_prefixes], ln p of a prefix less the logsumexp of the row after it
    size_t heaviest;  // the prefix whose columns have the largest weight together
    double largest_weight;
};

// ln sum exp(z), of finite z.
static double logsumexp(const float *z, size_t n)
{
    float max = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        max = z[i] > max ? z[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += tempera_exp((double)z[i] - (double)max);
    return (double)max + tempera_log(sum);
}

// r->logits are the model's scores after prefix number p. Stores the scores of its columns, the
// offset that makes ln P of them, and ln p of the prefixes that are one token longer.
static void read_prefix(struct reader *r, size_t p)
{
    const struct tempera_crossings *crossings = &r->row->crossings;
    double norm = logsumexp(r->logits, r->n_known), weight = 0;
    r->offset[p] = r->ln_p[p] - norm;
    for (size_t i = 0; i < crossings->n_items; i++) {
        if (crossings->items[i].prefix != p)
            continue;
        r->row->scores[i] = r->logits[crossings->items[i].token];
        weight += tempera_exp((double)r->row->scores[i] + r->offset[p]);
    }
    if (weight > r->largest_weight) {
        r->largest_weight = weight;
        r->heaviest = p;
    }
    for (size_t i = p + 1; i < crossings->n_prefixes; i++)
        if (crossings->prefixes[i].parent == p)
            r->ln_p[i] = r->offset[p] + (double)r->logits[crossings->prefixes[i].token];
}

// Visits prefix number p, of `depth` tokens, which the decoder holds, and then what goes on from
// it.
static enum tempera_status read_from(struct reader *r, size_t p, size_t depth)
{
    const struct tempera_crossings *crossings = &r->row->crossings;
    size_t vocab = tempera_decoder_model(r->decoder)->config.vocab_size;
    read_prefix(r, p);
    bool has_room = r->n_context + depth + 1 < tempera_decoder_capacity(r->decoder);
    for (size_t i = p + 1; i < crossings->n_prefixes && has_room; i++) {
        if (crossings->prefixes[i].parent != p)
            continue;
        enum tempera_status status =
            tempera_decoder_append(r->decoder, &crossings->prefixes[i].token, 1, r->logits);
        if (status == TEMPERA_OK)
            status = tempera_all_finite(r->logits, vocab) ? read_from(r, i, depth + 1)
                                                          : TEMPERA_NAN_INPUT;
        enum tempera_status rewound = tempera_decoder_rewind(r->decoder, r->n_context + depth);
        if (status != TEMPERA_OK || rewound != TEMPERA_OK)
            return status != TEMPERA_OK ? status : rewound;
    }
    return TEMPERA_OK;
}

// From the model's scores to ln P, but for a constant. Prefixes that did not fit have -inf.
static void make_scores(const struct reader *r)
{
    const struct tempera_crossings *crossings = &r->row->crossings;
    for (size_t i = 0; i < crossings->n_items; i++) {
        double offset = r->offset[crossings->items[i].prefix] - r->offset[r->heaviest];
        r->row->scores[i] = (float)((double)r->row->scores[i] + offset);
    }
}

static enum tempera_status read_scores(struct tempera_prompt_row *row,
                                       const struct tempera_prompt *prompt,
                                       struct tempera_decoder *decoder, size_t n_known,
                                       float *logits)
{
    size_t n_prefixes = row->crossings.n_prefixes;
    struct reader reader = {.row = row,
                            .decoder = decoder,
                            .n_context = prompt->n_ids,
                            .n_known = n_known,
                            .logits = logits,
                            .ln_p = tempera_alloc(n_prefixes, sizeof *reader.ln_p),
                            .offset = tempera_alloc(n_prefixes, sizeof *reader.offset)};
    enum tempera_status status = TEMPERA_OUT_OF_MEMORY;
    if (reader.ln_p != NULL && reader.offset != NULL) {
        for (size_t i = 0; i < n_prefixes; i++)
            reader.offset[i] = -INFINITY;
        status = read_from(&reader, 0, 0);
    }
    if (status == TEMPERA_OK)
        make_scores(&reader);
    free(reader.ln_p);
    free(reader.offset);
    return status;
}

// ------------------------------------------------------------------------------------------------
// The row

static enum tempera_status make_columns(struct tempera_prompt_row *row,
                                        const struct tempera_prompt *prompt)
{
    const struct tempera_crossings *crossings = &row->crossings;
    row->n = crossings->n_items;
    row->scores = tempera_alloc(row->n, sizeof *row->scores);
    row->tokens = tempera_alloc(row->n, sizeof *row->tokens);
    row->n_known = tempera_alloc(row->n, sizeof *row->n_known);
    row->branches = tempera_alloc(crossings->n_prefixes, sizeof *row->branches);
    if (row->scores == NULL || row->tokens == NULL || row->n_known == NULL || row->branches == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    for (size_t i = 0; i < row->n; i++) {
        const struct tempera_crossing *item = &crossings->items[i];
        if (i == 0 || item->prefix != item[-1].prefix)
            row->n_branches++;
        row->branches[row->n_branches - 1].end = i + 1;
        row->tokens[i] = item->token;
        row->n_known[i] =
            (uint32_t)(prompt->tail_nbytes - crossings->prefixes[item->prefix].nbytes);
    }
    return TEMPERA_OK;
}

size_t tempera_prompt_row_prefix(const struct tempera_prompt_row *row, size_t column, int32_t *ids)
{
    const struct tempera_prefix *prefixes = row->crossings.prefixes;
    size_t n = 0, p = row->crossings.items[column].prefix;
    for (size_t q = p; q != 0; q = prefixes[q].parent)
        n++;
    for (size_t i = n; i > 0; p = prefixes[p].parent)
        ids[--i] = prefixes[p].token;
    return n;
}

// The history of each branch: c and its prefix.
static enum tempera_status make_states(struct tempera_prompt_row *row,
                                       const struct tempera_sampler_state *state)
{
    enum tempera_status status = TEMPERA_OK;
    row->states = tempera_alloc(row->n_branches, state->nbytes);
    if (row->states == NULL)
        return TEMPERA_OUT_OF_MEMORY;
    for (size_t b = 0; b < row->n_branches && status == TEMPERA_OK; b++) {
        int32_t ids[TEMPERA_MOST_TAIL];
        void *own = row->states + b * state->nbytes;
        memcpy(own, state, state->nbytes);
        row->branches[b].state = own;
        size_t n = tempera_prompt_row_prefix(row, row->branches[b].end - 1, ids);
        for (size_t i = 0; i < n && status == TEMPERA_OK; i++)
            status = tempera_sampler_accept(own, ids[i], NULL);
    }
    return status;
}

enum tempera_status
tempera_prompt_row_open(struct tempera_prompt_row *row, const struct tempera_prompt *prompt,
                        struct tempera_decoder *decoder, const struct tempera_tokenizer *tokenizer,
                        float *logits, const struct tempera_sampler_state *state)
{
    *row = (struct tempera_prompt_row){0};
    TEMPERA_TRY(tempera_crossings_find(&row->crossings, tokenizer, prompt->tail - prompt->n_lead,
                                       prompt->n_lead + prompt->tail_nbytes, prompt->n_lead));
    TEMPERA_TRY(make_columns(row, prompt));
    TEMPERA_TRY(read_scores(row, prompt, decoder, tempera_tokenizer_n_tokens(tokenizer), logits));
    return make_states(row, state);
}

void tempera_prompt_row_close(struct tempera_prompt_row *row)
{
    tempera_crossings_free(&row->crossings);
    free(row->scores);
    free(row->tokens);
    free(row->n_known);
    free(row->branches);
    free(row->states);
    *row = (struct tempera_prompt_row){0};
}
