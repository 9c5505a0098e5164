/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/bind-probe.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/placeholder-internal.h"
#include "kernel/process.h"

int bind_probe(const Endpoint *e, uint16_t port)
{
        _cleanup_(closep) int fd = placeholder_open_bound(e, port, placeholder_share);

        if (fd == -EADDRINUSE)
                return 0;
        return fd < 0 ? fd : 1;
}

/* As numbers: the C library of Debian 12 has no wrapper. */
static int open_copy(pid_t pid, int number)
{
        _cleanup_(closep) int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        int fd;

        if (pidfd < 0)
                return errno == ESRCH ? -ENOENT : -errno;
        fd = (int) syscall(SYS_pidfd_getfd, pidfd, number, 0);
        if (fd < 0)
                return errno == EBADF || errno == ESRCH ? -ENOENT : -errno;
        return fd;
}

int bind_probe_reuse_of(pid_t pid, uint32_t inode, bool *ret)
{
        _cleanup_(closep) int process = process_open(pid), fd = -1;
        int number, value, r;
        struct stat st;

        if (process < 0)
                return process;
        r = process_search_fds(process, inode, 0, &number);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        fd = open_copy(pid, number);
        if (fd < 0)
                return fd;
        /* By now another file may have that number, or another process that pid. */
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode) || (uint32_t) st.st_ino != inode)
                return -ENOENT;
        r = placeholder_get_int(fd, SOL_SOCKET, SO_REUSEADDR, &value);
        if (r < 0)
                return r;
        *ret = value != 0;
        return 0;
}
