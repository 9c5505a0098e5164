# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host cannot do: said under degraded, and never a guess instead."""

import pathlib
import socket

from conftest import listener, thief, wait_until

CONFIG = "[a]\nPorts=48121/tcp\n[b]\nPorts=48122/tcp\nHold=bound\n"


def without_cgroups(d):
    """No cgroup v2 in its mount namespace: the kernel still tells ids, and nothing gives them a name."""
    command = d.command()
    d.command = lambda: ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh", *command]
    return d


def own_cgroup():
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), None)


def test_without_cgroup_v2_nobody_is_accused(daemon):
    """A listener may be the owner's own: "unknown", no unit. That the kernel chose a port is no question of owners."""
    squatter = listener(48121)
    client, accepted, server = thief(48122)
    d = without_cgroups(daemon(CONFIG, start=False))
    d.start()
    degraded, = (t for t in d.state()["degraded"] if t.startswith("cgroup:"))
    assert "cgroup v2" in degraded
    assert degraded in d.ctl("status").stdout

    collision = wait_until(lambda: d.endpoints("a")[0]["collision"], "collision of the listener")
    assert (collision["kind"], collision["unit"]) == ("unknown", None)
    # Of the socket it cannot be told; of its process, where the daemon may see that, /proc tells it.
    assert collision["cgroup"] == (own_cgroup() if collision["pid"] else None)
    assert "whose it is cannot be told here" in d.log()
    collision = wait_until(lambda: d.endpoints("b")[0]["collision"], "collision of the connection")
    assert collision["kind"] in ("ephemeral", "unknown") and collision["unit"] is None

    # All else goes on: it is told of once, ends once, and the port is claimed.
    client.close()
    accepted.close()
    d.wait_state("b", "exclusive")
    squatter.close()
    wait_until(lambda: len(d.events("resolved")) == 2, "both resolved")
    assert len(d.events("collision")) == 2
    server.close()


def test_without_cgroup_v2_hand_over_works(daemon):
    """The owner is not seen, so that the hold stays open to it until it says stop."""
    from test_daemon import handover
    d = without_cgroups(daemon(CONFIG, start=False))
    d.start()
    d.wait_state("b", "exclusive")
    assert handover(d, "start", "b") == "ok"
    with listener(48122):
        socket.create_connection(("127.0.0.1", 48122)).close()
    assert handover(d, "stop", "b") == "ok"
    d.wait_state("b", "exclusive")
