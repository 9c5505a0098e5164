/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/look.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/grow.h"
#include "kernel/sock-diag.h"
#include "model/observation.h"

static Socket *find_cookie(const Look *l, uint64_t cookie)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->sockets[i].cookie == cookie)
                        return &l->sockets[i];
        return NULL;
}

static int on_socket(const Socket *s, void *userdata)
{
        Look *l = userdata;

        if (l->n >= LOOK_MAX) {
                l->dropped++;
                return 0;
        }
        /* A dump that was interrupted is repeated. */
        if (s->cookie != 0 && find_cookie(l, s->cookie))
                return 0;
        if (!GROW(l->sockets, l->n_allocated, l->n + 1))
                return -ENOMEM;
        l->sockets[l->n] = *s;
        l->sockets[l->n++].automatic = TRI_NO;
        return 0;
}

static int on_automatic(const Socket *s, void *userdata)
{
        Socket *seen = s->cookie != 0 ? find_cookie(userdata, s->cookie) : NULL;

        if (seen)
                seen->automatic = TRI_YES;
        return 0;
}

static int dump(SockDiag *diag, int protocol, const PortSet *ports, bool automatic, Look *l)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        int r;

        r = diag_filter_new(ports, automatic, &filter);
        if (r < 0)
                return r;
        return sock_diag_dump(diag, protocol, SOCK_DIAG_ALL | SOCK_DIAG_ULP, filter,
                              automatic ? on_automatic : on_socket, l);
}

int look_take(int protocol, uint16_t port, Look *ret)
{
        _cleanup_(sock_diag_freep) SockDiag *diag = NULL;
        _cleanup_(look_done) Look l = {};
        PortSet ports;
        int r;

        portset_clear(&ports);
        portset_add(&ports, port);
        r = sock_diag_new(&diag);
        if (r < 0)
                return r;
        r = dump(diag, protocol, &ports, false, &l);
        if (r >= 0)
                r = dump(diag, protocol, &ports, true, &l);
        if (r < 0)
                return r;

        /* An accepted connection looks automatic as well; it has its port from its listener. */
        for (size_t i = 0; i < l.n; i++) {
                Socket *connection = &l.sockets[i];
                const Socket *listener = look_listener(&l, connection);

                if (listener)
                        connection->automatic = TRI_NO;
                /* The kernel does not tell this of connections. One has it from its listener, or from
                 * bind() to an IPv6 address. */
                if (connection->remote_port != 0 && connection->local.family == AF_INET6)
                        connection->v6only =
                                listener ? listener->v6only : connection->automatic != TRI_YES;
        }
        l.sees_bound = protocol != IPPROTO_TCP || sock_diag_has_bound_inactive(diag) > 0;
        *ret = l;
        l = (Look){};
        return 0;
}

void look_done(Look *l)
{
        free(l->sockets);
        *l = (Look){};
}

const Socket *look_listener(const Look *l, const Socket *connection)
{
        if (connection->remote_port == 0)
                return NULL;
        for (size_t i = 0; i < l->n; i++) {
                const Socket *s = &l->sockets[i];

                if (s->state == SOCKET_LISTEN &&
                    socket_may_come_from(connection, &s->local, s->v6only))
                        return s;
        }
        return NULL;
}
