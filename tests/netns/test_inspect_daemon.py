# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon and portreserved-inspect: what it does with answers, without them, and with what is none.

The daemon is root here with its three capabilities alone: it may not look into processes, and the real helper answers it."""

import contextlib
import os
import resource
import shutil
import socket
import threading

import pytest
from conftest import DEADLINE, listener, program, wait_until
from test_inspect import FOUND, MAGIC, NO_UID, NOBODY, REPLY, REQUEST, UNFINISHED, Inspect, cgroup, holder  # noqa: F401

CONFIG = "[a]\nPorts=48121/tcp\n[b]\nPorts=48122/tcp\nHold=bound\n"
DAEMON_CAPABILITIES = "+net_admin,+net_bind_service,+lease"


def confined(d, user="root"):
    """Only its three capabilities, and the helper's socket is the test's."""
    copy = d.place / "portreserved"
    shutil.copy(program("portreserved"), copy)
    for path in (d.runtime, d.state_dir):
        shutil.chown(path, user)
    link = 'mount -t tmpfs none /run && ln -s "$0" /run/portreserved-inspect && exec "$@"'
    d.command = lambda: [
        "unshare", "--mount", "sh", "-c", link, str(d.place / "inspect"), "setpriv", f"--reuid={user}", "--clear-groups",
        f"--bounding-set=-all,{DAEMON_CAPABILITIES}", f"--inh-caps=-all,{DAEMON_CAPABILITIES}",
        f"--ambient-caps=-all,{DAEMON_CAPABILITIES}", "--", str(copy), f"--config={d.config}", f"--runtime-dir={d.runtime}",
        f"--state-dir={d.state_dir}"]
    return d


@pytest.fixture
def asking(daemon):
    """asking() starts a daemon that has to ask."""
    return lambda config=CONFIG, **kwargs: confined(daemon(config, start=False), **kwargs).start()


@pytest.fixture
def helper(place):
    """The real one."""
    i = Inspect(place)
    yield i
    i.stop()


def reply(outcome, pid=0, uid=NO_UID, started=0, reuse=-1, texts=b"\0\0\0"):
    return REPLY.pack(MAGIC, outcome, started, pid, uid, reuse, 0) + texts


class Fake:
    """A helper of the test's: answer(request) gives what it sends, b"" to hang up, None to say nothing until say()."""

    def __init__(self, place, answer):
        self.answer = answer
        self.waiting = []
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(place / "inspect"))
        self.listener.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                request = s.recv(4096)
                self.requests.append(REQUEST.unpack(request))
                data = self.answer(request)
                if data is None:
                    self.waiting.append(s)
                    continue
                if data:
                    s.send(data)
                s.close()

    def say(self, data):
        for s in self.waiting:
            s.send(data)
            s.close()
        self.waiting = []

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.waiting:
            s.close()


@pytest.fixture
def fake(place):
    made = []

    def make(answer):
        made.append(Fake(place, answer))
        return made[-1]

    yield make
    for f in made:
        f.close()


def told(d, name="a"):
    """The event of a collision's begin."""
    def found():
        events = [e for e in d.events("collision") if e["name"] == name]
        return events[0] if events else None
    return wait_until(found, "the collision is told")


def problem(d):
    return next((t for t in d.state()["degraded"] if t.startswith("inspect:")), None)


def test_collision_is_told_with_its_process(asking, helper):
    """Once, with pid, executable, command line and start; status has nothing to complain of."""
    d = asking()
    # Who gets no time to answer within a second is told of without: another try.
    for tries in range(1, 6):
        with holder(user="daemon", arguments=["--flag"]) as (p, _):
            wait_until(lambda: len(d.events("collision")) == tries, "told")
            h = d.events("collision")[-1]["holder"]
            if h["pid"]:
                break
        wait_until(lambda: len(d.events("resolved")) == tries, "resolved")
    assert (h["pid"], h["user"], h["no_process"]) == (p.pid, "daemon", False)
    assert h["command"].endswith("48121 --flag") and h["exe"] and h["started"]
    assert h["reuse"] is False  # it is bound and does not listen
    assert f"pid {p.pid}" in d.log()
    wait_until(lambda: len(d.events("resolved")) == tries, "resolved")
    assert len(d.events("collision")) == tries
    assert problem(d) is None


def test_listener_is_not_copied(asking, fake):
    """SO_REUSEADDR is asked for where it matters, and of no listener."""
    f = fake(lambda _: reply(UNFINISHED))
    d = asking()
    with listener(48121) as s:
        told(d)
        assert [(q[1], q[3]) for q in f.requests] == [(0, os.fstat(s.fileno()).st_ino)]


def test_without_its_socket(asking):
    """Told at once, by what is known; status says what is not, and what to do, from the first question on."""
    d = asking()
    assert problem(d) is None
    with listener(48121):
        assert told(d)["holder"]["pid"] is None
        said = wait_until(lambda: problem(d), "what is missing")
        assert "portreserved-inspect.socket does not listen" in said and "portreservectl why" in said
        assert said in d.ctl("status").stdout


def test_refused(asking, place):
    """The helper knows neither root nor portreserved in whoever runs this daemon."""
    i = Inspect(place)
    try:
        d = asking(user="nobody")
        with listener(48121):
            assert told(d)["holder"]["pid"] is None
            assert "hangs up" in wait_until(lambda: problem(d), "what is missing")
            assert "refused" in i.log()
    finally:
        i.stop()


GARBAGE = {
    "short": b"x",
    "zeroes": bytes(64),
    "version": REPLY.pack(MAGIC + 1, FOUND, 1, 5, 0, 0, 0) + b"\0\0\0",
    "pid": reply(FOUND, pid=-1),
    "control": reply(FOUND, pid=5, texts=b"/a\0/bin/\x1b[31mx\0x\0"),
    "too long": reply(FOUND, pid=5, texts=b"/a\0/bin/x\0" + b"x" * 2000 + b"\0"),
    "much too long": reply(FOUND, pid=5, texts=b"x" * 60000),
    "no end": reply(FOUND, pid=5, texts=b"/a\0/bin/x\0x"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_name(asking, fake, name):
    f = fake(lambda _: GARBAGE[name])
    d = asking()
    with listener(48121):
        h = told(d)["holder"]
        assert (h["pid"], h["exe"], h["command"]) == (None, None, None)
        assert "another version" in wait_until(lambda: problem(d), "what is missing")
    # One that answers well makes good for it.
    f.answer = lambda _: reply(FOUND, pid=7, uid=0, started=10**15, texts=b"/a.service\0/bin/x\0x y\0")
    with listener(48121):
        wait_until(lambda: d.endpoints("a")[0]["collision"] and d.endpoints("a")[0]["collision"]["pid"] == 7, "the name")
        assert problem(d) is None


def test_silence_delays_and_costs_nothing_else(asking, fake):
    """The alert comes without a name; the name is in state.json when it comes late. There is no second alert."""
    f = fake(lambda _: None)
    d = asking()
    with listener(48121):
        wait_until(lambda: f.waiting, "the question")
        assert d.events("collision") == []
        assert d.ctl("status", "b").returncode in (0, 8)  # the daemon answers meanwhile
        assert told(d)["holder"]["pid"] is None
        assert "does not answer" in wait_until(lambda: problem(d), "what is missing")
        f.say(reply(FOUND, pid=7, uid=0, started=10**15, texts=b"/a.service\0/bin/x\0x y\0"))
        h = wait_until(lambda: (c := d.endpoints("a")[0]["collision"]) and c["pid"] and c, "the late name")
        assert (h["pid"], h["exe"], h["command"]) == (7, "/bin/x", "x y")
        assert problem(d) is None
        assert len(d.events("collision")) == 1


def test_collision_that_ends_while_it_is_asked_about(asking, fake):
    """Begin and end are told, in that order, and the answer that comes after has nobody to go to."""
    f = fake(lambda _: None)
    d = asking()
    with listener(48121):
        wait_until(lambda: f.waiting, "the question")
    wait_until(lambda: d.events("resolved"), "resolved")
    assert [e["event"] for e in d.events() if e["name"] == "a"] == ["collision", "resolved"]
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        f.say(reply(FOUND, pid=7, uid=0, texts=b"/a.service\0/bin/x\0x y\0"))
    assert d.ctl("reload", code=0).returncode == 0


def test_reload_while_it_is_asked(asking, fake):
    """The question outlives the configuration that it was asked under."""
    f = fake(lambda _: None)
    d = asking()
    with listener(48121):
        wait_until(lambda: f.waiting, "the question")
        d.configure(CONFIG + "[c]\nPorts=48123/tcp\n")
        d.ctl("reload", code=0)
        f.say(reply(FOUND, pid=7, uid=0, started=10**15, texts=b"/a.service\0/bin/x\0x y\0"))
        assert told(d)["holder"]["pid"] in (7, None)
        wait_until(lambda: d.endpoints("a")[0]["collision"]["pid"] == 7, "the name")
        # What is not reserved any more is not asked about.
        d.configure("[c]\nPorts=48123/tcp\n")
        d.ctl("reload", code=0)
        assert [e["event"] for e in d.events() if e["name"] == "a"] == ["collision", "resolved"]


def test_nobody(asking, fake):
    """No process has it: believed of a socket that is there."""
    fake(lambda _: reply(NOBODY))
    d = asking()
    with listener(48121):
        h = told(d)["holder"]
        assert (h["no_process"], h["pid"]) == (True, None)
        assert problem(d) is None


@pytest.mark.parametrize("silent", [True, False])
def test_a_hundred_at_once(asking, fake, silent):
    """Each is told, of a helper that says nothing as well. No more than four questions are open at a time."""
    ports = range(40000, 40100)
    most = 0

    def answer(_):
        nonlocal most
        most = max(most, len(f.waiting) + 1)
        return None if silent else reply(FOUND, pid=7, uid=0, started=10**15, texts=b"/a.service\0/bin/x\0x y\0")

    f = fake(answer)
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(listener(port))
        d = asking("[Daemon]\nEphemeralFloor=0\n[a]\nPorts=40000-40099/tcp\n")
        wait_until(lambda: {e["port"] for e in d.events("collision")} == set(ports), "all are told")
        if silent:
            assert most == 4
        else:
            # But for those who had to wait for longer than a second, on a machine that has no time.
            assert sum(e["holder"]["pid"] == 7 for e in d.events("collision")) > 50


def test_out_of_descriptors(asking, helper):
    """It cannot ask, says so, and can again."""
    d = asking()
    limit = resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    try:
        with listener(48121):
            wait_until(lambda: "want of descriptors" in d.log(), "the log says so")
    finally:
        resource.prlimit(d.process.pid, resource.RLIMIT_NOFILE, limit)
    wait_until(lambda: not d.endpoints("a")[0]["collision"], "the end")
    with holder() as (p, _):
        wait_until(lambda: (c := d.endpoints("a")[0]["collision"]) and c["pid"] == p.pid, "the name", DEADLINE)
