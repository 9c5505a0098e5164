/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/units.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/grow.h"
#include "kernel/runtime.h"
#include "model/unit-name.h"

#define UNIT_SIZE_MAX (1u << 20)
#define WANTS         "sockets.target.wants"

typedef struct Item {
        char *path; /* below the directory */
        char *text; /* of a link "": that it is there says all */
} Item;

typedef struct Items {
        Item *items; /* by path */
        size_t n, n_allocated;
} Items;

static void items_done(Items *l)
{
        for (size_t i = 0; i < l->n; i++) {
                free(l->items[i].path);
                free(l->items[i].text);
        }
        free(l->items);
}

static bool is_our_socket(const char *name)
{
        return strlen(name) > strlen("portreserved-.socket") &&
               strncmp(name, "portreserved-", strlen("portreserved-")) == 0 &&
               unit_name_has_suffix(name, ".socket");
}

static int items_add(Items *l, const char *directory, const char *folder, const char *name)
{
        _cleanup_(freep) char *path = NULL, *text = NULL;
        char full[PATH_MAX];
        int r;

        if (asprintf(&path, "%s%s%s", folder, *folder ? "/" : "", name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = path_join(full, sizeof(full), directory, path);
        if (r < 0)
                return r;
        if (strcmp(folder, WANTS) == 0) {
                text = strdup("");
                if (!text)
                        return -ENOMEM;
        } else {
                r = file_read(full, UNIT_SIZE_MAX, &text, NULL);
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
        }
        if (!GROW(l->items, l->n_allocated, l->n + 1))
                return -ENOMEM;
        l->items[l->n++] = (Item){ .path = TAKE_PTR(path), .text = TAKE_PTR(text) };
        return 0;
}

static int scan_wants(Items *l, const char *directory)
{
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *entry;
        char path[PATH_MAX];
        int r;

        r = path_join(path, sizeof(path), directory, WANTS);
        if (r < 0)
                return r;
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((entry = readdir(d))) {
                if (!is_our_socket(entry->d_name))
                        continue;
                r = items_add(l, directory, WANTS, entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_items(const void *a, const void *b)
{
        return strcmp(((const Item *) a)->path, ((const Item *) b)->path);
}

static int scan(Items *l, const char *directory)
{
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *entry;
        int r;

        d = opendir(directory);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((entry = readdir(d))) {
                size_t n = strlen(entry->d_name);

                if (is_our_socket(entry->d_name))
                        r = items_add(l, directory, "", entry->d_name);
                else if (n > 2 && strcmp(entry->d_name + n - 2, ".d") == 0)
                        r = items_add(l, directory, entry->d_name, GENERATED_DROP_IN);
                else
                        continue;
                if (r < 0)
                        return r;
        }
        r = scan_wants(l, directory);
        if (r < 0)
                return r;
        if (l->n > 0)
                qsort(l->items, l->n, sizeof(Item), compare_items);
        return 0;
}

/* The value of Service= in a unit's text, or NULL. */
static char *find_service(const char *text)
{
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, "Service=", 8) == 0)
                        return strndup(line + 8, strcspn(line + 8, "\n"));
        }
        return NULL;
}

static int diff_add(UnitsDiff *d, const Item *item, UnitChange change)
{
        char *name;

        d->different = true;
        if (!is_our_socket(item->path))
                return 0;
        name = strdup(item->path);
        if (!name || !GROW(d->sockets, d->n_allocated, d->n + 1)) {
                free(name);
                return -ENOMEM;
        }
        d->sockets[d->n++] = (SocketUnit){
                .name = name,
                .service = find_service(item->text),
                .change = change,
        };
        return 0;
}

int units_compare(const char *old_directory, const char *new_directory, UnitsDiff *ret)
{
        _cleanup_(items_done) Items old = {}, new = {};
        _cleanup_(units_diff_done) UnitsDiff d = {};
        size_t i = 0, j = 0;
        int r;

        r = scan(&old, old_directory);
        if (r >= 0)
                r = scan(&new, new_directory);
        while (r >= 0 && (i < old.n || j < new.n)) {
                int c = i == old.n   ? 1
                        : j == new.n ? -1
                                     : strcmp(old.items[i].path, new.items[j].path);

                if (c < 0)
                        r = diff_add(&d, &old.items[i++], UNIT_GONE);
                else if (c > 0)
                        r = diff_add(&d, &new.items[j++], UNIT_NEW);
                else {
                        if (strcmp(old.items[i].text, new.items[j].text) != 0)
                                r = diff_add(&d, &new.items[j], UNIT_CHANGED);
                        i++;
                        j++;
                }
        }
        if (r < 0)
                return r;
        *ret = d;
        d = (UnitsDiff){};
        return 0;
}

void units_diff_done(UnitsDiff *d)
{
        for (size_t i = 0; i < d->n; i++) {
                free(d->sockets[i].name);
                free(d->sockets[i].service);
        }
        free(d->sockets);
        *d = (UnitsDiff){};
}
