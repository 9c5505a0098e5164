# SPDX-License-Identifier: LGPL-2.1-or-later
"""Owners that are more than one unit with one port: aliases, several reservations, .socket units and an fd store of their own, a crash
loop; and units that cannot be served."""

import json
import time

import pytest
from machine import wait_until

SUBJECT = "/opt/inside/subject"
SOCKET = "[Socket]\nListenStream={}\nFileDescriptorName={}\n"


def service(port, words="", more=""):
    return f"[Service]\nType=exec\nExecStart={SUBJECT} {port} {words}\n{more}"


def visit(m, unit, port):
    found = json.loads(m.run(*m.script("visit", unit, port)).stdout)
    assert "failed" not in found, f"{unit}: {found['failed']}\n{found['said']}"
    return found


def passed(found):
    """What the program was passed, as (name, port), in order."""
    words = [line.split() for line in found["told"].splitlines() if line.startswith("passed ")]
    return [(w[1], int(w[2].rsplit(":", 1)[1]) if len(w) > 2 else None) for w in words]


# Aliases


def test_debians_redis_by_its_alias(host):
    host.run("systemctl", "--quiet", "enable", "redis-server.service")
    try:
        host.serve("[cache]\nPorts=6379/tcp\nHold=bound\nUnit=redis.service\n")
        host.wait_endpoint("cache", "exclusive")
        for name in ("redis.service", "redis-server.service"):
            host.systemctl("start", name)
            host.wait_endpoint("cache", "in-use")
            assert host.run("redis-cli", "ping").stdout == "PONG\n"
            host.systemctl("stop", name)
            host.wait_endpoint("cache", "exclusive")
        assert host.ctl("status")["collisions"] == 0
    finally:
        host.systemctl("stop", "redis-server.service")
        host.run("systemctl", "--quiet", "disable", "redis-server.service")


def test_listener_of_an_alias(host):
    host.unit("real.service", service(23001))
    host.run("ln", "-s", "real.service", "/etc/systemd/system/alias.service")
    host.made.append("/etc/systemd/system/alias.service")
    host.serve("[alias]\nListenStream=23001\n")
    host.systemctl("start", "portreserved-alias.socket")
    assert passed(visit(host, "-real.service", 23001)) == [("alias", 23001)]
    host.systemctl("stop", "portreserved-alias.socket", "real.service")


# Several reservations for one unit

SEVERAL = """
[web]
ListenStream=23012
ListenStream=127.0.0.1:23011
Unit=several.service
[admin]
ListenStream=23013
Unit=several.service
[metrics]
ListenStream=[::1]:23015
ListenStream=23014
FileDescriptorName=prometheus
Unit=several.service
[plain]
Ports=23016/tcp
Hold=bound
Unit=several.service
[other]
Ports=23017/tcp
Hold=bound
Unit=several.service
"""
# By name; in a name, as its lines are. Between names systemd keeps no order.
NAMED = {"web": [23012, 23011], "admin": [23013], "prometheus": [23015, 23014]}


def named(found):
    names = {}
    for name, port in passed(found):
        names.setdefault(name, []).append(port)
    return names


def test_several_reservations_of_one_unit(host):
    host.unit("several.service", service(23013, "also=23016 also=23017", "[Unit]\nStartLimitIntervalSec=0\n"))
    host.serve(SEVERAL)
    host.systemctl("start", "portreserved-web.socket", "portreserved-admin.socket", "portreserved-metrics.socket")
    text = host.read("/run/systemd/generator/several.service.d/50-portreserved.conf")
    assert text.count("ExecStartPre=") == 1 and "start other plain\n" in text
    assert named(visit(host, "-several.service", 23013)) == NAMED
    for change in (["daemon-reload"], ["daemon-reexec"], ["restart", "portreserved.service"]):
        host.systemctl(*change)
        host.systemctl("restart", "several.service")
        assert named(visit(host, "several.service", 23013)) == NAMED, change
    for name in ("plain", "other"):
        host.wait_endpoint(name, "in-use")
    assert host.ctl("status")["collisions"] == 0
    # No first client that starts it again.
    host.systemctl("stop", "portreserved-web.socket", "portreserved-admin.socket", "portreserved-metrics.socket", "several.service")
    for name in ("plain", "other"):
        host.wait_endpoint(name, "exclusive")


def test_several_reservations_after_a_boot(machine):
    m = machine
    m.enable("portreserved.service", "sysinit.target")
    m.write("/etc/portreserved.conf", SEVERAL)
    m.write("/etc/systemd/system/several.service", service(23013, "also=23016 also=23017"))
    m.boot()
    assert named(visit(m, "-several.service", 23013)) == NAMED


# .socket units of the owner's


def test_socket_of_its_own_beside_ours(host):
    """The unit even requires it."""
    host.unit("beside.socket", SOCKET.format(23021, "own"))
    host.unit("beside.service", "[Unit]\nRequires=beside.socket\nAfter=beside.socket\n" + service(23022))
    host.serve("[beside]\nListenStream=23022\n[bare]\nPorts=23023\nHold=bound\nUnit=beside.service\n")
    host.systemctl("start", "portreserved-beside.socket")
    assert sorted(passed(visit(host, "-beside.service", 23022))) == [("beside", 23022), ("own", 23021)]
    host.systemctl("restart", "beside.service")
    assert sorted(passed(visit(host, "beside.service", 23022))) == [("beside", 23022), ("own", 23021)]
    assert host.ctl("status")["collisions"] == 0
    # A service that starts by itself wants the one that we made for it, too.
    host.systemctl("stop", "portreserved-beside.socket", "beside.service")
    assert sorted(passed(visit(host, "beside.service", 23022))) == [("beside", 23022), ("own", 23021)]


@pytest.mark.parametrize("socket", ["own.socket", "another.socket"])
def test_socket_of_its_own_on_a_held_port(host, socket):
    """The .socket unit binds the port, before its service starts and after it has stopped."""
    host.unit(socket, SOCKET.format(23031, "x") + "Service=own.service\n")
    host.unit("own.service", f"[Unit]\nRequires={socket}\n" + service(23031))
    host.serve("[own]\nPorts=23031/tcp\nHold=bound\n")
    host.wait_endpoint("own", "exclusive")
    for _ in range(2):
        host.systemctl("start", socket)
        host.wait_endpoint("own", "in-use")
        assert passed(visit(host, "-own.service", 23031)) == [("x", 23031)]
        host.systemctl("restart", "own.service")
        assert passed(visit(host, "own.service", 23031)) == [("x", 23031)]
        host.systemctl("stop", "own.service")
        assert host.active(socket) == "active"
        host.systemctl("stop", socket)
        host.wait_endpoint("own", "exclusive")
    assert host.ctl("status")["collisions"] == 0
    assert [e["MESSAGE"] for e in host.events("collision") if e["PORTRESERVED_NAME"] == "own"] == []


def test_two_listeners_on_one_port_are_told(host):
    host.unit("twice.socket", SOCKET.format(23032, "x"))
    host.unit("twice.service", service(23032))
    host.write("/etc/portreserved.conf", "[twice]\nListenStream=23032\n")
    (warning,) = host.ctl("check")["warnings"]
    assert (warning["file"], warning["line"]) == ("/etc/portreserved.conf", 1)
    assert "twice.socket listens there for twice.service as well (/etc/systemd/system/twice.socket:2)" in warning["message"]


def test_one_name_for_two_listeners_is_told(host):
    one = "[{}]\nListenStream={}\nUnit=x.service\nFileDescriptorName={}\n"
    host.write("/etc/portreserved.conf", one.format("a", 23033, "http") + one.format("b", 23034, "a") + one.format("c", 23035, "other"))
    assert host.ctl("check")["warnings"] == []
    host.write("/etc/portreserved.conf", one.format("a", 23033, "http") + one.format("b", 23034, "http"))
    assert [(w["line"], "in no order" in w["message"]) for w in host.ctl("check")["warnings"]] == [(4, True), (8, True)]


# An fd store of its own


def test_its_own_fd_store(host):
    """Sockets come first, then what it has stored, the newest first: as with any .socket unit."""
    unit = service(23041, "ready store", "FileDescriptorStoreMax=4\n").replace("Type=exec", "Type=notify")
    host.unit("stores.service", unit)
    host.unit("stores-bare.service", unit.replace("23041", "23042"))
    host.serve("[stores]\nListenStream=23041\nFileDescriptorName=http\n[bare]\nPorts=23042/tcp\nHold=bound\nUnit=stores-bare.service\n")
    host.systemctl("start", "portreserved-stores.socket")
    assert passed(visit(host, "-stores.service", 23041)) == [("http", 23041)]
    assert passed(visit(host, "stores-bare.service", 23042)) == []
    own = [("own-second", None), ("own-first", None)]
    for _ in range(2):
        for unit in ("stores.service", "stores-bare.service"):
            wait_until(lambda u=unit: host.show(u, "NFileDescriptorStore") == "2", f"{unit} has stored its own")
        host.systemctl("restart", "stores.service", "stores-bare.service")
        assert passed(visit(host, "stores.service", 23041)) == [("http", 23041), *own]
        assert passed(visit(host, "stores-bare.service", 23042)) == own
    host.systemctl("stop", "portreserved-stores.socket", "stores.service", "stores-bare.service")


# A crash loop

CRASHES = 8
LOOP = f"Restart=always\nRestartSec=50ms\n[Unit]\nStartLimitBurst={CRASHES}\nStartLimitIntervalSec=1min\n"


def crash(m, unit, port):
    """Starts a unit that crashes until it may no more. What systemd says of it, and how many lines the journal has for it."""
    cursor = m.cursor()
    # Another uid, with nothing but a plain bind: for the rest there is a window between a start and its bind.
    m.background("thief", *m.script("stranger", port), user="nobody")
    m.systemctl("start", unit, check=False)
    wait_until(lambda: m.show(unit, "ActiveState") == "failed", f"{unit} has given up")
    time.sleep(0.2)
    won = m.finish("thief")
    lines = [e for e in m.journal(after=cursor) if unit in (e.get("UNIT"), e.get("_SYSTEMD_UNIT"))]
    ours = [e for e in m.journal(after=cursor) if e.get("_SYSTEMD_UNIT") == "portreserved.service"]
    said = {p: m.show(unit, p) for p in ("NRestarts", "Result", "ExecMainStatus", "SubState")}
    return said, len(lines), [e["MESSAGE"] for e in ours], int(won.split()[-1])


def test_crash_loop(host):
    for name, port in (("loop", 23051), ("loop-bare", 23052)):
        host.unit(f"{name}.service", service(port, "crash", LOOP))
    host.serve("[loop]\nPorts=23051/tcp\nHold=bound\n")
    host.wait_endpoint("loop", "exclusive")
    bare, bare_lines, _, bare_won = crash(host, "loop-bare.service", 23052)
    said, lines, ours, won = crash(host, "loop.service", 23051)
    print(f"journal lines of {CRASHES} crashes: {bare_lines} without a reservation, {lines} with, portreserved {len(ours)}")
    # Without us it may also have ended for want of its port.
    for key in ("NRestarts", "SubState"):
        assert said[key] == bare[key], f"StartLimit is what it was: {said} {bare}"
    assert said["NRestarts"] == str(CRASHES) and said["Result"] == "signal"
    assert bare_won > 0, "without a reservation the stranger gets the port between two crashes"
    assert won == 0
    # No line more for the unit itself.
    assert lines <= bare_lines, f"{lines} lines instead of {bare_lines}"
    assert len(ours) <= 2, ours
    host.wait_endpoint("loop", "exclusive")


def test_crash_loop_of_a_listener(host):
    """PID 1 keeps listening between the crashes. It gives the socket up when its service has reached the limit, as with any .socket
    unit; the port is still in the kernel's list."""
    host.unit("loop.service", service(23053, "", LOOP))
    host.serve("[loop]\nListenStream=23053\n")
    host.systemctl("start", "portreserved-loop.socket")
    host.background("thief", *host.script("stranger", 23053), user="nobody")
    host.systemctl("start", "loop.service")
    for _ in range(CRASHES - 3):
        restarts = int(host.show("loop.service", "NRestarts"))
        host.systemctl("kill", "--signal=KILL", "loop.service")
        wait_until(lambda n=restarts: int(host.show("loop.service", "NRestarts")) > n, "it is started again")
    assert host.active("portreserved-loop.socket") == "active"
    assert host.finish("thief").split()[-1] == "0"

    def given_up():
        host.systemctl("kill", "--signal=KILL", "loop.service", check=False)
        return host.active("portreserved-loop.socket") == "failed"

    wait_until(given_up, "systemd has given it up", step=0.1)
    assert host.show("portreserved-loop.socket", "Result") == "service-start-limit-hit"
    assert host.list() == "23053"


# What cannot be served

OWN_NETWORK = {
    "private": "PrivateNetwork=yes",
    "joined": "PrivateNetwork=yes\n[Unit]\nJoinsNamespaceOf=private.service",
    "path": "NetworkNamespacePath=/run/netns/x",
}


@pytest.mark.parametrize("row", OWN_NETWORK)
def test_own_network_is_refused(host, row):
    host.unit(f"{row}.service", service(23061, "", OWN_NETWORK[row] + "\n"))
    # Line 4: after [Service], Type= and ExecStart=.
    key = OWN_NETWORK[row].splitlines()[0]
    reason = f"{row}.service has a network namespace of its own (/etc/systemd/system/{row}.service:4: {key}), and Hold=bound of [{row}] is on the host; "
    host.serve("[ok]\nPorts=23062\n")
    host.write("/etc/portreserved.conf", f"[ok]\nPorts=23062\n\n[{row}]\nPorts=23061\nHold=bound\n")
    (error,) = host.ctl("check", code=7)["errors"]
    assert (error["file"], error["line"]) == ("/etc/portreserved.conf", 4)
    assert error["message"].startswith(reason) and "Hold=listen" in error["message"]
    # A reload changes nothing and says the same.
    r = host.run("portreservectl", "reload", check=False)
    assert r.returncode == 7 and reason in r.stderr + r.stdout
    assert [r["name"] for r in host.ctl("list")] == ["ok"]
    # At a start it costs the hold, and no more.
    host.systemctl("stop", "portreserved.service")
    wait_until(lambda: host.active("portreserved-list.service") == "inactive", "the companion has stopped")
    cursor = host.cursor()
    host.systemctl("daemon-reload")
    host.systemctl("start", "portreserved.service")
    assert [(r["name"], r["hold"]) for r in host.ctl("list")] == [("ok", "none"), (row, "none")]
    assert host.ctl("status")["config_errors"] == 1
    assert [t for t in host.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor) if reason in t]
    assert host.run("ls", f"/run/systemd/generator/{row}.service.d", check=False).returncode != 0


def test_own_network_is_served_by_a_listener(host):
    """The host's socket works in there."""
    host.unit("private.service", service(23063, "", "PrivateNetwork=yes\n"))
    host.serve("[private]\nListenStream=23063\n")
    host.systemctl("start", "portreserved-private.socket")
    assert passed(visit(host, "-private.service", 23063)) == [("private", 23063)]
    assert host.ctl("check")["errors"] == []
    host.systemctl("stop", "portreserved-private.socket", "private.service")


def test_root_of_its_own_without_portreserved(host):
    """What the drop-in brings into the unit's root may be missing: it starts all the same, as when it is there."""
    host.run("sh", "-c", "mkdir -p /srv/alone/run /srv/alone/proc /srv/alone/sys /srv/alone/dev && cp /opt/inside/subject /srv/alone")
    host.made.append("/srv/alone")
    host.unit("alone.service", "[Service]\nType=exec\nRootDirectory=/srv/alone\nExecStart=/subject 23071\n")
    host.serve("[alone]\nPorts=23071/tcp\nHold=bound\n")
    visit(host, "alone.service", 23071)
    host.wait_endpoint("alone", "in-use")
    host.systemctl("stop", "alone.service")
    host.systemctl("stop", "portreserved.service")
    wait_until(lambda: host.run("ls", "/run/portreserved", check=False).returncode != 0, "its directory is gone")
    visit(host, "alone.service", 23071)
    host.systemctl("stop", "alone.service")
    # And nothing of ours is left behind in it.
    assert host.run("find", "/srv/alone", "-name", "*portreserved*").stdout == ""
