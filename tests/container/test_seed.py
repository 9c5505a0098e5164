# SPDX-License-Identifier: LGPL-2.1-or-later
"""The story that portreserved was written for: `192.168.1.4:48121 -> 192.168.1.4:6379`, and the server on 48121 will not start.

Two outgoing connections are there before portreserved: one on the port of a server that binds it itself, one on that of a generated
socket unit."""

import pytest
from machine import Machine, wait_until

EARLY = """[Unit]
DefaultDependencies=no
Before=portreserved.service portreserved-activated.socket sysinit.target
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/python3 -B /opt/inside/thief.py {port} {peer}
[Install]
WantedBy=sysinit.target
"""
SERVER = """[Unit]
Description=A server on 48121
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/python3 -B /opt/inside/server.py 48121
"""
ACTIVATED = "[Service]\nExecStart=/bin/sleep infinity\n"
CONFIG = "[server]\nPorts=48121/tcp\nHold=bound\n\n[activated]\nListenStream=48122\n"
HELLO = "import socket\ns = socket.create_connection(('127.0.0.1', 48121))\nprint(s.recv(100).decode(), end='')\n"


def enabled(m, unit, target, text):
    m.write(f"/etc/systemd/system/{unit}", text)
    m.write(f"/etc/systemd/system/{target}.wants/.keep", "")
    (m.upper / f"etc/systemd/system/{target}.wants" / unit).symlink_to(f"../{unit}")


@pytest.fixture(scope="module")
def booted(trees):
    with Machine(trees, "seed") as m:
        m.enable("portreserved.service", "sysinit.target")
        m.write("/etc/portreserved.conf", CONFIG)
        enabled(m, "worker.service", "sysinit.target", EARLY.format(port=48121, peer=6379))
        # The narrowed range is everybody's: one after the other.
        enabled(m, "crawler.service", "sysinit.target", EARLY.format(port=48122, peer=6380).replace("[Service]", "After=worker.service\n[Service]"))
        enabled(m, "server.service", "multi-user.target", SERVER)
        m.write("/etc/systemd/system/activated.service", ACTIVATED)
        m.boot()
        yield m
        assert m.ordering_cycles() == []


def test_boot_is_as_told(booted):
    m = booted
    assert m.active("worker.service") == m.active("crawler.service") == "active"
    assert m.active("portreserved.service") == "active"
    # Both failed to start, as the story goes.
    assert m.active("server.service") == "failed"
    assert m.active("portreserved-activated.socket") == "failed"
    assert m.endpoint("server")["state"] == "pending"


def test_journal_names_the_culprit(booted):
    m = booted
    alerts = wait_until(lambda: m.journal("PORTRESERVED_EVENT=collision", "PORTRESERVED_PORT=48121"), "the alert")
    assert len(alerts) == 1
    a = alerts[0]
    assert a["PORTRESERVED_CULPRIT_UNIT"] == "worker.service"
    assert a["PORTRESERVED_PEER"] == "127.0.0.1:6379"
    assert a["PORTRESERVED_KIND"] == "ephemeral"
    assert a["PORTRESERVED_NAME"] == "server"
    for word in ("worker.service", "127.0.0.1:6379", "portreservectl why 48121"):
        assert word in a["MESSAGE"]
    (b,) = m.journal("PORTRESERVED_EVENT=collision", "PORTRESERVED_PORT=48122")
    assert b["PORTRESERVED_CULPRIT_UNIT"] == "crawler.service"


@pytest.mark.parametrize("user", [None, "nobody"])
def test_why_says_why_and_what_to_do(booted, user):
    m = booted
    why = m.ctl("why", "48121", user=user)
    assert why["declared"]["name"] == "server"
    assert why["declared"]["source"] == "/etc/portreserved.conf:1"
    assert why["would_bind"] == "no"
    assert why["ephemeral"] is True
    (holder,) = [h for h in why["holders"] if h["kind"] == "ephemeral"]
    assert holder["unit"] == "worker.service"
    assert holder["remote"] == "127.0.0.1:6379"
    assert why["reason"] and why["remedy"]
    prefix = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    text = m.run(*prefix, "portreservectl", "why", "48121").stdout
    assert "worker.service" in text and "6379" in text


def test_status_says_so(booted):
    assert booted.ctl("status", code=8)["collisions"] == 2


def test_port_is_claimed_and_the_server_starts(booted):
    m = booted
    cursor = m.cursor()
    m.systemctl("stop", "worker.service")
    wait_until(lambda: m.active("server.service") == "active", "the server is started")
    assert m.run("python3", "-c", HELLO).stdout == "hello\n"
    claimed = m.events("claimed", after=cursor)
    assert [e["PORTRESERVED_PORT"] for e in claimed] == ["48121"]
    ended = wait_until(lambda: m.events("resolved", after=cursor), "the end of the collision is said")
    assert [e["PORTRESERVED_PORT"] for e in ended] == ["48121"]
    m.wait_endpoint("server", "in-use")


def test_failed_socket_unit_starts_when_its_port_is_free(booted):
    m = booted
    m.systemctl("stop", "crawler.service")
    wait_until(lambda: m.active("portreserved-activated.socket") == "active", "the socket unit is started")
    wait_until(lambda: m.run("portreservectl", "status", "--quiet", check=False).returncode == 0, "all is well")
    # A client starts the service, which is what it was all for.
    m.run("python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 48122)).close()")
    wait_until(lambda: m.active("activated.service") == "active", "the service is started")


def test_why_works_without_the_daemon(booted):
    m = booted
    m.systemctl("stop", "portreserved.service")
    wait_until(lambda: m.active("portreserved-list.service") == "inactive", "the companion has stopped")
    why = m.ctl("why", "48121", user="nobody")
    assert why["declared"]["name"] == "server"
    # Beside what is left of the clients' connections.
    assert [h["unit"] for h in why["holders"] if h["state"] == "LISTEN"] == ["server.service"]


GIVES_UP = """
import os, socket, sys, time
while True:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", 48121))
        s.listen()
        break
    except OSError:
        time.sleep(0.05)
if not os.path.exists("/run/second-try"):
    open("/run/second-try", "w").close()
    time.sleep(2)
    sys.exit(1)
time.sleep(1000)
"""


def test_server_that_gave_up_as_the_port_came_free(host):
    """It waited for the port, got it, and ended all the same, as nginx does for a [::] that was still taken."""
    host.write("/run/gives-up.py", GIVES_UP)
    host.unit("server.service", "[Service]\nExecStart=/usr/bin/python3 /run/gives-up.py\n")
    host.background("worker", *host.script("thief", 48121, 6379))
    host.serve("[server]\nPorts=48121/tcp\nHold=bound\n")
    host.wait_endpoint("server", "pending")
    host.systemctl("start", "server.service")
    first = host.show("server.service", "MainPID")
    host.finish("worker")
    wait_until(lambda: host.show("server.service", "MainPID") not in ("0", first), "it ends and is started again")
    host.wait_endpoint("server", "in-use")
    host.run("rm", "/run/second-try", "/run/gives-up.py")
