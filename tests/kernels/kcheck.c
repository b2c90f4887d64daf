// SPDX-License-Identifier: MIT
// kcheck: every operation of the score path, on every instruction set that this machine has, at
// every size to 130 and the usual vocabularies, at every alignment, between guard pages: equal to
// the golden bits, the same on all of them, and within its bound of a long double reference.
//
//     kcheck                 the checks
//     kcheck NAME            those whose name contains NAME
//     kcheck --print         the golden hashes, for tests/golden/kernels.hash
//
// What the operations are is in bench/operations.c; tempera-bench kernels times them.
//
// TEMPERA_REQUIRE_ISA=avx2,avx512: fails where one of these is not there, instead of skipping it.
#define _GNU_SOURCE // mmap's MAP_ANONYMOUS

#include "check.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/half.h"
#include "kernels/kernels.h"
#include "operations.h"

enum { MOST = OPERATION_MAX_COLS, MOST_ROWS = OPERATION_MAX_ROWS };

static const size_t big_sizes[] = {1000, 4095, 4097, 32000, 50257, 128256, 151936, MOST};
static enum tempera_isa active_at_start; // what TEMPERA_ISA or the processor decided

static const float temperatures[] = {1, 0.7f, 1.7f, 0.05f, 100, 1e-40f, 1e35f};

// ------------------------------------------------------------------------------------------------
// Inputs: the same on every machine, so made of integers

static float z_data[MOST_ROWS * 4096 > MOST ? MOST_ROWS * 4096 : MOST];
static float other_data[COUNT_OF(z_data)];
static float result[COUNT_OF(z_data) + 1], again[COUNT_OF(result)];

static uint64_t state;
static bool has_specials; // among the inputs: NaN, infinities, rows or targets that are masked

static double next_between(double low, double high)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (high - low) * (double)(state >> 33) * 0x1p-31;
}

enum { N_KINDS = 6 };

// Ordinary scores, wide ones, far from zero, few values, masked ones, and one special value.
static void fill_inputs(size_t count, size_t n, unsigned kind, uint64_t seed)
{
    state = seed;
    has_specials = kind >= 4;
    for (size_t i = 0; i < count; i++) {
        double bell = 0;
        for (int k = 0; k < 4; k++)
            bell += next_between(-3, 3);
        double x = kind == 1   ? next_between(-80, 80)
                   : kind == 2 ? bell - 30000
                   : kind == 3 ? (double)(int)next_between(0, 4) * 1.25
                               : bell;
        z_data[i] = kind == 4 && next_between(0, 3) < 1 ? -INFINITY : (float)x;
        other_data[i] = (float)next_between(-2, 2);
    }
    if (kind == 5) // a row of each kind of special value
        for (size_t r = 0; r * n < count; r++) {
            static const float specials[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-42f};
            z_data[r * n + (n - 1) / 2] = specials[(r + seed) % 6];
        }
}

// ------------------------------------------------------------------------------------------------
// Operations

// Only with special values may a row have a status of its own; a call is never refused.
static void check_answered(const struct operation *o, enum tempera_status status)
{
    bool is_row_status = status == TEMPERA_NAN_INPUT || status == TEMPERA_ALL_MASKED ||
                         status == TEMPERA_TARGET_MASKED;
    if (!CHECK(status == TEMPERA_OK || (has_specials && is_row_status)))
        printf("# %s: %s\n", o->name, tempera_status_name(status));
}

// Writes floats to out, rows * n + 1 at most, and returns how many; those of 16-bit types converted
// there and back.
static size_t run_operation(const struct operation *o, const struct operation_inputs *in,
                            float *out)
{
    static uint16_t halves[COUNT_OF(z_data)], results[COUNT_OF(halves)];
    size_t n_out = 0;
    if (o->dtype == TEMPERA_F32) {
        check_answered(o, o->run(in, out, &n_out));
        return n_out;
    }
    bool is_f16 = o->dtype == TEMPERA_F16;
    for (size_t r = 0; r < in->rows; r++)
        for (size_t i = 0; i < in->n; i++) {
            float x = in->z[r * in->stride + i];
            halves[r * in->n + i] = is_f16 ? tempera_f32_to_f16(x) : tempera_f32_to_bf16(x);
        }
    struct operation_inputs of_16_bits = *in;
    of_16_bits.halves = halves;
    check_answered(o, o->run(&of_16_bits, results, &n_out));
    for (size_t i = 0; i < n_out; i++)
        out[i] = is_f16 ? tempera_f16_to_f32(results[i]) : tempera_bf16_to_f32(results[i]);
    return n_out;
}

static size_t run_named(const char *name, const struct operation_inputs *in, float *out)
{
    const struct operation *o = operation_named(name);
    return CHECK(o != NULL) ? run_operation(o, in, out) : 0;
}

// ------------------------------------------------------------------------------------------------
// Instruction sets

static const uint32_t isas[] = {TEMPERA_ISA_SCALAR, TEMPERA_ISA_AVX2, TEMPERA_ISA_AVX512,
                                TEMPERA_ISA_NEON};

static bool is_required(const char *name)
{
    const char *list = getenv("TEMPERA_REQUIRE_ISA");
    size_t length = strlen(name);
    for (const char *at = list; at != NULL && (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

// An instruction set that is asked for by name is used under that name; one that isn't there is
// skipped, or a failure where it is required.
static void names(void)
{
    for (size_t i = 0; i < COUNT_OF(isas); i++) {
        const char *name = tempera_isa_name((enum tempera_isa)isas[i]);
        CHECK_EQ_U64(tempera_isa_from_name(name), isas[i]);
        if (tempera_cpu_set_mask(isas[i]) == TEMPERA_OK) {
            CHECK_EQ_U64(tempera_cpu_active(), isas[i]);
        } else {
            CHECK(!is_required(name));
            printf("# skipped: no %s here\n", name);
        }
    }
    CHECK_EQ_U64(tempera_isa_from_name(NULL), 0);
    CHECK_EQ_U64(tempera_isa_from_name("avx"), 0);
    CHECK_STATUS(tempera_cpu_set_mask(UINT32_MAX), TEMPERA_OK);
    const char *wanted = getenv("TEMPERA_ISA");
    if (wanted != NULL)
        CHECK_EQ_STR(tempera_isa_name(active_at_start), wanted);
}

// ------------------------------------------------------------------------------------------------
// Golden bits

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash;
}

static uint64_t hash_case(uint64_t hash, const struct operation *o, size_t rows, size_t n,
                          unsigned kind, float T, const struct tempera_executor *executor)
{
    struct operation_inputs in = {z_data, other_data, NULL, rows, n, n, T, executor};
    fill_inputs(rows * n, n, kind, n * 31 + kind);
    size_t count = run_operation(o, &in, result);
    return hash_bytes(hash, result, count * sizeof *result);
}

static uint64_t hash_operation(size_t operation_number, const struct tempera_executor *executor)
{
    uint64_t hash = 14695981039346656037u;
    struct {
        size_t rows, n;
    } shapes[140];
    size_t n_shapes = 0;
    for (size_t n = 1; n <= 130; n++) {
        shapes[n_shapes].rows = n % 5 + 1;
        shapes[n_shapes++].n = n;
    }
    for (size_t i = 0; i < COUNT_OF(big_sizes); i++) {
        shapes[n_shapes].rows = 1;
        shapes[n_shapes++].n = big_sizes[i];
    }
    for (size_t s = 0; s < n_shapes; s++)
        hash = hash_case(hash, &operations[operation_number], shapes[s].rows, shapes[s].n,
                         (unsigned)(s % N_KINDS), temperatures[s % 7], executor);
    return hash;
}

static uint64_t golden_hash(const char *name)
{
    FILE *file = fopen(TEMPERA_SOURCE_DIR "/tests/golden/kernels.hash", "r");
    char word[64];
    unsigned long long hash, found = 0;
    while (file != NULL && fscanf(file, "%63s %llx", word, &hash) == 2)
        if (strcmp(word, name) == 0)
            found = hash;
    if (file != NULL)
        fclose(file);
    return found;
}

static void golden_bits(void)
{
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        printf("# %s\n", table->name);
        for (size_t o = 0; o < N_OPERATIONS; o++)
            if (!CHECK_EQ_U64(hash_operation(o, NULL), golden_hash(operations[o].name)))
                printf("# of %s\n", operations[o].name);
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

static void any_thread_count(void)
{
    static const size_t counts[] = {2, 3, 7};
    for (size_t i = 0; i < (check_is_small() ? 1 : 3); i++) {
        struct tempera_thread_pool *pool = NULL;
        CHECK_STATUS(tempera_thread_pool_open(&pool, counts[i]), TEMPERA_OK);
        for (size_t o = 0; o < N_OPERATIONS; o++)
            CHECK_EQ_U64(hash_operation(o, tempera_thread_pool_executor(pool)),
                         golden_hash(operations[o].name));
        tempera_thread_pool_close(&pool);
    }
}

// ------------------------------------------------------------------------------------------------
// Alignment, strides and guard pages

// Memory for n floats that end at an unreadable page, or begin after one.
struct guarded {
    char *map;
    size_t nbytes;
    float *at_end, *at_start;
};

static struct guarded guard(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = (n * sizeof(float) + page - 1) / page * page;
    struct guarded g = {.nbytes = inside + 2 * page};
    g.map = mmap(NULL, g.nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(g.map != MAP_FAILED);
    CHECK(mprotect(g.map, page, PROT_NONE) == 0);
    CHECK(mprotect(g.map + page + inside, page, PROT_NONE) == 0);
    g.at_start = (float *)(void *)(g.map + page);
    g.at_end = (float *)(void *)(g.map + page + inside) - n;
    return g;
}

// The same bits where the row touches either page, in a matrix with a stride, and in place.
static void check_places(size_t o, size_t n)
{
    enum { ROWS = 3 };
    struct operation_inputs in = {z_data, other_data, NULL, ROWS, n, n, 0.7f, NULL};
    fill_inputs(ROWS * n, n, 0, n);
    size_t count = run_operation(&operations[o], &in, result);
    struct guarded z = guard(ROWS * n), other = guard(ROWS * n), out = guard(count);
    for (int end = 0; end < 2; end++) {
        float *place = end ? z.at_end : z.at_start, *to = end ? out.at_end : out.at_start;
        float *second = end ? other.at_end : other.at_start;
        struct operation_inputs there = {place, second, NULL, ROWS, n, n, 0.7f, NULL};
        memcpy(place, z_data, ROWS * n * sizeof *place);
        memcpy(second, other_data, ROWS * n * sizeof *second);
        run_operation(&operations[o], &there, to);
        CHECK_MEM(to, result, count * sizeof *to);
    }
    munmap(z.map, z.nbytes);
    munmap(other.map, other.nbytes);
    munmap(out.map, out.nbytes);
    for (size_t shift = 1; shift < 16; shift += 3) { // floats, so any alignment of a float
        static float moved[ROWS * 160 + 16], moved_other[ROWS * 160 + 16];
        struct operation_inputs there = {
            moved + shift, moved_other + shift, NULL, ROWS, n, n + 7, 0.7f, NULL};
        for (size_t r = 0; r < ROWS; r++) {
            memcpy(moved + shift + r * (n + 7), z_data + r * n, n * sizeof *moved);
            memcpy(moved_other + shift + r * (n + 7), other_data + r * n, n * sizeof *moved);
        }
        run_operation(&operations[o], &there, again + shift);
        CHECK_MEM(again + shift, result, count * sizeof *again);
    }
}

static void places(void)
{
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        for (size_t o = 0; o < N_OPERATIONS; o++)
            for (size_t n = 1; n <= 130; n += check_stride(21))
                check_places(o, n);
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

// A row's result doesn't depend on the rows beside it, nor on how many there are.
static void check_batch(size_t operation_number, size_t n, unsigned kind)
{
    const struct operation *o = &operations[operation_number];
    fill_inputs(MOST_ROWS * n, n, kind, 3);
    struct operation_inputs in = {z_data, other_data, NULL, MOST_ROWS, n, n, 1.3f, NULL};
    size_t per_row = run_operation(o, &in, result) / MOST_ROWS;
    for (size_t r = 0; r < MOST_ROWS; r++) {
        struct operation_inputs one = {
            z_data + r * n, other_data + r * n, NULL, 1, n, n, 1.3f, NULL};
        run_operation(o, &one, again);
        CHECK_MEM(again, result + r * per_row, per_row * sizeof *again);
    }
}

// Ordinary rows, rows far from zero, and rows with special values.
static void batches(void)
{
    static const size_t sizes[] = {1, 7, 16, 64, 100, 700};
    static const unsigned kinds[] = {0, 2, 5};
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        for (size_t s = 0; s < COUNT_OF(sizes); s += check_stride(5))
            for (size_t k = 0; k < COUNT_OF(kinds); k++)
                for (size_t o = 0; o < N_OPERATIONS; o++)
                    if (!operations[o].mixes_rows)
                        check_batch(o, sizes[s], kinds[k]);
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

// Many short rows, which kernels do sixteen at a time, against each of them by itself.
static void short_rows(void)
{
    enum { N = 61, ROWS = 1024, ROUNDS = 4 };
    static const float offsets[ROUNDS] = {0, -200, 330, 1000}; // exponents are taken in two ways
    static const char *const names_of[] = {"softmax", "log_softmax", "logsumexp"};
    const struct tempera_kernels *table;
    for (size_t i = 0; (table = tempera_kernels_at(i)) != NULL; i++) {
        tempera_kernels_use(table);
        for (unsigned round = 0; round < 3 * ROUNDS; round += (unsigned)check_stride(5)) {
            fill_inputs(ROWS * N, N, 0, round);
            for (size_t k = 0; k < ROWS * N; k++)
                z_data[k] += offsets[round / 3];
            struct operation_inputs in = {z_data, other_data, NULL, ROWS, N, N, 0.7f, NULL};
            size_t per_row = run_named(names_of[round % 3], &in, result) / ROWS;
            for (size_t r = 0; r < ROWS; r++) {
                struct operation_inputs one = {z_data + r * N, other_data, NULL, 1, N, N,
                                               0.7f,           NULL};
                run_named(names_of[round % 3], &one, again);
                CHECK_MEM(again, result + r * per_row, per_row * sizeof *again);
            }
        }
    }
    tempera_cpu_set_mask(UINT32_MAX);
}

// ------------------------------------------------------------------------------------------------
// Bounds

static double ulp_at(long double exact, int bits, int least)
{
    int exponent;
    frexpl(exact, &exponent);
    return ldexp(1, exponent - bits > least ? exponent - bits : least);
}

struct worst {
    double p, log_p, sum;
};

// softmax and log-softmax of one row against long double, in ulp of the type.
static void measure_row(const float *z, const float *p, const float *log_p, size_t n, double T,
                        int bits, int least, struct worst *worst)
{
    long double max = -INFINITY, S = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = (long double)z[i] > max ? (long double)z[i] : max;
    for (size_t i = 0; i < n; i++)
        S += expl(((long double)z[i] - max) / (long double)T);
    long double ln_S = logl(S);
    for (size_t i = 0; i < n; i++) {
        long double exact = expl(((long double)z[i] - max) / (long double)T) / S;
        sum += (long double)p[i];
        if (exact >= 0x1p-126L) {
            double off = (double)fabsl((long double)p[i] - exact) / ulp_at(exact, bits, least);
            worst->p = off > worst->p ? off : worst->p;
        }
        if (log_p == NULL || z[i] == -INFINITY)
            continue;
        long double exact_log = ((long double)z[i] - max) / (long double)T - ln_S;
        double off = (double)fabsl((long double)log_p[i] - exact_log) /
                     (2 * ulp_at(exact_log, bits, least) + 0x1p-22);
        worst->log_p = off > worst->log_p ? off : worst->log_p;
    }
    double off = (double)fabsl(sum - 1);
    worst->sum = off > worst->sum ? off : worst->sum;
}

static void bounds(void)
{
    static float logs[MOST];
    static const float ordinary[] = {1, 0.7f, 1.7f, 0.05f, 100};
    struct worst all = {0, 0, 0}, f16 = {0, 0, 0}, bf16 = {0, 0, 0};
    for (size_t s = 0; s < 140; s += check_stride(23)) {
        size_t n = s < 130 ? s + 1 : big_sizes[s % 8];
        unsigned kind = (unsigned)(s % 5);
        struct operation_inputs in = {z_data, other_data, NULL, 1, n, n, ordinary[s % 5], NULL};
        fill_inputs(n, n, kind, s);
        z_data[0] = 1.5f; // a row that is masked altogether has no bounds
        run_named("softmax", &in, result);
        run_named("log_softmax", &in, logs);
        measure_row(z_data, result, logs, n, (double)in.T, 24, -149, &all);
        for (size_t i = 0; i < n; i++) // what the 16-bit types hold
            z_data[i] = tempera_bf16_to_f32(tempera_f32_to_bf16(z_data[i]));
        run_named("softmax_bf16", &in, result);
        run_named("log_softmax_bf16", &in, logs);
        measure_row(z_data, result, logs, n, (double)in.T, 8, -133, &bf16);
        for (size_t i = 0; i < n; i++)
            z_data[i] = tempera_f16_to_f32(tempera_f32_to_f16(z_data[i]));
        run_named("softmax_f16", &in, result);
        run_named("log_softmax_f16", &in, logs);
        measure_row(z_data, result, logs, n, (double)in.T, 11, -24, &f16);
    }
    printf("# f32: p %.3f ulp, |sum - 1| 2^%.1f, log p %.3f of the bound; f16: p %.3f ulp, log p "
           "%.3f; bf16: p %.3f ulp, log p %.3f\n",
           all.p, log2(all.sum), all.log_p, f16.p, f16.log_p, bf16.p, bf16.log_p);
    CHECK(all.p <= 3 && all.sum <= 0x1p-22 && all.log_p <= 1);
    CHECK(f16.p <= 1 && bf16.p <= 1);
    CHECK(f16.log_p <= 0.5 && bf16.log_p <= 0.5); // an ulp of the type + 2^-23
}

// c tanh(x / c) itself: the logsumexp of a row of one score shows it whole.
static void softcap_bound(void)
{
    float out;
    double worst = 0;
    for (double x = 1e-30; x < 1e6; x *= check_is_small() ? 1.3 : 1.003) {
        float z = (float)(check_random_below(2) ? x : -x);
        struct tempera_matrix in = tempera_matrix_f32(&z, 1, 1);
        struct tempera_softmax_options options = tempera_softmax_options_default();
        options.softcap = 30;
        CHECK_STATUS(tempera_logsumexp(&in, &options, &out, NULL, NULL), TEMPERA_OK);
        long double exact = 30 * tanhl((long double)z / 30);
        double off = (double)fabsl((long double)out - exact) / ulp_at(exact, 24, -149);
        worst = off > worst ? off : worst;
    }
    printf("# softcap: %.3f ulp\n", worst);
    CHECK(worst <= 5);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        for (size_t o = 0; o < N_OPERATIONS; o++)
            printf("%s %016llx\n", operations[o].name, (unsigned long long)hash_operation(o, NULL));
        return 0;
    }
    active_at_start = tempera_cpu_active();
    static const struct check_test tests[] = {
        {"instruction sets are found by name", names},
        {"every instruction set gives the golden bits", golden_bits},
        {"results do not depend on the thread count", any_thread_count},
        {"results do not depend on the place in memory, and no byte beyond is touched", places},
        {"a row's result does not depend on its batch", batches},
        {"many short rows give what each gives by itself", short_rows},
        {"softmax and log-softmax are within their bounds", bounds},
        {"the softcap is within its bound", softcap_bound},
    };
    return CHECK_RUN(tests, argc, argv);
}
