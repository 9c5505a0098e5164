/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What was seen: one socket of the kernel's tables, and what is known of its relation to a
 * reservation. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/endpoint.h"

/* TCP states as in include/net/tcp_states.h; UDP has ESTABLISHED (connected) and CLOSE. */
typedef enum SocketState {
        SOCKET_ESTABLISHED = 1,
        SOCKET_SYN_SENT,
        SOCKET_SYN_RECV,
        SOCKET_FIN_WAIT1,
        SOCKET_FIN_WAIT2,
        SOCKET_TIME_WAIT,
        SOCKET_CLOSE,
        SOCKET_CLOSE_WAIT,
        SOCKET_LAST_ACK,
        SOCKET_LISTEN,
        SOCKET_CLOSING,
        SOCKET_NEW_SYN_RECV,
        SOCKET_BOUND_INACTIVE, /* only asked for; rows come back as CLOSE. kernel 6.8 */
        _SOCKET_STATE_MAX,
} SocketState;

/* "ESTABLISHED", "UNCONN" as ss(8) says; TCP sockets bound and not listening are "BOUND". */
const char *socket_state_to_string(int protocol, SocketState s);

/* The first state of that name, 0: none has it. */
SocketState socket_state_from_string(int protocol, const char *text);

typedef enum Tristate {
        TRI_UNKNOWN = -1,
        TRI_NO,
        TRI_YES,
} Tristate;

typedef struct Socket {
        int protocol; /* IPPROTO_TCP, IPPROTO_UDP */
        int family;   /* AF_INET or AF_INET6; addresses may be AF_INET in an AF_INET6 socket */
        SocketState state;
        Address local; /* "::" without v6only: AF_INET6, and meets IPv4 as well */
        Address remote;
        uint16_t local_port, remote_port;
        uint32_t interface;
        bool v6only;
        bool timewait;  /* TIME_WAIT or FIN_WAIT2 of which the kernel keeps but the addresses */
        uid_t uid;      /* 0 for TIME_WAIT rows: socket_uid_known() */
        uint32_t inode; /* 0: no process has it (TIME_WAIT, orphan, not accepted, destroy event) */
        uint64_t cookie;
        uint64_t cgroup;       /* cgroup v2 id of its creator, 0: not known */
        Tristate automatic;    /* the kernel chose the port (INET_DIAG_BC_AUTO), where asked */
        Tristate reuse;        /* SO_REUSEADDR, which the kernel does not tell: where found out */
        uint64_t expires_usec; /* timewait: how long the kernel would keep it when it was seen; a
                                  FIN_WAIT2 stays for longer where its peer closes late. 0: not known */
        bool mptcp;            /* a subflow of an MPTCP socket, where asked: SOCK_DIAG_ULP */
} Socket;

/* Its port at any address: where nothing declares that. */
Endpoint socket_anywhere(const Socket *s);

/* May a listener on the connection's port, bound to that address, have accepted it? */
bool socket_may_come_from(const Socket *connection, const Address *listener, bool v6only);

/* Is its uid a fact? The kernel says 0 for sockets that no process has open: TIME_WAIT, orphans,
 * and before accept(). */
bool socket_uid_known(const Socket *s);

typedef struct Observation {
        Socket socket;
        bool ours;          /* one of our own placeholders or listeners, by cookie or inode */
        bool pid1_listener; /* a listener of a .socket unit generated for the reservation */
        /* Does it belong to the owner, by its cgroup, its uid, or those of the process that has it? */
        Tristate owner;
        bool cgroup_gone; /* the cgroup that would tell has been removed */
        bool no_process;  /* every process was searched, and none has it: the kernel's own */

        /* The owner, PID 1 or we listen on its local port: it may have been accepted. For what
         * remains of a connection, a hold of ours there is enough. */
        bool listener_legitimate;
        /* That listener has another cgroup. What it accepts has its own; or that of the listener of an
         * earlier run, which is gone. */
        bool listener_elsewhere;
} Observation;
