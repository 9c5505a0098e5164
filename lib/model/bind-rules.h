/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* bind(2), as the kernel decides it: may a server bind, and for TCP listen, beside a socket that is
 * there? Pure. After inet_csk_bind_conflict() in net/ipv4/inet_connection_sock.c and
 * udp_lib_lport_inuse() in net/ipv4/udp.c; the tests compare every cell with real sockets, on Linux
 * 6.1 as well.
 *
 * SO_REUSEPORT is left out: it lets servers of one user share that all set it, and such servers do
 * not ask who is there. */

#include <stdbool.h>

#include "model/policy.h"

/* Is a plain bind() at the endpoint refused beside that socket? Its v6only counts, which sock_diag(7)
 * does not tell of connections: there they look as if they had it not. */
bool bind_rules_meet(const Endpoint *e, const Socket *s);

/* A server at that endpoint, which sets SO_REUSEADDR or does not. TRI_UNKNOWN: that hangs on the
 * SO_REUSEADDR of s, which is not known. */
Tristate bind_rules_allow(const Endpoint *e, bool reuseaddr, const Socket *s);

/* Both at once; of several sockets the worst decides. */
typedef enum WouldBind {
        WOULD_BIND_YES,
        WOULD_BIND_WITH_REUSEADDR, /* only if the server sets SO_REUSEADDR */
        WOULD_BIND_NO,
} WouldBind;

const char *would_bind_to_string(WouldBind w); /* "yes", "with-reuseaddr", "no" */

/* ret_certain: nothing had to be guessed. */
WouldBind bind_rules_would_bind(const Endpoint *e, Kind kind, const Socket *s, bool *ret_certain);
