# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fail open: a daemon that does not come back never keeps a service from its port; one that is there is left alone."""

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


def test_restarting_daemon_that_does_not_come_back(broken):
    m = broken("crash", "RestartSec=1h")
    wait_until(lambda: m.show("portreserved.service", "SubState") == "auto-restart", "it waits for its restart")
    assert holds(m)
    cursor = m.cursor()
    m.systemctl("start", "owner.service")
    assert m.active("owner.service") == "active"
    assert m.active("portreserved.service") == "inactive"
    assert any("portreserved has failed" in t for t in m.messages("_SYSTEMD_UNIT=owner.service", after=cursor))


def test_failed_daemon(broken):
    m = broken("crash", "Restart=no")
    wait_until(lambda: m.active("portreserved.service") == "failed", "it has failed")
    m.systemctl("start", "owner.service")
    assert m.active("owner.service") == "active"


def test_daemon_that_cannot_start(broken):
    """Now it starts, now it waits for its restart; it is neither failed nor active."""
    m = broken("start", "RestartSec=10ms")
    wait_until(lambda: int(m.show("portreserved.service", "NRestarts")) > 3 and holds(m), "it crashes and crashes")
    m.systemctl("start", "owner.service")
    assert m.active("owner.service") == "active"


def test_active_daemon_that_does_not_answer_is_left_alone(broken):
    m = broken("silent")
    cursor = m.cursor()
    m.systemctl("start", "owner.service", check=False)
    # The port is held, so the server cannot start; but it came to try, and nobody touched the daemon.
    assert any("does not answer" in t for t in m.messages("_SYSTEMD_UNIT=owner.service", after=cursor))
    assert m.active("portreserved.service") == "active"
    assert holds(m)


def test_stop_never_touches_the_daemon(broken):
    m = broken("crash", "RestartSec=1h")
    wait_until(lambda: m.show("portreserved.service", "SubState") == "auto-restart", "it waits for its restart")
    m.run(HELPER, "stop", "owner")
    assert m.show("portreserved.service", "SubState") == "auto-restart"
    assert holds(m)


def test_without_the_daemon(host):
    host.unit("owner.service", OWNER)
    host.systemctl("daemon-reload")
    host.systemctl("start", "owner.service")
    assert host.active("owner.service") == "active"
