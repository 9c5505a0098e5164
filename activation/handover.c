/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved-handover: tells the daemon that the owner of a reservation starts or has stopped. It
 * runs as root from the generated drop-in's ExecStartPre=-+ and ExecStopPost=-+, also inside the
 * root directory of other units: so it is linked statically and uses nothing but libc.
 *
 * Fail open: a start never fails because of portreserved, and never waits long for it. Where the
 * daemon is gone for good, PID 1 would go on holding the port in its fd store, and the owner could
 * not bind: only then the store is emptied. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "activation/systemctl.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/runtime.h"

/* How long one may wait for an answer of a daemon that is there, and for one that is being
 * restarted. */
#define REPLY_USEC   (2 * 1000000u)
#define RESTART_USEC (5 * 1000000u)
#define RETRY_USEC   20000u
#define RESETS_MAX   3 /* a daemon that hangs up on us; more is no crash */

#define DAEMON_UNIT "portreserved.service"

enum {
        EXIT_REFUSED = 1, /* the daemon said no; ExecStartPre=- ignores it */
        EXIT_USAGE = 2,
};

static int wait_for(int fd, short events, uint64_t deadline)
{
        for (;;) {
                struct pollfd p = { .fd = fd, .events = events };
                uint64_t n = now_usec(CLOCK_MONOTONIC);
                int r;

                if (n >= deadline)
                        return -ETIMEDOUT;
                r = poll(&p, 1, (int) ((deadline - n + 999u) / 1000u));
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

/* One request, one reply. On success the reply is in buf, NUL-terminated. -ENOENT, -ECONNREFUSED:
 * nobody there; -ETIMEDOUT, -ECONNRESET: there, and did not answer. */
static int exchange(const struct sockaddr_un *sa, const char *request, size_t size, char *buf,
                    size_t buf_size, uint64_t deadline)
{
        _cleanup_(closep) int fd = -1;
        ssize_t n;
        int r;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        while (connect(fd, (const struct sockaddr *) sa, sizeof(*sa)) < 0) {
                /* A full backlog; nothing tells when there is room. */
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (now_usec(CLOCK_MONOTONIC) >= deadline)
                        return -ETIMEDOUT;
                (void) usleep(RETRY_USEC);
        }

        r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
                return r;
        if (send(fd, request, size, MSG_NOSIGNAL) < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;

        r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
                return r;
        n = recv(fd, buf, buf_size - 1, 0);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ECONNRESET;
        buf[n] = 0;
        return 0;
}

/* Empties the fd store of a daemon that will not come back by itself. */
static void release_store(void)
{
        (void) fprintf(
                stderr,
                "portreserved has failed: its sockets are closed, so that this service can start. "
                "See \"systemctl status portreserved\".\n");
        /* systemd 257 refuses to clean a unit that is failed or waits for its restart; 252 knows no
         * fdstore to clean, and drops the store by itself. */
        (void) systemctl_run((const char *const[]){ "stop", DAEMON_UNIT, NULL });
        (void) systemctl_run((const char *const[]){ "reset-failed", DAEMON_UNIT, NULL });
        (void) systemctl_run((const char *const[]){ "clean", "--what=fdstore", DAEMON_UNIT, NULL });
}

/* Asks until there is an answer or no hope. For a start, a daemon that is on its way back gets
 * RESTART_USEC, and its store is emptied if it does not make it. */
static int hand_over(bool start, const struct sockaddr_un *sa, const char *request, size_t size,
                     char *buf, size_t buf_size)
{
        uint64_t begin = now_usec(CLOCK_MONOTONIC);
        uint64_t patience = begin + (start ? RESTART_USEC : REPLY_USEC);
        bool asked = false;
        unsigned resets = 0;

        for (;;) {
                DaemonState state;
                int r;

                r = exchange(sa, request, size, buf, buf_size,
                             now_usec(CLOCK_MONOTONIC) + REPLY_USEC);
                if (r != -ENOENT && r != -ECONNREFUSED && r != -ECONNRESET)
                        return r;
                if (r == -ECONNRESET && ++resets > RESETS_MAX)
                        return r;

                /* Asking PID 1 costs some milliseconds: not at each turn. The last one decides. */
                if (!asked || now_usec(CLOCK_MONOTONIC) >= patience) {
                        state = systemctl_state(DAEMON_UNIT);
                        asked = true;
                        if (state == DAEMON_GONE)
                                return r;
                        if (state == DAEMON_FAILED ||
                            (state == DAEMON_RESTARTING && now_usec(CLOCK_MONOTONIC) >= patience)) {
                                if (start)
                                        release_store();
                                return r;
                        }
                }
                if (now_usec(CLOCK_MONOTONIC) >= patience)
                        return r;
                (void) usleep(RETRY_USEC);
        }
}

static void help(FILE *f)
{
        (void) fputs("portreserved-handover [--runtime-dir DIR] start|stop NAME...\n"
                     "\n"
                     "Tells portreserved that the service of a reservation starts or has stopped. "
                     "Generated drop-ins run it;\n"
                     "see portreserved(8).\n",
                     f);
}

static int usage(const char *what)
{
        (void) fprintf(stderr, "portreserved-handover: %s\n", what);
        help(stderr);
        return EXIT_USAGE;
}

/* "start" NUL, NAME NUL… */
static int format_request(char *const *words, char *buf, size_t size, size_t *ret)
{
        size_t n = 0;

        for (; *words; words++) {
                size_t l = strlen(*words) + 1;

                if (l > size - n)
                        return -E2BIG;
                memcpy(buf + n, *words, l);
                n += l;
        }
        *ret = n;
        return 0;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                { "runtime-dir", required_argument, NULL, 'r' },
                {},
        };
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        const char *runtime_dir = RUNTIME_DIR_DEFAULT;
        char request[HANDOVER_MESSAGE_MAX], reply[HANDOVER_MESSAGE_MAX + 1];
        size_t size = 0;
        bool start;
        int c, r;

        while ((c = getopt_long(argc, argv, "+hV", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help(stdout);
                        return EXIT_SUCCESS;
                case 'V':
                        (void) puts("portreserved-handover " PROJECT_VERSION);
                        return EXIT_SUCCESS;
                case 'r':
                        runtime_dir = optarg;
                        break;
                default:
                        return EXIT_USAGE;
                }

        if (argc - optind < 2)
                return usage("start or stop, and at least one name, are needed");
        start = strcmp(argv[optind], "start") == 0;
        if (!start && strcmp(argv[optind], "stop") != 0)
                return usage("the first word is start or stop");
        if ((size_t) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", runtime_dir,
                              RUNTIME_HANDOVER) >= sizeof(sa.sun_path))
                return usage("the runtime directory's path is too long for a socket");
        if (format_request(argv + optind, request, sizeof(request), &size) < 0)
                return usage("too many names for one request");

        r = hand_over(start, &sa, request, size, reply, sizeof(reply));
        if (r < 0) {
                (void) fprintf(stderr, "portreserved does not answer (%s): going on without it.\n",
                               strerror(-r));
                return EXIT_SUCCESS;
        }
        if (strncmp(reply, "error ", 6) == 0) {
                (void) fprintf(stderr, "portreserved: %s\n", reply + 6);
                return EXIT_REFUSED;
        }
        return EXIT_SUCCESS;
}
