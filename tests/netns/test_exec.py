# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserve-exec: who may, what COMMAND gets, and how it says no."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from conftest import listener, program, wait_until

PORT = 48121
USER = "games"
CONFIG = f"""
[bound]
Ports={PORT}/tcp
Hold=bound
Unit=bound.service
User={USER}

[shared]
Ports={PORT + 1}/tcp
Hold=shared
User={USER}

[listen]
ListenStream=127.0.0.1:{PORT + 2}
Unit=listen.service
User={USER}

[root]
Ports={PORT + 3}/tcp
Hold=bound
"""

# Says what of the protocol it was given, and waits to be told to go.
SAY = """
import os, sys
print(*(os.environ.get(k, "-") for k in ("LISTEN_FDS", "LISTEN_FDNAMES")), os.environ.get("LISTEN_PID") in (None, str(os.getpid())),
      os.getuid(), flush=True)
"""
SERVE = SAY + """
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def d(daemon):
    d = daemon(CONFIG)
    for name, state in ("bound", "exclusive"), ("shared", "sharing"), ("listen", "listening"), ("root", "exclusive"):
        d.wait_state(name, state)
    return d


def command(d, *args, user=None):
    copy = d.place / "portreserve-exec"  # the build directory may be out of a user's reach
    if not copy.exists():
        shutil.copy(program("portreserve-exec"), copy)
    prefix = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups"] if user else []
    return [*prefix, str(copy), f"--runtime-dir={d.runtime}", *args]


def run(d, *args, user=None, env=None):
    return subprocess.run(command(d, *args, user=user), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})}, check=False)


def served(port):
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
    return True


@pytest.mark.parametrize("user", [None, USER])
@pytest.mark.parametrize("name, port", [("bound", PORT), ("shared", PORT + 1)])
def test_a_hold_is_open_while_the_command_lives(d, name, port, user):
    before = d.endpoints(name)[0]["state"]
    stale = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    with subprocess.Popen(command(d, name, "--", "/usr/bin/python3", "-c", SERVE, str(port), user=user), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env={**os.environ, **stale}) as server:
        first = server.stdout.readline().split()
        assert first[:3] == ["-", "-", "True"]
        assert (first[3] != "0") == (user is not None)
        assert server.stdout.readline() == "up\n"
        assert served(port)
        # It became the command: the same process, which the daemon follows.
        assert os.readlink(f"/proc/{server.pid}/exe") == os.path.realpath("/usr/bin/python3")
        server.send_signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
    d.wait_state(name, before)
    assert not d.events("denied")


@pytest.mark.parametrize("user", [None, USER])
def test_the_listening_socket_is_passed(d, user):
    r = run(d, "listen", "--", "/usr/bin/python3", "-c", SAY, user=user)
    assert r.returncode == 0, r.stderr
    assert r.stdout.split()[:3] == ["1", "listen", "True"]


def test_its_status_is_the_commands(d):
    assert run(d, "bound", "--", "sh", "-c", "exit 77").returncode == 77
    assert run(d, "bound", "sh", "-c", "exit 78").returncode == 78  # without "--" as well


def test_another_user_is_denied(d):
    for name in "bound", "listen":
        r = run(d, name, "--", "true", user="daemon")
        assert r.returncode == 5 and "only root" in r.stderr, r
    # This one may talk to the daemon, but not have what is root's. It is told of.
    r = run(d, "root", "--", "true", user=USER)
    assert r.returncode == 5 and "only root" in r.stderr, r
    denied, = wait_until(lambda: d.events("denied"), "denied")
    assert denied["name"] == "root"
    for name, state in ("bound", "exclusive"), ("root", "exclusive"):
        assert d.endpoints(name)[0]["state"] == state


def test_a_port_that_somebody_else_has(daemon):
    thief = listener(PORT)
    d = daemon(f"[bound]\nPorts={PORT}/tcp\nHold=bound\n")
    d.wait_state("bound", "pending")
    r = run(d, "bound", "--", "true")
    assert r.returncode == 6 and "portreservectl status" in r.stderr, r
    thief.close()
    d.wait_state("bound", "exclusive")
    assert run(d, "bound", "--", "true").returncode == 0


def test_commands_that_cannot_be(d):
    r = run(d, "bound", "--", "/nonexistent/server")
    assert r.returncode == 127 and "/nonexistent/server" in r.stderr
    script = d.place / "no-interpreter"
    script.write_text("")
    r = run(d, "bound", "--", str(script))
    assert r.returncode == 126 and str(script) in r.stderr
    d.wait_state("bound", "exclusive")


@pytest.mark.parametrize("args, code, words", [
    ([], 2, "NAME -- COMMAND"),
    (["bound"], 2, "no command"),
    (["bound", "--"], 2, "no command"),
    (["nope", "--", "true"], 4, "portreservectl list"),
    (["", "--", "true"], 4, "portreservectl list"),
    (["a\nb", "--", "true"], 4, "portreservectl list"),
])
def test_says_no(d, args, code, words):
    r = run(d, *args)
    assert r.returncode == code and words in r.stderr and r.stdout == "", r


def test_no_daemon(d):
    d.stop()
    r = run(d, "bound", "--", sys.executable)
    assert r.returncode == 3 and "not running; start it with: systemctl start portreserved" in r.stderr
