/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/units/revive.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/grow.h"

#define TIMER_ACCURACY   (5 * USEC_PER_MSEC)
#define PAUSE_FIRST_USEC (1 * USEC_PER_SEC)
#define PAUSE_MAX_USEC   (60 * USEC_PER_SEC)
/* So long after a start one that fails again begins with the first pause. */
#define CALM_USEC (300 * USEC_PER_SEC)
/* Between a look at the port and PID 1's bind somebody may come and go. */
#define TRIES_MAX 3u
/* Where nobody tells that a port is free: who was on it was never seen. */
#define LOOK_USEC (5 * USEC_PER_SEC)

typedef struct Patient {
        char *name;
        uint64_t started; /* CLOCK_MONOTONIC, 0: never */
        uint64_t pause;
        unsigned tries; /* so often started since anybody was seen on its ports */
        bool failed;    /* at the last check */
} Patient;

struct Revive {
        ReviveOps ops;
        void *userdata;
        sd_event_source *timer;
        Patient *patients;
        size_t n, n_allocated;
};

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Revive *r = userdata;

        r->ops.wake(r->userdata);
        return 0;
}

int revive_new(sd_event *event, const ReviveOps *ops, void *userdata, Revive **ret)
{
        _cleanup_(revive_freep) Revive *r = NULL;
        int k;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->ops = *ops;
        r->userdata = userdata;
        k = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY, on_timer, r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

Revive *revive_free(Revive *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n; i++)
                free(r->patients[i].name);
        free(r->patients);
        sd_event_source_disable_unref(r->timer);
        free(r);
        return NULL;
}

static void wake_at(Revive *r, uint64_t at)
{
        (void) sd_event_source_set_time(r->timer, at);
        (void) sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* NULL: no memory. */
static Patient *get_patient(Revive *r, const char *name)
{
        Patient *p;

        for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->patients[i].name, name) == 0)
                        return &r->patients[i];
        if (!GROW(r->patients, r->n_allocated, r->n + 1))
                return NULL;
        p = &r->patients[r->n];
        *p = (Patient){ .name = strdup(name) };
        if (!p->name)
                return NULL;
        r->n++;
        return p;
}

/* Returns when to look at it again, UINT64_MAX: when something is heard. */
static uint64_t treat(Revive *r, Patient *p, const SocketUnit *u, uint64_t now)
{
        p->failed = true;
        if (p->started != 0 && now < p->started + p->pause)
                return p->started + p->pause;
        if (r->ops.blocked(u, r->userdata)) {
                p->tries = 0;
                return now + LOOK_USEC;
        }
        if (p->tries >= TRIES_MAX)
                return UINT64_MAX;
        if (p->started == 0 || now > p->started + CALM_USEC)
                p->pause = PAUSE_FIRST_USEC;
        else
                p->pause = MIN_OF(2 * p->pause, PAUSE_MAX_USEC);
        p->started = now;
        p->tries++;
        r->ops.start(u, r->userdata);
        return now + p->pause;
}

/* Those who have not failed are remembered for a while: they may again. */
static void dismiss(Revive *r, uint64_t now)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n; i++) {
                Patient *p = &r->patients[i];

                if (!p->failed)
                        p->tries = 0;
                if (p->failed || now <= p->started + CALM_USEC)
                        r->patients[n++] = *p;
                else
                        free(p->name);
        }
        r->n = n;
}

void revive_check(Revive *r, const SocketUnits *l)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC), wake = UINT64_MAX;

        for (size_t i = 0; i < r->n; i++)
                r->patients[i].failed = false;
        for (size_t i = 0; i < l->n; i++) {
                Patient *p;

                if (l->units[i].state != SOCKET_UNIT_FAILED)
                        continue;
                p = get_patient(r, l->units[i].name);
                if (p)
                        wake = MIN_OF(wake, treat(r, p, &l->units[i], now));
        }
        dismiss(r, now);
        if (wake != UINT64_MAX)
                wake_at(r, wake);
        else
                (void) sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}

void revive_freed(Revive *r, const SocketUnit *u)
{
        for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->patients[i].name, u->name) == 0)
                        r->patients[i].tries = 0;
        wake_at(r, now_usec(CLOCK_MONOTONIC));
}
