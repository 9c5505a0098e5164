/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unit files read from disk, for what has to be known without PID 1: aliases, RootDirectory=,
 * ordering. Symbolic links are followed below root, as PID 1 would in that tree. */

#include <stdbool.h>

#include "model/unit-name.h"

/* The canonical name of a unit that may be an alias ("redis.service" -> "redis-server.service"), by
 * the symbolic links in systemd's unit search path below root (""). Templates: "a@x.service"
 * follows "a@.service". malloc'ed; a copy of name when there is no file. -ELOOP. */
int unit_resolve_alias(const char *root, const char *name, char **ret);

/* The last value of SECTION's KEY over the unit's file and drop-ins; "" resets. malloc'ed, NULL
 * where unset. -ENOENT: no unit, or a masked one (an empty
 * file masks like /dev/null). */
int unit_get(const char *root, const char *name, const char *section, const char *key, char **ret);

/* The same for keys that are lists: all values since the last "", separated by blanks. */
int unit_get_list(const char *root, const char *name, const char *section, const char *key,
                  char **ret);
