# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job without systemd: reserve, hold, watch, claim, hand over, and what of it survives what."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import KERNEL_LIST, PORT_RANGE, kernel_list, listener, only_ports, program, thief, wait_until


def bind(port, address="127.0.0.1", kind=socket.SOCK_STREAM, options=()):
    """A bound socket, or the errno."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, kind)
    for option in options:
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        s.bind((address, port))
    except OSError as e:
        s.close()
        return e.errno
    return s


def refused(port, **how):
    s = bind(port, **how)
    if isinstance(s, int):
        return True
    s.close()
    return False


def connect_is_refused(port):
    """With the ephemeral range narrowed to the port: does an outgoing connection fail to get it?"""
    with listener(1):
        try:
            with only_ports(port):
                socket.create_connection(("127.0.0.1", 1)).close()
        except OSError:
            return True
    return False


# The kernel's list


def test_reserves_and_leaves_foreign_ports_alone(daemon):
    KERNEL_LIST.write_text("7,9000-9002\n")
    before = KERNEL_LIST.read_bytes()
    d = daemon("[a]\nPorts=48121 5000-5010/udp\n")
    assert kernel_list() == {7, *range(9000, 9003), 48121, *range(5000, 5011)}
    assert [e["reserved"] for e in d.endpoints("a")] == [True] * len(d.endpoints("a"))
    assert d.stop() == 0
    assert KERNEL_LIST.read_bytes() == before


def test_keep_list_leaves_it_and_release_takes_it_out(daemon):
    KERNEL_LIST.write_text("7\n")
    d = daemon("[a]\nPorts=48121\n", arguments=["--keep-list"])
    assert d.stop() == 0
    assert kernel_list() == {7, 48121}
    subprocess.run([program("portreserved"), f"--runtime-dir={d.runtime}", "--release-list"], check=True)
    assert kernel_list() == {7}


def test_list_survives_kill_and_is_still_ours(daemon):
    KERNEL_LIST.write_text("7\n")
    d = daemon("[a]\nPorts=48121 48123\n")
    d.kill()
    assert kernel_list() == {7, 48121, 48123}
    d.start()
    assert kernel_list() == {7, 48121, 48123}
    d.stop()
    assert kernel_list() == {7}


def test_drift_is_repaired_and_told_once(daemon):
    d = daemon("[a]\nPorts=48121 48123\n")
    KERNEL_LIST.write_text("11\n")
    wait_until(lambda: kernel_list() == {11, 48121, 48123}, "repair")
    wait_until(lambda: d.events("repaired"), "event")
    assert len(d.events("drift")) == 1
    assert "48121,48123" in d.events("drift")[0]["message"]
    assert d.state()["drifts"] == 1
    assert d.log().count("was overwritten by another program") == 1
    d.stop()
    assert kernel_list() == {11}


def test_ephemeral_floor_refuses_one_reservation_and_no_other(daemon):
    PORT_RANGE.write_text("40000 45000")
    d = daemon("[Daemon]\nEphemeralFloor=4500\n[big]\nPorts=40000-41000\n[small]\nPorts=42000\n[outside]\nPorts=1000-3000\n")
    assert kernel_list() == {42000, *range(1000, 3001)}
    assert "EphemeralFloor=4500" in d.log()
    assert f"{d.config}:3: " in d.log()
    assert d.state()["config_errors"] == 1
    assert not d.endpoints("big")[0]["reserved"]
    assert d.endpoints("small")[0]["reserved"]


# Holds


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_bound_hold_keeps_everybody_out(daemon, address):
    d = daemon("[a]\nPorts=48121\nHold=bound\n")
    d.wait_state("a", "exclusive")
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        for options in (), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            assert refused(48121, address=address, kind=kind, options=options), (kind, options)
    assert connect_is_refused(48121)
    d.kill()
    # The control: without the daemon's socket the same binds succeed.
    assert not refused(48121, address=address)


def test_shared_hold_lets_reuseaddr_in_and_no_other(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=shared\n")
    d.wait_state("a", "sharing")
    assert refused(48121)
    assert connect_is_refused(48121)
    server = listener(48121)
    with socket.create_connection(("127.0.0.1", 48121)):
        server.accept()[0].close()


def test_pending_names_the_thief_and_is_claimed(daemon):
    client, accepted, server = thief(48121)
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    d.wait_state("a", "pending")
    collision = wait_until(lambda: d.endpoints("a")[0]["collision"], "collision")
    assert collision["kind"] == "ephemeral"
    assert collision["state"] == "ESTABLISHED"
    assert collision["local"] == "127.0.0.1:48121"
    assert collision["remote"] == "127.0.0.1:1"
    if os.environ.get("PORTRESERVED_USER", "") == "":
        assert collision["pid"] == os.getpid()
        assert collision["exe"] == os.readlink("/proc/self/exe")
    assert d.ctl("status").returncode == 8
    assert d.ctl("status", "--quiet").returncode == 8
    assert d.log().count("is taken by") == 1

    # The thief closes first: 60 s of TIME_WAIT would follow, and block every bind.
    client.close()
    accepted.close()
    d.wait_state("a", "exclusive")
    wait_until(lambda: d.events("claimed"), "claimed event")
    wait_until(lambda: d.events("resolved"), "resolved event")
    assert refused(48121, options=(socket.SO_REUSEADDR,))
    assert d.ctl("status").returncode == 0
    server.close()


def test_pending_behind_a_listener_is_claimed(daemon):
    squatter = listener(48121)
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    d.wait_state("a", "pending")
    squatter.close()
    d.wait_state("a", "exclusive")


def test_udp_is_held_and_claimed(daemon):
    squatter = bind(48121, kind=socket.SOCK_DGRAM)
    d = daemon("[a]\nPorts=48121/udp\nHold=bound\n")
    d.wait_state("a", "pending")
    collision = wait_until(lambda: d.endpoints("a")[0]["collision"], "collision")
    assert collision["kind"] in ("squatter", "unknown")
    squatter.close()
    d.wait_state("a", "exclusive")


def test_address_that_is_not_there_yet(daemon):
    d = daemon("[a]\nListenStream=192.0.2.7:48121\nListenStream=[2001:db8::7]:48121\nHold=bound\n")
    d.wait_state("a", "exclusive")
    assert not refused(48121)


# Change


def test_reload_changes_and_keeps(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n[b]\nPorts=48122/tcp\nHold=bound\n")
    d.wait_state("b", "exclusive")
    d.configure("[a]\nPorts=48121/tcp\nHold=bound\n[c]\nPorts=48123/tcp\nHold=bound\n")
    d.ctl("reload", code=0)
    d.wait_state("c", "exclusive")
    assert kernel_list() == {48121, 48123}
    assert refused(48121, options=(socket.SO_REUSEADDR,))
    assert not refused(48122)


def test_reload_with_a_mistake_changes_nothing(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    d.configure("[b]\nPorts=48122/tcp\nHold=bond\n")
    r = d.ctl("reload", code=7)
    assert f"{d.config}:3: " in r.stdout + r.stderr
    d.wait_state("a", "exclusive")
    assert kernel_list() == {48121}
    assert refused(48121)


def test_reload_over_the_floor_changes_nothing(daemon):
    PORT_RANGE.write_text("40000 45000")
    d = daemon("[a]\nPorts=48121/tcp\n")
    d.configure("[Daemon]\nEphemeralFloor=4500\n[big]\nPorts=40000-41000\n")
    d.ctl("reload", code=7)
    assert kernel_list() == {48121}


def test_sighup_reloads(daemon):
    d = daemon("[a]\nPorts=48121/tcp\n")
    d.configure("[a]\nPorts=48122/tcp\n")
    d.process.send_signal(signal.SIGHUP)
    wait_until(lambda: kernel_list() == {48122}, "reload")


def test_start_with_mistakes_serves_the_rest(daemon):
    d = daemon("[a]\nPorts=99999 48121/tcp\nHold=bound\nPrts=1\n[b]\nPorts=48122/tcp\nHold=bound\n[c]\nPorts=48122\n")
    d.wait_state("b", "exclusive")
    assert 48122 in kernel_list()
    state = d.state()
    assert state["config_errors"] == len(state["errors"]) >= 3
    for line in 2, 4:
        assert f"{d.config}:{line}: " in d.log()
    d.ctl("status", code=0)


def test_after_a_crash_what_was_applied_goes_on(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    d.configure("[half")
    d.kill()
    d.start()
    d.wait_state("a", "exclusive")
    assert d.endpoints("a") and d.state()["list"][0]["source"] == f"{d.config}:1"
    d.stop()
    d.configure("[b]\nPorts=48122/tcp\n")
    d.start()
    assert [r["name"] for r in d.state()["list"]] == ["b"]


def test_second_daemon_is_refused(daemon):
    d = daemon("[a]\nPorts=48121/tcp\n")
    r = subprocess.run(d.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert r.returncode == 1
    assert "Another portreserved runs" in r.stdout
    d.ctl("status", code=0)


# Hand-over


SHOW_FDS = """
import os, socket, sys
n = int(os.environ["LISTEN_FDS"])
assert int(os.environ["LISTEN_PID"]) == os.getpid()
for fd, name in zip(range(3, 3 + n), os.environ["LISTEN_FDNAMES"].split(":")):
    s = socket.socket(fileno=fd)
    print(name, s.getsockname()[1], s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
"""


def exec_command(d, name, *command):
    return [str(program("portreserve-exec")), f"--runtime-dir={d.runtime}", name, "--", *command]


def test_exec_gets_the_listening_sockets(daemon):
    d = daemon("[a]\nListenStream=48121\nListenStream=127.0.0.1:48122\nFileDescriptorName=web\n")
    d.wait_state("a", "listening")
    # A client may come before the server: it waits, and is served.
    early = socket.create_connection(("127.0.0.1", 48122))
    r = subprocess.run(exec_command(d, "a", sys.executable, "-c", SHOW_FDS), stdout=subprocess.PIPE, text=True, timeout=60)
    assert r.stdout.split() == ["web", "48121", "1", "web", "48122", "1"]
    serve = "import socket; s = socket.socket(fileno=4); c = s.accept()[0]; c.sendall(b'served'); c.close()"
    subprocess.run(exec_command(d, "a", sys.executable, "-c", serve), check=True, timeout=60)
    assert early.recv(100) == b"served"
    d.wait_state("a", "listening")


SERVER = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("up", flush=True)
sys.stdin.read()
"""


def test_exec_opens_a_bound_hold_while_the_command_lives(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    d.wait_state("a", "exclusive")
    with subprocess.Popen(exec_command(d, "a", sys.executable, "-c", SERVER, "48121"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == "up\n"
        wait_until(lambda: d.endpoints("a")[0]["state"] in ("sharing", "in-use"), "sharing")
        socket.create_connection(("127.0.0.1", 48121)).close()
        server.kill()
        server.wait()
    d.wait_state("a", "exclusive")
    assert refused(48121, options=(socket.SO_REUSEADDR,))


def test_exec_answers(daemon, ctl):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    assert subprocess.run(exec_command(d, "nobody", "true"), stderr=subprocess.DEVNULL).returncode == 4
    assert subprocess.run(exec_command(d, "a", "/nonexistent"), stderr=subprocess.DEVNULL).returncode == 127
    assert subprocess.run(exec_command(d, "a", "false")).returncode == 1
    d.wait_state("a", "exclusive")
    d.stop()
    assert subprocess.run(exec_command(d, "a", "true"), stderr=subprocess.DEVNULL).returncode == 3


def handover(d, *words):
    """One request on RUNTIME/handover; the reply."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(30)
        s.connect(str(d.runtime / "handover"))
        s.send(b"".join(w.encode() + b"\0" for w in words))
        return s.recv(65536).decode()


def test_handover_opens_and_closes(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n[no]\nPorts=48122/tcp\nHold=bound\nReuseAddress=no\n")
    d.wait_state("a", "exclusive")
    d.wait_state("no", "exclusive")
    assert handover(d, "start", "a", "no") == "ok"
    server = listener(48121)
    plain = bind(48122)
    assert isinstance(plain, socket.socket)
    server.close()
    plain.close()
    assert handover(d, "stop", "a", "no") == "ok"
    d.wait_state("a", "exclusive")
    d.wait_state("no", "exclusive")
    assert refused(48121, options=(socket.SO_REUSEADDR,))
    assert refused(48122, options=(socket.SO_REUSEADDR,))


def test_handover_again_and_again_with_remains(daemon):
    """Five runs of a server on the port, each of which leaves FIN_WAIT2 and TIME_WAIT behind."""
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    clients = []
    for _ in range(5):
        d.wait_state("a", "exclusive")
        assert handover(d, "start", "a") == "ok"
        server = listener(48121)
        for closes_first in True, False:
            client = socket.create_connection(("127.0.0.1", 48121))
            accepted, _ = server.accept()
            accepted.close()
            clients.append(client) if closes_first else client.close()
        server.close()
        assert handover(d, "stop", "a") == "ok"


@pytest.mark.parametrize("words, what", [
    (("start", "nobody"), "error .*nobody"),
    (("begin", "a"), "error"),
    (("start",), "error"),
    (("start", "a\nb"), "error"),
])
def test_handover_refuses(daemon, words, what):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    assert re.match(what, handover(d, *words))
    d.wait_state("a", "exclusive")


# The journal of events


def test_watch_follows(daemon):
    d = daemon("[a]\nPorts=48121/tcp\nHold=bound\n")
    with subprocess.Popen(d.ctl.command("watch", "--json=short"), stdout=subprocess.PIPE, text=True) as w:
        try:
            time.sleep(0.5)
            KERNEL_LIST.write_text("11\n")
            import json
            seen = [json.loads(w.stdout.readline()) for _ in range(2)]
            assert [e["event"] for e in seen] == ["drift", "repaired"]
        finally:
            w.kill()
