/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl ephemeral: the ports that the kernel chooses from, how many are left, and for whom.
 * From the kernel, so it works without the daemon. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ephemeral-advice.h"
#include "ctl/ephemeral-look.h"
#include "ctl/ephemeral-print.h"
#include "ctl/output.h"
#include "kernel/identify.h"
#include "model/json.h"

/* Whoever asks waits that long for the names of processes, with a million sockets, too; those that are
 * left have none. */
#define SEARCH_USEC (5 * USEC_PER_SEC)

typedef struct Names {
        json_t *peers, *programs; /* a HOLDER for each of the first */
} Names;

static void names_done(Names *n)
{
        json_decref(n->peers);
        json_decref(n->programs);
}

static int add_name(Identify *identify, const Socket *s, json_t *array)
{
        json_t *o;
        Holder h;
        int r;

        r = identify_holder(identify, s, KIND_EPHEMERAL, &h);
        if (r < 0)
                return r;
        h.since_usec = 0;
        o = json_from_holder(&h);
        holder_done(&h);
        return !o || json_array_append_new(array, o) < 0 ? -ENOMEM : 0;
}

static int name_all(const EphemeralLook *l, Names *ret)
{
        _cleanup_(identify_freep) Identify *identify = NULL;
        const EphemeralProgram *programs;
        const EphemeralPeer *peers;
        size_t n_peers = ephemeral_pool_peers(l->pool, &peers),
               n_programs = ephemeral_pool_programs(l->pool, &programs);
        int r;

        r = identify_new(&identify);
        if (r < 0)
                return r;
        identify_take_time(identify, SEARCH_USEC);
        ret->peers = json_array();
        ret->programs = json_array();
        if (!ret->peers || !ret->programs)
                return -ENOMEM;
        for (size_t i = 0; i < MIN_OF(n_peers, (size_t) EPHEMERAL_PEERS_SHOWN) && r >= 0; i++)
                r = add_name(identify, &peers[i].sample, ret->peers);
        for (size_t i = 0; i < MIN_OF(n_programs, (size_t) EPHEMERAL_PROGRAMS_SHOWN) && r >= 0; i++)
                r = add_name(identify, &programs[i].sample, ret->programs);
        return r;
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

static json_t *program_object(const EphemeralProgram *program, json_t *holder)
{
        return json_pack("{s:i, s:i, s:i, s:O}", "sockets", (int) program->sockets, "tcp_exclusive",
                         (int) program->exclusive, "udp_ports", (int) program->udp, "holder",
                         holder);
}

static json_t *ephemeral_object(const EphemeralLook *l, const Names *names, json_t *advice)
{
        _cleanup_(json_decrefp) json_t *destinations = json_array(), *programs = json_array();
        unsigned reserved = ephemeral_look_reserved(l), ours = ephemeral_look_ours(l);
        const EphemeralProgram *program;
        const EphemeralPeer *peers;
        json_t *holder;
        size_t i;

        (void) ephemeral_pool_peers(l->pool, &peers);
        json_array_foreach(names->peers, i, holder)
                if (json_array_append_new(destinations, peer_object(l, &peers[i], holder)) < 0)
                        return NULL;
        (void) ephemeral_pool_programs(l->pool, &program);
        json_array_foreach(names->programs, i, holder)
                if (json_array_append_new(programs, program_object(&program[i], holder)) < 0)
                        return NULL;
        return json_pack(
                "{s:i, s:i, s:o, s:i, s:o, s:o, s:i, s:i, s:i, s:o, s:o, s:O, s:i, s:O, s:b, s:O}",
                "first", (int) l->first, "last", (int) l->last, "source", json_text(l->source),
                "reserved", (int) reserved, "reserved_ours",
                l->ours_known ? json_integer(ours) : json_null(), "reserved_foreign",
                l->ours_known ? json_integer(reserved - ours) : json_null(), "left",
                (int) portset_count(ephemeral_pool_usable(l->pool)), "tcp_tw_reuse", (int) l->reuse,
                "tcp_tw_reuse_delay_usec", (int) l->delay_usec, "tcp", use_object(l, IPPROTO_TCP),
                "udp", use_object(l, IPPROTO_UDP), "destinations", destinations,
                "sockets_not_attributed", (int) ephemeral_pool_dropped(l->pool), "programs",
                programs, "sees_bound", (int) l->sees_bound, "advice", advice);
}

Exit verb_ephemeral(const Ctl *c, char **args)
{
        _cleanup_(ephemeral_look_done) EphemeralLook l = {};
        _cleanup_(json_decrefp) json_t *advice = NULL;
        _cleanup_(names_done) Names names = {};
        Exit e;
        int r;

        e = ephemeral_look(c, &l);
        if (e != EXIT_OK)
                return e;
        r = name_all(&l, &names);
        if (r < 0)
                return fail(c, EXIT_FAILED, "%s", strerror(-r));
        advice = ephemeral_advice(&l, names.peers, names.programs);
        if (!advice)
                return fail(c, EXIT_FAILED, "out of memory");
        if (c->json != JSON_OFF)
                return print_json(c, ephemeral_object(&l, &names, advice), EXIT_OK);
        if (!c->quiet && ephemeral_print(c, &l, names.peers, names.programs, advice) < 0)
                return fail(c, EXIT_FAILED, "cannot print the tables");
        return EXIT_OK;
}
