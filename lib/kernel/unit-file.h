/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Unit files read from disk, for what has to be known without PID 1: aliases, RootDirectory=,
 * ordering. Symbolic links are followed below root, as PID 1 would in that tree. */

#include <stdbool.h>

#include "base/cleanup.h"
#include "model/unit-name.h"

/* The canonical name of a unit that may be an alias ("redis.service" -> "redis-server.service"), by
 * the symbolic links in systemd's unit search path below root (""). Templates: "a@x.service"
 * follows "a@.service". malloc'ed; a copy of name when there is no file. -ELOOP. */
int unit_resolve_alias(const char *root, const char *name, char **ret);

/* A unit's file and its drop-ins, read. What the generator wrote is left out. */
typedef struct UnitFile UnitFile;

/* -ENOENT: no unit, or a masked one (an empty file masks like /dev/null). -ELOOP. */
int unit_file_load(const char *root, const char *name, UnitFile **ret);
UnitFile *unit_file_free(UnitFile *u);
DEFINE_CLEANUP(UnitFile, unit_file_free);

const char *unit_file_name(const UnitFile *u); /* canonical */

typedef struct UnitValue {
        char *text;       /* NULL where unset, or reset by an empty one */
        const char *file; /* where it stands last, below root; owned by the UnitFile */
        unsigned line;
} UnitValue;

void unit_value_done(UnitValue *v);

/* The last value of SECTION's KEY; for keys that are lists: all values since the last empty one,
 * separated by blanks. */
int unit_file_get(const UnitFile *u, const char *section, const char *key, UnitValue *ret);
int unit_file_get_list(const UnitFile *u, const char *section, const char *key, UnitValue *ret);

/* The names of all unit files with that suffix (".socket"), once each, NULL-terminated; NULL: none.
 * strv_free() them. */
int unit_files_list(const char *root, const char *suffix, char ***ret);
