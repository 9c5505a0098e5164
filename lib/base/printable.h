/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names that came from outside (cgroups, processes) as text that may stand in a log line, on a
 * terminal or in JSON. */

#include <stddef.h>

/* A copy in which control characters, DEL, noncharacters and whatever is no valid UTF-8 stand as
 * "\xNN". A backslash stays as it is: unit names have them ("dev-disk\x2dby.swap"). malloc'ed, NULL:
 * no memory. */
char *printable(const char *s);

/* The same, of which no more than max bytes are kept: whole characters and whole "\xNN". */
char *printable_cut(const char *s, size_t max);

/* "%u port%s", n, PLURAL(n) */
#define PLURAL(n) ((n) == 1 ? "" : "s")
