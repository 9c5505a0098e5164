# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreservectl reload: PID 1 follows the configuration."""

import json

from machine import wait_until

CONFIG = "/etc/portreserved.conf"
OWNER = "[Service]\nExecStart=/bin/sleep infinity\n"


def listening(m):
    """The ports that PID 1 listens on."""
    lines = m.run("ss", "-Hltnp").stdout.splitlines()
    return {int(line.split()[3].rsplit(":", 1)[1]) for line in lines if '"systemd",pid=1,' in line}


def reload(m, config, *args):
    m.write(CONFIG, config)
    return m.run("portreservectl", "reload", *args)


def start(m, config):
    m.write(CONFIG, config)
    m.systemctl("start", "portreserved.service")


def test_units_follow(host):
    host.unit("a.service", OWNER)
    host.unit("b.service", OWNER)
    start(host, "[b]\nPorts=5000/tcp\nHold=bound\n")
    r = json.loads(reload(host, "[a]\nListenStream=5001\n[b]\nPorts=5000/tcp\nHold=bound\n", "--json=short").stdout)
    assert (r["daemon_reload"], r["started"], r["stopped"], r["waiting"]) == (True, ["portreserved-a.socket"], [], [])
    assert 5001 in listening(host)
    assert "portreserved-handover" in host.systemctl("cat", "b.service").stdout

    # Nothing differs: PID 1 is left alone.
    r = json.loads(host.run("portreservectl", "reload", "--json=short").stdout)
    assert (r["daemon_reload"], r["started"], r["stopped"], r["waiting"]) == (False, [], [], [])

    # Another port, then none.
    r = json.loads(reload(host, "[a]\nListenStream=5002\n", "--json=short").stdout)
    assert r["started"] == ["portreserved-a.socket"]
    assert {5001, 5002} & listening(host) == {5002}
    assert "portreserved-handover" not in host.systemctl("cat", "b.service").stdout
    r = json.loads(reload(host, "[b]\nPorts=5000/tcp\n", "--json=short").stdout)
    assert r["stopped"] == ["portreserved-a.socket"]
    assert not {5001, 5002} & listening(host)


def test_a_running_service_is_left_alone(host):
    host.unit("a.service", OWNER)
    start(host, "[b]\nPorts=5000/tcp\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "a.service")
    pid = host.show("a.service", "MainPID")
    r = reload(host, "[a]\nListenStream=5001\n", "--json=short")
    assert json.loads(r.stdout)["waiting"] == ["portreserved-a.socket"]
    assert "gets it at its next restart: systemctl restart a.service" in r.stderr
    assert host.show("a.service", "MainPID") == pid
    assert 5001 not in listening(host)
    # What it says to do works.
    host.run("sh", "-ec", r.stderr.split("restart: ")[1].splitlines()[0])
    assert 5001 in listening(host) and host.active("a.service") == "active"


def test_a_mistake_changes_nothing(host):
    host.unit("a.service", OWNER)
    start(host, "[b]\nPorts=5000/tcp\n")
    reload(host, "[a]\nListenStream=5001\n")
    host.write(CONFIG, "[a]\nListenStream=5002\nPorts=0\n")
    r = host.run("portreservectl", "reload", check=False)
    assert r.returncode == 7 and f"{CONFIG}:3: " in r.stderr
    assert {5001, 5002} & listening(host) == {5001}
    # Nor does somebody else's daemon-reload.
    host.systemctl("daemon-reload")
    assert "5001" in host.systemctl("cat", "portreserved-a.socket").stdout


def test_systemctl_reload_does_the_same(host):
    """ExecReload= is portreservectl: it starts units while the reload of its own service is still a job."""
    host.unit("a.service", OWNER)
    start(host, "[b]\nPorts=5000/tcp\n")
    host.write(CONFIG, "[a]\nListenStream=5001\n")
    host.systemctl("reload", "portreserved.service")
    wait_until(lambda: 5001 in listening(host), "PID 1 listens")
    assert host.active("portreserved.service") == "active"


def test_a_start_names_units_that_are_not_generated(host):
    """The daemon reads /etc at its start; PID 1 does not run the generator for that."""
    host.unit("b.service", OWNER)
    start(host, "[c]\nPorts=5000/tcp\n")
    host.systemctl("stop", "portreserved.service")
    start(host, "[b]\nPorts=5000/tcp\nHold=bound\n")

    def degraded():
        return json.loads(host.run("portreservectl", "status", "--json=short").stdout)["degraded"]
    assert ["generated-units: none for b"] == [": ".join(d.split(": ")[:2]) for d in degraded()]
    host.run("portreservectl", "reload")
    wait_until(lambda: degraded() == [], "they are there")
    assert "portreserved-handover" in host.systemctl("cat", "b.service").stdout


def test_sockets_start_with_the_daemon(host):
    """As after `systemctl enable --now portreserved` on a host whose sockets.target was reached long ago."""
    host.unit("a.service", OWNER)
    host.serve("[a]\nListenStream=5001\n")
    wait_until(lambda: 5001 in listening(host), "PID 1 listens")
