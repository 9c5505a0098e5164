/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/unit-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/grow.h"
#include "kernel/unit-text.h"

#define UNIT_SIZE_MAX (1u << 20)
#define LINKS_MAX     16u

/* systemd.unit(5), "System Unit Search Path", highest first. */
static const char *const search_path[] = {
        "/etc/systemd/system.control", "/run/systemd/system.control",
        "/run/systemd/transient",      "/run/systemd/generator.early",
        "/etc/systemd/system",         "/etc/systemd/system.attached",
        "/run/systemd/system",         "/run/systemd/system.attached",
        "/run/systemd/generator",      "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",     "/lib/systemd/system",
        "/run/systemd/generator.late",
};

/* Where the link at path leads, below root. False: it is no link. */
static bool follow_link(const char *root, const char *path, char target[static PATH_MAX])
{
        char link[PATH_MAX];
        ssize_t n;

        n = readlink(path, link, sizeof(link) - 1);
        if (n < 0)
                return false;
        link[n] = 0;
        if (link[0] == '/')
                return (size_t) snprintf(target, PATH_MAX, "%s%s", root, link) < PATH_MAX;
        return (size_t) snprintf(target, PATH_MAX, "%.*s/%s", (int) (strrchr(path, '/') - path),
                                 path, link) < PATH_MAX;
}

/* The path of the first file or link of that very name. -ENOENT. */
static int find_file(const char *root, const char *name, char path[static PATH_MAX])
{
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(search_path); i++)
                if ((size_t) snprintf(path, PATH_MAX, "%s%s/%s", root, search_path[i], name) <
                            PATH_MAX &&
                    lstat(path, &st) >= 0)
                        return 0;
        return -ENOENT;
}

/* "a@x.service" to "a@.service"; false where name is no instance. */
static bool template_of(const char *name, char ret[static UNIT_NAME_LENGTH_MAX + 1])
{
        if (!unit_name_is_instance(name))
                return false;
        snprintf(ret, UNIT_NAME_LENGTH_MAX + 1, "%.*s%s", (int) (strchr(name, '@') + 1 - name),
                 name, strrchr(name, '.'));
        return true;
}

/* The file of a unit: its own, else its template's. */
static int find_unit(const char *root, const char *name, char path[static PATH_MAX])
{
        char template[UNIT_NAME_LENGTH_MAX + 1];
        int r;

        if (!unit_name_valid(name))
                return -ENOENT;
        r = find_file(root, name, path);
        if (r == -ENOENT && template_of(name, template))
                r = find_file(root, template, path);
        return r;
}

/* The text of a file, links followed below root. Empty for /dev/null. -ENOENT, -ELOOP. */
static int read_text(const char *root, const char *path, char **ret)
{
        _cleanup_(closep) int fd = -1;
        char here[PATH_MAX], next[PATH_MAX];
        unsigned links = 0;
        struct stat st;

        if (strlen(path) >= sizeof(here))
                return -ENAMETOOLONG;
        strcpy(here, path);
        while (follow_link(root, here, next)) {
                if (++links > LINKS_MAX)
                        return -ELOOP;
                strcpy(here, next);
        }
        if (strcmp(here + strlen(root), "/dev/null") == 0) {
                *ret = strdup("");
                return *ret ? 0 : -ENOMEM;
        }
        fd = open(here, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOENT;
        return file_read_fd(fd, UNIT_SIZE_MAX, ret, NULL);
}

/* An instance that follows its template's alias stays the same instance: "a@x" of "a@ -> b@" is
 * "b@x". */
static void join_instance(char name[static UNIT_NAME_LENGTH_MAX + 1], const char *target)
{
        char joined[2 * UNIT_NAME_LENGTH_MAX + 2];

        if (unit_name_is_template(target) && unit_name_is_instance(name)) {
                const char *at = strchr(name, '@');

                snprintf(joined, sizeof(joined), "%.*s%.*s%s",
                         (int) (strchr(target, '@') + 1 - target), target,
                         (int) (strrchr(name, '.') - at - 1), at + 1, strrchr(target, '.'));
                if (strlen(joined) <= UNIT_NAME_LENGTH_MAX)
                        strcpy(name, joined);
                return;
        }
        snprintf(name, UNIT_NAME_LENGTH_MAX + 1, "%s", target);
}

int unit_resolve_alias(const char *root, const char *name, char **ret)
{
        char current[UNIT_NAME_LENGTH_MAX + 1], before[UNIT_NAME_LENGTH_MAX + 1], path[PATH_MAX],
                target[PATH_MAX];

        if (!unit_name_valid(name)) {
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        strcpy(current, name);
        for (unsigned links = 0;
             find_unit(root, current, path) == 0 && follow_link(root, path, target); links++) {
                const char *base = strrchr(target, '/') + 1;

                if (links > LINKS_MAX)
                        return -ELOOP;
                /* A link to /dev/null masks, one of the same name only says where the file is. */
                if (!unit_name_valid(base) ||
                    strcmp(strrchr(base, '.'), strrchr(current, '.')) != 0)
                        break;
                strcpy(before, current);
                join_instance(current, base);
                if (strcmp(before, current) == 0)
                        break;
        }
        *ret = strdup(current);
        return *ret ? 0 : -ENOMEM;
}

typedef struct DropIns {
        char **paths; /* sorted by file name; of one name the first found only */
        size_t n, n_allocated;
} DropIns;

static void drop_ins_deinit(DropIns *d)
{
        for (size_t i = 0; i < d->n; i++)
                free(d->paths[i]);
        free(d->paths);
}

static const char *base_name(const char *path)
{
        return strrchr(path, '/') + 1;
}

static int add_drop_in(DropIns *d, const char *folder, const char *name)
{
        size_t at = 0;
        char *path;
        int k = 1;

        while (at < d->n && (k = strcmp(base_name(d->paths[at]), name)) < 0)
                at++;
        if (at < d->n && k == 0)
                return 0;
        if (!GROW(d->paths, d->n_allocated, d->n + 1) || asprintf(&path, "%s/%s", folder, name) < 0)
                return -ENOMEM;
        memmove(&d->paths[at + 1], &d->paths[at], (d->n - at) * sizeof(d->paths[0]));
        d->paths[at] = path;
        d->n++;
        return 0;
}

/* The *.conf files of UNIT.d in the whole search path. */
static int collect(const char *root, const char *unit, DropIns *d)
{
        for (size_t i = 0; i < ELEMENTSOF(search_path); i++) {
                char folder[PATH_MAX];
                struct dirent *entry;
                int k = 0;
                DIR *dir;

                if ((size_t) snprintf(folder, sizeof(folder), "%s%s/%s.d", root, search_path[i],
                                      unit) >= sizeof(folder))
                        continue;
                dir = opendir(folder);
                if (!dir)
                        continue;
                while (k >= 0 && (entry = readdir(dir))) {
                        size_t n = strlen(entry->d_name);

                        if (n > strlen(".conf") &&
                            strcmp(entry->d_name + n - strlen(".conf"), ".conf") == 0)
                                k = add_drop_in(d, folder, entry->d_name);
                }
                closedir(dir);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* From the most specific: the unit's own folder, that of the alias it was asked by, its template's,
 * those of its prefixes ("a-b.service" has "a-.service.d"), and that of all services. */
static int collect_all(const char *root, const char *canonical, const char *name, DropIns *d)
{
        char other[UNIT_NAME_LENGTH_MAX + 1];
        const char *suffix = strrchr(canonical, '.');
        int k;

        k = collect(root, canonical, d);
        if (k >= 0 && strcmp(canonical, name) != 0)
                k = collect(root, name, d);
        if (k >= 0 && template_of(canonical, other))
                k = collect(root, other, d);
        for (const char *dash = suffix - 1; dash > canonical && k >= 0; dash--)
                if (*dash == '-' && dash + 1 < suffix) {
                        snprintf(other, sizeof(other), "%.*s%s", (int) (dash + 1 - canonical),
                                 canonical, suffix);
                        k = collect(root, other, d);
                }
        return k < 0 ? k : collect(root, suffix + 1, d);
}

static int get(const char *root, const char *name, const char *section, const char *key, bool list,
               char **ret)
{
        _cleanup_(drop_ins_deinit) DropIns drop_ins = { 0 };
        _cleanup_(freep) char *canonical = NULL, *text = NULL, *value = NULL;
        char path[PATH_MAX];
        int k;

        k = unit_resolve_alias(root, name, &canonical);
        if (k < 0)
                return k;
        k = find_unit(root, canonical, path);
        if (k >= 0)
                k = read_text(root, path, &text);
        if (k < 0)
                return k;
        if (!*text)
                return -ENOENT;
        k = unit_text_get(text, section, key, list, &value);
        if (k >= 0)
                k = collect_all(root, canonical, name, &drop_ins);
        for (size_t i = 0; i < drop_ins.n && k >= 0; i++) {
                _cleanup_(freep) char *more = NULL;

                /* One that cannot be read says nothing to PID 1 either. */
                if (read_text(root, drop_ins.paths[i], &more) >= 0)
                        k = unit_text_get(more, section, key, list, &value);
        }
        if (k < 0)
                return k;
        *ret = TAKE_PTR(value);
        return 0;
}

int unit_get(const char *root, const char *name, const char *section, const char *key, char **ret)
{
        return get(root, name, section, key, false, ret);
}

int unit_get_list(const char *root, const char *name, const char *section, const char *key,
                  char **ret)
{
        return get(root, name, section, key, true, ret);
}
