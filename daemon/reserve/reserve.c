/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything that happens ends in sync_list(): an apply, inotify, the timer. It brings record and
 * list to what is wanted, in an order in which a crash between any two steps leaves a record that
 * covers what of the list is ours:
 *
 *     record ours + want | add want | remove ours - want | record want
 *
 * A port that was recorded and not yet added is added (or found not wanted, and "removed") by the
 * next sync or start. A removal that takes several writes would lose others' entries if it were cut
 * short: what it has to leave is recorded first (RUNTIME/rewrite), and put back by whoever comes
 * next: a sync, a start or reserve_release(). */

#include "daemon/reserve/reserve.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/reserve/drift.h"
#include "daemon/reserve/guard.h"
#include "daemon/reserve/rewrite.h"
#include "kernel/kernel-list.h"
#include "kernel/record.h"
#include "kernel/runtime.h"

/* The guard puts ports back at once. What else there is to do when the list has changed can wait, so
 * that who writes all day does not keep us reading all day. */
#define PAUSE_USEC (50 * USEC_PER_MSEC)
/* For writers that inotify does not see: those of another mount of procfs, as in a container that
 * shares our network. */
#define REREAD_USEC    USEC_PER_SEC
#define RETRY_MIN_USEC (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (5 * USEC_PER_SEC)

struct Reserve {
        sd_event *event;
        char *directory;
        const ReserveOps *ops;
        void *userdata;

        PortSet want;   /* what is to be in the list because of us */
        PortSet ours;   /* what may be in it because of us: want, and what is still to be removed */
        PortSet placed; /* what of want was in it: if missing later, somebody removed it */
        PortSet kernel; /* the list, as last read */
        PortSet foreign; /* of it, what is not ours */
        bool recorded;   /* the record says ours */

        Drift drift;
        int error;
        uint64_t retry;  /* how long was waited after the last failure */
        uint64_t looked; /* when the last pass ended */

        Guard *guard;
        sd_event_source *guard_source; /* the list has changed; NULL: nobody tells */
        int inotify_fd;                /* of the directory */
        sd_event_source *inotify_source;
        sd_event_source *timer;
};

static bool record_exists(const Reserve *r)
{
        char path[PATH_MAX];

        return path_join(path, sizeof(path), r->directory, RUNTIME_OURS) >= 0 &&
               access(path, F_OK) >= 0;
}

/* Makes the record say ours. */
static int record_ours(Reserve *r, const PortSet *ours)
{
        int q;

        if (r->recorded && portset_equal(ours, &r->ours) && record_exists(r))
                return 0;
        q = record_write(r->directory, RUNTIME_OURS, ours);
        if (q < 0)
                return q;
        r->ours = *ours;
        r->recorded = true;
        return 0;
}

static int add_wanted(Reserve *r)
{
        PortSet before = r->ours, ours = r->ours;
        int q, k;

        portset_unite(&ours, &r->want);
        q = record_ours(r, &ours);
        if (portset_contains(&r->kernel, &r->want)) {
                /* All there. That the record could not be written back (its directory is gone) is
                 * tried again. */
                r->placed = r->want;
                return 0;
        }
        if (q < 0)
                return q;

        q = kernel_list_add(&r->want);
        if (q >= 0) {
                portset_unite(&r->kernel, &r->want);
                r->placed = r->want;
                return 0;
        }

        /* Nothing that did not get in stays ours: others may put it there before we can. */
        k = kernel_list_read(&r->kernel);
        if (k >= 0) {
                ours = r->want;
                portset_intersect(&ours, &r->kernel);
                portset_unite(&ours, &before);
                (void) record_ours(r, &ours);
        }
        return q;
}

static int remove_surplus(Reserve *r)
{
        PortSet surplus = r->ours;
        int q;

        portset_subtract(&surplus, &r->want);
        if (portset_empty(&surplus))
                return 0;
        q = rewrite_remove(r->directory, &surplus, false);
        if (q < 0)
                return q;
        portset_subtract(&r->kernel, &surplus);
        return record_ours(r, &r->want);
}

static void set_error(Reserve *r, int error)
{
        if (error == r->error)
                return;
        r->error = error;
        r->ops->writable(error, r->userdata);
}

/* Adding a watch again changes nothing where the same directory is watched already; but it may have
 * been made again since. Where it fails the slow re-read is left. */
static void watch_directory(Reserve *r)
{
        if (r->inotify_fd >= 0)
                (void) inotify_add_watch(r->inotify_fd, r->directory,
                                         IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void update_foreign(Reserve *r)
{
        r->foreign = r->kernel;
        portset_subtract(&r->foreign, &r->ours);
}

/* Schedules the next sync; what is not urgent may come with other wake-ups. */
static int wake_at(Reserve *r, uint64_t usec, bool urgent)
{
        int q;

        q = sd_event_source_set_time_accuracy(r->timer, urgent ? 1 : 0);
        if (q >= 0)
                q = sd_event_source_set_time(r->timer, usec);
        if (q < 0)
                return q;
        return sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* How long to wait after this failure. */
static uint64_t back_off(Reserve *r)
{
        r->retry = MIN_OF(MAX_OF(2 * r->retry, RETRY_MIN_USEC), RETRY_MAX_USEC);
        return r->retry;
}

/* Tells what the guard has found. */
static int report(Reserve *r, const GuardFound *found)
{
        ReserveDrift drift;

        if (found->times == 0)
                return 0;
        drift = (ReserveDrift){
                .missing = &found->missing,
                .found = &found->list,
                .times = drift_seen(&r->drift, &found->missing, found->times, found->error,
                                    now_usec(CLOCK_MONOTONIC)),
                .error = found->error,
        };
        r->ops->drift(&drift, r->userdata);
        return found->error;
}

/* One pass: reads the list, finds drift, adds, removes. 0, or the error that keeps the list from
 * being as it should; *ret_wake is when to come back. */
static int sync_pass(Reserve *r, uint64_t *ret_wake)
{
        int q, k;

        q = rewrite_finish(r->directory);
        if (q < 0)
                return q;
        guard_keep(r->guard, &r->placed);
        q = guard_look(r->guard, &r->kernel);
        if (q < 0)
                return q;
        q = add_wanted(r);
        guard_keep(r->guard, &r->placed);
        if (q < 0)
                return q;

        k = remove_surplus(r);
        /* Somebody keeps the file open. What is ours is in it; the rest leaves a little later. */
        if (k == -EAGAIN) {
                *ret_wake = now_usec(CLOCK_MONOTONIC) + back_off(r);
                return 0;
        }
        return k;
}

static int sync_list(Reserve *r)
{
        uint64_t wake = 0, now;
        GuardFound found;
        int q, k;

        guard_lock(r->guard);
        q = sync_pass(r, &wake);
        guard_take(r->guard, &found);
        guard_unlock(r->guard);
        watch_directory(r);
        update_foreign(r);
        k = report(r, &found);
        q = q < 0 ? q : k;

        r->looked = now = now_usec(CLOCK_MONOTONIC);
        if (wake == 0 && q < 0) {
                wake = now + back_off(r);
        } else if (wake == 0) {
                wake = now + REREAD_USEC;
                r->retry = 0;
        }
        /* That somebody has the file open just now is not worth a word until it lasts. */
        if (q != -EAGAIN || r->retry >= USEC_PER_SEC)
                set_error(r, q);
        return wake_at(r, wake, false);
}

static int on_changed(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        uint64_t next;
        Reserve *r = userdata;

        guard_drain(r->guard);
        next = r->looked + PAUSE_USEC;
        if (now_usec(CLOCK_MONOTONIC) < next)
                (void) wake_at(r, next, true);
        else
                (void) sync_list(r);
        return 0;
}

/* Something of the directory is gone: the record, perhaps. */
static int on_inotify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        Reserve *r = userdata;

        while (read(fd, buf, sizeof(buf)) > 0)
                ;
        (void) sync_list(r);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Reserve *r = userdata;

        (void) sync_list(r);
        return 0;
}

/* Where inotify is not to be had (its limits are per user), the re-read must do. */
static int watch_start(Reserve *r)
{
        int q;

        r->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (r->inotify_fd < 0)
                return 0;
        q = sd_event_add_io(r->event, &r->inotify_source, r->inotify_fd, EPOLLIN, on_inotify, r);
        if (q < 0)
                return q;
        /* Somebody who makes and removes files all day must not keep us reading all day. */
        q = sd_event_source_set_ratelimit(r->inotify_source, 200 * USEC_PER_MSEC, 5);
        if (q < 0)
                return q;
        return sd_event_source_set_enabled(r->inotify_source, SD_EVENT_OFF);
}

int reserve_new(sd_event *event, const char *runtime_dir, const ReserveOps *ops, void *userdata,
                Reserve **ret)
{
        _cleanup_(reserve_freep) Reserve *r = NULL;
        int q;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->inotify_fd = -1;
        r->event = sd_event_ref(event);
        r->ops = ops;
        r->userdata = userdata;
        r->directory = strdup(runtime_dir);
        if (!r->directory)
                return -ENOMEM;

        q = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, 0, 0, on_timer, r);
        if (q < 0)
                return q;
        q = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (q < 0)
                return q;
        q = watch_start(r);
        if (q < 0)
                return q;
        q = guard_new(&r->guard);
        if (q >= 0 && guard_fd(r->guard) >= 0)
                q = sd_event_add_io(event, &r->guard_source, guard_fd(r->guard), EPOLLIN,
                                    on_changed, r);
        if (q < 0)
                return q;

        /* A record that cannot be read makes nothing ours: better a port too many in the list than
         * one of somebody else's taken out. */
        r->recorded = record_read(r->directory, RUNTIME_OURS, &r->ours) >= 0;
        /* What of it is missing by now was removed while we were away. */
        r->placed = r->ours;
        /* Failure shows at the first apply. */
        (void) rewrite_finish(r->directory);
        (void) kernel_list_read(&r->kernel);
        update_foreign(r);

        *ret = TAKE_PTR(r);
        return 0;
}

Reserve *reserve_free(Reserve *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->guard_source);
        sd_event_source_disable_unref(r->inotify_source);
        sd_event_source_disable_unref(r->timer);
        guard_free(r->guard);
        closep(&r->inotify_fd);
        sd_event_unref(r->event);
        free(r->directory);
        free(r);
        return NULL;
}

int reserve_apply(Reserve *r, const PortSet *want)
{
        int q;

        r->want = *want;
        portset_intersect(&r->placed, want);
        if (r->inotify_source) {
                q = sd_event_source_set_enabled(r->inotify_source, SD_EVENT_ON);
                if (q < 0)
                        return q;
        }
        return sync_list(r);
}

bool reserve_has(const Reserve *r, uint16_t port)
{
        return portset_has(&r->kernel, port);
}

const PortSet *reserve_foreign(const Reserve *r)
{
        return &r->foreign;
}

unsigned reserve_drifts(const Reserve *r)
{
        return r->drift.count;
}

int reserve_error(const Reserve *r)
{
        return r->error;
}
