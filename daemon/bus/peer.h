/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection to RUNTIME/control: its gate, its sd-bus, its deadlines. */

#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "daemon/bus/bus.h"

typedef struct Peer Peer;

/* Takes fd, on failure as well. ops serve its calls (interface.c). */
int peer_new(sd_event *event, int fd, const struct ucred *credentials, const BusOps *ops,
             void *userdata, Peer **ret);
Peer *peer_free(Peer *p);
DEFINE_CLEANUP(Peer, peer_free);

sd_bus *peer_bus(Peer *p);
uid_t peer_uid(const Peer *p);
pid_t peer_pid(const Peer *p); /* 0: of another pid namespace */
int peer_pidfd(const Peer *p); /* a new one; -ESRCH: it has ended */
const BusOps *peer_ops(const Peer *p);
void *peer_userdata(const Peer *p);

/* Closes the connection when this turn of the loop is over. */
void peer_hang_up(Peer *p);

void peer_subscribe(Peer *p);
bool peer_subscribed(const Peer *p);

/* To be called after each turn of the event loop and once a second: passes on what waits at the
 * gate, checks the deadlines. False: to be dropped. now: CLOCK_MONOTONIC in microseconds. */
bool peer_tend(Peer *p, uint64_t now);
