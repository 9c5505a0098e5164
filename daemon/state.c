/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/printable.h"
#include "daemon/alert/log.h"
#include "daemon/manager.h"
#include "daemon/notify.h"
#include "daemon/state-json.h"
#include "kernel/runtime.h"

#define SETTLE_USEC  (10 * USEC_PER_MSEC)
#define ACCURACY     USEC_PER_MSEC /* the default would add a quarter of a second */
#define RETRY_USEC   (5 * USEC_PER_SEC)
#define REFRESH_USEC (60 * USEC_PER_SEC)
#define COST_FACTOR  20u

struct State {
        Manager *manager;
        char *path;
        sd_event_source *timer;
        bool touched;          /* the timer is set for what happened */
        uint64_t started_usec; /* CLOCK_REALTIME */
        uint64_t written_usec; /* CLOCK_MONOTONIC, when the last writing ended */
        uint64_t cost_usec;    /* CPU time that it took */
        bool failed;           /* told so already */
};

int state_text(State *s, char **ret)
{
        json_t *o = state_to_json(s->manager, s->started_usec);
        char *text;

        if (!o)
                return -ENOMEM;
        text = json_dumps(o, JSON_COMPACT);
        json_decref(o);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int state_write(State *s)
{
        uint64_t begin = now_usec(CLOCK_THREAD_CPUTIME_ID);
        _cleanup_(freep) char *text = NULL;
        int r;

        r = state_text(s, &text);
        if (r >= 0)
                r = file_write_atomic(s->path, text, strlen(text), 0644);
        s->written_usec = now_usec(CLOCK_MONOTONIC);
        s->cost_usec = now_usec(CLOCK_THREAD_CPUTIME_ID) - begin;
        if (r < 0 && !s->failed)
                log_warning(
                        "Cannot write %s: %s. portreservectl shows old news until that is mended.",
                        s->path, strerror(-r));
        s->failed = r < 0;
        return r;
}

void state_notify(const State *s)
{
        const Manager *m = s->manager;
        size_t n = m->config->n_reservations, collisions = watch_count(m->watch);
        size_t pending = hold_set_pending(m->holds), held = hold_set_count(m->holds) - pending;

        notify_status("%zu reservation%s; %zu socket%s held, %zu pending; %zu collision%s", n,
                      PLURAL(n), held, PLURAL(held), pending, collisions, PLURAL(collisions));
}

static void wake_at(State *s, uint64_t usec)
{
        (void) sd_event_source_set_time(s->timer, usec);
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        State *s = userdata;
        uint64_t again = REFRESH_USEC; /* the counters go on though nothing happens */

        if (state_write(s) < 0)
                again = RETRY_USEC;
        state_notify(s);
        s->touched = false;
        wake_at(s, now_usec(CLOCK_MONOTONIC) + again);
        return 0;
}

void state_touch(State *s)
{
        uint64_t now, at;

        if (s->touched)
                return;
        s->touched = true;
        now = now_usec(CLOCK_MONOTONIC);
        at = MAX_OF(now + SETTLE_USEC, s->written_usec + s->cost_usec * COST_FACTOR);
        wake_at(s, at);
}

int state_new(Manager *m, State **ret)
{
        _cleanup_(state_freep) State *s = NULL;
        char path[PATH_MAX];
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->manager = m;
        s->started_usec = now_usec(CLOCK_REALTIME);
        r = path_join(path, sizeof(path), m->options.runtime_dir, RUNTIME_STATE);
        if (r < 0)
                return r;
        s->path = strdup(path);
        if (!s->path)
                return -ENOMEM;
        r = sd_event_add_time_relative(m->event, &s->timer, CLOCK_MONOTONIC, 0, ACCURACY, on_timer,
                                       s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

State *state_free(State *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->timer);
        free(s->path);
        free(s);
        return NULL;
}
