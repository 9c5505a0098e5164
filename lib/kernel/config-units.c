/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/config-units.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "kernel/unit-file.h"
#include "kernel/unit-view.h"

/* PID 1's own, so everybody's who has none of their own. */
#define HOST_NETWORK "/proc/1/ns/net"

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(word, list[i]) == 0)
                        return true;
        return false;
}

/* A unit that PID 1 orders before portreserved.service can be: its start would wait for what waits
 * for it. 1: it is one. */
static int is_too_early(const UnitFile *u, const char *name)
{
        static const char *const early[] = {
                "portreserved.service",     "portreserved-list.service",
                "portreserved-act.service", "local-fs-pre.target",
                "local-fs.target",          "swap.target",
                "sysinit.target",           "systemd-sysctl.service",
                "systemd-sysusers.service", "systemd-udevd.service",
                "systemd-journald.service", "cryptsetup.target",
                "cryptsetup-pre.target",    "systemd-remount-fs.service",
        };
        _cleanup_(unit_value_done) UnitValue defaults = { 0 }, before = { 0 };
        char *state = NULL;
        bool has_defaults;
        int r;

        if (is_one_of(name, early, ELEMENTSOF(early)))
                return 1;
        if (!u)
                return 0;
        r = unit_file_get(u, "Unit", "DefaultDependencies", &defaults);
        if (r < 0)
                return r;
        if (!defaults.text || parse_bool(defaults.text, &has_defaults) < 0 || has_defaults)
                return 0;
        r = unit_file_get_list(u, "Unit", "Before", &before);
        if (r < 0 || !before.text)
                return r;
        for (char *word = strtok_r(before.text, " \t", &state); word;
             word = strtok_r(NULL, " \t", &state))
                if (is_one_of(word, early, ELEMENTSOF(early)))
                        return 1;
        return 0;
}

/* Has it a network namespace of its own? 1, and the line that says so. JoinsNamespaceOf= needs
 * PrivateNetwork= or NetworkNamespacePath= in the unit itself to join one (systemd.unit(5)). */
static int has_own_network(const UnitFile *u, const char **ret_key, UnitValue *ret)
{
        static const char *const keys[] = { "NetworkNamespacePath", "PrivateNetwork" };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_(unit_value_done) UnitValue v = { 0 };
                bool yes = false;
                int r;

                r = unit_file_get(u, "Service", keys[i], &v);
                if (r < 0)
                        return r;
                if (!v.text)
                        continue;
                if (i == 0 ? strcmp(v.text, HOST_NETWORK) == 0
                           : parse_bool(v.text, &yes) < 0 || !yes)
                        continue;
                *ret_key = keys[i];
                *ret = v;
                v = (UnitValue){ 0 };
                return 1;
        }
        return 0;
}

/* The mistake costs the hold; the ports stay in the kernel's list. */
static void drop_hold(Reservation *r)
{
        r->hold = HOLD_NONE;
        r->damaged = true;
}

static int check_network(Config *c, Reservation *r, const UnitFile *u)
{
        _cleanup_(unit_value_done) UnitValue v = { 0 };
        const char *key;
        int k;

        k = has_own_network(u, &key, &v);
        if (k <= 0)
                return k;
        if (r->hold == HOLD_LISTEN)
                return 0; /* it is passed the host's socket */
        if (r->hold == HOLD_NONE)
                return config_warn(c, r->file, r->line,
                                   "%s has a network namespace of its own (%s:%u: %s=%s), where "
                                   "the ports of [%s] are not reserved; remove the section",
                                   unit_file_name(u), v.file, v.line, key, v.text, r->name);
        k = config_error(
                c, r->file, r->line,
                "%s has a network namespace of its own (%s:%u: %s=%s), and Hold=%s of [%s] "
                "is on the host; write ListenStream= or ListenDatagram= with Hold=listen "
                "if it takes sockets from systemd, or remove the section",
                unit_file_name(u), v.file, v.line, key, v.text, hold_mode_to_string(r->hold),
                r->name);
        drop_hold(r);
        return k;
}

static int refuse_early(Config *c, Reservation *r, const char *name)
{
        int k;

        k = config_error(c, r->file, r->line,
                         "%s starts before portreserved can, so that Hold=bound of [%s] cannot be "
                         "handed to it; write Hold=none or Hold=shared",
                         name, r->name);
        drop_hold(r);
        return k;
}

/* The .socket units that bind it for the service. 1: refused. */
static int check_its_sockets(Config *c, Reservation *r, const char *name,
                             const UnitSockets *sockets)
{
        for (size_t i = 0; i < sockets->n; i++) {
                const UnitSocket *s = &sockets->items[i];
                _cleanup_(unit_value_done) UnitValue v = { 0 };
                int k = 0;

                if (strcmp(s->service, name) == 0)
                        k = unit_socket_meets(s, r, &v);
                if (k > 0)
                        k = is_too_early(s->file, unit_file_name(s->file));
                if (k > 0)
                        k = refuse_early(c, r, unit_file_name(s->file));
                if (k < 0)
                        return k;
                if (r->hold != HOLD_BOUND)
                        return 1;
        }
        return 0;
}

static int check_bound(Config *c, Reservation *r, const UnitFile *u, const char *name,
                       const UnitSockets *sockets)
{
        UnitView view = { 0 };
        int k;

        k = is_too_early(u, name);
        if (k > 0)
                return refuse_early(c, r, name);
        if (k == 0)
                k = check_its_sockets(c, r, name, sockets);
        if (k != 0)
                return k;
        k = u ? unit_view_read(u, NULL, NULL, &view) : 0;
        if (k < 0 || !view.own_root || view.own_run)
                return k;
        /* Without a /run of PID 1's there may be no place that the helper could be put in, and then
         * the service itself would not start. */
        drop_hold(r);
        return config_error(c, r->file, r->line,
                            "%s has a root of its own with MountAPIVFS=no, so that Hold=bound of "
                            "[%s] cannot be handed to it; remove MountAPIVFS=no, or write "
                            "Hold=shared",
                            name, r->name);
}

/* Two listeners on one address: whichever comes second fails. */
static int check_listen(Config *c, const Reservation *r, const char *name,
                        const UnitSockets *sockets)
{
        for (size_t i = 0; i < sockets->n; i++) {
                _cleanup_(unit_value_done) UnitValue v = { 0 };
                int k;

                if (strcmp(sockets->items[i].service, name) != 0)
                        continue;
                k = unit_socket_meets(&sockets->items[i], r, &v);
                if (k < 0)
                        return k;
                if (k > 0)
                        return config_warn(
                                c, r->file, r->line,
                                "%s listens there for %s as well (%s:%u), and of the two the "
                                "second to start fails; disable it, or write Hold=bound",
                                unit_file_name(sockets->items[i].file), name, v.file, v.line);
        }
        return 0;
}

/* systemd passes the sockets of several units in no order: their names have to tell them apart. */
static int check_fd_name(Config *c, const Reservation *r)
{
        const SocketKey *key = reservation_socket_key(r, "FileDescriptorName");

        if (!key || r->hold != HOLD_LISTEN)
                return 0;
        CONFIG_FOREACH_RESERVATION(c, other) {
                const SocketKey *its = reservation_socket_key(other, "FileDescriptorName");

                if (other == r || other->hold != HOLD_LISTEN || !other->unit ||
                    strcmp(other->unit, r->unit) != 0 ||
                    strcmp(its ? its->value : other->name, key->value) != 0)
                        continue;
                return config_warn(c, key->file, key->line,
                                   "sockets of [%s] have that name, too, and systemd passes those "
                                   "of several sections to %s in no order; choose another, or put "
                                   "all addresses into one section",
                                   other->name, r->unit);
        }
        return 0;
}

static int check_reservation(Config *c, Reservation *r, const char *root,
                             const UnitSockets *sockets)
{
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        const char *name;
        int k;

        k = unit_file_load(root, r->unit, &u);
        if (k == -ENOMEM)
                return k;
        if (k == -ELOOP && (r->hold == HOLD_BOUND || r->hold == HOLD_LISTEN)) {
                k = config_error(c, r->file, r->line,
                                 "%s is a link to itself, so that Hold=%s of [%s] has no owner; "
                                 "correct the links",
                                 r->unit, hold_mode_to_string(r->hold), r->name);
                drop_hold(r);
                return k;
        }
        name = u ? unit_file_name(u) : r->unit;
        k = u ? check_network(c, r, u) : 0;
        if (k >= 0 && r->hold == HOLD_BOUND)
                k = check_bound(c, r, u, name, sockets);
        if (k >= 0 && r->hold == HOLD_LISTEN)
                k = check_listen(c, r, name, sockets);
        if (k >= 0)
                k = check_fd_name(c, r);
        return k;
}

int config_check_units(Config *c, const char *root, const UnitSockets *sockets)
{
        CONFIG_FOREACH_RESERVATION(c, r) {
                int k = r->unit ? check_reservation(c, r, root, sockets) : 0;

                if (k < 0)
                        return k;
        }
        return 0;
}

int config_check_host(Config *c)
{
        _cleanup_(unit_sockets_done) UnitSockets sockets = { 0 };
        int k;

        k = unit_sockets_load("", &sockets);
        return k < 0 ? k : config_check_units(c, "", &sockets);
}
