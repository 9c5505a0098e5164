/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What cgroup paths say, without looking at any cgroup.
 *
 * systemd lays out its units as SLICE/SLICE/…/UNIT/whatever-the-unit-makes. So the unit of a path
 * is the first component that is no slice; what lies below belongs to the unit: its own
 * sub-cgroups, a container's whole tree, or, below user@UID.service, the units of that user's
 * manager in the same layout. A name that the kernel has files for in a cgroup directory gets a "_"
 * in front (systemd: cg_escape()). */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/cgroup-path-internal.h"
#include "kernel/cgroup.h"

/* NAME_MAX; systemd's unit names are no longer either. */
#define UNIT_NAME_MAX   255u
#define PROC_CGROUP_MAX (64u * 1024u)

bool cgroup_path_next(const char **p, Component *ret)
{
        const char *s = *p + strspn(*p, "/");
        size_t l = strcspn(s, "/");

        if (l == 0)
                return false;
        *p = s + l;
        if (l > 1 && s[0] == '_') {
                s++;
                l--;
        }
        ret->name = s;
        ret->length = l;
        return true;
}

bool component_is(const Component *c, const char *name)
{
        return strlen(name) == c->length && memcmp(c->name, name, c->length) == 0;
}

bool component_has_prefix(const Component *c, const char *prefix)
{
        size_t l = strlen(prefix);

        return c->length > l && memcmp(c->name, prefix, l) == 0;
}

bool component_has_suffix(const Component *c, const char *suffix)
{
        size_t l = strlen(suffix);

        return c->length > l && memcmp(c->name + c->length - l, suffix, l) == 0;
}

static bool valid_name(const Component *c)
{
        static const char chars[] =
                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@";

        if (c->length > UNIT_NAME_MAX || c->name[0] == '@')
                return false;
        for (size_t i = 0; i < c->length; i++)
                if (!strchr(chars, c->name[i]))
                        return false;
        return true;
}

bool component_is_slice(const Component *c)
{
        /* A container that is called web.slice is none. */
        return component_has_suffix(c, ".slice") && !component_has_prefix(c, "lxc.") &&
               valid_name(c);
}

bool component_is_unit(const Component *c)
{
        static const char *const suffixes[] = { ".service", ".scope", ".socket", ".mount",
                                                ".swap" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                if (component_has_suffix(c, suffixes[i]))
                        return valid_name(c);
        return false;
}

/* Steps over slices to the unit. False: none there. */
static bool find_unit(const char **p, Component *ret)
{
        while (cgroup_path_next(p, ret))
                if (!component_is_slice(ret))
                        return component_is_unit(ret);
        return false;
}

bool component_is_user_manager(const Component *c)
{
        return c->length > strlen("user@.service") && component_has_prefix(c, "user@") &&
               component_has_suffix(c, ".service");
}

int cgroup_path_unit(const char *path, char **ret_unit, char **ret_user_unit)
{
        _cleanup_(freep) char *unit = NULL, *user_unit = NULL;
        Component c, user;

        if (!find_unit(&path, &c))
                return -ENXIO;
        unit = strndup(c.name, c.length);
        if (!unit)
                return -ENOMEM;

        if (ret_user_unit && component_is_user_manager(&c) && find_unit(&path, &user)) {
                user_unit = strndup(user.name, user.length);
                if (!user_unit)
                        return -ENOMEM;
        }

        *ret_unit = TAKE_PTR(unit);
        if (ret_user_unit)
                *ret_user_unit = TAKE_PTR(user_unit);
        return 0;
}

/* logind's scope of a session: "session-1.scope", "session-c2.scope". */
static bool is_session(const Component *c)
{
        return c->length > strlen("session-.scope") && component_has_prefix(c, "session-") &&
               component_has_suffix(c, ".scope");
}

bool cgroup_path_is_login(const char *path)
{
        Component c;

        return find_unit(&path, &c) && (component_is_user_manager(&c) || is_session(&c));
}

bool cgroup_path_in_unit(const char *path, const char *unit)
{
        Component c;

        /* Stops at the first unit: a container's nginx.service is not the host's. */
        while (cgroup_path_next(&path, &c)) {
                if (component_is_slice(&c)) {
                        if (component_is(&c, unit))
                                return true;
                        continue;
                }
                return component_is_unit(&c) && component_is(&c, unit);
        }
        return false;
}

int cgroup_parse_proc(const char *text, char **ret)
{
        static const char deleted[] = " (deleted)";

        /* "HIERARCHY:CONTROLLERS:PATH" lines; v2 is hierarchy 0 without controllers (cgroups(7)).
         * The kernel refuses newlines in names. */
        while (*text) {
                size_t l = strcspn(text, "\n");
                char *path;

                if (l >= 3 && memcmp(text, "0::", 3) == 0) {
                        text += 3;
                        l -= 3;
                        if (l == 0 || text[0] != '/')
                                return -EBADMSG;
                        if (l > strlen(deleted) &&
                            memcmp(text + l - strlen(deleted), deleted, strlen(deleted)) == 0)
                                l -= strlen(deleted);
                        path = strndup(text, l);
                        if (!path)
                                return -ENOMEM;
                        *ret = path;
                        return 0;
                }
                text += l;
                if (*text == '\n')
                        text++;
        }
        return -ENODATA;
}

int cgroup_of_pid(pid_t pid, char **ret)
{
        _cleanup_(freep) char *text = NULL;
        char path[64] = "/proc/self/cgroup";
        int r;

        if (pid != 0)
                (void) snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);
        r = file_read(path, PROC_CGROUP_MAX, &text, NULL);
        if (r == -ESRCH)
                return -ENOENT;
        if (r == -EPERM)
                return -EACCES;
        if (r < 0)
                return r;
        return cgroup_parse_proc(text, ret);
}
