/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The hold layer: a socket kept bound on an endpoint while its owner is away.
 *
 *             bind ok             owner starts             owner has bound
 *  pending ────────────▶ exclusive ────────────▶ sharing ─────────────────▶ in-use
 *     ▲  EADDRINUSE          ▲                                                │
 *     └──────────────────────┴────────────────────────────────────────────────┘
 *                                       owner stops, crashes
 *
 * in-use is exclusive again, for everybody but the owner who is in.
 *
 * One Hold a port, protocol and address. shared: always sharing. ReuseAddress=no: closed at start,
 * pending (error 0) until the owner has bound, taken back at stop. always: sharing as long as the
 * owner runs. Endpoints of Hold=listen have a Hold here only without systemd (state listening).
 *
 * Between a placeholder and PID 1's listener (Hold= was changed) the port is never left alone: to
 * PID 1 ours goes on, sharing, until PID 1 listens; from PID 1 it is claimed when that has closed,
 * and waiting for that is no news.
 *
 * An owner that was started and neither binds nor stops: its holds go on sharing while it is alive,
 * since a database may take longer to recover than any timeout of ours. They go back to exclusive
 * when owner_alive() says that it is gone; where that cannot be told, after 10 minutes.
 *
 * No op may call hold_set_apply() or hold_set_free(). */

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "kernel/placeholder.h"
#include "model/config.h"
#include "model/observation.h"

typedef enum HoldState {
        HOLD_STATE_NONE,
        HOLD_STATE_PENDING,
        HOLD_STATE_EXCLUSIVE,
        HOLD_STATE_SHARING,
        HOLD_STATE_IN_USE,
        HOLD_STATE_LISTENING,
} HoldState;

/* "none", "pending", "exclusive", "sharing", "in-use", "listening". */
const char *hold_state_to_string(HoldState s);

typedef struct Hold Hold;
typedef struct HoldSet HoldSet;

/* What a hold tells; the endpoint's address decides, not the pointer: it lives until the next
 * hold_set_apply(). */
typedef struct HoldEvent {
        const Reservation *reservation;
        const Endpoint *endpoint;
        uint16_t port;
        HoldState from, to;
        /* As hold_error(), after and before: a change to or from pending with 0 is room made for an
         * owner that shares with nobody, and no news. */
        int error, error_before;
} HoldEvent;

typedef struct HoldOps {
        /* After each change of state. pending->exclusive is a claim. */
        void (*changed)(const HoldEvent *e, void *userdata);
        /* Has the owner bound this endpoint's port? Asked every 5 ms after a start at first, then
         * slower. TRI_UNKNOWN: cannot tell; then the kernel is asked whether anybody listens. */
        Tristate (*owner_bound)(const Reservation *r, const Endpoint *e, uint16_t port,
                                void *userdata);
        /* Does anybody listen at an address that meets the endpoint's? May be NULL: cannot tell. */
        Tristate (*listened)(const Endpoint *e, uint16_t port, void *userdata);
        /* Does PID 1 listen there, for a .socket unit of ours? May be NULL: it does not. */
        Tristate (*pid1_listens)(const Reservation *r, const Endpoint *e, uint16_t port,
                                 void *userdata);
        /* A claim failed with EADDRINUSE. Destroys what the kernel's timewait timer keeps in the way
         * (TIME_WAIT, mostly FIN_WAIT2 too; whatever Evict= says); true: try again now. */
        bool (*clear_remains)(const Reservation *r, const Endpoint *e, uint16_t port,
                              void *userdata);
        /* Keep this fd over our restart, or no longer. name: at most 4 characters. May be NULL (no
         * systemd). */
        void (*store)(int fd, const char *name, void *userdata);
        void (*unstore)(const char *name, void *userdata);
        /* Has the owner, once started, still any process? Asked each second where it takes long to
         * bind. May be NULL: cannot tell. */
        Tristate (*owner_alive)(const Reservation *r, void *userdata);
        /* Will hold_set_owner_starts() be called when its owner starts? Asked in hold_set_apply().
         * If not, Hold=bound is as shared, and ReuseAddress=no as none: nobody must be kept out. May
         * be NULL: it will. */
        bool (*announced)(const Reservation *r, void *userdata);
} HoldOps;

/* listen_here: Hold=listen endpoints are listened on by us (no systemd). */
int hold_set_new(sd_event *event, bool listen_here, const HoldOps *ops, void *userdata,
                 HoldSet **ret);
HoldSet *hold_set_free(HoldSet *s); /* closes the sockets (the fd store keeps its copies) */
DEFINE_CLEANUP(HoldSet, hold_set_free);

/* Before the first apply: a socket that came back from the fd store, under its name. Taken over in
 * every case: what no endpoint wants is closed and unstored by the next apply. */
int hold_set_adopt_consume_fd(HoldSet *s, int fd, const char *name);

/* Reconciles with a configuration, which must outlive the next apply: an endpoint that did not
 * change keeps its socket and state; new ones are bound (or pending); those gone are closed.
 * Mistakes of single ones (EMFILE …) leave them pending and are returned through hold_error().
 * -ENOMEM. */
int hold_set_apply(HoldSet *s, const Config *c);

/* The owner starts: its holds share (or close, ReuseAddress=no) before this returns. The number of
 * endpoints that could not be opened since somebody else has them (pending), or -errno. */
int hold_set_owner_starts(HoldSet *s, const Reservation *r);
/* The owner has stopped, or its start failed: back to exclusive. Retries by itself where sockets
 * linger. */
int hold_set_owner_stopped(HoldSet *s, const Reservation *r);

/* A socket on that port was destroyed: pending holds on it are claimed, in-use ones ask whether the
 * owner is gone. */
void hold_set_port_freed(HoldSet *s, int protocol, uint16_t port);

/* From a scan: the owner is (not) seen bound. */
void hold_set_owner_seen(HoldSet *s, const Reservation *r, const Endpoint *e, uint16_t port,
                         bool bound);

/* Is that one of our sockets? By cookie where known, else inode. O(1). */
bool hold_set_is_ours(const HoldSet *s, uint64_t cookie, uint32_t inode);

/* NULL: no hold there. */
Hold *hold_set_find(const HoldSet *s, const Endpoint *e, uint16_t port);
HoldState hold_state(const Hold *h);

/* Why it is pending: 0 (room for the owner), -EADDRINUSE, -EMFILE … */
int hold_error(const Hold *h);

/* -1 where there is none; stays the Hold's. */
int hold_fd(const Hold *h);

size_t hold_set_count(const HoldSet *s);
size_t hold_set_pending(const HoldSet *s);
