/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The alert layer: tells people and programs. Each event goes to the journal (or standard error) with its MESSAGE_ID and
 * fields, into a ring of the last 256 for RUNTIME/state.json and `portreservectl watch`, and to ops->event.
 * Rate-limited per reservation and kind; what was suppressed is counted and said with the next one. */

#include <jansson.h>
#include <stdint.h>
#include <syslog.h>

#include "base/cleanup.h"
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

typedef struct Alert Alert;

typedef struct AlertOps {
        /* An event as JSON object of `watch`; borrowed. Every one, suppressed or not in the journal. */
        void (*event)(json_t *object, void *userdata);
} AlertOps;

int alert_new(uint64_t interval_usec, const AlertOps *ops, void *userdata, Alert **ret);
Alert *alert_free(Alert *a);
DEFINE_CLEANUP(Alert, alert_free);
void alert_set_interval(Alert *a, uint64_t interval_usec);

void alert_event(Alert *a, const Event *e);

/* The ring, oldest first: a new reference to an array of objects with "seq" ascending. */
json_t *alert_recent(const Alert *a);

/* A line of the daemon's log: to the journal where stderr is one, else "<prefix>: text" on standard error. */
void log_line(int priority, const char *format, ...) _printf_(2, 3);
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
void log_set_level(int priority);
