/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/runtime-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/file.h"
#include "daemon/alert/log.h"
#include "kernel/runtime.h"

#define RETRY_USEC 1000000u
/* A deletion is answered after a moment: `rm -r` is one act, not one per file. */
#define SETTLE_USEC 100000u

struct RuntimeDir {
        sd_event *event;
        char *path;
        const RuntimeDirOps *ops;
        void *userdata;
        int lock_fd;
        sd_event_source *inotify;
        sd_event_source *timer;
        bool told; /* that it cannot be made again */
};

static int watch_directory(RuntimeDir *d);

static int make_directory(const char *path)
{
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

static int take_lock(RuntimeDir *d)
{
        _cleanup_(closep) int fd = -1;
        char path[PATH_MAX];
        int r;

        r = path_join(path, sizeof(path), d->path, RUNTIME_LOCK);
        if (r < 0)
                return r;
        /* Ours of before would stand in the way of the new one. */
        closep(&d->lock_fd);
        d->lock_fd = -1;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        d->lock_fd = TAKE_FD(fd);
        return 0;
}

static int restore(RuntimeDir *d)
{
        int r;

        r = make_directory(d->path);
        if (r >= 0)
                r = take_lock(d);
        if (r >= 0)
                r = watch_directory(d);
        return r;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        RuntimeDir *d = userdata;
        int r;

        r = restore(d);
        if (r < 0) {
                if (!d->told)
                        log_error("%s was deleted and cannot be made again: %s. Until then "
                                  "portreservectl cannot reach the daemon; ports stay reserved and "
                                  "held.",
                                  d->path, strerror(-r));
                d->told = true;
                d->ops->lost(d->userdata);
                (void) sd_event_source_set_time_relative(s, RETRY_USEC);
                (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
                return 0;
        }
        d->told = false;
        d->ops->restored(d->userdata);
        return 0;
}

static int on_inotify(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        RuntimeDir *d = userdata;

        /* Temporary files and our own unlinks are not in the list. */
        if (e->len > 0 && strcmp(e->name, RUNTIME_CONTROL) != 0 &&
            strcmp(e->name, RUNTIME_HANDOVER) != 0 && strcmp(e->name, RUNTIME_OPEN) != 0 &&
            strcmp(e->name, RUNTIME_STATE) != 0 && strcmp(e->name, RUNTIME_APPLIED) != 0 &&
            strcmp(e->name, RUNTIME_OURS) != 0 && strcmp(e->name, RUNTIME_LOCK) != 0)
                return 0;
        (void) sd_event_source_set_time_relative(d->timer, SETTLE_USEC);
        (void) sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
        return 0;
}

static int watch_directory(RuntimeDir *d)
{
        sd_event_source *s = NULL;
        int r;

        r = sd_event_add_inotify(d->event, &s, d->path,
                                 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR, on_inotify,
                                 d);
        if (r < 0)
                return r;
        sd_event_source_disable_unref(d->inotify);
        d->inotify = s;
        return 0;
}

int runtime_dir_new(sd_event *event, const char *path, const RuntimeDirOps *ops, void *userdata,
                    RuntimeDir **ret)
{
        _cleanup_(runtime_dir_freep) RuntimeDir *d = NULL;
        int r;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->event = sd_event_ref(event);
        d->ops = ops;
        d->userdata = userdata;
        d->lock_fd = -1;
        d->path = strdup(path);
        if (!d->path)
                return -ENOMEM;

        r = sd_event_add_time_relative(event, &d->timer, CLOCK_MONOTONIC, 0, 0, on_timer, d);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = restore(d);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

RuntimeDir *runtime_dir_free(RuntimeDir *d)
{
        if (!d)
                return NULL;
        sd_event_source_disable_unref(d->inotify);
        sd_event_source_disable_unref(d->timer);
        sd_event_unref(d->event);
        closep(&d->lock_fd);
        free(d->path);
        free(d);
        return NULL;
}

void runtime_dir_unlink(RuntimeDir *d, const char *name)
{
        char path[PATH_MAX];

        /* Only at the end: from here on deletions are ours. */
        d->inotify = sd_event_source_disable_unref(d->inotify);
        if (path_join(path, sizeof(path), d->path, name) >= 0)
                (void) unlink(path);
}
