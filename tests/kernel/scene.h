/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Somebody's socket on a port, in every state that a socket can be left in. To be included after
 * cmocka.h; thief.h says where it sits. */

#include <linux/filter.h>

#include "kernel/sock-diag.h"
#include "thief.h"

/* The only port that the kernel may choose is the scene's. */
#define SCENE_PORT 20000u
#define PEER_PORT  5000u

typedef enum Origin {
        SERVER,   /* no connection */
        CHOSEN,   /* an outgoing connection that the kernel gave the port */
        BOUND,    /* one that was bound to it first */
        ACCEPTED, /* a server's, which does not listen any more */
        SIXTH,    /* the same over IPv6, where the server was for both */
        SERVED,   /* a server's, which listens still */
        _ORIGINS,
} Origin;

typedef struct Case {
        const char *name;
        int protocol;
        unsigned origins; /* bits */
        SocketState state;
        bool orphan; /* no process has it any more */
} Case;

typedef struct Scene {
        int thief, peer;
        int listener; /* of the thief's side or, if it is a client, of its peer's */
        bool v6only;  /* the thief's, which the kernel does not tell of connections */
} Scene;

static inline void scene_drop_all(int fd)
{
        struct sock_filter nothing[] = { { .code = BPF_RET | BPF_K } };
        struct sock_fprog program = { .len = 1, .filter = nothing };

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
                         0);
}

/* Where a client at that place, or one of a server there, finds the other end. */
static inline Place scene_reach(const Place *p, Origin origin)
{
        bool v4 = p->v4 && origin != SIXTH, any = strcmp(v4 ? p->v4 : p->v6, "*") == 0;
        Place reached = *p;

        if (any && v4)
                reached = (Place){ "client", AF_INET, "127.0.0.1", 0, "", "" };
        else if (any)
                reached = (Place){ "client", AF_INET6, "::1", 0, "", "" };
        return reached;
}

static inline int scene_connect(int fd, const Place *p, uint16_t port)
{
        struct sockaddr_storage ss;
        socklen_t size = place_address(p, port, &ss);

        return connect(fd, (struct sockaddr *) &ss, size) < 0 ? -errno : 0;
}

static inline int scene_listen(const Place *p, uint16_t port, int flags)
{
        int fd = open_at(IPPROTO_TCP, p, port, flags);

        assert_true(fd >= 0);
        assert_int_equal(listen(fd, 8), 0);
        return fd;
}

/* A socket at that place which is not bound: the kernel chooses, or we do. */
static inline int scene_client(int protocol, const Place *p, Origin origin, int flags)
{
        int type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, fd;

        if (origin == BOUND)
                return open_at(protocol, p, SCENE_PORT, flags);
        fd = socket(p->family, type | SOCK_CLOEXEC, protocol);
        assert_true(fd >= 0);
        if (flags & REUSEADDR)
                set_flag(fd, SO_REUSEADDR, 1);
        return fd;
}

static inline void scene_go_out(Scene *s, const Case *c, const Place *p, Origin origin, int flags)
{
        const Place anywhere = { "peer", AF_INET6, "::", 0, "*", "*" };

        s->listener = scene_listen(&anywhere, PEER_PORT, REUSEADDR);
        if (c->state == SOCKET_SYN_SENT)
                scene_drop_all(s->listener);
        s->thief = scene_client(IPPROTO_TCP, p, origin, flags);
        assert_true(s->thief >= 0);
        if (c->state == SOCKET_SYN_SENT) {
                assert_int_equal(fcntl(s->thief, F_SETFL, O_NONBLOCK), 0);
                assert_int_equal(scene_connect(s->thief, p, PEER_PORT), -EINPROGRESS);
                return;
        }
        assert_int_equal(scene_connect(s->thief, p, PEER_PORT), 0);
        s->peer = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(s->peer >= 0);
}

static inline void scene_let_in(Scene *s, const Place *p, Origin origin, int flags)
{
        static uint16_t clients;
        Place at = scene_reach(p, origin);

        s->listener = scene_listen(p, SCENE_PORT, flags);
        s->peer = open_at(IPPROTO_TCP, &at, (uint16_t) (SCENE_PORT + 1 + clients++ % 20000),
                          REUSEADDR);
        assert_true(s->peer >= 0);
        assert_int_equal(scene_connect(s->peer, &at, SCENE_PORT), 0);
        s->thief = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(s->thief >= 0);
        if (origin != SERVED) {
                close(s->listener);
                s->listener = -1;
        }
}

static inline void scene_hear_goodbye(int fd)
{
        assert_true(readable(fd, 10000));
}

static inline bool scene_is_v6only(int fd)
{
        socklen_t size = sizeof(int);
        int v = 0;

        return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v, &size) >= 0 && v;
}

/* From ESTABLISHED on. What has to stay as it is must not be answered: the peer is deaf then. */
static inline void scene_part(Scene *s, const Case *c)
{
        bool deaf = c->state == SOCKET_FIN_WAIT1 || c->state == SOCKET_CLOSING;

        if (deaf)
                scene_drop_all(s->peer);
        if (c->state == SOCKET_CLOSE_WAIT || c->state == SOCKET_LAST_ACK) {
                (void) shutdown(s->peer, SHUT_WR);
                scene_hear_goodbye(s->thief);
        }
        if (c->state == SOCKET_LAST_ACK)
                scene_drop_all(s->peer);
        if (c->state != SOCKET_ESTABLISHED && c->state != SOCKET_CLOSE_WAIT &&
            c->state != SOCKET_SYN_SENT)
                (void) shutdown(s->thief, SHUT_WR);
        if (c->state == SOCKET_TIME_WAIT)
                scene_hear_goodbye(s->peer);
        if (c->state == SOCKET_CLOSING || c->state == SOCKET_TIME_WAIT)
                (void) shutdown(s->peer, SHUT_WR);
        if (c->state == SOCKET_CLOSING || c->state == SOCKET_TIME_WAIT)
                scene_hear_goodbye(s->thief);
        s->v6only = scene_is_v6only(s->thief);
        if (c->orphan) {
                close(s->thief);
                s->thief = -1;
        }
}

static inline Scene scene_make(const Case *c, const Place *p, Origin origin, int flags)
{
        Scene s = { -1, -1, -1, false };

        if (c->protocol == IPPROTO_UDP) {
                s.thief = origin == SERVER ? open_at(IPPROTO_UDP, p, SCENE_PORT, flags)
                                           : scene_client(IPPROTO_UDP, p, origin, flags);
                assert_true(s.thief >= 0);
                if (c->state == SOCKET_ESTABLISHED)
                        assert_int_equal(scene_connect(s.thief, p, PEER_PORT), 0);
                s.v6only = scene_is_v6only(s.thief);
        } else if (c->state == SOCKET_LISTEN)
                s.thief = scene_listen(p, SCENE_PORT, flags);
        else if (origin == SERVER) {
                s.thief = open_at(IPPROTO_TCP, p, SCENE_PORT, flags);
                assert_true(s.thief >= 0);
                s.v6only = scene_is_v6only(s.thief);
        } else {
                if (origin >= ACCEPTED)
                        scene_let_in(&s, p, origin, flags);
                else
                        scene_go_out(&s, c, p, origin, flags);
                scene_part(&s, c);
        }
        return s;
}

/* Leaves nothing behind: resets the peer, and what is left has to be destroyed by whoever sees
 * it. */
static inline void scene_end(Scene *s)
{
        const struct linger at_once = { .l_onoff = 1 };

        if (s->peer >= 0)
                (void) setsockopt(s->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (s->thief >= 0)
                (void) setsockopt(s->thief, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        closep(&s->thief);
        closep(&s->peer);
        closep(&s->listener);
        *s = (Scene){ -1, -1, -1, false };
}
