// SPDX-License-Identifier: MIT
// The whole test harness. A test program includes it, writes functions, and lists them:
//
//     static void adds(void) { CHECK_EQ_INT(1 + 1, 2); }
//
//     int main(void)
//     {
//         static const struct check_test tests[] = {{"adds", adds}};
//         return CHECK_RUN(tests);
//     }
//
// A failed check prints where and what, and the test goes on. The output is TAP. The program fails
// if any check failed and if a test made none: a test that checks nothing proves nothing.
// Our own rather than a library such as cmocka: the same tests run under qemu for other
// processors, where only libc is at hand.
#ifndef TEMPERA_CHECK_H
#define TEMPERA_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tempera/status.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

static size_t check_count;    // checks made by the running test
static size_t check_failures; // and those of them that failed
static uint64_t check_seed;   // see check_random

// ------------------------------------------------------------------------------------------------
// Checks. Each evaluates its arguments once and returns whether it held.

#define CHECK(condition) check_that((condition), __FILE__, __LINE__, "%s", #condition)

#define CHECK_EQ_INT(got, expected) check_int((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_EQ_SIZE(got, expected) CHECK_EQ_U64(got, expected)
#define CHECK_EQ_U64(got, expected) check_u64((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_EQ_STR(got, expected) check_str((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_STATUS(got, expected) check_status((got), (expected), #got, __FILE__, __LINE__)

// nbytes bytes are equal; names the first that isn't.
#define CHECK_MEM(got, expected, nbytes)                                                          \
    check_mem((got), (expected), (nbytes), #got, __FILE__, __LINE__)

// |got - expected| <= bound. Derive the bound from the operands: n * epsilon * sum of magnitudes,
// not "1e-5 seems to work". Infinities must be equal, a NaN needs a NaN.
#define CHECK_NEAR(got, expected, bound)                                                          \
    check_near((got), (expected), (bound), #got, __FILE__, __LINE__)

// The float got is within max_ulp units in the last place of the exact value `expected`; a unit
// being the distance between the floats around it.
#define CHECK_ULP(got, expected, max_ulp)                                                         \
    check_ulp((got), (expected), (max_ulp), #got, __FILE__, __LINE__)

__attribute__((format(printf, 4, 5), unused)) static bool
check_that(bool held, const char *file, int line, const char *format, ...);

// ------------------------------------------------------------------------------------------------
// Size. Slow builds, those with sanitizers and those for another processor, do the same tests with
// fewer cases: ctest sets TEMPERA_TEST_SMALL in the environment for them, as cmake/Tests.cmake
// decides. Otherwise nothing is smaller than it says.

__attribute__((unused)) static bool check_is_small(void)
{
    const char *small = getenv("TEMPERA_TEST_SMALL");
    return small != NULL && *small != '\0';
}

// How many cases of n to do: all, or a sixteenth in a slow build, at least one.
__attribute__((unused)) static size_t check_cases(size_t n)
{
    return check_is_small() ? (n + 15) / 16 : n;
}

// The step of a loop over all cases: 1, or `step` in a slow build.
__attribute__((unused)) static size_t check_stride(size_t step)
{
    return check_is_small() ? step : 1;
}

// ------------------------------------------------------------------------------------------------
// Random numbers (splitmix64). Every test starts from the same seed, which is printed;
// TEMPERA_TEST_SEED in the environment overrides it.

__attribute__((unused)) static uint64_t check_random(void)
{
    uint64_t z = check_seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// In [0, n), n > 0; the bias of at most n / 2^64 is far below what a test can see.
__attribute__((unused)) static size_t check_random_below(size_t n)
{
    return (size_t)(check_random() % n);
}

// In [low, high).
__attribute__((unused)) static double check_random_between(double low, double high)
{
    return low + (high - low) * ((double)(check_random() >> 11) * 0x1p-53);
}

// Of mean 0 and deviation 1.
__attribute__((unused)) static double check_random_normal(void)
{
    double u = check_random_between(0x1p-53, 1), v = check_random_between(0, 6.283185307179586);
    return sqrt(-2 * log(u)) * cos(v);
}

// ------------------------------------------------------------------------------------------------
// What the macros call.

#include <stdarg.h>

static bool check_that(bool held, const char *file, int line, const char *format, ...)
{
    check_count++;
    if (held)
        return true;
    check_failures++;
    va_list arguments;
    va_start(arguments, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    return false;
}

__attribute__((unused)) static bool check_int(intmax_t got, intmax_t expected, const char *what,
                                              const char *file, int line)
{
    return check_that(got == expected, file, line, "%s is %" PRIdMAX ", not %" PRIdMAX, what, got,
                      expected);
}

__attribute__((unused)) static bool check_u64(uint64_t got, uint64_t expected, const char *what,
                                              const char *file, int line)
{
    return check_that(got == expected, file, line,
                      "%s is %" PRIu64 " (0x%" PRIx64 "), not %" PRIu64 " (0x%" PRIx64 ")", what,
                      got, got, expected, expected);
}

__attribute__((unused)) static bool check_str(const char *got, const char *expected,
                                              const char *what, const char *file, int line)
{
    return check_that(got && strcmp(got, expected) == 0, file, line, "%s is \"%s\", not \"%s\"",
                      what, got ? got : "(null)", expected);
}

__attribute__((unused)) static bool check_status(enum tempera_status got,
                                                 enum tempera_status expected, const char *what,
                                                 const char *file, int line)
{
    return check_that(got == expected, file, line, "%s is %s, not %s", what,
                      tempera_status_name(got), tempera_status_name(expected));
}

__attribute__((unused)) static bool check_mem(const void *got, const void *expected, size_t nbytes,
                                              const char *what, const char *file, int line)
{
    const unsigned char *a = got, *b = expected;
    size_t i = 0;
    while (i < nbytes && a[i] == b[i])
        i++;
    return check_that(i == nbytes, file, line, "%s: byte %zu of %zu is 0x%02x, not 0x%02x", what,
                      i, nbytes, i < nbytes ? a[i] : 0u, i < nbytes ? b[i] : 0u);
}

__attribute__((unused)) static bool check_near(double got, double expected, double bound,
                                               const char *what, const char *file, int line)
{
    bool held = isnan(expected) ? isnan(got) : got == expected || fabs(got - expected) <= bound;
    return check_that(held, file, line, "%s is %.17g, not %.17g: off by %.3g, allowed %.3g", what,
                      got, expected, fabs(got - expected), bound);
}

__attribute__((unused)) static bool check_ulp(float got, double expected, double max_ulp,
                                              const char *what, const char *file, int line)
{
    int exponent;
    frexp(expected, &exponent); // 2^(exponent-1) <= |expected| < 2^exponent
    double ulp = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    if (isinf(expected) || isnan(expected) || expected == 0)
        ulp = 0x1p-149;
    bool held = isnan(expected) ? isnan(got)
                                : (double)got == expected ||
                                      fabs((double)got - expected) <= max_ulp * ulp;
    return check_that(held, file, line, "%s is %.9g, not %.17g: off by %.3g ulp, allowed %.3g",
                      what, (double)got, expected, fabs((double)got - expected) / ulp, max_ulp);
}

// ------------------------------------------------------------------------------------------------

#define CHECK_RUN(tests) check_run((tests), sizeof(tests) / sizeof *(tests))

static int check_run(const struct check_test *tests, size_t n_tests)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *text = getenv("TEMPERA_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20250301;
    printf("# TEMPERA_TEST_SEED=%" PRIu64 "\n1..%zu\n", seed, n_tests);
    size_t n_bad = 0;
    for (size_t i = 0; i < n_tests; i++) {
        check_count = check_failures = 0;
        check_seed = seed;
        tests[i].run();
        if (check_count == 0)
            printf("# the test made no check\n");
        bool good = check_count > 0 && check_failures == 0;
        n_bad += !good;
        printf("%s %zu - %s (%zu checks)\n", good ? "ok" : "not ok", i + 1, tests[i].name,
               check_count);
    }
    return n_tests == 0 || n_bad > 0;
}

#endif
