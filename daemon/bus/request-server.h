/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A socket in the runtime directory where programs ask without D-Bus: SOCK_SEQPACKET, one request
 * and one reply a connection, 5 s each. Nothing here blocks for a peer. */

#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

/* The longest request of any protocol here (kernel/runtime.h). */
#define REQUEST_MAX 4096u

typedef struct RequestServer RequestServer;

/* Who asks, by what the kernel says of the connection. */
typedef struct RequestPeer {
        int fd;
        uid_t uid;
        pid_t pid; /* 0: of a pid namespace that we do not see */
        int pidfd; /* -ESRCH: it has ended, other -errno: cannot be had here */
} RequestPeer;

/* Those that have not been served yet. */
typedef struct RequestLoad {
        unsigned all, of_root, of_uid, of_pid;
} RequestLoad;

typedef struct RequestOps {
        /* Is this one served, with so many there already? If not the connection is closed. */
        bool (*admits)(const struct ucred *peer, const RequestLoad *load, void *userdata);
        /* size is the request's real length; of one beyond REQUEST_MAX there is no more than that.
         * The connection is closed after it. */
        void (*serve)(const RequestPeer *peer, const char *request, size_t size, void *userdata);
} RequestOps;

int request_server_new(sd_event *event, const char *runtime_dir, const char *name, mode_t mode,
                       const RequestOps *ops, void *userdata, RequestServer **ret);
RequestServer *request_server_free(RequestServer *s);
DEFINE_CLEANUP(RequestServer, request_server_free);
int request_server_restore(RequestServer *s); /* as listener_restore() */
