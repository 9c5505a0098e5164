# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of collisions when the configuration, or the socket itself, says that they are none."""

import socket

import pytest

from conftest import listener, thief, wait_until
from test_evict import PORT, cgroups, unit  # noqa: F401 (fixtures)


def config(more, address="*"):
    lines = f"Ports={PORT}\n" if address == "*" else f"ListenStream={address}:{PORT}\nListenDatagram={address}:{PORT}\n"
    return f"[Daemon]\nScanIntervalSec=1h\n[app]\n{lines}Hold=none\n{more}"


@pytest.mark.parametrize("state", ["ESTABLISHED", "LISTEN", "UDP"])
def test_whoever_becomes_the_owner_ends_it(daemon, unit, state):  # noqa: F811
    with unit("thief.service"):
        if state == "ESTABLISHED":
            client, accepted, server = thief(PORT, 6379)
        elif state == "LISTEN":
            server = listener(PORT)
        else:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("127.0.0.1", PORT))
    d = daemon(config("Unit=app.service\n"))
    wait_until(lambda: d.events("collision"), "it is seen")
    d.configure(config("Unit=thief.service\n"))
    d.ctl("reload", code=0)
    wait_until(lambda: d.events("resolved"), "it ends")


def test_udp_socket_that_moves_away(daemon, unit):  # noqa: F811
    """connect(2) gives it a local address."""
    with unit("thief.service"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0", PORT))
    d = daemon(config("", address="127.0.0.2").replace("1h", "50ms"))
    wait_until(lambda: d.events("collision"), "it is seen")
    s.connect(("127.0.0.1", 53))
    wait_until(lambda: d.events("resolved"), "it ends")
