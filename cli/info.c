// SPDX-License-Identifier: MIT
// tempera info: the machine, the kernels that were chosen, and what a model file holds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/model.h>
#include <tempera/parallel.h>
#include <tempera/tempera.h>

#include "commands.h"
#include "support.h"
#include "text.h"

static json_t *isa_names(uint32_t mask)
{
    json_t *names = json_array();
    for (uint32_t bit = 1; bit != 0 && bit <= mask; bit <<= 1)
        if (mask & bit)
            json_array_append_new(names, json_string(tempera_isa_name((enum tempera_isa)bit)));
    return names;
}

static json_t *machine(void)
{
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:s}", "version", tempera_version(), "processor",
                     tempera_cpu_name(), "processors", (json_int_t)tempera_processors(),
                     "isa_detected", isa_names(tempera_cpu_detected()), "isa_compiled",
                     isa_names(tempera_cpu_compiled()), "isa_active",
                     tempera_isa_name(tempera_cpu_active()));
}

static json_t *model_facts(const struct cli_session *session)
{
    const struct tempera_model_config *c = tempera_model_get_config(session->model);
    return json_pack("{s:o, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:I}", "file",
                     cli_json_text(session->path, strlen(session->path)), "parameters",
                     (json_int_t)tempera_model_config_n_parameters(c), "layers", (int)c->n_layers,
                     "dim", (int)c->dim, "heads", (int)c->n_heads, "kv_heads", (int)c->n_kv_heads,
                     "hidden", (int)c->hidden_dim, "context", (int)c->context_length, "vocab",
                     (int)c->vocab_size, "tied_embeddings", (int)c->tied_embeddings, "tokens",
                     (json_int_t)tempera_tokenizer_n_tokens(session->tokenizer));
}

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        fputs(cli_shown(json_string_value(value)), stdout);
    } else if (json_is_integer(value)) {
        printf("%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "yes" : "no", stdout);
    } else {
        for (size_t i = 0; i < json_array_size(value); i++)
            printf("%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(value, i)));
    }
}

// Each field of the object on a line of its own, with its name's underscores as spaces.
static void print_fields(json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char label[32];
        snprintf(label, sizeof label, "%s", name);
        for (char *c = label; *c != '\0'; c++)
            *c = *c == '_' ? ' ' : *c;
        printf("  %-16s ", label);
        print_value(value);
        putchar('\n');
    }
}

static int show(json_t *facts, json_t *model, bool json)
{
    if (json) {
        if (model != NULL)
            json_object_set_new(facts, "model", model);
        return cli_json_print("info", facts);
    }
    printf("tempera\n");
    print_fields(facts);
    if (model != NULL) {
        printf("model\n");
        print_fields(model);
    }
    json_decref(facts);
    json_decref(model);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    const char *model_path = NULL, *isa = NULL;
    bool json = false;
    const struct cli_option options[] = {
        {"model", 'm', CLI_FILE, &model_path, "FILE", "also say what this model file holds", 0, 0},
        CLI_ISA_OPTION(&isa),
        {"json", 0, CLI_FLAG, &json, NULL, "print JSON", 0, 0},
    };
    const size_t n_options = sizeof options / sizeof *options;
    struct cli_texts words = {NULL, 0};
    int exit_code;
    bool ok = cli_options_parse(&cli_info, options, n_options, argc, argv, &words, &exit_code);
    if (ok && words.count > 0) {
        cli_error("tempera info: '%s' is not an option; a model goes after -m",
                  cli_shown(words.items[0]));
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && !cli_set_isa("info", isa)) {
        exit_code = CLI_USAGE;
        ok = false;
    }
    if (ok && model_path == NULL) {
        exit_code = show(machine(), NULL, json);
    } else if (ok) {
        struct cli_session session;
        exit_code = CLI_FAILED;
        if (cli_session_open(&session, "info", model_path, 1)) {
            exit_code = show(machine(), model_facts(&session), json);
            cli_session_close(&session);
        }
    }
    cli_options_free(options, n_options, &words);
    return exit_code;
}

const struct cli_command cli_info = {
    .name = "info",
    .summary = "the machine, the chosen kernels, a model's shape",
    .arguments = "",
    .details = "Prints the processor's instruction sets, which of them this build has kernels for "
               "and which\nare in use, and with -m the shape of a model.",
    .example = "tempera info --json",
    .run = run,
};
