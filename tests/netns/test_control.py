# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's two doors, control and handover, against users who keep to the rules and those who do not."""

import json
import os
import shutil
import socket
import struct
import subprocess

import pytest

from conftest import wait_until

OWNER = 4242     # the reservation's User=
STRANGER = 4343  # nobody's
PASSING = 8      # fds that are there for a moment: accepted and sent away, files being read
CONFIG = f"""
[web]
Ports=5000/tcp
Hold=shared
User={OWNER}

[app]
ListenStream=127.0.0.1:5001
FileDescriptorName=front
User={OWNER}
"""

needs_busctl = pytest.mark.skipif(not shutil.which("busctl"), reason="no busctl")


def dial(d):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(30)
    s.connect(str(d.runtime / "control"))
    return s


HELLO = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"


def enter(d):
    s = dial(d)
    s.sendall(HELLO)
    return s


def call(method, claimed=0):
    """A method call without arguments, as it is on the wire, that claims so many bytes of body."""
    fields = b""
    for code, kind, value in ((1, b"o", b"/org/portreserved1"), (2, b"s", b"org.portreserved1"), (3, b"s", method)):
        fields += bytes(-len(fields) % 8) + bytes([code, 1]) + kind + b"\0"
        fields += struct.pack("<I", len(value)) + value + b"\0"
    head = b"l\1\0\1" + struct.pack("<III", claimed, 1, len(fields))
    return head + fields + bytes(-len(fields) % 8)


def hung_up(s):
    """Waits for the end of the connection, through whatever comes before."""
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def fds(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


def resident(d):
    """In MiB."""
    with open(f"/proc/{d.process.pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@pytest.fixture
def quiet(daemon):
    """A daemon, and at the end of the test it has no fd more than before and still answers."""
    d = daemon(CONFIG)
    d.wait_state("web", "sharing")
    # readiness itself was asked through control
    before = []

    def steady():
        before.append(fds(d))
        return len(before) > 20 and len(set(before[-20:])) == 1

    wait_until(steady, "a steady number of fds")
    yield d
    wait_until(lambda: fds(d) <= before[-1], "as many fds as before")
    s = enter(d)
    s.sendall(call(b"GetState"))
    assert b"OK" in s.recv(64)
    s.close()
    assert d.process.poll() is None


def busctl(d, *args, uid=0):
    command = ["setpriv", f"--reuid={uid}", "--clear-groups"] if uid else []
    return subprocess.run([*command, "busctl", f"--address=unix:path={d.runtime}/control", "--json=short", "call",
                           "org.portreserved1", "/org/portreserved1", "org.portreserved1", *args],
                          capture_output=True, text=True, timeout=60)


@needs_busctl
def test_state(quiet):
    state = json.loads(json.loads(busctl(quiet, "GetState").stdout)["data"][0])
    assert state["pid"] == quiet.process.pid
    assert [r["name"] for r in state["list"]] == ["web", "app"]


@needs_busctl
def test_user_may_open_and_not_reload(quiet):
    r = busctl(quiet, "Open", "s", "web", uid=OWNER)
    assert json.loads(r.stdout)["data"] == [[], []], r.stderr
    r = busctl(quiet, "Open", "s", "none", uid=OWNER)
    assert r.returncode != 0 and "no such reservation" in r.stderr
    r = busctl(quiet, "Reload", uid=OWNER)
    assert r.returncode != 0 and "root" in r.stderr


@needs_busctl
def test_stranger_gets_nothing(quiet):
    r = busctl(quiet, "GetState", uid=STRANGER)
    assert r.returncode != 0 and "reservations" not in r.stdout


@needs_busctl
def test_user_of_yesterday(quiet):
    """A user whom the configuration names no longer is not admitted, and is hung up on if he is in."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setresuid(OWNER, OWNER, OWNER)
        s = enter(quiet)
        os.write(w, b"!")
        os._exit(0 if hung_up(s) else 1)
    os.read(r, 1)
    quiet.configure(CONFIG.replace(str(OWNER), str(STRANGER)))
    assert busctl(quiet, "Reload").returncode == 0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert busctl(quiet, "GetState", uid=OWNER).returncode != 0
    assert busctl(quiet, "GetState", uid=STRANGER).returncode == 0


@needs_busctl
def test_reload_with_a_mistake(quiet):
    quiet.configure(CONFIG + "Nonsense=1\n")
    r = busctl(quiet, "Reload")
    assert r.returncode != 0
    assert "portreserved.conf:11" in r.stderr and "Nonsense" in r.stderr
    # What runs is what was last applied.
    assert quiet.endpoints("web")[0]["state"] == "sharing"


def test_says_nothing(quiet):
    assert hung_up(dial(quiet))


def test_garbage(quiet):
    for n in range(30):
        s = enter(quiet) if n % 2 else dial(quiet)
        try:
            s.sendall(os.urandom(8192))
        except ConnectionError:
            pass
        assert hung_up(s)


def test_calls_and_never_reads(quiet):
    before = resident(quiet)
    peers = [enter(quiet) for _ in range(10)]
    for s in peers:
        s.setblocking(False)
        try:
            for _ in range(100000):
                s.send(call(b"GetState"))
        except OSError:  # full, or dropped
            pass
    assert resident(quiet) < before + 64
    # They stay away from their sockets until the daemon has dropped them: the fixture sees its fds come back.
    wait_until(lambda: all(_gone(s) for s in peers), "all dropped")


def _gone(s):
    try:
        s.send(b"\0")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def test_thousand_connections(quiet):
    most = fds(quiet) + 4 * 64 + PASSING
    peers = []
    for _ in range(1000):
        peers.append(dial(quiet))
        assert fds(quiet) <= most
    for s in peers:
        s.close()


def test_half_of_100_megabytes(quiet):
    before = resident(quiet)
    for _ in range(4):
        s = enter(quiet)
        try:
            s.sendall(call(b"GetState", claimed=100 << 20))
            for _ in range(50):
                s.sendall(bytes(1 << 20))
            assert False, "50 MiB were taken"
        except ConnectionError:
            pass
    assert resident(quiet) < before + 16


def test_half_of_a_small_message(quiet):
    s = enter(quiet)
    s.sendall(call(b"GetState")[:-1])
    assert hung_up(s)


def test_sends_fds(quiet):
    before = fds(quiet)
    peers = []
    for _ in range(8):
        s = enter(quiet)
        socket.send_fds(s, [call(b"GetState")[:-1]], [0] * 200)
        peers.append(s)
    for _ in range(20):
        assert fds(quiet) <= before + 4 * len(peers) + PASSING
    for s in peers:
        s.close()


# ---- handover ----


def hand_over(d, request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(30)
        s.connect(str(d.runtime / "handover"))
        s.send(request)
        return s.recv(4096).decode()


def test_handover_requests(quiet):
    assert hand_over(quiet, b"start\0web\0") == "ok"
    assert hand_over(quiet, b"stop\0web\0") == "ok"
    assert hand_over(quiet, b"start\0none\0web\0") == "error none: no such reservation"
    assert hand_over(quiet, b"start\0web") == "error malformed request"
    assert hand_over(quiet, b"start\0" + b"x" * 5000 + b"\0") == "error malformed request"
    assert hand_over(quiet, b"\xff" * 100) == "error malformed request"


def test_handover_silent_ones(quiet):
    most = fds(quiet) + 64 + PASSING
    peers = []
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(30)
        s.connect(str(quiet.runtime / "handover"))
        peers.append(s)
        assert fds(quiet) <= most
    for s in peers:
        assert hung_up(s)
    assert hand_over(quiet, b"start\0web\0") == "ok"


def test_handover_is_not_for_strangers(quiet):
    pid = os.fork()
    if pid == 0:
        os.setresuid(STRANGER, STRANGER, STRANGER)
        try:
            hand_over(quiet, b"start\0web\0")
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
