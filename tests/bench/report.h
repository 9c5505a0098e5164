/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one line that a benchmark prints: NAME: RATIO, ours X UNIT, floor Y UNIT (WHAT THE FLOOR IS).
 * pairs.py prints the same. */

#include <stdio.h>

/* name: one word; n: how many of what it is about. */
static inline void report(const char *name, unsigned long n, const char *unit, double ours,
                          double floor, const char *what)
{
        int digits = floor < 100 ? 2 : 0;

        printf("%s-%lu: %.2f, ours %.*f %s, floor %.*f %s (%s)\n", name, n, ours / floor, digits,
               ours, unit, digits, floor, unit, what);
        (void) fflush(stdout);
}
