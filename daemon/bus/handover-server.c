/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/handover-server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/alert/log.h"
#include "daemon/bus/handover-request.h"
#include "daemon/bus/request-server.h"
#include "kernel/cgroup.h"
#include "kernel/process.h"
#include "kernel/runtime.h"

#define CALLERS_MAX 64u
/* Of one process: the helper makes one connection, and nobody shall keep the others out alone. */
#define CALLERS_PROCESS_MAX 16u

_Static_assert(HANDOVER_MESSAGE_MAX <= REQUEST_MAX, "a whole request is seen");

struct HandoverServer {
        RequestServer *server;
        const HandoverOps *ops;
        void *userdata;
        LogLimit refused;
};

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
static void tell(HandoverServer *h, const RequestPeer *peer, const char *cgroup, const char *what,
                 const char *why)
{
        log_limited(&h->refused, LOG_WARNING,
                    "Hand-over%s%s, asked by pid %d, uid %u, cgroup %s: %.512s", *what ? " " : "",
                    what, (int) peer->pid, (unsigned) peer->uid, cgroup ?: "unknown", why);
}

/* Serves each name, whatever becomes of the others. The reply is "ok", or "error NAME: why; NAME:
 * why", cut where it is full. */
static void serve_names(HandoverServer *h, const RequestPeer *peer, const char *cgroup,
                        const HandoverNames *names, char *reply, size_t size)
{
        const char *verb = names->release ? HANDOVER_RELEASE
                           : names->start ? HANDOVER_START
                                          : HANDOVER_STOP;
        char why[HANDOVER_MESSAGE_MAX - 32]; /* room for what stands before it */
        int first = 0;
        size_t l = 0;

        for (size_t i = 0; i < names->n; i++) {
                HandoverRequest q = {
                        .start = names->start,
                        .release = names->release,
                        .name = names->names[i],
                        .uid = peer->uid,
                        .pid = peer->pid,
                        .cgroup = cgroup,
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
        tell(h, peer, cgroup, verb, why);
        if (names->release)
                (void) snprintf(reply, size, "error %d %s", first, why);
        else
                (void) snprintf(reply, size, "error %s", why);
}

static void serve(const RequestPeer *peer, const char *request, size_t size, void *userdata)
{
        _cleanup_(freep) char *cgroup = NULL;
        char reply[HANDOVER_MESSAGE_MAX];
        HandoverServer *h = userdata;
        HandoverNames names;

        if (peer->pid > 0 && peer->pidfd != -ESRCH)
                (void) cgroup_of_pid(peer->pid, &cgroup);
        /* Looked at after the cgroup: that was its own then, and not of a process that has got its
         * pid since. One that has ended has no owner to start, and waits for no answer. */
        if (peer->pidfd == -ESRCH || (peer->pidfd >= 0 && process_has_ended(peer->pidfd))) {
                tell(h, peer, cgroup, "", "the process has ended; the request is dropped");
                return;
        }

        if (size > HANDOVER_MESSAGE_MAX || handover_request_parse(request, size, &names) < 0) {
                tell(h, peer, cgroup, "", "malformed request");
                (void) snprintf(reply, sizeof(reply), "error malformed request");
        } else
                serve_names(h, peer, cgroup, &names, reply, sizeof(reply));
        /* The first message of a fresh socket always fits; if the peer has gone, nobody misses
         * it. */
        (void) send(peer->fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool admits(const struct ucred *peer, const RequestLoad *load, void *userdata)
{
        HandoverServer *h = userdata;

        if (load->all < CALLERS_MAX && load->of_pid < CALLERS_PROCESS_MAX)
                return true;
        log_limited(&h->refused, LOG_WARNING,
                    "Too many hand-overs at once: pid %d, uid %u is sent away", (int) peer->pid,
                    (unsigned) peer->uid);
        return false;
}

static const RequestOps request_ops = { .admits = admits, .serve = serve };

int handover_server_new(sd_event *event, const char *runtime_dir, const HandoverOps *ops,
                        void *userdata, HandoverServer **ret)
{
        _cleanup_(handover_server_freep) HandoverServer *h = NULL;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->ops = ops;
        h->userdata = userdata;
        r = request_server_new(event, runtime_dir, RUNTIME_HANDOVER, 0600, &request_ops, h,
                               &h->server);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

HandoverServer *handover_server_free(HandoverServer *h)
{
        if (!h)
                return NULL;
        request_server_free(h->server);
        free(h);
        return NULL;
}

int handover_server_restore(HandoverServer *h)
{
        return request_server_restore(h->server);
}
