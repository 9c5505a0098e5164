/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The control interface: org.portreserved1 at /org/portreserved1, peer to peer on RUNTIME/control.
 *
 * Admitted by SO_PEERCRED before the bus is started: uid 0, our own uid, and every User= of the
 * configuration; everybody else's connection is closed (a connect that succeeds still tells that
 * the daemon runs). Capped: connections in all and per uid, 5 s to authenticate, 60 s idle, 16
 * unread replies, 64 KiB a message where sd-bus lets us. A full fd table pauses accept for a
 * second.
 *
 * Methods:
 *   Reload() -> s           JSON: {"changed_units":bool,…}; error
 * org.portreserved1.Error.ConfigurationInvalid with the mistakes as text GetState() -> s the text
 * of state.json Open(s name) -> ahas    for portreserve-exec: listening sockets of a Hold=listen
 * reservation with their names (fds, FileDescriptorName); none for bound/shared: they share while
 * the calling process lives (pidfd: it execs the command in place and its connection is gone by
 * then). uid 0 and the reservation's User= only. error …Error.NotFound, …Error.Denied, …Error.InUse
 *   Hello() of org.freedesktop.DBus is answered, for busctl.
 * Signals: Event(s json): every event, to peers that called Subscribe(). */

#include <jansson.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "model/config.h"

typedef struct Bus Bus;

typedef struct BusOps {
        /* Reload. On failure -errno and *ret_error a malloc'ed text. *ret_json malloc'ed. */
        int (*reload)(char **ret_json, char **ret_error, void *userdata);
        int (*state)(char **ret_json, void *userdata);
        bool (*admits)(uid_t uid, void *userdata);
        /* Opens a reservation to a peer (uid and pid by SO_PEERCRED; pid 0: of another pid
         * namespace, refused). The fds stay the daemon's, the message duplicates them; the array
         * and the NULL-terminated names are the caller's to free. -ENOENT, -EPERM, -EADDRINUSE with
         * *ret_error, a malloc'ed text. */
        int (*open)(const char *name, uid_t uid, pid_t pid, int **ret_fds, size_t *ret_n,
                    char ***ret_names, char **ret_error, void *userdata);
} BusOps;

/* Listens on RUNTIME/control (0666: admission is by credentials). */
int bus_new(sd_event *event, const char *runtime_dir, const BusOps *ops, void *userdata, Bus **ret);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus, bus_free);

/* Makes RUNTIME/control anew where it is gone (a deleted runtime directory). */
int bus_restore(Bus *b);

/* Sends the Event signal to subscribers; a peer that does not read is dropped. */
void bus_emit_event(Bus *b, const char *json);

unsigned bus_connections(const Bus *b);
