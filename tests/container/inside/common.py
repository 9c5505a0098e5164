# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the programs that run inside the machine share. Only what python3-minimal has."""

import os
import signal
import socket

LIST = "/proc/sys/net/ipv4/ip_local_reserved_ports"
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


def ready():
    """READY=1 to systemd, so that a start of the unit ends when what it is for has happened."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)


class Stop:
    """True once SIGTERM or SIGINT has come."""

    def __init__(self):
        self.come = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, *_):
        self.come = True

    def __bool__(self):
        return self.come


def tcp(family=socket.AF_INET, *options, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind)
    for option in options:
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    return s


def udp(family=socket.AF_INET, *options):
    return tcp(family, *options, kind=socket.SOCK_DGRAM)


def connect_from(port, peer, make=tcp):
    """An outgoing connection for which the kernel can choose no port but that one. Raises OSError where it may not."""
    with open(RANGE) as f:
        before = f.read()
    with open(RANGE, "w") as f:
        f.write(f"{port} {port}")
    try:
        s = make()
        s.connect(("127.0.0.1", peer))
        return s
    finally:
        with open(RANGE, "w") as f:
            f.write(before)
