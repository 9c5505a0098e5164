/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <netinet/in.h>

#include "daemon/evict/evictor-internal.h"
#include "model/bind-rules.h"

static bool is_ours(const Evictor *v, const Socket *s)
{
        return v->ops.is_ours(s->cookie, s->inode, v->userdata);
}

/* Somebody who is meant to listen there may have accepted it? *ret_served: somebody else may. */
static void find_who_accepted(EvictorRun *run, const Reservation *r, const Endpoint *e,
                              Observation *ob, bool *ret_served)
{
        const Socket *s = &ob->socket, *l = NULL;
        Evictor *v = run->v;

        *ret_served = false;
        while (s->protocol == IPPROTO_TCP && (l = scene_listener(&run->scene, s, l))) {
                Observation o = { .socket = *l, .ours = is_ours(v, l) };

                if (r != &reservation_nobody)
                        identify_observe(v->identify, r, &o);
                if (r == &reservation_nobody || !kind_is_collision(policy_judge(r, e, &o))) {
                        ob->listener_legitimate = true;
                        ob->listener_elsewhere = l->cgroup != s->cgroup;
                        *ret_served = false;
                        if (!ob->listener_elsewhere)
                                return;
                } else if (!ob->listener_legitimate)
                        *ret_served = true;
        }
        if (s->inode == 0 && v->ops.held(e, s->local_port, v->userdata))
                ob->listener_legitimate = true;
}

static EvictionVerdict judge(EvictorRun *run, const Reservation *r, const Endpoint *e,
                             const Socket *s, EvictionScope scope, Kind *ret_kind)
{
        Observation o = { .socket = *s, .owner = TRI_UNKNOWN };
        bool served;

        o.ours = is_ours(run->v, s);
        if (!o.ours && r != &reservation_nobody)
                identify_observe(run->v->identify, r, &o);
        find_who_accepted(run, r, e, &o, &served);
        *ret_kind = policy_judge(r, e, &o);
        return eviction_judge(scope, *ret_kind, &o, served);
}

static EvictionScope scope_for(const EvictorRun *run, const Reservation *r)
{
        if (!run->request)
                return eviction_scope_of(r->evict);
        return run->request->user == UID_INVALID ? EVICTION_ANY : eviction_scope_of(r->evict);
}

/* By hand only what is in the way of who asks; by Evict= all that is in anybody's. */
static bool concerns(const EvictorRun *run, const Reservation *r)
{
        return !run->request || run->request->user == UID_INVALID || run->request->user == r->uid;
}

/* By every reservation that it meets: who is meant to be there for one of them stays, else the one
 * that allows most decides. */
Kind evictor_judge(EvictorRun *run, const Socket *s, Eviction *x)
{
        const Reservation *r;
        const Endpoint *e;
        unsigned iterator = 0;
        bool declared = false;
        Kind kind, decisive = KIND_NONE;

        x->verdict = EVICTION_PASS;
        while (config_lookup(run->v->config, s->protocol, s->local_port, &iterator, &r, &e)) {
                EvictionVerdict verdict;

                declared = true;
                if (!bind_rules_meet(e, s))
                        continue;
                verdict = judge(run, r, e, s, scope_for(run, r), &kind);
                if (kind == KIND_NONE)
                        continue;
                if (verdict == EVICTION_PASS) {
                        x->verdict = EVICTION_PASS;
                        return kind;
                }
                if (!concerns(run, r) || verdict >= x->verdict)
                        continue;
                x->verdict = verdict;
                x->reservation = r;
                x->endpoint = e;
                decisive = kind;
        }
        if (!declared && run->request) {
                Endpoint anywhere = socket_anywhere(s);

                x->verdict = judge(run, &reservation_nobody, &anywhere, s, EVICTION_UNDECLARED,
                                   &decisive);
        }
        return decisive;
}
