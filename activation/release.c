/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portrelease: opens reserved ports to the program that is started next, for init scripts that were
 * written for Red Hat's portreserve(1). That one's sends a datagram and does not wait; this one
 * returns when the port is open. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activation/arguments.h"
#include "activation/exchange.h"
#include "base/clock.h"

/* For a daemon that is there, and for one that is just being restarted. */
#define REPLY_USEC   (5 * USEC_PER_SEC)
#define RESTART_USEC (1 * USEC_PER_SEC)
#define RETRY_USEC   (20 * USEC_PER_MSEC)

#define EXIT_DENIED 5

static const char help[] =
        "portrelease [--runtime-dir DIR] NAME...\n"
        "\n"
        "Opens the ports of reservations to the program that is started next. See portrelease(1).\n"
        "\n"
        "  --runtime-dir DIR  where the daemon is (" RUNTIME_DIR_DEFAULT ")\n"
        "  -h, --help         this text\n"
        "      --version      the version\n";

static int ask(const char *runtime_dir, const struct sockaddr_un *sa, const char *request,
               size_t size, char *reply, size_t reply_size)
{
        uint64_t patience = now_usec(CLOCK_MONOTONIC) + RESTART_USEC;

        for (;;) {
                uint64_t now = now_usec(CLOCK_MONOTONIC);
                int r;

                r = exchange(sa, request, size, reply, reply_size, NULL, now + REPLY_USEC);
                if (r != -ENOENT && r != -ECONNREFUSED && r != -ECONNRESET)
                        return r;
                /* The directory is there as long as portreserved is meant to run. */
                if (now >= patience || access(runtime_dir, F_OK) < 0)
                        return r;
                (void) usleep(RETRY_USEC);
        }
}

/* "ok", or "error STATUS TEXT": the status that portreservectl(1) has for it. */
static int judge(const char *reply)
{
        char *text;
        long status;

        if (strcmp(reply, "ok") == 0)
                return EXIT_SUCCESS;
        if (strncmp(reply, "error ", strlen("error ")) != 0)
                reply = "error 1 the answer of portreserved is not understood";
        reply += strlen("error ");
        status = strtol(reply, &text, 10);
        (void) fprintf(stderr, "portrelease: %s\n", text + strspn(text, " "));
        return status > 0 && status < 256 ? (int) status : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
        char request[HANDOVER_MESSAGE_MAX], reply[HANDOVER_MESSAGE_MAX + 1];
        const char *runtime_dir = RUNTIME_DIR_DEFAULT;
        struct sockaddr_un sa;
        size_t size = 0;
        int r;

        r = arguments_parse(argc, argv, help, &runtime_dir);
        if (r >= 0)
                return r;
        if (optind >= argc)
                return arguments_usage(help, "at least one name is needed");
        if (argc - optind > HANDOVER_NAMES_MAX)
                return arguments_usage(help, "too many names for one request");
        if (exchange_address(runtime_dir, RUNTIME_HANDOVER, &sa) < 0)
                return arguments_usage(help, "the directory's path is too long for a socket");

        r = exchange_append(request, &size, HANDOVER_RELEASE);
        for (char **name = argv + optind; *name && r >= 0; name++)
                r = exchange_append(request, &size, *name);
        if (r < 0)
                return arguments_usage(help, "too many names for one request");

        r = ask(runtime_dir, &sa, request, size, reply, sizeof(reply));
        if (r >= 0)
                return judge(reply);
        switch (r) {
        case -ENOENT:
        case -ECONNREFUSED:
                /* Nobody holds a port: it is as open as it can be, and a script goes on. */
                (void) fputs("portrelease: portreserved is not running, there is nothing to "
                             "release\n",
                             stderr);
                return EXIT_SUCCESS;
        case -EACCES:
        case -EPERM:
                (void) fputs("portrelease: only root may ask\n", stderr);
                return EXIT_DENIED;
        default:
                (void) fprintf(stderr, "portrelease: portreserved does not answer: %s\n",
                               strerror(-r));
                return EXIT_FAILURE;
        }
}
