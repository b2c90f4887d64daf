// SPDX-License-Identifier: MIT
#include "check.h"

#include <stdarg.h>

static size_t n_checks;   // made by the running test
static size_t n_failures; // and those of them that failed
static uint64_t random_state;

bool check_that(bool held, const char *file, int line, const char *format, ...)
{
    n_checks++;
    if (held)
        return true;
    n_failures++;
    va_list arguments;
    va_start(arguments, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    return false;
}

bool check_int(intmax_t got, intmax_t expected, const char *what, const char *file, int line)
{
    return check_that(got == expected, file, line, "%s is %" PRIdMAX ", not %" PRIdMAX, what, got,
                      expected);
}

bool check_u64(uint64_t got, uint64_t expected, const char *what, const char *file, int line)
{
    return check_that(got == expected, file, line,
                      "%s is %" PRIu64 " (0x%" PRIx64 "), not %" PRIu64 " (0x%" PRIx64 ")", what,
                      got, got, expected, expected);
}

bool check_str(const char *got, const char *expected, const char *what, const char *file, int line)
{
    return check_that(got && strcmp(got, expected) == 0, file, line, "%s is \"%s\", not \"%s\"",
                      what, got ? got : "(null)", expected);
}

bool check_status(enum tempera_status got, enum tempera_status expected, const char *what,
                  const char *file, int line)
{
    return check_that(got == expected, file, line, "%s is %s, not %s", what,
                      tempera_status_name(got), tempera_status_name(expected));
}

bool check_mem(const void *got, const void *expected, size_t nbytes, const char *what,
               const char *file, int line)
{
    const unsigned char *a = got, *b = expected;
    size_t i = 0;
    while (i < nbytes && a[i] == b[i])
        i++;
    return check_that(i == nbytes, file, line, "%s: byte %zu of %zu is 0x%02x, not 0x%02x", what, i,
                      nbytes, i < nbytes ? a[i] : 0u, i < nbytes ? b[i] : 0u);
}

bool check_near(double got, double expected, double bound, const char *what, const char *file,
                int line)
{
    bool held = isnan(expected) ? isnan(got) : got == expected || fabs(got - expected) <= bound;
    return check_that(held, file, line, "%s is %.17g, not %.17g: off by %.3g, allowed %.3g", what,
                      got, expected, fabs(got - expected), bound);
}

size_t check_n_failures(void)
{
    return n_failures;
}

double ulp_of(long double value)
{
    int exponent;
    frexpl(value, &exponent); // 2^(exponent-1) <= |value| < 2^exponent
    return ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

bool check_ulp(float got, double expected, double max_ulp, const char *what, const char *file,
               int line)
{
    double ulp = ulp_of((long double)expected);
    if (isinf(expected) || isnan(expected) || expected == 0)
        ulp = 0x1p-149;
    bool held = isnan(expected)
                    ? isnan(got)
                    : (double)got == expected || fabs((double)got - expected) <= max_ulp * ulp;
    return check_that(held, file, line, "%s is %.9g, not %.17g: off by %.3g ulp, allowed %.3g",
                      what, (double)got, expected, fabs((double)got - expected) / ulp, max_ulp);
}

// ------------------------------------------------------------------------------------------------
// Size and random numbers

bool check_is_small(void)
{
    const char *small = getenv("TEMPERA_TEST_SMALL");
    return small != NULL && *small != '\0';
}

size_t check_cases(size_t n)
{
    return check_is_small() ? (n + 15) / 16 : n;
}

size_t check_stride(size_t step)
{
    return check_is_small() ? step : 1;
}

void check_random_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t check_random(void)
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

size_t check_random_below(size_t n)
{
    return (size_t)(check_random() % n);
}

double check_random_between(double low, double high)
{
    return low + (high - low) * ((double)(check_random() >> 11) * 0x1p-53);
}

double check_random_normal(void)
{
    double u = check_random_between(0x1p-53, 1), v = check_random_between(0, 6.283185307179586);
    return sqrt(-2 * log(u)) * cos(v);
}

// ------------------------------------------------------------------------------------------------
// Running

// Runs one test as number `number` and prints its line; returns whether it passed.
static bool run_test(const struct check_test *test, size_t number, uint64_t seed)
{
    n_checks = n_failures = 0;
    check_random_seed(seed);
    test->run();
    if (n_checks == 0)
        printf("# the test made no check\n");
    bool good = n_checks > 0 && n_failures == 0;
    printf("%s %zu - %s (%zu checks)\n", good ? "ok" : "not ok", number, test->name, n_checks);
    return good;
}

int check_run(const struct check_test *tests, size_t n_tests, int argc, char **argv)
{
    const char *wanted = argc > 1 && strncmp(argv[1], "--", 2) != 0 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *text = getenv("TEMPERA_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20250301;
    printf("# TEMPERA_TEST_SEED=%" PRIu64 "\n", seed);
    size_t n_run = 0, n_bad = 0;
    for (size_t i = 0; i < n_tests; i++)
        if (strstr(tests[i].name, wanted) != NULL)
            n_bad += !run_test(&tests[i], ++n_run, seed);
    printf("1..%zu\n", n_run);
    return n_run == 0 || n_bad > 0;
}
