/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/observation.h"

#include <netinet/in.h>
#include <string.h>

const char *socket_state_to_string(int protocol, SocketState s)
{
        static const char *const names[_SOCKET_STATE_MAX] = {
                [SOCKET_ESTABLISHED] = "ESTABLISHED",
                [SOCKET_SYN_SENT] = "SYN_SENT",
                [SOCKET_SYN_RECV] = "SYN_RECV",
                [SOCKET_FIN_WAIT1] = "FIN_WAIT1",
                [SOCKET_FIN_WAIT2] = "FIN_WAIT2",
                [SOCKET_TIME_WAIT] = "TIME_WAIT",
                [SOCKET_CLOSE] = "BOUND",
                [SOCKET_CLOSE_WAIT] = "CLOSE_WAIT",
                [SOCKET_LAST_ACK] = "LAST_ACK",
                [SOCKET_LISTEN] = "LISTEN",
                [SOCKET_CLOSING] = "CLOSING",
                [SOCKET_NEW_SYN_RECV] = "SYN_RECV",
                [SOCKET_BOUND_INACTIVE] = "BOUND",
        };

        if (s <= 0 || s >= _SOCKET_STATE_MAX)
                return "UNKNOWN";
        if (protocol == IPPROTO_UDP && s == SOCKET_CLOSE)
                return "UNCONN";
        return names[s];
}

SocketState socket_state_from_string(int protocol, const char *text)
{
        for (int s = 1; s < _SOCKET_STATE_MAX; s++)
                if (strcmp(text, socket_state_to_string(protocol, (SocketState) s)) == 0)
                        return (SocketState) s;
        return 0;
}

bool socket_uid_known(const Socket *s)
{
        return s->state != SOCKET_TIME_WAIT && (s->inode != 0 || s->uid != 0);
}

Endpoint socket_anywhere(const Socket *s)
{
        return (Endpoint){
                .protocol = s->protocol,
                .port = s->local_port,
                .last = s->local_port,
        };
}

bool socket_may_come_from(const Socket *connection, const Address *listener, bool v6only)
{
        Endpoint place = { .address = *listener, .v6only = v6only };

        return endpoint_meets_address(&place, &connection->local, connection->v6only);
}
