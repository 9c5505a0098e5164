/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* How many bytes the UTF-8 character at p has, as RFC 3629 (no overlong forms, no surrogates, at
 * most U+10FFFF); 0: none. The terminating NUL is no continuation byte, so this never reads past
 * it. */
static size_t character(const unsigned char *p)
{
        uint32_t c;
        size_t n;

        if (p[0] < 0x80)
                return 1;
        if (p[0] >= 0xc2 && p[0] <= 0xdf) {
                n = 2;
                c = p[0] & 0x1fu;
        } else if ((p[0] & 0xf0) == 0xe0) {
                n = 3;
                c = p[0] & 0x0fu;
        } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
                n = 4;
                c = p[0] & 0x07u;
        } else
                return 0;

        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fu);
        }
        if (n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff)))
                return 0;
        if (n == 4 && (c < 0x10000 || c > 0x10ffff))
                return 0;
        /* Noncharacters: systemd refuses a text, or a whole file, that has one. */
        if ((c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
                return 0;
        /* C1 control characters: terminals act on some of them. */
        if (n == 2 && c < 0xa0)
                return 0;
        return n;
}

char *printable_cut(const char *s, size_t max)
{
        static const char hex[] = "0123456789abcdef";
        const unsigned char *p = (const unsigned char *) s;
        char *buf, *o;

        max = MIN_OF(max, strlen(s) * 4);
        buf = malloc(max + 1);
        if (!buf)
                return NULL;
        o = buf;
        while (*p) {
                size_t n = character(p);
                bool escaped = n == 0 || *p < 0x20 || *p == 0x7f;

                if ((size_t) (o - buf) + (escaped ? 4 : n) > max)
                        break;
                if (escaped) {
                        *o++ = '\\';
                        *o++ = 'x';
                        *o++ = hex[*p >> 4];
                        *o++ = hex[*p & 0xf];
                        p++;
                        continue;
                }
                memcpy(o, p, n);
                o += n;
                p += n;
        }
        *o = 0;
        return buf;
}

char *printable(const char *s)
{
        return printable_cut(s, SIZE_MAX);
}
