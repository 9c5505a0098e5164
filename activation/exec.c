/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserve-exec: opens the port of a reservation to a command, for whoever starts servers
 * without systemd. It asks the daemon, then becomes the command: the daemon goes by our process id,
 * so the port is the command's for as long as it lives. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activation/arguments.h"
#include "activation/exchange.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define REPLY_USEC (25 * USEC_PER_SEC)
#define LISTEN_FDS_START                                                                           \
        3 /* SD_LISTEN_FDS_START, without its library: that costs a start more than all of this */

/* As portreservectl's; 126 and 127 as env(1)'s. */
enum {
        EXIT_NOT_RUNNING = 3,
        EXIT_DENIED = 5,
        EXIT_CANNOT_EXEC = 126,
        EXIT_NO_COMMAND = 127,
};

static int fail(int status, const char *what, const char *why)
{
        (void) fprintf(stderr, "portreserve-exec: %s: %s\n", what, why);
        return status;
}

static int explain(const char *runtime_dir, const char *name, int r)
{
        switch (r) {
        case -ENOENT:
        case -ECONNREFUSED:
                return fail(EXIT_NOT_RUNNING, runtime_dir,
                            "portreserved is not running; start it with: systemctl start "
                            "portreserved");
        case -ECONNRESET: /* it hangs up on users that it has no business with */
        case -EACCES:
                return fail(EXIT_DENIED, name,
                            "portreserved refused the connection; only root and users named in "
                            "User= may ask");
        default:
                return fail(EXIT_FAILURE, name, strerror(-r));
        }
}

/* "STATUS TEXT" */
static int refused(const char *name, const char *reply)
{
        char *text;
        long status = strtol(reply, &text, 10);

        return fail(status > 0 && status < EXIT_CANNOT_EXEC ? (int) status : EXIT_FAILURE, name,
                    text + strspn(text, " "));
}

/* Makes of each NUL but the last a colon, as LISTEN_FDNAMES wants them. No name has one
 * (sd_listen_fds_with_names(3)). */
static void join(char *names, size_t size)
{
        for (size_t i = 0; i + 1 < size; i++)
                if (names[i] == 0)
                        names[i] = ':';
}

/* How many sockets this process was given already: by another portreserve-exec, which has become this
 * one, for a command that needs several reservations. What was meant for another process is stale. */
static size_t inherited(const char **ret_names)
{
        const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
        unsigned long n;

        *ret_names = getenv("LISTEN_FDNAMES");
        if (!pid || !number || !*ret_names || strtol(pid, NULL, 10) != getpid())
                return 0;
        n = strtoul(number, NULL, 10);
        return n <= OPEN_SOCKETS_MAX ? n : 0;
}

static int set_environment(size_t n, const char *names)
{
        char number[32];

        (void) snprintf(number, sizeof(number), "%d", (int) getpid());
        if (setenv("LISTEN_PID", number, 1) < 0)
                return -errno;
        (void) snprintf(number, sizeof(number), "%zu", n);
        if (setenv("LISTEN_FDS", number, 1) < 0)
                return -errno;
        return setenv("LISTEN_FDNAMES", names, 1) < 0 ? -errno : 0;
}

/* Sets what sd_listen_fds(3) reads, and puts the sockets at 3 and up, behind those that are there. */
static int inherit(ExchangeSockets *s, const char *names)
{
        _cleanup_(freep) char *joined = NULL;
        const char *before;
        size_t first = inherited(&before), end = first + s->n;

        if (first == 0) {
                (void) unsetenv("LISTEN_PID");
                (void) unsetenv("LISTEN_FDS");
                (void) unsetenv("LISTEN_FDNAMES");
        }
        if (s->n == 0)
                return 0;
        if (asprintf(&joined, "%s%s%s", first ? before : "", first ? ":" : "", names) < 0)
                return -ENOMEM;

        /* First above all that is about to be put in place. */
        for (size_t i = 0; i < s->n; i++) {
                s->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, LISTEN_FDS_START + (int) end);
                if (s->fds[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < s->n; i++) {
                int fd = dup2(s->fds[i], LISTEN_FDS_START + (int) (first + i));

                /* As systemd passes them: accept() waits. The daemon never calls it. */
                if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
                        return -errno;
        }
        return set_environment(end, joined);
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
        static char reply[OPEN_REPLY_MAX + 1];
        const char *runtime_dir = RUNTIME_DIR_DEFAULT, *name;
        ExchangeSockets sockets = {};
        struct sockaddr_un sa;
        size_t size;
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
                return arguments_usage(help, "no command given");

        r = exchange_address(runtime_dir, RUNTIME_OPEN, &sa);
        if (r >= 0)
                r = exchange(&sa, name, strlen(name) + 1, reply, sizeof(reply), &sockets,
                             now_usec(CLOCK_MONOTONIC) + REPLY_USEC);
        if (r < 0)
                return explain(runtime_dir, name, r);
        if (strncmp(reply, "error ", 6) == 0)
                return refused(name, reply + 6);
        size = strlen(reply) + 1; /* of "ok" */
        if ((size_t) r > size)
                join(reply + size, (size_t) r - size);
        r = inherit(&sockets, reply + size);
        if (r < 0)
                return fail(EXIT_FAILURE, name, strerror(-r));

        (void) execvp(argv[optind], argv + optind);
        r = errno;
        return fail(r == ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_EXEC, argv[optind], strerror(r));
}
