/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything under /proc/PID may vanish between any two calls: that is no failure, only "not this
 * one". */

#include "kernel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/printable.h"

#define CGROUP_PROCS_MAX (4u * 1024u * 1024u)

/* What an errno of /proc/PID/… means for the search. */
static int process_error(int error)
{
        switch (error) {
        case ENOENT:
        case ESRCH:
                return -ENOENT;
        case EACCES:
        case EPERM:
                return -EACCES;
        default:
                return -error;
        }
}

int process_has_inode(pid_t pid, uint32_t inode)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        char path[64], want[32];
        struct dirent *d;
        size_t length;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
        length = (size_t) snprintf(want, sizeof(want), "socket:[%u]", inode);
        dir = opendir(path);
        if (!dir)
                return process_error(errno);
        while ((d = readdir(dir))) {
                char target[sizeof(want)];
                ssize_t n;

                if (d->d_name[0] == '.')
                        continue;
                n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target));
                /* What a process that has just gone gives as well (fs/proc/base.c:
                 * proc_fd_access_allowed()). */
                if (n < 0 && errno == EACCES)
                        return kill(pid, 0) < 0 && errno == ESRCH ? -ENOENT : -EACCES;
                if (n == (ssize_t) length && memcmp(target, want, length) == 0)
                        return 1;
        }
        return 0;
}

/* Keeps the lowest pid of those that have the inode. -EACCES is noted in *denied. */
static int consider(pid_t pid, uint32_t inode, pid_t *lowest, bool *denied)
{
        int r;

        if (*lowest > 0 && pid > *lowest)
                return 0;
        r = process_has_inode(pid, inode);
        if (r == 1)
                *lowest = pid;
        else if (r == -EACCES)
                *denied = true;
        else if (r == -ENOENT) {
                /* Hidden from us (hidepid=2), not gone? */
                if (kill(pid, 0) < 0 && errno == EPERM)
                        *denied = true;
        } else if (r < 0)
                return r;
        return 0;
}

static bool parse_pid(const char *s, pid_t *ret)
{
        uint64_t v;

        if (parse_uint(s, 1, INT_MAX, &v) < 0)
                return false;
        *ret = (pid_t) v;
        return true;
}

static int search_cgroup(const char *cgroup_path, uint32_t inode, pid_t *lowest, bool *denied)
{
        _cleanup_(freep) char *text = NULL;
        char path[PATH_MAX], *p, *line;
        int r;

        r = path_join(path, sizeof(path), cgroup_path, "cgroup.procs");
        if (r < 0)
                return r;
        r = file_read(path, CGROUP_PROCS_MAX, &text, NULL);
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        if (r < 0) /* Gone, or threaded: the search through all is still to come. */
                return 0;
        p = text;
        while ((line = strsep(&p, "\n"))) {
                pid_t pid;

                /* "0": of a pid namespace that we do not see. */
                if (!parse_pid(line, &pid))
                        continue;
                r = consider(pid, inode, lowest, denied);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int search_all(uint32_t inode, pid_t *lowest, bool *denied)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *d;
        int r;

        dir = opendir("/proc");
        if (!dir)
                return process_error(errno);
        /* hidepid=2 leaves out what is not ours, and PID 1 is never missing otherwise. */
        if (faccessat(dirfd(dir), "1", F_OK, 0) < 0)
                *denied = true;
        while ((d = readdir(dir))) {
                pid_t pid;

                if (!parse_pid(d->d_name, &pid))
                        continue;
                r = consider(pid, inode, lowest, denied);
                if (r < 0)
                        return r;
        }
        return 0;
}

int process_find_inode(const char *cgroup_path, uint32_t inode, pid_t *ret)
{
        bool denied = false;
        pid_t lowest = 0;
        int r;

        if (inode == 0)
                return -ENOENT;
        if (cgroup_path) {
                r = search_cgroup(cgroup_path, inode, &lowest, &denied);
                if (r < 0)
                        return r;
        }
        if (lowest == 0) {
                r = search_all(inode, &lowest, &denied);
                if (r < 0)
                        return r;
        }
        if (lowest == 0)
                return denied ? -EACCES : -ENOENT;
        *ret = lowest;
        return 0;
}

int process_exe(pid_t pid, char **ret)
{
        char path[64], target[PATH_MAX];
        ssize_t n;
        char *copy;

        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return process_error(errno);
        target[n] = 0;
        copy = printable(target);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int process_peer_pidfd(int connection, pid_t pid)
{
        int fd = -1;
        socklen_t l = sizeof(fd);

        if (getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &fd, &l) >= 0) {
                if (!process_has_ended(fd))
                        return fd;
                /* From 6.16 on also of one that was reaped. */
                close(fd);
                return -ESRCH;
        }
        if (errno != ENOPROTOOPT)
                /* Reaped (EINVAL on some versions): there is nobody to have an fd of. */
                return errno == EINVAL ? -ESRCH : -errno;
        fd = (int) syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        return fd < 0 ? -errno : fd;
}

bool process_has_ended(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}
