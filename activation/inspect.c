/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved-inspect: tells the daemon, which may not look into the processes of others, who has a
 * socket. Socket-activated, for user portreserved and root.
 *
 * It runs as a user of its own with the right to read all of /proc, and none to change anything. Each
 * question has a process of its own, which is killed when it takes too long: a command line is read
 * under a lock of its process's memory, which one that waits for a dead file server has for as long
 * as it waits. */

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "activation/arguments.h"
#include "activation/callers.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/printable.h"
#include "kernel/cgroup.h"
#include "kernel/inspect-message.h"
#include "kernel/mountinfo.h"
#include "kernel/process-facts.h"
#include "kernel/process.h"

/* Less than the daemon waits for with its alert, so that it hears that the search was cut short. */
#define SEARCH_USEC (700 * USEC_PER_MSEC)
/* Then its process is killed. */
#define ANSWER_SECONDS 3
/* More than the daemon has under way. */
#define PROCESSES_MAX 8u

static unsigned n_processes;

/* The path of the cgroup, and its directory for the search. Neither where it is gone, or the root: its
 * list is no shorter than /proc. */
static void find_cgroup(uint64_t id, char **ret_path, char *ret_directory, size_t size)
{
        _cleanup_(cgroup_map_freep) CgroupMap *map = NULL;
        const char *path;

        if (id == 0 || cgroup_map_new(NULL, &map) < 0 || cgroup_map_path(map, id, &path) < 0)
                return;
        *ret_path = printable(path);
        if (path[1] && path_join(ret_directory, size, cgroup_map_root(map), path + 1) < 0)
                *ret_directory = 0;
}

static int on_mount(const Mount *m, void *userdata)
{
        return strcmp(m->type, "proc") == 0 && strcmp(m->root, "/") == 0 &&
               strcmp(m->where, "/proc") == 0 && strstr(m->options, "hidepid=");
}

/* What we tell is for everybody to read, in state.json. Where the host's own /proc hides processes from
 * those whose they are not, so do we; ours has no such option. */
static bool commands_are_hidden(void)
{
        int r = mountinfo_read("/proc/1/mountinfo", on_mount, NULL);

        return r < 0 ? r != -ENOENT : r > 0;
}

static InspectOutcome outcome_of(int error)
{
        switch (error) {
        case 0:
                return INSPECT_FOUND;
        case -ENOENT:
                return INSPECT_NOBODY;
        case -ESRCH:
                return INSPECT_VANISHED;
        default:
                return INSPECT_UNFINISHED;
        }
}

static void find_process(const InspectRequest *q, const char *cgroup, InspectAnswer *a)
{
        _cleanup_(process_facts_done) ProcessFacts facts = {};
        uint64_t deadline = now_usec(CLOCK_MONOTONIC) + SEARCH_USEC;

        a->outcome = outcome_of(process_facts_find(cgroup, q->inode, deadline, &facts));
        if (a->outcome != INSPECT_FOUND)
                return;
        a->pid = facts.pid;
        a->uid = facts.uid;
        a->started_usec = facts.started_usec;
        a->exe = TAKE_PTR(facts.exe);
        if (!commands_are_hidden())
                a->command = TAKE_PTR(facts.command);
        /* That of the socket has gone: where who has it is now. */
        if (!a->cgroup && facts.cgroup)
                a->cgroup = printable(facts.cgroup);
        if (q->flags & INSPECT_REUSE) {
                int r = process_socket_reuse(facts.pid, facts.number, q->inode);

                if (r >= 0)
                        a->reuse = r > 0 ? TRI_YES : TRI_NO;
        }
}

static void answer(int fd, const struct ucred *peer)
{
        _cleanup_(inspect_answer_done)
                InspectAnswer a = { .uid = UID_INVALID, .reuse = TRI_UNKNOWN };
        char request[sizeof(InspectRequest) + 1], reply[INSPECT_REPLY_MAX], cgroup[PATH_MAX] = "";
        InspectRequest q;
        size_t n;

        n = callers_receive(fd, peer, request, sizeof(InspectRequest));
        if (n == 0)
                return;
        if (inspect_request_parse(request, n, &q) < 0) {
                say_asked(peer, LOG_WARNING, "A request that is none was dropped.");
                return;
        }
        find_cgroup(q.cgroup, &a.cgroup, cgroup, sizeof(cgroup));
        find_process(&q, cgroup[0] ? cgroup : NULL, &a);
        n = inspect_reply_format(&a, reply);
        if (send(fd, reply, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE &&
            errno != ECONNRESET)
                say_asked(peer, LOG_WARNING, "Cannot answer: %s.", strerror(errno));
}

static void serve(int fd, const struct ucred *peer)
{
        pid_t pid;

        while (n_processes > 0 && waitpid(-1, NULL, WNOHANG) > 0)
                n_processes--;
        if (n_processes >= PROCESSES_MAX) {
                say_asked(peer, LOG_WARNING, "More than %u questions at once: one was dropped.",
                          PROCESSES_MAX);
                return;
        }
        pid = fork();
        if (pid < 0) {
                say(LOG_ERR, "Cannot start a process: %s", strerror(errno));
                return;
        }
        if (pid == 0) {
                (void) alarm(ANSWER_SECONDS);
                close(SD_LISTEN_FDS_START);
                answer(fd, peer);
                _exit(EXIT_SUCCESS);
        }
        n_processes++;
}

static const char help[] = "portreserved-inspect\n"
                           "\n"
                           "Tells portreserved which process has a socket.\n"
                           "portreserved-inspect.socket runs it; see portreserved(8).\n";

int main(int argc, char *argv[])
{
        static const Callers callers = {
                .program = "portreserved-inspect",
                .admit_root = true,
                .serve = serve,
        };
        const char *unused = NULL;
        int r;

        r = arguments_parse(argc, argv, help, &unused);
        return r >= 0 ? r : callers_serve(&callers);
}
