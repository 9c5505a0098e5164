/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/open-door.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/request-server.h"
#include "kernel/runtime.h"

#define CALLERS_MAX  32u /* of root, and of all others */
#define CALLERS_USER 16u

_Static_assert(OPEN_REQUEST_MAX <= REQUEST_MAX, "a whole request is seen");

struct OpenDoor {
        RequestServer *server;
        const BusOps *ops;
        void *userdata;
        LogLimit refused;
};

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
static int reply(int connection, const char *text, size_t size, const int *fds, size_t n)
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
        return sendmsg(connection, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void reply_error(int connection, int r, const char *why)
{
        char text[OPEN_REPLY_MAX];
        int n;

        n = snprintf(text, sizeof(text), "error %d %s", status_of(r), why ?: strerror(-r));
        (void) reply(connection, text, MIN_OF((size_t) MAX_OF(n, 0), sizeof(text) - 1), NULL, 0);
}

/* "ok" NUL, then the sockets' names, each ended by NUL. */
static int reply_sockets(int connection, const int *fds, size_t n, char **names)
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
        return reply(connection, text, l, fds, n);
}

static void open_to(OpenDoor *d, const RequestPeer *peer, const char *name)
{
        const BusCaller who = { .uid = peer->uid, .pid = peer->pid, .pidfd = peer->pidfd };
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(freep) char *why = NULL;
        _cleanup_(freep) int *fds = NULL;
        size_t n = 0;
        int r;

        r = d->ops->open(name, &who, &fds, &n, &names, &why, d->userdata);
        if (r < 0) {
                reply_error(peer->fd, r, why);
                return;
        }
        r = reply_sockets(peer->fd, fds, n, names);
        if (r == -E2BIG)
                reply_error(peer->fd, r, "more sockets than one message carries");
}

static void serve(const RequestPeer *peer, const char *request, size_t size, void *userdata)
{
        OpenDoor *d = userdata;

        if (size > OPEN_REQUEST_MAX || memchr(request, 0, size) != request + size - 1) {
                log_limited(&d->refused, LOG_NOTICE, "Malformed request of pid %d, uid %u at %s",
                            (int) peer->pid, (unsigned) peer->uid, RUNTIME_OPEN);
                reply_error(peer->fd, -EBADMSG, "malformed request");
        } else if (peer->pid == 0)
                reply_error(peer->fd, -EPERM, "the caller is in another pid namespace");
        else if (peer->pidfd < 0) /* its life is what the opening lasts for */
                reply_error(peer->fd, peer->pidfd, NULL);
        else
                open_to(d, peer, request);
}

static bool admits(const struct ucred *peer, const RequestLoad *load, void *userdata)
{
        OpenDoor *d = userdata;
        bool admitted;

        admitted = d->ops->admits(peer->uid, d->userdata);
        if (admitted && (peer->uid == 0 ? load->of_root < CALLERS_MAX
                                        : load->all - load->of_root < CALLERS_MAX &&
                                                  load->of_uid < CALLERS_USER))
                return true;
        log_limited(&d->refused, LOG_NOTICE, "Hung up on pid %d, uid %u at %s: %s", (int) peer->pid,
                    (unsigned) peer->uid, RUNTIME_OPEN,
                    admitted ? "too many connections" : "neither root nor named by User=");
        return false;
}

static const RequestOps request_ops = { .admits = admits, .serve = serve };

int open_door_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata,
                  OpenDoor **ret)
{
        _cleanup_(open_door_freep) OpenDoor *d = NULL;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->ops = ops;
        d->userdata = userdata;
        r = request_server_new(event, runtime_dir, RUNTIME_OPEN, 0666, &request_ops, d, &d->server);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

OpenDoor *open_door_free(OpenDoor *d)
{
        if (!d)
                return NULL;
        request_server_free(d->server);
        free(d);
        return NULL;
}

int open_door_restore(OpenDoor *d)
{
        return request_server_restore(d->server);
}
