/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/alert/alert-unit.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "daemon/alert/fields.h"
#include "kernel/act-client.h"
#include "kernel/runtime.h"
#include "model/unit-name.h"

struct AlertUnit {
        sd_event_source *defer;
        AlertUnitOps ops;
        void *userdata;
        char *directory;
        uint64_t last_id, window;
        unsigned n_window;
        int error;
        char *waiting[ALERT_UNITS_MAX]; /* names of units to ask for */
        size_t n_waiting;
};

static void tell(AlertUnit *u, int error)
{
        if (u->error == error)
                return;
        u->error = error;
        u->ops.failed(error, u->userdata);
}

static int on_defer(sd_event_source *s, void *userdata)
{
        AlertUnit *u = userdata;
        int worst = 0;

        for (size_t i = 0; i < u->n_waiting; i++) {
                _cleanup_(closep) int fd = -1;
                int r;

                r = act_request(u->waiting[i], strlen(u->waiting[i]) + 1, &fd);
                if (r < 0)
                        worst = r;
                free(u->waiting[i]);
        }
        u->n_waiting = 0;
        tell(u, worst);
        return 0;
}

int alert_unit_new(sd_event *event, const char *runtime_dir, const AlertUnitOps *ops,
                   void *userdata, AlertUnit **ret)
{
        _cleanup_(alert_unit_freep) AlertUnit *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->ops = *ops;
        u->userdata = userdata;
        if (asprintf(&u->directory, "%s/" RUNTIME_ALERTS, runtime_dir) < 0) {
                u->directory = NULL;
                return -ENOMEM;
        }
        r = sd_event_add_defer(event, &u->defer, on_defer, u);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(u->defer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}

AlertUnit *alert_unit_free(AlertUnit *u)
{
        if (!u)
                return NULL;
        sd_event_source_disable_unref(u->defer);
        while (u->n_waiting > 0)
                free(u->waiting[--u->n_waiting]);
        free(u->directory);
        free(u);
        return NULL;
}

/* Of the files that are there. */
static uint64_t newest_id(const AlertUnit *u)
{
        _cleanup_(closedirp) DIR *d = opendir(u->directory);
        const struct dirent *e;
        uint64_t newest = 0, id;

        while (d && (e = readdir(d)))
                if (parse_uint(e->d_name, 0, UINT64_MAX / 2, &id) >= 0)
                        newest = MAX_OF(newest, id);
        return newest;
}

/* Microseconds since 1970: no daemon before us, and after a reboot none, used it, and the oldest is
 * the least; also where the clock has been set back since. */
static uint64_t next_id(AlertUnit *u)
{
        if (u->last_id == 0)
                u->last_id = newest_id(u);
        u->last_id = MAX_OF(now_usec(CLOCK_REALTIME), u->last_id + 1);
        return u->last_id;
}

static bool pass_limit(AlertUnit *u)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        if (u->n_window == 0 || now >= u->window + ALERT_UNITS_WINDOW) {
                u->window = now;
                u->n_window = 0;
        }
        return u->n_window++ < ALERT_UNITS_MAX;
}

/* Removes the oldest where there are too many. */
static void remove_old(const AlertUnit *u)
{
        _cleanup_(closedirp) DIR *d = opendir(u->directory);
        char path[PATH_MAX], oldest[NAME_MAX + 1] = "";
        uint64_t oldest_id = UINT64_MAX, id;
        const struct dirent *e;
        size_t n = 0;

        if (!d)
                return;
        while ((e = readdir(d))) {
                /* What a write that was cut short has left goes first. */
                if (e->d_name[0] == '.')
                        continue;
                if (parse_uint(e->d_name, 0, UINT64_MAX, &id) < 0)
                        id = 0;
                n++;
                if (id <= oldest_id) {
                        oldest_id = id;
                        (void) strcpy(oldest, e->d_name);
                }
        }
        if (n > ALERT_FILES_MAX && path_join(path, sizeof(path), u->directory, oldest) >= 0)
                (void) unlink(path);
}

/* For PID 1 alone, which reads it before the unit's program runs. */
static int write_file(const AlertUnit *u, const char *name, const Event *e, const char *message,
                      unsigned suppressed)
{
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX];
        Fields f;
        int r;

        fields_fill(e, message, suppressed, &f);
        text = fields_environment(&f);
        fields_done(&f);
        if (!text)
                return -ENOMEM;
        if (mkdir(u->directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        r = path_join(path, sizeof(path), u->directory, name);
        if (r >= 0)
                r = file_write_atomic(path, text, strlen(text), 0600);
        remove_old(u);
        return r;
}

void alert_unit_start(AlertUnit *u, const char *template, const Event *e, const char *message,
                      unsigned suppressed)
{
        const char *suffix = strchr(template, '@') + 1;
        char id[24], *unit;
        int r;

        if (!pass_limit(u)) {
                tell(u, -EBUSY);
                return;
        }
        (void) snprintf(id, sizeof(id), "%" PRIu64, next_id(u));
        r = write_file(u, id, e, message, suppressed);
        if (r < 0) {
                tell(u, r);
                return;
        }
        /* As many as a window lets pass; the loop has run since the last one. */
        if (u->n_waiting >= ALERT_UNITS_MAX ||
            asprintf(&unit, "%.*s%s%s", (int) (suffix - template), template, id, suffix) < 0) {
                tell(u, -ENOMEM);
                return;
        }
        u->waiting[u->n_waiting++] = unit;
        (void) sd_event_source_set_enabled(u->defer, SD_EVENT_ONESHOT);
}
