// SPDX-License-Identifier: MIT
#include "token_lists.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "text.h"

// The id at the beginning of a text, which ends at *end; -1 if there is none.
static int32_t id_at(const char *text, const struct tempera_tokenizer *tokenizer, char **end)
{
    errno = 0;
    long id = text[0] >= '0' && text[0] <= '9' ? strtol(text, end, 10) : -1;
    return errno == 0 && id >= 0 && (size_t)id < tempera_tokenizer_n_tokens(tokenizer) ? (int32_t)id
                                                                                       : -1;
}

static bool not_ids(const char *command, const char *option, const char *text,
                    const struct tempera_tokenizer *tokenizer)
{
    cli_error("tempera %s: --%s takes ids of tokens, 0 to %zu, with commas between, not '%s'",
              command, option, tempera_tokenizer_n_tokens(tokenizer) - 1, cli_shown(text));
    return false;
}

bool cli_tokens_by_id(const char *command, const char *option, const struct cli_texts *texts,
                      const struct tempera_tokenizer *tokenizer, struct cli_tokens *tokens)
{
    int32_t *ids = NULL;
    size_t n = 0;
    *tokens = (struct cli_tokens){NULL, 0};
    for (size_t i = 0; i < texts->count; i++) {
        const char *at = texts->items[i];
        for (bool more = true; more;) {
            char *end = NULL;
            int32_t id = id_at(at, tokenizer, &end);
            if (id < 0 || (*end != '\0' && *end != ',')) {
                free(ids);
                return not_ids(command, option, texts->items[i], tokenizer);
            }
            ids = cli_realloc(ids, (n + 1) * sizeof *ids);
            ids[n++] = id;
            more = *end == ',';
            at = end + 1;
        }
    }
    *tokens = (struct cli_tokens){ids, n};
    return true;
}

bool cli_token_biases(const char *command, const char *option, const struct cli_texts *texts,
                      const struct tempera_tokenizer *tokenizer, struct tempera_logit_bias **bias)
{
    *bias = cli_realloc(NULL, (texts->count + 1) * sizeof **bias);
    for (size_t i = 0; i < texts->count; i++) {
        char *end = NULL;
        double value;
        int32_t id = id_at(texts->items[i], tokenizer, &end);
        if (id < 0 || *end != ':' || !cli_parse_number(end + 1, &value) || !cli_fits_float(value) ||
            value == INFINITY) {
            cli_error("tempera %s: --%s takes ID:BIAS, the id from 0 to %zu, not '%s'", command,
                      option, tempera_tokenizer_n_tokens(tokenizer) - 1,
                      cli_shown(texts->items[i]));
            return false;
        }
        (*bias)[i] = (struct tempera_logit_bias){id, (float)value};
    }
    return true;
}

static bool contains(const uint8_t *bytes, size_t nbytes, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; length > 0 && i + length <= nbytes; i++)
        if (memcmp(bytes + i, text, length) == 0)
            return true;
    return false;
}

struct cli_tokens cli_tokens_with_text(const struct cli_texts *texts,
                                       const struct tempera_tokenizer *tokenizer)
{
    size_t n_tokens = tempera_tokenizer_n_tokens(tokenizer), n = 0;
    int32_t *ids = cli_realloc(NULL, (n_tokens + 1) * sizeof *ids);
    for (size_t id = 0; id < n_tokens; id++) {
        size_t nbytes;
        const uint8_t *bytes = tempera_tokenizer_token(tokenizer, (int32_t)id, &nbytes);
        bool found = false;
        for (size_t i = 0; i < texts->count; i++)
            found |= contains(bytes, nbytes, texts->items[i]);
        ids[n] = (int32_t)id;
        n += found && !tempera_tokenizer_is_special(tokenizer, (int32_t)id);
    }
    return (struct cli_tokens){ids, n};
}
