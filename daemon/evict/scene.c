/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/evict/scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/table.h"
#include "model/observation.h"

typedef struct Taking {
        Scene *scene;
        const PortSet *ports;
        Table indices; /* by cookie: index + 1 */
} Taking;

static int on_socket(const Socket *s, void *userdata)
{
        Taking *t = userdata;
        Scene *scene = t->scene;

        /* The filter may pass more than the set; one that cannot be named for sure is not touched; a
         * dump that was interrupted is repeated. */
        if (!portset_has(t->ports, s->local_port) || s->cookie == 0 ||
            table_get(&t->indices, s->cookie))
                return 0;
        if (scene->n >= SCENE_MAX)
                return 0;
        if (!GROW(scene->sockets, scene->n_allocated, scene->n + 1))
                return -ENOMEM;
        scene->sockets[scene->n] = *s;
        scene->sockets[scene->n++].automatic = TRI_NO;
        return table_set(&t->indices, s->cookie, (void *) (uintptr_t) scene->n) ? 0 : -ENOMEM;
}

static int on_automatic(const Socket *s, void *userdata)
{
        Taking *t = userdata;
        uintptr_t index = (uintptr_t) table_get(&t->indices, s->cookie);

        if (index > 0)
                t->scene->sockets[index - 1].automatic = TRI_YES;
        return 0;
}

/* A row that this dump misses counts as bound explicitly, of which less is destroyed. */
static int dump(SockDiag *d, int protocol, bool automatic, Taking *t)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        int r;

        r = diag_filter_new(t->ports, automatic, &filter);
        if (r < 0)
                return r;
        return sock_diag_dump(d, protocol, SOCK_DIAG_ALL, filter,
                              automatic ? on_automatic : on_socket, t);
}

static int compare(const void *a, const void *b)
{
        const Socket *x = a, *y = b;

        if (x->local_port != y->local_port)
                return (int) x->local_port - y->local_port;
        return (int) (y->state == SOCKET_LISTEN) - (int) (x->state == SOCKET_LISTEN);
}

int scene_take(SockDiag *d, int protocol, const PortSet *ports, Scene *ret)
{
        _cleanup_(scene_done) Scene scene = {};
        Taking t = { .scene = &scene, .ports = ports };
        int r;

        r = dump(d, protocol, false, &t);
        if (r >= 0 && scene.n > 0)
                r = dump(d, protocol, true, &t);
        table_deinit(&t.indices);
        if (r < 0)
                return r;
        if (scene.n > 1)
                qsort(scene.sockets, scene.n, sizeof(Socket), compare);
        *ret = scene;
        scene = (Scene){};
        return 0;
}

void scene_done(Scene *s)
{
        free(s->sockets);
        *s = (Scene){};
}

static const Socket *first_of(const Scene *s, uint16_t port)
{
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->sockets[middle].local_port < port)
                        low = middle + 1;
                else
                        high = middle;
        }
        return s->sockets + low;
}

const Socket *scene_listener(const Scene *s, const Socket *connection, const Socket *previous)
{
        const Socket *l = previous ? previous + 1 : first_of(s, connection->local_port);

        if (connection->remote_port == 0)
                return NULL;
        for (; l < s->sockets + s->n && l->local_port == connection->local_port &&
               l->state == SOCKET_LISTEN;
             l++)
                if (socket_may_come_from(connection, &l->local, l->v6only))
                        return l;
        return NULL;
}
