/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/generated.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/table.h"
#include "kernel/runtime.h"
#include "kernel/unit-file.h"

#define NAMED_MAX   8u
#define UNITS_DIR   "/run/systemd"
#define UNITS_STAMP "systemd-units-load"
/* While the helper is missing, since its directory may be another when it comes back. */
#define RETRY_USEC (1 * USEC_PER_SEC)

struct Generated {
        sd_event *event;
        GeneratedOps ops;
        void *userdata;
        sd_event_source *units, *helper, *timer;
        bool no_helper;
        Table silent; /* by Reservation's address: bound, and nobody tells of its owner */
        char *words;
};

static const char *helper_name(void)
{
        return strrchr(HANDOVER_PATH, '/') + 1;
}

static bool is_there(const char *path)
{
        return access(path, F_OK) == 0 || errno != ENOENT;
}

static bool is_missing(const Generated *g, const Reservation *r)
{
        _cleanup_(freep) char *owner = NULL;
        char unit[RESERVATION_UNIT_MAX], path[PATH_MAX];
        int n;

        switch (r->hold) {
        case HOLD_LISTEN:
                n = snprintf(path, sizeof(path), GENERATOR_DIR "/%s",
                             reservation_socket_unit(r, unit));
                break;
        case HOLD_BOUND:
                if (!r->unit || unit_resolve_alias("", r->unit, &owner) < 0)
                        return false;
                if (g->no_helper)
                        return true;
                n = snprintf(path, sizeof(path), GENERATOR_DIR "/%s.d/" GENERATED_DROP_IN, owner);
                break;
        default:
                return false;
        }
        return (size_t) n < sizeof(path) && !is_there(path);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Generated *g = userdata;

        if (is_there(HANDOVER_PATH)) {
                g->ops.changed(false, g->userdata);
                return 0;
        }
        (void) sd_event_source_set_time_relative(s, RETRY_USEC);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

static int on_units(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        Generated *g = userdata;

        if (e->len > 0 && strcmp(e->name, UNITS_STAMP) == 0)
                g->ops.changed(true, g->userdata);
        return 0;
}

static int on_helper(sd_event_source *s, const struct inotify_event *e, void *userdata)
{
        Generated *g = userdata;

        if (e->len == 0 || strcmp(e->name, helper_name()) == 0)
                g->ops.changed(false, g->userdata);
        return 0;
}

static void watch_helper(Generated *g)
{
        static const char path[] = HANDOVER_PATH;
        char folder[sizeof(path)];

        (void) snprintf(folder, sizeof(folder), "%.*s", (int) (helper_name() - path - 1), path);
        g->helper = sd_event_source_disable_unref(g->helper);
        (void) sd_event_add_inotify(g->event, &g->helper, folder,
                                    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                            IN_DELETE_SELF | IN_MOVE_SELF,
                                    on_helper, g);
}

int generated_new(sd_event *event, const GeneratedOps *ops, void *userdata, Generated **ret)
{
        _cleanup_(generated_freep) Generated *g = NULL;
        int r;

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        g->event = sd_event_ref(event);
        g->ops = *ops;
        g->userdata = userdata;
        r = sd_event_add_time_relative(event, &g->timer, CLOCK_MONOTONIC, 0, 0, on_timer, g);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_inotify(event, &g->units, UNITS_DIR, IN_ATTRIB | IN_CREATE, on_units, g);
        if (r < 0)
                return r;
        watch_helper(g);
        *ret = TAKE_PTR(g);
        return 0;
}

Generated *generated_free(Generated *g)
{
        if (!g)
                return NULL;
        sd_event_source_disable_unref(g->units);
        sd_event_source_disable_unref(g->helper);
        sd_event_source_disable_unref(g->timer);
        sd_event_unref(g->event);
        table_deinit(&g->silent);
        free(g->words);
        free(g);
        return NULL;
}

static void look_for_helper(Generated *g)
{
        bool was_missing = g->no_helper;

        g->no_helper = !is_there(HANDOVER_PATH);
        if (g->no_helper) {
                (void) sd_event_source_set_time_relative(g->timer, RETRY_USEC);
                (void) sd_event_source_set_enabled(g->timer, SD_EVENT_ONESHOT);
        } else if (was_missing)
                watch_helper(g);
}

bool generated_look(Generated *g, const Config *c)
{
        _cleanup_(freep) char *before = TAKE_PTR(g->words);
        size_t size = 0, n = 0, silent = g->silent.n;
        FILE *f;

        look_for_helper(g);
        table_deinit(&g->silent);
        g->silent = (Table){};
        f = open_memstream(&g->words, &size);
        CONFIG_FOREACH_RESERVATION(c, r) {
                if (!is_missing(g, r))
                        continue;
                if (r->hold == HOLD_BOUND)
                        (void) table_set(&g->silent, (uintptr_t) r, r);
                if (f && ++n <= NAMED_MAX)
                        fprintf(f, "%s%s", n > 1 ? ", " : "", r->name);
        }
        if (f && n > NAMED_MAX)
                fprintf(f, " and %zu more", n - NAMED_MAX);
        if (f && (fclose(f) != 0 || n == 0)) {
                free(g->words);
                g->words = NULL;
        }
        return silent != g->silent.n || strcmp(before ?: "", g->words ?: "") != 0;
}

bool generated_announces(const Generated *g, const Reservation *r)
{
        return !table_get(&g->silent, (uintptr_t) r);
}

const char *generated_missing(const Generated *g)
{
        return g->words;
}
