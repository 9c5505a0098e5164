/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/open-door.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/listener.h"
#include "kernel/process.h"
#include "kernel/runtime.h"

#define CALLERS_MAX   32u /* of root, and of all others */
#define CALLERS_USER  16u
#define DEADLINE_USEC 5000000u

typedef struct Caller Caller;

struct OpenDoor {
        sd_event *event;
        const BusOps *ops;
        void *userdata;
        Listener *listener;
        Caller *callers; /* a list */
        LogLimit refused;
};

struct Caller {
        OpenDoor *door;
        Caller *previous, *next;
        BusCaller who;
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
                c->door->callers = c->next;
        if (c->next)
                c->next->previous = c->previous;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->deadline);
        closep(&c->who.pidfd);
        close(c->fd);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(Caller, caller_free);

/* portreserve-exec(1)'s statuses. */
static int status_of(int r)
{
        switch (r) {
        case -ENOENT:
                return 4;
        case -EPERM:
        case -EACCES:
                return 5;
        case -EADDRINUSE:
                return 6;
        default:
                return 1;
        }
}

/* The first message of a fresh connection always fits into its queue, up to what the socket holds at
 * all; if the peer has gone, nobody misses it. */
static int reply(const Caller *c, const char *text, size_t size, const int *fds, size_t n)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * OPEN_SOCKETS_MAX)];
        } control = {};
        struct iovec iov = { .iov_base = (char *) text, .iov_len = size };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n > 0) {
                m.msg_control = &control;
                m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n);
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n);
        }
        return sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void reply_error(const Caller *c, int r, const char *why)
{
        char text[OPEN_REPLY_MAX];
        int n;

        n = snprintf(text, sizeof(text), "error %d %s", status_of(r), why ?: strerror(-r));
        (void) reply(c, text, MIN_OF((size_t) MAX_OF(n, 0), sizeof(text) - 1), NULL, 0);
}

/* "ok" NUL, then the sockets' names, each ended by NUL. */
static int reply_sockets(const Caller *c, const int *fds, size_t n, char **names)
{
        char text[OPEN_REPLY_MAX] = "ok";
        size_t l = strlen(text) + 1;

        if (n > OPEN_SOCKETS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                size_t size = strlen(names[i]) + 1;

                if (size > sizeof(text) - l)
                        return -E2BIG;
                memcpy(text + l, names[i], size);
                l += size;
        }
        return reply(c, text, l, fds, n);
}

static void serve(const Caller *c, const char *name)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(freep) char *why = NULL;
        _cleanup_(freep) int *fds = NULL;
        OpenDoor *d = c->door;
        size_t n = 0;
        int r;

        r = d->ops->open(name, &c->who, &fds, &n, &names, &why, d->userdata);
        if (r < 0) {
                reply_error(c, r, why);
                return;
        }
        r = reply_sockets(c, fds, n, names);
        if (r == -E2BIG)
                reply_error(c, r, "more sockets than one message carries");
}

static int on_request(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = userdata; /* one request, one reply, and it is over */
        char name[OPEN_REQUEST_MAX];
        ssize_t n;

        n = recv(fd, name, sizeof(name), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                (void) TAKE_PTR(c);
                return 0;
        }
        if (n <= 0)
                return 0;
        if ((size_t) n > sizeof(name) || memchr(name, 0, (size_t) n) != name + n - 1) {
                log_limited(&c->door->refused, LOG_NOTICE,
                            "Malformed request of pid %d, uid %u at %s", (int) c->who.pid,
                            (unsigned) c->who.uid, RUNTIME_OPEN);
                reply_error(c, -EBADMSG, "malformed request");
        } else if (c->who.pid == 0)
                reply_error(c, -EPERM, "the caller is in another pid namespace");
        else if (c->who.pidfd < 0) /* its life is what the opening lasts for */
                reply_error(c, c->who.pidfd, NULL);
        else
                serve(c, name);
        return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        caller_free(userdata);
        return 0;
}

static bool has_room(const OpenDoor *d, uid_t uid)
{
        unsigned alike = 0, same = 0;

        for (const Caller *c = d->callers; c; c = c->next) {
                alike += (c->who.uid == 0) == (uid == 0);
                same += c->who.uid == uid;
        }
        return alike < CALLERS_MAX && (uid == 0 || same < CALLERS_USER);
}

static void on_accept(int connection, const struct ucred *peer, void *userdata)
{
        _cleanup_(caller_freep) Caller *c = NULL;
        _cleanup_(closep) int fd = connection;
        OpenDoor *d = userdata;
        bool admitted;
        int r;

        admitted = d->ops->admits(peer->uid, d->userdata);
        if (!admitted || !has_room(d, peer->uid)) {
                log_limited(&d->refused, LOG_NOTICE, "Hung up on pid %d, uid %u at %s: %s",
                            (int) peer->pid, (unsigned) peer->uid, RUNTIME_OPEN,
                            admitted ? "too many connections" : "neither root nor named by User=");
                return;
        }
        r = process_peer_pidfd(fd, peer->pid);
        if (r == -ESRCH)
                return;
        c = calloc(1, sizeof(*c));
        if (!c) {
                closep(&r);
                return;
        }
        c->door = d;
        c->who = (BusCaller){ .uid = peer->uid, .pid = peer->pid, .pidfd = r };
        c->fd = TAKE_FD(fd);
        c->next = d->callers;
        if (c->next)
                c->next->previous = c;
        d->callers = c;

        r = sd_event_add_time_relative(d->event, &c->deadline, CLOCK_MONOTONIC, DEADLINE_USEC, 0,
                                       on_deadline, c);
        if (r >= 0)
                r = sd_event_add_io(d->event, &c->io, c->fd, EPOLLIN, on_request, c);
        if (r < 0) {
                log_warning("Cannot serve pid %d: %s", (int) peer->pid, strerror(-r));
                return;
        }
        (void) TAKE_PTR(c);
}

int open_door_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata,
                  OpenDoor **ret)
{
        _cleanup_(open_door_freep) OpenDoor *d = NULL;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->event = sd_event_ref(event);
        d->ops = ops;
        d->userdata = userdata;
        r = listener_new(event, runtime_dir, RUNTIME_OPEN, SOCK_SEQPACKET, 0666, on_accept, d,
                         &d->listener);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

OpenDoor *open_door_free(OpenDoor *d)
{
        if (!d)
                return NULL;
        listener_free(d->listener);
        while (d->callers)
                caller_free(d->callers);
        sd_event_unref(d->event);
        free(d);
        return NULL;
}

int open_door_restore(OpenDoor *d)
{
        return listener_restore(d->listener);
}
