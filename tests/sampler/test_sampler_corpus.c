// SPDX-License-Identifier: MIT
// The fuzzer's finds, as a test: see fuzz/run.
#include "check.h"

#include "../../fuzz/replay.h"
#include "../../fuzz/sampler.c"

static void corpus(void)
{
    CHECK(replay("sampler") >= 20);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {{"the fuzzer's finds do no harm", corpus}};
    return CHECK_RUN(tests, argc, argv);
}
