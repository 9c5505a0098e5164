/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

int parse_bool(const char *s, bool *ret)
{
        static const struct {
                const char *word;
                bool value;
        } words[] = {
                { "yes", true },  { "true", true }, { "on", true },  { "1", true },
                { "y", true },    { "t", true },    { "no", false }, { "false", false },
                { "off", false }, { "0", false },   { "n", false },  { "f", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasecmp(s, words[i].word) == 0) {
                        *ret = words[i].value;
                        return 0;
                }
        return -EINVAL;
}

int parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!isdigit((unsigned char) s[0]) || (s[0] == '0' && s[1]))
                return -EINVAL;
        for (; *s; s++) {
                unsigned d;

                if (!isdigit((unsigned char) *s))
                        return -EINVAL;
                d = (unsigned) (*s - '0');
                if (v > (UINT64_MAX - d) / 10)
                        return -ERANGE;
                v = v * 10 + d;
        }
        if (v < min || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

int parse_timespan(const char *s, uint64_t *ret_usec)
{
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = {
                { "us", 1 },
                { "usec", 1 },
                { "ms", 1000 },
                { "msec", 1000 },
                { "s", 1000000 },
                { "sec", 1000000 },
                { "second", 1000000 },
                { "seconds", 1000000 },
                { "m", 60000000 },
                { "min", 60000000 },
                { "minute", 60000000 },
                { "minutes", 60000000 },
                { "h", 3600000000 },
                { "hr", 3600000000 },
                { "hour", 3600000000 },
                { "hours", 3600000000 },
                { "d", 86400000000 },
                { "day", 86400000000 },
                { "days", 86400000000 },
        };
        uint64_t sum = 0;
        bool any = false;

        for (;;) {
                uint64_t v = 0, factor = 1000000;
                size_t l;

                s += strspn(s, " \t");
                if (!*s)
                        break;
                if (!isdigit((unsigned char) *s))
                        return -EINVAL;
                for (; isdigit((unsigned char) *s); s++) {
                        if (v > (UINT64_MAX - 9) / 10)
                                return -ERANGE;
                        v = v * 10 + (uint64_t) (*s - '0');
                }
                s += strspn(s, " \t");
                for (l = 0; isalpha((unsigned char) s[l]); l++)
                        ;
                if (l > 0) {
                        size_t i;

                        for (i = 0; i < ELEMENTSOF(units); i++)
                                if (strlen(units[i].unit) == l && strncmp(units[i].unit, s, l) == 0)
                                        break;
                        if (i == ELEMENTSOF(units))
                                return -EINVAL;
                        factor = units[i].usec;
                        s += l;
                }
                if (v > UINT64_MAX / factor || sum > UINT64_MAX - v * factor)
                        return -ERANGE;
                sum += v * factor;
                any = true;
        }
        if (!any)
                return -EINVAL;
        *ret_usec = sum;
        return 0;
}
