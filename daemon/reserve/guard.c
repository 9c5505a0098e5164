/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/reserve/guard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>

#include "base/clock.h"
#include "kernel/kernel-list.h"

/* Who overwrites the list a thousand times a second must not keep us busy: some looks are made at
 * once, more of them one each PAUSE_USEC, and no longer does a repair wait. One overwriting is
 * several events: opening it to be truncated, each write, and our own of the repair. */
#define PAUSE_USEC (5 * USEC_PER_MSEC)
#define BURST_USEC (8 * PAUSE_USEC)

struct Guard {
        pthread_mutex_t lock;
        pthread_t thread;
        bool running;
        int inotify_fd; /* the thread's */
        int changed_fd; /* it tells that the list has changed */
        int stop_fd;    /* it is told to end */

        PortSet keep;
        GuardFound found;
};

void guard_lock(Guard *g)
{
        (void) pthread_mutex_lock(&g->lock);
}

void guard_unlock(Guard *g)
{
        (void) pthread_mutex_unlock(&g->lock);
}

void guard_keep(Guard *g, const PortSet *ports)
{
        g->keep = *ports;
}

void guard_take(Guard *g, GuardFound *ret)
{
        *ret = g->found;
        g->found = (GuardFound){};
}

int guard_look(Guard *g, PortSet *ret_list)
{
        PortSet list, missing = g->keep;
        int r;

        /* Before it is read, so that no change falls in between. The file may have appeared, or have
         * been replaced; else this changes nothing. */
        if (g->running)
                (void) inotify_add_watch(g->inotify_fd, kernel_list_path(), IN_MODIFY);
        r = kernel_list_read(&list);
        if (r < 0)
                return r;
        portset_subtract(&missing, &list);
        if (!portset_empty(&missing)) {
                r = kernel_list_add(&g->keep);
                if (g->found.times++ == 0)
                        g->found.list = list;
                portset_unite(&g->found.missing, &missing);
                g->found.error = r;
                if (r >= 0)
                        portset_unite(&list, &g->keep);
        }
        if (ret_list)
                *ret_list = list;
        return 0;
}

/* Until something happens to the list. False: the end. */
static bool await_change(const Guard *g)
{
        struct pollfd p[] = { { .fd = g->inotify_fd, .events = POLLIN },
                              { .fd = g->stop_fd, .events = POLLIN } };
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

        while (poll(p, ELEMENTSOF(p), -1) < 0)
                if (errno != EINTR)
                        return false;
        if (p[1].revents)
                return false;
        /* What they say matters less than that there was something. */
        while (read(g->inotify_fd, buf, sizeof(buf)) > 0)
                ;
        return true;
}

static void sleep_usec(uint64_t usec)
{
        const struct timespec ts = { .tv_nsec = (long) (usec * 1000) };

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void *guard_run(void *userdata)
{
        uint64_t paid = 0, now; /* until when the looks so far would take, one each PAUSE_USEC */
        Guard *g = userdata;

        while (await_change(g)) {
                now = now_usec(CLOCK_MONOTONIC);
                if (paid > now + BURST_USEC)
                        sleep_usec(MIN_OF(paid - BURST_USEC - now, PAUSE_USEC));

                guard_lock(g);
                (void) guard_look(g, NULL); /* a failure shows in the event loop, too */
                guard_unlock(g);
                paid = MAX_OF(paid, now_usec(CLOCK_MONOTONIC)) + PAUSE_USEC;
                (void) eventfd_write(g->changed_fd, 1);
        }
        return NULL;
}

/* No signal is the thread's: they are the event loop's. */
static int start_thread(Guard *g)
{
        sigset_t all, before;
        int r;

        (void) sigfillset(&all);
        r = pthread_sigmask(SIG_BLOCK, &all, &before);
        if (r > 0)
                return -r;
        r = pthread_create(&g->thread, NULL, guard_run, g);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        g->running = r == 0;
        return -r;
}

int guard_new(Guard **ret)
{
        _cleanup_(guard_freep) Guard *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        (void) pthread_mutex_init(&g->lock, NULL); /* never fails on Linux */
        g->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        g->changed_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (g->inotify_fd >= 0 && g->changed_fd >= 0 && g->stop_fd >= 0)
                (void) start_thread(g);
        *ret = TAKE_PTR(g);
        return 0;
}

Guard *guard_free(Guard *g)
{
        if (!g)
                return NULL;
        if (g->running) {
                (void) eventfd_write(g->stop_fd, 1);
                (void) pthread_join(g->thread, NULL);
        }
        closep(&g->inotify_fd);
        closep(&g->changed_fd);
        closep(&g->stop_fd);
        (void) pthread_mutex_destroy(&g->lock);
        free(g);
        return NULL;
}

int guard_fd(const Guard *g)
{
        return g->running ? g->changed_fd : -1;
}

void guard_drain(Guard *g)
{
        eventfd_t value;

        (void) eventfd_read(g->changed_fd, &value);
}
