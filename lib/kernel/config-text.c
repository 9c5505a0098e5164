/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* inih cuts lines and section names that are too long for it and hands the rest over as if nothing
 * had been; its handlers get no line numbers; it knows "KEY: VALUE" and cuts at " ;" only. The
 * reader here therefore gives it only lines that it cannot get wrong, and reports all others with
 * their number:
 *
 *   comments       '#' or ';' at the start of a line, or after a blank: removed here
 *   [section]      reported to the Config from here (so that empty ones exist), then handed on for
 *                  inih to forget the last key
 *   KEY=VALUE      handed on without leading blanks, as unit files allow them
 *   anything else  that begins with a blank, or follows a line that ends in a backslash, goes on
 *                  with the value before it: handed on with one leading blank, which inih takes
 *                  for a continuation (INI_ALLOW_MULTILINE, its default) */

#include "kernel/config-text.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "base/printable.h"

/* A file with so many lines that are no text is none; the rest of it would only repeat the
 * message. */
#define NOT_TEXT_MAX 20u
/* Lines are taken apart here; longer ones are refused whatever inih could take. */
#define LINE_MAX_OURS 1024u

typedef struct Reader {
        Config *config;
        const char *file;
        const char *data, *end;
        unsigned line;
        unsigned not_text;
        bool key_open;  /* a line may continue the value before it */
        bool backslash; /* the line before ended in one */
        bool comment;   /* the line has one */
        bool continued; /* the line just handed over is a continuation */
        int error;
} Reader;

static void note(Reader *r, int k)
{
        if (k < 0 && r->error == 0)
                r->error = k;
}

/* The comment, and the blanks at the end. */
static size_t strip_end(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if ((s[i] == '#' || s[i] == ';') &&
                    (i == 0 || s[i - 1] == ' ' || s[i - 1] == '\t')) {
                        n = i;
                        break;
                }
        while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
                n--;
        return n;
}

/* Control characters, NUL and bytes that are no UTF-8 never get further than this; tabs become
 * blanks. s ends in NUL. */
static bool is_text(Reader *r, char *s, size_t n)
{
        _cleanup_(freep) char *copy = NULL;

        for (char *p = s; (p = strchr(p, '\t'));)
                *p = ' ';
        if (strlen(s) != n)
                return false;
        copy = printable(s);
        if (!copy)
                note(r, -ENOMEM);
        return copy && strcmp(copy, s) == 0;
}

/* "Key=": letters and digits up to the equals sign. */
static bool looks_like_key(const char *s)
{
        size_t n = 0;

        while (isalnum((unsigned char) s[n]))
                n++;
        if (n == 0)
                return false;
        return s[n + strspn(s + n, " \t")] == '=';
}

static bool looks_like_section(const char *s)
{
        return s[0] == '[' && s[strlen(s) - 1] == ']';
}

/* A line that begins with '['. */
static void read_section(Reader *r, char *s)
{
        char *close = strchr(s, ']');

        r->key_open = false;
        r->continued = false;
        if (!close) {
                config_skip_section(r->config);
                note(r, config_error(r->config, r->file, r->line,
                                     "\"%.64s\" has no closing bracket; write it as [NAME]", s));
                *s = 0;
                return;
        }
        if (close[1])
                note(r, config_error(r->config, r->file, r->line,
                                     "\"%.64s\" stands behind the section's name; write it in a "
                                     "line of its own",
                                     close + 1));
        *close = 0;
        note(r, config_section(r->config, r->file, r->line, s + 1));
        *close = ']';
        close[1] = 0;
}

/* What is to be handed to inih of this line, in place: 0 bytes for nothing. */
static void read_line(Reader *r, char *s, size_t limit)
{
        char *text = s + strspn(s, " \t");
        bool goes_on = r->key_open && (text > s || r->backslash), backslash;
        size_t n = strlen(text);

        r->continued = false;
        if (n == 0) {
                /* As in unit files a comment does not end what goes on; an empty line does. */
                r->backslash = r->backslash && r->comment;
                *s = 0;
                return;
        }
        /* No value ever ends in one, however many there are: in a unit file it would swallow the
         * next line. */
        backslash = text[n - 1] == '\\' && (text[0] != '[' || goes_on);
        while (backslash && n > 0 && strchr(" \t\\", text[n - 1]))
                text[--n] = 0;
        r->backslash = backslash;

        if (n + 1 > limit) {
                r->key_open = false;
                *s = 0;
                if (text[0] == '[')
                        config_skip_section(r->config);
                note(r, config_error(r->config, r->file, r->line,
                                     "the line is longer than %zu characters; break it: lists go "
                                     "on in lines of their own, each with its key again",
                                     limit - 1));
                return;
        }
        if (looks_like_section(text) || (text[0] == '[' && !goes_on)) {
                read_section(r, text);
                memmove(s, text, strlen(text) + 1);
                return;
        }
        if (goes_on && !looks_like_key(text)) {
                r->continued = true;
                memmove(s + 1, text, n + 1);
                s[0] = ' ';
                return;
        }
        if (n > 0 && text[0] != '=' && strcspn(text, ":=") == strcspn(text, "=") &&
            strchr(text, '=')) {
                char *value = strchr(text, '=') + 1;

                r->key_open = true;
                /* "Ports=\" is followed by its value: not an empty one, which would reset the list.
                 * inih must still learn the key that the next lines continue; its handler is told
                 * by this flag. */
                r->continued = backslash && !value[strspn(value, " \t")];
                memmove(s, text, n + 1);
                return;
        }
        r->key_open = false;
        *s = 0;
        note(r, config_error(
                        r->config, r->file, r->line,
                        "\"%.64s\" is no [section] and no KEY=VALUE; write it as one, or put \"#\" "
                        "before it",
                        text));
}

static void not_text(Reader *r)
{
        r->not_text++;
        note(r, config_error(r->config, r->file, r->line, "the line is not text%s",
                             r->not_text < NOT_TEXT_MAX
                                     ? "; write it in UTF-8, without control characters"
                                     : ", as many before it, and the rest of the file is left out; "
                                       "is it a configuration file?"));
}

static bool starts_section(const char *s, size_t n)
{
        size_t i = 0;

        while (i < n && (s[i] == ' ' || s[i] == '\t'))
                i++;
        return i < n && s[i] == '[';
}

/* The next line as a string in line[]: what inih's fgets() would be. False at the end. */
static bool next_line(Reader *r, char *line, size_t size, bool *ret_bad)
{
        const char *newline;
        size_t n, stripped;

        if (r->data >= r->end || r->not_text >= NOT_TEXT_MAX || r->error < 0)
                return false;
        newline = memchr(r->data, '\n', (size_t) (r->end - r->data));
        n = (size_t) ((newline ? newline : r->end) - r->data);
        r->line++;

        stripped = strip_end(r->data, n);
        r->comment = stripped < n && (memchr(r->data + stripped, '#', n - stripped) ||
                                      memchr(r->data + stripped, ';', n - stripped));
        *ret_bad = stripped >= size;
        if (*ret_bad) {
                note(r, config_error(r->config, r->file, r->line,
                                     "the line is longer than %zu characters; break it", size - 1));
        } else {
                memcpy(line, r->data, stripped);
                line[stripped] = 0;
                *ret_bad = !is_text(r, line, stripped);
                if (*ret_bad)
                        not_text(r);
        }
        if (*ret_bad) {
                r->key_open = false;
                if (starts_section(r->data, n))
                        config_skip_section(r->config);
        }
        r->data = newline ? newline + 1 : r->end;
        return true;
}

static char *read_for_inih(char *str, int num, void *stream)
{
        char line[LINE_MAX_OURS];
        Reader *r = stream;
        bool bad;

        if (num < 8 || !next_line(r, line, sizeof(line), &bad))
                return NULL;
        if (bad)
                *line = 0;
        else
                read_line(r, line, (size_t) num - 2);
        /* Always with its end: where inih keeps lines on the heap it would otherwise read on. */
        snprintf(str, (size_t) num, "%s\n", line);
        return str;
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
        Reader *r = user;

        if (r->continued && !*value)
                return 1;
        note(r, r->continued ? config_continue(r->config, r->file, r->line, name, value)
                             : config_set(r->config, r->file, r->line, name, value));
        return 1;
}

int config_text_read(Config *c, const char *file, const char *data, size_t size)
{
        Reader r = { .config = c, .file = file, .data = data, .end = data + size };
        int k;

        if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
                r.data += 3;
        config_begin_file(c);
        k = ini_parse_stream(read_for_inih, &r, handle, &r);
        if (r.error < 0)
                return r.error;
        if (k == -2)
                return -ENOMEM;
        /* Never by the lines above; a build of inih with other rules must not lose a line without a
         * word. */
        if (k > 0)
                return config_error(c, file, (unsigned) k,
                                    "the line is no [section] and no KEY=VALUE; write it as one");
        return 0;
}
