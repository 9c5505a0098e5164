# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs of other units: processes in cgroups of their own that make sockets as they are told."""

import contextlib
import os
import pathlib
import pickle
import signal
import socket
import time

MPTCP = 262
MESSAGE = 1 << 16

kept = {}  # of an actor: its sockets, by the names it was told


def cgroup_root():
    """Where cgroup v2 is mounted, or None."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return pathlib.Path(left.split()[4])
    return None


class Cgroups:
    """A slice of the test's own. Paths that begin with "/" are those of the whole tree."""

    def __init__(self, root):
        self.root = root
        self.slice = f"/portreserved-test{os.getpid()}.slice"
        self.made = []

    def path(self, unit):
        return self.root / (unit if unit.startswith("/") else f"{self.slice}/{unit}").strip("/")

    def make(self, unit):
        path = self.path(unit)
        for p in [*reversed(path.parents), path]:
            if not p.exists():
                p.mkdir()
                self.made.append(p)
        return path

    def remove(self, unit):
        path = self.path(unit)
        rmdir(path)
        self.made.remove(path)

    def done(self):
        for path in reversed(self.made):
            rmdir(path)
        self.made = []


def rmdir(path, deadline=30):
    """Who was killed leaves its cgroup a moment later."""
    end = time.monotonic() + deadline
    while True:
        try:
            return path.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


class Actor:
    """A process in that cgroup; do() has it call a function of this module."""

    def __init__(self, cgroup):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setpgid(0, 0)
                # Nothing of the test's, nor of other actors': a connection ends when its own process closes it.
                fd = os.dup2(theirs.detach(), 3)
                os.closerange(4, 4096)
                move(cgroup)
                act(socket.socket(fileno=fd))
            finally:
                os._exit(1)
        theirs.close()

    def do(self, function, *args, fds=(), **kwargs):
        """What the function returns, or the exception that it has raised. An fd that it returns becomes ours."""
        socket.send_fds(self.ours, [pickle.dumps((function, args, kwargs))], fds)
        reply, passed, _, _ = socket.recv_fds(self.ours, MESSAGE, 1)
        result = pickle.loads(reply)
        if isinstance(result, Exception):
            raise result
        return passed[0] if passed else result

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.ours.close()
            self.pid = None


def act(told):
    while True:
        request, fds, _, _ = socket.recv_fds(told, MESSAGE, 1)
        if not request:
            os._exit(0)
        function, args, kwargs = pickle.loads(request)
        try:
            result = function(*args, *fds, **kwargs)
        except Exception as e:
            result = e
        give = isinstance(result, socket.socket)
        socket.send_fds(told, [pickle.dumps(None if give else result)], [result.fileno()] if give else [])


# What an actor can do


def move(cgroup):
    (cgroup / "cgroup.procs").write_text("0")


def make(name, kind=socket.SOCK_STREAM, address="127.0.0.1", port=None, reuse=False, v6only=None, protocol=0):
    """A socket; bound where there is a port."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, protocol)
    if reuse:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    if port is not None:
        s.bind((address, port))
    kept[name] = s


def bind(name, port, address="127.0.0.1"):
    kept[name].bind((address, port))


def bind_and_become(name, port, uid):
    make(name, port=port)
    os.setresuid(uid, uid, uid)
    listen(name)


def listen(name):
    kept[name].listen()


def connect(name, port, address="127.0.0.1"):
    kept[name].connect((address, port))
    return kept[name].getsockname()[1]


def connect_from(name, source, port, ports, before=None, **how):
    """A connection that the kernel gives that port, by having no other to give. before: text for a file, written first."""
    saved = ports.read_text()
    ports.write_text(f"{source} {source}")
    try:
        if before:
            before[0].write_text(before[1])
        make(name, **how)
        try:
            return connect(name, port) == source
        except OSError:
            return False
    finally:
        ports.write_text(saved)


def accept(name, listener):
    kept[name], _ = kept[listener].accept()


def give(name):
    return kept[name]


def take(name, fd):
    kept[name] = socket.socket(fileno=fd)


def inherit(name, cgroup):
    """A child goes on with the socket in another cgroup; we close it. Its pid."""
    pid = os.fork()
    if pid == 0:
        move(cgroup)
        while True:
            signal.pause()
    kept.pop(name).close()
    return pid


def send(name, data):
    kept[name].send(data)


def fill(name):
    """Sends until nothing more fits."""
    s = kept[name]
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            s.send(bytes(65536))


def receive(name, n):
    data = b""
    while len(data) < n:
        data += kept[name].recv(n - len(data))
    return data


def end_of(name):
    """Waits for the other end's goodbye."""
    assert kept[name].recv(1) == b""


def goodbye(name):
    kept[name].shutdown(socket.SHUT_WR)


def close(name):
    kept.pop(name).close()
