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
#include "kernel/process.h"
#include "kernel/runtime.h"

#define CALLERS_MAX 64u
/* Of one process: the helper makes one connection, and nobody shall keep the others out alone. */
#define CALLERS_PROCESS_MAX 16u
#define DEADLINE_USEC       5000000u

typedef struct Caller Caller;

struct HandoverServer {
        sd_event *event;
        const HandoverOps *ops;
        void *userdata;
        Listener *listener;
        Caller *callers; /* a list */
        unsigned n_callers;
        LogLimit refused;
};

struct Caller {
        HandoverServer *server;
        Caller *previous, *next;
        struct ucred credentials;
        int fd;
        int pidfd; /* -1: cannot be had here */
        char *cgroup;
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
        closep(&c->pidfd);
        close(c->fd);
        free(c->cgroup);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Caller, caller_free);

/* What is said of a failure, and portreservectl(1)'s status for it. */
static const char *explain(int r, int *ret_status)
{
        switch (r) {
        case -ENOENT:
                *ret_status = 4;
                return "no such reservation";
        case -EPERM:
        case -EACCES:
                *ret_status = 5;
                return "not the owner";
        case -EADDRINUSE:
                *ret_status = 6;
                return "somebody else has the port";
        default:
                *ret_status = 1;
                return strerror(-r);
        }
}

/* One line about who asked and why it came to nothing. */
static void tell(const Caller *c, const char *what, const char *why)
{
        log_limited(&c->server->refused, LOG_WARNING,
                    "Hand-over%s%s, asked by pid %d, uid %u, cgroup %s: %.512s", *what ? " " : "",
                    what, (int) c->credentials.pid, (unsigned) c->credentials.uid,
                    c->cgroup ?: "unknown", why);
}

/* Serves each name, whatever becomes of the others. The reply is "ok", or "error NAME: why; NAME:
 * why", cut where it is full. */
static void serve(Caller *c, const HandoverNames *names, char *reply, size_t size)
{
        const char *verb = names->release ? HANDOVER_RELEASE
                           : names->start ? HANDOVER_START
                                          : HANDOVER_STOP;
        HandoverServer *h = c->server;
        char why[HANDOVER_MESSAGE_MAX - 32]; /* room for what stands before it */
        int first = 0;
        size_t l = 0;

        for (size_t i = 0; i < names->n; i++) {
                HandoverRequest q = {
                        .start = names->start,
                        .release = names->release,
                        .name = names->names[i],
                        .uid = c->credentials.uid,
                        .pid = c->credentials.pid,
                        .cgroup = c->cgroup,
                };
                int status = 0, r, n;

                r = h->ops->request(&q, h->userdata);
                if (r >= 0)
                        continue;
                n = snprintf(why + l, sizeof(why) - l, "%s%s: %s", l == 0 ? "" : "; ", q.name,
                             explain(r, &status));
                l = MIN_OF(l + (size_t) MAX_OF(n, 0), sizeof(why) - 1);
                if (first == 0)
                        first = status;
        }
        if (first == 0) {
                (void) snprintf(reply, size, "ok");
                return;
        }
        tell(c, verb, why);
        if (names->release)
                (void) snprintf(reply, size, "error %d %s", first, why);
        else
                (void) snprintf(reply, size, "error %s", why);
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

        if (c->credentials.pid > 0)
                (void) cgroup_of_pid(c->credentials.pid, &c->cgroup);
        /* Looked at after the cgroup: that was its own then, and not of a process that has got its
         * pid since. One that has ended has no owner to start, and waits for no answer. */
        if (c->pidfd >= 0 && process_has_ended(c->pidfd)) {
                tell(c, "", "the process has ended; the request is dropped");
                return 0;
        }

        if ((size_t) n > sizeof(request) ||
            handover_request_parse(request, (size_t) n, &names) < 0) {
                tell(c, "", "malformed request");
                (void) snprintf(reply, sizeof(reply), "error malformed request");
        } else
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

static bool has_room(const HandoverServer *h, pid_t pid)
{
        unsigned same = 0;

        for (const Caller *c = h->callers; c; c = c->next)
                same += c->credentials.pid == pid;
        return h->n_callers < CALLERS_MAX && same < CALLERS_PROCESS_MAX;
}

static void on_accept(int fd, const struct ucred *credentials, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = NULL;
        HandoverServer *h = userdata;
        int r;

        if (!has_room(h, credentials->pid)) {
                log_limited(&h->refused, LOG_WARNING,
                            "Too many hand-overs at once: pid %d, uid %u is sent away",
                            (int) credentials->pid, (unsigned) credentials->uid);
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
        c->pidfd = -1;
        c->next = h->callers;
        if (c->next)
                c->next->previous = c;
        h->callers = c;
        h->n_callers++;

        r = process_peer_pidfd(fd, credentials->pid);
        if (r == -ESRCH) {
                tell(c, "", "the process has ended; the request is dropped");
                return;
        }
        if (r >= 0)
                c->pidfd = r;

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
