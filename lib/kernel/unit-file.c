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
#include "kernel/drop-ins.h"
#include "kernel/runtime.h"
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

/* From the most specific: the unit's own folder, that of the alias it was asked by, its template's,
 * those of its prefixes ("a-b.service" has "a-.service.d"), and that of all services. */
static int collect(const char *root, const char *unit, DropIns *d)
{
        for (size_t i = 0; i < ELEMENTSOF(search_path); i++) {
                char folder[PATH_MAX];

                if ((size_t) snprintf(folder, sizeof(folder), "%s%s/%s.d", root, search_path[i],
                                      unit) >= sizeof(folder))
                        continue;
                if (drop_ins_collect(d, folder) == -ENOMEM)
                        return -ENOMEM;
        }
        return 0;
}

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

/* What the generator wrote before says nothing of the unit itself. */
static bool is_generated(const char *path)
{
        return strncmp(path, GENERATOR_DIR "/", strlen(GENERATOR_DIR "/")) == 0 &&
               strcmp(strrchr(path, '/') + 1, GENERATED_DROP_IN) == 0;
}

/* One file of a unit. */
typedef struct Part {
        char *path; /* below root */
        char *text;
} Part;

struct UnitFile {
        char *name;
        Part *parts; /* in the order in which they count */
        size_t n_parts, n_allocated;
};

static int add_part(UnitFile *u, const char *root, const char *path)
{
        _cleanup_(freep) char *text = NULL, *copy = NULL;
        int k;

        k = read_text(root, path, &text);
        if (k < 0)
                return k;
        copy = strdup(path + strlen(root));
        if (!copy || !GROW(u->parts, u->n_allocated, u->n_parts + 1))
                return -ENOMEM;
        u->parts[u->n_parts++] = (Part){ .path = TAKE_PTR(copy), .text = TAKE_PTR(text) };
        return 0;
}

int unit_file_load(const char *root, const char *name, UnitFile **ret)
{
        _cleanup_(drop_ins_deinit) DropIns drop_ins = { 0 };
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        char path[PATH_MAX];
        int k;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        k = unit_resolve_alias(root, name, &u->name);
        if (k >= 0)
                k = find_unit(root, u->name, path);
        if (k >= 0)
                k = add_part(u, root, path);
        if (k < 0)
                return k;
        if (!*u->parts[0].text)
                return -ENOENT;
        k = collect_all(root, u->name, name, &drop_ins);
        for (size_t i = 0; i < drop_ins.n && k >= 0; i++)
                /* One that cannot be read says nothing to PID 1 either. */
                if (!is_generated(drop_ins.paths[i] + strlen(root)) &&
                    add_part(u, root, drop_ins.paths[i]) == -ENOMEM)
                        k = -ENOMEM;
        if (k < 0)
                return k;
        *ret = TAKE_PTR(u);
        return 0;
}

UnitFile *unit_file_free(UnitFile *u)
{
        if (!u)
                return NULL;
        for (size_t i = 0; i < u->n_parts; i++) {
                free(u->parts[i].path);
                free(u->parts[i].text);
        }
        free(u->parts);
        free(u->name);
        free(u);
        return NULL;
}

const char *unit_file_name(const UnitFile *u)
{
        return u->name;
}

static int get(const UnitFile *u, const char *section, const char *key, bool list, UnitValue *ret)
{
        _cleanup_(unit_value_done) UnitValue v = { 0 };

        for (size_t i = 0; i < u->n_parts; i++) {
                int k = unit_text_get(u->parts[i].text, section, key, list, &v.text);

                if (k < 0)
                        return k;
                if (k > 0) {
                        v.file = u->parts[i].path;
                        v.line = (unsigned) k;
                }
        }
        *ret = v;
        v = (UnitValue){ 0 };
        return 0;
}

int unit_file_get(const UnitFile *u, const char *section, const char *key, UnitValue *ret)
{
        return get(u, section, key, false, ret);
}

int unit_file_get_list(const UnitFile *u, const char *section, const char *key, UnitValue *ret)
{
        return get(u, section, key, true, ret);
}

void unit_value_done(UnitValue *v)
{
        free(v->text);
        *v = (UnitValue){ 0 };
}

static bool contains(char *const *names, const char *name)
{
        for (; names && *names; names++)
                if (strcmp(*names, name) == 0)
                        return true;
        return false;
}

int unit_files_list(const char *root, const char *suffix, char ***ret)
{
        _cleanup_(strv_freep) char **names = NULL;
        size_t n = 0, n_allocated = 0;

        for (size_t i = 0; i < ELEMENTSOF(search_path); i++) {
                _cleanup_(closedirp) DIR *dir = NULL;
                const struct dirent *entry;
                char folder[PATH_MAX];

                if ((size_t) snprintf(folder, sizeof(folder), "%s%s", root, search_path[i]) >=
                    sizeof(folder))
                        continue;
                dir = opendir(folder);
                while (dir && (entry = readdir(dir))) {
                        if (!unit_name_valid(entry->d_name) ||
                            !unit_name_has_suffix(entry->d_name, suffix) ||
                            contains(names, entry->d_name))
                                continue;
                        /* Always one NULL more, at the end. */
                        if (!GROW(names, n_allocated, n + 2))
                                return -ENOMEM;
                        names[n] = strdup(entry->d_name);
                        if (!names[n])
                                return -ENOMEM;
                        names[++n] = NULL;
                }
        }
        *ret = TAKE_PTR(names);
        return 0;
}
