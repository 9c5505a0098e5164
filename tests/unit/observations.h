/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that can be seen of a socket at an endpoint of its port: n below OBSERVATIONS. */

#include <netinet/in.h>

#include "model/observation.h"

#define OBSERVATIONS (2u * 13 * 3 * 3 * 64)

static inline Observation observation_of(unsigned n, Endpoint *ret_endpoint)
{
        Observation o = { .socket = { .local = { .family = AF_INET }, .local_port = 80 } };

        o.socket.protocol = n % 2 ? IPPROTO_UDP : IPPROTO_TCP;
        n /= 2;
        o.socket.state = 1 + n % 13;
        n /= 13;
        o.socket.automatic = (Tristate) (n % 3) - 1;
        n /= 3;
        o.owner = (Tristate) (n % 3) - 1;
        n /= 3;
        o.ours = n & 1;
        o.pid1_listener = n & 2;
        o.listener_legitimate = n & 4;
        o.socket.inode = n & 8;
        o.cgroup_gone = n & 16;
        o.no_process = n & 32;
        *ret_endpoint = (Endpoint){ .protocol = o.socket.protocol, .port = 80, .last = 80 };
        return o;
}
