/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/alert.h"

#include <errno.h>
#include <search.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "daemon/alert/fields.h"
#include "daemon/alert/log.h"

#define RING_MAX 256u

/* When the last line about a reservation and kind was written, and how many were not since. */
typedef struct Limit {
        char name[RESERVATION_NAME_MAX + 1];
        EventKind kind;
        uint64_t last_usec;
        unsigned suppressed;
} Limit;

struct Alert {
        const AlertOps *ops;
        void *userdata;
        uint64_t interval_usec;
        void *limits; /* tsearch(3) tree of Limit: as many as there are reservations and kinds */
        json_t *ring;
        uint64_t seq;
};

static int limit_compare(const void *a, const void *b)
{
        const Limit *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return strcmp(x->name, y->name);
}

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
        if (!a->ring)
                return -ENOMEM;
        *ret = TAKE_PTR(a);
        return 0;
}

Alert *alert_free(Alert *a)
{
        if (!a)
                return NULL;
        tdestroy(a->limits, free);
        json_decref(a->ring);
        free(a);
        return NULL;
}

void alert_set_interval(Alert *a, uint64_t interval_usec)
{
        a->interval_usec = interval_usec;
}

/* May a line be written now? *ret_suppressed: how many were not since the last one. */
static bool limit_pass(Alert *a, const Event *e, unsigned *ret_suppressed)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        Limit key = { .kind = e->kind }, *l;
        void *node;

        if (e->reservation)
                (void) snprintf(key.name, sizeof(key.name), "%s", e->reservation->name);

        node = tfind(&key, &a->limits, limit_compare);
        if (!node) {
                l = malloc(sizeof(*l));
                if (!l)
                        return true;
                *l = key;
                l->last_usec = now;
                if (!tsearch(l, &a->limits, limit_compare))
                        free(l);
                *ret_suppressed = 0;
                return true;
        }

        l = *(Limit **) node;
        if (now - l->last_usec < a->interval_usec) {
                l->suppressed++;
                return false;
        }
        *ret_suppressed = l->suppressed;
        l->last_usec = now;
        l->suppressed = 0;
        return true;
}

static void alert_log(Alert *a, const Event *e)
{
        _cleanup_(freep) char *message = NULL;
        unsigned suppressed = 0;

        if (!log_wants(event_kind_priority(e->kind)) ||
            (e->kind != EVENT_EVICTED && !limit_pass(a, e, &suppressed)))
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
