/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's end of hand-over: RUNTIME/handover, 0600 (kernel/runtime.h, request-server.h). At most
 * 64 connections, 16 of one process; uid 0 or the reservation's User= by peer credentials; a peer in
 * the cgroup of another unit is refused where that can be read, and the request of one that has
 * ended is dropped; default deny. What is refused is logged with who asked. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct HandoverServer HandoverServer;

typedef struct HandoverRequest {
        bool start;   /* else stop */
        bool release; /* a start, asked for by portrelease */
        const char *name;
        uid_t uid;
        pid_t pid;          /* 0: of a pid namespace that we do not see */
        const char *cgroup; /* of the peer, NULL: could not be read */
} HandoverRequest;

typedef struct HandoverOps {
        /* One name of a request. 0, or -ENOENT, -EPERM, -EADDRINUSE …: goes into the reply's text
         * and the log; the other names are served all the same. */
        int (*request)(const HandoverRequest *r, void *userdata);
} HandoverOps;

int handover_server_new(sd_event *event, const char *runtime_dir, const HandoverOps *ops,
                        void *userdata, HandoverServer **ret);
HandoverServer *handover_server_free(HandoverServer *h);
DEFINE_CLEANUP(HandoverServer, handover_server_free);
int handover_server_restore(HandoverServer *h);
