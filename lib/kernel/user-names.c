/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/user-names.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/grow.h"
#include "base/parse.h"
#include "base/printable.h"
#include "model/reservation.h"

/* Some thousand users; of larger files nothing is said. */
#define PASSWD_MAX (1024u * 1024u)

void user_names_init(UserNames *u, const char *passwd, const char *dynamic)
{
        *u = (UserNames){
                .passwd = passwd ?: "/etc/passwd",
                .dynamic = dynamic ?: "/run/systemd/dynamic-uid",
        };
}

static void forget(UserNames *u)
{
        free(u->text);
        u->text = NULL;
        u->n_entries = 0;
        u->seen = (struct stat){};
}

void user_names_done(UserNames *u)
{
        forget(u);
        free(u->entries);
        u->entries = NULL;
        u->n_allocated = 0;
}

/* "NAME:PASSWORD:UID:…". The line is taken apart. */
static bool parse_line(char *line, struct UserEntry *ret)
{
        const char *name = strsep(&line, ":");
        uint64_t v;

        if (!name[0] || name[0] == '#' || !line || !strsep(&line, ":") || !line ||
            parse_uint(strsep(&line, ":"), 0, UID_INVALID - 1u, &v) < 0)
                return false;
        *ret = (struct UserEntry){ .uid = (uid_t) v, .name = name };
        return true;
}

static int load(UserNames *u)
{
        char *p, *line;
        int r;

        forget(u);
        r = file_read(u->passwd, PASSWD_MAX, &u->text, NULL);
        if (r < 0)
                return r;
        p = u->text;
        while ((line = strsep(&p, "\n"))) {
                if (!GROW(u->entries, u->n_allocated, u->n_entries + 1)) {
                        forget(u);
                        return -ENOMEM;
                }
                u->n_entries += parse_line(line, u->entries + u->n_entries);
        }
        return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int find_in_passwd(UserNames *u, uid_t uid, char **ret)
{
        struct stat st;
        int r;

        if (stat(u->passwd, &st) < 0)
                return -errno;
        if (!is_same(&st, &u->seen)) {
                r = load(u);
                if (r == -ENOMEM)
                        return r;
                u->seen = st;
        }
        /* Of several with one uid the first, as getpwuid(3). */
        for (size_t i = 0; i < u->n_entries; i++)
                if (u->entries[i].uid == uid) {
                        *ret = printable(u->entries[i].name);
                        return *ret ? 0 : -ENOMEM;
                }
        return -ENOENT;
}

/* systemd keeps links for those who must not wait for it, as dbus-daemon (src/core/dynamic-user.c:
 * make_uid_symlinks()). */
static int find_dynamic(const char *directory, uid_t uid, char **ret)
{
        char path[PATH_MAX], name[USER_NAME_MAX];
        ssize_t n;

        if ((size_t) snprintf(path, sizeof(path), "%s/direct:%u", directory, (unsigned) uid) >=
            sizeof(path))
                return -ENAMETOOLONG;
        n = readlink(path, name, sizeof(name));
        if (n < 0)
                return -errno;
        if (n == 0 || (size_t) n >= sizeof(name))
                return -ENOENT;
        name[n] = 0;
        *ret = printable(name);
        return *ret ? 0 : -ENOMEM;
}

int user_names_get(UserNames *u, uid_t uid, char **ret)
{
        int r;

        r = find_in_passwd(u, uid, ret);
        if (r >= 0 || r == -ENOMEM)
                return r;
        r = find_dynamic(u->dynamic, uid, ret);
        return r >= 0 || r == -ENOMEM ? r : -ENOENT;
}
