/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/inspect-client.h"

#include <errno.h>
#include <sys/socket.h>

#include "kernel/helper-client.h"
#include "kernel/runtime.h"

int inspect_request(const Socket *s, InspectFlags flags, int *ret_fd)
{
        const InspectRequest request = {
                .magic = INSPECT_MAGIC,
                .flags = flags,
                .cgroup = s->cgroup,
                .inode = s->inode,
        };

        return helper_request(INSPECT_SOCKET, &request, sizeof(request), ret_fd);
}

int inspect_read_answer(int fd, InspectAnswer *ret)
{
        char buf[INSPECT_REPLY_MAX + 1];
        ssize_t n;

        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        if (n == 0)
                return -EPIPE;
        return inspect_reply_parse(buf, (size_t) n, ret);
}
