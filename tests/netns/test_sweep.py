# SPDX-License-Identifier: LGPL-2.1-or-later
"""When all connections are looked at, beside what the budget allows."""

from conftest import KERNEL_LIST, kernel_list, thief, wait_until

# Nothing is looked at by itself for an hour.
CONFIG = "[Daemon]\nScanIntervalSec=1h\n[a]\nPorts=48121/tcp\n"


def test_at_start(daemon):
    client, accepted, server = thief(48121)
    d = daemon(CONFIG)
    collision = wait_until(lambda: d.endpoints("a")[0]["collision"], "collision")
    assert (collision["kind"], collision["remote"]) == ("ephemeral", "127.0.0.1:1")
    for s in client, accepted, server:
        s.close()


def test_after_drift(daemon):
    """While the port was missing from the kernel's list, the kernel may have given it away."""
    d = daemon(CONFIG)
    sweeps = d.state()["scan"]["sweeps"]
    # The connection comes while the daemon, stopped, cannot put the list right.
    with d.frozen():
        KERNEL_LIST.write_text("\n")
        client, accepted, server = thief(48121)
    collision = wait_until(lambda: d.endpoints("a")[0]["collision"], "collision")
    assert (collision["kind"], collision["remote"]) == ("ephemeral", "127.0.0.1:1")
    assert kernel_list() == {48121}
    assert d.state()["scan"]["sweeps"] > sweeps
    assert len(d.events("drift")) == len(d.events("collision")) == 1
    # The server's side closes first: TIME_WAIT stays with it, not on our port. The kernel tells of the end, no look is needed.
    for s in accepted, client, server:
        s.close()
    wait_until(lambda: d.events("resolved"), "resolved")
