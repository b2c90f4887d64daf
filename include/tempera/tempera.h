// SPDX-License-Identifier: MIT
// All of libtempera, the score path: scores to probabilities, losses, gradients and tokens.
// It needs libc and threads only. The small language model's headers (gguf.h, tokenizer.h,
// model.h, train.h) belong to libtempera-lm and are included by name.
//
// Reading order: status.h, matrix.h, softmax.h, loss.h, sampler.h; presets.h, stage_info.h,
// explain.h, decoding.h, linear_loss.h, distillation.h, shards.h, calibration.h, parallel.h and
// cpu.h when needed.
#ifndef TEMPERA_H
#define TEMPERA_H

#include <tempera/calibration.h>
#include <tempera/cpu.h>
#include <tempera/decoding.h>
#include <tempera/distillation.h>
#include <tempera/explain.h>
#include <tempera/linear_loss.h>
#include <tempera/loss.h>
#include <tempera/matrix.h>
#include <tempera/parallel.h>
#include <tempera/presets.h>
#include <tempera/sampler.h>
#include <tempera/sampler_stages.h>
#include <tempera/shards.h>
#include <tempera/softmax.h>
#include <tempera/stage_info.h>
#include <tempera/status.h>

#define TEMPERA_VERSION_MAJOR 0
#define TEMPERA_VERSION_MINOR 1
#define TEMPERA_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

// The library's version as "0.1.0": what runs, as the macros are what was compiled against.
TEMPERA_API const char *tempera_version(void);

#ifdef __cplusplus
}
#endif
#endif
