/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>

#include "base/clock.h"
#include "daemon/evict/evictor-internal.h"

/* Sockets of which was said that they stay. Nobody has so many for long. */
#define TOLD_MAX 4096u

#define TIMER_ACCURACY (5 * USEC_PER_MSEC)

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

int evictor_new(sd_event *event, Identify *identify, const EvictorOps *ops, void *userdata,
                Evictor **ret)
{
        _cleanup_(evictor_freep) Evictor *v = NULL;
        int r;

        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->ops = *ops;
        v->userdata = userdata;
        v->identify = identify;
        r = sock_diag_new(&v->diag);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &v->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, v);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(v->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(v);
        return 0;
}

Evictor *evictor_free(Evictor *v)
{
        if (!v)
                return NULL;
        sd_event_source_disable_unref(v->timer);
        sock_diag_free(v->diag);
        quota_deinit(&v->quota);
        table_deinit(&v->told);
        table_deinit(&v->named);
        free(v);
        return NULL;
}

void evictor_set_config(Evictor *v, const Config *c)
{
        v->config = c;
}

const EvictorStats *evictor_stats(const Evictor *v)
{
        return &v->stats;
}

static PortSet *due_of(Evictor *v, int protocol)
{
        return protocol == IPPROTO_UDP ? &v->udp_due : &v->tcp_due;
}

static void arm(Evictor *v, uint64_t delay)
{
        (void) sd_event_source_set_time(v->timer, now_usec(CLOCK_MONOTONIC) + delay);
        (void) sd_event_source_set_enabled(v->timer, SD_EVENT_ONESHOT);
}

void evictor_want(Evictor *v, const Socket *s)
{
        if (s->cookie != 0 && !table_set(&v->named, s->cookie, v))
                return; /* no memory: it stays */
        portset_add(due_of(v, s->protocol), s->local_port);
        arm(v, 0);
}

/* Remains of a connection that nobody knew are not named one by one. */
static bool is_named(const EvictorRun *run, const Socket *s, Kind kind)
{
        return run->request || kind == KIND_STALE || table_get(run->named, s->cookie);
}

static bool is_rehearsal(const EvictorRun *run)
{
        return run->request && run->request->dry_run;
}

/* Remains are not counted, since nobody misses them. */
static bool may_destroy(EvictorRun *run, const Eviction *x, const Socket *s)
{
        return is_rehearsal(run) || s->timewait ||
               quota_pass(&run->v->quota, x->reservation ? x->reservation->name : "",
                          now_usec(CLOCK_MONOTONIC));
}

/* By cookie: -ENOENT where it has gone by itself. */
static int destroy(EvictorRun *run, const Eviction *x, const Socket *s)
{
        Evictor *v = run->v;
        int r;

        if (is_rehearsal(run))
                return 0;
        r = sock_diag_destroy(v->diag, s);
        if (r < 0)
                return r;
        v->stats.evicted++;
        if (x->verdict == EVICTION_DESTROY)
                v->ops.destroyed(s, v->userdata);
        return 0;
}

static void report(EvictorRun *run, const Eviction *x)
{
        Evictor *v = run->v;
        bool done = !eviction_is_left(x->verdict) && x->error == 0;

        if (run->seen)
                run->seen(x, run->userdata);
        if (done && !is_rehearsal(run))
                v->ops.evicted(x, v->userdata);
        else if (!run->request)
                v->ops.left(x, v->userdata);
}

static void report_remains(EvictorRun *run)
{
        if (run->remains.count > 0)
                report(run, &run->remains);
        run->remains = (Eviction){};
}

/* Of a thousand remains one is named. */
static void add_remains(EvictorRun *run, const Eviction *x, const Holder *h)
{
        if (run->remains.count > 0 &&
            (run->remains.reservation != x->reservation ||
             run->remains_holder.socket.local_port != h->socket.local_port))
                report_remains(run);
        if (run->remains.count == 0) {
                run->remains = *x;
                run->remains.count = 0;
                run->remains_holder = *h;
                run->remains.holder = &run->remains_holder;
        }
        run->remains.count++;
}

/* Was it said before? Forgets all when there are too many: then they are said again. */
static bool told_before(Evictor *v, uint64_t cookie)
{
        if (table_get(&v->told, cookie))
                return true;
        if (v->told.n >= TOLD_MAX)
                table_deinit(&v->told);
        (void) table_set(&v->told, cookie, v);
        return false;
}

/* Does anybody want to hear of one that stays? */
static bool is_news(EvictorRun *run, const Eviction *x, const Socket *s)
{
        if (run->request)
                return true;
        return x->reservation->evict != EVICT_NO && !told_before(run->v, s->cookie);
}

/* By Evict= it is looked for again. */
static void hold_back(EvictorRun *run, const Socket *s)
{
        run->n_held_back++;
        if (run->request)
                return;
        portset_add(&run->again, s->local_port);
        (void) table_set(&run->v->named, s->cookie, run->v);
}

/* The holder's strings are the caller's to free with *named, or others'. Which process has it may
 * tell that it is the owner's: it was moved into the owner's unit, or was passed the socket. */
static void name_holder(EvictorRun *run, const Socket *s, Kind kind, Eviction *x, Holder *ret,
                        Holder *named)
{
        const Holder *known = NULL;
        Evictor *v = run->v;

        if (x->endpoint)
                known = v->ops.known(x->endpoint, s->local_port, s->cookie, v->userdata);
        if (!s->timewait && !(known && known->pid > 0) &&
            identify_holder(v->identify, s, kind, named) >= 0)
                kind = evictor_judge(run, s, x);
        *ret = known && named->pid == 0 ? *known : *named;
        ret->socket = *s;
        ret->kind = kind;
        x->holder = ret;
        if (!eviction_is_left(x->verdict) && x->reservation && s->inode != 0 && ret->pid == 0 &&
            !ret->no_process && v->ops.may_be_owners(x->reservation, ret, v->userdata))
                x->verdict = EVICTION_UNKNOWN; /* wanted again when that is known */
}

/* Who is meant to be there; and of a foreign server its listener is what there is to say. */
static bool is_other(const Eviction *x)
{
        return x->verdict == EVICTION_PASS || x->verdict == EVICTION_SERVED;
}

static void act(EvictorRun *run, const Socket *s)
{
        _cleanup_(holder_done) Holder named;
        Evictor *v = run->v;
        Eviction x = { .count = 1 };
        bool was_left, left, stays;
        Holder h;
        Kind kind;

        holder_init(&named);
        kind = evictor_judge(run, s, &x);
        was_left = eviction_is_left(x.verdict);
        if (!is_other(&x) && is_named(run, s, kind) && (!was_left || is_news(run, &x, s)))
                /* Before it is destroyed: a moment later its process may have closed it. */
                name_holder(run, s, kind, &x, &h, &named);
        if (is_other(&x))
                run->n_others++;
        if (is_other(&x) || !x.holder)
                return;

        left = eviction_is_left(x.verdict);
        if (left && !was_left && !is_news(run, &x, s))
                return;
        if (!left && !may_destroy(run, &x, s)) {
                hold_back(run, s);
                x.error = -EAGAIN;
                if (!run->request)
                        return;
        }
        if (!left && x.error == 0)
                x.error = destroy(run, &x, s);
        if (x.error == -ENOENT)
                return; /* or another one is in its place */
        if (!left && s->timewait && x.error == 0) {
                add_remains(run, &x, &h);
                return;
        }
        /* Of one that was aborted, what is said now says that it stays; a refusal is said once. */
        stays = !left && (x.error < 0 || x.verdict == EVICTION_ABORT);
        if (!run->request && stays && told_before(v, s->cookie) && x.error < 0)
                return;
        report(run, &x);
}

static int run_ports(EvictorRun *run, int protocol, const PortSet *ports)
{
        int r;

        r = scene_take(run->v->diag, protocol, ports, &run->scene);
        if (r < 0)
                return r;
        for (size_t i = 0; i < run->scene.n; i++)
                act(run, run->scene.sockets + i);
        report_remains(run);
        scene_done(&run->scene);
        return 0;
}

static void tell_error(Evictor *v, int error)
{
        if (v->error == error)
                return;
        v->error = error;
        v->ops.failed(error, v->userdata);
}

/* Who is left for later stays named and due. */
static int run_due(Evictor *v, int protocol, const Table *named, size_t *n_waiting)
{
        PortSet *due = due_of(v, protocol), ports = *due;
        EvictorRun run = { .v = v, .named = named };
        int r;

        if (portset_empty(&ports))
                return 0;
        portset_clear(due);
        r = run_ports(&run, protocol, &ports);
        portset_unite(due, r < 0 ? &ports : &run.again);
        *n_waiting += run.n_held_back;
        return r;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Evictor *v = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Table named = v->named;
        size_t waiting = 0;
        int r, q;

        if (!v->config)
                return 0;
        v->named = (Table){};
        r = run_due(v, IPPROTO_TCP, &named, &waiting);
        q = run_due(v, IPPROTO_UDP, &named, &waiting);
        r = MIN_OF(MIN_OF(r, q), 0);
        /* Who could not be looked for is still named; another name now and then does no harm. */
        for (size_t i = 0; r < 0 && i < named.size; i++)
                if (named.slots[i].key != 0)
                        (void) table_set(&v->named, named.slots[i].key, v);
        table_deinit(&named);
        v->stats.waiting = waiting;
        tell_error(v, r);
        if (waiting > 0 && (v->waiting_told == 0 || now >= v->waiting_told + QUOTA_WINDOW_USEC)) {
                v->waiting_told = now;
                v->ops.waiting(waiting, v->userdata);
        }
        if (!portset_empty(&v->tcp_due) || !portset_empty(&v->udp_due))
                arm(v, QUOTA_WINDOW_USEC);
        return 0;
}

int evictor_run(Evictor *v, const EvictionRequest *q,
                void (*seen)(const Eviction *x, void *userdata), void *userdata, size_t *ret_others)
{
        EvictorRun run = { .v = v, .request = q, .seen = seen, .userdata = userdata };
        PortSet ports = {};
        int r;

        portset_add(&ports, q->port);
        r = run_ports(&run, q->protocol, &ports);
        if (r < 0)
                return r;
        *ret_others = run.n_others;
        return 0;
}
