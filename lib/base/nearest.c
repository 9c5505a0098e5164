/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

#define LENGTH_MAX 63u

static bool same_letter(char a, char b)
{
        return tolower((unsigned char) a) == tolower((unsigned char) b);
}

/* Levenshtein distance, one row of the matrix at a time. Both have at most LENGTH_MAX letters. */
static unsigned edit_distance(const char *a, const char *b)
{
        unsigned row[LENGTH_MAX + 1];
        size_t n = strlen(b);

        for (unsigned j = 0; j <= n; j++)
                row[j] = j;
        for (unsigned i = 1; *a; a++, i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        unsigned change = diagonal + !same_letter(*a, b[j - 1]);

                        diagonal = row[j];
                        row[j] = MIN_OF(change, MIN_OF(row[j], row[j - 1]) + 1);
                }
        }
        return row[n];
}

void nearest(const char *word, const char *candidate, const char **best, unsigned *distance)
{
        size_t length = strlen(candidate);
        unsigned d;

        if (strlen(word) > LENGTH_MAX || length > LENGTH_MAX)
                return;
        d = edit_distance(word, candidate);
        /* Two changes turn any short word into any other: at most half of it. */
        if (d < *distance && d * 2 <= length) {
                *best = candidate;
                *distance = d;
        }
}
