# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved-handover against a stand-in of the daemon's end: what it sends, what it makes of each answer, how long it waits."""

import socket
import struct
import subprocess
import threading

import pytest
from conftest import program


class End:
    """The daemon's end: answers with the next of its replies (None: never), and remembers what it was asked."""

    def __init__(self, path, replies):
        self.requests = []
        self.kept = []
        self.replies = list(replies)
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        for reply in self.replies:
            client, _ = self.server.accept()
            self.requests.append(client.recv(65536))
            if reply is None:
                self.kept.append(client)
                continue
            if reply:
                client.send(reply)
            client.close()


@pytest.fixture
def end(place):
    (place / "run").mkdir()
    ends = []

    def make(*replies):
        ends.append(End(place / "run" / "handover", replies))
        return ends[-1]

    yield make


def helper(place, *args):
    return subprocess.run([str(program("portreserved-handover")), f"--runtime-dir={place}/run", *args], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)


def test_request_and_ok(place, end):
    e = end(b"ok", b"ok")
    for verb in ("start", "stop"):
        r = helper(place, verb, "web", "web-admin")
        assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    assert e.requests == [b"start\0web\0web-admin\0", b"stop\0web\0web-admin\0"]


def test_error_is_said(place, end):
    end(b"error there is no reservation of that name")
    r = helper(place, "start", "web")
    assert r.returncode == 1
    assert "there is no reservation of that name" in r.stderr


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_silence_fails_open(place, end, verb):
    end(None)
    r = helper(place, verb, "web")
    assert r.returncode == 0
    assert "does not answer" in r.stderr and r.stderr.count("\n") == 1


def test_hang_up_fails_open(place, end):
    end(*[b""] * 10)
    r = helper(place, "start", "web")
    assert r.returncode == 0
    assert "does not answer" in r.stderr


def test_nobody_there(place, end):
    r = helper(place, "start", "web")
    assert r.returncode == 0
    assert "does not answer" in r.stderr


def test_full_backlog_is_waited_for(place, end):
    """A burst of starts fills the daemon's backlog: the helper tries again instead of giving up."""
    path = place / "run" / "handover"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(str(path))
    server.listen(0)
    first = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    first.connect(str(path))
    waiting = subprocess.Popen([str(program("portreserved-handover")), f"--runtime-dir={place}/run", "start", "web"],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    server.accept()[0].close()
    client, _ = server.accept()
    assert client.recv(4096) == b"start\0web\0"
    client.send(b"ok")
    assert waiting.wait(60) == 0
    assert waiting.stderr.read() == ""


@pytest.mark.parametrize("args", [[], ["start"], ["begin", "web"], ["--nonsense"], ["start", *["x" * 40] * 200]])
def test_usage(place, end, args):
    r = helper(place, *args)
    assert r.returncode == 2
    assert r.stderr


def test_help_and_version(place):
    for option in ("--help", "--version"):
        r = helper(place, option)
        assert r.returncode == 0 and "portreserved-handover" in r.stdout


def test_static():
    """It also runs inside the root directories of other units, where there may be no library."""
    binary = program("portreserved-handover").read_bytes()
    if b"__asan_init" in binary:
        pytest.skip("a sanitizer build links its libraries")
    # ELF64: no program header of type PT_INTERP, so no dynamic loader.
    offset, size, count = struct.unpack_from("<Q", binary, 32)[0], *struct.unpack_from("<HH", binary, 54)
    assert 3 not in [struct.unpack_from("<I", binary, offset + i * size)[0] for i in range(count)]
