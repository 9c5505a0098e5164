/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved-generator: run by PID 1 at boot and at daemon-reload, before any unit is loaded
 * (systemd.generator(7)): no IPC, no journal, perhaps no /var. It writes what Hold=listen and
 * Hold=bound need of PID 1:
 *
 *   portreserved-NAME.socket         for each listen reservation, wanted by sockets.target
 *   UNIT.d/50-portreserved.conf      for each owner of bound reservations, and for its .socket units
 *                                    that listen there; and for each owner of listen reservations
 *
 * What runs is what was last applied: where the daemon has left applied.conf, that is read and not
 * /etc, so that anybody's daemon-reload in the middle of an edit changes nothing. Mistakes cost
 * what they cost the daemon; none stops a boot. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "activation/generator-units.h"
#include "activation/owned-list.h"
#include "activation/preserve.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/config-file.h"
#include "kernel/config-units.h"
#include "kernel/runtime.h"
#include "kernel/unit-file.h"

typedef struct Generator {
        const char *target; /* where units go */
        const char *root;
        const char *runtime;
        const char *helper;
        UnitSockets sockets; /* of the host */
        FILE *log;
        bool failed;
} Generator;

static void complain(Generator *g, const char *format, ...) _printf_(2, 3);

static void complain(Generator *g, const char *format, ...)
{
        va_list ap;

        fputs(g->log == stderr ? "portreserved-generator: " : "<4>portreserved-generator: ",
              g->log);
        va_start(ap, format);
        vfprintf(g->log, format, ap);
        va_end(ap);
        fputc('\n', g->log);
        fflush(g->log);
}

/* Under PID 1 stderr is /dev/null, and what is to be read goes to the kernel's log. */
static FILE *open_log(void)
{
        struct stat st;
        FILE *f;

        if (fstat(STDERR_FILENO, &st) >= 0 && !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
                return stderr;
        f = fopen("/dev/kmsg", "we");
        return f ? f : stderr;
}

static int make_folder(Generator *g, const char *name, char path[static PATH_MAX])
{
        int r;

        r = path_join(path, PATH_MAX, g->target, name);
        if (r >= 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
                r = -errno;
        if (r < 0)
                complain(g, "cannot make %s in %s: %s", name, g->target, strerror(-r));
        return r;
}

/* Closes the file; what was not written to its end is taken away again, since half a unit is worse
 * than none. */
static int finish_file(Generator *g, FILE *f, const char *path)
{
        int r = ferror(f) ? -EIO : 0;

        if (fclose(f) != 0)
                r = -errno;
        if (r < 0) {
                complain(g, "cannot write %s: %s", path, strerror(-r));
                (void) unlink(path);
        }
        return r;
}

/* Has a unit wanted by another: folder is "OTHER.wants". */
static int write_want(Generator *g, const char *folder, const char *unit)
{
        char path[PATH_MAX], link[PATH_MAX], target[RESERVATION_UNIT_MAX + 4];
        int k;

        k = make_folder(g, folder, path);
        if (k < 0)
                return k;
        snprintf(target, sizeof(target), "../%s", unit);
        k = path_join(link, sizeof(link), path, unit);
        if (k < 0)
                return k;
        if (symlink(target, link) < 0 && errno != EEXIST) {
                k = -errno;
                complain(g, "cannot link %s: %s", link, strerror(-k));
        }
        return k;
}

/* Under its former name as well: PID 1 takes what it has under that name for the same unit, and its
 * listening sockets live on, with who waits in their queues. A daemon-reload that finds the old
 * name nowhere would close them. */
static int write_former_name(Generator *g, const Reservation *r, const char *unit)
{
        char former[RESERVATION_UNIT_MAX], link[PATH_MAX];
        int k;

        if (!r->former_name)
                return 0;
        snprintf(former, sizeof(former), "portreserved-%s.socket", r->former_name);
        k = path_join(link, sizeof(link), g->target, former);
        if (k >= 0 && symlink(unit, link) < 0 && errno != EEXIST)
                k = -errno;
        if (k < 0)
                complain(g, "cannot link %s: %s", former, strerror(-k));
        return k;
}

static int write_socket(Generator *g, const Reservation *r)
{
        char unit[RESERVATION_UNIT_MAX], path[PATH_MAX];
        _cleanup_(freep) char *service = NULL;
        FILE *f;
        int k;

        k = unit_resolve_alias(g->root, r->unit, &service);
        if (k < 0)
                return k;
        reservation_socket_unit(r, unit);
        k = path_join(path, sizeof(path), g->target, unit);
        if (k < 0)
                return k;
        f = fopen(path, "we");
        if (!f) {
                k = -errno;
                complain(g, "cannot write %s: %s", path, strerror(-k));
                return k;
        }
        generator_socket_unit(r, service, f);
        k = finish_file(g, f, path);
        if (k < 0)
                return k;

        k = write_former_name(g, r, unit);
        if (k < 0)
                return k;

        /* At boot; and with the daemon, where it is enabled on a host that runs already. */
        k = write_want(g, "sockets.target.wants", unit);
        if (k < 0)
                return k;
        return write_want(g, "portreserved.service.wants", unit);
}

/* Of a service; sockets have no root of their own but the host's. */
static int read_view(const Generator *g, const char *unit, UnitView *ret)
{
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        int k;

        k = unit_file_load(g->root, unit, &u);
        if (k < 0)
                return k == -ENOENT ? 0 : k;
        return unit_view_read(u, g->helper, g->runtime, ret);
}

static int write_drop_in(Generator *g, const Owned *owned, size_t n)
{
        _cleanup_(freep) const char **names = NULL, **sockets = NULL;
        GeneratorDropIn d = { .helper = g->helper, .runtime = g->runtime };
        char folder_name[NAME_MAX + 1], folder[PATH_MAX], path[PATH_MAX];
        FILE *f;
        int k;

        names = calloc(n, sizeof(*names));
        sockets = calloc(n, sizeof(*sockets));
        if (!names || !sockets)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (owned[i].reservation->hold == HOLD_LISTEN)
                        sockets[d.n_sockets++] = owned[i].reservation->name;
                else
                        names[d.n_names++] = owned[i].reservation->name;
        }
        d.names = names;
        d.sockets = sockets;
        d.socket = unit_name_has_suffix(owned->unit, ".socket");
        k = d.socket ? 0 : read_view(g, owned->unit, &d.view);
        if (k < 0)
                return k;

        if ((size_t) snprintf(folder_name, sizeof(folder_name), "%s.d", owned->unit) >=
            sizeof(folder_name))
                return -ENAMETOOLONG;
        k = make_folder(g, folder_name, folder);
        if (k >= 0)
                k = path_join(path, sizeof(path), folder, GENERATED_DROP_IN);
        if (k < 0)
                return k;
        f = fopen(path, "we");
        if (!f) {
                k = -errno;
                complain(g, "cannot write %s: %s", path, strerror(-k));
                return k;
        }
        generator_drop_in(&d, f);
        return finish_file(g, f, path);
}

static int write_drop_ins(Generator *g, const Config *c)
{
        _cleanup_(owned_list_done) OwnedList owned = { 0 };
        int k;

        k = owned_list_fill(&owned, c, g->root, &g->sockets);
        if (k < 0)
                return k;
        for (size_t i = 0, end; i < owned.n; i = end) {
                for (end = i + 1;
                     end < owned.n && strcmp(owned.items[end].unit, owned.items[i].unit) == 0;
                     end++)
                        ;
                if (write_drop_in(g, &owned.items[i], end - i) < 0)
                        g->failed = true;
        }
        return 0;
}

static int load(Generator *g, const char *main, Config **ret)
{
        ConfigPaths paths = { .main = main, .root = g->root };
        char applied[PATH_MAX];
        int k;

        k = path_join(applied, sizeof(applied), g->runtime, RUNTIME_APPLIED);
        if (k < 0)
                return k;
        k = config_load_applied(applied, ret);
        /* Damaged: the daemon reads /etc then as well. */
        return k == -ENOENT || k == -EBADMSG ? config_load(&paths, ret) : k;
}

static int run(Generator *g, const char *main)
{
        _cleanup_(config_freep) Config *c = NULL;
        size_t n_errors;
        int k;

        k = preserve_write(g->target);
        if (k < 0)
                complain(g, "cannot write a drop-in for portreserved.service: %s", strerror(-k));
        k = load(g, main, &c);
        if (k < 0) {
                complain(g, "cannot read the configuration: %s", strerror(-k));
                return k;
        }
        if (c->n_errors > 0)
                complain(g, "%s:%u: %s%s", c->errors[0].file, c->errors[0].line,
                         c->errors[0].message,
                         c->n_errors > 1 ? " (and more: portreserved --check names all)" : "");
        n_errors = c->n_errors;
        k = unit_sockets_load(g->root, &g->sockets);
        if (k >= 0)
                k = config_check_units(c, g->root, &g->sockets);
        if (k < 0) {
                complain(g, "cannot read the unit files: %s", strerror(-k));
                return k;
        }
        for (size_t i = n_errors; i < c->n_errors; i++)
                complain(g, "%s:%u: %s", c->errors[i].file, c->errors[i].line,
                         c->errors[i].message);
        CONFIG_FOREACH_RESERVATION(c, r)
                if (r->hold == HOLD_LISTEN && r->unit && write_socket(g, r) < 0)
                        g->failed = true;
        k = write_drop_ins(g, c);
        return k < 0 ? k : g->failed ? -EIO : 0;
}

static void usage(FILE *f)
{
        fputs("usage: portreserved-generator NORMAL-DIR [EARLY-DIR LATE-DIR] [--root=DIR] "
              "[--config=FILE] [--runtime-dir=DIR]\n"
              "Run by systemd at boot and at daemon-reload. Writes .socket units and drop-ins into "
              "NORMAL-DIR.\n"
              "  --root=DIR         configuration and unit files below DIR\n"
              "  --config=FILE      instead of the search path\n"
              "  --runtime-dir=DIR  where applied.conf is looked for, " RUNTIME_DIR_DEFAULT "\n"
              "  --help, --version\n",
              f);
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "root", required_argument, NULL, 'r' },
                { "config", required_argument, NULL, 'c' },
                { "runtime-dir", required_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                {},
        };
        Generator g = { .root = "", .runtime = RUNTIME_DIR_DEFAULT, .helper = HANDOVER_PATH };
        const char *main_file = NULL;
        int o, k;

        while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (o) {
                case 'r':
                        g.root = strcmp(optarg, "/") == 0 ? "" : optarg;
                        break;
                case 'c':
                        main_file = optarg;
                        break;
                case 'd':
                        g.runtime = optarg;
                        break;
                case 'h':
                        usage(stdout);
                        return 0;
                case 'V':
                        puts("portreserved-generator " PROJECT_VERSION);
                        return 0;
                default:
                        usage(stderr);
                        return 2;
                }
        if (argc - optind != 1 && argc - optind != 3) {
                usage(stderr);
                return 2;
        }
        g.target = argv[optind];
        g.log = open_log();
        umask(0022);
        k = run(&g, main_file);
        unit_sockets_done(&g.sockets);
        return k < 0 ? 1 : 0;
}
