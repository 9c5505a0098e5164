/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A server in a child of the test, so that its fds can be counted from outside. */

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define PASSING 8 /* fds that are there for a moment: accepted and sent away */

static pid_t server;
static unsigned idle_fds; /* of the server, when nobody is connected */

static unsigned count_fds(void)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *d;
        char path[64];
        unsigned n = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) server);
        dir = opendir(path);
        assert_non_null(dir);
        while ((d = readdir(dir)))
                n += d->d_name[0] != '.';
        return n;
}

/* Waits until the server has no connection left. */
static bool settles(void)
{
        for (unsigned i = 0; i < 200; i++) {
                if (count_fds() == idle_fds)
                        return true;
                (void) usleep(100000);
        }
        return false;
}

/* run: writes a byte to ready and closes it when it serves; returns the exit status. */
static int fork_server(int (*run)(int ready))
{
        int p[2];
        char c;

        if (pipe(p) < 0)
                return -1;
        server = fork();
        if (server == 0) {
                close(p[0]);
                _exit(run(p[1]));
        }
        close(p[1]);
        /* A byte, then the end: it has closed its side and runs. */
        if (read(p[0], &c, 1) != 1 || read(p[0], &c, 1) != 0)
                return -1;
        close(p[0]);
        idle_fds = count_fds();
        return 0;
}

static int end_server(void)
{
        int status;

        (void) kill(server, SIGTERM);
        if (waitpid(server, &status, 0) != server)
                return -1;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
