/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The container of a cgroup path.
 *
 * Whoever owns a cgroup names those below it as he likes: a container may make itself one that is
 * called as another container's. So the outermost name decides, and below a service only what is at
 * its top. What the engines make (with "systemd" or "cgroupfs" as their cgroup driver):
 *
 *     docker, podman, CRI-O, containerd   SLICE/docker-ID.scope, libpod-ID, crio-ID, cri-containerd-ID
 *     the same without systemd            /docker/ID, /libpod_parent/libpod-ID, /kubepods/…/podUID/ID
 *     containerd, both mixed up           containerd.service/SLICE:cri-containerd:ID
 *     machined                            machine.slice/machine-NAME.scope, systemd-nspawn@NAME.service
 *     LXC                                 /lxc.payload.NAME; before 4.0 /lxc/NAME, /lxc.payload/NAME
 *
 * An ID is 64 hexadecimal digits. Beside "payload", nspawn itself is in "supervisor"; conmon and
 * lxc.monitor watch theirs from outside. */

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "kernel/cgroup-path-internal.h"
#include "kernel/cgroup.h"

#define ID_LENGTH 64u

static bool is_hex(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!memchr("0123456789abcdef", s[i], 16))
                        return false;
        return true;
}

/* "ID", "ENGINE-ID", "…:ENGINE:ID", each with ".scope" or without; cuts *c down to the ID. */
static bool take_id(Component *c)
{
        size_t l = c->length, before;
        const char *id;

        if (component_has_suffix(c, ".scope"))
                l -= strlen(".scope");
        if (l < ID_LENGTH)
                return false;
        before = l - ID_LENGTH;
        id = c->name + before;
        if (!is_hex(id, ID_LENGTH) || (before > 0 && id[-1] != '-' && id[-1] != ':'))
                return false;
        if (before > 0 && memmem(c->name, before, "conmon-", strlen("conmon-")))
                return false;
        *c = (Component){ .name = id, .length = ID_LENGTH };
        return true;
}

/* "machine-NAME.scope", "systemd-nspawn@NAME.service"; cuts *c down to the NAME, escaped. */
static bool take_machine(Component *c)
{
        static const struct {
                const char *prefix, *suffix;
        } forms[] = {
                { "machine-", ".scope" },
                { "systemd-nspawn@", ".service" },
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                size_t p = strlen(forms[i].prefix), s = strlen(forms[i].suffix);

                if (c->length <= p + s || !component_has_prefix(c, forms[i].prefix) ||
                    !component_has_suffix(c, forms[i].suffix))
                        continue;
                c->name += p;
                c->length -= p + s;
                return true;
        }
        return false;
}

/* What LXC names; *rest is behind c. */
static bool take_lxc(Component *c, const char *rest)
{
        static const char prefix[] = "lxc.payload.";

        if (component_has_prefix(c, prefix)) {
                c->name += strlen(prefix);
                c->length -= strlen(prefix);
                return true;
        }
        return (component_is(c, "lxc") || component_is(c, "lxc.payload")) &&
               cgroup_path_next(&rest, c);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character of "\xNN"; 0: it is no escape, or of none that a name has. */
static char escaped(const char *s)
{
        int high, low;
        char c;

        if (s[0] != '\\' || s[1] != 'x' || (high = hex_digit(s[2])) < 0 ||
            (low = hex_digit(s[3])) < 0)
                return 0;
        c = (char) (high << 4 | low);
        return c == '/' ? 0 : c;
}

/* In place. */
static void unescape(char *s)
{
        char *o = s;

        while (*s) {
                char c = escaped(s);

                *o++ = c ? c : *s;
                s += c ? 4 : 1;
        }
        *o = 0;
}

static int name_of(const Component *c, char **ret)
{
        _cleanup_(freep) char *name = strndup(c->name, c->length);

        if (!name)
                return -ENOMEM;
        unescape(name);
        *ret = printable(name);
        return *ret ? 0 : -ENOMEM;
}

/* Of a path that begins with no slice and no unit: whatever is in it, as deep as the first name. */
static bool find_outside(Component *c, const char *rest)
{
        do
                if (take_id(c) || take_lxc(c, rest))
                        return true;
        while (cgroup_path_next(&rest, c));
        return false;
}

static bool find(Component *c, const char *rest)
{
        Component below;

        if (!component_is_unit(c))
                return find_outside(c, rest);
        if (take_id(c))
                return true;
        if (take_machine(c))
                return !cgroup_path_next(&rest, &below) || !component_is(&below, "supervisor");
        if (component_is_user_manager(c)) {
                while (cgroup_path_next(&rest, c))
                        if (!component_is_slice(c))
                                return component_is_unit(c) && (take_id(c) || take_machine(c));
                return false;
        }
        if (!component_has_suffix(c, ".service") || !cgroup_path_next(&rest, c))
                return false;
        /* An engine in a service that keeps its containers below itself. */
        if (component_is(c, "docker") && !cgroup_path_next(&rest, c))
                return false;
        return take_id(c);
}

int cgroup_path_container(const char *path, char **ret)
{
        Component c;

        while (cgroup_path_next(&path, &c))
                if (!component_is_slice(&c))
                        return find(&c, path) ? name_of(&c, ret) : -ENXIO;
        return -ENXIO;
}
