/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Something that happened to a reservation, and its two faces: a sentence for people, an object for
 * programs. */

#include <jansson.h>
#include <stdint.h>

#include "model/holder.h"
#include "model/reservation.h"

typedef enum EventKind {
        EVENT_COLLISION,
        EVENT_RESOLVED,
        EVENT_DRIFT,
        EVENT_REPAIRED,
        EVENT_HELD,
        EVENT_PENDING,
        EVENT_CLAIMED,
        EVENT_HANDED_OVER,
        EVENT_EVICTED,
        EVENT_DENIED,
        EVENT_LEASE,
        _EVENT_KIND_MAX,
} EventKind;

const char *event_kind_to_string(EventKind k);

typedef struct Event {
        EventKind kind;
        const Reservation *reservation; /* NULL for drift, repaired */
        const Endpoint *endpoint;       /* NULL where it is not about one */
        uint16_t port;                  /* 0: none */
        const Holder *holder;           /* NULL: none */
        uint64_t duration_usec;         /* resolved: how long it was */
        const char *detail;             /* further words, or NULL */
} Event;

/* Of the journal: the MESSAGE_ID (32 hex digits) and the priority of syslog(3). */
const char *event_kind_message_id(EventKind k);
int event_kind_priority(EventKind k);

/* One line that says what happened and, where there is something to do, what. malloc'ed; NULL: no
 * memory. */
char *event_message(const Event *e);

/* The object of `portreservectl watch`. A new reference; NULL: no memory. */
json_t *event_to_json(const Event *e, uint64_t realtime_usec);
