/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A listening AF_UNIX socket in the runtime directory: made so that a path is never without it,
 * accepted from without spinning, with each peer's credentials. */

#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"

typedef struct Listener Listener;

/* A connection, non-blocking; fd is the callee's now. peer: SO_PEERCRED, as it was at connect(). */
typedef void (*ListenerAccept)(int fd, const struct ucred *peer, void *userdata);

/* Makes DIRECTORY/name with that mode, in the place of whatever has that name. type: SOCK_STREAM or
 * SOCK_SEQPACKET. */
int listener_new(sd_event *event, const char *directory, const char *name, int type, mode_t mode,
                 ListenerAccept accept, void *userdata, Listener **ret);
/* Removes the path if it is still ours. */
Listener *listener_free(Listener *l);
DEFINE_CLEANUP(Listener, listener_free);

/* Makes the path anew where it is gone or somebody else's; connections that are there go on.
 * -ENOENT: no directory. */
int listener_restore(Listener *l);
