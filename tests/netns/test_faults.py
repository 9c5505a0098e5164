# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input and faults: the daemon goes on with what it can do, and says what it cannot."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import KERNEL_LIST, kernel_list, listener, program, thief, wait_until

HELD = "[a]\nPorts=48121/tcp\nHold=bound\n"


def held(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", port))
    except OSError:
        return True
    finally:
        s.close()
    return False


# Configuration


def test_no_configuration_by_name(daemon):
    d = daemon(start=False)
    d.config.unlink()
    r = subprocess.run(d.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert r.returncode == 1
    assert f"Cannot read {d.config}: No such file" in r.stdout


def test_configuration_is_a_directory(daemon):
    d = daemon(start=False)
    d.config.unlink()
    d.config.mkdir()
    d.start()
    assert d.state()["config_errors"] >= 1
    assert str(d.config) in d.log()


def test_unreadable_configuration(daemon):
    """A drop-in that the daemon's user may not read costs itself. Root reads everything, so this one is always a plain user's."""
    d = daemon(HELD, start=False)
    dropins = d.place / "portreserved.conf.d"
    dropins.mkdir()
    (dropins / "10-secret.conf").write_text("[b]\nPorts=48122\n")
    (dropins / "10-secret.conf").chmod(0)
    for directory in d.runtime, d.state_dir:
        shutil.chown(directory, "nobody")
    binary = d.place / "portreserved"
    shutil.copy(program("portreserved"), binary)
    caps = "+net_admin,+net_bind_service,+lease"
    d.command = lambda: ["setpriv", "--reuid=nobody", "--clear-groups", f"--inh-caps=-all,{caps}",
                         f"--ambient-caps=-all,{caps}", f"--bounding-set=-all,{caps}", "--", str(binary),
                         f"--config={d.config}", f"--runtime-dir={d.runtime}", f"--state-dir={d.state_dir}"]
    d.start()
    d.wait_state("a", "exclusive")
    assert "10-secret.conf" in d.log()
    assert kernel_list() == {48121}


@pytest.mark.parametrize("junk", [
    b"\x00\x01\x02\xff" * 5000,
    b"[a]\nPorts=48121/tcp\nHold=bo",
    b"\n" * 12_000_000,
    b"x" * 12_000_000,
    b"[" + b"n" * 5000 + b"]\nPorts=1\n",
    b"[a\nb]\nPorts=48121\n",
    "[é]\nPorts=48121\n".encode(),
    b"Ports=1\n[a]\nPorts=0 65536 9-1 -5 1-\n",
], ids=["binary", "truncated", "10M-lines", "10M-line", "long-name", "newline-name", "name", "ports"])
def test_junk_does_not_stop_it(daemon, junk):
    d = daemon(junk)
    assert d.state()["config_errors"] >= 1
    d.ctl("status", code=0)
    # A good configuration puts it right, without a restart.
    d.configure(HELD)
    d.ctl("reload", code=0)
    d.wait_state("a", "exclusive")


def test_100000_lines(daemon):
    lines = "".join(f"Ports={1 + i % 60000}/tcp\n" for i in range(100_000))
    d = daemon("[Daemon]\nEphemeralFloor=0\n[a]\n" + lines)
    d.ctl("status", code=0)
    assert len(kernel_list()) >= 1


# The kernel's list cannot be written


def test_read_only_proc_sys(daemon):
    d = daemon(HELD, start=False)
    command = d.command()
    d.command = lambda: ["unshare", "--mount", "sh", "-c",
                         'mount --bind /proc/sys/net /proc/sys/net && mount -o remount,ro,bind /proc/sys/net && exec "$@"',
                         "sh", *command]
    d.start()
    d.wait_state("a", "exclusive")
    assert kernel_list() == set()
    assert held(48121)
    degraded = " ".join(d.state()["degraded"])
    assert "kernel-list" in degraded and "Read-only" in degraded
    assert not d.endpoints("a")[0]["reserved"]
    assert "Cannot write net.ipv4.ip_local_reserved_ports" in d.log()
    r = d.ctl("status", code=0)
    assert "kernel-list" in r.stdout
    assert d.stop() == 0


# No more file descriptors


def test_emfile(daemon):
    d = daemon("[a]\nPorts=20000-20099/tcp\nHold=bound\n", start=False)
    d.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    assert d.state()["pending"] > 0
    assert "Too many open files" in d.log()
    assert f"hold: {d.state()['pending']} ports cannot be held: Too many open files" in d.state()["degraded"]
    assert held(20000)
    # It answers on what is left, as soon as there is something left.
    d.configure("[a]\nPorts=20000/tcp\nHold=bound\n")
    d.process.send_signal(signal.SIGHUP)
    d.wait_state("a", "exclusive")
    wait_until(lambda: d.ctl("status").returncode == 0, "status answers")
    assert not any(t.startswith("hold:") for t in d.state()["degraded"])


# Somebody clears the runtime directory away


@pytest.mark.parametrize("what", ["all", "control", "state.json"])
def test_deleted_runtime_directory(daemon, what):
    d = daemon(HELD)
    if what == "all":
        if os.environ.get("PORTRESERVED_USER"):
            pytest.skip("a plain user cannot make a directory in root's again: RuntimeDirectory= is PID 1's to restore")
        # The daemon may put something back while we are at it.
        shutil.rmtree(d.runtime, ignore_errors=True)
    else:
        (d.runtime / what).unlink()
    wait_until(lambda: "was cleared away" in d.log(), "noticed")
    wait_until(d.answers, "its files are there again")
    assert held(48121)
    d.configure(HELD + "[b]\nPorts=48122/tcp\n")
    d.ctl("reload", code=0)
    assert kernel_list() == {48121, 48122}
    d.kill()
    d.start()
    d.stop()
    assert kernel_list() == set()


# Killed


def test_killed_ten_times_and_nothing_is_lost_but_the_moment(daemon):
    """Without a service manager nobody keeps the sockets: they are taken back at once, and the list never goes."""
    d = daemon(HELD)
    for _ in range(10):
        d.kill()
        assert 48121 in kernel_list()
        d.start()
        d.wait_state("a", "exclusive")
    assert held(48121)


def test_stopped_daemon_does_not_block_readers(daemon):
    d = daemon(HELD)
    with d.frozen():
        r = d.ctl("list", code=0)
        assert "48121" in r.stdout
