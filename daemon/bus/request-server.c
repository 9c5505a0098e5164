/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/request-server.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/listener.h"
#include "kernel/process.h"

#define DEADLINE_USEC 5000000u

typedef struct Caller Caller;

struct RequestServer {
        sd_event *event;
        const RequestOps *ops;
        void *userdata;
        Listener *listener;
        Caller *callers; /* a list */
};

struct Caller {
        RequestServer *server;
        Caller *previous, *next;
        RequestPeer peer;
        sd_event_source *io, *deadline;
};

static Caller *caller_free(Caller *c)
{
        if (!c)
                return NULL;
        if (c->previous)
                c->previous->next = c->next;
        else
                c->server->callers = c->next;
        if (c->next)
                c->next->previous = c->previous;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->deadline);
        closep(&c->peer.pidfd);
        close(c->peer.fd);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Caller, caller_free);

static int on_request(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = userdata; /* one request, one reply, and it is over */
        char request[REQUEST_MAX];
        ssize_t n;

        /* recv(): fds that come along are discarded by the kernel. MSG_TRUNC: the real length of a
         * longer one. */
        n = recv(fd, request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                (void) TAKE_PTR(c);
                return 0;
        }
        if (n > 0)
                c->server->ops->serve(&c->peer, request, (size_t) n, c->server->userdata);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        caller_free(userdata);
        return 0;
}

static RequestLoad load_beside(const RequestServer *s, const struct ucred *peer)
{
        RequestLoad load = {};

        for (const Caller *c = s->callers; c; c = c->next) {
                load.all++;
                load.of_root += c->peer.uid == 0;
                load.of_uid += c->peer.uid == peer->uid;
                load.of_pid += c->peer.pid == peer->pid;
        }
        return load;
}

static void on_accept(int connection, const struct ucred *peer, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = NULL;
        _cleanup_(closep) int fd = connection;
        RequestServer *s = userdata;
        RequestLoad load = load_beside(s, peer);
        int r;

        if (!s->ops->admits(peer, &load, s->userdata))
                return;
        c = calloc(1, sizeof(*c));
        if (!c)
                return;
        c->server = s;
        c->peer = (RequestPeer){
                .uid = peer->uid,
                .pid = peer->pid,
                .pidfd = process_peer_pidfd(fd, peer->pid),
        };
        c->peer.fd = TAKE_FD(fd);
        c->next = s->callers;
        if (c->next)
                c->next->previous = c;
        s->callers = c;

        r = sd_event_add_time_relative(s->event, &c->deadline, CLOCK_MONOTONIC, DEADLINE_USEC, 0,
                                       on_deadline, c);
        if (r >= 0)
                r = sd_event_add_io(s->event, &c->io, c->peer.fd, EPOLLIN, on_request, c);
        if (r < 0) {
                log_warning("Cannot serve pid %d: %s", (int) peer->pid, strerror(-r));
                return;
        }
        (void) TAKE_PTR(c);
}

int request_server_new(sd_event *event, const char *runtime_dir, const char *name, mode_t mode,
                       const RequestOps *ops, void *userdata, RequestServer **ret)
{
        _cleanup_(request_server_freep) RequestServer *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->event = sd_event_ref(event);
        s->ops = ops;
        s->userdata = userdata;
        r = listener_new(event, runtime_dir, name, SOCK_SEQPACKET, mode, on_accept, s,
                         &s->listener);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

RequestServer *request_server_free(RequestServer *s)
{
        if (!s)
                return NULL;
        listener_free(s->listener);
        while (s->callers)
                caller_free(s->callers);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

int request_server_restore(RequestServer *s)
{
        return listener_restore(s->listener);
}
