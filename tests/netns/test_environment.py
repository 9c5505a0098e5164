# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon where it is started by something else than a service manager or a shell."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from conftest import USER, listener, program, wait_until

PORT = 48121
CONFIG = f"[a]\nPorts={PORT}/tcp\nUnit=a.service\nHold=bound\n"


def test_closed_standard_streams(daemon):
    """Neither a file nor a socket of the daemon's may get the number that the log goes to."""
    d = daemon(CONFIG, start=False)
    d.process = subprocess.Popen(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *d.command()])
    d.wait_ready()
    if os.environ.get("PORTRESERVED_USER"):
        pytest.skip("its descriptors cannot be read")
    for fd in range(3):
        assert os.readlink(f"/proc/{d.process.pid}/fd/{fd}") == "/dev/null"


def test_reaps_orphans_as_pid_1(daemon, place):
    """In a container the processes that somebody left behind are the daemon's."""
    d = daemon(CONFIG, start=False)
    orphan = place / "orphan"
    # The shell ends before its child does, and becomes the daemon.
    script = f'(sleep 0.5; echo > {orphan}) & exec "$@"'
    unshare = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--",
                                "sh", "-c", script, "sh", *d.command()])
    children = pathlib.Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    pid = int(wait_until(lambda: children.read_text().split(), "the daemon")[0])
    try:
        wait_until(lambda: (d.state() or {}).get("pid") == 1, "portreserved is up")
        wait_until(orphan.exists, "the orphan's end")
        left = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
        wait_until(lambda: not left.read_text().split(), "nobody is left as a zombie")
    finally:
        os.kill(pid, signal.SIGTERM)
        unshare.wait(30)


@pytest.fixture
def booted(daemon, place):
    """booted(CONFIG): a daemon that takes this for a host with systemd. Nobody reads what it notifies."""
    def make(config):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(place / "notify"))
        os.chmod(place / "notify", 0o666)
        sockets.append(notify)
        d = daemon(config, start=False)
        plain = d.command()
        d.command = lambda: ["unshare", "--mount", "sh", "-c",
                             'mount -t tmpfs run /run && mkdir -p /run/systemd/system && '
                             f'NOTIFY_SOCKET={place / "notify"} exec "$@"', "sh", *plain]
        return d.start()

    sockets = []
    yield make
    for s in sockets:
        s.close()


def test_listening_is_forgotten_with_the_reservation(booted):
    """What a listener was once seen on says nothing of a reservation that comes later."""
    config = f"[a]\nListenStream={PORT}\nUnit=a.service\nUser=root\n"
    d = booted(config)
    server = listener(PORT, "::")
    d.wait_state("a", "listening")
    d.configure("")
    d.ctl("reload", code=0)
    server.close()
    d.configure(config)
    d.ctl("reload", code=0)
    d.wait_state("a", "none", 5)


@pytest.fixture
def small_runtime(daemon):
    """small_runtime(CONFIG): a daemon whose runtime directory is a file system of 64 KiB."""
    def make(config):
        d = daemon(config, start=False)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0755", "small", str(d.runtime)], check=True)
        mounted.append(d)
        if os.environ.get("PORTRESERVED_USER"):
            shutil.chown(d.runtime, os.environ["PORTRESERVED_USER"])
        return d.start()

    mounted = []
    yield make
    for d in mounted:
        d.stop()
        subprocess.run(["umount", "--lazy", str(d.runtime)], check=True)


def test_full_runtime_directory(small_runtime):
    """What cannot be written is not left as it was before, and is written when there is room."""
    d = small_runtime(CONFIG)
    before = d.ctl.json("show", "a")
    with open(d.runtime / "fill", "wb", buffering=0) as f:
        with pytest.raises(OSError):
            while True:
                f.write(bytes(65536))
    d.configure(CONFIG.replace("[a]", "[renamed]"))
    d.ctl("reload", code=0)
    assert not (d.runtime / "applied.conf").exists()  # what it said is not in effect any more
    assert "cleared away" not in d.log()
    (d.runtime / "fill").unlink()
    wait_until(lambda: d.endpoints("renamed") == before["endpoints"], "state.json says what is in effect")


def test_no_memory_for_a_configuration(daemon):
    """What still looks into the old configuration, after memory did not suffice for the new one, must find it there."""
    d = daemon(CONFIG, start=False)
    # Root without CAP_SYS_RESOURCE may not limit others' processes.
    same_user = ["setpriv", f"--reuid={USER}", "--clear-groups", "--"] if USER else []
    plain = d.command()
    d.command = lambda: ["env", "MALLOC_PERTURB_=165", *plain]  # freed memory is overwritten at once
    with listener(PORT, "::"):
        d.start()
        d.wait_state("a", "pending")
        if "asan" in pathlib.Path(f"/proc/{d.process.pid}/maps").read_text():
            pytest.skip("a sanitizer ends the daemon where memory ends")
        with open(f"/proc/{d.process.pid}/statm") as f:
            size = int(f.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        d.configure(CONFIG + "".join(f"[b{i}]\nHold=shared\nPorts={20000 + i}/tcp\n" for i in range(20000)))
        for more in range(10, 40):  # MiB: enough to read it, not to hold it
            subprocess.run([*same_user, "prlimit", f"--pid={d.process.pid}", f"--as={size + (more << 20)}:unlimited"], check=True)
            r = d.ctl("reload")
            if "Cannot hold all ports" in d.log():
                break
            if r.returncode == 0:
                pytest.skip("no limit lets it read the configuration and not hold it")
        subprocess.run([*same_user, "prlimit", f"--pid={d.process.pid}", "--as=unlimited:unlimited"], check=True)
    wait_until(lambda: d.process.poll() is not None or "has come free" in d.log(), "the port is taken")
    d.configure(CONFIG)
    d.ctl("reload", code=0)
    d.wait_state("a", "exclusive")


def open_message(name):
    """The method call Open(name), as it is on the wire."""
    fields = b""
    for code, kind, value in ((1, b"o", b"/org/portreserved1"), (2, b"s", b"org.portreserved1"), (3, b"s", b"Open")):
        fields += bytes(-len(fields) % 8) + bytes([code, 1]) + kind + b"\0"
        fields += struct.pack("<I", len(value)) + value + b"\0"
    fields += bytes(-len(fields) % 8) + b"\x08\1g\0\1s\0"
    body = struct.pack("<I", len(name)) + name + b"\0"
    return b"l\1\0\1" + struct.pack("<III", len(body), 1, len(fields)) + fields + bytes(-len(fields) % 8) + body


def test_one_client_that_fails_closes_nothing_to_another(daemon):
    """A connection whose process has ended cannot be followed; the port stays open to the one that can."""
    d = daemon(CONFIG.replace("Unit=", "User=root\nUnit="))
    client = subprocess.Popen([str(program("portreserve-exec")), f"--runtime-dir={d.runtime}", "a", "--", "sleep", "1000"])
    try:
        d.wait_state("a", "sharing")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(30)
            pid = os.fork()
            if pid == 0:
                os._exit(s.connect_ex(str(d.runtime / "control")))
            assert os.waitpid(pid, 0)[1] == 0
            s.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + open_message(b"a"))
            reply = b""
            while b"Error" not in reply:
                piece = s.recv(65536)
                assert piece, reply
                reply += piece
        listener(PORT, "::").close()
    finally:
        client.kill()
        client.wait()
    d.wait_state("a", "exclusive")
