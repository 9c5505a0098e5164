/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/occupants.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "ctl/state.h"

static bool is_declared(const Judge *j, const Socket *s)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        return config_lookup(j->config, s->protocol, s->local_port, &iterator, &r, &e);
}

/* The kind of a socket for the declaration that it concerns most. */
static Kind judge(const Judge *j, Observation *o)
{
        const Socket *s = &o->socket;
        const Endpoint anywhere = socket_anywhere(s);
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;
        Kind k;

        while (config_lookup(j->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                identify_observe(j->identify, r, o);
                k = policy_judge(r, e, o);
                if (k != KIND_NONE)
                        return k;
        }
        o->owner = TRI_UNKNOWN;
        o->pid1_listener = false;
        return policy_judge(&reservation_nobody, &anywhere, o);
}

/* Those who are meant to have a port accept connections on it; for a port that nobody declared,
 * that is everybody. */
static bool listens_legitimately(const Judge *j, const Socket *s)
{
        Observation o = { .socket = *s, .ours = ours_has(&j->ours, s) };

        return !kind_is_collision(judge(j, &o)) || !is_declared(j, s);
}

/* Where we hold the port, nobody but its server can have left something behind. */
static bool is_held(const Judge *j, const Look *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (ours_has(&j->ours, &l->sockets[i]))
                        return true;
        return false;
}

/* Who chose the port of what no process has any more is not told. Below and above the range it was
 * not the kernel, so it was a server's. */
static Tristate chosen_by_kernel(const Judge *j, const Socket *s)
{
        if (s->protocol != IPPROTO_TCP || s->inode != 0 || s->automatic != TRI_YES)
                return s->automatic;
        return j->ephemeral ? TRI_UNKNOWN : TRI_NO;
}

static int judge_one(const Judge *j, const Look *l, const Socket *s, bool held, Holder *ret)
{
        const Socket *listener = look_listener(l, s);
        Observation o = { .socket = *s };
        Kind k;
        int r;

        o.socket.automatic = chosen_by_kernel(j, s);
        o.ours = ours_has(&j->ours, s);
        o.listener_legitimate =
                (listener && listens_legitimately(j, listener)) || (s->inode == 0 && held);
        o.listener_elsewhere = listener && listener->cgroup != s->cgroup;
        k = judge(j, &o);
        r = identify_holder(j->identify, &o.socket, k, ret);
        if (r < 0)
                return r;
        ret->kind = judge(j, &o); /* by what is known of its process now, too */
        ret->since_usec = 0;      /* only the daemon knows */
        return 0;
}

/* A hold of ours that the kernel does not list (bound only, before 6.8): as the daemon published
 * it. */
static bool add_unseen_hold(const Judge *j, int protocol, uint16_t port, Holder *ret)
{
        const json_t *ep = ours_published(&j->ours, protocol, port);

        if (!ours_holds(ep))
                return false;
        holder_init(ret);
        ret->kind = KIND_HOLD;
        ret->pid = j->ours.pid;
        ret->socket = (Socket){
                .protocol = protocol,
                .state = SOCKET_CLOSE,
                .local_port = port,
                .automatic = TRI_NO,
                .reuse = TRI_UNKNOWN,
        };
        if (address_parse(get_text(ep, "address"), &ret->socket.local) < 0)
                ret->socket.local.family = AF_INET6; /* "*": [::] */
        return true;
}

int occupants_judge(const Judge *j, int protocol, uint16_t port, const Look *l, Occupants *ret)
{
        _cleanup_(occupants_done) Occupants o = {};
        bool held = is_held(j, l);

        o.items = calloc(l->n + 1, sizeof(*o.items));
        if (!o.items)
                return -ENOMEM;
        for (; o.n < l->n; o.n++) {
                int r = judge_one(j, l, &l->sockets[o.n], held, &o.items[o.n].holder);

                if (r < 0)
                        return r;
        }
        if (!l->sees_bound && add_unseen_hold(j, protocol, port, &o.items[o.n].holder))
                o.n++;
        *ret = o;
        o = (Occupants){};
        return 0;
}

void occupants_done(Occupants *o)
{
        for (size_t i = 0; i < o->n; i++)
                holder_done(&o->items[i].holder);
        free(o->items);
        *o = (Occupants){};
}
