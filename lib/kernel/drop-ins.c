/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/drop-ins.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/grow.h"

static bool is_drop_in(const char *name)
{
        size_t n = strlen(name), l = strlen(".conf");

        return name[0] != '.' && n > l && strcmp(name + n - l, ".conf") == 0;
}

/* Where that name is, or belongs. */
static size_t find(const DropIns *d, const char *name, bool *ret_there)
{
        size_t first = 0, last = d->n;

        *ret_there = false;
        while (first < last) {
                size_t middle = (first + last) / 2;
                int k = strcmp(strrchr(d->paths[middle], '/') + 1, name);

                if (k == 0) {
                        *ret_there = true;
                        return middle;
                }
                if (k < 0)
                        first = middle + 1;
                else
                        last = middle;
        }
        return first;
}

static int add(DropIns *d, const char *folder, const char *name)
{
        bool there;
        size_t at = find(d, name, &there);
        char *path;

        if (there)
                return 0;
        if (!GROW(d->paths, d->n_allocated, d->n + 1) || asprintf(&path, "%s/%s", folder, name) < 0)
                return -ENOMEM;
        memmove(&d->paths[at + 1], &d->paths[at], (d->n - at) * sizeof(d->paths[0]));
        d->paths[at] = path;
        d->n++;
        return 0;
}

int drop_ins_collect(DropIns *d, const char *folder)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        int k = 0;

        dir = opendir(folder);
        if (!dir)
                return -errno;
        while (k >= 0 && (entry = readdir(dir)))
                if (is_drop_in(entry->d_name))
                        k = add(d, folder, entry->d_name);
        return k;
}

void drop_ins_deinit(DropIns *d)
{
        for (size_t i = 0; i < d->n; i++)
                free(d->paths[i]);
        free(d->paths);
}
