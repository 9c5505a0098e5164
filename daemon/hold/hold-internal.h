/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What hold.c (one hold's states), hold-set.c (all of them), hold-timer.c and hold-adopt.c
 * share. */

#include "base/clock.h"
#include "base/table.h"
#include "daemon/hold/hold.h"

#define HOLD_RETRY_FIRST (50 * USEC_PER_MSEC)
#define HOLD_NAMES       65536u

struct Hold {
        HoldSet *set;
        const Reservation *reservation;
        const Endpoint *endpoint;
        Hold *next_at_port;    /* others of this protocol and port, at other addresses */
        Hold *previous, *next; /* in the set's list of those that wait for a time */
        uint64_t due;          /* CLOCK_MONOTONIC in µs, 0: waits for nothing */
        uint64_t started;      /* when the owner started, or when it was last known to be there */
        uint64_t since;        /* what is waited for began: seen bound, missed; or end of grace */
        uint64_t tried;        /* last claim or question: events must not make us busy */
        uint64_t pid1_until;   /* PID 1 still listens, and is to stop: no news until then. 0: no */
        char *name;            /* in the fd store; NULL: not there */
        uint64_t cookie;
        uint32_t inode;
        uint32_t interval; /* of retries, µs */
        int fd;
        int error;
        uint16_t port;
        HoldState state;
        HoldMode mode;
        ReuseAddress reuse;
        unsigned generation; /* of the apply that last wanted it */
        bool owner_up;       /* started and not known to have stopped */
        bool owner_seen;     /* bound, as far as is known */
        bool leaving;        /* the owner has stopped, its socket is still there */
        bool guard;          /* shared until PID 1 listens */
        bool scrub_due;      /* adopted: what happened meanwhile is not known */
};

struct HoldSet {
        sd_event_source *timer;
        bool listen_here;
        HoldOps ops;
        void *userdata;

        Hold **holds;
        size_t n_holds, n_holds_allocated, n_pending;
        Table by_port, by_cookie, by_inode;
        Hold *waiting_first, *waiting_last;
        uint64_t armed; /* when the timer goes off, 0: off */
        unsigned generation;
        uint64_t names[HOLD_NAMES / 64]; /* a bit per serial in use */
        unsigned next_name;
        struct Adopted *adopted;
        size_t n_adopted, n_adopted_allocated;
};

/* hold.c: getting a socket and giving it up */
void hold_enter(Hold *h, HoldState to, int error);
bool hold_makes_room(const Hold *h);           /* ReuseAddress=no: the port is left to its owner */
void hold_settle(Hold *h);                     /* with a socket: to the state that its door says */
int hold_try_bind(Hold *h);                    /* BindResult or -errno */
void hold_claim(Hold *h);                      /* without one: tries to get it */
int hold_exclude(Hold *h, bool *ret_scrubbed); /* as placeholder_exclude(), remains or not */
void hold_leave(Hold *h);                      /* the owner has gone: tries to be exclusive */
void hold_begin_leaving(Hold *h);
void hold_open(Hold *h); /* NONE to wherever it gets */
/* The same with an adopted socket; consumes fd and name. */
void hold_take(Hold *h, int fd, char *name, const PlaceholderInfo *info);
void hold_close(Hold *h); /* to NONE */
void hold_change(Hold *h, HoldMode mode, ReuseAddress reuse);

/* hold-owner.c */
Tristate hold_ask(Hold *h);
void hold_start_asking(Hold *h);
void hold_owner_bound(Hold *h);
void hold_due(Hold *h);
bool hold_owner_starts(Hold *h); /* false: somebody else has it */
void hold_owner_stopped(Hold *h);
void hold_owner_seen(Hold *h, bool bound);
void hold_freed(Hold *h);

/* hold-set.c */
uint64_t hold_port_key(int protocol, uint16_t port);
int hold_register_fd(Hold *h, char *name); /* h->fd is ours from now on; name of an adopted one, or
                                              NULL: stores it; consumes name */
void hold_unregister_fd(Hold *h);
void hold_remove(Hold *h); /* frees it */

/* hold-timer.c */
void hold_schedule(Hold *h, uint64_t when); /* 0: no more */
int hold_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* hold-name.c: at most 4 characters, reused after release */
char *hold_name_new(HoldSet *s); /* NULL: out of memory */
void hold_name_reserve(HoldSet *s, const char *name);
void hold_name_release(HoldSet *s, const char *name);

/* hold-adopt.c */
typedef struct Adopted {
        int fd;
        char *name;
        PlaceholderInfo info;
        size_t next; /* index + 1 of another one at that port */
        Hold *hold;  /* who gets it */
} Adopted;

/* Is there one for this port? */
bool hold_set_has_adopted(const HoldSet *s, const Endpoint *e, uint16_t port);
/* Gives the adopted sockets to the holds that are NONE, closes and unstores the rest. */
int hold_set_settle_adopted(HoldSet *s);
void hold_set_forget_adopted(HoldSet *s);
