/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/mountinfo.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MOUNTINFO_MAX (1024u * 1024u)

/* Undoes \040 and its like, in place. */
static void unescape_octal(char *s)
{
        char *o = s;

        while (*s) {
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                    s[3] >= '0' && s[3] <= '7') {
                        *o++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 4;
                } else
                        *o++ = *s++;
        }
        *o = 0;
}

/* "ID PARENT MAJOR:MINOR ROOT WHERE OPTIONS [TAG…] - TYPE SOURCE OPTIONS". Takes the line apart. */
static bool parse(char *line, Mount *ret)
{
        char *fields[5], *tail = strstr(line, " - ");

        if (!tail)
                return false;
        *tail = 0;
        tail += strlen(" - ");
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                fields[i] = strsep(&line, " ");
                if (!fields[i])
                        return false;
        }
        unescape_octal(fields[3]);
        unescape_octal(fields[4]);
        ret->root = fields[3];
        ret->where = fields[4];
        ret->type = strsep(&tail, " ");
        (void) strsep(&tail, " ");
        ret->options = tail ?: "";
        return true;
}

int mountinfo_read(const char *file, int (*f)(const Mount *m, void *userdata), void *userdata)
{
        _cleanup_(freep) char *text = NULL;
        char *p, *line;
        int r;

        r = file_read(file, MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return r;
        p = text;
        while ((line = strsep(&p, "\n"))) {
                Mount m;

                r = parse(line, &m) ? f(&m, userdata) : 0;
                if (r != 0)
                        return r;
        }
        return 0;
}
