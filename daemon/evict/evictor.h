/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Frees ports of who should not be on them (Evict=, `portreservectl evict`).
 *
 * What was seen before only says where to look. Each time the port's sockets are asked for anew,
 * judged by policy.h and eviction.h, and those that may go are destroyed by cookie, at once: a socket
 * that has taken the place of another, or is the owner's by now, is none that was named. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "kernel/identify.h"
#include "model/eviction.h"
#include "model/holder.h"

typedef struct Evictor Evictor;

typedef struct Eviction {
        const Reservation *reservation; /* NULL: nobody declared the port */
        const Endpoint *endpoint;
        const Holder *holder;
        unsigned count; /* holder is the first of so many remains; else 1 */
        EvictionVerdict verdict;
        /* Of one that was to be destroyed, and was not: -EAGAIN by the limit, else the kernel's
         * word. */
        int error;
} Eviction;

typedef struct EvictorOps {
        bool (*is_ours)(uint64_t cookie, uint32_t inode, void *userdata);
        /* Do we hold that port ourselves now? */
        bool (*held)(const Endpoint *e, uint16_t port, void *userdata);
        /* Who that socket was found to be before; borrowed. NULL: not known. */
        const Holder *(*known)(const Endpoint *e, uint16_t port, uint64_t cookie, void *userdata);
        /* Its cgroup is not the owner's; but the process that has it by now may be the owner all the
         * same, as far as is known of that. */
        bool (*may_be_owners)(const Reservation *r, const Holder *h, void *userdata);
        /* Its port is free of it: each one, before evicted(). */
        void (*destroyed)(const Socket *s, void *userdata);
        /* It was destroyed. */
        void (*evicted)(const Eviction *x, void *userdata);
        /* Evict= is set, and it stays. Once for each socket. */
        void (*left)(const Eviction *x, void *userdata);
        /* So many wait for the limit. */
        void (*waiting)(size_t n, void *userdata);
        /* The sockets cannot be listed; 0: they can again. */
        void (*failed)(int error, void *userdata);
} EvictorOps;

typedef struct EvictorStats {
        uint64_t evicted;
        size_t waiting; /* for the quota (quota.h) */
} EvictorStats;

/* identify is shared, and outlives it. */
int evictor_new(sd_event *event, Identify *identify, const EvictorOps *ops, void *userdata,
                Evictor **ret);
Evictor *evictor_free(Evictor *v);
DEFINE_CLEANUP(Evictor, evictor_free);

/* The configuration that judges from now on. */
void evictor_set_config(Evictor *v, const Config *c);

/* That socket is to go by its reservation's Evict=, if it still is what it was taken for; without a
 * cookie, remains on its port: looks, soon. */
void evictor_want(Evictor *v, const Socket *s);

typedef struct EvictionRequest {
        int protocol;
        uint16_t port;
        uid_t user; /* UID_INVALID: root, to whom Evict= is no limit; else only its reservations' */
        bool dry_run;
} EvictionRequest;

/* By hand, now. seen() is called for each socket that is, or (dry_run) would be, destroyed and for
 * each that stays and should not be there. *ret_others: sockets of those who are meant to be there,
 * or in nobody's way. -errno as sock_diag_dump(). */
int evictor_run(Evictor *v, const EvictionRequest *q,
                void (*seen)(const Eviction *x, void *userdata), void *userdata,
                size_t *ret_others);

const EvictorStats *evictor_stats(const Evictor *v);
