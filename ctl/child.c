/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define OUTPUT_MAX (1u << 20)

/* out: where its standard output goes. */
static int spawn(char *const argv[], int out, pid_t *ret)
{
        posix_spawn_file_actions_t actions;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int wait_for(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int child_run(char *const argv[])
{
        pid_t pid;
        int r;

        r = spawn(argv, STDERR_FILENO, &pid);
        return r < 0 ? r : wait_for(pid);
}

int child_read(char *const argv[], char **ret)
{
        _cleanup_(closep) int in = -1, out = -1;
        _cleanup_(freep) char *text = NULL;
        int ends[2], k, r;
        size_t size;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        in = ends[0];
        out = ends[1];
        r = spawn(argv, out, &pid);
        if (r < 0)
                return r;
        close(TAKE_FD(out));
        k = file_read_fd(in, OUTPUT_MAX, &text, &size);
        close(TAKE_FD(in));
        r = wait_for(pid);
        if (k < 0 || r < 0)
                return k < 0 ? k : r;
        *ret = TAKE_PTR(text);
        return r;
}
