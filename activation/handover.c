/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved-handover: tells the daemon that the owner of a reservation starts or has stopped. It
 * runs as root from the generated drop-in's ExecStartPre=-+ and ExecStopPost=-+, also inside the
 * root directory of other units: so it is linked statically and uses nothing but libc.
 *
 * Fail open: a start never fails because of portreserved, and never waits long for it. Where the
 * daemon is gone for good, PID 1 would go on holding the port in its fd store, and the owner could
 * not bind: only then the store is emptied. One that is there and does not answer is killed first,
 * as its watchdog would do later: it loses nothing by that, and PID 1 starts it again. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "activation/arguments.h"
#include "activation/exchange.h"
#include "activation/systemctl.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/runtime.h"

/* How long one may wait for an answer of a daemon that is there, and for one that is being
 * restarted. */
#define REPLY_USEC   (2500 * 1000u)
#define RESTART_USEC (5 * 1000000u)
#define RETRY_USEC   20000u
#define RESETS_MAX   3 /* a daemon that hangs up on us; more is no crash */

#define DAEMON_UNIT    "portreserved.service"
#define COMPANION_UNIT "portreserved-list.service"

#define EXIT_REFUSED 1 /* the daemon said no; ExecStartPre=- ignores it */

static void kill_daemon(void)
{
        (void) systemctl_run((const char *const[]){ "kill", "--signal=KILL", DAEMON_UNIT, NULL });
}

/* Empties the fd store of a daemon that will not come back by itself. */
static void release_store(void)
{
        (void) fprintf(
                stderr,
                "portreserved has failed: its sockets are closed, so that this service can start. "
                "See \"systemctl status portreserved\".\n");
        /* systemd 257 refuses to clean a unit that is failed or waits for its restart; 252 knows no
         * fdstore to clean, and drops the store by itself. To stop one that hangs takes longer than
         * its owner has. */
        kill_daemon();
        (void) systemctl_run((const char *const[]){ "stop", DAEMON_UNIT, NULL });
        (void) systemctl_run((const char *const[]){ "reset-failed", DAEMON_UNIT, NULL });
        (void) systemctl_run((const char *const[]){ "clean", "--what=fdstore", DAEMON_UNIT, NULL });
}

/* Is it worth to ask again? At the end of patience, a daemon that is not there yet has failed. */
static bool is_hopeful(bool start, bool patient)
{
        switch (systemctl_state(DAEMON_UNIT, COMPANION_UNIT)) {
        case DAEMON_GONE:
                return false;
        case DAEMON_FAILED:
                if (start)
                        release_store();
                return false;
        case DAEMON_RESTARTING:
                if (start && !patient)
                        release_store();
                return patient;
        case DAEMON_LETTING_GO:
        case DAEMON_THERE:
                break;
        }
        return patient;
}

/* Asks until there is an answer or no hope. For a start, a daemon that is on its way back gets
 * RESTART_USEC. */
static int ask(bool start, const struct sockaddr_un *sa, const char *request, size_t size,
               char *buf, size_t buf_size)
{
        uint64_t patience = now_usec(CLOCK_MONOTONIC) + (start ? RESTART_USEC : REPLY_USEC);
        bool asked = false;
        unsigned resets = 0;

        for (;;) {
                bool patient;
                int r;

                r = exchange(sa, request, size, buf, buf_size, NULL,
                             now_usec(CLOCK_MONOTONIC) + REPLY_USEC);
                if (r != -ENOENT && r != -ECONNREFUSED && r != -ECONNRESET)
                        return r;
                if (r == -ECONNRESET && ++resets > RESETS_MAX)
                        return r;

                /* Asking PID 1 costs some milliseconds: not at each turn. The last one decides. */
                patient = now_usec(CLOCK_MONOTONIC) < patience;
                if ((!asked || !patient) && !is_hopeful(start, patient))
                        return r;
                asked = true;
                (void) usleep(RETRY_USEC);
        }
}

static int hand_over(bool start, const struct sockaddr_un *sa, const char *request, size_t size,
                     char *buf, size_t buf_size)
{
        int r;

        r = ask(start, sa, request, size, buf, buf_size);
        if (r != -ETIMEDOUT || !start ||
            systemctl_state(DAEMON_UNIT, COMPANION_UNIT) != DAEMON_THERE)
                return r;

        (void) fprintf(stderr, "portreserved does not answer: killed, so that it is restarted.\n");
        kill_daemon();
        r = ask(start, sa, request, size, buf, buf_size);
        if (r == -ETIMEDOUT)
                release_store();
        return r;
}

static const char help[] =
        "portreserved-handover [--runtime-dir DIR] start|stop NAME...\n"
        "\n"
        "Tells portreserved that the service of a reservation starts or has stopped. Generated "
        "drop-ins run it;\n"
        "see portreserved(8).\n";

int main(int argc, char *argv[])
{
        struct sockaddr_un sa;
        const char *runtime_dir = RUNTIME_DIR_DEFAULT;
        char request[HANDOVER_MESSAGE_MAX], reply[HANDOVER_MESSAGE_MAX + 1];
        size_t size = 0;
        bool start;
        int r;

        r = arguments_parse(argc, argv, help, &runtime_dir);
        if (r >= 0)
                return r;
        if (argc - optind < 2)
                return arguments_usage(help, "start or stop, and at least one name, are needed");
        start = strcmp(argv[optind], HANDOVER_START) == 0;
        if (!start && strcmp(argv[optind], HANDOVER_STOP) != 0)
                return arguments_usage(help, "the first word is start or stop");
        if (exchange_address(runtime_dir, RUNTIME_HANDOVER, &sa) < 0)
                return arguments_usage(help,
                                       "the runtime directory's path is too long for a socket");
        for (char **word = argv + optind; *word; word++)
                if (exchange_append(request, &size, *word) < 0)
                        return arguments_usage(help, "too many names for one request");

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
