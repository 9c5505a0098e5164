/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every verb of portreservectl gets, and what it may answer. */

#include <stdbool.h>

typedef enum Exit {
        EXIT_OK,
        EXIT_FAILED,
        EXIT_USAGE,
        EXIT_NOT_RUNNING,
        EXIT_NOT_FOUND,
        EXIT_DENIED,
        EXIT_IN_USE,
        EXIT_CONFIGURATION,
        EXIT_COLLISIONS,
        _EXIT_MAX,
} Exit;

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,
        JSON_PRETTY,
} JsonMode;

typedef struct Ctl {
        const char *runtime_dir;
        const char *config; /* --config, or NULL */
        JsonMode json;
        bool no_legend;
        bool quiet;
        bool dry_run; /* evict */
} Ctl;

/* The verbs, one file each. args: what follows the verb, NULL-terminated, as many as the verb table
 * allows. */
Exit verb_status(const Ctl *c, char **args);
Exit verb_list(const Ctl *c, char **args);
Exit verb_show(const Ctl *c, char **args);
Exit verb_why(const Ctl *c, char **args);
Exit verb_evict(const Ctl *c, char **args);
Exit verb_check(const Ctl *c, char **args);
Exit verb_ephemeral(const Ctl *c, char **args);
Exit verb_watch(const Ctl *c, char **args);
Exit verb_reload(const Ctl *c, char **args);
