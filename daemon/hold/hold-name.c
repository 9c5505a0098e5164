/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names in the fd store: all of them come back in one environment string of at most 131,072 bytes,
 * so they are serials in base 62. */

#include <stdlib.h>
#include <string.h>

#include "daemon/hold/hold-internal.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void name_format(unsigned serial, char buf[static 5])
{
        unsigned n = 0;

        for (unsigned rest = serial; n == 0 || rest > 0; rest /= 62)
                buf[n++] = digits[rest % 62];
        buf[n] = '\0';
}

/* The serial of a name that name_format() could have made; HOLD_NAMES: another's. */
static unsigned name_parse(const char *name)
{
        unsigned serial = 0, place = 1;
        char canonical[5];

        if (strlen(name) > 3)
                return HOLD_NAMES;
        for (const char *p = name; *p; p++, place *= 62) {
                const char *digit = strchr(digits, *p);

                if (!digit)
                        return HOLD_NAMES;
                serial += (unsigned) (digit - digits) * place;
        }
        if (serial >= HOLD_NAMES)
                return HOLD_NAMES;
        name_format(serial, canonical);
        return strcmp(name, canonical) == 0 ? serial : HOLD_NAMES;
}

void hold_name_reserve(HoldSet *s, const char *name)
{
        unsigned serial = name_parse(name);

        if (serial < HOLD_NAMES)
                s->names[serial / 64] |= UINT64_C(1) << serial % 64;
}

void hold_name_release(HoldSet *s, const char *name)
{
        unsigned serial = name_parse(name);

        if (serial >= HOLD_NAMES)
                return;
        s->names[serial / 64] &= ~(UINT64_C(1) << serial % 64);
        s->next_name = MIN_OF(s->next_name, serial);
}

char *hold_name_new(HoldSet *s)
{
        char buf[5];

        for (unsigned serial = s->next_name; serial < HOLD_NAMES; serial++) {
                if (s->names[serial / 64] & UINT64_C(1) << serial % 64)
                        continue;
                name_format(serial, buf);
                s->names[serial / 64] |= UINT64_C(1) << serial % 64;
                s->next_name = serial + 1;
                return strdup(buf);
        }
        return NULL;
}
