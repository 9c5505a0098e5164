/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/advice.h"

#include <string.h>

#include "base/printable.h"
#include "kernel/kernel-list.h"
#include "kernel/sysctl-files.h"

/* What kernel RPC clients (NFS) and bindresvport(3) take, by an explicit bind(). */
#define RPC_FIRST 665
#define RPC_LAST  1023

/* Its ports of that range that nothing holds: they are only in the list, and watched. */
static void unheld_ports(const Reservation *r, uint16_t first, uint16_t last, PortSet *ret)
{
        PortSet range = {};

        portset_clear(ret);
        for (size_t i = 0; i < r->n_endpoints; i++)
                if (reservation_endpoint_hold(r, &r->endpoints[i]) == HOLD_NONE)
                        portset_add_run(ret, r->endpoints[i].port, r->endpoints[i].last);
        portset_add_run(&range, first, last);
        portset_intersect(ret, &range);
}

/* What holds them. */
static const char *remedy(const Reservation *r)
{
        if (r->hold == HOLD_LISTEN)
                return "ListenStream= or ListenDatagram= instead of Ports= holds them";
        /* Hold=bound is opened to a unit. */
        return r->unit ? "Hold=bound holds them" : "Hold=shared holds them";
}

/* One for all: it is the rule rather than the exception. */
static int advise_ephemeral(Config *c, uint16_t first, uint16_t last)
{
        const Reservation *one = NULL;
        char text[PORTSET_SUMMARY_MAX];
        PortSet all = {}, ports;
        size_t n = 0;

        CONFIG_FOREACH_RESERVATION(c, r) {
                unheld_ports(r, first, last, &ports);
                if (portset_empty(&ports))
                        continue;
                portset_unite(&all, &ports);
                one = one ?: r;
                n++;
        }
        if (n == 0)
                return 0;
        return config_warn(
                c, one->file, one->line,
                "nothing holds %s, ports of the ephemeral range %u-%u in %zu reservation%s: "
                "the kernel's list alone keeps outgoing connections off them, but for the "
                "moments when another program has overwritten it; %s",
                portset_summary(&all, text), first, last, n, PLURAL(n), remedy(one));
}

static int advise_rpc(Config *c, const Reservation *r)
{
        char text[PORTSET_SUMMARY_MAX];
        PortSet ports;

        unheld_ports(r, RPC_FIRST, RPC_LAST, &ports);
        if (portset_empty(&ports))
                return 0;
        return config_warn(c, r->file, r->line,
                           "[%s] NFS and other RPC clients choose a port of %u-%u in spite of the "
                           "kernel's list, and nothing holds %s; %s",
                           r->name, RPC_FIRST, RPC_LAST, portset_summary(&ports, text), remedy(r));
}

static int advise_long(Config *c, const SysctlLine *l)
{
        size_t size = strlen(l->value);

        if (size <= SYSCTL_VALUE_MAX)
                return 0;
        return config_warn(
                c, l->file, l->line,
                "the value has %zu bytes, and of more than %u sysctl(8) sets only the "
                "beginning, without an error; write runs (8000-8099), or declare the ports "
                "in portreserved.conf",
                size, SYSCTL_VALUE_MAX);
}

static int advise_moot(Config *c, const SysctlLine *l, const PortSet *ours)
{
        PortSet ports;

        if (!sysctl_line_ports(l, &ports) || portset_empty(&ports) ||
            !portset_contains(ours, &ports))
                return 0;
        return config_warn(
                c, l->file, l->line,
                "all its ports are reserved by portreserved.conf, and each time that it is "
                "applied it takes all others out of the kernel's list; remove the line");
}

/* l comes before last, which replaces what it sets. */
static int advise_dropped(Config *c, const SysctlLine *l, const SysctlLine *last,
                          const PortSet *ours)
{
        char text[PORTSET_SUMMARY_MAX];
        PortSet lost, kept;

        if (!sysctl_line_ports(l, &lost) || !sysctl_line_ports(last, &kept))
                return 0;
        portset_subtract(&lost, &kept);
        portset_subtract(&lost, ours);
        if (portset_empty(&lost))
                return 0;
        return config_warn(
                c, last->file, last->line,
                "drops ports that %s:%u sets: %s (of several lines the last wins); put all "
                "into one line, or declare them in portreserved.conf",
                l->file, l->line, portset_summary(&lost, text));
}

static int advise_sysctl(Config *c)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        PortSet ours;
        int r;

        r = sysctl_files_read("", SYSCTL_RESERVED_PORTS, &f);
        if (r < 0)
                return r;
        config_ports(c, &ours);
        for (size_t i = 0; i < f.n_files && r >= 0; i++)
                if (f.files[i].error < 0)
                        r = config_warn(c, f.files[i].path, 0,
                                        "cannot be read: %s; whether it sets " SYSCTL_RESERVED_PORTS
                                        " is not known",
                                        strerror(-f.files[i].error));
        for (size_t i = 0; i < f.n_lines && r >= 0; i++) {
                const SysctlLine *l = &f.lines[i], *last = &f.lines[f.n_lines - 1];

                r = advise_long(c, l);
                if (r >= 0)
                        r = advise_moot(c, l, &ours);
                if (r >= 0 && l != last)
                        r = advise_dropped(c, l, last, &ours);
        }
        return r;
}

int advice_add(Config *c)
{
        uint16_t first, last;
        int r = 0;

        if (ephemeral_range_read(&first, &last) >= 0)
                r = advise_ephemeral(c, first, last);
        for (size_t i = 0; i < c->n_reservations && r >= 0; i++)
                r = advise_rpc(c, c->reservations[i]);
        return r < 0 ? r : advise_sysctl(c);
}
