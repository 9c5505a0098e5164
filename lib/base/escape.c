/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned text_sequence(const char *s)
{
        static const struct {
                uint8_t mask, lead;
                unsigned length;
                uint32_t least; /* smaller values would be overlong forms */
        } forms[] = {
                { 0xe0, 0xc0, 2, 0xa0 }, /* U+0080 to U+009F are control characters too */
                { 0xf0, 0xe0, 3, 0x800 },
                { 0xf8, 0xf0, 4, 0x10000 },
        };
        const uint8_t *p = (const uint8_t *) s;

        if (p[0] < 0x80)
                return p[0] >= 0x20 && p[0] != 0x7f;

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                uint32_t v;

                if ((p[0] & forms[i].mask) != forms[i].lead)
                        continue;
                v = p[0] & (uint8_t) ~forms[i].mask;
                for (unsigned k = 1; k < forms[i].length; k++) {
                        if ((p[k] & 0xc0) != 0x80)
                                return 0;
                        v = v << 6 | (p[k] & 0x3f);
                }
                /* Surrogates, the separators that end a line for some readers, and what turns the
                 * writing direction. */
                if (v < forms[i].least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) ||
                    (v >= 0x2028 && v <= 0x202e) || (v >= 0x2066 && v <= 0x2069))
                        return 0;
                return forms[i].length;
        }
        return 0;
}

char *text_escape(const char *s)
{
        size_t length = strlen(s);
        char *out, *q;

        q = out = malloc(length * 4 + 1);
        if (!out)
                return NULL;
        while (*s) {
                unsigned l = text_sequence(s);

                if (l > 0) {
                        memcpy(q, s, l);
                        q += l;
                        s += l;
                } else {
                        q += sprintf(q, "\\x%02x", (unsigned) (uint8_t) *s);
                        s++;
                }
        }
        *q = 0;
        return out;
}
