/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/user-names.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/printable.h"
#include "model/reservation.h"

/* Some thousand users; of larger files nothing is said. */
#define PASSWD_MAX (1024u * 1024u)

/* "NAME:PASSWORD:UID:…": the name of the line if it is of that uid. The line is taken apart. */
static const char *name_of_line(char *line, uid_t uid)
{
        const char *name = strsep(&line, ":"), *number;
        uint64_t v;

        if (!name[0] || name[0] == '#' || !line || !strsep(&line, ":") || !line)
                return NULL;
        number = strsep(&line, ":");
        return parse_uint(number, 0, UID_INVALID - 1u, &v) >= 0 && v == uid ? name : NULL;
}

static int find_in_passwd(const char *path, uid_t uid, char **ret)
{
        _cleanup_(freep) char *text = NULL;
        char *p, *line;
        int r;

        r = file_read(path, PASSWD_MAX, &text, NULL);
        if (r < 0)
                return r;
        p = text;
        while ((line = strsep(&p, "\n"))) {
                const char *name = name_of_line(line, uid);

                if (!name)
                        continue;
                *ret = printable(name);
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

int user_name_in(const char *passwd, const char *dynamic, uid_t uid, char **ret)
{
        int r;

        r = find_in_passwd(passwd, uid, ret);
        if (r >= 0 || r == -ENOMEM)
                return r;
        r = find_dynamic(dynamic, uid, ret);
        return r >= 0 || r == -ENOMEM ? r : -ENOENT;
}

int user_name(uid_t uid, char **ret)
{
        return user_name_in("/etc/passwd", "/run/systemd/dynamic-uid", uid, ret);
}
