// SPDX-License-Identifier: MIT
#define _GNU_SOURCE // wcwidth, strcasestr
#include "text.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { SHOWN_COLUMNS = 200, SHOWN_NBYTES = 1024, LONGEST_PIECE = 10 };

// ------------------------------------------------------------------------------------------------
// The user's locale, which says what the screen can show, and UTF-8, which all text here is in

// A container often names a locale that isn't installed: then the name has to do.
static bool names_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *name = getenv(variables[i]);
        if (name != NULL && name[0] != '\0')
            return strcasestr(name, "utf-8") != NULL || strcasestr(name, "utf8") != NULL;
    }
    return false;
}

static bool screen_is_utf8(void)
{
    static int known = -1;
    if (known >= 0)
        return known != 0;
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    known =
        locale != (locale_t)0 ? strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0 : names_utf8();
    if (locale != (locale_t)0)
        freelocale(locale);
    return known != 0;
}

// Text is UTF-8 whatever the user's locale is. Returns the locale to go back to; without C.UTF-8
// all that isn't ASCII is not a character, and written out.
static locale_t enter_utf8(void)
{
    static locale_t utf8;
    if (utf8 == (locale_t)0)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return uselocale(utf8);
}

// ------------------------------------------------------------------------------------------------
// Characters

// Characters that are invisible or move others: format characters, among them those that change the
// direction of text. wcwidth knows the other controls.
static bool is_format(wchar_t c)
{
    static const struct {
        wchar_t first, last;
    } ranges[] = {
        {0x00AD, 0x00AD},   {0x0600, 0x0605},   {0x061C, 0x061C},   {0x06DD, 0x06DD},
        {0x070F, 0x070F},   {0x180E, 0x180E},   {0x200B, 0x200F},   {0x2028, 0x202E},
        {0x2060, 0x206F},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0x110BD, 0x110CD},
        {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE007F},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

// A character, or a byte that isn't part of one, as it is shown.
struct piece {
    char text[LONGEST_PIECE + 1];
    size_t length, columns;
    size_t nbytes; // that it stands for
};

static struct piece written_out(const char *format, unsigned value, size_t nbytes)
{
    struct piece piece = {.nbytes = nbytes};
    piece.length = (size_t)snprintf(piece.text, sizeof piece.text, format, value);
    piece.columns = piece.length;
    return piece;
}

// in_quotes: what would end them is escaped.
static struct piece next_piece(const char *bytes, size_t nbytes, bool in_quotes)
{
    wchar_t c = 0;
    mbstate_t state = {0};
    size_t length = mbrtowc(&c, bytes, nbytes, &state);
    unsigned char byte = (unsigned char)bytes[0];
    if (byte < 0x80) {
        if (byte == '\n')
            return written_out("\\n", 0, 1);
        if (byte < 0x20 || byte == 0x7F)
            return written_out("\\x%02x", byte, 1);
        bool escaped = in_quotes && (byte == '"' || byte == '\\');
        return written_out(escaped ? "\\%c" : "%c", byte, 1);
    }
    if (length == (size_t)-1 || length == (size_t)-2 || !screen_is_utf8())
        return written_out("\\x%02x", byte, 1);
    int columns = wcwidth(c);
    if (columns < 0 || is_format(c))
        return written_out(c <= 0xFFFF ? "\\u%04x" : "\\U%08x", (unsigned)c, length);
    struct piece piece = {.length = length, .columns = (size_t)columns, .nbytes = length};
    memcpy(piece.text, bytes, length);
    return piece;
}

size_t cli_columns(const char *text)
{
    locale_t before = enter_utf8();
    size_t columns = 0, nbytes = strlen(text);
    for (size_t i = 0; i < nbytes;) {
        wchar_t c;
        mbstate_t state = {0};
        size_t length = mbrtowc(&c, text + i, nbytes - i, &state);
        bool is_character = length != (size_t)-1 && length != (size_t)-2;
        int width = is_character ? wcwidth(c) : 1;
        columns += width > 0 ? (size_t)width : 0;
        i += is_character ? length : 1;
    }
    uselocale(before);
    return columns;
}

void cli_print_padded(const char *text, size_t columns)
{
    size_t used = cli_columns(text);
    printf("%s%*s", text, used < columns ? (int)(columns - used) : 0, "");
}

// ------------------------------------------------------------------------------------------------
// Lines

// What stands between two quotes, or none, in at most so many columns.
static void show(const char *bytes, size_t nbytes, const char *quote, size_t columns, char *text,
                 size_t nbytes_text)
{
    const char *ellipsis = screen_is_utf8() ? "…" : "...", *ending = "";
    const size_t n_ellipsis = screen_is_utf8() ? 1 : 3, n_quotes = 2 * strlen(quote);
    const size_t available = columns > n_quotes ? columns - n_quotes : 0;
    const size_t end = nbytes_text - sizeof "\"...";
    size_t used = strlen(quote), width = 0;
    size_t cut = used; // where an ellipsis still fits
    locale_t before = enter_utf8();
    memcpy(text, quote, used);
    for (size_t i = 0; i < nbytes;) {
        struct piece piece = next_piece(bytes + i, nbytes - i, n_quotes > 0);
        if (piece.columns > available - width || used + piece.length > end) {
            used = cut;
            ending = ellipsis;
            break;
        }
        memcpy(text + used, piece.text, piece.length);
        used += piece.length;
        width += piece.columns;
        i += piece.nbytes;
        if (width + n_ellipsis <= available)
            cut = used;
    }
    snprintf(text + used, nbytes_text - used, "%s%s", quote, ending);
    uselocale(before);
}

void cli_quote(const uint8_t *bytes, size_t nbytes, size_t columns, char *text, size_t nbytes_text)
{
    show((const char *)bytes, nbytes, "\"", columns, text, nbytes_text);
}

void cli_escape(const char *string, size_t columns, char *text, size_t nbytes_text)
{
    show(string, strlen(string), "", columns, text, nbytes_text);
}

bool cli_needs_escape(const char *string)
{
    locale_t before = enter_utf8();
    bool needs = false;
    for (size_t i = 0, nbytes = strlen(string); i < nbytes && !needs;) {
        struct piece piece = next_piece(string + i, nbytes - i, false);
        needs = piece.text[0] == '\\' && string[i] != '\\';
        i += piece.nbytes;
    }
    uselocale(before);
    return needs;
}

const char *cli_shown(const char *string)
{
    static char buffers[4][SHOWN_NBYTES];
    static size_t turn;
    char *text = buffers[turn++ % 4];
    cli_escape(string, SHOWN_COLUMNS, text, SHOWN_NBYTES);
    return text;
}

// ------------------------------------------------------------------------------------------------
// Bars

void cli_bar(double fraction, size_t width, char *text)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    if (!(fraction >= 0)) // a NaN has no length
        fraction = 0;
    double cells = fmin(fraction, 1) * (double)width;
    char *end = text;
    if (!screen_is_utf8()) {
        size_t whole = (size_t)(cells + 0.5);
        memset(text, '#', whole);
        text[whole] = '\0';
        return;
    }
    size_t n_eighths = (size_t)(cells * 8 + 0.5);
    for (size_t i = 0; i < n_eighths / 8; i++)
        end = stpcpy(end, "█");
    stpcpy(end, eighths[n_eighths % 8]);
}
