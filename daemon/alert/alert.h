/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The alert layer: tells people and programs. Each event goes to the journal (or standard error)
 * with its MESSAGE_ID and fields, into a ring of the last 256 for RUNTIME/state.json and
 * `portreservectl watch`, and to ops->event. Rate-limited (limit.h); what was
 * suppressed is counted and said with the next one. `evicted` has a limit of its own (daemon/evict)
 * and none here: each is said. */

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "daemon/alert/event.h"

typedef struct Alert Alert;

typedef struct AlertOps {
        /* An event as JSON object of `watch`; borrowed. Every one, suppressed or not in the
         * journal. */
        void (*event)(json_t *object, void *userdata);
        /* One that was not suppressed, as it was written. suppressed: how many were before it. */
        void (*told)(const Event *e, const char *message, unsigned suppressed, void *userdata);
} AlertOps;

int alert_new(uint64_t interval_usec, const AlertOps *ops, void *userdata, Alert **ret);
Alert *alert_free(Alert *a);
DEFINE_CLEANUP(Alert, alert_free);
void alert_set_interval(Alert *a, uint64_t interval_usec);

void alert_event(Alert *a, const Event *e);

/* The ring, oldest first: a new reference to an array of objects with "seq" ascending. */
json_t *alert_recent(const Alert *a);
