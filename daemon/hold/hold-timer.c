/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The timer: one for all holds. Those that wait are in a list, in no order: a turn looks at each,
 * which is nothing beside what it then does for those that are due. */

#include "daemon/hold/hold-internal.h"

/* The holds get this much at once; what is left over waits, so that ten thousand which all want to
 * know something cost a fifth of a CPU and no more. */
#define TURN_USEC  (10 * USEC_PER_MSEC)
#define BREAK_USEC (40 * USEC_PER_MSEC)

static void arm(HoldSet *s, uint64_t when)
{
        if (s->armed != 0 && s->armed <= when)
                return;
        s->armed = when;
        (void) sd_event_source_set_time(s->timer, when);
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

void hold_schedule(Hold *h, uint64_t when)
{
        HoldSet *s = h->set;

        if (h->due != 0) {
                *(h->previous ? &h->previous->next : &s->waiting_first) = h->next;
                *(h->next ? &h->next->previous : &s->waiting_last) = h->previous;
                h->previous = h->next = NULL;
        }
        h->due = when;
        if (when == 0)
                return;

        /* At the end: what did not get its turn stays in front of what did. */
        h->previous = s->waiting_last;
        *(s->waiting_last ? &s->waiting_last->next : &s->waiting_first) = h;
        s->waiting_last = h;
        arm(s, when);
}

int hold_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        HoldSet *s = userdata;
        uint64_t now = now_usec(CLOCK_MONOTONIC), end = now + TURN_USEC, earliest = 0;
        Hold *last = s->waiting_last;
        bool more = true;

        s->armed = 1; /* the past: nothing arms it while we go through them */
        for (Hold *h = s->waiting_first, *next; h && more && now < end; h = next) {
                next = h->next;
                more = h != last;
                if (h->due > now)
                        continue;
                hold_due(h);
                now = now_usec(CLOCK_MONOTONIC);
        }

        for (Hold *h = s->waiting_first; h; h = h->next)
                if (earliest == 0 || h->due < earliest)
                        earliest = h->due;
        s->armed = 0;
        if (now >= end)
                earliest = MAX_OF(earliest, now + BREAK_USEC);
        if (earliest != 0)
                arm(s, earliest);
        return 0;
}
