/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/handover-server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/handover-request.h"
#include "daemon/bus/listener.h"
#include "kernel/cgroup.h"
#include "kernel/runtime.h"

#define CALLERS_MAX   64u
#define DEADLINE_USEC 5000000u

typedef struct Caller Caller;

struct HandoverServer {
        sd_event *event;
        const HandoverOps *ops;
        void *userdata;
        Listener *listener;
        Caller *callers; /* a list */
        unsigned n_callers;
};

struct Caller {
        HandoverServer *server;
        Caller *previous, *next;
        struct ucred credentials;
        int fd;
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
        c->server->n_callers--;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->deadline);
        close(c->fd);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Caller, caller_free);

/* The words for the reply and the log. */
static const char *explain(int r)
{
        switch (r) {
        case -ENOENT:
                return "no such reservation";
        case -EPERM:
        case -EACCES:
                return "not the owner";
        case -EADDRINUSE:
                return "somebody else has the port";
        default:
                return strerror(-r);
        }
}

/* Serves each name, whatever becomes of the others. The reply is "ok", or "error NAME: why; NAME:
 * why", cut where it is full. */
static void serve(Caller *c, const HandoverNames *names, char *reply, size_t size)
{
        HandoverServer *h = c->server;
        _cleanup_(freep) char *cgroup = NULL;
        size_t l = 0;

        if (c->credentials.pid > 0 && cgroup_of_pid(c->credentials.pid, &cgroup) < 0)
                cgroup = NULL;
        (void) snprintf(reply, size, "ok");
        for (size_t i = 0; i < names->n; i++) {
                HandoverRequest q = {
                        .start = names->start,
                        .name = names->names[i],
                        .uid = c->credentials.uid,
                        .pid = c->credentials.pid,
                        .cgroup = cgroup,
                };
                int r, n;

                r = h->ops->request(&q, h->userdata);
                if (r >= 0)
                        continue;
                log_warning("Hand-over %s of %s, asked by pid %d, uid %u: %s",
                            q.start ? "start" : "stop", q.name, (int) q.pid, (unsigned) q.uid,
                            explain(r));
                n = snprintf(reply + l, size - l, "%s%s: %s", l == 0 ? "error " : "; ", q.name,
                             explain(r));
                l = MIN_OF(l + (size_t) MAX_OF(n, 0), size - 1);
        }
}

static int on_request(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = userdata; /* one request, one reply, and it is over */
        char request[HANDOVER_MESSAGE_MAX], reply[HANDOVER_MESSAGE_MAX];
        HandoverNames names;
        ssize_t n;

        /* recv(): fds that come along are discarded by the kernel. MSG_TRUNC: the real length of a
         * longer one. */
        n = recv(fd, request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                (void) TAKE_PTR(c);
                return 0;
        }
        if (n <= 0)
                return 0;

        if ((size_t) n > sizeof(request) || handover_request_parse(request, (size_t) n, &names) < 0)
                (void) snprintf(reply, sizeof(reply), "error malformed request");
        else
                serve(c, &names, reply, sizeof(reply));
        /* The first message of a fresh socket always fits; if the peer has gone, nobody misses
         * it. */
        (void) send(fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
        return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        caller_free(userdata);
        return 0;
}

static void on_accept(int fd, const struct ucred *credentials, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = NULL;
        HandoverServer *h = userdata;
        int r;

        if (h->n_callers >= CALLERS_MAX) {
                log_warning("More than %u hand-overs at once: pid %d, uid %u is sent away",
                            CALLERS_MAX, (int) credentials->pid, (unsigned) credentials->uid);
                close(fd);
                return;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                close(fd);
                return;
        }
        c->server = h;
        c->credentials = *credentials;
        c->fd = fd;
        c->next = h->callers;
        if (c->next)
                c->next->previous = c;
        h->callers = c;
        h->n_callers++;

        r = sd_event_add_time_relative(h->event, &c->deadline, CLOCK_MONOTONIC, DEADLINE_USEC, 0,
                                       on_deadline, c);
        if (r >= 0)
                r = sd_event_add_io(h->event, &c->io, fd, EPOLLIN, on_request, c);
        if (r < 0) {
                log_warning("Cannot serve a hand-over of pid %d: %s", (int) credentials->pid,
                            strerror(-r));
                return;
        }
        (void) TAKE_PTR(c);
}

int handover_server_new(sd_event *event, const char *runtime_dir, const HandoverOps *ops,
                        void *userdata, HandoverServer **ret)
{
        _cleanup_(handover_server_freep) HandoverServer *h = NULL;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->event = sd_event_ref(event);
        h->ops = ops;
        h->userdata = userdata;
        r = listener_new(event, runtime_dir, RUNTIME_HANDOVER, SOCK_SEQPACKET, 0600, on_accept, h,
                         &h->listener);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

HandoverServer *handover_server_free(HandoverServer *h)
{
        if (!h)
                return NULL;
        listener_free(h->listener);
        while (h->callers)
                caller_free(h->callers);
        sd_event_unref(h->event);
        free(h);
        return NULL;
}

int handover_server_restore(HandoverServer *h)
{
        return listener_restore(h->listener);
}
