/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One file of the administrator's, read whole: whatever keeps it from being read is a mistake of
 * the configuration, at line 0. */

#include <stddef.h>

#include "model/config.h"

/* 1: *ret is its text, ended by a NUL that *ret_size does not count; the caller frees it. 0: there
 * is nothing to read (/dev/null), or c->errors has a new entry. what is the name in messages; flags
 * go to open(2). Never waits, as for the writer of a FIFO. -ENOENT, -ENOMEM. */
int config_read_file(Config *c, const char *path, const char *what, int flags, char **ret,
                     size_t *ret_size);
