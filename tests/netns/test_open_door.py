# SPDX-License-Identifier: LGPL-2.1-or-later
"""RUNTIME/open, where portreserve-exec asks: what is no request, who is not admitted, and who does not go on."""

import contextlib
import os
import socket
import struct
import subprocess
import sys

import pytest
from conftest import program, wait_until

PORT = 48121
NAME_USER, NAME_UID = "games", 5
CONFIG = (f"[bound]\nPorts={PORT}/tcp\nHold=bound\nUnit=bound.service\nUser={NAME_USER}\n"
          f"[listen]\nListenStream=127.0.0.1:{PORT + 1}\nListenStream=127.0.0.1:{PORT + 2}\nUnit=listen.service\n")


@pytest.fixture
def d(daemon):
    d = daemon(CONFIG)
    d.wait_state("bound", "exclusive")
    d.wait_state("listen", "listening")
    # The fixture has asked at control whether it is up: that connection ends in its own time.
    last = []
    wait_until(lambda: last.append(descriptors(d)) or (len(last) > 20 and len(set(last[-20:])) == 1), "nobody is connected")
    return d


def connect(d):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(30)
    s.connect(str(d.runtime / "open"))
    return s


def ask(d, request):
    with connect(d) as s:
        s.send(request)
        return s.recv(1 << 17)


def descriptors(d):
    """Of sockets and processes; a file may be open for a moment at any time."""
    n = 0
    for fd in os.listdir(f"/proc/{d.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            n += os.readlink(f"/proc/{d.process.pid}/fd/{fd}").startswith(("socket:", "anon_inode:[pidfd]"))
    return n


@contextlib.contextmanager
def as_user():
    """This process asks as that user; the daemon goes by who connects."""
    os.seteuid(NAME_UID)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("request_", [b"bound", b"bound\0bound\0", b"\0" * 2, b"x" * 10000, b"x" * 10000 + b"\0"],
                         ids=["no NUL", "two names", "two NULs", "long, no NUL", "long"])
def test_malformed(d, request_):
    before = descriptors(d)
    assert ask(d, request_).startswith(b"error 1 malformed")
    wait_until(lambda: descriptors(d) == before, "every descriptor is closed")


def test_sockets_and_their_names(d):
    with connect(d) as s:
        s.send(b"listen\0")
        text, control, flags, _ = s.recvmsg(1 << 17, 4096)
    assert text == b"ok\0listen\0listen\0" and not flags & socket.MSG_CTRUNC
    (_, kind, data), = control
    assert kind == socket.SCM_RIGHTS
    ports = set()
    for fd in struct.unpack(f"{len(data) // 4}i", data):
        with socket.socket(fileno=fd) as s:
            ports.add(s.getsockname()[1])
    assert ports == {PORT + 1, PORT + 2}


def test_several_sockets_in_order(d):
    """Also where descriptors that are in the way are open, and where 0 to 2 are not."""
    code = ("import os, socket; print(os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'], "
            "*(socket.socket(fileno=fd).getsockname()[1] for fd in (3, 4)), file=open(os.environ['OUT'], 'w'))")
    out = d.place / "out"
    for redirection in "", "<&- >&- 2>&-", "3</dev/null 4</dev/null 5</dev/null":
        subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", str(program("portreserve-exec")), f"--runtime-dir={d.runtime}",
                        "listen", "--", sys.executable, "-c", code], check=True, env={**os.environ, "OUT": str(out)}, timeout=60)
        assert out.read_text().split() == ["2", "listen:listen", str(PORT + 1), str(PORT + 2)], redirection


def test_no_command_without_its_sockets(d):
    """Where they cannot be taken, for want of descriptors, the command is not started with fewer, or none."""
    for limit in range(4, 12):
        p = subprocess.run(["prlimit", f"--nofile={limit}", str(program("portreserve-exec")), f"--runtime-dir={d.runtime}", "listen", "--",
                            "/bin/sh", "-c", "echo started with $LISTEN_FDS"],
                           check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert p.stdout in ("", "started with 2\n"), f"{limit}: {p}"
        assert p.stdout or "Too many open files" in p.stderr, f"{limit}: {p}"


def test_a_user_without_business_is_hung_up_on(d):
    before = descriptors(d)
    os.seteuid(1)
    try:
        with connect(d) as s:
            try:
                s.send(b"bound\0")
                assert s.recv(100) == b""
            except OSError as e:
                assert isinstance(e, (BrokenPipeError, ConnectionResetError))
    finally:
        os.seteuid(0)
    wait_until(lambda: descriptors(d) == before, "every descriptor is closed")


def test_a_user_who_never_asks_keeps_nobody_out(d):
    before = descriptors(d)
    with as_user():
        idle = [connect(d) for _ in range(40)]
    assert ask(d, b"bound\0") == b"ok\0"
    # As many as one user may have are kept for their five seconds, the others are sent away at once.
    wait_until(lambda: "too many connections" in d.log(), "said in the log")
    assert d.log().count("too many connections") < 20
    wait_until(lambda: descriptors(d) <= before + 1, "the deadline has passed")  # + 1: this process is followed
    with as_user():
        assert ask(d, b"bound\0") == b"ok\0"
    for s in idle:
        s.close()


def test_asking_and_never_reading(d):
    """The reply is sent at once or not at all."""
    sockets = [connect(d) for _ in range(20)]
    for s in sockets:
        s.send(b"listen\0")
    assert ask(d, b"listen\0").startswith(b"ok\0")
    for s in sockets:
        s.close()
    assert d.process.poll() is None


def test_the_path_is_put_back(d):
    (d.runtime / "open").unlink()
    wait_until(lambda: (d.runtime / "open").exists(), "it is there again")
    assert wait_until(lambda: ask(d, b"bound\0") == b"ok\0", "it answers")
    d.stop()
    assert not (d.runtime / "open").exists()
