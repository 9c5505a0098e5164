/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control interface: org.portreserved1 at /org/portreserved1, peer to peer on RUNTIME/control.
 *
 * Admitted by SO_PEERCRED before the bus is started: uid 0, our own uid, and every User= of the
 * configuration; everybody else's connection is closed (a connect that succeeds still tells that the
 * daemon runs). Capped: 64 connections, 32 of root and 32 of all others together, 16 of one other
 * user; dropped after 5 s without authentication, 60 s idle (not those that subscribed), 5 s with
 * half a message or an unread reply, 16 unread signals; 64 KiB a message, and no fds come in
 * (peer.c). A full fd table pauses accept for a second.
 *
 * Reload() -> s: JSON; error …Error.ConfigurationInvalid with the mistakes as text.
 *
 * GetState() -> s: the text of state.json.
 *
 * Open(s name) -> ahas: for programs that speak D-Bus anyway (portreserve-exec asks at RUNTIME/open,
 * see open-door.h); uid 0 and the reservation's User= only. The listening
 * sockets of a Hold=listen reservation with their names (FileDescriptorName=); none for bound and
 * shared: they share while the calling process lives (pidfd: it execs the command in place, and its
 * connection is gone by then). Errors …Error.NotFound, …Error.Denied, …Error.InUse.
 *
 * Evict(q port, s protocol, b dry_run) -> s: JSON as of `portreservectl evict`. protocol "": tcp, or udp
 * where only that is declared. A User= may free the ports of its own reservations, as far as their
 * Evict= goes. Errors …Error.NotFound, …Error.Denied.
 *
 * Subscribe(): from then on, the signal Event(s json) for every event.
 *
 * Hello() of org.freedesktop.DBus is answered, for busctl. */

#include <jansson.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/config.h"

typedef struct Bus Bus;

/* Who calls, by what the kernel says of the connection. */
typedef struct BusCaller {
        uid_t uid;
        pid_t pid; /* of another pid namespace: refused before anybody is asked */
        int pidfd;
} BusCaller;

typedef struct BusEviction {
        uint16_t port;
        int protocol; /* 0: not given */
        bool dry_run;
        uid_t uid;
        pid_t pid;
} BusEviction;

typedef struct BusOps {
        /* Asked by uid 0 and our own only. On failure -errno (-EINVAL, -EBADMSG: mistakes in the
         * configuration) and *ret_error a malloc'ed text. *ret_json malloc'ed. */
        int (*reload)(char **ret_json, char **ret_error, void *userdata);
        int (*state)(char **ret_json, void *userdata);
        bool (*admits)(uid_t uid, void *userdata);
        /* Opens a reservation to the calling process. The fds stay the daemon's, the message
         * duplicates them; the array and the NULL-terminated names are the caller's to free. -ENOENT,
         * -EPERM, -EADDRINUSE with *ret_error, a malloc'ed text. */
        int (*open)(const char *name, const BusCaller *caller, int **ret_fds, size_t *ret_n,
                    char ***ret_names, char **ret_error, void *userdata);
        /* Frees a port. *ret_json malloc'ed; -ENOENT, -EPERM with *ret_error as above. */
        int (*evict)(const BusEviction *q, char **ret_json, char **ret_error, void *userdata);
} BusOps;

/* Listens on RUNTIME/control (0666: admission is by credentials). */
int bus_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);

/* Makes RUNTIME/control anew where it is gone (a deleted runtime directory). */
int bus_restore(Bus *b);

/* Sends the Event signal to subscribers; a peer that does not read is dropped. */
void bus_emit_event(Bus *b, const char *json);
