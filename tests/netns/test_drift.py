# SPDX-License-Identifier: LGPL-2.1-or-later
"""Others write the kernel's list: by each tool that there is, once and all the time. Ours are back at once, theirs stay, it is told once
and with where it came from."""

import os
import socket
import subprocess
import sys
import time

import pytest

from conftest import KERNEL_LIST, PORT_RANGE, kernel_list, listener, program, wait_until

SYSTEMD_SYSCTL = "/usr/lib/systemd/systemd-sysctl"
CONFIG = "[a]\nPorts=48121 48123\n"
OURS = {48121, 48123}
LONG = list(range(10001, 13001, 2))

# Writes again and again, each argv[1] seconds, as echo would.
WRITER = """
import os, sys, time
while True:
    fd = os.open("/proc/sys/net/ipv4/ip_local_reserved_ports", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b"7000-7001\\n")
    os.close(fd)
    time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def background():
    """Programs that end with the test."""
    started = []

    def start(*argv, **popen):
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, **popen)
        started.append(p)
        return p

    yield start
    for p in started:
        p.kill()
        p.wait()


def run(*argv):
    subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.DEVNULL, timeout=60)


def drift(d):
    """The one alert, once the repair was told, too."""
    wait_until(lambda: d.events("repaired"), "repaired is told")
    events = d.events("drift")
    assert len(events) == 1, events
    return events[0]["message"]


WRITERS = {
    "sysctl -p": lambda file: run("sysctl", "-q", "-p", file),
    "sysctl --system": lambda file: run("sysctl", "-q", "--system"),
    "systemd-sysctl": lambda file: run(SYSTEMD_SYSCTL),
    "sysctl -w": lambda file: run("sysctl", "-q", "-w", "net.ipv4.ip_local_reserved_ports=7000,7001"),
    "echo": lambda file: run("bash", "-c", f"echo 7000-7001 >{KERNEL_LIST}"),
    "echo of two lines": lambda file: run("bash", "-c", f"echo 7000 >{KERNEL_LIST}; echo 7000-7001 >{KERNEL_LIST}"),
    "dd": lambda file: subprocess.run(["dd", f"of={KERNEL_LIST}", "status=none"], input=b"7000-7001", check=True),
}
BY_FILE = ["sysctl -p", "sysctl --system", "systemd-sysctl"]


@pytest.mark.parametrize("how", WRITERS)
def test_overwritten(daemon, sysctl_d, how):
    d = daemon(CONFIG)
    file = sysctl_d("50-x.conf", "# ours\nkernel.panic_on_oops=0\nnet.ipv4.ip_local_reserved_ports = 7000,7001\n" if how in BY_FILE else "")
    WRITERS[how](file)
    wait_until(lambda: kernel_list() == OURS | {7000, 7001}, "ours are back, theirs stay")
    message = drift(d)
    if how == "echo of two lines":
        return
    assert "missing: 48121,48123; instead it had 7000-7001" in message
    assert (", as /etc/sysctl.d/50-x.conf:3 sets" in message) == (how in BY_FILE)
    assert d.log().count("was overwritten by another program") == 1
    d.stop()
    assert kernel_list() == {7000, 7001}


def test_long_file_cut_by_sysctl(daemon, sysctl_d):
    """What sysctl(8) leaves out, and exits with 0."""
    d = daemon(CONFIG)
    run("sysctl", "-q", "-p", sysctl_d("long.conf", f"net.ipv4.ip_local_reserved_ports={','.join(map(str, LONG))}\n"))
    wait_until(lambda: kernel_list() == OURS | set(LONG[:682]), "ours are back, theirs stay")
    assert "the beginning of what /etc/sysctl.d/long.conf:1 sets (sysctl(8) leaves the rest out)" in drift(d)


def test_long_file_whole(daemon, sysctl_d):
    """systemd-sysctl writes more than once: what is said is what came of it."""
    d = daemon(CONFIG)
    sysctl_d("long.conf", f"net.ipv4.ip_local_reserved_ports={','.join(map(str, LONG))}\n")
    run(SYSTEMD_SYSCTL)
    wait_until(lambda: kernel_list() == OURS | set(LONG), "ours are back, theirs stay")
    message = drift(d)
    assert "the beginning" not in message
    assert ", as /etc/sysctl.d/long.conf:1 sets" in message


def test_file_that_says_something_else(daemon, sysctl_d):
    """Whose it is is not known, and nobody is named."""
    sysctl_d("a.conf", "net.ipv4.ip_local_reserved_ports=7000\n")
    sysctl_d("b.conf", "net.ipv4.ip_local_reserved_ports=7000-7002\n")
    d = daemon(CONFIG)
    KERNEL_LIST.write_text("7000-7001\n")
    assert "sets" not in drift(d)


def test_cleared(daemon, sysctl_d):
    d = daemon(CONFIG)
    KERNEL_LIST.write_text("\n")
    wait_until(lambda: kernel_list() == OURS, "ours are back")
    assert drift(d).endswith("missing: 48121,48123; instead it had none")


def test_many_missing_are_capped(daemon, sysctl_d):
    d = daemon("[a]\n" + "".join(f"Ports={port}\n" for port in range(10001, 10201, 2)))
    KERNEL_LIST.write_text("1\n")
    message = drift(d)
    assert "10001,10003," in message and "… (100 ports); instead it had 1" in message
    assert len(message) < 400


def test_name_with_an_escape(daemon, sysctl_d):
    sysctl_d("\033[2J.conf", "net.ipv4.ip_local_reserved_ports=7000\n")
    d = daemon(CONFIG)
    KERNEL_LIST.write_text("7000\n")
    assert "\\x1b[2J.conf:1 sets" in drift(d)


def test_additions_of_others_stay(daemon):
    """Beside the one who overwrites, somebody adds."""
    d = daemon(CONFIG)
    for port in range(7000, 7010):
        fd = os.open(KERNEL_LIST, os.O_WRONLY)
        os.pwrite(fd, str(port).encode(), 1)
        os.close(fd)
    assert kernel_list() == OURS | set(range(7000, 7010))
    assert not d.events("drift")
    KERNEL_LIST.write_text("7005-7012\n")
    wait_until(lambda: kernel_list() == OURS | set(range(7005, 7013)), "ours are back, theirs stay")
    d.stop()
    assert kernel_list() == set(range(7005, 7013))


@pytest.mark.parametrize("period, seconds", [(0.1, 4), (0.001, 2)])
def test_somebody_who_never_stops(daemon, background, period, seconds):
    d = daemon(CONFIG)
    watcher = background(program("inside-list-gaps"), "48121,48123", stdout=subprocess.PIPE, text=True)
    assert watcher.stdout.readline() == "ready\n"
    writer = background(sys.executable, "-c", WRITER, period)
    begin = time.monotonic()
    time.sleep(seconds)
    writer.kill()
    writer.wait()
    wait_until(lambda: kernel_list() >= OURS, "ours are back")
    lasted = (time.monotonic() - begin) * 1e6
    watcher.terminate()
    out = watcher.communicate(timeout=30)[0].splitlines()
    missing = sum(int(line.split()[1]) for line in out if line.startswith("gap "))
    # Between two writes of the slower they are there nearly all the time.
    assert missing < lasted * (0.5 if period >= 0.1 else 1), out
    assert len(d.events("drift")) == len(d.events("repaired")) == 1
    wait_until(lambda: d.state()["drifts"] > 1, "each is counted")


def connects(seconds, reserved):
    """How many connections there were in so many seconds, and how many of them were given a reserved port."""
    n = hits = 0
    with listener(1) as server:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", 1)) as client:
                # Nothing of it stays in TIME_WAIT.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                hits += client.getsockname()[1] in reserved
                n += 1
                server.accept()[0].close()
    return n, hits


def test_connections_get_practically_none(daemon, background):
    """Half of the ephemeral ports are reserved, and somebody clears the list each 20 ms."""
    PORT_RANGE.write_text("40000 40099")
    d = daemon("[Daemon]\nEphemeralFloor=10\n[a]\nPorts=40000-40049\n")
    assert kernel_list() == set(range(40000, 40050))
    background(sys.executable, "-c", WRITER, 0.02)
    wait_until(lambda: d.state()["drifts"] > 1, "it is overwritten")
    n, hits = connects(2, range(40000, 40050))
    assert n > 100
    assert hits * 20 < n, (hits, n)
    # The control: without us.
    d.stop()
    n, hits = connects(1, range(40000, 40050))
    assert hits * 5 > n, (hits, n)
