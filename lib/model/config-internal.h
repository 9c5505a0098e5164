/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files config*.c share while a Config is built. Nobody else includes this. */

#include "model/config.h"
#include "model/name-index.h"
#include "model/port-index.h"

typedef enum SectionKind {
        SECTION_NONE, /* before the first header of a file */
        SECTION_DAEMON,
        SECTION_RESERVATION,
        SECTION_POOL,
        SECTION_IGNORED, /* its header was a mistake */
} SectionKind;

struct ConfigPrivate {
        ConfigOps ops;
        char **files; /* names of files, each once: Diagnostics and endpoints point here */
        size_t n_files, n_files_allocated;

        SectionKind section; /* the one open */
        Reservation *reservation;
        Pool *pool;
        bool orphan_said; /* keys before the first header: one mistake a file */

        bool applied; /* reading applied.conf */
        const char *source_file;
        unsigned source_line;

        NameIndex reservations, pools;
        PortIndex *index;

        Reservation **replaced; /* of .socket units; somebody may still look into them */
        size_t n_replaced, n_replaced_allocated;
};

/* Where a value stands. */
typedef struct ConfigLine {
        const char *file; /* owned by the Config */
        unsigned line;
        const char *key;
} ConfigLine;

/* The copy of a file's name that lives as long as the Config. -ENOMEM. */
int config_intern_file(Config *c, const char *file, const char **ret);

/* A mistake in a line of the section that is open. */
int config_line_error(Config *c, const ConfigLine *l, const char *format, ...) _printf_(3, 4);

/* One KEY=VALUE in the section that is open. continued: the line goes on with the value before
 * it. */
int config_keys_set(Config *c, const ConfigLine *l, const char *value, bool continued);

/* [Daemon] before any line. */
void config_keys_defaults(Config *c);

Pool *config_pool_free(Pool *p);

/* Endpoints against each other: errors for what overlaps, the survivors in c->private->index. */
int config_resolve_overlaps(Config *c);
