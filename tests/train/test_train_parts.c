// SPDX-License-Identifier: MIT
// The pieces of training on their own: AdamW, blocks, schedule, loss log, options and plan.
#include <errno.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tempera/train.h>

#include "check.h"
#include "train/adamw.h"
#include "train/digest.h"
#include "train/log.h"
#include "train/options.h"
#include "train/trainer.h"

// ------------------------------------------------------------------------------------------------
// AdamW

enum { N_ADAMW = 37 };

struct adamw_state {
    float w[N_ADAMW], g[N_ADAMW], m[N_ADAMW], v[N_ADAMW];
};

// One step of torch.optim.AdamW in double, from the same floats. Each float result may differ by
// the rounding of its few operations: 4 units of 2^-23 of what was added up.
static void check_adamw_step(struct adamw_state *s, double rate, double decay, uint64_t k,
                             double scale, bool is_matrix)
{
    const double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, unit = 4 * 0x1p-23;
    double w[N_ADAMW], m[N_ADAMW], v[N_ADAMW], moved[N_ADAMW];
    for (size_t i = 0; i < N_ADAMW; i++) {
        double g = (double)s->g[i] * scale;
        m[i] = beta1 * (double)s->m[i] + (1 - beta1) * g;
        v[i] = beta2 * (double)s->v[i] + (1 - beta2) * g * g;
        double m_hat = m[i] / (1 - pow(beta1, (double)k));
        double v_hat = v[i] / (1 - pow(beta2, (double)k));
        moved[i] = rate * m_hat / (sqrt(v_hat) + epsilon);
        w[i] = (double)s->w[i] * (is_matrix ? 1 - rate * decay : 1) - moved[i];
    }
    struct adamw_state before = *s;
    struct tempera_block block = {0, N_ADAMW, is_matrix};
    struct tempera_adamw step = tempera_adamw_at(rate, decay, beta1, beta2, epsilon, k, scale);
    tempera_adamw_block(&step, &block, s->w, s->g, s->m, s->v);
    for (size_t i = 0; i < N_ADAMW; i++) {
        double g = fabs((double)before.g[i] * scale);
        CHECK_NEAR((double)s->m[i], m[i], unit * (fabs((double)before.m[i]) + g));
        CHECK_NEAR((double)s->v[i], v[i], unit * v[i]);
        double m_sum = fabs((double)before.m[i]) + g; // m may cancel, the update follows it
        double spread = rate * m_sum / (1 - pow(beta1, (double)k)) /
                        (sqrt(v[i] / (1 - pow(beta2, (double)k))) + epsilon);
        CHECK_NEAR((double)s->w[i], w[i],
                   unit * (fabs((double)before.w[i]) + fabs(moved[i]) + spread));
        CHECK(s->g[i] == 0);
    }
}

static void adamw_is_the_formula(void)
{
    for (int is_matrix = 0; is_matrix < 2; is_matrix++) {
        struct adamw_state s = {{0}, {0}, {0}, {0}};
        for (size_t i = 0; i < N_ADAMW; i++)
            s.w[i] = (float)check_random_between(-1, 1);
        for (uint64_t k = 1; k <= 200; k++) {
            for (size_t i = 0; i < N_ADAMW; i++)
                s.g[i] = (float)(check_random_between(-1, 1) * pow(10, -(double)(i % 8)));
            check_adamw_step(&s, 1e-3 * (double)k / 200, 0.1, k, k % 3 ? 1 : 0.37, is_matrix);
        }
    }
}

static void a_zero_gradient_leaves_a_vector_alone(void)
{
    float w[3] = {1, -2, 3}, g[3] = {0}, m[3] = {0}, v[3] = {0};
    struct tempera_adamw step = tempera_adamw_at(0.5, 0.1, 0.9, 0.95, 1e-8, 1, 1);
    struct tempera_block vector = {0, 3, false}, matrix = {1, 1, true};
    tempera_adamw_block(&step, &vector, w, g, m, v);
    CHECK(w[0] == 1 && w[1] == -2 && w[2] == 3);
    tempera_adamw_block(&step, &matrix, w, g, m, v);
    CHECK(w[0] == 1 && w[1] == -2 * 0.95f && w[2] == 3);
}

static void blocks_cover_every_parameter_once(void)
{
    struct tempera_parameter table[] = {
        {.name = "a", .offset = 0, .rows = 300, .cols = 257},
        {.name = "b", .offset = 77100, .rows = 1, .cols = 257},
        {.name = "c", .offset = 77357, .rows = 2, .cols = 8192},
        {.name = "d", .offset = 93741, .rows = 1, .cols = 20000},
    };
    struct tempera_block *blocks;
    size_t n_blocks, at = 0;
    CHECK_STATUS(tempera_blocks_cut(table, 4, &blocks, &n_blocks), TEMPERA_OK);
    for (size_t i = 0; i < n_blocks; i++) {
        CHECK_EQ_SIZE(blocks[i].offset, at);
        CHECK(blocks[i].n > 0 && blocks[i].n <= 16384);
        bool matrix = at < 77100 || (at >= 77357 && at < 93741);
        CHECK(blocks[i].decay == matrix);
        at += blocks[i].n;
    }
    CHECK_EQ_SIZE(at, 113741);
    free(blocks);
}

static void sums_of_squares_are_exact_enough(void)
{
    static float g[1000];
    for (size_t n = 1; n < 1000; n = n * 3 / 2 + 1) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            g[i] = (float)check_random_between(-1, 1);
            sum += (double)g[i] * (double)g[i];
        }
        struct tempera_block block = {0, n, false};
        CHECK_NEAR(tempera_block_sum_squares(&block, g), sum, (double)n * 0x1p-52 * sum);
    }
    float huge[2] = {3e38f, 3e38f}; // the square of a float never overflows a double
    struct tempera_block two = {0, 2, false};
    CHECK_NEAR(tempera_block_sum_squares(&two, huge), 1.8e77, 1e71);
}

// ------------------------------------------------------------------------------------------------
// Schedule

static void schedule_rises_and_falls(void)
{
    struct tempera_train_options o = tempera_train_options_default();
    o.steps = 1100;
    o.learning_rate = 0.5f;
    o.min_learning_rate = 0.25f;
    CHECK_NEAR(tempera_train_learning_rate(&o, 1), 0.005, 1e-17);
    CHECK_NEAR(tempera_train_learning_rate(&o, 50), 0.25, 0);
    CHECK_NEAR(tempera_train_learning_rate(&o, 100), 0.5, 0);
    CHECK_NEAR(tempera_train_learning_rate(&o, 600), 0.375, 1e-15);
    CHECK_NEAR(tempera_train_learning_rate(&o, 1100), 0.25, 0);
    for (uint64_t k = 2; k <= 1100; k++) {
        double step = tempera_train_learning_rate(&o, k) - tempera_train_learning_rate(&o, k - 1);
        CHECK(k <= 100 ? step > 0 : step < 0);
    }
    o.warmup_steps = 0;
    CHECK(tempera_train_learning_rate(&o, 1) < 0.5 && tempera_train_learning_rate(&o, 1) > 0.499);
    o.warmup_steps = 2200; // longer than the run: it only rises
    CHECK_NEAR(tempera_train_learning_rate(&o, 1100), 0.25, 0);
}

// ------------------------------------------------------------------------------------------------
// Loss log

static void numbers_read_back_as_they_were(void)
{
    char text[TEMPERA_NUMBER_NBYTES];
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = check_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        int length = tempera_format_number(value, text);
        CHECK(length > 0 && length < TEMPERA_NUMBER_NBYTES && text[length] == '\0');
        CHECK(strtod(text, NULL) == value);
    }
    tempera_format_number(0.001, text);
    CHECK_EQ_STR(text, "0.001");
    tempera_format_number(0.1 + 0.2, text);
    CHECK_EQ_STR(text, "0.30000000000000004");
    tempera_format_number(-INFINITY, text);
    CHECK_EQ_STR(text, "\"-inf\"");
    tempera_format_number(NAN, text);
    CHECK_EQ_STR(text, "\"nan\"");
}

// A log is a file of other people's tools: a point is a point in every locale.
static void numbers_have_a_point_in_any_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "ps_AF.UTF-8", "fr_FR.UTF-8", "C"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (setlocale(LC_NUMERIC, names[i]) == NULL)
            continue;
        char text[TEMPERA_NUMBER_NBYTES];
        tempera_format_number(-12.75, text);
        CHECK_EQ_STR(text, "-12.75");
    }
    setlocale(LC_NUMERIC, "C");
}

static char *read_whole(const char *path)
{
    static char text[4096];
    FILE *file = fopen(path, "rb");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = '\0';
    if (file)
        fclose(file);
    return text;
}

static void log_lines_are_json_and_are_cut_back(void)
{
    const char path[] = "test_train_parts.log.jsonl";
    struct tempera_error error;
    struct tempera_train_report report = {
        .step = 1, .tokens = 64, .loss = 5.5, .gradient_norm = 2, .learning_rate = 0.001};
    struct tempera_loss_log log = tempera_loss_log_of(path);
    CHECK_STATUS(tempera_loss_log_create(&log, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_loss_log_append(&log, &report, &error), TEMPERA_OK);
    uint64_t nbytes = log.nbytes, digest = log.digest;
    report.evaluated = true;
    report.heldout_loss = 6;
    report.heldout_bits_per_byte = 2.5;
    CHECK_STATUS(tempera_loss_log_append(&log, &report, &error), TEMPERA_OK);
    const char first[] = "{\"step\":1,\"tokens\":64,\"loss\":5.5,\"learning_rate\":0.001,"
                         "\"gradient_norm\":2}\n";
    CHECK_EQ_SIZE(nbytes, sizeof first - 1);
    char expected[512];
    snprintf(expected, sizeof expected,
             "%s%.*s,\"heldout_loss\":6,\"heldout_bits_per_byte\":2.5}\n", first,
             (int)(sizeof first - 3), first);
    CHECK_EQ_STR(read_whole(path), expected);
    tempera_loss_log_close(&log);
    CHECK_STATUS(tempera_loss_log_resume(&log, nbytes, digest, &error), TEMPERA_OK);
    CHECK_EQ_STR(read_whole(path), first);
    tempera_loss_log_close(&log);
    CHECK_STATUS(tempera_loss_log_resume(&log, nbytes, digest + 1, &error), TEMPERA_STATE_MISMATCH);
    CHECK_STATUS(tempera_loss_log_resume(&log, nbytes + 1, digest, &error), TEMPERA_STATE_MISMATCH);
    CHECK_EQ_STR(read_whole(path), first);
    remove(path);
    CHECK_STATUS(tempera_loss_log_resume(&log, nbytes, digest, &error), TEMPERA_OK);
    CHECK_EQ_SIZE(log.nbytes, 0); // a log that is gone is started afresh
    tempera_loss_log_close(&log);
    remove(path);
}

static void log_errors_name_the_file(void)
{
    struct tempera_error error;
    struct tempera_loss_log log = tempera_loss_log_of("no/such/folder/log");
    CHECK_STATUS(tempera_loss_log_create(&log, &error), TEMPERA_IO_ERROR);
    CHECK(strstr(error.message, "no/such/folder/log") != NULL);
    log = tempera_loss_log_of("/dev/full");
    CHECK_STATUS(tempera_loss_log_create(&log, &error), TEMPERA_OK);
    struct tempera_train_report report = {.step = 1};
    CHECK(tempera_loss_log_append(&log, &report, &error) >= TEMPERA_IO_ERROR);
    CHECK_EQ_SIZE(log.nbytes, 0);
    tempera_loss_log_close(&log);
}

static void digest_sees_every_byte(void)
{
    CHECK_EQ_U64(tempera_digest(TEMPERA_DIGEST_EMPTY, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    CHECK_EQ_U64(tempera_digest(TEMPERA_DIGEST_EMPTY, "foobar", 6), UINT64_C(0x85944171f73967e8));
    uint64_t half = tempera_digest(TEMPERA_DIGEST_EMPTY, "foo", 3);
    CHECK_EQ_U64(tempera_digest(half, "bar", 3), UINT64_C(0x85944171f73967e8));
}

// ------------------------------------------------------------------------------------------------
// Options and plan

// Then the options are the defaults again.
static void check_option_refused(struct tempera_train_options *o, const char *name)
{
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_train_options_check(o, &error), TEMPERA_INVALID_ARGUMENT);
    CHECK(strstr(error.message, name) != NULL);
    *o = tempera_train_options_default();
}

static void wrong_options_are_named(void)
{
    struct tempera_train_options o = tempera_train_options_default();
    struct tempera_error error = {0};
    CHECK_STATUS(tempera_train_options_check(&o, &error), TEMPERA_OK);
    o.struct_size = 8;
    check_option_refused(&o, "struct_size");
    o.steps = 0;
    check_option_refused(&o, "steps");
    o.batch = 0;
    check_option_refused(&o, "batch");
    o.context = 0;
    check_option_refused(&o, "context");
    o.batch = SIZE_MAX;
    check_option_refused(&o, "batch");
    o.learning_rate = 0;
    check_option_refused(&o, "learning_rate");
    o.learning_rate = NAN;
    check_option_refused(&o, "learning_rate");
    o.learning_rate = INFINITY;
    check_option_refused(&o, "learning_rate");
    o.min_learning_rate = 0.5f;
    check_option_refused(&o, "min_learning_rate");
    o.weight_decay = -1;
    check_option_refused(&o, "weight_decay");
    o.beta1 = 1;
    check_option_refused(&o, "beta1");
    o.beta2 = -0.5f;
    check_option_refused(&o, "beta2");
    o.epsilon = 0;
    check_option_refused(&o, "epsilon");
    o.clip_norm = NAN;
    check_option_refused(&o, "clip_norm");
}

static void plan(size_t nbytes, double minutes, size_t n_threads,
                 struct tempera_model_config *config, struct tempera_train_options *options)
{
    struct tempera_error error = {0};
    *options = (struct tempera_train_options){.struct_size = sizeof *options};
    *config = tempera_model_config_default();
    CHECK_STATUS(tempera_train_plan(nbytes, minutes, n_threads, config, options, &error),
                 TEMPERA_OK);
    CHECK_STATUS(tempera_model_config_check(config, &error), TEMPERA_OK);
    CHECK_STATUS(tempera_train_options_check(options, &error), TEMPERA_OK);
}

static void plans_grow_with_text_and_time(void)
{
    struct tempera_model_config config;
    struct tempera_train_options options;
    size_t last = 0;
    for (size_t nbytes = 16; nbytes < (size_t)1 << 40; nbytes = nbytes * 5 / 4) {
        plan(nbytes, 60, 2, &config, &options);
        CHECK(options.context <= nbytes);
        size_t n = tempera_model_config_n_parameters(&config);
        CHECK(n >= last || config.vocab_size > 257);
        last = n;
    }
    plan(2000, 0, 2, &config, &options); // a poem: bytes, a small model, hundreds of passes
    CHECK_EQ_INT(config.vocab_size, 257);
    CHECK(tempera_model_config_n_parameters(&config) < 200000);
    CHECK(options.steps * options.batch * options.context >= 200 * 2000);
    plan(4400000, 60, 2, &config, &options); // a long book in an hour
    CHECK_EQ_INT(config.vocab_size, 2048);
    size_t n = tempera_model_config_n_parameters(&config);
    CHECK(n > 1000000 && n < 4500000);
    plan(4400000, 1, 2, &config, &options); // and in a minute: less of everything
    CHECK(tempera_model_config_n_parameters(&config) < n);
}

static void plans_keep_what_was_asked_for(void)
{
    struct tempera_error error;
    struct tempera_model_config config = tempera_model_config_default();
    struct tempera_train_options options = {.struct_size = sizeof options};
    config.dim = 100;
    config.vocab_size = 700;
    config.context_length = 48;
    options.steps = 17;
    options.learning_rate = 0.01f;
    CHECK_STATUS(tempera_train_plan(1000000, 5, 2, &config, &options, &error), TEMPERA_OK);
    CHECK_EQ_INT(config.dim, 100);
    CHECK_EQ_INT(config.vocab_size, 700);
    CHECK_EQ_INT(config.context_length, 48);
    CHECK_EQ_SIZE(options.context, 48);
    CHECK_EQ_U64(options.steps, 17);
    CHECK(options.learning_rate == 0.01f && options.beta2 == 0.95f);
    CHECK_STATUS(tempera_model_config_check(&config, &error), TEMPERA_OK);

    for (uint32_t heads = 1; heads <= 12; heads++) { // a width is found for any number of heads
        config = tempera_model_config_default();
        config.n_heads = heads;
        options = (struct tempera_train_options){.struct_size = sizeof options};
        CHECK_STATUS(tempera_train_plan(1000000, 5, 2, &config, &options, &error), TEMPERA_OK);
        CHECK_EQ_INT(config.n_heads, heads);
    }
    config = tempera_model_config_default();
    config.dim = 96;
    config.n_kv_heads = 3; // and heads for any dim and kv heads that can go together
    CHECK_STATUS(tempera_train_plan(1000000, 5, 2, &config, &options, &error), TEMPERA_OK);
    CHECK_EQ_INT(config.n_heads % 3, 0);
}

static void impossible_plans_are_refused(void)
{
    struct tempera_error error;
    struct tempera_model_config config = tempera_model_config_default(), before = config;
    struct tempera_train_options options = {.struct_size = sizeof options};
    CHECK_STATUS(tempera_train_plan(3, 5, 2, &config, &options, &error), TEMPERA_TEXT_TOO_SHORT);
    CHECK_STATUS(tempera_train_plan(1000, -1, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK_STATUS(tempera_train_plan(1000, NAN, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
    config.dim = before.dim = 7;
    CHECK_STATUS(tempera_train_plan(1000, 5, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
    CHECK(error.message[0] != '\0');
    CHECK_EQ_INT(config.n_layers, 0); // nothing is written when it fails
    config.struct_size = 1;
    CHECK_STATUS(tempera_train_plan(1000, 5, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
}

// A program built against a later header has longer structs, which stay as long as they are.
static void struct_sizes(void)
{
    struct tempera_error error;
    struct tempera_model_config config = tempera_model_config_default();
    struct tempera_train_options options = {.struct_size = sizeof options - 1};
    const size_t longer = sizeof options + 8, longer_config = sizeof config + 8;
    CHECK_STATUS(tempera_train_plan(1000, 5, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
    options.struct_size = longer;
    config.struct_size = sizeof config - 1;
    CHECK_STATUS(tempera_train_plan(1000, 5, 2, &config, &options, &error),
                 TEMPERA_INVALID_ARGUMENT);
    config.struct_size = longer_config;
    CHECK_STATUS(tempera_train_plan(1000, 5, 2, &config, &options, &error), TEMPERA_OK);
    CHECK_EQ_SIZE(options.struct_size, longer);
    CHECK_EQ_SIZE(config.struct_size, longer_config);
    CHECK_STATUS(tempera_train_options_check(&options, &error), TEMPERA_OK);
    options.struct_size = sizeof options - 1;
    CHECK_STATUS(tempera_train_options_check(&options, &error), TEMPERA_INVALID_ARGUMENT);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"adamw is the formula", adamw_is_the_formula},
        {"a zero gradient leaves a vector alone", a_zero_gradient_leaves_a_vector_alone},
        {"blocks cover every parameter once", blocks_cover_every_parameter_once},
        {"sums of squares are within n 2^-52 and never overflow", sums_of_squares_are_exact_enough},
        {"the rate rises linearly, then falls along half a cosine", schedule_rises_and_falls},
        {"numbers read back as they were", numbers_read_back_as_they_were},
        {"numbers have a point in any locale", numbers_have_a_point_in_any_locale},
        {"log lines are JSON and are cut back", log_lines_are_json_and_are_cut_back},
        {"log errors name the file", log_errors_name_the_file},
        {"changing any byte changes the digest", digest_sees_every_byte},
        {"wrong options are named", wrong_options_are_named},
        {"plans grow with text and time", plans_grow_with_text_and_time},
        {"plans keep what was asked for", plans_keep_what_was_asked_for},
        {"impossible plans are refused", impossible_plans_are_refused},
        {"other struct sizes are refused", struct_sizes},
    };
    return CHECK_RUN(tests, argc, argv);
}
