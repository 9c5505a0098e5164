/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Questions to portreserved-inspect: which process has a socket. A few are under way at a time, the
 * others wait for their turn; whoever asked hears something within INSPECT_WAIT_USEC, and the answer
 * that comes later as well. Nothing here waits for anybody. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "kernel/inspect-message.h"

/* How long an alert may be late for a name: as long as what it tells of may have gone unseen
 * (ScanIntervalSec=). An answer takes a few milliseconds, and 20 to 50 where PID 1 has to start the
 * helper for it. */
#define INSPECT_WAIT_USEC UINT64_C(1000000)

typedef struct Inspect Inspect;

typedef struct InspectOps {
        /* Once for each question: its answer, or NULL where there is none, or not yet. */
        void (*answered)(void *about, const InspectAnswer *a, void *userdata);
        /* The answer, after answered() was called without one. */
        void (*answered_late)(void *about, const InspectAnswer *a, void *userdata);
        /* What inspect_problem() says is another now. */
        void (*problem)(void *userdata);
} InspectOps;

int inspect_new(sd_event *event, const InspectOps *ops, void *userdata, Inspect **ret);
/* No question that is still open is answered any more. */
Inspect *inspect_free(Inspect *i);
DEFINE_CLEANUP(Inspect, inspect_free);

/* Asks who has the socket. about: whatever it is for, each asked at most once at a time. Negative: it
 * was not asked, and nothing will be called: -EBUSY, too many wait already; the helper's socket is
 * not there, and so on. */
int inspect_ask(Inspect *i, void *about, const Socket *s);

/* What it was for goes: it will not be called for it any more. True: it was not yet. */
bool inspect_forget(Inspect *i, const void *about);

/* Is answered() still to be called for it? */
bool inspect_is_awaited(const Inspect *i, const void *about);

/* Why the last question that mattered has no answer, with what to do; NULL: it has one. */
const char *inspect_problem(const Inspect *i);
