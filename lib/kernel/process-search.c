/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The search for the process that has a socket: where it most likely is first, the cgroup that the
 * socket was made in, then everywhere. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "kernel/process.h"

#define CGROUP_PROCS_MAX (4u * 1024u * 1024u)
/* Of nested cgroups; an fd each. What lies deeper is found by the search through all. */
#define CGROUP_DEPTH_MAX 16u

typedef struct Search {
        uint32_t inode;
        uint64_t deadline; /* CLOCK_MONOTONIC; 0: none */
        pid_t lowest;      /* of those that have it; 0: none yet */
        bool denied;       /* some could not be read */
        bool cgroup_seen;  /* the processes of the cgroup were listed */
        bool threads;      /* look at each thread's own fds, too */
} Search;

/* The inode number of the first pid namespace (include/linux/proc_ns.h: PROC_PID_INIT_INO). */
#define PID_NAMESPACE_FIRST 0xeffffffcu

static bool is_late(const Search *s)
{
        return s->deadline > 0 && now_usec(CLOCK_MONOTONIC) > s->deadline;
}

/* Takes the process if it has the socket. */
static int consider(Search *s, pid_t pid)
{
        _cleanup_(closep) int process = -1;
        int r;

        if (s->lowest > 0 && pid > s->lowest)
                return 0;
        if (is_late(s))
                return -ETIMEDOUT;
        process = process_open(pid);
        r = process < 0 ? process : process_search_fds(process, s->inode, s->deadline, NULL);
        if (r == 0 && s->threads)
                r = process_search_threads(process, pid, s->inode, s->deadline);
        if (r == 1)
                s->lowest = pid;
        else if (r == -EACCES)
                s->denied = true;
        else if (r == -ENOENT) {
                /* Hidden from us (hidepid=2), not gone? */
                if (kill(pid, 0) < 0 && errno == EPERM)
                        s->denied = true;
        } else if (r < 0)
                return r;
        return 0;
}

static int search_procs(Search *s, int cgroup)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int fd = -1;
        char *p, *line;
        int r;

        fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE ? -errno : 0;
        r = file_read_fd(fd, CGROUP_PROCS_MAX, &text, NULL);
        if (r == -ENOMEM)
                return r;
        if (r < 0) /* Gone, or threaded: the search through all is still to come. */
                return 0;
        s->cgroup_seen = true;
        p = text;
        while ((line = strsep(&p, "\n"))) {
                pid_t pid;

                if (!process_parse_pid(line, &pid)) {
                        /* "0": of a pid namespace that we do not see. */
                        s->denied = s->denied || line[0];
                        continue;
                }
                r = consider(s, pid);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The cgroup and those below it. */
static int search_cgroup(Search *s, int parent, const char *name, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *d;
        int fd, r;

        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == EMFILE || errno == ENFILE ? -errno : 0;
        dir = fdopendir(fd);
        if (!dir) {
                r = errno == ENOMEM ? -ENOMEM : 0;
                close(fd);
                return r;
        }
        r = search_procs(s, fd);
        while (r >= 0 && depth < CGROUP_DEPTH_MAX && (d = readdir(dir)))
                if (d->d_type == DT_DIR && d->d_name[0] != '.')
                        r = search_cgroup(s, fd, d->d_name, depth + 1);
        return r;
}

static int search_all(Search *s)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *d;
        int r;

        dir = opendir("/proc");
        if (!dir)
                return -errno;
        /* hidepid=2 leaves out what is not ours, and PID 1 is never missing otherwise. */
        if (faccessat(dirfd(dir), "1", F_OK, 0) < 0)
                s->denied = true;
        while ((d = readdir(dir))) {
                pid_t pid;

                if (!process_parse_pid(d->d_name, &pid))
                        continue;
                r = consider(s, pid);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Are there no processes but those of our /proc? In another pid namespace than the first only what is
 * known of the socket's cgroup says so: a pod's containers share a network, and do not see each
 * other. */
static bool sees_all(const Search *s)
{
        struct stat st;

        return s->cgroup_seen ||
               (stat("/proc/self/ns/pid", &st) >= 0 && st.st_ino == PID_NAMESPACE_FIRST);
}

int process_find_inode(const char *cgroup_path, uint32_t inode, uint64_t deadline, pid_t *ret)
{
        Search s = { .inode = inode, .deadline = deadline };
        int r = 0;

        if (inode == 0)
                return -ENOENT;
        if (cgroup_path)
                r = search_cgroup(&s, AT_FDCWD, cgroup_path, 0);
        if (r >= 0 && s.lowest == 0)
                r = search_all(&s);
        /* It may have gone from one process to another behind our back. */
        if (r >= 0 && s.lowest == 0 && !s.denied) {
                s.threads = true;
                r = search_all(&s);
        }
        if (s.lowest == 0) {
                if (r < 0)
                        return r;
                return s.denied || !sees_all(&s) ? -EACCES : -ENOENT;
        }
        *ret = s.lowest;
        return 0;
}
