/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names that came from outside (cgroups, processes) as text that may stand in a log line, on a
 * terminal or in JSON. */

/* A copy in which control characters, DEL and whatever is no valid UTF-8 stand as "\xNN". A
 * backslash stays as it is: unit names have them ("dev-disk\x2dby.swap"). malloc'ed, NULL: no
 * memory. */
char *printable(const char *s);

/* "%u port%s", n, PLURAL(n) */
#define PLURAL(n) ((n) == 1 ? "" : "s")
