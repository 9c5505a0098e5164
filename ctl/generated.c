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
#include "ctl/child.h"
#include "ctl/output.h"
#include "ctl/units.h"
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
 * what is loaded. */
static int compare_units(UnitsDiff *ret)
{
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
        return units_compare(GENERATOR_DIR, directories[0], ret);
}

static int systemctl(const char *verb, const char *unit)
{
        return child_run((char *[]){ (char *) "systemctl", (char *) "--quiet", (char *) verb,
                                     (char *) unit, NULL });
}

static bool is_active(const char *unit)
{
        return unit && systemctl("is-active", unit) == 0;
}

static Exit act(const Ctl *c, const char *verb, const char *unit, const char *done, json_t *result)
{
        int r = systemctl(verb, unit);

        if (r != 0) {
                remark(c, "systemctl %s %s failed", verb, unit ?: "");
                return EXIT_FAILED;
        }
        if (unit) {
                (void) json_array_append_new(json_object_get(result, done), json_string(unit));
                if (c->json == JSON_OFF)
                        say(c, "%s: %s", unit, done);
        }
        return EXIT_OK;
}

/* A .socket unit cannot start beside its running service (systemd refuses); that one has bound for
 * itself, or has the socket of before. It is left as it is: stopping a server is not ours to
 * decide. */
static bool must_wait(const Ctl *c, const SocketUnit *u, json_t *result)
{
        if (u->change == UNIT_GONE || !is_active(u->service))
                return false;
        (void) json_array_append_new(json_object_get(result, "waiting"), json_string(u->name));
        remark(c,
               "%s cannot start while %s runs; for when a pause suits: systemctl stop %s && "
               "systemctl restart %s && systemctl start %s",
               u->name, u->service, u->service, u->name, u->service);
        return true;
}

static Exit follow(const Ctl *c, const UnitsDiff *diff, json_t *result)
{
        Exit e = EXIT_OK;

        /* Before: afterwards PID 1 knows nothing of them but their sockets. */
        for (size_t i = 0; i < diff->n; i++)
                if (diff->sockets[i].change == UNIT_GONE &&
                    act(c, "stop", diff->sockets[i].name, "stopped", result) != EXIT_OK)
                        e = EXIT_FAILED;

        if (act(c, "daemon-reload", NULL, NULL, result) != EXIT_OK)
                return EXIT_FAILED;
        (void) json_object_set_new(result, "daemon_reload", json_true());

        for (size_t i = 0; i < diff->n; i++) {
                const SocketUnit *u = &diff->sockets[i];

                if (u->change == UNIT_GONE || must_wait(c, u, result))
                        continue;
                if (act(c, "restart", u->name, "started", result) != EXIT_OK)
                        e = EXIT_FAILED;
        }
        return e;
}

/* Units are generated for the daemon of the host only; another one, in a directory of its own, has
 * none. */
static bool is_pid1_concerned(const Ctl *c)
{
        return strcmp(c->runtime_dir, RUNTIME_DIR_DEFAULT) == 0 || getenv(GENERATOR_ENVIRONMENT);
}

Exit generated_follow(const Ctl *c, json_t *result)
{
        _cleanup_(units_diff_done) UnitsDiff diff = {};
        int r;

        if (json_object_set_new(result, "daemon_reload", json_false()) < 0 ||
            json_object_set_new(result, "stopped", json_array()) < 0 ||
            json_object_set_new(result, "started", json_array()) < 0 ||
            json_object_set_new(result, "waiting", json_array()) < 0)
                return fail(c, EXIT_FAILED, "out of memory");
        if (sd_booted() <= 0 || !is_pid1_concerned(c))
                return EXIT_OK;

        r = compare_units(&diff);
        if (r < 0)
                return fail(
                        c, EXIT_FAILED,
                        "applied, but the generated units cannot be compared: %s; do it by hand: "
                        "systemctl daemon-reload",
                        strerror(-r));
        return diff.different ? follow(c, &diff, result) : EXIT_OK;
}
