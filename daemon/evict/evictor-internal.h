/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What evictor.c (when, and what is done) and evictor-judge.c share. */

#include "base/table.h"
#include "daemon/evict/evictor.h"
#include "daemon/evict/quota.h"
#include "daemon/evict/scene.h"

struct Evictor {
        sd_event_source *timer;
        EvictorOps ops;
        void *userdata;
        SockDiag *diag;
        Identify *identify;
        const Config *config;
        PortSet tcp_due, udp_due;
        Table named; /* by cookie: who is to go from there */
        Quota quota;
        Table told; /* by cookie */
        uint64_t waiting_told;
        int error;
        EvictorStats stats;
};

/* One look at some ports of a protocol, and what is done about it. */
typedef struct EvictorRun {
        Evictor *v;
        const EvictionRequest *request; /* NULL: by Evict= */
        void (*seen)(const Eviction *x, void *userdata);
        void *userdata;
        const Table *named; /* by Evict=: those alone */
        Scene scene;
        Eviction remains;      /* of the port that is looked at */
        Holder remains_holder; /* its strings are others' */
        PortSet again;         /* of who stays named */
        size_t n_held_back, n_others;
} EvictorRun;

/* The verdict on one socket of the run's scene: fills reservation, endpoint and verdict of x. Returns
 * the kind that it has for that reservation. */
Kind evictor_judge(EvictorRun *run, const Socket *s, Eviction *x);
