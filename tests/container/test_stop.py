# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved.service stopped and started again: on systemd 254 and later PID 1 keeps the placeholders in between, open to their
owners; before that they are taken back."""

import owners
import pytest
from machine import wait_until
from test_restart import sockets

HELD, OPEN, FREE = ["held", "held"], ["held", "free"], ["free", "free"]
BOUND = [owners.OWNERS[name] for name in ("share", "plain")]


@pytest.fixture
def enabled(host):
    """With the owners, and enabled: that keeps the unit loaded while it is stopped."""
    owners.install(host)
    host.systemctl("enable", "portreserved.service")
    host.serve(owners.CONFIG)
    for name in ("share", "plain"):
        host.wait_endpoint(name, "exclusive")
    yield host
    host.systemctl("disable", "portreserved.service", check=False)


def keeps(m):
    return int(m.run("systemctl", "--version").stdout.split()[1]) >= 254


def stop(m):
    m.systemctl("stop", "portreserved.service")
    wait_until(lambda: m.active("portreserved-list.service") == "inactive", "the companion has stopped")


def test_placeholders_are_kept_where_systemd_can(enabled):
    m = enabled
    before = sockets(m)
    stop(m)
    if keeps(m):
        # In everybody's way, but for servers with SO_REUSEADDR; and nobody's where that does not help the owner.
        assert owners.ways(m, *BOUND) == OPEN + FREE
    else:
        wait_until(lambda: owners.ways(m, *BOUND) == FREE + FREE, "PID 1 has closed them")
    assert m.list() == ""
    m.systemctl("start", "portreserved.service")
    m.wait_endpoint("share", "exclusive")
    m.wait_endpoint("plain", "exclusive")
    assert owners.ways(m, *BOUND) == HELD + HELD
    # The placeholder of the first, and the page that it is in.
    assert len(before & sockets(m)) == (3 if keeps(m) else 0)


def test_root_follows_no_link_of_the_daemons(enabled):
    m = enabled
    m.run("ln", "-s", "/etc/followed", "/run/portreserved/stopping")
    stop(m)
    assert m.run("test", "-e", "/etc/followed", check=False).returncode == 1
    m.systemctl("start", "portreserved.service")
    m.wait_endpoint("share", "exclusive")


def test_restart_keeps_them_closed(enabled):
    """To the daemon SIGTERM looks the same."""
    m = enabled
    m.background("binder", *m.script("binder", *BOUND))
    for _ in range(3):
        m.systemctl("restart", "portreserved.service")
    out = m.finish("binder")
    assert "tries " in out and "won" not in out, out


def test_owners_start_while_it_is_stopped_and_are_known_afterwards(enabled):
    m = enabled
    stop(m)
    owners.start_all(m, "portreserved stopped")
    for name in ("share", "plain"):
        m.systemctl("start", f"{name}.service")
    m.systemctl("start", "portreserved.service")
    for name in ("share", "plain"):
        m.wait_endpoint(name, "in-use")
        m.systemctl("stop", f"{name}.service")
        m.wait_endpoint(name, "exclusive")
    assert owners.ways(m, *BOUND) == HELD + HELD


def test_taken_meanwhile_is_taken_back(enabled):
    m = enabled
    stop(m)
    thief = ["python3", "-c", f"import socket,time\ns=socket.socket()\ns.setsockopt(1,2,1)\ns.bind(('0.0.0.0',{BOUND[0]}))\n"
             "s.listen()\ntime.sleep(1000)"]
    m.service("thief", *thief)
    wait_until(lambda: m.run("ss", "-Htln", f"sport = :{BOUND[0]}").stdout, "it has the port")
    m.systemctl("start", "portreserved.service")
    endpoint = wait_until(lambda: m.endpoint("share")["collision"] and m.endpoint("share"), "it is told")
    assert endpoint["collision"]["unit"] == "thief.service"
    m.systemctl("stop", "thief.service")
    m.wait_endpoint("share", "exclusive")
    assert owners.ways(m, *BOUND) == HELD + HELD


@pytest.mark.parametrize("how", ["disable", "mask"])
def test_let_go_by(enabled, how):
    m = enabled
    m.systemctl(how, "--now", "portreserved.service")
    try:
        wait_until(lambda: owners.ways(m, *BOUND) == FREE + FREE, "nothing is kept")
    finally:
        m.systemctl("unmask", "portreserved.service")


def test_package_removed_after_the_stop(enabled):
    """Before daemon-reload, and after it, with the link of `enable` still there."""
    m = enabled
    stop(m)
    with m.without_package():
        owners.start_all(m, "stopped, files removed")
        m.systemctl("daemon-reload")
        owners.start_all(m, "stopped, files removed, daemon-reload")
        assert owners.ways(m, *BOUND) == FREE + FREE


def test_stopped_while_it_was_down(enabled):
    """Nobody was there to leave the placeholders open: they are closed."""
    m = enabled
    m.write("/etc/systemd/system/portreserved.service.d/slow.conf", "[Service]\nRestartSec=1h\n")
    m.made.append("/etc/systemd/system/portreserved.service.d")
    m.systemctl("daemon-reload")
    m.systemctl("kill", "--signal=KILL", "portreserved.service")
    wait_until(lambda: m.show("portreserved.service", "SubState") == "auto-restart", "it waits for its restart")
    assert owners.ways(m, *BOUND) == HELD + HELD
    m.systemctl("stop", "portreserved.service")
    owners.start_all(m, "stopped while it was down")
    assert owners.ways(m, *BOUND) == FREE + FREE


def test_no_systemd_warns_of_a_key(enabled):
    """Each knows what it reads."""
    assert not [t for t in enabled.messages("_PID=1") if "portreserved" in t and ("Unknown" in t or "ignoring" in t)]
