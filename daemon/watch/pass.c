/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/watch/pass-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "model/bind-rules.h"

static int compare_pointers(const void *a, const void *b)
{
        return (uintptr_t) a < (uintptr_t) b ? -1 : (uintptr_t) a > (uintptr_t) b;
}

int owner_seen_compare(const void *a, const void *b)
{
        const OwnerSeen *x = a, *y = b;

        return x->port != y->port ? (int) x->port - y->port
                                  : compare_pointers(x->endpoint, y->endpoint);
}

static bool is_bound_only(const Socket *s)
{
        return s->state == SOCKET_CLOSE || s->state == SOCKET_BOUND_INACTIVE;
}

static bool is_connection(const Socket *s)
{
        return s->protocol == IPPROTO_TCP && s->state != SOCKET_LISTEN && !is_bound_only(s);
}

static int note_owner(Pass *p, const Reservation *r, const Endpoint *e, const Socket *s)
{
        const OwnerSeen *last = p->n_owners > 0 ? p->owners + p->n_owners - 1 : NULL;

        bool bound_only = s->protocol == IPPROTO_TCP && is_bound_only(s);

        if (last && last->endpoint == e && last->port == s->local_port &&
            last->bound_only == bound_only)
                return 0;
        if (!GROW(p->owners, p->n_owners_allocated, p->n_owners + 1))
                return -ENOMEM;
        p->owners[p->n_owners++] = (OwnerSeen){ r, e, s->local_port, bound_only };
        return 0;
}

static void find_who_accepted(Pass *p, const Reservation *r, const Endpoint *e, Observation *o)
{
        const Socket *s = &o->socket;

        if (!is_connection(s))
                return;
        if (pass_has_listener(p, r, s, true, &o->listener_elsewhere) ||
            (s->inode == 0 && p->ops->held && p->ops->held(e, s->local_port, p->userdata)))
                o->listener_legitimate = true;
}

Kind pass_judge(Pass *p, const Reservation *r, const Endpoint *e, const Socket *s)
{
        Observation o = { .socket = *s };

        o.ours = p->ops->is_ours && p->ops->is_ours(s->cookie, s->inode, p->userdata);
        if (!o.ours)
                identify_observe(p->identify, r, &o);
        find_who_accepted(p, r, e, &o);
        return policy_judge(r, e, &o);
}

/* A row that is known already: what it is now, with what only its earlier life could tell. */
static void update(CollisionEntry *x, const Socket *s, Kind kind)
{
        Socket *known = &x->collision.holder.socket;

        /* Many remains are one collision, and none of them speaks for all. */
        if (x->cookie != 0 && (known->state != s->state || x->collision.holder.kind != kind))
                x->changed = true;
        known->state = s->state;
        known->local = s->local;
        known->remote = s->remote;
        known->remote_port = s->remote_port;
        known->timewait = s->timewait;
        known->expires_usec = s->expires_usec;
        x->collision.holder.kind = kind;
}

static int collide(Pass *p, const Reservation *r, const Endpoint *e, const Socket *s, Kind kind,
                   CollisionEntry *x)
{
        /* All remains on a port are one collision, unless they were known while they lived: a busy
         * server leaves thousands. */
        uint64_t cookie = kind == KIND_STALE ? 0 : s->cookie;
        int q;

        if (!x && cookie == 0)
                x = collision_set_find(p->set, e, s->local_port, cookie);
        if (x) {
                update(x, s, kind);
                x->seen = p->generation;
                return 0;
        }
        q = collision_set_add(p->set, r, e, s->local_port, cookie, &x);
        if (q == -ENOSPC) {
                p->n_dropped++;
                return 0;
        }
        if (q < 0)
                return q;
        x->collision.holder.socket = *s;
        x->collision.holder.kind = kind;
        x->seen = p->generation;
        if (!p->fresh)
                p->fresh = x;
        return 0;
}

/* Is in nobody's way at an IPv4 endpoint; nor are those whom it serves, though they look as if they
 * were (bind-rules.h). */
static bool is_v6_neighbour(const Socket *s)
{
        return s->protocol == IPPROTO_TCP && s->state == SOCKET_LISTEN &&
               s->local.family == AF_INET6;
}

/* It is there, and in nobody's way any more: the owner's since a reload, or at another address since it
 * was connected. */
static void clear(Pass *p, CollisionEntry *x)
{
        if (x)
                x->gone = p->generation;
}

static int judge_row(Pass *p, const Reservation *r, const Endpoint *e, const Socket *s)
{
        Socket known = *s;
        CollisionEntry *x;
        bool unused;
        Kind kind;
        int q;

        if (!bind_rules_meet(e, s))
                return is_v6_neighbour(s) ? pass_note_listener(p, r, s, false) : 0;
        x = collision_set_find(p->set, e, s->local_port, s->cookie);
        if (x)
                known.automatic = x->collision.holder.socket.automatic;
        kind = pass_judge(p, r, e, &known);

        if (s->protocol == IPPROTO_TCP && s->state == SOCKET_LISTEN) {
                q = pass_note_listener(p, r, s, !kind_is_collision(kind));
                if (q < 0)
                        return q;
        }
        if ((kind == KIND_OWNER || kind == KIND_LISTENER) && !is_connection(s)) {
                q = note_owner(p, r, e, s);
                if (q < 0)
                        return q;
        }
        if (!kind_is_collision(kind)) {
                clear(p, x);
                return 0;
        }
        /* A foreign listener is the collision; those whom it serves are not some more. */
        if (!x && is_connection(s) && pass_has_listener(p, r, s, false, &unused))
                return 0;
        return collide(p, r, e, s, kind, x);
}

static int on_row(const Socket *s, void *userdata)
{
        Pass *p = userdata;
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        while (config_lookup(p->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                int q = judge_row(p, r, e, s);

                if (q < 0)
                        return q;
        }
        return 0;
}

/* Fresh ones of which it is not known yet whether the kernel chose their port. */
static bool wants_automatic(const CollisionEntry *x, int protocol)
{
        const Holder *h = &x->collision.holder;

        return h->socket.protocol == protocol && h->kind != KIND_STALE &&
               h->socket.automatic == TRI_UNKNOWN;
}

typedef struct Mark {
        Pass *pass;
        Tristate automatic;
} Mark;

static int on_marked_row(const Socket *s, void *userdata)
{
        const Mark *m = userdata;
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;

        while (config_lookup(m->pass->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                CollisionEntry *x = collision_set_find(m->pass->set, e, s->local_port, s->cookie);

                if (!x || !wants_automatic(x, s->protocol))
                        continue;
                x->collision.holder.socket.automatic = m->automatic;
                x->collision.holder.socket.mptcp = s->mptcp;
        }
        return 0;
}

/* Asks for the fresh ones again; those that come back get the mark. automatic: only sockets whose
 * port the kernel chose. */
static int mark_fresh(Pass *p, int protocol, Tristate automatic)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        Mark mark = { p, automatic };
        uint32_t states = 0;
        PortSet ports = {};
        int q;

        for (CollisionEntry *x = p->fresh; x; x = x->next) {
                if (!wants_automatic(x, protocol))
                        continue;
                portset_add(&ports, x->collision.port);
                /* To ask for listeners alone costs next to nothing. */
                states |= x->collision.holder.socket.state == SOCKET_LISTEN
                                  ? SOCK_DIAG_STATE(SOCKET_LISTEN)
                                  : SOCK_DIAG_ALL;
        }
        if (portset_empty(&ports))
                return 0;
        q = diag_filter_new(&ports, automatic == TRI_YES, &filter);
        if (q < 0)
                return q;
        return sock_diag_dump(p->diag, protocol, states | SOCK_DIAG_ULP, filter, on_marked_row,
                              &mark);
}

static void forget_fresh(Pass *p, CollisionEntry *x)
{
        if (p->fresh == x)
                p->fresh = x->next;
        collision_set_remove(p->set, x);
        collision_entry_free(x);
}

/* BC_AUTO tells a port that the kernel chose from one that was bound explicitly: a second dump
 * passes only the former. A third shows which of the others are still there; one that went
 * meanwhile was neither for sure and is forgotten. */
static void tell_ephemeral(Pass *p, int protocol)
{
        if (mark_fresh(p, protocol, TRI_YES) < 0 || mark_fresh(p, protocol, TRI_NO) < 0)
                return; /* not known: the verdict then goes by the state */

        for (CollisionEntry *x = p->fresh, *next; x; x = next) {
                next = x->next;
                if (!wants_automatic(x, protocol))
                        continue;
                forget_fresh(p, x);
        }
}

static void judge_fresh(Pass *p)
{
        for (CollisionEntry *x = p->fresh, *next; x; x = next) {
                Collision *c = &x->collision;
                Kind kind = pass_judge(p, c->reservation, c->endpoint, &c->holder.socket);

                next = x->next;
                if (kind_is_collision(kind))
                        c->holder.kind = kind;
                else if (kind == KIND_NONE)
                        forget_fresh(p, x);
        }
}

size_t owners_seen_sort(OwnerSeen *o, size_t n)
{
        size_t kept = 0;

        if (n == 0)
                return 0;
        qsort(o, n, sizeof(*o), owner_seen_compare);
        for (size_t i = 1; i < n; i++) {
                if (owner_seen_compare(o + kept, o + i) != 0)
                        o[++kept] = o[i];
                else if (!o[i].bound_only)
                        o[kept].bound_only = false;
        }
        return kept + 1;
}

/* All remains on a port may be one collision, of no socket in particular. */
bool pass_can_ask(const CollisionEntry *x)
{
        return x->cookie != 0 && is_connection(&x->collision.holder.socket);
}

static int ask_suspects(Pass *p)
{
        for (CollisionEntry *x = collision_set_first(p->set); x; x = x->next) {
                Socket s;
                int q;

                if (!x->suspect || !pass_can_ask(x))
                        continue;
                q = sock_diag_find(p->diag, &x->collision.holder.socket, &s);
                if (q == 0)
                        x->gone = p->generation;
                else if (q > 0)
                        q = on_row(&s, p);
                if (q < 0)
                        return q;
        }
        return 0;
}

int pass_run(Pass *p, const PassFilters *f)
{
        if (f->tcp)
                p->tcp_error = sock_diag_dump(p->diag, IPPROTO_TCP, SOCK_DIAG_STATE(SOCKET_LISTEN),
                                              f->tcp, on_row, p);
        if (f->udp)
                p->udp_error =
                        sock_diag_dump(p->diag, IPPROTO_UDP, SOCK_DIAG_ALL, f->udp, on_row, p);

        /* Connections are judged by the listeners there are, so those come first. Bound sockets
         * come with the connections: for either the kernel walks the table of all connections. */
        pass_sort_listeners(p);
        if (f->tcp_rest && p->tcp_error >= 0)
                p->tcp_error = sock_diag_dump(p->diag, IPPROTO_TCP,
                                              SOCK_DIAG_ALL & ~SOCK_DIAG_STATE(SOCKET_LISTEN),
                                              f->tcp_rest, on_row, p);
        if (f->suspects && p->tcp_error >= 0)
                p->tcp_error = ask_suspects(p);
        p->saw_rest = f->tcp_rest && p->tcp_error >= 0;

        tell_ephemeral(p, IPPROTO_TCP);
        tell_ephemeral(p, IPPROTO_UDP);
        judge_fresh(p);
        p->n_owners = owners_seen_sort(p->owners, p->n_owners);
        return p->tcp_error == -ENOMEM || p->udp_error == -ENOMEM ? -ENOMEM : 0;
}

void pass_done(Pass *p)
{
        free(p->listeners);
        free(p->owners);
        p->listeners = NULL;
        p->owners = NULL;
}
