/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the watch share. */

#include "base/clock.h"
#include "daemon/watch/collision-set.h"
#include "daemon/watch/pace.h"
#include "daemon/watch/pass.h"
#include "daemon/watch/watch.h"

typedef enum Trouble {
        TROUBLE_TCP,
        TROUBLE_UDP,
        TROUBLE_EVENTS,
        TROUBLE_LOST,
        _TROUBLE_MAX,
} Trouble;

struct Watch {
        sd_event *event;
        WatchOps ops;
        void *userdata;
        SockDiag *diag;
        Identify *identify;
        CollisionSet *set;
        const Config *config;
        DiagFilter *tcp_look, *udp_look, *tcp_rest;
        OwnerSeen *owners; /* at the last look, sorted */
        size_t n_owners;

        int events_fd;
        sd_event_source *events_source, *tick_source, *verify_source;
        PortSet tcp_ports, udp_ports; /* of the configuration */
        PortSet tcp_freed, udp_freed; /* while one batch of events is read */
        bool verify_wanted;

        uint64_t generation;
        Pace pace;
        uint64_t walk_cost;     /* of the last question for which all connections were walked */
        PortSet remains;        /* ports that had remains of connections at the last walk */
        uint64_t remains_until; /* when that is worth another walk, where walks are dear */
        int trouble[_TROUBLE_MAX];
        WatchStats stats;
        SockDiagStats diag_stats;
        uint64_t events_lost;
};

/* watch-report.c: what is told, each once. */
void watch_tell_trouble(Watch *w, Trouble t, int error);
void watch_end_collision(Watch *w, CollisionEntry *x);
/* After a pass: what is new begins, what is gone ends. True: some were missed, and a full pass has
 * to say that they are gone. */
bool watch_conclude(Watch *w, const Pass *p);
/* Reports who was seen at this look or the last. Takes the pass's list. */
void watch_report_owners(Watch *w, Pass *p);

/* watch-events.c: collisions with the socket are looked at again soon. False: nobody declared its
 * port. */
bool watch_suspect_destroyed(Watch *w, const Socket *s);
/* Nothing to do where they are open already. */
int watch_open_events(Watch *w);
void watch_close_events(Watch *w);
/* After the configuration changed. */
void watch_filter_events(Watch *w);

/* watch.c: a full pass over the ports with collisions, soon. */
void watch_want_verify(Watch *w, uint64_t delay);
