/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/generated.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/printable.h"
#include "ctl/child.h"
#include "ctl/output.h"
#include "ctl/systemctl.h"
#include "kernel/runtime.h"

/* Tests run the one that was built. */
#define GENERATOR_ENVIRONMENT "PORTRESERVED_GENERATOR"

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void) remove(path);
        return 0;
}

static void remove_treep(char (*path)[PATH_MAX])
{
        if (**path)
                (void) nftw(*path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Runs the generator as PID 1 would, into directories of our own, and compares what it wrote with
 * what was there. */
static int compare_units(const Units *before, UnitsDiff *ret)
{
        _cleanup_(units_freep) Units *now = NULL;
        _cleanup_(remove_treep) char top[PATH_MAX] = "";
        const char *generator = getenv(GENERATOR_ENVIRONMENT) ?: GENERATOR_PATH;
        static const char *const names[] = { "normal", "early", "late" };
        char directories[ELEMENTSOF(names)][PATH_MAX];
        char made[] = "/tmp/portreservectl-XXXXXX";
        int r;

        if (!mkdtemp(made))
                return -errno;
        (void) strcpy(top, made);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                r = path_join(directories[i], sizeof(directories[i]), top, names[i]);
                if (r < 0)
                        return r;
                if (mkdir(directories[i], 0755) < 0)
                        return -errno;
        }
        r = child_run((char *[]){ (char *) generator, directories[0], directories[1],
                                  directories[2], NULL });
        if (r < 0)
                return r;
        if (r > 0)
                return -EIO;
        r = units_read(directories[0], &now);
        return r < 0 ? r : units_compare(before, now, ret);
}

/* Units to act upon together. */
typedef struct Batch {
        const char **names;
        size_t n;
} Batch;

static void batch_done(Batch *b)
{
        free(b->names);
}

typedef bool (*Wanted)(const ChangedSocket *u, bool service_runs, bool runs);

static int batch_fill(Batch *b, const UnitsDiff *d, const bool *service_runs, const bool *runs,
                      Wanted wanted)
{
        b->names = calloc(d->n + 1, sizeof(*b->names));
        if (!b->names)
                return -ENOMEM;
        for (size_t i = 0; i < d->n; i++)
                if (wanted(&d->sockets[i], service_runs[i], runs[i]))
                        b->names[b->n++] = d->sockets[i].name;
        return 0;
}

/* Its file is gone. Or its service runs: what that one has it keeps, and PID 1 lets go of it, so
 * that the new one is not in place already when the service starts again. */
static bool is_to_stop(const ChangedSocket *u, bool service_runs, bool runs)
{
        return runs && (u->change == UNIT_GONE || (u->change == UNIT_CHANGED && service_runs));
}

static bool is_to_start(const ChangedSocket *u, bool service_runs, bool runs)
{
        if (service_runs)
                return false;
        return u->change == UNIT_NEW || u->change == UNIT_CHANGED ||
               (u->change == UNIT_RENAMED && !runs);
}

static bool is_kept(const ChangedSocket *u, bool service_runs, bool runs)
{
        return u->change == UNIT_RENAMED && runs;
}

/* A .socket unit cannot start beside its running service (systemd refuses). The service's drop-in
 * wants it: it comes with its next start. */
static bool is_waiting(const ChangedSocket *u, bool service_runs, bool runs)
{
        return u->change != UNIT_GONE && service_runs && !is_kept(u, service_runs, runs);
}

static void tell(const Ctl *c, const Batch *b, const char *done, json_t *result)
{
        for (size_t i = 0; i < b->n; i++) {
                (void) json_array_append_new(json_object_get(result, done),
                                             json_string(b->names[i]));
                if (c->json == JSON_OFF)
                        say(c, "%s: %s", b->names[i], done);
        }
}

static void tell_waiting(const Ctl *c, const UnitsDiff *d, const bool *service_runs,
                         const bool *runs, json_t *result)
{
        for (size_t i = 0; i < d->n; i++) {
                const ChangedSocket *u = &d->sockets[i];

                if (!is_waiting(u, service_runs[i], runs[i]))
                        continue;
                (void) json_array_append_new(json_object_get(result, "waiting"),
                                             json_string(u->name));
                remark(c, "%s: %s gets it at its next restart: systemctl restart %s", u->name,
                       u->service, u->service);
        }
}

/* Which of them run, and their services. */
static int look_at_states(const UnitsDiff *d, bool *service_runs, bool *runs)
{
        _cleanup_(freep) const char **names = calloc(d->n + 1, sizeof(*names));
        int r;

        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < d->n; i++)
                names[i] = d->sockets[i].service;
        r = systemctl_running(names, d->n, service_runs);
        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n; i++)
                names[i] = d->sockets[i].name;
        return systemctl_running(names, d->n, runs);
}

static Exit act(const Ctl *c, const char *verb, const UnitsDiff *d, const bool *service_runs,
                const bool *runs, Wanted wanted, const char *done, json_t *result)
{
        _cleanup_(batch_done) Batch b = {};

        if (batch_fill(&b, d, service_runs, runs, wanted) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        if (b.n == 0)
                return EXIT_OK;
        if (systemctl_run(verb, b.names, b.n) != 0) {
                remark(c, "systemctl %s of %zu .socket unit%s failed; see systemctl --failed", verb,
                       b.n, PLURAL(b.n));
                return EXIT_FAILED;
        }
        tell(c, &b, done, result);
        return EXIT_OK;
}

static Exit follow_sockets(const Ctl *c, const UnitsDiff *d, json_t *result)
{
        _cleanup_(freep) bool *service_runs = calloc(d->n + 1, sizeof(bool));
        _cleanup_(freep) bool *runs = calloc(d->n + 1, sizeof(bool));
        _cleanup_(batch_done) Batch kept = {};
        Exit stopped, started;
        int r;

        if (!service_runs || !runs)
                return fail(c, EXIT_FAILED, "out of memory");
        r = look_at_states(d, service_runs, runs);
        if (r < 0)
                return fail(c, EXIT_FAILED, "applied and loaded, but systemctl show: %s",
                            strerror(-r));
        if (batch_fill(&kept, d, service_runs, runs, is_kept) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        tell(c, &kept, "renamed", result);
        stopped = act(c, "stop", d, service_runs, runs, is_to_stop, "stopped", result);
        started = act(c, "restart", d, service_runs, runs, is_to_start, "started", result);
        tell_waiting(c, d, service_runs, runs, result);
        return stopped != EXIT_OK ? stopped : started;
}

/* First the daemon-reload: where it fails nothing has been touched. By it PID 1 closes the sockets
 * whose address is in no unit any more, and no others. */
static Exit follow(const Ctl *c, const UnitsDiff *d, json_t *result)
{
        if (systemctl_run("daemon-reload", NULL, 0) != 0)
                return fail(c, EXIT_FAILED,
                            "applied, but systemctl daemon-reload failed: PID 1 goes on with the "
                            "units that it has loaded; when that is mended, run portreservectl "
                            "reload again");
        (void) json_object_set_new(result, "daemon_reload", json_true());
        return d->n > 0 ? follow_sockets(c, d, result) : EXIT_OK;
}

/* Units are generated for the daemon of the host only; another one, in a directory of its own, has
 * none. */
static bool is_pid1_concerned(const Ctl *c)
{
        return sd_booted() > 0 &&
               (strcmp(c->runtime_dir, RUNTIME_DIR_DEFAULT) == 0 || getenv(GENERATOR_ENVIRONMENT));
}

Exit generated_look(const Ctl *c, Units **ret)
{
        int r;

        *ret = NULL;
        if (!is_pid1_concerned(c))
                return EXIT_OK;
        r = units_read(GENERATOR_DIR, ret);
        return r < 0 ? fail(c, EXIT_FAILED, "not applied: " GENERATOR_DIR ": %s", strerror(-r))
                     : EXIT_OK;
}

Exit generated_follow(const Ctl *c, const Units *before, json_t *result)
{
        static const char *const lists[] = { "stopped", "started", "renamed", "waiting" };
        _cleanup_(units_diff_done) UnitsDiff diff = {};
        int r;

        r = json_object_set_new(result, "daemon_reload", json_false());
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(lists); i++)
                r = json_object_set_new(result, lists[i], json_array());
        if (r < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        if (!before)
                return EXIT_OK;

        r = compare_units(before, &diff);
        if (r < 0)
                return fail(
                        c, EXIT_FAILED,
                        "applied, but the generated units cannot be compared: %s; do it by hand: "
                        "systemctl daemon-reload",
                        strerror(-r));
        return diff.different ? follow(c, &diff, result) : EXIT_OK;
}
