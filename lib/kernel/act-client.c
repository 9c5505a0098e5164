/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/act-client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "kernel/helper-client.h"
#include "kernel/runtime.h"
#include "model/socket-unit.h"

int act_request(const void *message, size_t size, int *ret_fd)
{
        return helper_request(ACT_SOCKET, message, size, ret_fd);
}

static int receive_fd(int fd, int *ret)
{
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        char byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = sizeof(byte) };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        const struct cmsghdr *c;
        ssize_t n;

        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -EPIPE;
        c = CMSG_FIRSTHDR(&message);
        if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
            c->cmsg_len != CMSG_LEN(sizeof(int)))
                return -EBADMSG;
        memcpy(ret, CMSG_DATA(c), sizeof(int));
        return 0;
}

int act_read_list(int fd, char **ret)
{
        _cleanup_(closep) int file = -1;
        struct stat st;
        int r;

        r = receive_fd(fd, &file);
        if (r < 0)
                return r;
        if (fstat(file, &st) < 0)
                return -errno;
        /* Reading anything else might wait. */
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        return file_read_fd(file, SOCKET_UNITS_TEXT_MAX, ret, NULL);
}
