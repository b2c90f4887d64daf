// SPDX-License-Identifier: MIT
// The subcommands, one file each.
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const struct cli_command cli_softmax;
extern const struct cli_command cli_train;
extern const struct cli_command cli_generate;
extern const struct cli_command cli_explain;
extern const struct cli_command cli_eval;
extern const struct cli_command cli_info;

#endif
