# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody's socket on a port, in every state that a socket can be left in."""

import contextlib
import ctypes
import select
import socket
import struct

from conftest import only_ports

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
DEADLINE = 30
SO_ATTACH_FILTER = 26
# BPF_RET | BPF_K with 0: nothing arrives.
NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))

# name: family, address, v6only
PLACES = {
    "127.0.0.1": (socket.AF_INET, "127.0.0.1", 0),
    "127.0.0.2": (socket.AF_INET, "127.0.0.2", 0),
    "0.0.0.0": (socket.AF_INET, "0.0.0.0", 0),
    "[::]": (socket.AF_INET6, "::", 0),
    "[::] v6only": (socket.AF_INET6, "::", 1),
    "[::1]": (socket.AF_INET6, "::1", 0),
    "[::ffff:127.0.0.1]": (socket.AF_INET6, "::ffff:127.0.0.1", 0),
}
# Where an outgoing connection can sit, and where a server may have accepted one.
CLIENTS = "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"
SERVERS = *CLIENTS, "0.0.0.0", "[::]"
# Of these no process has anything any more.
CLOSED = "FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "CLOSING", "TIME_WAIT"
CONNECTIONS = "SYN_SENT", "ESTABLISHED", "FIN_WAIT2, open", "CLOSE_WAIT", *CLOSED


def opened(kind, place, reuse, port=None):
    """A socket, bound where a port is given. OSError."""
    family, address, v6only = PLACES[place]
    s = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        if port:
            s.bind((address, port))
    except OSError:
        s.close()
        raise
    return s


def deafen(s):
    """It hears nothing any more, so that nothing is answered."""
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(NOTHING)))


def hear(s):
    """Waits for the other end's goodbye."""
    ready, _, _ = select.select([s], [], [], DEADLINE)
    assert ready, "the other end does not say goodbye"


class Scene:
    """kind: "client" (the kernel chose the port), "accepted" (its listener is gone), or "server"."""

    def __init__(self, port, peer_port, state, kind, place, reuse):
        self.port, self.peer_port = port, peer_port
        self.sockets = contextlib.ExitStack()
        self.thief = self.peer = None
        protocol = UDP if state.startswith("UDP") else TCP
        if kind == "server":
            self.thief = self._keep(opened(protocol, place, reuse, port))
            if state == "LISTEN":
                self.thief.listen()
        elif protocol == UDP:
            self.thief = self._keep(opened(UDP, place, reuse))
            with only_ports(self.port):
                self.thief.connect((PLACES[place][1], peer_port))
        elif kind == "client":
            self._go_out(state, place, reuse)
        else:
            self._let_in(place, reuse)
        if protocol == TCP and kind != "server":
            self._part(state)

    def _keep(self, s):
        return self.sockets.enter_context(s)

    def _go_out(self, state, place, reuse):
        address = PLACES[place][1]
        with socket.create_server(("::", self.peer_port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            self.thief = self._keep(opened(TCP, place, reuse))
            if state == "SYN_SENT":
                deafen(server)
                self._keep(server.dup())
                self.thief.setblocking(False)
                with contextlib.suppress(BlockingIOError), only_ports(self.port):
                    self.thief.connect((address, self.peer_port))
            else:
                with only_ports(self.port):
                    self.thief.connect((address, self.peer_port))
                self.peer = self._keep(server.accept()[0])

    def _let_in(self, place, reuse):
        with opened(TCP, place, reuse, self.port) as server:
            server.listen()
            at = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(place, place)
            self.peer = self._keep(opened(TCP, at, True, self.peer_port))
            self.peer.connect((PLACES[at][1], self.port))
            self.thief = self._keep(server.accept()[0])

    def _part(self, state):
        if state in ("FIN_WAIT1", "CLOSING"):
            deafen(self.peer)
        if state in ("CLOSE_WAIT", "LAST_ACK"):
            self.peer.shutdown(socket.SHUT_WR)
            hear(self.thief)
        if state == "LAST_ACK":
            deafen(self.peer)
        if state in CLOSED or state == "FIN_WAIT2, open":
            self.thief.shutdown(socket.SHUT_WR)
        if state == "TIME_WAIT":
            hear(self.peer)
        if state in ("CLOSING", "TIME_WAIT"):
            self.peer.shutdown(socket.SHUT_WR)
            hear(self.thief)
        if state in CLOSED:
            self.thief.close()

    def end(self):
        self.sockets.close()


def scenes():
    """(state, kind, place) of all that there is."""
    for state in ("LISTEN", "bound only", "UDP"):
        yield from ((state, "server", place) for place in PLACES)
    for place in CLIENTS:
        yield "UDP connected", "client", place
        yield from ((state, "client", place) for state in CONNECTIONS)
    for place in SERVERS:
        yield from ((state, "accepted", place) for state in CONNECTIONS if state != "SYN_SENT")
