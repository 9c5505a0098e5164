# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved-inspect, run by hand over a socket of the test's: which process has a socket.

It runs as a user of its own with its two capabilities, as its unit has it, unless a test says otherwise."""

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import actors
import pytest
from conftest import DEADLINE, listener, program, wait_until

MAGIC = 0x50524901
REUSE = 1
REQUEST = struct.Struct("=IIQII")
REPLY = struct.Struct("=IIQiIiI")
FOUND, NOBODY, UNFINISHED, VANISHED = 1, 2, 3, 4
NO_UID = 0xFFFFFFFF
CAPABILITIES = "+sys_ptrace,+dac_read_search"
# What has a socket in a test: says its pid and the inode, and waits.
HOLDER = """
import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.argv[1]))
s.bind(("127.0.0.1", int(sys.argv[2])))
print(os.getpid(), os.fstat(s.fileno()).st_ino, flush=True)
sys.stdin.read()
"""


class Inspect:
    """The program with its socket at path."""

    def __init__(self, place, capabilities=CAPABILITIES, user="nobody", prefix=()):
        self.path = place / "inspect"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)  # whom it answers is its own to know
        self.listener.listen(16)
        self.log_file = place / "inspect.log"
        copy = place / "portreserved-inspect"
        shutil.copy(program("portreserved-inspect"), copy)
        setpriv = ["setpriv", f"--reuid={user}", "--clear-groups", f"--bounding-set=-all,{capabilities}",
                   f"--inh-caps=-all,{capabilities}", f"--ambient-caps=-all,{capabilities}", "--no-new-privs", "--"]
        if not capabilities:
            setpriv = ["setpriv", f"--reuid={user}", "--clear-groups", "--no-new-privs", "--"]
        start = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([*prefix, "bash", "-c", start, str(self.listener.fileno()), *setpriv, str(copy)],
                                            pass_fds=[self.listener.fileno()], stdin=subprocess.DEVNULL, stderr=log, stdout=log)

    def connect(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(DEADLINE)
        s.connect(str(self.path))
        return s

    def ask(self, inode, cgroup=None, flags=0):
        """cgroup: its id, else that of holder(). With it the search is short, however many fds there are on the machine."""
        with self.connect() as s:
            s.send(REQUEST.pack(MAGIC, flags, CGROUP.stat().st_ino if cgroup is None else cgroup, inode, 0))
            return Answer(s.recv(16384))

    def log(self):
        return self.log_file.read_text(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.listener.close()


class Answer:
    def __init__(self, data):
        assert data, "hung up without an answer"
        magic, self.outcome, started, self.pid, self.uid, self.reuse, zero = REPLY.unpack_from(data)
        self.started = started / 1e6
        assert (magic, zero) == (MAGIC, 0)
        assert data.endswith(b"\0")
        self.cgroup, self.exe, self.command = data[REPLY.size:-1].decode().split("\0")


@pytest.fixture
def inspect(place):
    """inspect() starts one, with other capabilities, or in a namespace, where given."""
    started = []

    def make(**kwargs):
        started.append(Inspect(place, **kwargs))
        return started[-1]

    yield make
    for i in started:
        i.stop()


CGROUP = (actors.cgroup_root() or pytest.fail("no cgroup v2 here")) / f"portreserved-inspect-{os.getpid()}.service"


@pytest.fixture(autouse=True)
def cgroup():
    """A cgroup of the test's own, which holder() runs in."""
    CGROUP.mkdir()
    yield CGROUP
    # Who has been waited for may still be leaving.
    wait_until(lambda: not (CGROUP / "cgroup.procs").read_text(), "an empty cgroup")
    for below in CGROUP.glob("*/"):
        below.rmdir()
    CGROUP.rmdir()


@contextlib.contextmanager
def holder(reuse=0, port=48121, user=None, cgroup=CGROUP, beside=None, arguments=()):
    """A process, of another user's where named, that has a socket: (process, inode). beside: in the namespaces of that pid."""
    def enter():
        if cgroup:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    become = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    if beside:
        become = ["nsenter", f"--target={beside}", "--pid", "--mount", "--", *become]
    command = [*become, sys.executable, "-c", HOLDER, str(reuse), str(port), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=enter) as p:
        p.pid_inside, inode = map(int, p.stdout.readline().split())
        yield p, inode
        p.stdin.close()


def test_names_a_process_of_another_user(inspect, cgroup):
    """All that is to be known, and by a program that is neither root nor that user."""
    i = inspect()
    before = time.time()
    with holder(user="daemon", arguments=["two words", "\x1b[31m\n"]) as (p, inode):
        a = i.ask(inode)
        assert (a.outcome, a.pid, a.reuse) == (FOUND, p.pid, -1)
        assert a.uid == int(subprocess.run(["id", "-u", "daemon"], capture_output=True, check=True).stdout)
        assert a.cgroup == f"/{cgroup.name}"
        assert a.exe == os.path.realpath(sys.executable)
        assert a.command.startswith(f"{sys.executable} -c ")
        assert a.command.endswith(r"48121 two words \x1b[31m\x0a")
        assert before - 1 <= a.started <= time.time() + 1


def test_command_line_that_is_hidden(inspect):
    """Where users may not see the processes of others, nobody is told their command lines."""
    hidden = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    i = inspect(prefix=["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c", hidden, "sh"])
    assert i.ask(1).outcome != FOUND  # it is up
    with holder(beside=child_of(i.process.pid)) as (p, inode):
        a = i.ask(inode)
        assert (a.pid, a.command, bool(a.exe)) == (p.pid_inside, "", True)


def test_command_line_is_cut(inspect):
    i = inspect()
    with holder(arguments=["ü" * 4000]) as (_, inode):
        a = i.ask(inode)
        assert 1000 < len(a.command.encode()) <= 1024 and set(a.command[-100:]) == {"ü"}


def test_reuse_where_asked(inspect):
    """Told by a copy of the socket, which is not kept: the port is free as soon as its process lets go."""
    i = inspect()
    for reuse in (0, 1):
        with holder(reuse=reuse) as (_, inode):
            assert i.ask(inode).reuse == -1
            assert i.ask(inode, flags=REUSE).reuse == reuse
        listener(48121, reuse=False).close()


NEW_PIDS = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def child_of(pid):
    return int(wait_until(lambda: pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(), "a child"))


def test_below_the_cgroup_and_elsewhere(inspect, cgroup):
    """In a cgroup below, and in another one than asked for, or than any that is there: found as well."""
    # A pid namespace has no other processes: others may just have a million fds.
    i = inspect(prefix=NEW_PIDS)
    (cgroup / "worker").mkdir()
    assert i.ask(1).outcome != FOUND  # it is up
    beside = child_of(i.process.pid)
    with holder(cgroup=cgroup / "worker", beside=beside) as (p, inode):
        assert i.ask(inode).pid == p.pid_inside
    with holder(cgroup=None, beside=beside) as (p, inode):
        assert i.ask(inode).pid == p.pid_inside
        a = i.ask(inode, 1 << 60)
        here = next(line for line in pathlib.Path(f"/proc/{p.pid}/cgroup").read_text().splitlines() if line.startswith("0::"))
        assert (a.pid, a.cgroup) == (p.pid_inside, here[3:])  # where who has it is


def test_nobody_has_it(inspect):
    """Every process was searched: in a pid namespace of its own these are few, and the socket's cgroup has no others."""
    i = inspect(prefix=NEW_PIDS)
    with holder(cgroup=None) as (_, inode):
        a = i.ask(inode)
    assert (a.outcome, a.pid, a.uid, a.started, a.exe, a.command) == (NOBODY, 0, NO_UID, 0, "", "")


def test_who_cannot_be_seen_is_not_nobody(inspect):
    """In a pid namespace there may be others outside, above all where the socket's cgroup has some."""
    i = inspect(prefix=NEW_PIDS)
    with holder() as (_, inode):
        assert i.ask(inode, 0).outcome == UNFINISHED
        assert i.ask(inode).outcome == UNFINISHED


def test_without_its_capabilities_it_does_not_guess(inspect):
    """Not found among those that may be read is not "nobody"."""
    i = inspect(capabilities="")
    with holder() as (_, inode):
        assert i.ask(inode).outcome == UNFINISHED


def test_too_few_descriptors(inspect):
    """It says that it could not look, and answers once there are enough again."""
    i = inspect(user="root")  # whose limits can be set from outside

    def allow(n):
        resource.prlimit(i.process.pid, resource.RLIMIT_NOFILE, (n, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    with holder() as (p, inode):
        assert i.ask(inode).pid == p.pid
        allow(5)  # its own, 0 to 3, and the connection
        assert i.ask(inode).outcome == UNFINISHED
        allow(4)
        with i.connect() as s:
            s.send(REQUEST.pack(MAGIC, 0, CGROUP.stat().st_ino, inode, 0))
            time.sleep(0.3)
            assert i.process.poll() is None
            allow(64)
            assert Answer(s.recv(16384)).pid == p.pid


def test_pids_that_come_and_go(inspect):
    """While processes vanish between two looks: who is named is who has it."""
    i = inspect()
    with holder() as (p, inode), contextlib.ExitStack() as stack:
        churn = stack.enter_context(subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"]))
        stack.callback(churn.kill)
        for _ in range(50):
            a = i.ask(inode)
            assert (a.outcome, a.pid) == (FOUND, p.pid)
        p.kill()
        p.wait()
        for _ in range(20):
            assert i.ask(inode).outcome in (NOBODY, UNFINISHED)


def test_ten_at_once(inspect):
    """Eight are answered at a time; who comes too many is hung up on, at once, and the next one is answered."""
    i = inspect()
    with holder() as (p, inode):
        silent = [i.connect() for _ in range(10)]
        for s in silent:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.send(REQUEST.pack(MAGIC, 0, CGROUP.stat().st_ino, inode, 0))
        answered = 0
        for s in silent:
            with s, contextlib.suppress(ConnectionResetError):
                data = s.recv(16384)
                answered += bool(data) and Answer(data).pid == p.pid
        assert 8 <= answered <= 10
        assert wait_until(lambda: i.ask(inode).pid == p.pid, "an answer")


def test_silent_peer_stands_in_nobodys_way(inspect):
    i = inspect()
    with holder() as (p, inode), i.connect() as silent:
        assert i.ask(inode).pid == p.pid
        assert silent.recv(1) == b""  # dropped before long


@pytest.mark.parametrize("request_", [
    b"", b"x", b"\0" * REQUEST.size, REQUEST.pack(MAGIC + 1, 0, 0, 5, 0), REQUEST.pack(MAGIC, 2, 0, 5, 0),
    REQUEST.pack(MAGIC, 0, 0, 0, 0), REQUEST.pack(MAGIC, 0, 0, 5, 1), REQUEST.pack(MAGIC, 0, 0, 5, 0) + b"x", b"x" * 65536,
], ids=range(9))
def test_what_is_no_request_is_dropped(inspect, request_):
    i = inspect()
    with i.connect() as s:
        s.send(request_)
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(16384) == b""
    with holder() as (p, inode):
        assert i.ask(inode).pid == p.pid


def test_wrong_user_is_refused(inspect):
    """Whoever gets at the socket: only root and user portreserved are answered, and the refusal is logged."""
    i = inspect()
    with holder() as (p, inode):
        code = (f"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect({str(i.path)!r})\n"
                f"try:\n s.send({REQUEST.pack(MAGIC, 0, CGROUP.stat().st_ino, inode, 0)!r}); print(s.recv(16384))\n"
                "except (BrokenPipeError, ConnectionResetError):\n print(b'')\n")
        asked = subprocess.run([sys.executable, "-c", code], user="daemon", capture_output=True, text=True, check=True)
        assert asked.stdout == "b''\n"
        assert "A request was refused: only user portreserved and root may ask. Asked by pid" in i.log()
        assert i.ask(inode).pid == p.pid


def test_without_a_socket():
    """Started by hand it says what starts it."""
    r = subprocess.run([program("portreserved-inspect")], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (r.returncode, "portreserved-inspect.socket" in r.stderr) == (1, True)


def test_a_stopped_process_holds_nobody_up(inspect):
    """One that does not run is read as any other."""
    i = inspect()
    with holder() as (p, inode):
        p.send_signal(signal.SIGSTOP)
        try:
            assert i.ask(inode, flags=REUSE).pid == p.pid
        finally:
            p.send_signal(signal.SIGCONT)
