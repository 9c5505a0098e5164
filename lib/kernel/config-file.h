/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Configuration files: where they are, in which order, and inih over them line by line. */

#include "model/config.h"

typedef struct ConfigPaths {
        const char *main; /* the file asked for (--config), or NULL: the search path */
        const char *root; /* before every path: for tests and the generator, else "" */
} ConfigPaths;

/* Reads main file and drop-ins (FILE.d/ beside --config FILE; else the search path) and finishes
 * the Config. A missing main file is an empty one, unless asked for by name: -ENOENT. Mistakes in
 * content are in *ret's errors, never a failure here; -EFBIG, -EACCES … of a single file are an
 * error entry too. -ENOMEM. */
int config_load(const ConfigPaths *paths, Config **ret);

/* Reads one file and no drop-ins, as for applied.conf: allows Source=, follows no link. -ENOENT;
 * -EBADMSG: not to be used, its end is missing. */
int config_load_applied(const char *path, Config **ret);

/* Writes RUNTIME/applied.conf (0644), by rename. */
int config_save_applied(const Config *c, const char *path);

/* Prints "FILE:LINE: message" for each error, and with _diagnostics for each warning, with
 * "warning: " before its message. About a file as a whole there is no LINE. */
void config_print_errors(const Config *c, FILE *f);
void config_print_diagnostics(const Config *c, FILE *f);
