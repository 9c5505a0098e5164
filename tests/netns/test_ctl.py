# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreservectl without portreserved, or with something that only looks like it: usage, exit codes, JSON."""

import fcntl
import json
import os
import pty
import random
import re
import shutil
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from conftest import program, wait_until

VERBS = ["status", "list", "show", "why", "check", "ephemeral", "watch", "reload"]
HOLDER_KEYS = ["kind", "state", "local", "remote", "unit", "cgroup", "pid", "exe", "uid", "since", "user", "user_unit", "container",
               "command", "started", "automatic", "expires_sec", "reuse", "no_process", "certain", "mptcp"]


def holder(**known):
    return {**dict.fromkeys(HOLDER_KEYS), **known}


def endpoint(port, last=None, **other):
    return {"protocol": "tcp", "address": "*", "port": port, "last": last or port, "state": "none", "reserved": True,
            "collision": None, **other}


def reservation(name, *endpoints, **other):
    return {"name": name, "unit": f"{name}.service", "user": None, "source": "/etc/portreserved.conf:1", "hold": "none",
            "exclusive": "no", "enforced": False, "endpoints": list(endpoints), **other}


def event(seq, **other):
    return {"time": "2026-01-31T09:15:02.123456Z", "event": "drift", "name": None, "protocol": None, "address": None, "port": None,
            "holder": None, "message": f"event {seq}", "seq": seq, **other}


class Impostor:
    """A state.json, and a socket that answers no one."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.socket = None
        self.open()

    def open(self):
        self.runtime.mkdir(exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(str(self.runtime / "control"))
        self.socket.listen(64)

    def close(self):
        self.socket.close()

    def write(self, state):
        text = state if isinstance(state, (str, bytes)) else json.dumps(state)
        temporary = self.runtime / "new"
        temporary.write_bytes(text.encode() if isinstance(text, str) else text)
        temporary.rename(self.runtime / "state.json")

    @staticmethod
    def state(*reservations, **other):
        collisions = sum(e["collision"] is not None for r in reservations for e in r["endpoints"])
        return {"version": "0.1.0", "features": [], "degraded": [], "reservations": len(reservations), "ports": 1, "pending": 0,
                "collisions": collisions, "drifts": 0, "config_errors": 0, "scan": {}, "pid": 1, "config": "/etc/portreserved.conf",
                "started": "2026-01-31T09:00:00.000000Z", "updated": "2026-01-31T09:15:02.000000Z", "list": list(reservations),
                "errors": [], "warnings": [], "events": [], **other}


@pytest.fixture
def impostor(place):
    i = Impostor(place / "run")
    yield i
    i.close()


# The command line

@pytest.mark.parametrize("args, words", [
    ([], "a verb is missing"),
    (["lst"], "did you mean 'list'?"),
    (["statsu"], "did you mean 'status'?"),
    (["WHY"], "unknown verb 'WHY'"),
    (["evict"], "evict needs PORT"),
    (["evict", "80/sctp"], "is no port"),
    (["reload", "--dry-run"], "--dry-run is for evict"),
    (["list", "x"], "'x' is too much"),
    (["show"], "show needs NAME"),
    (["show", "a", "b"], "'b' is too much"),
    (["why"], "why needs PORT"),
    (["why", "0"], "is no port"),
    (["why", "65536"], "is no port"),
    (["why", "99999999999999999999"], "is no port"),
    (["why", "-1"], "unknown option"),
    (["why", "080"], "is no port"),
    (["why", "80/sctp"], "is no port"),
    (["why", "80/"], "is no port"),
    (["why", ""], "is no port"),
    (["--json=long", "list"], "--json=short or --json=pretty"),
    (["--json"], "needs a value"),
    (["why", "127.0.0.1"], "or ADDRESS:PORT"),
    (["list", "--bogus"], "unknown option '--bogus'; portreservectl --help names all"),
    (["list", "-x"], "unknown option '-x'; portreservectl --help names all"),
    (["list", "--no-legend=1"], "takes no value"),
    (["list", "--config=/dev/null"], "--config= is for check and why"),
    (["ephemeral", "--config=/dev/null"], "not for ephemeral"),
    (["check", ""], "check needs the name of a file"),
    (["check", "/dev/null", "--config=/dev/null"], "not both"),
    (["--config=", "check"], "needs a file"),
])
def test_usage(ctl, args, words):
    r = ctl(*args, code=2)
    assert words in r.stderr
    assert r.stdout == ""
    if "--json" not in args and "--json=long" not in args:
        r = ctl("--json=short", *args, code=2)
        error = json.loads(r.stdout)
        assert list(error) == ["error", "message", "exit"]
        assert error["error"] == "Usage" and error["exit"] == 2 and words in error["message"]
        assert r.stderr == ""


def test_json_is_known_wherever_it_stands(ctl):
    r = ctl("list", "--bogus", "--json=pretty", code=2)
    assert json.loads(r.stdout)["exit"] == 2


def test_help(ctl):
    whole = ctl("--help", code=0).stdout
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", whole, re.M)
        one = ctl(verb, "--help", code=0).stdout
        assert one.startswith(f"portreservectl [OPTION…] {verb}")
        assert ("--config" in one) == (verb in ("why", "check"))


def test_version(ctl):
    assert re.fullmatch(r"portreservectl \d+\.\d+\.\d+\n", ctl("--version", code=0).stdout)


@pytest.mark.parametrize("args", [["--help"], ["why", "--help"], ["--version"], ["check", "/dev/null"], ["--json=short", "check", "/dev/null"]])
def test_what_cannot_be_printed(args):
    with open("/dev/full", "w") as full:
        r = subprocess.run([str(program("portreservectl")), *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert (r.returncode, r.stderr) == (1, "portreservectl: standard output: No space left on device\n")


# Without a daemon

@pytest.mark.parametrize("args", [["status"], ["status", "x"], ["list"], ["show", "x"], ["watch"], ["reload"]])
def test_not_running(ctl, args):
    assert "not running" in ctl(*args, code=3).stderr
    assert ctl.json(*args, code=3)["error"] == "NotRunning"
    r = ctl("--quiet", *args, code=3)
    assert r.stdout + r.stderr == ""


def test_not_running_with_the_state_of_a_dead_one(ctl, impostor):
    impostor.write(impostor.state(reservation("web", endpoint(80))))
    ctl("list", code=0)
    impostor.close()  # the socket's file stays, as after SIGKILL
    ctl("list", code=3)


def test_runtime_directory_too_long(ctl):
    r = subprocess.run([ctl.command()[0], "--runtime-dir=/" + "x" * 300, "list"], capture_output=True, text=True)
    assert r.returncode == 1 and "too long" in r.stderr


# check

def test_check(ctl, place):
    good = place / "good.conf"
    good.write_text("[web]\nPorts=80/tcp\n")
    assert ctl("check", good, code=0).stdout == f"{good}: valid, 1 reservation\n"
    assert ctl.json("check", good) == {"errors": [], "warnings": []}
    assert ctl("check", f"--config={good}", "-q", code=0).stdout == ""


def test_check_names_every_mistake(ctl, place):
    bad = place / "bad.conf"
    bad.write_text("[web]\nPorts=0\nPorts=65536\nListenStream=127.0.0.1:99999\nPorst=80\nExclusive=audit\nPorts=80\n")
    r = ctl("check", bad, code=7)
    for line in (2, 3, 4, 5):
        assert re.search(rf"^{bad}:{line}: .+; .+", r.stdout, re.M), r.stdout
    assert re.search(rf"^{bad}:6: warning: ", r.stdout, re.M)
    assert f"{bad}:7:" not in r.stdout

    found = ctl.json("check", bad, code=7)
    assert list(found) == ["errors", "warnings"]
    assert [e["line"] for e in found["errors"]] == [2, 3, 4, 5]
    assert all(list(e) == ["file", "line", "message"] and e["file"] == str(bad) for e in found["errors"])
    assert [w["line"] for w in found["warnings"]] == [6]
    assert ctl("check", bad, "-q", code=7).stdout == ""


def test_check_no_such_file(ctl, place):
    ctl("check", place / "none.conf", code=4)
    assert ctl.json("check", place / "none.conf", code=4)["error"] == "NotFound"


def test_check_bytes_that_are_no_text(ctl, place):
    bad = place / "bad.conf"
    bad.write_bytes(b"[w\xffb]\nPorts=80\n[a]\n\x1b[2J=\xfe\nPorts=\xc3\n")
    r = subprocess.run(ctl.command("check", bad), capture_output=True)
    assert r.returncode == 7 and b"\x1b" not in r.stdout
    r.stdout.decode()
    assert ctl.json("check", bad, code=7)["errors"]


# What the daemon published

def stolen(port=48121):
    return endpoint(port, state="pending", collision=holder(kind="ephemeral", state="ESTABLISHED", local=f"10.0.0.1:{port}",
                                                            remote="10.0.0.2:80", unit="thief.service", pid=77, exe="/bin/thief", uid=5,
                                                            since="2026-01-31T09:15:02.123456Z"))


def test_list(ctl, impostor):
    a = reservation("web", endpoint(80, 85), endpoint(443, address="::1", state="exclusive", reserved=False))
    impostor.write(impostor.state(a, reservation("db", stolen())))
    rows = ctl("list", code=0).stdout.splitlines()
    assert rows[0].split() == ["NAME", "UNIT", "HOLD", "PROTO", "ADDRESS:PORT", "STATE", "RESERVED", "HOLDER"]
    assert rows[1].split() == ["web", "web.service", "none", "tcp", "*:80-85", "none", "yes", "-"]
    assert rows[2].split() == ["web", "web.service", "none", "tcp", "[::1]:443", "exclusive", "no", "-"]
    assert "thief.service (pid 77, /bin/thief), 10.0.0.1:48121 -> 10.0.0.2:80 ESTABLISHED" in rows[3]
    assert ctl("list", "--no-legend", code=0).stdout.splitlines()[0].split()[0] == "web"
    assert ctl("list", "-q", code=0).stdout == ""
    assert ctl.json("list") == impostor.state(a, reservation("db", stolen()))["list"]
    assert ctl("list", "--json=pretty", code=0).stdout.count("\n") > 10


@pytest.mark.parametrize("known, command", [
    ({"unit": "a.service"}, "systemctl stop a.service"),
    ({"unit": "a\\x2db.service"}, "systemctl stop 'a\\x2db.service'"),
    ({"unit": "user@7.service", "user_unit": "a.service", "user": "bob"}, "systemctl --user --machine='bob@.host' stop 'a.service'"),
    ({"unit": "user@7.service", "user_unit": "a.service", "pid": 77}, "kill 77"),  # whose manager is not known
    ({"unit": "docker-1.scope", "container": "1", "pid": 77}, "kill 77"),  # its engine would start it again, or not
    ({"unit": "session-1.scope", "pid": 77}, "kill 77"),
    ({"unit": "a.service", "pid": 77, "certain": False}, "ss --all --processes --numeric --tcp 'sport = :80'"),
    ({}, "ss --all --processes --numeric --tcp 'sport = :80'"),
])
def test_remedy_names_who_is_to_stop(ctl, impostor, known, command):
    """And never what has its name from a guess, nor more than one service."""
    squatter = holder(kind="squatter", state="LISTEN", local="0.0.0.0:80", **known)
    impostor.write(impostor.state(reservation("web", endpoint(80, collision=squatter))))
    assert f"    to free it: {command}\n" in ctl("status", "web", code=8).stdout


def test_show(ctl, impostor):
    web, db = reservation("web", endpoint(80), unit=None, user="www"), reservation("db", stolen())
    impostor.write(impostor.state(web, db))
    assert ctl.json("show", "web") == web
    text = ctl("show", "web", code=0).stdout
    assert "/etc/portreserved.conf:1" in text and "www" in text
    text = ctl("show", "db", code=0).stdout
    assert "thief.service" in text and "ss --kill" in text
    assert ctl.json("show", "none", code=4) == {"error": "NotFound", "exit": 4,
                                                "message": "no reservation 'none'; portreservectl list names all"}


def test_status(ctl, impostor):
    keys = ["version", "features", "degraded", "reservations", "ports", "pending", "collisions", "drifts", "config_errors", "scan",
            "evictions"]
    impostor.write(impostor.state(reservation("web", endpoint(80)), degraded=["bound-inactive: the kernel is too old"],
                                  errors=[{"file": "/etc/x.conf", "line": 3, "message": "no; yes"}], config_errors=1))
    found = ctl.json("status")
    assert list(found) == keys and found["reservations"] == 1
    text = ctl("status", code=0).stdout
    assert "0.1.0" in text and "kernel is too old" in text and "/etc/x.conf:3: no; yes" in text

    impostor.write(impostor.state(reservation("web", endpoint(80)), reservation("db", stolen())))
    text = ctl("status", code=8).stdout
    assert "thief.service" in text and "ss --kill" in text and "2026-01-31T09:15:02" in text
    assert ctl.json("status", code=8)["collisions"] == 1
    assert ctl("status", "-q", code=8).stdout == ""
    # Of those that were asked for.
    ctl("status", "web", code=0)
    ctl("status", "web", "db", "db", code=8)
    assert [r["name"] for r in ctl.json("status", "db", "db", code=8)["list"]] == ["db"]
    ctl("status", "web", "none", code=4)


def test_control_characters_stay_away_from_the_terminal(ctl, impostor):
    evil = "a\x1b]0;x\x07\u009b31mb\nc"
    impostor.write(impostor.state(reservation(evil, endpoint(80, address=evil, collision=holder(kind="squatter", unit=evil, exe=evil))),
                                  degraded=[evil], version=evil))
    for args in (["list"], ["status"], ["show", evil]):
        r = ctl(*args)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", r.stdout + r.stderr), args
    assert "\x1b" not in ctl("show", "x\x1b[2J", code=4).stderr


ODD = [None, True, 0, -1, 1 << 62, 1.5, "", "x" * 300, "%s%n", [], {}, [None], [[]], [{}], {"x": 1}, "\u0000"]


def mutations(value):
    """Every value in it replaced by every odd one, one at a time."""
    if isinstance(value, dict):
        for k in value:
            yield {x: v for x, v in value.items() if x != k}
            for m in mutations(value[k]):
                yield {**value, k: m}
    elif isinstance(value, list):
        for i, _ in enumerate(value):
            for m in mutations(value[i]):
                yield value[:i] + [m] + value[i + 1:]
    yield from ODD


def test_odd_states_are_no_crash(ctl, impostor):
    state = impostor.state(reservation("web", endpoint(80)), reservation("db", stolen()), events=[event(1)],
                           errors=[{"file": "a", "line": 1, "message": "x"}], degraded=["x"])
    every = list(mutations(state))
    assert len(every) > 500
    random.seed(2)
    for odd in random.sample(every, 50):
        impostor.write(odd)
        for args in (["status"], ["list"], ["show", "db"], ["status", "db", "--json=short"], ["why", "48121"]):
            r = ctl(*args)
            assert r.returncode in (0, 1, 4, 8), (args, odd, r)


@pytest.mark.parametrize("text", [
    pytest.param(b"", id="empty"), pytest.param(b"{", id="cut"), pytest.param(b"[]", id="array"), pytest.param(b"null", id="null"),
    pytest.param(b"\xff\xfe", id="binary"), pytest.param(b"{\"list\":" * 3000, id="deep"), pytest.param(b"{}xxx", id="trailing"),
])
def test_damaged_state(ctl, impostor, text):
    impostor.write(text)
    r = ctl.json("list", code=1)
    assert r["error"] == "Failed" and "damaged" in r["message"]


def test_state_is_capped(ctl, impostor):
    path = impostor.runtime / "state.json"
    path.write_text("{}")
    os.truncate(path, (64 << 20) + 1)
    assert ctl.json("list", code=1)["error"] == "Failed"


def on_terminal(command, columns, env=None):
    """What a program writes to a terminal of that width."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm", **(env or {})})
    os.close(child)
    text = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # EIO: nobody has the other end any more
            break
        if not part:
            break
        text += part
    os.close(parent)
    p.wait()
    return text.decode()


def test_tables_on_a_terminal(ctl, impostor):
    impostor.write(impostor.state(reservation("db", stolen())))
    env = {k: "" for k in ("NO_COLOR",)}
    text = on_terminal(ctl.command("list"), 80, env)
    assert "\x1b[" in text
    plain = on_terminal(ctl.command("list"), 80, {"NO_COLOR": "1"})
    assert "\x1b[" not in plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "10.0.0.2:80 ESTABLISHED" in on_terminal(ctl.command("list"), 250, {"NO_COLOR": "1"})
    assert "\x1b[" not in ctl("list", code=0).stdout


# watch

class Watch:
    """portreservectl watch, its lines as they come."""

    def __init__(self, ctl, *args):
        self.process = subprocess.Popen(ctl.command("watch", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.errors = [], []
        for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self.read, args=(stream, into), daemon=True).start()
        # It is there once it waits: its inotify has a watch, and it sleeps.
        wait_until(self.waits, "watch waits")

    @staticmethod
    def read(stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))

    def waits(self):
        assert self.process.poll() is None, self.errors
        proc = f"/proc/{self.process.pid}"
        try:
            armed = any("inotify wd:" in open(f"{proc}/fdinfo/{fd}").read() for fd in os.listdir(f"{proc}/fdinfo"))
            with open(f"{proc}/wchan") as f:
                return armed and "poll" in f.read()
        except FileNotFoundError:
            return False

    def wait(self, n):
        wait_until(lambda: len(self.lines) >= n, f"{n} lines, so far {self.lines}")
        return self.lines

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def watch(ctl):
    started = []

    def start(*args):
        started.append(Watch(ctl, *args))
        return started[-1]

    yield start
    for w in started:
        w.stop()


def test_watch(impostor, watch):
    impostor.write(impostor.state(events=[event(1), event(2)]))
    w = watch("--json=short")
    impostor.write(impostor.state(events=[event(1), event(2), event(3)]))
    impostor.write(impostor.state(events=[event(2), event(3), event(4, name="a\x1b")]))
    lines = w.wait(2)
    assert [json.loads(x) for x in lines] == [event(3), event(4, name="a\x1b")]
    assert w.errors == []


def test_watch_for_people(impostor, watch):
    impostor.write(impostor.state())
    w = watch()
    impostor.write(impostor.state(events=[event(1, message="list was \x1b[31m overwritten\n")]))
    assert w.wait(1) == ["2026-01-31T09:15:02.123456Z drift: list was \\x1b[31m overwritten\\x0a"]


def test_watch_says_what_was_missed(impostor, watch):
    impostor.write(impostor.state(events=[event(5)]))
    w = watch()
    impostor.write(impostor.state(events=[event(9), event(10)]))
    w.wait(2)
    wait_until(lambda: w.errors)
    assert "3 events were missed" in w.errors[0]


def test_watch_survives_restarts(impostor, watch):
    impostor.write(impostor.state(events=[event(7)]))
    w = watch()
    again = {"started": "2026-01-31T10:00:00.000000Z"}
    impostor.write(impostor.state(events=[event(1)], **again))
    w.wait(1)
    # Stopped: the runtime directory is gone; started: another one.
    shutil.rmtree(impostor.runtime)
    impostor.close()
    time.sleep(0.05)
    impostor.open()
    impostor.write(impostor.state(events=[event(1), event(2)], started="2026-01-31T11:00:00.000000Z"))
    assert [x.split(": ")[1] for x in w.wait(3)] == ["event 1", "event 1", "event 2"]
    impostor.write("{")
    impostor.write(impostor.state(events=[event(3)], started="2026-01-31T11:00:00.000000Z"))
    w.wait(4)
    assert w.process.poll() is None


def test_watch_ends_with_its_reader(ctl, impostor):
    impostor.write(impostor.state())
    p = subprocess.Popen(ctl.command("watch"), stdout=subprocess.PIPE)
    p.stdout.close()
    assert wait_until(lambda: p.poll() is not None or None) and p.returncode == 0


# reload

def test_reload_denied(ctl, impostor):
    """A daemon that does not admit us closes the connection without a word."""
    def refuse():
        while True:
            try:
                impostor.socket.accept()[0].close()
            except OSError:
                return
    threading.Thread(target=refuse, daemon=True).start()
    assert ctl.json("reload", code=5)["error"] == "Denied"
    assert "only root" in ctl("reload", code=5).stderr
    impostor.socket.shutdown(socket.SHUT_RDWR)
