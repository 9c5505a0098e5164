/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The TCP listeners of a pass: connections with their local port may be their children. */

#include <errno.h>
#include <stdlib.h>

#include "base/grow.h"
#include "daemon/watch/pass-internal.h"

#define LISTENERS_MAX 65536u

static int listener_compare(const void *a, const void *b)
{
        const PassListener *x = a, *y = b;

        return (int) x->port - y->port;
}

void pass_sort_listeners(Pass *p)
{
        if (p->n_listeners > 0)
                qsort(p->listeners, p->n_listeners, sizeof(*p->listeners), listener_compare);
}

bool pass_has_listener(const Pass *p, const Reservation *r, const Socket *s, bool legitimate,
                       bool *ret_elsewhere)
{
        size_t low = 0, high = p->n_listeners;

        *ret_elsewhere = false;
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (p->listeners[middle].port < s->local_port)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < p->n_listeners && p->listeners[low].port == s->local_port; low++) {
                const PassListener *l = p->listeners + low;

                if (l->reservation != r || l->legitimate != legitimate ||
                    !socket_may_come_from(s, &l->address, l->v6only))
                        continue;
                *ret_elsewhere = l->cgroup != s->cgroup;
                if (!*ret_elsewhere)
                        return true;
        }
        return *ret_elsewhere;
}

int pass_note_listener(Pass *p, const Reservation *r, const Socket *s, bool legitimate)
{
        const PassListener *last = p->n_listeners > 0 ? p->listeners + p->n_listeners - 1 : NULL;

        /* Servers with SO_REUSEPORT have one a thread. */
        if (last && last->reservation == r && last->port == s->local_port &&
            last->legitimate == legitimate && last->v6only == s->v6only &&
            last->cgroup == s->cgroup && address_equal(&last->address, &s->local))
                return 0;
        if (p->n_listeners >= LISTENERS_MAX)
                return 0;
        if (!GROW(p->listeners, p->n_listeners_allocated, p->n_listeners + 1))
                return -ENOMEM;
        p->listeners[p->n_listeners++] = (PassListener){
                .reservation = r,
                .address = s->local,
                .port = s->local_port,
                .v6only = s->v6only,
                .legitimate = legitimate,
                .cgroup = s->cgroup,
        };
        return 0;
}
