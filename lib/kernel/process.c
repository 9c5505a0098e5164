/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Everything under /proc/PID may vanish between any two calls: that is no failure, only "not this
 * one". */

#include "kernel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

/* How many fds are looked at between two looks at the clock. */
#define FDS_A_LOOK 256u

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

bool process_sees_all(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
        const uint32_t wanted = 1u << CAP_SYS_PTRACE | 1u << CAP_DAC_READ_SEARCH;

        return syscall(SYS_capget, &header, data) >= 0 && (data[0].effective & wanted) == wanted;
}

int process_open(pid_t pid)
{
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? process_error(errno) : fd;
}

int process_open_file(int process, const char *name, int flags)
{
        int fd = openat(process, name, O_RDONLY | O_CLOEXEC | flags);

        return fd < 0 ? process_error(errno) : fd;
}

/* The same of a directory: its fd, which *ret owns. */
static int open_directory(int process, const char *name, DIR **ret)
{
        _cleanup_(closep) int fd = process_open_file(process, name, O_DIRECTORY);

        if (fd < 0)
                return fd;
        *ret = fdopendir(fd);
        /* It looks at the directory, which may have gone by now. */
        return *ret ? TAKE_FD(fd) : process_error(errno);
}

int process_search_fds(int process, uint32_t inode, uint64_t deadline, int *ret_number)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        unsigned looked = 0;
        char want[32];
        struct dirent *d;
        size_t length;
        int fd;

        length = (size_t) snprintf(want, sizeof(want), "socket:[%u]", inode);
        fd = open_directory(process, "fd", &dir);
        if (fd < 0)
                return fd;
        while ((d = readdir(dir))) {
                char target[sizeof(want)];
                uint64_t v;
                ssize_t n;

                if (parse_uint(d->d_name, 0, INT_MAX, &v) < 0)
                        continue;
                if (deadline > 0 && ++looked % FDS_A_LOOK == 0 &&
                    now_usec(CLOCK_MONOTONIC) > deadline)
                        return -ETIMEDOUT;
                n = readlinkat(fd, d->d_name, target, sizeof(target));
                /* What a process that has just gone gives as well (fs/proc/base.c:
                 * proc_fd_access_allowed()). */
                if (n < 0 && errno == EACCES)
                        return faccessat(process, "stat", F_OK, 0) < 0 ? -ENOENT : -EACCES;
                if (n == (ssize_t) length && memcmp(target, want, length) == 0) {
                        if (ret_number)
                                *ret_number = (int) v;
                        return 1;
                }
        }
        return 0;
}

bool process_parse_pid(const char *s, pid_t *ret)
{
        uint64_t v;

        if (parse_uint(s, 1, INT_MAX, &v) < 0)
                return false;
        *ret = (pid_t) v;
        return true;
}

/* Have the two threads one table of fds? 1, 0; negative: cannot be told. */
static int shares_fds(pid_t a, pid_t b)
{
        long r = syscall(SYS_kcmp, a, b, KCMP_FILES, 0L, 0L);

        return r < 0 ? -errno : r == 0;
}

/* Looks into a table once where threads share it, as nearly all do. */
int process_search_threads(int process, pid_t pid, uint32_t inode, uint64_t deadline)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        pid_t last = pid, thread;
        struct dirent *d;
        int fd, r = 0;

        fd = open_directory(process, "task", &dir);
        if (fd < 0)
                return fd;
        while (r == 0 && (d = readdir(dir))) {
                _cleanup_(closep) int task = -1;

                if (!process_parse_pid(d->d_name, &thread) || thread == pid ||
                    shares_fds(last, thread) == 1)
                        continue;
                if (deadline > 0 && now_usec(CLOCK_MONOTONIC) > deadline)
                        return -ETIMEDOUT;
                task = process_open_file(fd, d->d_name, O_PATH | O_DIRECTORY);
                r = task < 0 ? task : process_search_fds(task, inode, deadline, NULL);
                if (r == -ENOENT)
                        r = 0;
                last = thread;
        }
        return r;
}

int process_has_inode(pid_t pid, uint32_t inode)
{
        _cleanup_(closep) int process = process_open(pid);

        return process < 0 ? process : process_search_fds(process, inode, 0, NULL);
}

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

int process_socket_reuse(pid_t pid, int number, uint32_t inode)
{
        _cleanup_(closep) int pidfd = -1, copy = -1;
        socklen_t l = sizeof(int);
        struct stat st;
        int reuse;

        /* As numbers: the C library of Debian 12 has no wrapper. Both are close-on-exec by
         * themselves. */
        pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return process_error(errno);
        copy = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);
        if (copy < 0)
                return errno == EBADF ? -ENOENT : process_error(errno);
        /* By now another file may have that number, or another process that pid. */
        if (fstat(copy, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode) || st.st_ino != inode)
                return -ENOENT;
        if (getsockopt(copy, SOL_SOCKET, SO_REUSEADDR, &reuse, &l) < 0)
                return -errno;
        return reuse != 0;
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
