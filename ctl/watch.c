/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreservectl watch: follows the ring of events in RUNTIME/state.json, which is replaced by
 * rename with each change.
 *
 * The runtime directory may go and come (systemctl stop and start), and the daemon may be another
 * one then: its events count from 1 again, which its "started" tells. */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "ctl/output.h"
#include "ctl/state.h"
#include "kernel/runtime.h"

/* While there is no directory to wait for. */
#define RETRY_MSEC 500

typedef struct Watcher {
        const Ctl *ctl;
        int inotify_fd;
        int wd; /* -1: the directory is not there */
        char *started;
        json_int_t seq; /* of the last event seen */
} Watcher;

/* Takes over which daemon's events these are. */
static int watcher_identify(Watcher *w, const json_t *state)
{
        char *started = strdup(get_text(state, "started"));

        if (!started)
                return -ENOMEM;
        free(w->started);
        w->started = started;
        return 0;
}

static Exit print_event(const Watcher *w, json_t *event)
{
        if (w->ctl->json != JSON_OFF)
                return print_json(w->ctl, json_incref(event), EXIT_OK);
        say(w->ctl, "%s %s: %s", get_text(event, "time"), get_text(event, "event"),
            get_text(event, "message"));
        if (fflush(stdout) != 0)
                return fail(w->ctl, EXIT_FAILED, "standard output: %s", strerror(errno));
        return EXIT_OK;
}

/* Prints what is new. A state that cannot be read is no failure: the daemon is starting or gone,
 * the next one will be told of. */
static Exit watcher_read(Watcher *w)
{
        _cleanup_(json_decrefp) json_t *state = NULL;
        json_t *event;
        size_t i;

        if (state_read(w->ctl, &state) < 0)
                return EXIT_OK;
        if (strcmp(w->started, get_text(state, "started")) != 0) {
                if (watcher_identify(w, state) < 0)
                        return fail(w->ctl, EXIT_FAILED, "out of memory");
                w->seq = 0;
        }

        json_array_foreach(get_array(state, "events"), i, event) {
                json_int_t seq = get_number(event, "seq");
                Exit e;

                if (seq <= w->seq)
                        continue;
                if (seq > w->seq + 1)
                        remark(w->ctl, "%lld %s missed, more than the daemon keeps",
                               (long long) (seq - w->seq - 1),
                               seq - w->seq == 2 ? "event was" : "events were");
                w->seq = seq;
                e = print_event(w, event);
                if (e != EXIT_OK)
                        return e;
        }
        return EXIT_OK;
}

/* Where events have got to, so that only later ones are printed. */
static int watcher_skip(Watcher *w)
{
        _cleanup_(json_decrefp) json_t *state = NULL;
        json_t *event;
        size_t i;

        (void) state_read(w->ctl, &state);
        json_array_foreach(get_array(state, "events"), i, event)
                w->seq = MAX_OF(w->seq, get_number(event, "seq"));
        return watcher_identify(w, state);
}

static void watcher_arm(Watcher *w)
{
        if (w->wd < 0)
                w->wd = inotify_add_watch(w->inotify_fd, w->ctl->runtime_dir,
                                          IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

/* Takes in what happened. Nothing of it matters but that something did, and whether the directory
 * is still that one. */
static int watcher_drain(Watcher *w)
{
        char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n;

        n = read(w->inotify_fd, buf, sizeof(buf));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        for (char *p = buf; p < buf + n;) {
                const struct inotify_event *e = (const struct inotify_event *) p;

                p += sizeof(*e) + e->len;
                if (e->wd != w->wd)
                        continue;
                if (e->mask & IN_MOVE_SELF)
                        (void) inotify_rm_watch(w->inotify_fd, w->wd);
                if (e->mask & (IN_MOVE_SELF | IN_IGNORED))
                        w->wd = -1;
        }
        return 0;
}

static Exit watcher_run(Watcher *w)
{
        struct pollfd fds[] = {
                { .fd = w->inotify_fd, .events = POLLIN },
                { .fd = STDOUT_FILENO }, /* POLLERR: nobody reads us any more */
        };

        for (;;) {
                Exit e;
                int r;

                r = poll(fds, ELEMENTSOF(fds), w->wd < 0 ? RETRY_MSEC : -1);
                if (r < 0 && errno != EINTR)
                        return fail(w->ctl, EXIT_FAILED, "poll: %s", strerror(errno));
                if (r > 0 && fds[1].revents != 0)
                        return EXIT_OK;
                r = watcher_drain(w);
                if (r < 0)
                        return fail(w->ctl, EXIT_FAILED, "inotify: %s", strerror(-r));
                /* Armed before it is read: a state that comes in between is told of again. */
                watcher_arm(w);
                e = watcher_read(w);
                if (e != EXIT_OK)
                        return e;
        }
}

Exit verb_watch(const Ctl *c, char **args)
{
        Watcher w = { .ctl = c, .wd = -1 };
        Exit e;
        int r;

        r = state_probe(c);
        if (r < 0)
                return state_fail(c, r);

        w.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w.inotify_fd < 0)
                return fail(c, EXIT_FAILED, "inotify: %s", strerror(errno));
        watcher_arm(&w);
        e = watcher_skip(&w) < 0 ? fail(c, EXIT_FAILED, "out of memory") : watcher_run(&w);

        close(w.inotify_fd);
        free(w.started);
        return e;
}
