# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserve-exec in a plain container: namespaces of its own, no systemd, and no cgroup v2 or the same "/" for everybody."""

import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import program, wait_until

PORT = 48121
CONFIG = f"""
[listen]
ListenStream=127.0.0.1:{PORT}
Unit=listen.service
User=games

[bound]
Ports={PORT + 1}/tcp
Hold=bound

[no]
Ports={PORT + 2}/tcp
Hold=bound
ReuseAddress=no

[always]
Ports={PORT + 3}/tcp
Hold=bound
ReuseAddress=always

[shared]
Ports={PORT + 4}/tcp
Hold=shared
User=games

[second]
ListenStream=127.0.0.1:{PORT + 5}
ListenStream=127.0.0.1:{PORT + 6}
"""
PORTS = {name: PORT + i for i, name in enumerate(("listen", "bound", "no", "always", "shared", "second"))}
REST = {"listen": "listening", "bound": "exclusive", "no": "exclusive", "always": "exclusive", "shared": "sharing", "second": "listening"}

SERVE = """
import os, signal, socket, sys
name, port = sys.argv[1], int(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def bind():
    s = socket.socket()
    if name != "no":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen()
    return s
if "LISTEN_FDS" in os.environ:
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    s = socket.socket(fileno=3)
else:
    s = bind()
if "fork" in sys.argv and os.fork():
    os._exit(0)
print("up", os.getpid(), os.getuid(), flush=True)
while True:
    if "rebind" in sys.argv:
        signal.sigwait([signal.SIGUSR1])
        s.close()
        s = bind()
        print("again", flush=True)
        continue
    c, _ = s.accept()
    c.sendall(b"%d" % os.getpid())
    c.close()
"""


class Container:
    """A daemon in namespaces of its own, as a container has them: mounts, processes, and what is below /run."""

    def __init__(self, place, cgroups):
        hide = "umount -R -l /sys/fs/cgroup; " if not cgroups else ""
        # The network namespace is the test's. The first process of the new pid namespace is what keeps it.
        self.first = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
             f"{hide}mount -t tmpfs run /run && echo ready && exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.first.stdout.readline() == "ready\n"
        self.pid = int(pathlib.Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children").read_text())
        self.config = place / "portreserved.conf"
        self.config.write_text(CONFIG)
        self.log_file = place / "log"
        self.daemon = None

    def command(self, *argv, user=None):
        as_user = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"] if user else []
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--", *as_user, *map(str, argv)]

    def run(self, *argv, user=None):
        return subprocess.run(self.command(*argv, user=user), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def start(self):
        with open(self.log_file, "ab") as log:
            self.daemon = subprocess.Popen(
                self.command("sh", "-c", 'echo $$ >/run/pid; exec "$@"', "sh", program("portreserved"), f"--config={self.config}"),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.run(program("portreservectl"), "list").returncode == 0 and self.is_it(), "the daemon is up")

    def is_it(self):
        return f'"pid":{self.run("cat", "/run/pid").stdout.strip()},' in self.run("cat", "/run/portreserved/state.json").stdout.replace(" ", "")

    def kill(self, sig=signal.SIGKILL):
        self.run("sh", "-c", f"kill -{int(sig)} $(cat /run/pid)")
        self.daemon.wait()

    def state(self, name):
        r = self.run(program("portreservectl"), "show", name, "--json=short")

        states = {e["state"] for e in json.loads(r.stdout)["endpoints"]} if r.returncode == 0 else set()
        return states.pop() if len(states) == 1 else states

    def wait_state(self, name, *states):
        wait_until(lambda: self.state(name) in states, f"{name} is {states}")

    @contextlib.contextmanager
    def server(self, name, *args, user=None):
        p = subprocess.Popen(self.command(program("portreserve-exec"), name, "--", "/usr/bin/python3", "-c", SERVE, name, PORTS[name], *args,
                                          user=user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            word, p.inner, p.uid = p.stdout.readline().split()
            assert word == "up"
            yield p
        finally:
            self.run("kill", "-9", getattr(p, "inner", "999999"))
            p.kill()
            p.wait()

    def end(self):
        self.first.kill()  # unshare heeds no SIGTERM while it waits
        self.first.wait()
        if self.daemon:
            self.daemon.wait()


@pytest.fixture(params=["no cgroup v2", "one cgroup"])
def box(place, request):
    c = Container(place, request.param != "no cgroup v2")
    try:
        c.start()
        for name, state in REST.items():
            c.wait_state(name, state)
        yield c
    finally:
        c.end()


class Thief:
    """Tries to bind the port, again and again; in every way, or (reuse=False) in that of a program that does not know of it."""

    def __init__(self, port, reuse=True):
        self.port, self.won, self.tries = port, 0, 0
        self.stop = threading.Event()
        self.options = [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)] if reuse else [()]
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.stop.is_set():
            for options in self.options:
                with socket.socket() as s:
                    for option in options:
                        s.setsockopt(socket.SOL_SOCKET, option, 1)
                    self.tries += 1
                    try:
                        s.bind(("127.0.0.1", self.port))
                        self.won += 1
                    except OSError:
                        pass
            time.sleep(0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        return s.recv(100).decode()


def test_thief_without_a_reservation():
    """Control: where nobody holds the port, it gets it each time."""
    with Thief(PORT) as thief:
        wait_until(lambda: thief.tries > 100, "it tries")
    assert thief.won == thief.tries


@pytest.mark.parametrize("user", [None, "games"])
def test_listen(box, user):
    """Clients wait while no command runs, and while one is shot: the next one serves them. The port is never anybody else's."""
    with Thief(PORT) as thief:
        for _ in range(3):
            early = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(5)]
            with box.server("listen", user=user) as p:
                assert [c.recv(100).decode() for c in early] == [p.inner] * 5
                box.run("kill", "-STOP", p.inner)
                wait_until(lambda: "\nState:\tT" in box.run("cat", f"/proc/{p.inner}/status").stdout, "it stands still")
                waiting = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(5)]
                box.run("kill", "-9", p.inner)
            with box.server("listen", user=user) as p:
                assert [c.recv(100).decode() for c in waiting] == [p.inner] * 5
                assert (p.uid == "0") == (user is None)
    assert thief.won == 0 and thief.tries > 100


@pytest.mark.parametrize("name", ["bound", "no", "always"])
def test_bound_and_crash(box, name):
    """A plain bind never wins; from when the server has bound until it is held again no other does either, also when it is shot."""
    with Thief(PORTS[name], reuse=False) if name != "no" else contextlib.nullcontext() as plain:
        for _ in range(2):
            with box.server(name) as p:
                box.wait_state(name, "sharing" if name == "always" else "in-use")
                with Thief(PORTS[name]) if name == "bound" else contextlib.nullcontext() as every:
                    assert ask(PORTS[name]) == p.inner
                    box.run("kill", "-9", p.inner)
                    box.wait_state(name, "exclusive")
                if every:
                    assert every.won == 0 and every.tries > 0
    if plain:
        assert plain.won == 0 and plain.tries > 100


def test_always_binds_again(box):
    with box.server("always", "rebind") as p:
        box.wait_state("always", "sharing")
        time.sleep(0.5)  # longer than another hold stays open behind a server that has bound
        for _ in range(3):
            box.run("kill", "-USR1", p.inner)
            assert p.stdout.readline() == "again\n"
    box.wait_state("always", "exclusive")


def test_shared(box):
    for user in None, "games":
        with box.server("shared", user=user) as p:
            assert ask(PORTS["shared"]) == p.inner
    box.wait_state("shared", "sharing")


def test_a_command_whose_first_process_ends(box):
    """It is followed no longer, but its socket is there: the port stays closed to others, and is held again when that has gone."""
    with box.server("bound", "fork") as p:
        assert p.wait(30) == 0
        box.wait_state("bound", "in-use")
        with Thief(PORTS["bound"]) as thief:
            for _ in range(20):
                assert ask(PORTS["bound"]) == p.inner
                time.sleep(0.1)
            assert box.state("bound") == "in-use"
            box.run("kill", "-9", p.inner)
            box.wait_state("bound", "exclusive")
        assert thief.won == 0


def test_several_reservations(box):
    """One portreserve-exec after the other: descriptors and names in that order."""
    say = 'echo $LISTEN_FDS $LISTEN_FDNAMES; test $LISTEN_PID = $$ && readlink /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/5 | uniq | wc -l'
    exe = program("portreserve-exec")
    r = box.run(exe, "listen", "--", exe, "second", "--", exe, "bound", "--", "sh", "-c", say)
    assert r.stdout.split() == ["3", "listen:second:second", "3"], r
    r = box.run("env", "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=stale", exe, "listen", "--", "sh", "-c", "echo $LISTEN_FDS $LISTEN_FDNAMES")
    assert r.stdout.split() == ["1", "listen"]
    box.wait_state("bound", "exclusive")


def test_commands_that_cannot_be(box):
    exe = program("portreserve-exec")
    assert box.run(exe, "bound", "--", "/nonexistent").returncode == 127
    assert box.run(exe, "bound", "--", "/etc/passwd").returncode == 126
    assert box.run(exe, "nope", "--", "true").returncode == 4
    assert box.run(exe, "bound", "--", "true", user="games").returncode == 5
    assert box.run(exe, "listen", "--", "true", user="nobody").returncode == 5
    box.wait_state("bound", "exclusive")
    box.kill()
    assert box.run(exe, "bound", "--", "true").returncode == 3


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemon_ends_while_commands_run(box, sig):
    """They go on. The next daemon finds the ports taken, waits, and has them when the commands end."""
    with box.server("listen") as one, box.server("bound") as two, box.server("no") as three:
        box.wait_state("bound", "in-use")
        box.kill(sig)
        for port, p in (PORT, one), (PORTS["bound"], two), (PORTS["no"], three):
            assert ask(port) == p.inner
        box.start()
        for port, p in (PORT, one), (PORTS["bound"], two), (PORTS["no"], three):
            assert ask(port) == p.inner
        for name in "listen", "bound", "no":
            box.wait_state(name, "pending", "in-use")
        # What nobody has is held as ever.
        for name in "always", "shared", "second":
            box.wait_state(name, REST[name])
        # It is not given to a second command meanwhile.
        assert box.run(program("portreserve-exec"), "listen", "--", "true").returncode == 6
    for name, state in REST.items():
        box.wait_state(name, state)
    with box.server("listen") as p:
        assert ask(PORT) == p.inner


def test_portrelease(box):
    """As an init script in the container has it."""
    p = subprocess.Popen(box.command("sh", "-c", '"$0" bound && exec python3 -c "$1" bound "$2"', program("portrelease"), SERVE, PORTS["bound"]),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        inner = p.stdout.readline().split()[1]
        box.wait_state("bound", "in-use")
        with Thief(PORTS["bound"]) as thief:
            box.run("kill", "-9", inner)
            box.wait_state("bound", "exclusive")
        assert thief.won == 0
    finally:
        p.kill()
        p.wait()
