/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/unit-text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define BLANKS " \t\r"

static bool is_comment(const char *s)
{
        s += strspn(s, BLANKS);
        return *s == '#' || *s == ';';
}

/* The next line, with those that it is continued on, into line. The text behind it, or NULL at the
 * end. Comments between do not end a continuation. *number is moved on by the lines taken. */
static const char *join_line(const char *text, char *line, unsigned *number)
{
        size_t used = 0;

        if (!*text)
                return NULL;
        for (bool first = true; *text; first = false) {
                size_t n = strcspn(text, "\n");
                bool more = n > 0 && text[n - 1] == '\\';

                if (first || !is_comment(text)) {
                        memcpy(line + used, text, n);
                        used += n;
                        if (more && !(first && is_comment(text)))
                                line[used - 1] = ' ';
                        else
                                more = false;
                } else {
                        more = true;
                }
                text += n + (text[n] == '\n');
                (*number)++;
                if (!more)
                        break;
        }
        line[used] = 0;
        return text;
}

/* Without the blanks around it, in place. */
static char *strip(char *s)
{
        size_t n;

        s += strspn(s, BLANKS);
        n = strlen(s);
        while (n > 0 && strchr(BLANKS, s[n - 1]))
                s[--n] = 0;
        return s;
}

static int take(const char *next, bool list, char **value)
{
        char *v = NULL;

        if (*next) {
                if (list && *value) {
                        if (asprintf(&v, "%s %s", *value, next) < 0)
                                return -ENOMEM;
                } else {
                        v = strdup(next);
                        if (!v)
                                return -ENOMEM;
                }
        }
        free(*value);
        *value = v;
        return 0;
}

int unit_text_get(const char *text, const char *section, const char *key, bool list, char **value)
{
        _cleanup_(freep) char *line = NULL;
        unsigned number = 1, next = 1;
        bool inside = false;
        int found = 0;

        line = malloc(strlen(text) + 1);
        if (!line)
                return -ENOMEM;

        for (; (text = join_line(text, line, &next)); number = next) {
                char *s = strip(line), *equals;
                size_t n = strlen(s);
                int k;

                if (n == 0 || *s == '#' || *s == ';')
                        continue;
                if (*s == '[') {
                        inside = s[n - 1] == ']' && strlen(section) == n - 2 &&
                                 strncmp(s + 1, section, n - 2) == 0;
                        continue;
                }
                equals = strchr(s, '=');
                if (!inside || !equals)
                        continue;
                *equals = 0;
                if (strcmp(strip(s), key) != 0)
                        continue;
                k = take(strip(equals + 1), list, value);
                if (k < 0)
                        return k;
                found = (int) number;
        }
        return found;
}
