/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "kernel/bind-probe.h"

#include <errno.h>

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

int bind_probe_reuse_of(pid_t pid, uint32_t inode, bool *ret)
{
        _cleanup_(closep) int process = process_open(pid);
        int number, r;

        if (process < 0)
                return process;
        r = process_search_fds(process, inode, 0, &number);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = process_socket_reuse(pid, number, inode);
        if (r < 0)
                return r;
        *ret = r > 0;
        return 0;
}
