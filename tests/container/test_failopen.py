# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fail open: a daemon that does not come back never keeps a service from its port; one that is there is left alone."""

import time

import owners
import pytest
from machine import wait_until

PORT = 5100
HELPER = "/usr/libexec/portreserved/portreserved-handover"
OWNER = f"""[Service]
Type=notify
NotifyAccess=all
ExecStartPre=-+{HELPER} start owner
ExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT}
ExecStopPost=-+{HELPER} stop owner
"""


@pytest.fixture
def broken(host):
    """broken(MODE): portreserved.service is something that misbehaves so, with PORT in its fd store."""

    def make(mode, keys=""):
        host.write("/etc/systemd/system/portreserved.service.d/broken.conf",
                   "[Unit]\nStartLimitIntervalSec=0\n[Service]\nUser=root\nAmbientCapabilities=\nWatchdogSec=0\nExecStart=\n"
                   f"ExecStart={' '.join(host.script('fakedaemon', PORT, mode))}\n{keys}\n")
        host.made.append("/etc/systemd/system/portreserved.service.d")
        host.unit("owner.service", OWNER)
        host.systemctl("daemon-reload")
        host.systemctl("start", "portreserved.service", check=mode != "start")
        return host

    return make


def holds(m):
    return m.show("portreserved.service", "NFileDescriptorStore") == "1"


def start_owner(m):
    begin = time.monotonic()
    m.systemctl("start", "owner.service")
    took = time.monotonic() - begin
    assert m.active("owner.service") == "active" and took < owners.WITHIN, f"owner.service took {took:.1f} s"


def test_restarting_daemon_that_does_not_come_back(broken):
    m = broken("crash", "RestartSec=1h")
    wait_until(lambda: m.show("portreserved.service", "SubState") == "auto-restart", "it waits for its restart")
    assert holds(m)
    cursor = m.cursor()
    start_owner(m)
    assert m.active("portreserved.service") == "inactive"
    assert any("portreserved has failed" in t for t in m.messages("_SYSTEMD_UNIT=owner.service", after=cursor))


def test_failed_daemon(broken):
    m = broken("crash", "Restart=no")
    wait_until(lambda: m.active("portreserved.service") == "failed", "it has failed")
    start_owner(m)


def test_daemon_that_cannot_start(broken):
    """Now it starts, now it waits for its restart; it is neither failed nor active."""
    m = broken("start", "RestartSec=10ms")
    wait_until(lambda: int(m.show("portreserved.service", "NRestarts")) > 3 and holds(m), "it crashes and crashes")
    start_owner(m)


def test_active_daemon_that_never_answers(broken):
    """Killed as by its watchdog, and the next one is no better: stopped."""
    m = broken("silent")
    cursor = m.cursor()
    start_owner(m)
    assert any("does not answer" in t for t in m.messages("_SYSTEMD_UNIT=owner.service", after=cursor))
    assert m.active("portreserved.service") == "inactive"


def test_stop_never_touches_the_daemon(broken):
    m = broken("crash", "RestartSec=1h")
    wait_until(lambda: m.show("portreserved.service", "SubState") == "auto-restart", "it waits for its restart")
    m.run(HELPER, "stop", "owner")
    assert m.show("portreserved.service", "SubState") == "auto-restart"
    assert holds(m)


def test_without_the_daemon(host):
    host.unit("owner.service", OWNER)
    host.systemctl("daemon-reload")
    start_owner(host)


# The real daemon, with an owner of each kind.

BOUND = [owners.OWNERS[name] for name in ("share", "plain")]


@pytest.fixture
def served(host):
    owners.install(host)
    host.serve(owners.CONFIG)
    for name in ("share", "plain"):
        host.wait_endpoint(name, "exclusive")
    assert owners.ways(host, *BOUND) == ["held"] * 4
    return host


def degraded(m, what="generated-units"):
    return [d for d in m.ctl("status")["degraded"] if d.startswith(f"{what}: ")]


def closed_again(m):
    """And it works as ever."""
    for name in ("share", "plain"):
        m.wait_endpoint(name, "exclusive")
    assert owners.ways(m, *BOUND) == ["held"] * 4
    assert degraded(m) == []
    owners.start_all(m, "all is well again")


def test_hung_daemon(served):
    m = served
    pid = m.pid()
    m.systemctl("kill", "--signal=STOP", "portreserved.service")
    owners.start_all(m, "daemon hangs")
    assert m.pid() != pid
    closed_again(m)


def test_binary_broken(served):
    """Stopped, and it cannot start again; killed, and it cannot come back."""
    m = served
    m.run("sh", "-ec", "mv /usr/sbin/portreserved /usr/sbin/portreserved.good; printf broken >/usr/sbin/portreserved; "
          "chmod 755 /usr/sbin/portreserved")
    try:
        m.systemctl("kill", "--signal=KILL", "portreserved.service")
        owners.start_all(m, "binary broken, killed")
        m.systemctl("stop", "portreserved.service")
        m.systemctl("start", "portreserved.service", check=False)
        owners.start_all(m, "binary broken, started")
    finally:
        m.run("mv", "/usr/sbin/portreserved.good", "/usr/sbin/portreserved")


def test_masked(served):
    """While it runs, which stops its companion and takes its runtime directory away; and then it dies."""
    m = served
    m.systemctl("mask", "portreserved.service")
    try:
        wait_until(lambda: m.active("portreserved-list.service") != "active", "the companion has stopped")
        owners.start_all(m, "masked")
        m.systemctl("kill", "--signal=KILL", "portreserved.service")
        owners.start_all(m, "masked, killed")
    finally:
        m.systemctl("unmask", "portreserved.service")


def test_package_removed_while_it_runs(served):
    """Brutally: nothing tells the daemon of starts any more."""
    m = served
    with m.without_package():
        owners.start_all(m, "files removed")
        m.systemctl("daemon-reload")
        owners.start_all(m, "files removed, daemon-reload")
        m.systemctl("kill", "--signal=KILL", "portreserved.service")
        owners.start_all(m, "files removed, daemon-reload, killed")


def test_package_removed_and_it_dies_before_daemon_reload(served):
    m = served
    with m.without_package():
        m.systemctl("kill", "--signal=KILL", "portreserved.service")
        owners.start_all(m, "files removed, killed")


@pytest.mark.parametrize("what", ["/lib/systemd/system-generators/portreserved-generator", HELPER])
def test_generator_or_helper_gone(served, what):
    m = served
    m.run("mv", what, "/run/taken-away")
    try:
        m.systemctl("daemon-reload")
        wait_until(lambda: degraded(m), "it is said")
        assert owners.ways(m, *BOUND) == ["held", "free", "free", "free"]
        owners.start_all(m, f"{what} gone")
        # Restarted, it knows no better.
        m.systemctl("restart", "portreserved.service")
        owners.start_all(m, f"{what} gone, restarted")
    finally:
        m.run("mv", "/run/taken-away", what)
        m.systemctl("daemon-reload")
    wait_until(lambda: not degraded(m), "they are there again")
    closed_again(m)


def test_started_without_daemon_reload(host):
    m = host
    owners.install(m)
    m.systemctl("daemon-reload")
    m.write("/etc/portreserved.conf", owners.CONFIG)
    m.systemctl("start", "portreserved.service")
    assert degraded(m)
    for name in ("share", "plain"):
        m.systemctl("start", f"{name}.service")
    m.systemctl("stop", "share.service", "plain.service")
    m.systemctl("daemon-reload")
    m.systemctl("start", "portreserved-listen.socket")
    closed_again(m)


def test_daemon_reload_opens_nothing(served):
    """The generated units are away for a moment each time."""
    m = served
    m.background("binder", *m.script("binder", *BOUND))
    for _ in range(3):
        m.systemctl("daemon-reload")
    out = m.finish("binder")
    assert "tries " in out and "won" not in out, out


@pytest.mark.parametrize("unit", ["portreserved-list.service", "portreserved-act.service"])
def test_companion_fails(host, unit):
    m = host
    m.write(f"/etc/systemd/system/{unit}.d/broken.conf", "[Service]\nExecStart=\nExecStart=/bin/false\nExecStop=\nExecStop=/bin/false\n")
    m.made.append(f"/etc/systemd/system/{unit}.d")
    owners.install(m)
    m.serve(owners.CONFIG)
    assert m.active("portreserved.service") == "active"
    owners.start_all(m, f"{unit} fails")
    m.systemctl("kill", "--signal=KILL", "portreserved.service")
    owners.start_all(m, f"{unit} fails, killed")
