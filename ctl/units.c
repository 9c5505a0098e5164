/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/units.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/grow.h"
#include "kernel/runtime.h"
#include "model/socket-key.h"
#include "model/unit-name.h"

#define UNIT_SIZE_MAX (1u << 20)
#define WANTS         "sockets.target.wants"

typedef struct Item {
        char *path;   /* below the directory */
        char *text;   /* without comments; of a link below a folder "": that it is there says all */
        char *target; /* of a link that gives a .socket unit its former name: what it leads to */
} Item;

struct Units {
        Item *items; /* by path */
        size_t n, n_allocated;
};

Units *units_free(Units *u)
{
        if (!u)
                return NULL;
        for (size_t i = 0; i < u->n; i++) {
                free(u->items[i].path);
                free(u->items[i].text);
                free(u->items[i].target);
        }
        free(u->items);
        free(u);
        return NULL;
}

static bool is_our_socket(const char *name)
{
        return strlen(name) > strlen("portreserved-.socket") &&
               strncmp(name, "portreserved-", strlen("portreserved-")) == 0 &&
               unit_name_has_suffix(name, ".socket");
}

/* The text that is left when comments are gone, in place: they name lines, which move. */
static void strip_comments(char *text)
{
        char *to = text;

        for (const char *line = text; *line;) {
                size_t n = strcspn(line, "\n");

                n += line[n] == '\n';
                if (*line != '#') {
                        memmove(to, line, n);
                        to += n;
                }
                line += n;
        }
        *to = 0;
}

/* The link's target, malloc'ed, *ret NULL where it is a file. */
static int read_link(const char *path, char **ret)
{
        char target[NAME_MAX + 1];
        ssize_t n;

        n = readlink(path, target, sizeof(target));
        if (n < 0) {
                *ret = NULL;
                return errno == EINVAL || errno == ENOENT ? 0 : -errno;
        }
        *ret = strndup(target, (size_t) n);
        return *ret ? 0 : -ENOMEM;
}

static int add(Units *u, const char *directory, const char *folder, const char *name)
{
        _cleanup_(freep) char *path = NULL, *text = NULL, *target = NULL;
        char full[PATH_MAX];
        int r;

        if (asprintf(&path, "%s%s%s", folder, *folder ? "/" : "", name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = path_join(full, sizeof(full), directory, path);
        if (r < 0)
                return r;
        if (!*folder) {
                r = read_link(full, &target);
                if (r < 0)
                        return r;
        }
        if (target || strcmp(folder, WANTS) == 0) {
                text = strdup("");
                if (!text)
                        return -ENOMEM;
        } else {
                r = file_read(full, UNIT_SIZE_MAX, &text, NULL);
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
                strip_comments(text);
        }
        if (!GROW(u->items, u->n_allocated, u->n + 1))
                return -ENOMEM;
        u->items[u->n++] = (Item){
                .path = TAKE_PTR(path),
                .text = TAKE_PTR(text),
                .target = TAKE_PTR(target),
        };
        return 0;
}

static int scan_wants(Units *u, const char *directory)
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
                r = add(u, directory, WANTS, entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_items(const void *a, const void *b)
{
        return strcmp(((const Item *) a)->path, ((const Item *) b)->path);
}

static int scan(Units *u, const char *directory)
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
                        r = add(u, directory, "", entry->d_name);
                else if (n > 2 && strcmp(entry->d_name + n - 2, ".d") == 0)
                        r = add(u, directory, entry->d_name, GENERATED_DROP_IN);
                else
                        continue;
                if (r < 0)
                        return r;
        }
        r = scan_wants(u, directory);
        if (r < 0)
                return r;
        if (u->n > 0)
                qsort(u->items, u->n, sizeof(Item), compare_items);
        return 0;
}

int units_read(const char *directory, Units **ret)
{
        _cleanup_(units_freep) Units *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        r = scan(u, directory);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}

static const Item *find(const Units *u, const char *path)
{
        const Item key = { .path = (char *) path };

        return u->n > 0 ? bsearch(&key, u->items, u->n, sizeof(Item), compare_items) : NULL;
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

static bool makes_sockets(const char *line)
{
        char key[64];
        size_t n = strcspn(line, "=\n");

        (void) snprintf(key, sizeof(key), "%.*s", (int) MIN_OF(n, sizeof(key) - 1), line);
        return n > 0 && !socket_key_is_loaded(key);
}

/* The next line of [Socket] that its sockets are made by; NULL: no more. */
static const char *socket_line(const char *line)
{
        for (; line && *line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (makes_sockets(line))
                        return line;
        }
        return NULL;
}

static bool same_line(const char *a, const char *b)
{
        size_t n = strcspn(a, "\n");

        return strcspn(b, "\n") == n && strncmp(a, b, n) == 0;
}

/* Has the new unit no other sockets than the old one? Those that it has no more PID 1 closes by
 * itself as it loads it. */
static bool same_sockets(const char *old, const char *new)
{
        old = socket_line(strstr(old, "[Socket]\n"));
        new = socket_line(strstr(new, "[Socket]\n"));
        while (old) {
                if (new &&same_line(old, new))
                        new = socket_line(strchr(new, '\n'));
                else if (strncmp(old, "Listen", strlen("Listen")) != 0)
                        return false;
                old = socket_line(strchr(old, '\n'));
        }
        return !new;
}

static int diff_add(UnitsDiff *d, const Item *item, UnitChange change)
{
        char *name;

        name = strdup(item->path);
        if (!name || !GROW(d->sockets, d->n_allocated, d->n + 1)) {
                free(name);
                return -ENOMEM;
        }
        d->sockets[d->n++] = (ChangedSocket){
                .name = name,
                .service = find_service(item->text),
                .change = change,
        };
        return 0;
}

/* The unit of old that has this name now, by a link of new's; or NULL. */
static const Item *find_former(const Units *old, const Units *new, const char *name)
{
        for (size_t i = 0; i < new->n; i++) {
                const Item *former;

                if (!new->items[i].target || strcmp(new->items[i].target, name) != 0)
                        continue;
                former = find(old, new->items[i].path);
                if (former && !former->target)
                        return former;
        }
        return NULL;
}

/* An item that is in one of them only, or differs; the other is NULL or not alike. */
static int diff_item(const Units *old, const Units *new, const Item *was, const Item *is,
                     UnitsDiff *d)
{
        if (is && is->target) /* the new name tells */
                return 0;
        if (was && was->target && !is)
                return 0;
        d->different = true;
        if (!is_our_socket((is ?: was)->path))
                return 0;
        if (!is)
                return diff_add(d, was, UNIT_GONE);
        if (was && !was->target)
                return same_sockets(was->text, is->text) ? 0 : diff_add(d, is, UNIT_CHANGED);
        was = find_former(old, new, is->path);
        if (!was)
                return diff_add(d, is, UNIT_NEW);
        return diff_add(d, is, same_sockets(was->text, is->text) ? UNIT_RENAMED : UNIT_CHANGED);
}

int units_compare(const Units *old, const Units *new, UnitsDiff *ret)
{
        _cleanup_(units_diff_done) UnitsDiff d = {};
        size_t i = 0, j = 0;
        int r = 0;

        while (r >= 0 && (i < old->n || j < new->n)) {
                const Item *was = i < old->n ? &old->items[i] : NULL;
                const Item *is = j < new->n ? &new->items[j] : NULL;
                int c = !was ? 1 : !is ? -1 : strcmp(was->path, is->path);

                i += c <= 0;
                j += c >= 0;
                if (c == 0 && !was->target == !is->target && strcmp(was->text, is->text) == 0)
                        continue;
                r = diff_item(old, new, c <= 0 ? was : NULL, c >= 0 ? is : NULL, &d);
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
