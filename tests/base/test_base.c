// SPDX-License-Identifier: MIT
// Random numbers, half floats, exp and log, memory: what both libraries stand on.
#include "check.h"

#include "base/exp.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/philox.h"

// The known answers that Random123 publishes for philox4x32-10.
static void philox_known_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
        {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
         {0xFFFFFFFF, 0xFFFFFFFF},
         {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}},
        {{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344},
         {0xA4093822, 0x299F31D0},
         {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}},
    };
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        uint32_t out[4];
        tempera_philox4x32(vectors[i].counter, vectors[i].key, out);
        CHECK_MEM(out, vectors[i].out, sizeof out);
    }
}

// The value of a half by its definition.
static double f16_value(uint16_t h)
{
    int sign = h >> 15 ? -1 : 1, exponent = (h >> 10) & 0x1F, fraction = h & 0x3FF;
    if (exponent == 0x1F)
        return fraction ? NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void f16_all_values(void)
{
    for (uint32_t h = 0; h <= 0xFFFF; h++) {
        float f = tempera_f16_to_f32((uint16_t)h);
        double expected = f16_value((uint16_t)h);
        if (isnan(expected)) {
            CHECK_EQ_U64(tempera_float_bits(f), 0x7FC00000);
            CHECK_EQ_U64(tempera_f32_to_f16(f), 0x7E00);
        } else {
            CHECK((double)f == expected && (signbit(f) != 0) == (h >> 15 != 0));
            CHECK_EQ_U64(tempera_f32_to_f16(f), h);
        }
    }
}

// Between two neighbours the middle goes to the even one, one float beside it to the nearer one.
static void f16_halfway(void)
{
    for (uint32_t h = 0; h < 0x7BFF; h++) {
        float middle = (float)((f16_value((uint16_t)h) + f16_value((uint16_t)(h + 1))) / 2);
        CHECK_EQ_U64(tempera_f32_to_f16(middle), h + (h & 1));
        CHECK_EQ_U64(tempera_f32_to_f16(nextafterf(middle, 0)), h);
        CHECK_EQ_U64(tempera_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        CHECK_EQ_U64(tempera_f32_to_f16(-middle), 0x8000 | (h + (h & 1)));
    }
    CHECK_EQ_U64(tempera_f32_to_f16(65520.0f), 0x7C00);
    CHECK_EQ_U64(tempera_f32_to_f16(nextafterf(65520.0f, 0)), 0x7BFF);
    CHECK_EQ_U64(tempera_f32_to_f16(INFINITY), 0x7C00);
}

static void bf16_values(void)
{
    for (uint32_t h = 0; h <= 0xFFFF; h++) {
        float f = tempera_bf16_to_f32((uint16_t)h);
        bool nan = (h & 0x7FFF) > 0x7F80;
        CHECK_EQ_U64(tempera_float_bits(f), nan ? 0x7FC00000 : h << 16);
        CHECK_EQ_U64(tempera_f32_to_bf16(f), nan ? 0x7FC0 : h);
    }
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x3F808000)), 0x3F80); // middle, to even
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x3F818000)), 0x3F82);
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x3F808001)), 0x3F81);
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x7F7FFFFF)), 0x7F80); // to infinity
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x00000001)), 0);
    CHECK_EQ_U64(tempera_f32_to_bf16(tempera_bits_float(0x00008001)), 1); // denormals are kept
}

static double ulps(double got, long double expected)
{
    int exponent;
    frexpl(expected, &exponent);
    return (double)(fabsl((long double)got - expected) / ldexpl(1, exponent - 53));
}

static void exp_error(void)
{
    double worst = 0;
    for (size_t i = 0; i < check_cases(2000000); i++) {
        double x = -check_random_between(0, i % 2 ? 1 : 708);
        double error = ulps(tempera_exp(x), expl((long double)x));
        worst = error > worst ? error : worst;
    }
    printf("# exp: %.3f ulp\n", worst);
    CHECK(worst < 1);
    CHECK(tempera_exp(0) == 1);
    CHECK(tempera_exp(-0.0) == 1);
    CHECK(tempera_exp(-708.5) == 0);
    CHECK(tempera_exp(-INFINITY) == 0);
    CHECK(isnan(tempera_exp(NAN)));
}

// Neighbouring doubles near 0 and around every border of k ln 2 must not be reversed.
static void exp_is_monotone(void)
{
    size_t reversals = 0;
    for (int k = 0; k < 2000; k++) {
        double x = -((double)k + 0.5) * 0.6931471805599453;
        for (int i = 0; i < 200; i++)
            x = nextafter(x, 0);
        for (int i = 0; i < 400 && x > -708; i++) {
            double below = nextafter(x, -INFINITY);
            reversals += tempera_exp(below) > tempera_exp(x) * (1 + 0x1p-52);
            x = below;
        }
    }
    for (float x = -0x1p-10f; x < 0; x = nextafterf(x, 0) * 0.99999f)
        reversals += tempera_exp((double)nextafterf(x, -1)) > tempera_exp((double)x);
    CHECK_EQ_SIZE(reversals, 0);
}

static void log_error(void)
{
    double worst = 0;
    for (size_t i = 0; i < check_cases(1000000); i++) {
        double x = i % 3 == 0 ? check_random_between(1, 300000)
                   : i % 3 == 1
                       ? check_random_between(0.5, 2)
                       : ldexp(check_random_between(1, 2), (int)check_random_below(2000) - 1000);
        if (x == 1)
            continue;
        double error = ulps(tempera_log(x), logl((long double)x));
        worst = error > worst ? error : worst;
    }
    printf("# log: %.3f ulp\n", worst);
    CHECK(worst < 2);
    CHECK(tempera_log(1) == 0);
}

// With contraction a * b + c would be one rounding; the build must do two.
static void no_contraction(void)
{
    volatile double a = 1 + 0x1p-30, b = 1 - 0x1p-30, c = -1;
    double product = a * b + c;
    CHECK(product == 0);
}

static void memory(void)
{
    size_t size = 7;
    CHECK(!tempera_size_mul(SIZE_MAX / 2, 3, &size) && size == 7);
    CHECK(!tempera_size_add(SIZE_MAX, 1, &size) && size == 7);
    CHECK(tempera_size_mul(6, 7, &size) && size == 42);
    CHECK(tempera_alloc(SIZE_MAX / 4, 8) == NULL);
    CHECK(tempera_alloc(SIZE_MAX, 1) == NULL);
    unsigned char *p = tempera_alloc(3, 33);
    CHECK(p != NULL && (uintptr_t)p % 64 == 0);
    for (size_t i = 0; p != NULL && i < 99; i++)
        CHECK(p[i] == 0);
    free(p);
    p = tempera_alloc(0, 8);
    CHECK(p != NULL);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"philox gives the published known answers", philox_known_answers},
        {"all 65536 f16 values come back", f16_all_values},
        {"f16 rounds halfway cases to even", f16_halfway},
        {"bf16 values come back, and round to even", bf16_values},
        {"exp is within 1 ulp", exp_error},
        {"exp keeps the order", exp_is_monotone},
        {"log is within 2 ulp", log_error},
        {"products and sums are not contracted", no_contraction},
        {"memory is checked, aligned and zeroed", memory},
    };
    return CHECK_RUN(tests, argc, argv);
}
