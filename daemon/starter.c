/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/starter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "kernel/runtime.h"

int starter_request(const char *unit)
{
        const struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = ACT_SOCKET };
        _cleanup_(closep) int fd = -1;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        if (send(fd, unit, strlen(unit) + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return 0;
}
