/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The text of a unit file, by systemd.syntax(7): lines of any length, a backslash at the end joins,
 * '#' and ';' begin comments. */

#include <stdbool.h>

/* Takes SECTION's KEY out of one file's text. *value is what files before had (malloc'ed or NULL),
 * and becomes the last value, NULL after an empty one; with list, values are joined by blanks. The
 * line where it stands last; 0: nowhere. -ENOMEM. */
int unit_text_get(const char *text, const char *section, const char *key, bool list, char **value);
