# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests that nobody should make: refused or dropped, logged with who asked, nothing kept of them, nobody else kept waiting."""

import re

import pytest
from machine import wait_until

HANDOVER = "/usr/libexec/portreserved/portreserved-handover"
PORT = 48121
CONFIG = f"""
[own]
Ports={PORT}/tcp
Hold=bound

[games]
Ports={PORT + 1}/tcp
Hold=shared
User=games
"""
SERVER = f"[Service]\nType=notify\nExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT}\n"


def fds(m, unit):
    """What its process has open: of each kind how many."""
    kinds = [re.match(r"\w+:|/.*", d)[0] for d in m.descriptors(unit)]
    return sorted((kind, kinds.count(kind)) for kind in set(kinds))


def settled(m, unit="portreserved.service"):
    """The same, once it stays as it is: the last helper's connection may still be open."""
    seen = []

    def same():
        seen.append(fds(m, unit))
        return len(seen) >= 4 and seen[-1] == seen[-2] == seen[-3] == seen[-4]

    wait_until(same, "as many descriptors as before", step=0.2)
    return seen[-1]


def said(m, cursor):
    return m.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor)


def in_unit(m, unit, *argv, user=None):
    """A command in a service of its own: its exit status and output."""
    return in_cgroup(m, f"/system.slice/{unit}.service", *argv, user=user)


def in_cgroup(m, path, *argv, user=None):
    enter = 'd=/sys/fs/cgroup$0 && mkdir -p "$d" && echo $$ >"$d"/cgroup.procs && exec "$@"'
    as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    try:
        return m.run("sh", "-c", enter, path, *as_user, *argv, check=False)
    finally:
        # The folders that were made; PID 1's own are not empty, or it makes them anew.
        m.run("sh", "-c", 'cd /sys/fs/cgroup && rmdir -p --ignore-fail-on-non-empty ".$1" 2>/dev/null', "sh", path, check=False)


@pytest.fixture
def daemon(host):
    """The machine with its daemon; afterwards nothing may be open in it that was not before, and the owner is served as ever."""
    host.unit("own.service", SERVER)
    host.serve(CONFIG)
    host.wait_endpoint("own", "exclusive")
    host.systemctl("start", "own.service")
    host.wait_endpoint("own", "in-use")
    host.systemctl("stop", "own.service")
    host.wait_endpoint("own", "exclusive")
    # The first structured line opens the daemon's connection to the journal, which stays.
    in_unit(host, "wrong", HANDOVER, "start", "own")
    wait_until(lambda: host.events("denied"), "the first denial is told")
    before = settled(host)
    pid = host.pid()
    yield host
    assert host.pid() == pid, "the daemon has been restarted"
    assert settled(host) == before
    host.systemctl("start", "own.service")
    host.wait_endpoint("own", "in-use")


def test_wrong_unit(daemon):
    cursor = daemon.cursor()
    r = in_unit(daemon, "wrong", HANDOVER, "start", "own")
    assert r.returncode == 1 and "own: not the owner" in r.stderr
    r = in_unit(daemon, "wrong", "portrelease", "own")
    assert r.returncode == 5 and "own: not the owner" in r.stderr
    r = in_unit(daemon, "wrong", HANDOVER, "stop", "own")
    assert r.returncode == 1
    assert daemon.endpoint("own")["state"] == "exclusive"
    for words in ("Hand-over start, asked by pid ", "Hand-over release, asked by pid ", "Hand-over stop, asked by pid "):
        assert any(words in m and "uid 0, cgroup /system.slice/wrong.service: own: not the owner" in m for m in said(daemon, cursor)), words


def test_wrong_user(daemon):
    cursor = daemon.cursor()
    # User= of another reservation, by the socket's mode …
    for user in "games", "nobody":
        r = in_unit(daemon, "own", "portrelease", "own", user=user)
        assert r.returncode == 5 and "only root" in r.stderr, user
    # … and by credentials, where that does not keep it out: from the owner's own unit.
    r = in_unit(daemon, "own", *daemon.script("ask-handover", "read", 1, "start", "own"), user="portreserved")
    assert r.stdout == "error own: not the owner\n"
    uid = daemon.run("id", "-u", "portreserved").stdout.strip()
    assert any(f"uid {uid}, cgroup /system.slice/own.service: own: not the owner" in m for m in said(daemon, cursor))
    # At the other door it may have its own, and nothing else.
    r = in_unit(daemon, "own", "portreserve-exec", "own", "true", user="games")
    assert r.returncode == 5
    assert in_unit(daemon, "own", "portreserve-exec", "games", "true", user="games").returncode == 0
    assert in_unit(daemon, "own", "portreserve-exec", "own", "true", user="nobody").returncode == 5
    assert any("Hung up on pid" in m for m in said(daemon, cursor))
    assert daemon.endpoint("own")["state"] == "exclusive"


def test_container(daemon):
    """What is in a container's cgroup is not the host's unit, whatever it calls itself there."""
    cursor = daemon.cursor()
    path = "/machine.slice/machine-guest.scope/payload/system.slice/own.service"
    for argv, status in ((HANDOVER, "start", "own"), 1), (("portrelease", "own"), 5):
        r = in_cgroup(daemon, path, *argv)
        assert r.returncode == status and "own: not the owner" in r.stderr, r
    assert sum(f"uid 0, cgroup {path}: own: not the owner" in m for m in said(daemon, cursor)) == 2
    assert daemon.endpoint("own")["state"] == "exclusive"


def test_a_process_that_has_ended(daemon):
    """Its pid may be another's by the time that it is looked at."""
    cursor = daemon.cursor()
    daemon.systemctl("kill", "--kill-who=main", "--signal=STOP", "portreserved.service")
    try:
        for _ in range(3):
            in_unit(daemon, "own", *daemon.script("ask-handover", "leave", 5, "start", "own"))
    finally:
        daemon.systemctl("kill", "--signal=CONT", "portreserved.service")
    wait_until(lambda: any("the process has ended; the request is dropped" in m for m in said(daemon, cursor)), "that is said")
    assert all("asked by pid " in m and "uid 0" in m for m in said(daemon, cursor) if "has ended" in m)
    assert daemon.endpoint("own")["state"] == "exclusive"


def test_names(daemon):
    cursor = daemon.cursor()

    def ask(*words):
        return in_unit(daemon, "own", *daemon.script("ask-handover", "read", 1, *words)).stdout

    assert ask("start", "nonesuch") == "error nonesuch: no such reservation\n"
    assert ask("start", "10000*own") == "error malformed request\n"
    assert ask("start", "200*own") == "error malformed request\n"
    assert ask("start", "a/b") == "error malformed request\n"
    assert ask("begin", "own") == "error malformed request\n"
    assert in_unit(daemon, "own", HANDOVER, "start", *["own"] * 10000).returncode == 2
    assert in_unit(daemon, "own", "portrelease", *["own"] * 10000).returncode == 2
    assert in_unit(daemon, "own", "portreserve-exec", "nonesuch", "true").returncode == 4
    lines = said(daemon, cursor)
    assert any("cgroup /system.slice/own.service: nonesuch: no such reservation" in m for m in lines)
    assert any("cgroup /system.slice/own.service: malformed request" in m for m in lines)
    assert any("No reservation 'nonesuch' to open, asked by pid" in m for m in lines)
    assert daemon.endpoint("own")["state"] == "exclusive"


@pytest.mark.parametrize("how", ["hang", "silent"])
def test_one_that_never_reads_keeps_nobody_waiting(daemon, how):
    daemon.background("rude", *daemon.script("ask-handover", how, 100, "stop", "own"))
    daemon.systemctl("start", "own.service")
    daemon.wait_endpoint("own", "in-use")
    daemon.systemctl("stop", "own.service")
    daemon.wait_endpoint("own", "exclusive")
    daemon.finish("rude")


def test_a_flood_is_not_all_logged(daemon):
    cursor = daemon.cursor()
    r = in_unit(daemon, "wrong", *daemon.script("ask-handover", "read", 500, "start", "own", "nonesuch"))
    assert r.stdout == "error own: not the owner; nonesuch: no such reservation\n"
    in_unit(daemon, "wrong", "sh", "-c", 'for i in $(seq 50); do portreserve-exec nonesuch true; done 2>/dev/null')
    lines = said(daemon, cursor)
    assert 10 <= len(lines) < 100, lines
    assert daemon.endpoint("own")["state"] == "exclusive"


def test_by_hand(daemon):
    """A login session is no unit: there root may release a port, and what it starts then is the owner's."""
    cursor = daemon.cursor()
    r = in_cgroup(daemon, "/user.slice/user-0.slice/session-77.scope", HANDOVER, "start", "own")
    assert r.returncode == 1 and "own: not the owner" in r.stderr
    server = daemon.popen("systemd-run", "--quiet", "--scope", "--collect", "--unit=session-78", "--slice=user-0.slice", "--", "sh", "-c",
                          f"portrelease own && exec python3 -B /opt/inside/server.py {PORT}")
    daemon.wait_endpoint("own", "in-use")
    assert daemon.ctl("status")["collisions"] == 0
    daemon.systemctl("stop", "session-78.scope")
    server.wait(60)
    daemon.wait_endpoint("own", "exclusive")
    assert not daemon.events("collision", after=cursor)


def test_act(daemon):
    """A unit that applied.conf does not name, and another user: refused, and said who asked."""
    daemon.unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    daemon.systemctl("daemon-reload")
    daemon.systemctl("start", "other.service", check=False)
    assert daemon.active("other.service") == "failed"
    cursor = daemon.cursor()

    def ask(user):
        daemon.run("setpriv", f"--reuid={user}", "--clear-groups", *daemon.script("ask-act", "other.service"))

    def opened():
        ask("portreserved")  # it runs, for some seconds, and has its connections to PID 1 and to the journal
        return settled(daemon, "portreserved-act.service")

    before = opened()
    for user, words in ("portreserved", "other.service: not started"), ("root", "was refused"):
        ask(user)
        uid = daemon.run("id", "-u", user).stdout.strip()
        wait_until(lambda: any(words in m and f"uid {uid}" in m and "pid " in m
                               for m in daemon.messages("_SYSTEMD_UNIT=portreserved-act.service", after=cursor)), f"{words} is said")
    assert daemon.active("other.service") == "failed"
    assert opened() == before
