/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/units/units.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/units/bell.h"
#include "daemon/units/revive.h"
#include "kernel/act-client.h"
#include "kernel/runtime.h"

#define TIMER_ACCURACY (5 * USEC_PER_MSEC)

/* Things change in bursts, and anybody can make PID 1 load a unit: between two lists is four times
 * what one took, up to a limit where it was the machine that was slow. */
#define SETTLE_USEC  (50 * USEC_PER_MSEC)
#define GAP_USEC     (200 * USEC_PER_MSEC)
#define GAP_MAX_USEC (2 * USEC_PER_SEC)
#define COST_FACTOR  4u
/* Where nobody rings. */
#define POLL_USEC (30 * USEC_PER_SEC)
/* Of portreserved-act, which is started for it. */
#define ANSWER_USEC (20 * USEC_PER_SEC)
#define RETRY_USEC  (2 * USEC_PER_SEC)
/* After a start was asked for, in case nobody rings. */
#define STARTED_USEC (1 * USEC_PER_SEC)

struct Units {
        sd_event *event;
        UnitsOps ops;
        void *userdata;
        char *path;
        bool enabled;
        int error;

        char *text; /* the list, as it came; NULL: empty */
        SocketUnits *list;
        Bell *bell;
        Revive *revive;

        int fd; /* of the request that is under way, -1: none */
        sd_event_source *answer;
        sd_event_source *timer; /* when to ask, or to give up waiting */
        uint64_t asked, next;   /* not before next */
        uint64_t due;           /* 0: not set */
        bool again;             /* rung while under way */
};

static void ask_in(Units *u, uint64_t usec)
{
        uint64_t at = MAX_OF(now_usec(CLOCK_MONOTONIC) + usec, u->next);

        if (u->fd >= 0) {
                u->again = true;
                return;
        }
        if (u->due != 0 && u->due <= at)
                return;
        u->due = at;
        (void) sd_event_source_set_time(u->timer, at);
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static void end_request(Units *u)
{
        u->answer = sd_event_source_disable_unref(u->answer);
        closep(&u->fd);
        u->fd = -1;
        u->due = 0;
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
}

static void tell_error(Units *u, int error)
{
        if (u->error == error)
                return;
        u->error = error;
        u->ops.degraded(error, u->userdata);
}

void units_save(const Units *u)
{
        /* Without it a restart only begins with an empty list. */
        if (u->text)
                (void) file_write_atomic(u->path, u->text, strlen(u->text), 0644);
}

/* Takes the text over. -EBADMSG. */
static int take_list(Units *u, char *text)
{
        _cleanup_(freep) char *t = text;
        SocketUnits *list;
        int r;

        if (u->text && strcmp(u->text, text) == 0)
                return 0;
        r = socket_units_parse(text, &list);
        if (r < 0)
                return r;
        socket_units_free(u->list);
        u->list = list;
        free(u->text);
        u->text = TAKE_PTR(t);
        units_save(u);
        u->ops.changed(u->userdata);
        return 0;
}

static void conclude(Units *u, int error)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        bool again = u->again;

        end_request(u);
        u->again = false;
        u->next = now + MIN_OF(MAX_OF(GAP_USEC, COST_FACTOR * (now - u->asked)), GAP_MAX_USEC);
        tell_error(u, error);
        if (error < 0)
                ask_in(u, RETRY_USEC);
        else if (again)
                ask_in(u, SETTLE_USEC);
        else if (!bell_hears(u->bell))
                ask_in(u, POLL_USEC);
        revive_check(u->revive, u->list);
}

static int on_answer(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
        Units *u = userdata;
        char *text = NULL;
        int r;

        r = act_read_list(fd, &text);
        if (r == -EAGAIN)
                return 0;
        if (r >= 0)
                r = take_list(u, text);
        conclude(u, r);
        return 0;
}

static void ask(Units *u)
{
        int r;

        u->due = 0;
        u->asked = now_usec(CLOCK_MONOTONIC);
        r = act_request(ACT_LIST, sizeof(ACT_LIST), &u->fd);
        if (r >= 0)
                r = sd_event_add_io(u->event, &u->answer, u->fd, EPOLLIN, on_answer, u);
        if (r < 0) {
                conclude(u, r);
                return;
        }
        (void) sd_event_source_set_time(u->timer, u->asked + ANSWER_USEC);
        (void) sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Units *u = userdata;

        if (u->fd >= 0)
                conclude(u, -ETIMEDOUT);
        else
                ask(u);
        return 0;
}

static void on_ring(void *userdata)
{
        ask_in(userdata, SETTLE_USEC);
}

static const SocketUnit *on_bell_finds(const char *name, void *userdata)
{
        const Units *u = userdata;

        return socket_units_find(u->list, name);
}

static const BellOps bell_ops = { .ring = on_ring, .find = on_bell_finds };

static bool on_revive_asks(const SocketUnit *unit, void *userdata)
{
        Units *u = userdata;

        return u->ops.blocked(unit, u->userdata);
}

static void on_revive_starts(const SocketUnit *unit, void *userdata)
{
        Units *u = userdata;

        u->ops.start(unit, u->userdata);
        ask_in(u, STARTED_USEC);
}

static void on_revive_wakes(void *userdata)
{
        Units *u = userdata;

        revive_check(u->revive, u->list);
}

static const ReviveOps revive_ops = {
        .blocked = on_revive_asks,
        .start = on_revive_starts,
        .wake = on_revive_wakes,
};

/* What our last run knew. One that cannot be read is as good as none. */
static int read_saved(Units *u)
{
        char *text;
        int r;

        r = file_read(u->path, SOCKET_UNITS_TEXT_MAX, &text, NULL);
        if (r < 0)
                return r;
        r = socket_units_parse(text, &u->list);
        if (r < 0) {
                free(text);
                return r;
        }
        u->text = text;
        return 0;
}

static int make_empty(SocketUnits **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

int units_new(sd_event *event, const char *runtime_dir, const UnitsOps *ops, void *userdata,
              Units **ret)
{
        _cleanup_(units_freep) Units *u = NULL;
        char path[PATH_MAX];
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->fd = -1;
        u->event = sd_event_ref(event);
        u->ops = *ops;
        u->userdata = userdata;
        r = path_join(path, sizeof(path), runtime_dir, RUNTIME_UNITS);
        if (r < 0)
                return r;
        u->path = strdup(path);
        if (!u->path)
                return -ENOMEM;
        r = revive_new(event, &revive_ops, u, &u->revive);
        if (r >= 0)
                r = sd_event_add_time(event, &u->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY,
                                      on_timer, u);
        if (r >= 0)
                r = sd_event_source_set_enabled(u->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        if (read_saved(u) < 0 && make_empty(&u->list) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(u);
        return 0;
}

Units *units_free(Units *u)
{
        if (!u)
                return NULL;
        bell_free(u->bell);
        revive_free(u->revive);
        sd_event_source_disable_unref(u->answer);
        sd_event_source_disable_unref(u->timer);
        closep(&u->fd);
        socket_units_free(u->list);
        free(u->text);
        free(u->path);
        sd_event_unref(u->event);
        free(u);
        return NULL;
}

static int disable(Units *u)
{
        SocketUnits *empty;
        int r;

        r = make_empty(&empty);
        if (r < 0)
                return r;
        u->bell = bell_free(u->bell);
        end_request(u);
        u->again = false;
        u->error = 0;
        socket_units_free(u->list);
        u->list = empty;
        free(u->text);
        u->text = NULL;
        revive_check(u->revive, u->list);
        (void) unlink(u->path);
        return 0;
}

int units_enable(Units *u, bool enable)
{
        int r;

        if (enable == u->enabled && (enable || !u->text))
                return 0;
        if (enable) {
                r = bell_new(u->event, &bell_ops, u, &u->bell);
                if (r >= 0)
                        ask_in(u, 0);
        } else
                r = disable(u);
        if (r >= 0)
                u->enabled = enable;
        return r;
}

const SocketUnits *units_list(const Units *u)
{
        return u->list;
}

int units_error(const Units *u)
{
        return u->error;
}

bool units_port_freed(Units *u, int protocol, uint16_t port)
{
        bool found = false;

        for (size_t i = 0; i < u->list->n; i++) {
                const SocketUnit *unit = &u->list->units[i];

                if (unit->state != SOCKET_UNIT_FAILED)
                        continue;
                for (size_t k = 0; k < unit->n_endpoints; k++)
                        if (unit->endpoints[k].protocol == protocol &&
                            endpoint_has_port(&unit->endpoints[k], port)) {
                                revive_freed(u->revive, unit);
                                found = true;
                        }
        }
        return found;
}
