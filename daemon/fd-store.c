/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/fd-store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/grow.h"
#include "daemon/alert/log.h"
#include "daemon/notify.h"

#define NAME_SIZE 16u
/* Sent at a time. Each may wait for PID 1 to take the one before. */
#define BATCH 8u
/* Well within TimeoutStopSec=. */
#define FLUSH_SECONDS 5

typedef struct Queued {
        int fd; /* -1: removed */
        char name[NAME_SIZE];
} Queued;

struct FdStore {
        sd_event_source *source;
        Queued *queue;
        size_t first, n, n_allocated; /* queue[first..n) is still to go */
        bool started, warned;
};

static void send_one(FdStore *s, const Queued *q)
{
        int r = q->fd >= 0 ? notify_store_fd(q->fd, q->name) : 0;

        if (r >= 0 || s->warned)
                return;
        s->warned = true;
        log_warning("Cannot give a socket to the service manager: %s. It will be free for a moment "
                    "when portreserved is restarted.",
                    strerror(-r));
}

static void arm(FdStore *s)
{
        if (s->first == s->n)
                s->first = s->n = 0;
        (void) sd_event_source_set_enabled(s->source,
                                           s->started && s->n > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_idle(sd_event_source *source, void *userdata)
{
        FdStore *s = userdata;

        for (unsigned i = 0; i < BATCH && s->first < s->n; i++)
                send_one(s, s->queue + s->first++);
        arm(s);
        return 0;
}

int fd_store_new(sd_event *event, FdStore **ret)
{
        _cleanup_(fd_store_freep) FdStore *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = sd_event_add_defer(event, &s->source, on_idle, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(s->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

FdStore *fd_store_free(FdStore *s)
{
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->source);
        free(s->queue);
        free(s);
        return NULL;
}

int fd_store_add(FdStore *s, int fd, const char *name)
{
        Queued *q;

        if (strlen(name) >= NAME_SIZE)
                return -ENAMETOOLONG;
        if (!GROW(s->queue, s->n_allocated, s->n + 1))
                return -ENOMEM;
        q = s->queue + s->n++;
        *q = (Queued){ .fd = fd };
        (void) stpcpy(q->name, name);
        arm(s);
        return 0;
}

void fd_store_remove(FdStore *s, const char *name)
{
        /* What is removed was mostly stored long ago, and then the queue is empty. */
        for (size_t i = s->n; i > s->first; i--)
                if (s->queue[i - 1].fd >= 0 && strcmp(s->queue[i - 1].name, name) == 0) {
                        s->queue[i - 1].fd = -1;
                        return;
                }
        (void) notify_unstore_fd(name);
}

void fd_store_start(FdStore *s)
{
        s->started = true;
        arm(s);
}

void fd_store_flush(FdStore *s)
{
        struct timespec ts;
        time_t begin;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        begin = ts.tv_sec;

        while (s->started && s->first < s->n && ts.tv_sec - begin < FLUSH_SECONDS) {
                send_one(s, s->queue + s->first++);
                (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        }
}
