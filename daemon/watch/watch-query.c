/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Questions about one port, with a dump of its own. */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/grow.h"
#include "daemon/watch/watch-internal.h"
#include "model/bind-rules.h"

/* A server that closed more connections than that first has them destroyed in several rounds. */
#define REMAINS_MAX    16384u
#define REMAINS_STATES (SOCK_DIAG_STATE(SOCKET_TIME_WAIT) | SOCK_DIAG_STATE(SOCKET_FIN_WAIT2))
/* A walk over all connections that costs more is not made for each question: an owner that starts is
 * asked for every 5 ms, and each port that cannot be held asks for remains at each try. */
#define WALK_DEAR (10 * USEC_PER_MSEC)

typedef struct Query {
        Watch *watch;
        const Reservation *reservation;
        const Endpoint *endpoint;
        Kind wanted;
        Tristate answer;
        Socket *rows;
        size_t n_rows, n_rows_allocated;
} Query;

static int on_judged_row(const Socket *s, void *userdata)
{
        Query *q = userdata;
        Pass p = {
                .identify = q->watch->identify,
                .ops = &q->watch->ops,
                .userdata = q->watch->userdata,
        };
        Kind kind = pass_judge(&p, q->reservation, q->endpoint, s);

        if (kind == q->wanted)
                q->answer = TRI_YES;
        else if (kind == KIND_UNKNOWN && q->answer == TRI_NO)
                q->answer = TRI_UNKNOWN;
        return 0;
}

static int dump_port(Watch *w, const Endpoint *e, uint16_t port, uint32_t states, SockDiagRow row,
                     Query *q)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        PortSet ports = {};
        int r;

        portset_add(&ports, port);
        r = diag_filter_new(&ports, false, &filter);
        if (r < 0)
                return r;
        return sock_diag_dump(w->diag, e->protocol, states, filter, row, q);
}

static bool walks_are_dear(const Watch *w)
{
        return MAX_OF(w->pace.sweep_cost, w->walk_cost) > WALK_DEAR;
}

/* Is there a socket that is wanted, on the port of the reservation's endpoint? */
static Tristate ask(Watch *w, const Reservation *r, const Endpoint *e, uint16_t port, Kind wanted,
                    uint32_t tcp_states)
{
        Query q = {
                .watch = w,
                .reservation = r,
                .endpoint = e,
                .wanted = wanted,
                .answer = TRI_NO,
        };
        uint32_t states = e->protocol == IPPROTO_TCP ? tcp_states : SOCK_DIAG_ALL;

        return dump_port(w, e, port, states, on_judged_row, &q) < 0 ? TRI_UNKNOWN : q.answer;
}

/* Somebody is known to have the port, and nothing since says otherwise. */
static bool is_occupied(const Watch *w, const Endpoint *e, uint16_t port)
{
        for (const CollisionEntry *x = NULL; (x = collision_set_next_of(w->set, e, x));)
                if (x->collision.port == port && x->collision.holder.kind != KIND_STALE &&
                    !x->suspect)
                        return true;
        return false;
}

Tristate watch_owner_bound(Watch *w, const Reservation *r, const Endpoint *e, uint16_t port)
{
        Tristate answer = ask(w, r, e, port, KIND_OWNER, SOCK_DIAG_STATE(SOCKET_LISTEN));

        if (answer != TRI_NO || e->protocol != IPPROTO_TCP || walks_are_dear(w) ||
            is_occupied(w, e, port))
                return answer;
        return ask(w, r, e, port, KIND_OWNER, SOCK_DIAG_STATE(SOCKET_BOUND_INACTIVE));
}

Tristate watch_pid1_listens(Watch *w, const Reservation *r, const Endpoint *e, uint16_t port)
{
        return ask(w, r, e, port, KIND_LISTENER, SOCK_DIAG_STATE(SOCKET_LISTEN));
}

static int on_listener_row(const Socket *s, void *userdata)
{
        Query *q = userdata;

        if (endpoint_meets_address(q->endpoint, &s->local, s->v6only))
                q->answer = TRI_YES;
        return 0;
}

Tristate watch_is_listened(Watch *w, const Endpoint *e, uint16_t port)
{
        Query q = { .watch = w, .endpoint = e, .answer = TRI_NO };

        return dump_port(w, e, port, SOCK_DIAG_STATE(SOCKET_LISTEN), on_listener_row, &q) < 0
                       ? TRI_UNKNOWN
                       : q.answer;
}

/* TIME_WAIT, and FIN_WAIT2 of which as little is left: its client has everything that was sent and
 * the end of it, and destroying it sends nothing. A whole socket in FIN_WAIT2 that no process has
 * (tcp_fin_timeout over 60 s) would reset a client that has yet to read. */
static int on_remains_row(const Socket *s, void *userdata)
{
        Query *q = userdata;

        if (!s->timewait || !bind_rules_meet(q->endpoint, s) || q->n_rows >= REMAINS_MAX)
                return 0;
        if (!GROW(q->rows, q->n_rows_allocated, q->n_rows + 1))
                return -ENOMEM;
        q->rows[q->n_rows++] = *s;
        return 0;
}

static int on_any_remains_row(const Socket *s, void *userdata)
{
        if (s->timewait)
                portset_add(&((Watch *) userdata)->remains, s->local_port);
        return 0;
}

/* Where walks are dear, one for all ports, which holds for ten times as long as it took. */
static bool may_have_remains(Watch *w, uint16_t port)
{
        uint64_t begin, cost;
        int r;

        if (!walks_are_dear(w))
                return true;
        if (now_usec(CLOCK_MONOTONIC) >= w->remains_until) {
                portset_clear(&w->remains);
                begin = now_usec(CLOCK_THREAD_CPUTIME_ID);
                r = sock_diag_dump(w->diag, IPPROTO_TCP, REMAINS_STATES, w->tcp_rest,
                                   on_any_remains_row, w);
                cost = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin;
                w->walk_cost = cost;
                if (r < 0)
                        return true;
                w->remains_until = now_usec(CLOCK_MONOTONIC) + PACE_COST_FACTOR * cost;
        }
        return portset_has(&w->remains, port);
}

int watch_clear_remains(Watch *w, const Endpoint *e, uint16_t port)
{
        Query q = { .watch = w, .endpoint = e };
        uint64_t begin;
        int n = 0, r;

        /* Each try to hold the port asks for this, and the kernel walks all connections for it: not
         * while it would be in vain. */
        if (e->protocol != IPPROTO_TCP || is_occupied(w, e, port) || !may_have_remains(w, port))
                return 0;
        begin = now_usec(CLOCK_THREAD_CPUTIME_ID);
        r = dump_port(w, e, port, REMAINS_STATES, on_remains_row, &q);
        w->walk_cost = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin;
        if (q.n_rows < REMAINS_MAX)
                portset_remove(&w->remains, port);
        for (size_t i = 0; r >= 0 && i < q.n_rows; i++) {
                r = sock_diag_destroy(w->diag, q.rows + i);
                if (r == -ENOENT) /* it went by itself */
                        r = 0;
                else if (r >= 0) {
                        n++;
                        (void) watch_suspect_destroyed(w, q.rows + i);
                }
        }
        free(q.rows);
        return n > 0 || r >= 0 ? n : r;
}
