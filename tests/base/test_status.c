// SPDX-License-Identifier: MIT
// Every status has a name, a sentence and its pinned value; every other value is unknown.
#include "check.h"

#include <tempera/tempera.h>

static const struct {
    int value;
    const char *name;
} pinned[] = {
    {0, "TEMPERA_OK"},
    {1, "TEMPERA_ALL_MASKED"},
    {2, "TEMPERA_TARGET_MASKED"},
    {3, "TEMPERA_NAN_INPUT"},
    {10, "TEMPERA_INVALID_ARGUMENT"},
    {11, "TEMPERA_UNSUPPORTED"},
    {12, "TEMPERA_TARGET_OUT_OF_RANGE"},
    {13, "TEMPERA_TOKEN_OUT_OF_RANGE"},
    {14, "TEMPERA_BUFFER_TOO_SMALL"},
    {15, "TEMPERA_NOT_FOUND"},
    {20, "TEMPERA_OUT_OF_MEMORY"},
    {21, "TEMPERA_NO_THREADS"},
    {30, "TEMPERA_IO_ERROR"},
    {31, "TEMPERA_FILE_NOT_FOUND"},
    {32, "TEMPERA_DISK_FULL"},
    {40, "TEMPERA_BAD_FORMAT"},
    {41, "TEMPERA_TRUNCATED_FILE"},
    {42, "TEMPERA_BAD_TOKENIZER"},
    {50, "TEMPERA_BAD_MODEL"},
    {51, "TEMPERA_CONTEXT_FULL"},
    {52, "TEMPERA_TEXT_TOO_SHORT"},
    {53, "TEMPERA_STATE_MISMATCH"},
    {54, "TEMPERA_UNSAFE_LIBRARY"},
    {55, "TEMPERA_TRAINING_DIVERGED"},
    {56, "TEMPERA_STOPPED"},
};

static void values_are_pinned(void)
{
    size_t next = 0;
    for (int value = 0; value < 100; value++) {
        const char *name = tempera_status_name((enum tempera_status)value);
        bool known = next < COUNT_OF(pinned) && pinned[next].value == value;
        CHECK_EQ_STR(name, known ? pinned[next].name : "TEMPERA_UNKNOWN_STATUS");
        next += known;
    }
    CHECK_EQ_SIZE(next, COUNT_OF(pinned));
}

static void texts_are_sentences_of_their_own(void)
{
    for (size_t i = 0; i < COUNT_OF(pinned); i++) {
        const char *text = tempera_status_text((enum tempera_status)pinned[i].value);
        CHECK(strlen(text) > 5);
        CHECK(strlen(text) < sizeof((struct tempera_error *)0)->message);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(text, tempera_status_text((enum tempera_status)pinned[j].value)) != 0);
    }
}

static void version_is_that_of_the_header(void)
{
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", TEMPERA_VERSION_MAJOR, TEMPERA_VERSION_MINOR,
             TEMPERA_VERSION_PATCH);
    CHECK_EQ_STR(tempera_version(), expected);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"values are pinned", values_are_pinned},
        {"texts are sentences of their own", texts_are_sentences_of_their_own},
        {"the version is that of the header", version_is_that_of_the_header},
    };
    return CHECK_RUN(tests, argc, argv);
}
