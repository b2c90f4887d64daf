// SPDX-License-Identifier: MIT
// The whole test harness. A test program includes it, writes functions, and lists them:
//
//     static void adds(void) { CHECK_EQ_INT(1 + 1, 2); }
//
//     int main(int argc, char **argv)
//     {
//         static const struct check_test tests[] = {{"one and one is two", adds}};
//         return CHECK_RUN(tests, argc, argv);
//     }
//
// A failed check prints where and what, and the test goes on. The output is TAP. The program fails
// if any check failed and if a test made none: a test that checks nothing proves nothing.
// Our own rather than a library such as cmocka: the same tests run under qemu for other
// processors, where only libc is at hand.
#ifndef TEMPERA_TESTS_CHECK_H
#define TEMPERA_TESTS_CHECK_H

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

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

// ------------------------------------------------------------------------------------------------
// Checks. Each evaluates its arguments once and returns whether it held.

#define CHECK(condition) check_that((condition), __FILE__, __LINE__, "%s", #condition)

#define CHECK_EQ_INT(got, expected) check_int((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_EQ_SIZE(got, expected) CHECK_EQ_U64(got, expected)
#define CHECK_EQ_U64(got, expected) check_u64((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_EQ_STR(got, expected) check_str((got), (expected), #got, __FILE__, __LINE__)
#define CHECK_STATUS(got, expected) check_status((got), (expected), #got, __FILE__, __LINE__)

// nbytes bytes are equal; names the first that isn't.
#define CHECK_MEM(got, expected, nbytes)                                                           \
    check_mem((got), (expected), (nbytes), #got, __FILE__, __LINE__)

// |got - expected| <= bound. Derive the bound from the operands: n * epsilon * sum of magnitudes,
// not "1e-5 seems to work". Infinities must be equal, a NaN needs a NaN.
#define CHECK_NEAR(got, expected, bound)                                                           \
    check_near((got), (expected), (bound), #got, __FILE__, __LINE__)

// The float got is within max_ulp units in the last place of the exact value `expected`; a unit
// being the distance between the floats around it.
#define CHECK_ULP(got, expected, max_ulp)                                                          \
    check_ulp((got), (expected), (max_ulp), #got, __FILE__, __LINE__)

// What the macros call.
__attribute__((format(printf, 4, 5))) bool check_that(bool held, const char *file, int line,
                                                      const char *format, ...);
bool check_int(intmax_t got, intmax_t expected, const char *what, const char *file, int line);
bool check_u64(uint64_t got, uint64_t expected, const char *what, const char *file, int line);
bool check_str(const char *got, const char *expected, const char *what, const char *file, int line);
bool check_status(enum tempera_status got, enum tempera_status expected, const char *what,
                  const char *file, int line);
bool check_mem(const void *got, const void *expected, size_t nbytes, const char *what,
               const char *file, int line);
bool check_near(double got, double expected, double bound, const char *what, const char *file,
                int line);
bool check_ulp(float got, double expected, double max_ulp, const char *what, const char *file,
               int line);

// How many checks of the running test have failed.
size_t check_n_failures(void);

// The distance between floats at value.
double ulp_of(long double value);

// ------------------------------------------------------------------------------------------------
// Size. Slow builds, those with sanitizers and those for another processor, do the same tests with
// fewer cases: ctest sets TEMPERA_TEST_SMALL in the environment for them, as cmake/Tests.cmake
// decides. Otherwise nothing is smaller than it says.

bool check_is_small(void);

// How many cases of n to do: all, or a sixteenth in a slow build, at least one.
size_t check_cases(size_t n);

// The step of a loop over all cases: 1, or `step` in a slow build.
size_t check_stride(size_t step);

// ------------------------------------------------------------------------------------------------
// Random numbers (splitmix64). Every test starts from the same seed, which is printed;
// TEMPERA_TEST_SEED in the environment overrides it.

// Starts over from this seed, until the test ends.
void check_random_seed(uint64_t seed);

uint64_t check_random(void);

// In [0, n), n > 0; the bias of at most n / 2^64 is far below what a test can see.
size_t check_random_below(size_t n);

// In [low, high).
double check_random_between(double low, double high);

// Of mean 0 and deviation 1.
double check_random_normal(void);

// One of the elements of an array.
#define RANDOM_OF(array) ((array)[check_random_below(COUNT_OF(array))])

// ------------------------------------------------------------------------------------------------

// Runs all tests; with an argument that is not an option (--) those whose names contain it. Returns
// what main has to.
#define CHECK_RUN(tests, argc, argv) check_run((tests), COUNT_OF(tests), (argc), (argv))

int check_run(const struct check_test *tests, size_t n_tests, int argc, char **argv);

#endif
