/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "activation/systemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"

#define ARGUMENTS_MAX  8
#define WAIT_STEP_USEC 2000u
#define WAIT_STEPS     2500u

static const char *const paths[] = { "/usr/bin/systemctl", "/bin/systemctl" };

/* In the child: nothing but async-signal-safe calls. Standard output goes to out, or nowhere. */
static void __attribute__((noreturn)) child(const char *const *argv, int out)
{
        static char *const environment[] = { (char *) "LC_ALL=C", (char *) "SYSTEMD_PAGER=", NULL };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        (void) dup2(null, STDIN_FILENO);
        (void) dup2(null, STDERR_FILENO);
        (void) dup2(out >= 0 ? out : null, STDOUT_FILENO);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                (void) execve(paths[i], (char *const *) argv, environment);
        _exit(127);
}

static int wait_child(pid_t pid)
{
        int status;

        for (unsigned i = 0; i < WAIT_STEPS; i++) {
                pid_t r = waitpid(pid, &status, WNOHANG);

                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r == pid)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
                (void) usleep(WAIT_STEP_USEC);
        }
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, &status, 0);
        return -ETIMEDOUT;
}

static int run(const char *const *arguments, int out)
{
        const char *argv[ARGUMENTS_MAX] = { "systemctl" };
        size_t n = 1;
        pid_t pid;

        for (; *arguments; arguments++) {
                if (n >= ELEMENTSOF(argv) - 1)
                        return -E2BIG;
                argv[n++] = *arguments;
        }

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child(argv, out);
        return wait_child(pid);
}

int systemctl_run(const char *const *arguments)
{
        return run(arguments, -1);
}

DaemonState systemctl_state(const char *unit, const char *companion)
{
        _cleanup_(closep) int in = -1, out = -1;
        char text[256], *second;
        ssize_t size;
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return DAEMON_GONE;
        in = fds[0];
        out = fds[1];

        /* The answer is smaller than a pipe: no need to read before it has ended. */
        if (run((const char *const[]){ "show", "--property=ActiveState", unit, companion, NULL },
                out) != 0)
                return DAEMON_GONE;
        size = read(in, text, sizeof(text) - 1);
        if (size <= 0)
                return DAEMON_GONE;
        text[size] = 0;
        second = strstr(text, "\n\n");
        if (second)
                *second = 0;

        if (strstr(text, "ActiveState=failed"))
                return DAEMON_FAILED;
        /* A daemon that crashes at once goes to and fro between "start" and "auto-restart". */
        if (strstr(text, "ActiveState=activating"))
                return DAEMON_RESTARTING;
        if (strstr(text, "ActiveState=inactive"))
                return second && (strstr(second + 1, "=active") ||
                                  strstr(second + 1, "=deactivating"))
                               ? DAEMON_LETTING_GO
                               : DAEMON_GONE;
        return DAEMON_THERE;
}
