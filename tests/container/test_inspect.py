# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved-inspect under systemd: the daemon, which is not root, names the process behind a collision by it."""

import datetime
import json
import re
import time

import pytest
from machine import wait_until

CONFIG = "".join(f"[p{port}]\nPorts={port}/tcp\n" for port in range(48121, 48131)) + "[held]\nPorts=48131/tcp\nHold=bound\n"
CAPABILITIES = 1 << 19 | 1 << 2  # CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH


def squat(m, unit, port, user="daemon"):
    """A server of another user's in a unit of its own on that port; its pid."""
    m.background(unit, *m.script("server", port), user=user)
    return m.pid(f"{unit}.service")


def named(m, unit, ports, cursor):
    """Somebody on one of the ports, of whom the alert says which process: (port, pid, entry). On a machine that has no time for an
    answer within a second the alert comes without; the next port is another try, for alerts of one reservation are limited."""
    for port in ports:
        pid = squat(m, unit, port)
        entry = m.alert(port, cursor)
        if "PORTRESERVED_CULPRIT_PID" in entry:
            break
        m.finish(unit)
    assert entry.get("PORTRESERVED_CULPRIT_PID") == str(pid), entry["MESSAGE"]
    return port, pid, entry


def holder(m, name):
    return wait_until(lambda: m.endpoint(name)["collision"], f"the collision of {name}")


def degraded(m):
    return [t for t in m.ctl("status", code=8 if m.ctl_collisions() else 0)["degraded"] if t.startswith("inspect:")]


@pytest.fixture
def inspected(host):
    """The machine; the helper's socket and service are as they were, afterwards."""
    host.ctl_collisions = lambda: json.loads(host.read("/run/portreserved/state.json"))["collisions"]
    yield host
    host.systemctl("unmask", "portreserved-inspect.socket")
    host.systemctl("stop", "portreserved.service", "portreserved-inspect.socket", "portreserved-inspect.service", check=False)


def test_process_of_another_user_is_named(inspected):
    """In the journal alone: unit, pid, executable, command line; the same in state.json, with its start and its user."""
    m = inspected
    m.serve(CONFIG)
    cursor = m.cursor()
    before = time.time()
    port, pid, entry = named(m, "squatter", range(48121, 48126), cursor)
    assert re.match(r"/usr/bin/python3", entry["PORTRESERVED_CULPRIT_EXE"])
    assert entry["PORTRESERVED_CULPRIT_UNIT"] == "squatter.service"
    assert f"pid {pid}" in entry["MESSAGE"] and "/usr/bin/python3" in entry["MESSAGE"]
    h = holder(m, f"p{port}")
    assert (h["pid"], h["unit"], h["user"], h["no_process"], h["certain"]) == (pid, "squatter.service", "daemon", False, True)
    assert h["command"] == f"/usr/bin/python3 -B /opt/inside/server.py {port}"
    started = datetime.datetime.fromisoformat(h["started"].replace("Z", "+00:00")).timestamp()
    assert before - 60 < started < time.time() + 1
    assert degraded(m) == []
    m.finish("squatter")


def test_helper_has_its_two_capabilities_and_ends_when_idle(inspected):
    """What runs is what the unit says: another user, two capabilities, no new privileges, system calls filtered."""
    m = inspected
    m.serve(CONFIG)
    squat(m, "squatter", 48121)
    wait_until(lambda: m.endpoint("p48121")["collision"] and m.endpoint("p48121")["collision"]["pid"], "a name")
    s = m.status_of(m.pid("portreserved-inspect.service"))
    for key in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert int(s[key], 16) == CAPABILITIES, key
    assert (s["NoNewPrivs"], s["Seccomp"]) == ("1", "2")
    uid = m.run("id", "-u", "portreserved-inspect").stdout.strip()
    assert s["Uid"].split() == [uid] * 4
    wait_until(lambda: m.active("portreserved-inspect.service") == "inactive", "the end of the helper", step=0.5)
    assert m.active("portreserved-inspect.socket") == "active"
    m.finish("squatter")


def test_without_it_units_are_named(inspected):
    """Masked: who has the port is known by the cgroup; what is not known is said, and well again once it is back."""
    m = inspected
    m.systemctl("mask", "--runtime", "portreserved-inspect.socket")
    m.serve(CONFIG)
    assert degraded(m) == []  # nothing was asked yet
    cursor = m.cursor()
    squat(m, "squatter", 48121)
    entry = m.alert(48121, cursor)
    assert entry["PORTRESERVED_CULPRIT_UNIT"] == "squatter.service"
    assert "PORTRESERVED_CULPRIT_PID" not in entry
    h = holder(m, "p48121")
    assert (h["unit"], h["user"], h["pid"], h["exe"], h["command"]) == ("squatter.service", "daemon", None, None, None)
    said = wait_until(lambda: degraded(m), "what is missing")
    assert "portreserved-inspect.socket does not listen" in said[0]

    m.systemctl("unmask", "--runtime", "portreserved-inspect.socket")
    m.systemctl("start", "portreserved-inspect.socket")
    named(m, "second", range(48122, 48127), cursor)
    wait_until(lambda: degraded(m) == [], "all is well")
    m.finish("second")
    m.finish("squatter")


def test_helper_that_is_stopped_or_killed(inspected):
    """One that never answers delays the alert, and nothing else; one that was killed is started again."""
    m = inspected
    m.serve(CONFIG)
    pid = squat(m, "squatter", 48121)
    wait_until(lambda: m.endpoint("p48121")["collision"] and m.endpoint("p48121")["collision"]["pid"] == pid, "a name")

    cursor = m.cursor()
    m.run("kill", "-STOP", m.pid("portreserved-inspect.service"))
    squat(m, "second", 48122)
    assert m.alert(48122, cursor)["PORTRESERVED_CULPRIT_UNIT"] == "second.service"
    assert "does not answer" in wait_until(lambda: degraded(m), "what is missing")[0]
    # The daemon goes on meanwhile: an owner gets its port.
    assert m.endpoint("held")["state"] == "exclusive"

    m.run("kill", "-KILL", m.pid("portreserved-inspect.service"))
    m.finish("second")
    named(m, "third", range(48123, 48128), cursor)
    assert degraded(m) == []
    m.finish("third")
    m.finish("squatter")


def test_only_portreserved_and_root_may_connect(inspected):
    m = inspected
    m.serve(CONFIG)
    connect = ["/usr/bin/python3", "-c", "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
               "s.connect('/run/portreserved-inspect')"]

    def as_user(user):
        return m.run("setpriv", f"--reuid={user}", "--clear-groups", *connect, check=False)

    assert "PermissionError" in as_user("daemon").stderr
    assert as_user("portreserved").returncode == 0
    assert m.run(*connect).returncode == 0


def test_exposure(inspected, figures):
    """As this systemd judges the unit that is loaded."""
    shown = inspected.run("systemd-analyze", "security", "--no-pager", "portreserved-inspect.service", check=False).stdout
    level = float(re.search(r"exposure level for \S+: ([0-9.]+)", shown)[1])
    figures(f"exposure of portreserved-inspect.service: {level}")
    assert level <= 1.3, shown
