/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/ephemeral-print.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "ctl/culprit.h"
#include "ctl/ephemeral-advice.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "ctl/table.h"
#include "model/endpoint.h"

#define NUMBER_MAX 16

static const char *number(unsigned n, char buf[static NUMBER_MAX])
{
        (void) snprintf(buf, NUMBER_MAX, "%u", n);
        return buf;
}

static const char *percent(unsigned n, char buf[static NUMBER_MAX])
{
        (void) snprintf(buf, NUMBER_MAX, "%u%%", n);
        return buf;
}

static TableColor color_of(unsigned n)
{
        return n >= EPHEMERAL_BAD ? TABLE_BAD : n >= EPHEMERAL_WARN ? TABLE_WARN : TABLE_PLAIN;
}

static int print_use(const Ctl *c, const EphemeralLook *l)
{
        static const TableColumn columns[] = {
                { "PROTO" },
                { "SOCKETS", .right = true },
                { "TIME-WAIT", .right = true },
                { "PORTS", .right = true },
                { "EXCLUSIVE", .right = true },
                { "LEFT-BIND", .right = true },
                { "LEFT-CONNECT", .right = true },
                { "USED", .right = true },
        };
        static const int protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
        _cleanup_(table_freep) Table *t = NULL;
        int r;

        r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++) {
                EphemeralUse u = ephemeral_pool_use(l->pool, protocols[i]);
                unsigned used = ephemeral_pool_percent(l->pool, u.left_connect);
                char buf[7][NUMBER_MAX];
                const char *const cells[] = {
                        protocol_to_string(protocols[i]),
                        number(u.sockets, buf[0]),
                        protocols[i] == IPPROTO_TCP ? number(u.timewait, buf[1]) : "-",
                        number(u.ports, buf[2]),
                        number(u.exclusive, buf[3]),
                        number(u.left_bind, buf[4]),
                        number(u.left_connect, buf[5]),
                        percent(used, buf[6]),
                };

                r = table_row(t, color_of(used), cells);
                if (r < 0)
                        return r;
        }
        return table_print(t);
}

static int print_peers(const Ctl *c, const EphemeralLook *l, const json_t *holders)
{
        static const TableColumn columns[] = {
                { "PROTO" },
                { "FROM" },
                { "DESTINATION" },
                { "SOCKETS", .right = true },
                { "TIME-WAIT", .right = true },
                { "LEFT", .right = true },
                { "USED", .right = true },
                { "PORT-BY" },
                { "WHO", .trunc = true },
        };
        _cleanup_(table_freep) Table *t = NULL;
        const EphemeralPeer *peers;
        const json_t *holder;
        size_t i;
        int r;

        (void) ephemeral_pool_peers(l->pool, &peers);
        r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        json_array_foreach(holders, i, holder) {
                const EphemeralPeer *peer = &peers[i];
                const Socket *s = &peer->sample;
                unsigned used = ephemeral_pool_percent(l->pool, peer->left);
                bool tcp = s->protocol == IPPROTO_TCP;
                char local[ADDRESS_TEXT_MAX], remote[ADDRESS_PORT_TEXT_MAX], buf[4][NUMBER_MAX];
                _cleanup_(freep) char *who = culprit_name(holder);
                const char *const cells[] = {
                        protocol_to_string(s->protocol),
                        address_format(&s->local, local),
                        s->remote_port ? address_format_port(&s->remote, s->remote_port, remote)
                                       : "-",
                        number(peer->sockets, buf[0]),
                        tcp ? number(peer->timewait, buf[1]) : "-",
                        number(peer->left, buf[2]),
                        percent(used, buf[3]),
                        !tcp                           ? "-"
                        : peer->binds_first == TRI_YES ? "bind"
                                                       : "connect",
                        who ?: "-",
                };

                r = table_row(t, color_of(used), cells);
                if (r < 0)
                        return r;
        }
        return table_print(t);
}

static int print_programs(const Ctl *c, const EphemeralLook *l, const json_t *holders)
{
        static const TableColumn columns[] = {
                { "SOCKETS", .right = true },
                { "TCP-EXCLUSIVE", .right = true },
                { "UDP", .right = true },
                { "WHO", .trunc = true },
        };
        _cleanup_(table_freep) Table *t = NULL;
        const EphemeralProgram *programs;
        const json_t *holder;
        size_t i;
        int r;

        (void) ephemeral_pool_programs(l->pool, &programs);
        r = table_new(c, columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        json_array_foreach(holders, i, holder) {
                _cleanup_(freep) char *who = culprit_name(holder);
                char buf[3][NUMBER_MAX];
                const char *const cells[] = {
                        number(programs[i].sockets, buf[0]),
                        number(programs[i].exclusive, buf[1]),
                        number(programs[i].udp, buf[2]),
                        who ?: "-",
                };

                r = table_row(t, TABLE_PLAIN, cells);
                if (r < 0)
                        return r;
        }
        return table_print(t);
}

static void say_settings(const Ctl *c, const EphemeralLook *l)
{
        unsigned all = (unsigned) (l->last - l->first) + 1, reserved = ephemeral_look_reserved(l),
                 ours = ephemeral_look_ours(l),
                 usable = portset_count(ephemeral_pool_usable(l->pool));

        say(c,
            "Range: %u to %u, %u port%s (net.ipv4.ip_local_port_range: the administrator's, "
            "portreserved does not change it%s%s)",
            l->first, l->last, all, PLURAL(all), l->source ? "; set in " : "", l->source ?: "");
        if (l->ours_known)
                say(c,
                    "Reserved in it: %u, %u by portreserved and %u by others; left to choose: %u",
                    reserved, ours, reserved - ours, usable);
        else
                say(c, "Reserved in it: %u; left to choose: %u", reserved, usable);
        say(c, "%s", "");
}

static void say_advice(const Ctl *c, const EphemeralLook *l, const json_t *advice)
{
        unsigned dropped = ephemeral_pool_dropped(l->pool);
        const json_t *v;
        size_t i;

        if (dropped > 0)
                say(c, "and %u socket%s to more places than are counted apart", dropped,
                    PLURAL(dropped));
        say(c, "%s", "");
        say(c, "connect() takes a port again for another destination, bind() takes it from all of "
               "them: for each, what is left is counted by how its ports are chosen.");
        if (!l->sees_bound)
                say(c,
                    "This kernel does not list TCP sockets that are bound only (6.8 does): there "
                    "may be fewer left.");
        if (json_array_size(advice) == 0) {
                say(c, "Nobody runs short.");
                return;
        }
        say(c, "%s", "");
        say(c, "What would help:");
        json_array_foreach(advice, i, v) {
                say(c, "- %s", get_text(v, "message"));
                if (!json_is_null(json_object_get(v, "command")))
                        say(c, "      %s", get_text(v, "command"));
        }
}

int ephemeral_print(const Ctl *c, const EphemeralLook *l, const json_t *peers,
                    const json_t *programs, const json_t *advice)
{
        int r;

        say_settings(c, l);
        r = print_use(c, l);
        if (r >= 0 && json_array_size(peers) > 0) {
                say(c, "%s", "");
                r = print_peers(c, l, peers);
        }
        if (r >= 0 && json_array_size(programs) > 0) {
                say(c, "%s", "");
                r = print_programs(c, l, programs);
        }
        if (r < 0)
                return r;
        say_advice(c, l, advice);
        return 0;
}
