/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserve-exec: opens the port of a reservation to a command, for whoever starts servers
 * without systemd. It asks the daemon, then becomes the command: the daemon goes by our process id,
 * so the port is the command's for as long as it lives. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "activation/arguments.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/bus-client.h"
#include "kernel/runtime.h"

#define CALL_USEC   (25 * 1000000u)
#define FDS_MAX     253 /* of one message (SCM_MAX_FD) */
#define ERROR_NAMES "org.portreserved1.Error."

/* As portreservectl's; 126 and 127 as env(1)'s. */
enum {
        EXIT_USAGE = 2,
        EXIT_NOT_RUNNING = 3,
        EXIT_NOT_FOUND = 4,
        EXIT_DENIED = 5,
        EXIT_IN_USE = 6,
        EXIT_CANNOT_EXEC = 126,
        EXIT_NO_COMMAND = 127,
};

typedef struct Sockets {
        int fds[FDS_MAX];
        size_t n;
        char *names; /* LISTEN_FDNAMES */
} Sockets;

static void sockets_done(Sockets *s)
{
        for (size_t i = 0; i < s->n; i++)
                (void) close(s->fds[i]);
        free(s->names);
}

static int fail(int status, const char *what, const char *why)
{
        (void) fprintf(stderr, "portreserve-exec: %s: %s\n", what, why);
        return status;
}

static int control_open(const char *runtime_dir, sd_bus **ret)
{
        char path[PATH_MAX];
        int r;

        r = path_join(path, sizeof(path), runtime_dir, RUNTIME_CONTROL);
        if (r < 0)
                return r;
        return bus_client_open(path, CALL_USEC, true, ret);
}

/* "ah": copies above everything that inherit() will put in place, close-on-exec. */
static int read_fds(sd_bus_message *m, Sockets *s)
{
        int r, fd;

        r = sd_bus_message_enter_container(m, 'a', "h");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "h", &fd)) > 0) {
                int copy;

                if (s->n >= FDS_MAX)
                        return -EMFILE;
                copy = fcntl(fd, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START + FDS_MAX);
                if (copy < 0)
                        return -errno;
                s->fds[s->n++] = copy;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

/* "as": joined by colons. A name has none (sd_listen_fds_with_names(3)). */
static int read_names(sd_bus_message *m, Sockets *s)
{
        _cleanup_(freep) char *joined = NULL;
        const char *name;
        int r;

        joined = strdup("");
        if (!joined)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &name)) > 0) {
                char *longer = NULL;

                if (asprintf(&longer, "%s%s%s", joined, *joined ? ":" : "", name) < 0)
                        return -ENOMEM;
                free(joined);
                joined = longer;
        }
        if (r < 0)
                return r;
        s->names = TAKE_PTR(joined);
        return sd_bus_message_exit_container(m);
}

static int call_open(sd_bus *bus, const char *name, Sockets *s, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_call_method(bus, NULL, "/org/portreserved1", "org.portreserved1", "Open", error,
                               &reply, "s", name);
        if (r < 0)
                return r;
        r = read_fds(reply, s);
        if (r < 0)
                return r;
        return read_names(reply, s);
}

static int explain(const char *name, int r, const sd_bus_error *error)
{
        static const struct {
                const char *error;
                int status;
        } statuses[] = {
                { ERROR_NAMES "NotFound", EXIT_NOT_FOUND },
                { ERROR_NAMES "Denied", EXIT_DENIED },
                { ERROR_NAMES "InUse", EXIT_IN_USE },
        };

        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (sd_bus_error_has_name(error, statuses[i].error))
                        return fail(statuses[i].status, name, error->message);
        /* The daemon hangs up on users that it has no business with. */
        if (r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN || r == -EACCES)
                return fail(EXIT_DENIED, name,
                            "portreserved refused the connection; only root and users named in "
                            "User= may ask");
        return fail(EXIT_FAILURE, name, error->message ?: strerror(-r));
}

/* Sets what sd_listen_fds(3) reads, and puts the sockets at 3 and up. */
static int inherit(const Sockets *s)
{
        char number[32];

        (void) unsetenv("LISTEN_PID");
        (void) unsetenv("LISTEN_FDS");
        (void) unsetenv("LISTEN_FDNAMES");
        if (s->n == 0)
                return 0;

        for (size_t i = 0; i < s->n; i++)
                if (dup2(s->fds[i], SD_LISTEN_FDS_START + (int) i) < 0)
                        return -errno;

        (void) snprintf(number, sizeof(number), "%d", (int) getpid());
        if (setenv("LISTEN_PID", number, 1) < 0)
                return -errno;
        (void) snprintf(number, sizeof(number), "%zu", s->n);
        if (setenv("LISTEN_FDS", number, 1) < 0)
                return -errno;
        if (setenv("LISTEN_FDNAMES", s->names, 1) < 0)
                return -errno;
        return 0;
}

static const char help[] =
        "portreserve-exec [--runtime-dir DIR] NAME -- COMMAND [ARGUMENT...]\n"
        "\n"
        "Opens the ports of a reservation to a command and becomes it. See portreserve-exec(1).\n"
        "\n"
        "  --runtime-dir DIR  where the daemon is (" RUNTIME_DIR_DEFAULT ")\n"
        "  -h, --help         this text\n"
        "      --version      the version\n";

int main(int argc, char *argv[])
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sockets_done) Sockets sockets = {};
        const char *runtime_dir = RUNTIME_DIR_DEFAULT, *name;
        int r;

        r = arguments_parse(argc, argv, help, &runtime_dir);
        if (r >= 0)
                return r;
        if (argc - optind < 1)
                return arguments_usage(help, "the name of a reservation is needed");
        name = argv[optind++];
        if (optind < argc && strcmp(argv[optind], "--") == 0)
                optind++;
        if (optind >= argc)
                return fail(EXIT_USAGE, name, "no command given");

        r = control_open(runtime_dir, &bus);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return fail(EXIT_NOT_RUNNING, runtime_dir,
                            "portreserved is not running; start it with: systemctl start "
                            "portreserved");
        if (r >= 0)
                r = call_open(bus, name, &sockets, &error);
        if (r < 0)
                return explain(name, r, &error);

        bus = sd_bus_flush_close_unref(bus);
        r = inherit(&sockets);
        if (r < 0)
                return fail(EXIT_FAILURE, name, strerror(-r));

        (void) execvp(argv[optind], argv + optind);
        r = errno;
        return fail(r == ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_EXEC, argv[optind], strerror(r));
}
