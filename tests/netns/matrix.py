# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may bind a port, by the state of its last connection: without portreserved, and with Hold=bound. Real processes under different
uids, real sockets; what it prints is in README, between two marks.

usage: matrix.py PORTRESERVED HANDOVER      as root, in a network namespace with loopback up; needs nothing but Python
"""

import contextlib
import errno
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

OWNER = "games"
OWNER_UID, STRANGER_UID = 5, 1
DEADLINE = 120
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")

REUSEADDR, REUSEPORT = socket.SO_REUSEADDR, socket.SO_REUSEPORT
STRANGERS = (), (REUSEADDR,), (REUSEADDR, REUSEPORT)
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
# What a server that has gone leaves, as in /proc/net/tcp (include/net/tcp_states.h).
LEAVES = {"ESTABLISHED": 1, "FIN_WAIT2": 5, "CLOSE_WAIT": 8, "TIME_WAIT": 6}
LEFT_TO_A_PROCESS = "ESTABLISHED", "CLOSE_WAIT"
RUNS = "LISTEN", "running"
ADDRESSES = {"0.0.0.0": "IPv4", "::": "dual-stack"}
LOCAL = "127.0.0.1"
EVERYWHERE = "0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1"


def until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {DEADLINE} s")
        time.sleep(0.01)


class Process:
    """A forked process under a uid that runs function(say, *args), where say(word) tells us and the process stays; end() kills it and
    what it has forked."""

    def __init__(self, uid, function, *args):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setpgid(0, 0)
                os.setresuid(uid, uid, uid)
                # Nothing of ours: a connection ends when we close it.
                os.closerange(3, writer)
                os.closerange(writer + 1, 1024)
                function(lambda word: os.write(writer, word.encode() + b"\n"), *args)
            finally:
                os._exit(1)
        os.close(writer)
        self.reader = os.fdopen(reader, "rb", 0)

    def hear(self):
        """Its next word; none where it has ended, or says nothing."""
        ready, _, _ = select.select([self.reader], [], [], DEADLINE)
        return self.reader.readline().strip().decode() if ready else ""

    def kill(self):
        """The process alone; what it has forked stays."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.reader.close()


def opened(kind, address, port, options):
    """A bound (TCP: listening) socket, or None where it was refused."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if ":" in address:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for option in options:
            s.setsockopt(socket.SOL_SOCKET, option, 1)
        s.bind((address, port))
        if kind == TCP:
            s.listen()
        return s
    except OSError as e:
        assert e.errno == errno.EADDRINUSE, e
        s.close()
        return None


def attempt(uid, kind, addresses, port, options):
    """Is any of these binds let in?"""

    def run(say):
        say(str(any(opened(kind, a, port, options) for a in addresses)))

    p = Process(uid, run)
    answer = p.hear()
    p.end()
    assert answer in ("True", "False"), f"{addresses}, port {port}: {answer}"
    return answer == "True"


def serve(say, kind, address, port, options, delegate):
    """A server. A connection it leaves to a process of its own where asked to (as sshd does); else it keeps it to itself."""
    s = opened(kind, address, port, options)
    say("up" if s else "refused")
    while s and kind == TCP:
        connection, _ = s.accept()
        if delegate and os.fork() == 0:
            s.close()
            say("accepted")
            signal.pause()
        if not delegate:
            say("accepted")
            kept.append(connection)
        connection = None
    while s:
        s.sendto(b"served", s.recvfrom(100)[1])


kept = []


class Server(Process):
    def __init__(self, kind, address, port, options, delegate=False):
        super().__init__(OWNER_UID, serve, kind, address, port, options, delegate)
        self.kind = kind
        self.port = port
        self.up = self.hear() == "up"

    def serves(self):
        """Does it get what clients send?"""
        if not self.up:
            return False
        with socket.socket(socket.AF_INET, self.kind) as client:
            client.settimeout(DEADLINE)
            client.connect((LOCAL, self.port))
            if self.kind == TCP:
                return self.hear() == "accepted"
            client.send(b"x")
            return client.recv(100) == b"served"


def states(port):
    """The states of what has that local port."""
    found = set()
    for name in "/proc/net/tcp", "/proc/net/tcp6":
        for line in pathlib.Path(name).read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == port:
                found.add(int(words[3], 16))
    return found


class Nothing:
    """Without portreserved: a unit starts its server, and that is all."""

    def starts(self, name):
        pass

    def stops(self, name):
        pass


class Reserved:
    """A running portreserved, told of starts and stops by the helper that a unit's drop-in runs."""

    def __init__(self, helper, runtime):
        self.helper = [str(helper), f"--runtime-dir={runtime}"]
        self.state = pathlib.Path(runtime) / "state.json"

    def _tell(self, *words):
        # 1: somebody else has the port. The unit starts all the same.
        status = subprocess.run([*self.helper, *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        assert status in (0, 1), f"hand-over {words}: {status}"

    def starts(self, name):
        self._tell("start", name)

    def stops(self, name):
        self._tell("stop", name)

    def states(self, name):
        for r in json.loads(self.state.read_text())["list"]:
            if r["name"] == name:
                return {e["state"] for e in r["endpoints"]}
        return set()

    def wait(self, name, *states):
        until(lambda: self.states(name) and self.states(name) <= set(states), f"{name} is {states}")


class Cell:
    """A port of its own, its server, and what the server leaves behind."""

    ports = iter(range(20000, 32000))

    def __init__(self, kind, options, address, state):
        self.kind = kind
        self.address = address
        self.options = options
        self.state = state
        self.port = next(self.ports)
        self.name = f"port{self.port}"
        self.made = []

    def config(self):
        return config(self.name, self.port, self.kind, self.options)

    def server(self, delegate=False):
        """Where it starts beside itself, as for a reload, it needs SO_REUSEPORT."""
        options = (*self.options, REUSEPORT) if self.state == "LISTEN" else self.options
        s = Server(self.kind, self.address, self.port, options, delegate)
        self.made.append(s)
        return s

    def run(self, world):
        """The server's first start, and its only connection."""
        world.starts(self.name)
        server = self.server(delegate=self.state in LEFT_TO_A_PROCESS)
        assert server.up, f"the first start on port {self.port}"
        if self.state in LEAVES:
            self.client = socket.create_connection((LOCAL, self.port))
            assert server.hear() == "accepted"

    def leave(self, world):
        """The server goes, unless it is to run on, and leaves its connection in that state."""
        if self.state in RUNS:
            return
        if self.state == "CLOSE_WAIT":
            self.client.close()
        self.made[0].kill()
        if self.state == "TIME_WAIT":
            self.client.close()
        # Before the hold may remove it.
        if self.state in LEAVES:
            until(lambda: states(self.port) == {LEAVES[self.state]}, f"port {self.port} is left in {self.state}")
        world.stops(self.name)

    def stranger(self, options, addresses):
        return attempt(STRANGER_UID, self.kind, addresses, self.port, options)

    def owner(self, world):
        """It starts again, beside the one that runs, which then goes (LISTEN: a reload), or after it."""
        if self.state == "running":
            self.made[0].kill()
            world.stops(self.name)
        world.starts(self.name)
        server = self.server()
        if self.state == "LISTEN":
            self.made[0].kill()
        return server.serves()

    def end(self):
        for server in self.made:
            server.end()
        if hasattr(self, "client"):
            self.client.close()


def config(name, port, kind, options):
    return (f"[{name}]\nPorts={port}/{'tcp' if kind == TCP else 'udp'}\nHold=bound\nUnit={name}.service\nUser={OWNER}\n"
            f"ReuseAddress={'yes' if REUSEADDR in options else 'no'}\n")


def row_without(row):
    """Each try at a port of its own: none is in another's way. The strangers' are at the server's own address."""
    world, tries = Nothing(), []
    for who in (*STRANGERS, "owner"):
        cell = Cell(*row)
        try:
            cell.run(world)
            cell.leave(world)
            tries.append(cell.owner(world) if who == "owner" else cell.stranger(who, [cell.address]))
        finally:
            cell.end()
    return tries


def rows_with(rows, reserved):
    """The strangers' tries at every address, then the owner's. All ports wait together."""
    cells = [Cell(*row) for row in rows]
    with reserved("".join(c.config() for c in cells)) as world:
        try:
            for c in cells:
                world.wait(c.name, "exclusive")
                c.run(world)
            for c in cells:
                world.wait(c.name, "in-use")
                c.leave(world)
            return [row_with(c, world) for c in cells]
        finally:
            for c in cells:
                c.end()


def row_with(c, world):
    addresses = EVERYWHERE
    if c.state not in RUNS:
        world.wait(c.name, "exclusive", "pending")
    elif REUSEADDR not in c.options:
        addresses = [c.address]  # there is no hold beside such a server, and other addresses are as free as without us
    if "pending" in world.states(c.name):
        addresses = [c.address]
    return [*(c.stranger(options, addresses) for options in STRANGERS), c.owner(world)]


class Thief:
    """An outgoing connection of a stranger that the kernel gives the port, and the server at its other end."""

    def __init__(self, port, state):
        self.state = state
        self.port = port
        self.process = self.accepted = None
        with socket.create_server((LOCAL, 0)) as server:
            server.settimeout(DEADLINE)
            before = RANGE.read_text()
            RANGE.write_text(f"{port} {port}")
            try:
                self.process = Process(STRANGER_UID, self._connect, server.getsockname()[1])
                self.got = self.process.hear() == "connected"
            finally:
                RANGE.write_text(before)
            if self.got:
                self.accepted, _ = server.accept()
                self._leave()

    @staticmethod
    def _connect(say, peer):
        try:
            kept.append(socket.create_connection((LOCAL, peer)))
            say("connected")
        except OSError as e:
            say("refused" if e.errno == errno.EADDRNOTAVAIL else str(e))
        signal.pause()

    def _leave(self):
        if self.state == "CLOSE_WAIT":
            self.accepted.close()
        elif self.state in ("FIN_WAIT2", "TIME_WAIT"):
            self.process.kill()
        if self.state == "TIME_WAIT":
            until(lambda: states(self.port) == {LEAVES["FIN_WAIT2"]}, "the connection is half closed")
            self.accepted.close()
        until(lambda: states(self.port) == {LEAVES[self.state]}, f"port {self.port} is left in {self.state}")

    def end(self):
        self.process.end()
        if self.accepted:
            self.accepted.close()


def start_owner(port):
    server = Server(TCP, "0.0.0.0", port, (REUSEADDR,))
    try:
        return server.serves()
    finally:
        server.end()


def outgoing(reserved):
    """For each state of an outgoing connection: is the port given to it, and does the owner start? Without us; where it was there
    before us; and where we were first."""
    ports = {state: next(Cell.ports) for state in LEAVES}
    configuration = "".join(config(f"port{p}", p, TCP, (REUSEADDR,)) for p in ports.values())
    rows = {state: [] for state in LEAVES}
    thieves = {state: Thief(port, state) for state, port in ports.items()}
    try:
        for state, port in ports.items():
            rows[state].append((thieves[state].got, start_owner(port)))
        with reserved(configuration) as world:
            for state, port in ports.items():
                world.wait(f"port{port}", "exclusive", "pending")
                world.starts(f"port{port}")
                rows[state].append((True, start_owner(port)))
    finally:
        for thief in thieves.values():
            thief.end()
    with reserved(configuration) as world:
        for state, port in ports.items():
            world.wait(f"port{port}", "exclusive")
            thief = Thief(port, state)
            thief.end()
            world.starts(f"port{port}")
            rows[state].append((thief.got, start_owner(port)))
    return rows


SERVERS = {
    "TCP": (TCP, (REUSEADDR,), ("gone", *LEAVES, "LISTEN")),
    "TCP, `ReuseAddress=no`": (TCP, (), ("gone", *LEAVES, "LISTEN")),
    "UDP": (UDP, (REUSEADDR,), ("gone", "running")),
    "UDP, `ReuseAddress=no`": (UDP, (), ("gone", "running")),
}
LABELS = {
    "gone": "none, it was killed",
    "running": "none, it runs",
    "LISTEN": "LISTEN: it runs, and reloads",
    "ESTABLISHED": "ESTABLISHED, in a process that outlived it",
    "CLOSE_WAIT": "CLOSE_WAIT, in a process that outlived it",
}


def word(let_in):
    return "**in**" if let_in else "refused"


def strangers(tries):
    return word(tries[0]) if len(set(tries)) == 1 else ", ".join(map(word, tries))


def matrix(reserved):
    """The table of what servers leave. A line is for IPv4 and for dual-stack servers; where they differ, each has its own."""
    rows = [(name, (kind, options, address, state)) for name, (kind, options, of) in SERVERS.items() for state in of
            for address in ADDRESSES]
    tries = {}
    for (name, row), without, ours in zip(rows, [row_without(r) for _, r in rows], rows_with([r for _, r in rows], reserved)):
        tries.setdefault((name, row[3]), {})[row[2]] = (without, ours)
    lines = ["| server | its last connection | without: strangers | owner | with `Hold=bound`: strangers | owner |", "|---|---|---|---|---|---|"]
    for (name, state), by_address in tries.items():
        cells = [" | ".join((strangers(w[:3]), word(w[3]), strangers(o[:3]), word(o[3]))) for w, o in by_address.values()]
        label = LABELS.get(state, state)
        if len(set(cells)) == 1:
            lines.append(f"| {name} | {label} | {cells[0]} |")
        else:
            lines += [f"| {name}, {ADDRESSES[a]} | {label} | {c} |" for a, c in zip(by_address, cells)]
    return lines


def outgoing_table(reserved):
    lines = ["| outgoing connection | without: owner | there before portreserved: owner | with `Hold=bound`: connection | owner |",
             "|---|---|---|---|---|"]
    for state, (without, before, ours) in outgoing(reserved).items():
        assert without[0], "the kernel gave the port to the connection"
        lines.append(f"| {state} | {word(without[1])} | {word(before[1])} | {word(ours[0])} | {word(ours[1])} |")
    return lines


def text(reserved):
    """Both tables. reserved(CONFIG): a context in which a portreserved runs, and its Reserved."""
    return "\n".join([*matrix(reserved), "", *outgoing_table(reserved)]) + "\n"


def main(program, helper):
    place = pathlib.Path(tempfile.mkdtemp(prefix="matrix-"))

    @contextlib.contextmanager
    def reserved(configuration):
        (place / "conf").write_text(configuration)
        (place / "run").mkdir(exist_ok=True)
        argv = [program, f"--config={place}/conf", f"--runtime-dir={place}/run", f"--state-dir={place}/state"]
        with open(place / "log", "ab") as log, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log) as daemon:
            try:
                world = Reserved(helper, place / "run")
                until(world.state.exists, "portreserved is up")
                yield world
            finally:
                daemon.terminate()

    try:
        print(text(reserved), end="")
    except AssertionError:
        subprocess.run(["cat", place / "log"], stdout=sys.stderr, check=False)
        raise
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
