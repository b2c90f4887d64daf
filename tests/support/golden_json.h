// SPDX-License-Identifier: MIT
// How tests/sampler/test_sampler_golden.c writes stages and numbers; the format is described in
// tests/golden/sampling/README.md.
#ifndef TEMPERA_TESTS_GOLDEN_JSON_H
#define TEMPERA_TESTS_GOLDEN_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tempera/sampler.h>

void json_put_number(FILE *to, float x);

void json_put_numbers(FILE *to, const float *x, size_t n);

// A level, in double.
void json_put_level(FILE *to, double x);

void json_put_ids(FILE *to, const int32_t *ids, size_t n);

void json_put_stage(FILE *to, const struct tempera_stage *stage);

#endif
