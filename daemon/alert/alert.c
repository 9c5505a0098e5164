/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/alert.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "daemon/alert/fields.h"
#include "daemon/alert/limit.h"
#include "daemon/alert/log.h"

#define RING_MAX 256u

struct Alert {
        const AlertOps *ops;
        void *userdata;
        uint64_t interval_usec;
        Limits *limits;
        json_t *ring;
        uint64_t seq;
};

int alert_new(uint64_t interval_usec, const AlertOps *ops, void *userdata, Alert **ret)
{
        _cleanup_(alert_freep) Alert *a = NULL;

        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->ops = ops;
        a->userdata = userdata;
        a->interval_usec = interval_usec;
        a->ring = json_array();
        if (!a->ring || limits_new(&a->limits) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(a);
        return 0;
}

Alert *alert_free(Alert *a)
{
        if (!a)
                return NULL;
        limits_free(a->limits);
        json_decref(a->ring);
        free(a);
        return NULL;
}

void alert_set_interval(Alert *a, uint64_t interval_usec)
{
        a->interval_usec = interval_usec;
}

static void alert_log(Alert *a, const Event *e)
{
        _cleanup_(freep) char *message = NULL;
        unsigned suppressed = 0;

        if (!log_wants(event_kind_priority(e->kind)) ||
            (e->kind != EVENT_EVICTED &&
             !limits_pass(a->limits, e, now_usec(CLOCK_MONOTONIC), a->interval_usec, &suppressed)))
                return;
        message = event_message(e);
        if (!message)
                return;
        if (log_is_journal()) {
                Fields f;

                fields_fill(e, message, suppressed, &f);
                (void) sd_journal_sendv(f.iov, f.n);
                fields_done(&f);
        } else if (suppressed)
                log_line(event_kind_priority(e->kind), "%s (%u more not shown)", message,
                         suppressed);
        else
                log_line(event_kind_priority(e->kind), "%s", message);
        a->ops->told(e, message, suppressed, a->userdata);
}

void alert_event(Alert *a, const Event *e)
{
        json_t *o;

        alert_log(a, e);

        o = event_to_json(e, now_usec(CLOCK_REALTIME));
        if (!o || json_object_set_new(o, "seq", json_integer((json_int_t) ++a->seq)) < 0) {
                json_decref(o);
                return; /* no memory: the line above has been written */
        }
        if (json_array_size(a->ring) >= RING_MAX)
                (void) json_array_remove(a->ring, 0);
        (void) json_array_append(a->ring, o);
        a->ops->event(o, a->userdata);
        json_decref(o);
}

json_t *alert_recent(const Alert *a)
{
        return json_copy(a->ring);
}
