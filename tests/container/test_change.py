# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of the configuration while services run and clients wait: nothing is lost."""

import json

import pytest

from machine import wait_until

CONFIG = "/etc/portreserved.conf"
PATIENT = "[Service]\nExecStart=/usr/bin/python3 -B /opt/inside/patient.py {}\n"
CLIENT = """import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
print("queued", flush=True)
print(s.makefile().read().strip(), flush=True)
"""


@pytest.fixture
def web(host):
    """Two services that accept only when told so."""
    host.run("rm", "-f", "/run/go")
    # Remains of the test before, which are a collision where they are news.
    host.run("ss", "-K", "-a", "state", "time-wait", check=False)
    host.unit("web.service", PATIENT.format(5001))
    host.unit("other.service", PATIENT.format(5001))
    host.made.append("/run/go")
    return host


def apply(m, config, code=0):
    """portreservectl reload; what it says it did."""
    m.write(CONFIG, config)
    r = m.run("portreservectl", "reload", "--json=short", check=False)
    assert r.returncode == code, r.stdout + r.stderr
    return json.loads(r.stdout)


def listeners(m):
    """port: inode of each TCP listener."""
    found = {}
    for line in m.run("ss", "-Hltne").stdout.splitlines():
        ino = [w for w in line.split() if w.startswith("ino:")]
        found[int(line.split()[3].rsplit(":", 1)[1])] = ino[0]
    return found


def holds(m):
    """The inode numbers of the daemon's sockets that are of the Internet."""
    local = {line.split()[6] for line in m.read("/proc/net/unix").splitlines()[1:]}
    local |= {line.split()[-1] for line in m.read("/proc/net/netlink").splitlines()[1:]}
    return {d[8:-1] for d in m.descriptors() if d.startswith("socket:[")} - local


def queued(m, port):
    c = m.popen("python3", "-c", CLIENT, str(port))
    assert c.stdout.readline() == "queued\n"
    return c


def served(c):
    with c:
        return c.stdout.read().strip()


def waiting(m, name):
    """The endpoints that wait for a restart, by port."""
    return [ep["port"] for ep in m.ctl("show", name)["endpoints"] if ep["restart_needed"]]


def nothing_wrong(m, cursor):
    for kind in ("collision", "pending", "drift"):
        assert [e["MESSAGE"] for e in m.events(kind, after=cursor) if e.get("PORTRESERVED_KIND") != "stale"] == []


def test_neighbours_change_and_a_queue_stays(web):
    """Lines move, a comment and a description change, the section moves to another file: neither inode nor queue."""
    web.serve("[web]\nListenStream=5001\n[gone]\nPorts=5009/tcp\nHold=bound\n")
    wait_until(lambda: 5001 in listeners(web), "PID 1 listens")
    before, cursor = listeners(web)[5001], web.cursor()
    c = queued(web, 5001)
    r = apply(web, "# moved\n\n[new]\nPorts=5002/tcp\nHold=shared\n[web]\nListenStream=5001\n")
    assert r["started"] == r["stopped"] == r["waiting"] == []
    assert listeners(web)[5001] == before and waiting(web, "web") == []
    assert web.list() == "5001-5002"
    r = apply(web, "[new]\nPorts=5002/tcp\nHold=shared\n[web]\nListenStream=5001\nDescription=Web\nTriggerLimitBurst=77\n")
    assert (r["daemon_reload"], r["started"], r["waiting"]) == (True, [], [])
    web.write("/etc/portreserved.conf.d/10-web.conf", "[web]\nListenStream=5001\n")
    assert apply(web, "")["started"] == []
    assert web.ctl("show", "web")["source"] == "/etc/portreserved.conf.d/10-web.conf:1"
    assert listeners(web)[5001] == before
    web.run("touch", "/run/go")
    assert served(c) == "web"
    nothing_wrong(web, cursor)


def test_renamed_listener_keeps_socket_and_queue(web):
    web.serve("[web]\nListenStream=5001\n[other]\nPorts=5002/tcp\nHold=bound\n")
    wait_until(lambda: 5001 in listeners(web), "PID 1 listens")
    before, cursor = listeners(web)[5001], web.cursor()
    # First idle.
    r = apply(web, "[site]\nListenStream=5001\nUnit=web.service\n")
    assert (r["renamed"], r["started"], r["stopped"]) == (["portreserved-site.socket"], [], [])
    assert listeners(web)[5001] == before
    # Then with a client that waits; twice, and over restarts of ours.
    c = queued(web, 5001)
    assert apply(web, "[third]\nListenStream=5001\nUnit=web.service\n")["renamed"] == ["portreserved-third.socket"]
    web.systemctl("restart", "portreserved.service")
    web.systemctl("daemon-reload")
    assert listeners(web)[5001] == before
    assert web.active("portreserved-third.socket") == "active"
    assert web.endpoint("third")["state"] == "listening" and waiting(web, "third") == []
    web.run("touch", "/run/go")
    assert served(c) == "site"
    # The name in LISTEN_FDNAMES is the new one from the next start on; the socket still the first.
    web.systemctl("restart", "web.service")
    assert listeners(web)[5001] == before
    assert served(queued(web, 5001)) == "third"
    nothing_wrong(web, cursor)
    # Somebody else takes the first name, and the listener goes.
    r = apply(web, "[web]\nListenStream=5004\nUnit=other.service\n")
    assert r["started"] == ["portreserved-web.socket"] and r["stopped"] == ["portreserved-third.socket"]
    web.systemctl("stop", "web.service")
    assert {5001, 5004} & set(listeners(web)) == {5004}
    assert web.list() == "5004"


def test_listener_added_and_changed_for_a_running_service(web):
    """systemd starts no .socket unit beside its service: it is in place at the next restart, and status says so."""
    web.serve("[other]\nPorts=5009/tcp\n")
    web.run("touch", "/run/go")
    web.systemctl("start", "web.service")
    wait_until(lambda: 5001 in listeners(web), "the service has bound for itself")
    pid, cursor = web.show("web.service", "MainPID"), web.cursor()
    r = apply(web, "[web]\nListenStream=5001\n")
    assert r["waiting"] == ["portreserved-web.socket"] and waiting(web, "web") == [5001]
    line = "web: tcp *:5001: web.service gets it at its next restart: systemctl restart web.service"
    for verb in (["status"], ["status", "web"], ["list"], ["show", "web"]):
        assert line in web.run("portreservectl", *verb).stdout
    # It is so after a restart of ours, too.
    web.systemctl("restart", "portreserved.service")
    assert waiting(web, "web") == [5001]
    assert web.show("web.service", "MainPID") == pid
    web.systemctl("restart", "web.service")
    wait_until(lambda: waiting(web, "web") == [], "it is in place")
    assert web.active("portreserved-web.socket") == "active"
    assert served(queued(web, 5001)) == "web"

    # Another address, and another key: what the service has it keeps, with whoever waits there.
    before = listeners(web)[5001]
    r = apply(web, "[web]\nListenStream=5001\nListenStream=5002\nBacklog=7\n")
    assert r["waiting"] == r["stopped"] == ["portreserved-web.socket"]
    assert waiting(web, "web") == [5001, 5002]
    assert listeners(web) == {**listeners(web), 5001: before}
    assert served(queued(web, 5001)) == "web"
    wait_until(lambda: web.endpoint("web")["state"] == "listening", "the owner is seen")
    web.systemctl("restart", "web.service")
    wait_until(lambda: waiting(web, "web") == [], "both are in place")
    assert {5001, 5002} <= set(listeners(web))
    assert served(queued(web, 5002)) == "web web"
    nothing_wrong(web, cursor)

    # One address less: PID 1 closes that one alone.
    before = listeners(web)[5001]
    r = apply(web, "[web]\nListenStream=5001\nBacklog=7\n")
    assert (r["daemon_reload"], r["stopped"], r["started"], r["waiting"]) == (True, [], [], [])
    assert listeners(web)[5001] == before and waiting(web, "web") == []
    web.systemctl("restart", "web.service")
    assert listeners(web)[5001] == before and 5002 not in listeners(web)


def test_bound_changes(web):
    """A renamed placeholder stays; a port that comes to a running owner is its own at the next start."""
    web.serve("[web]\nPorts=5001/tcp\nHold=bound\n")
    web.wait_endpoint("web", "exclusive")
    store = web.show("portreserved.service", "NFileDescriptorStore")

    before, cursor = holds(web), web.cursor()
    apply(web, "[site]\nPorts=5001/tcp\nHold=bound\nUnit=web.service\n")
    web.wait_endpoint("site", "exclusive")
    assert holds(web) == before and web.show("portreserved.service", "NFileDescriptorStore") == store
    web.run("touch", "/run/go")
    web.systemctl("start", "web.service")
    web.wait_endpoint("site", "in-use")
    events = [(e["event"], e["name"]) for e in json.loads(web.read("/run/portreserved/state.json"))["events"]]
    assert [e for e in events if e[0] in ("held", "handed-over")] == [("held", "web"), ("handed-over", "site")]

    apply(web, "[site]\nPorts=5001/tcp\nPorts=5002/tcp\nHold=bound\nUnit=web.service\n")
    assert waiting(web, "site") == [5002]
    assert web.ctl("show", "site")["endpoints"][1]["state"] == "exclusive"
    web.systemctl("restart", "web.service")
    wait_until(lambda: waiting(web, "site") == [], "it was opened at the start")

    # The unit changes: the drop-in goes from one to the other, the hold stays.
    web.systemctl("stop", "web.service")
    web.wait_endpoint("site", "exclusive")
    before = holds(web)
    apply(web, "[site]\nPorts=5001/tcp\nPorts=5002/tcp\nHold=bound\nUnit=other.service\n")
    assert holds(web) == before
    assert "portreserved-handover" not in web.systemctl("cat", "web.service").stdout
    web.systemctl("start", "other.service")
    web.wait_endpoint("site", "in-use")
    # Removed: from list, store and kernel.
    web.systemctl("stop", "other.service")
    apply(web, "")
    assert web.list() == "" and holds(web) == set()
    # Nor does PID 1 have any of it: as it would keep out a bind, and come back at a restart.
    web.run("python3", "-c", "import socket\nfor p in (5001, 5002):\n socket.socket().bind(('127.0.0.2', p))")
    web.systemctl("restart", "portreserved.service")
    assert holds(web) == set()
    nothing_wrong(web, cursor)


def test_every_hold_after_every_other(web):
    """A stopped owner: none, bound, shared, listen and back, with no moment that tells of trouble."""
    web.serve("[other]\nPorts=5009/tcp\n")
    cursor = web.cursor()
    states = {"none": "none", "bound": "exclusive", "shared": "sharing", "listen": "listening"}
    order = ["none", "bound", "shared", "listen", "shared", "bound", "listen", "bound", "none", "listen", "none", "shared", "none"]
    for hold in order:
        apply(web, f"[web]\nListenStream=5001\nHold={hold}\n")
        web.wait_endpoint("web", states[hold])
        assert (5001 in listeners(web)) == (hold == "listen")
        assert web.active("portreserved-web.socket") == ("active" if hold == "listen" else "inactive")
        assert web.list() == "5001"
    nothing_wrong(web, cursor)


def test_every_hold_while_the_owner_runs(web):
    web.run("touch", "/run/go")
    web.serve("[web]\nListenStream=5001\nHold=bound\n")
    web.systemctl("start", "web.service")
    web.wait_endpoint("web", "in-use")
    pid, cursor = web.show("web.service", "MainPID"), web.cursor()
    # Without a hold for a moment, there is no placeholder beside the running owner any more.
    steps = [("shared", "sharing"), ("bound", "in-use"), ("listen", "sharing"), ("bound", "in-use"), ("none", "none"),
             ("bound", "in-use"), ("shared", "in-use"), ("listen", "listening"), ("bound", "in-use"), ("listen", "listening")]
    for hold, state in steps:
        apply(web, f"[web]\nListenStream=5001\nHold={hold}\n")
        web.wait_endpoint("web", state)
        assert served(queued(web, 5001)) == ""
        assert waiting(web, "web") == ([5001] if hold == "listen" else [])
    assert web.show("web.service", "MainPID") == pid
    web.systemctl("restart", "web.service")
    web.wait_endpoint("web", "listening")
    assert served(queued(web, 5001)) == "web"
    wait_until(lambda: waiting(web, "web") == [], "it is in place")
    # And with PID 1's listener in its hands, back.
    apply(web, "[web]\nListenStream=5001\nHold=bound\n")
    web.wait_endpoint("web", "in-use")
    assert served(queued(web, 5001)) == "web"
    web.systemctl("restart", "web.service")
    wait_until(lambda: 5001 in listeners(web), "it has bound for itself")
    assert served(queued(web, 5001)) == ""
    nothing_wrong(web, cursor)


def test_daemon_reload_that_fails_costs_nothing(web):
    web.serve("[web]\nListenStream=5001\n[other]\nPorts=5002/tcp\nHold=bound\n")
    wait_until(lambda: 5001 in listeners(web), "PID 1 listens")
    before = listeners(web)[5001]
    web.write("/run/broken/systemctl", '#!/bin/sh\ncase "$*" in *daemon-reload*) exit 1;; esac\nexec /usr/bin/systemctl "$@"\n', 0o755)
    web.made.append("/run/broken")
    web.write(CONFIG, "[site]\nListenStream=5001\nUnit=web.service\n[others]\nPorts=5002/tcp\nHold=bound\nUnit=other.service\n")
    r = web.run("env", "PATH=/run/broken:/usr/bin:/bin", "portreservectl", "reload", check=False)
    assert r.returncode == 1 and "daemon-reload failed" in r.stderr
    assert listeners(web)[5001] == before
    # PID 1 still runs the hand-over under the former name.
    web.run("touch", "/run/go")
    web.unit("other.service", PATIENT.format(5002))
    cursor = web.cursor()
    web.run("sh", "-ec", "portreservectl reload")
    assert listeners(web)[5001] == before
    web.systemctl("start", "other.service")
    web.wait_endpoint("others", "in-use")
    nothing_wrong(web, cursor)


def test_former_name_hands_over(web):
    """Between the daemon's reload and PID 1's, a start comes under the former name."""
    web.run("touch", "/run/go")
    web.serve("[web]\nPorts=5001/tcp\nHold=bound\n")
    web.write(CONFIG, "[site]\nPorts=5001/tcp\nHold=bound\nUnit=web.service\n")
    web.systemctl("kill", "--signal=HUP", "--kill-whom=main", "portreserved.service")
    wait_until(lambda: web.ctl("list")[0]["name"] == "site", "the daemon has reloaded")
    assert "start web" in web.systemctl("cat", "web.service").stdout
    web.systemctl("start", "web.service")
    web.wait_endpoint("site", "in-use")
    web.systemctl("stop", "web.service")
    web.wait_endpoint("site", "exclusive")


def test_ten_reloads_at_once(web):
    web.serve("[web]\nListenStream=5001\n")
    c = queued(web, 5001)
    before = listeners(web)[5001]
    web.write(CONFIG, "[site]\nListenStream=5001\nUnit=web.service\n[other]\nListenStream=5002\n")
    tries = [web.popen("portreservectl", "reload") for _ in range(10)]
    assert [t.wait(60) for t in tries] == [0] * 10
    assert listeners(web)[5001] == before and 5002 in listeners(web)
    assert web.active("portreserved-site.socket") == web.active("portreserved-other.socket") == "active"
    web.run("touch", "/run/go")
    assert served(c) == "web"
