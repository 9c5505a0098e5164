# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved-act: starts what has failed and is known, for user portreserved, and nothing else."""

import pytest
from machine import wait_until

FAILS = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/test -e /run/allowed\n"


@pytest.fixture
def act(host):
    """The machine, with its socket but without a daemon: what it is told is the test's word."""
    host.unit("needs-act.service", "[Unit]\nWants=portreserved-act.socket\nAfter=portreserved-act.socket\n"
              "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "needs-act.service")
    yield host
    host.run("sh", "-c", "rm -rf /run/allowed /run/portreserved")
    host.systemctl("stop", "needs-act.service", "portreserved-act.socket", "portreserved-act.service")


def ask(m, *units, user="portreserved"):
    m.run("setpriv", f"--reuid={user}", "--clear-groups", *m.script("ask-act", *units))


def failed(m, name):
    """A unit that failed, and would start now."""
    m.unit(name, FAILS)
    m.systemctl("daemon-reload")
    m.systemctl("start", name, check=False)
    assert m.active(name) == "failed"
    m.run("touch", "/run/allowed")


def applied(m, text):
    m.write("/run/portreserved/applied.conf", text)


def said(m, cursor):
    return m.messages("_SYSTEMD_UNIT=portreserved-act.service", after=cursor)


def test_owner_that_failed_is_started(act):
    failed(act, "owner.service")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    ask(act, "owner.service")
    wait_until(lambda: act.active("owner.service") == "active", "owner.service is started")


def test_unit_that_nobody_named_is_refused(act):
    failed(act, "other.service")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    cursor = act.cursor()
    ask(act, "other.service")
    assert any("other.service: not started" in m for m in said(act, cursor))
    assert act.active("other.service") == "failed"


def test_owner_without_a_hold_is_refused(act):
    failed(act, "owner.service")
    applied(act, "[owner]\nPorts=5000/tcp\n")
    cursor = act.cursor()
    ask(act, "owner.service")
    assert any("owner.service: not started" in m for m in said(act, cursor))
    assert act.active("owner.service") == "failed"


def test_unit_that_has_not_failed_is_refused(act):
    act.unit("owner.service", FAILS)
    act.systemctl("daemon-reload")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    cursor = act.cursor()
    ask(act, "owner.service")
    assert any("owner.service: not started: it has not failed" in m for m in said(act, cursor))
    assert act.active("owner.service") == "inactive"


def test_alias_of_an_owner_is_started(act):
    failed(act, "owner.service")
    act.run("ln", "-s", "owner.service", "/etc/systemd/system/byname.service")
    act.made.append("/etc/systemd/system/byname.service")
    act.systemctl("daemon-reload")
    applied(act, "[any]\nPorts=5000/tcp\nUnit=byname.service\nHold=bound\n")
    ask(act, "byname.service")
    wait_until(lambda: act.active("owner.service") == "active", "owner.service is started")


def test_any_socket_that_failed_is_started(act):
    act.background("squatter", *act.script("server", 5001))
    act.unit("sock.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    act.unit("sock.socket", "[Socket]\nListenStream=5001\n")
    act.systemctl("daemon-reload")
    act.systemctl("start", "sock.socket", check=False)
    assert act.active("sock.socket") == "failed"
    act.systemctl("stop", "squatter")
    ask(act, "sock.socket")
    wait_until(lambda: act.active("sock.socket") == "active", "sock.socket is started")


def test_socket_that_failed_for_something_else_is_refused(act):
    """A limit of its own is the administrator's word, not a port that was taken."""
    act.unit("sock.service", "[Service]\nExecStart=/bin/true\n")
    act.unit("sock.socket", "[Socket]\nListenStream=5002\nTriggerLimitBurst=1\n")
    act.systemctl("daemon-reload")
    act.systemctl("start", "sock.socket")
    act.run(*act.script("knock", 5002, 5))
    wait_until(lambda: act.active("sock.socket") == "failed", "it has failed of its limit")
    cursor = act.cursor()
    ask(act, "sock.socket")
    assert any("sock.socket: not started" in m for m in said(act, cursor))
    assert act.active("sock.socket") == "failed"


def test_list_of_sockets(act):
    """For the same user only; and nothing is left behind by one who does not take it."""
    act.unit("sock.service", "[Service]\nExecStart=/bin/true\n")
    act.unit("sock.socket", "[Socket]\nListenStream=5003\n")
    act.systemctl("daemon-reload")
    act.systemctl("start", "sock.socket")
    as_user = ("setpriv", "--reuid=portreserved", "--clear-groups")
    assert act.run(*as_user, *act.script("list-act")).stdout == (
        "unit sock.socket active sock.service /etc/systemd/system/sock.socket\nstream [::]:5003\nend\n")
    fds = f"/proc/{act.pid('portreserved-act.service')}/fd"
    before = act.run("ls", fds).stdout
    for _ in range(5):
        act.run(*as_user, *act.script("list-act", "hang-up"))
    assert act.run(*as_user, *act.script("list-act")).stdout.endswith("end\n")
    assert act.run("ls", fds).stdout == before
    cursor = act.cursor()
    assert act.run(*act.script("list-act")).stdout == ""
    wait_until(lambda: any("uid 0" in m and "refused" in m for m in said(act, cursor)), "the refusal is said")


def test_start_limit_is_no_obstacle(act):
    """A server that tried in vain until systemd gave up is started when its port has come free."""
    act.unit("owner.service", "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1h\n"
             "[Service]\nExecStart=/bin/sh -c 'test -e /run/allowed && exec sleep infinity'\nRestart=on-failure\nRestartSec=1ms\n")
    act.systemctl("daemon-reload")
    act.systemctl("start", "owner.service", check=False)
    wait_until(lambda: act.active("owner.service") == "failed", "systemd has given up")
    assert act.systemctl("start", "owner.service", check=False).returncode != 0
    act.run("touch", "/run/allowed")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    ask(act, "owner.service")
    wait_until(lambda: act.active("owner.service") == "active", "owner.service is started")


def test_alert_unit_instances_only(act):
    act.unit("port-alert@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
    act.unit("other@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
    act.systemctl("daemon-reload")
    applied(act, "[Daemon]\nAlertUnit=port-alert@.service\n")
    cursor = act.cursor()
    ask(act, "other@1.service", "port-alert@x.service", "port-alert@1x.service", "port-alert@1.service")
    wait_until(lambda: act.active("port-alert@1.service") == "active", "the alert unit is started")
    for name in "other@1.service", "port-alert@x.service", "port-alert@1x.service":
        assert act.active(name) == "inactive"
        assert any(f"{name}: not started" in m for m in said(act, cursor))


def test_rubbish_is_dropped(act):
    cursor = act.cursor()
    ask(act, "../../etc/passwd", "", "\x01", "owner.service" * 100)
    act.run("setpriv", "--reuid=portreserved", "--clear-groups", "python3", "-c",
            "import socket\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.connect('/run/portreserved-act')\n"
            "s.send(b'owner.service')\n")
    wait_until(lambda: len(said(act, cursor)) >= 5, "each is said")
    assert act.active("portreserved-act.service") == "active"


def test_nobody_else_may_ask(act):
    failed(act, "owner.service")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    cursor = act.cursor()
    # By the socket's mode …
    r = act.run("setpriv", "--reuid=nobody", "--clear-groups", *act.script("ask-act", "owner.service"), check=False)
    assert "PermissionError" in r.stderr
    # … and by credentials, where the mode does not matter.
    ask(act, "owner.service", user="root")
    wait_until(lambda: any("uid 0" in m and "refused" in m for m in said(act, cursor)), "the refusal is said")
    assert act.active("owner.service") == "failed"


def test_peer_that_says_nothing_does_not_stop_others(act):
    failed(act, "owner.service")
    applied(act, "[owner]\nPorts=5000/tcp\nHold=bound\n")
    silent = act.popen("setpriv", "--reuid=portreserved", "--clear-groups", "python3", "-c",
                       "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
                       "s.connect('/run/portreserved-act')\nprint('connected',flush=True)\nsys.stdin.read()\n", stdin=-1)
    assert silent.stdout.readline() == "connected\n"
    ask(act, "owner.service")
    wait_until(lambda: act.active("owner.service") == "active", "owner.service is started")
    silent.communicate("")


def test_ends_when_idle(act):
    ask(act, "nothing.service")
    assert act.active("portreserved-act.service") == "active"
    wait_until(lambda: act.active("portreserved-act.service") == "inactive", "it has ended")
    assert act.show("portreserved-act.service", "Result") == "success"
    # And comes again.
    ask(act, "nothing.service")
    assert act.active("portreserved-act.service") == "active"


def test_is_there_after_a_stop_and_a_start(act):
    """Also while it still waits for more to do: systemd starts no socket whose service is active."""
    ask(act, "nothing.service")
    assert act.active("portreserved-act.service") == "active"
    act.systemctl("stop", "needs-act.service")
    act.systemctl("start", "needs-act.service")
    ask(act, "nothing.service")
    act.systemctl("stop", "portreserved-act.socket")
    assert act.active("portreserved-act.service") == "inactive"
    act.systemctl("restart", "needs-act.service")
    ask(act, "nothing.service")


def test_has_no_capability(act):
    ask(act, "nothing.service")
    pid = act.show("portreserved-act.service", "MainPID")
    status = dict(line.split(":\t", 1) for line in act.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert status["CapEff"] == status["CapBnd"] == "0" * 16
