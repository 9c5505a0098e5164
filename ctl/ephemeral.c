/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl ephemeral: the ports that the kernel chooses from, how many are left, and for whom.
 * From the kernel, so it works without the daemon. */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/printable.h"
#include "ctl/culprit.h"
#include "ctl/ephemeral-advice.h"
#include "ctl/ephemeral-look.h"
#include "ctl/output.h"
#include "ctl/state.h"
#include "ctl/table.h"
#include "kernel/identify.h"
#include "model/json.h"

#define NUMBER_MAX 16

/* A HOLDER for each of the first peers. */
static json_t *name_peers(const EphemeralLook *l)
{
        _cleanup_(identify_freep) Identify *identify = NULL;
        _cleanup_(json_decrefp) json_t *holders = json_array();
        const EphemeralPeer *peers;
        size_t n = ephemeral_pool_peers(l->pool, &peers);

        if (!holders || identify_new(&identify) < 0)
                return NULL;
        for (size_t i = 0; i < MIN_OF(n, (size_t) EPHEMERAL_SHOWN); i++) {
                json_t *o;
                Holder h;

                if (identify_holder(identify, &peers[i].sample, KIND_EPHEMERAL, &h) < 0)
                        return NULL;
                h.since_usec = 0;
                o = json_from_holder(&h);
                holder_done(&h);
                if (!o || json_array_append_new(holders, o) < 0)
                        return NULL;
        }
        return TAKE_PTR(holders);
}

/* In the range. */
static unsigned count_reserved(const EphemeralLook *l)
{
        return portset_count_run(&l->reserved, l->first, l->last);
}

static unsigned count_ours(const EphemeralLook *l)
{
        return portset_count_run(&l->ours, l->first, l->last);
}

static json_t *use_object(const EphemeralLook *l, int protocol)
{
        EphemeralUse u = ephemeral_pool_use(l->pool, protocol);

        if (protocol == IPPROTO_UDP)
                return json_pack("{s:i, s:i, s:i, s:i}", "sockets", (int) u.sockets, "ports",
                                 (int) u.ports, "left", (int) u.left_bind, "used_percent",
                                 (int) ephemeral_pool_percent(l->pool, u.left_bind));
        return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "sockets", (int) u.sockets,
                         "time_wait", (int) u.timewait, "ports", (int) u.ports, "exclusive",
                         (int) u.exclusive, "left_bind", (int) u.left_bind, "left_connect",
                         (int) u.left_connect, "used_percent",
                         (int) ephemeral_pool_percent(l->pool, u.left_connect));
}

static json_t *peer_object(const EphemeralLook *l, const EphemeralPeer *peer, json_t *holder)
{
        char local[ADDRESS_TEXT_MAX], remote[ADDRESS_PORT_TEXT_MAX];
        const Socket *s = &peer->sample;
        bool tcp = s->protocol == IPPROTO_TCP;

        return json_pack(
                "{s:s, s:s, s:s?, s:i, s:o, s:i, s:i, s:o, s:O}", "protocol",
                protocol_to_string(s->protocol), "local", address_format(&s->local, local),
                "remote",
                s->remote_port ? address_format_port(&s->remote, s->remote_port, remote) : NULL,
                "sockets", (int) peer->sockets, "time_wait",
                tcp ? json_integer(peer->timewait) : json_null(), "left", (int) peer->left,
                "used_percent", (int) ephemeral_pool_percent(l->pool, peer->left), "binds_first",
                tcp ? json_boolean(peer->binds_first == TRI_YES) : json_null(), "holder", holder);
}

static json_t *ephemeral_object(const EphemeralLook *l, const json_t *holders, json_t *advice)
{
        _cleanup_(json_decrefp) json_t *destinations = json_array();
        unsigned reserved = count_reserved(l), ours = count_ours(l);
        const EphemeralPeer *peers;
        json_t *holder;
        size_t i;

        (void) ephemeral_pool_peers(l->pool, &peers);
        json_array_foreach(holders, i, holder)
                if (json_array_append_new(destinations, peer_object(l, &peers[i], holder)) < 0)
                        return NULL;
        return json_pack(
                "{s:i, s:i, s:i, s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:O, s:i, s:b, s:O}", "first",
                (int) l->first, "last", (int) l->last, "reserved", (int) reserved, "reserved_ours",
                l->ours_known ? json_integer(ours) : json_null(), "reserved_foreign",
                l->ours_known ? json_integer(reserved - ours) : json_null(), "left",
                (int) portset_count(ephemeral_pool_usable(l->pool)), "tcp_tw_reuse", (int) l->reuse,
                "tcp_tw_reuse_delay_usec", (int) l->delay_usec, "tcp", use_object(l, IPPROTO_TCP),
                "udp", use_object(l, IPPROTO_UDP), "destinations", destinations,
                "sockets_not_attributed", (int) ephemeral_pool_dropped(l->pool), "sees_bound",
                (int) l->sees_bound, "advice", advice);
}

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

static void say_settings(const Ctl *c, const EphemeralLook *l)
{
        unsigned all = (unsigned) (l->last - l->first) + 1, reserved = count_reserved(l),
                 ours = count_ours(l), usable = portset_count(ephemeral_pool_usable(l->pool));

        say(c,
            "Range: %u to %u, %u port%s (net.ipv4.ip_local_port_range: the administrator's, "
            "portreserved does not change it)",
            l->first, l->last, all, PLURAL(all));
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
        const json_t *v;
        size_t i;

        if (ephemeral_pool_dropped(l->pool) > 0)
                say(c, "and %u sockets to more places than are counted apart",
                    ephemeral_pool_dropped(l->pool));
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

Exit verb_ephemeral(const Ctl *c, char **args)
{
        _cleanup_(ephemeral_look_done) EphemeralLook l = {};
        _cleanup_(json_decrefp) json_t *holders = NULL, *advice = NULL;
        Exit e;

        e = ephemeral_look(c, &l);
        if (e != EXIT_OK)
                return e;
        holders = name_peers(&l);
        advice = holders ? ephemeral_advice(&l, holders) : NULL;
        if (!advice)
                return fail(c, EXIT_FAILED, "out of memory");
        if (c->json != JSON_OFF)
                return print_json(c, ephemeral_object(&l, holders, advice), EXIT_OK);
        if (c->quiet)
                return EXIT_OK;

        say_settings(c, &l);
        if (print_use(c, &l) < 0)
                return fail(c, EXIT_FAILED, "cannot print the table");
        if (json_array_size(holders) > 0) {
                say(c, "%s", "");
                if (print_peers(c, &l, holders) < 0)
                        return fail(c, EXIT_FAILED, "cannot print the table");
        }
        say_advice(c, &l, advice);
        return EXIT_OK;
}
