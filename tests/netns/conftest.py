# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the black-box tests: the real programs, over real sockets, in a network namespace of each test's own.

Run as root: unshare --net /usr/bin/python3 -m pytest tests/netns. PORTRESERVED_BUILD names the build directory (./build).
With PORTRESERVED_USER=NAME the daemon runs as that user, with its three capabilities and no others.
"""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PORTRESERVED_BUILD", SOURCE / "build")).resolve()
USER = os.environ.get("PORTRESERVED_USER", "")
CAPABILITIES = "+net_admin,+net_bind_service,+lease"
KERNEL_LIST = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
PORT_RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")

CLONE_NEWNET = 0x40000000
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
SYSCTL_FILES = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/etc/sysctl.conf"]
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

# Generous, since nothing here is a measurement: a loaded machine must not fail a test.
DEADLINE = 30


def wait_until(condition, what="condition", deadline=DEADLINE):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {deadline} s"
        time.sleep(0.01)


def interface_up(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", name.encode(), 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), flags | IFF_UP))


def call(name, result):
    if result != 0:
        pytest.fail(f"{name}: {os.strerror(ctypes.get_errno())}; run as root")


@pytest.fixture(autouse=True)
def netns():
    """A fresh network namespace with loopback up. The namespace before goes when nothing in it is left."""
    call("unshare", ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET))
    interface_up("lo")


@pytest.fixture
def place():
    """A directory that other users can read, unlike pytest's own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="portreserved-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def sysctl_d(place):
    """No file of sysctl.d, and an empty /etc/sysctl.conf: sysctl_d(NAME, TEXT) writes one into /etc/sysctl.d, or where NAME says."""
    libc = ctypes.CDLL(None, use_errno=True)
    call("unshare", libc.unshare(CLONE_NEWNS))
    call("mount", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    mounted = []
    for path in filter(os.path.exists, SYSCTL_FILES):
        source = place / path.replace("/", "_")
        source.mkdir(0o755) if os.path.isdir(path) else source.touch()
        call("mount", libc.mount(str(source).encode(), path.encode(), None, MS_BIND, None))
        mounted.append(path)

    def write(name, text):
        path = pathlib.Path("/etc/sysctl.d", name)
        assert any(str(path).startswith(m) for m in mounted), f"{path}: not on this machine"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o644)
        return str(path)

    yield write
    for path in mounted:
        call("umount", libc.umount2(path.encode(), 0))


@functools.lru_cache
def program(name):
    """A built program, wherever in the build directory it is."""
    found = [p for p in BUILD.glob(f"**/{name}") if p.is_file() and os.access(p, os.X_OK)]
    assert found, f"{name} is not built in {BUILD}"
    return found[0]


class Ctl:
    """portreservectl against one runtime directory."""

    def __init__(self, runtime):
        self.runtime = runtime

    def command(self, *args):
        return [str(program("portreservectl")), f"--runtime-dir={self.runtime}", *map(str, args)]

    def __call__(self, *args, code=None, env=None):
        r = subprocess.run(self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, text=True, timeout=60,
                           env={**os.environ, **(env or {})})
        if code is not None:
            assert r.returncode == code, f"{args}: exit {r.returncode}\n{r.stdout}{r.stderr}"
        return r

    def json(self, *args, code=0):
        """The one JSON value that a verb prints."""
        r = self(*args, "--json=short", code=code)
        return json.loads(r.stdout)

    def shell(self, command):
        """A command that the product names, as it is typed."""
        words = command.split()
        if words[0] == "portreservectl":
            command = shlex.join(self.command(*words[1:]))
        subprocess.run(["sh", "-ec", command], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def ctl(place):
    return Ctl(place / "run")


class Daemon:
    """One portreserved in this namespace, in directories of its own below place."""

    def __init__(self, place, config="", arguments=()):
        self.place = place
        self.runtime = place / "run"
        self.state_dir = place / "state"
        self.config = place / "portreserved.conf"
        self.log_file = place / "log"
        self.arguments = arguments
        self.process = None
        self.ctl = Ctl(self.runtime)
        for d in (self.runtime, self.state_dir):
            d.mkdir(exist_ok=True)
            if USER:
                shutil.chown(d, USER)
        self.configure(config)

    def configure(self, text):
        if isinstance(text, str):
            text = text.encode()
        self.config.write_bytes(text)

    def command(self):
        binary = program("portreserved")
        prefix = []
        if USER:
            # The build directory may be out of that user's reach.
            copy = self.place / "portreserved"
            if not copy.exists():
                shutil.copy(binary, copy)
            binary = copy
            prefix = ["setpriv", f"--reuid={USER}", "--clear-groups", "--bounding-set=-all," + CAPABILITIES,
                      f"--inh-caps=-all,{CAPABILITIES}", f"--ambient-caps=-all,{CAPABILITIES}", "--"]
        return [*prefix, str(binary), f"--config={self.config}", f"--runtime-dir={self.runtime}",
                f"--state-dir={self.state_dir}", *self.arguments]

    def start(self, wait=True, **popen):
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")}
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, **popen)
        if wait:
            self.wait_ready()
        return self

    def answers(self):
        """Is state.json this process's own, and does control answer?"""
        if self.process.poll() is not None:
            pytest.fail(f"portreserved exited with {self.process.returncode}:\n{self.log()}")
        state = self.state()
        if state is None or state["pid"] != self.process.pid:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            try:
                s.connect(str(self.runtime / "control"))
            except OSError:
                return False
        return True

    def wait_ready(self):
        wait_until(self.answers, "portreserved is up")

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def state(self):
        """state.json, or None where there is none."""
        try:
            return json.loads((self.runtime / "state.json").read_text())
        except FileNotFoundError:
            return None

    def endpoints(self, name):
        """The EPs of a reservation, as last written."""
        state = self.state()
        for r in state["list"] if state else []:
            if r["name"] == name:
                return r["endpoints"]
        return []

    def wait_state(self, name, state, deadline=DEADLINE):
        """Waits until every endpoint of the reservation is in that state."""
        def reached():
            eps = self.endpoints(name)
            return eps and all(e["state"] == state for e in eps)
        wait_until(reached, f"{name} {state}", deadline)

    def events(self, event=None):
        state = self.state()
        return [e for e in state["events"] if event in (None, e["event"])] if state else []

    def stop(self, sig=signal.SIGTERM):
        """Ends it and returns its exit status."""
        if self.process is None or self.process.returncode is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(sig)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"portreserved did not end within {DEADLINE} s of signal {sig}:\n{self.log()}")

    def kill(self):
        return self.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self):
        """Meanwhile none of its threads does anything. Each takes the signal when it comes to it."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
            wait_until(lambda: all((t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in tasks.iterdir()), "it stands still")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def daemon(place):
    """daemon(CONFIG) starts one and waits until it answers; start=False only prepares it. All end with the test."""
    started = []

    def make(config="", start=True, arguments=()):
        d = Daemon(place, config, arguments)
        started.append(d)
        if start:
            d.start()
        return d

    yield make
    for d in started:
        d.stop()


def kernel_list():
    """The set of ports in the kernel's list of this namespace."""
    fd = os.open(KERNEL_LIST, os.O_RDONLY)
    try:
        text = os.read(fd, 1 << 19).decode()
    finally:
        os.close(fd)
    ports = set()
    for run in text.strip().split(","):
        if run:
            first, _, last = run.partition("-")
            ports.update(range(int(first), int(last or first) + 1))
    return ports


def listener(port, address="127.0.0.1", reuse=True, backlog=16):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    s.bind((address, port))
    s.listen(backlog)
    return s


@contextlib.contextmanager
def only_ports(first, last=None):
    """Leaves the kernel no other ports to choose; only the parity of the first matters to nobody here."""
    before = PORT_RANGE.read_text()
    PORT_RANGE.write_text(f"{first} {last or first}")
    try:
        yield
    finally:
        PORT_RANGE.write_text(before)


def thief(port, server_port=1):
    """An outgoing connection that the kernel gives this port, and its server's two ends: (client, accepted, listener)."""
    server = listener(server_port)
    with only_ports(port):
        client = socket.create_connection(("127.0.0.1", server_port))
    assert client.getsockname()[1] == port
    accepted, _ = server.accept()
    return client, accepted, server
