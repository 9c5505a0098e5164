/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The *.conf files of drop-in folders, as the UAPI configuration files specification wants them:
 * sorted by file name, and of one name only that of the folder that was collected first. Hidden
 * ones are left out. */

#include <stddef.h>

typedef struct DropIns {
        char **paths;
        size_t n, n_allocated;
} DropIns;

/* Adds those of a folder. -errno of opendir(3), -ENOMEM. */
int drop_ins_collect(DropIns *d, const char *folder);
void drop_ins_deinit(DropIns *d);
