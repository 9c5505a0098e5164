# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server that is stopped, killed and started, thieves that want its port, and who had it when.

The thieves (storm-thief.c) run as another user and only know when they won. What was going on then is known from three others: this
driver says when it stopped or killed, the witness (storm-witness.c) when the server listened and the door of our socket was open, and
`portreservectl watch` when the daemon handed over."""

import bisect
import calendar
import json
import mmap
import statistics
import struct
import time

from machine import wait_until

THIEF = 65534
PEER = 6400
ACTIONS = {
    "stop": [["stop"], ["start"]],
    "kill-main": [["kill", "--signal=KILL", "--kill-whom=main"]],
    "restart": [["restart"]],
    "kill-all": [["kill", "--signal=KILL"]],
}
OVERRIDE = """[Unit]
StartLimitIntervalSec=0
[Service]
Restart=always
RestartSec=20ms
"""
NOW = struct.Struct("=5q")


class Server:
    """How to make one of Debian's servers listen on two sockets of a port, and what makes it answer and hang up."""

    def __init__(self, unit, port, files, greeting):
        self.unit = unit
        self.port = port
        self.files = files
        self.greeting = greeting

    def prepare(self, m):
        for path, text in self.files.items():
            m.write(path, text)
        m.write(f"/etc/systemd/system/{self.unit}.d/storm.conf", OVERRIDE)
        m.run("sh", "-c", f"echo {self.port} {self.port} >/proc/sys/net/ipv4/ip_local_port_range")
        m.run("install", "-d", "-m", "1777", "/run/storm")
        m.systemctl("daemon-reload")


class Storm:
    LISTENERS = 2

    def __init__(self, m, server, held, visited=False):
        """visited: clients come and go, and leave remains of their connections on the port."""
        self.m = m
        self.server = server
        self.held = held
        self.visited = visited
        self.ends = []  # (CLOCK_MONOTONIC in ns, what was done)

    def __enter__(self):
        m, s = self.m, self.server
        m.run("sh", "-c", "rm -f /run/storm/*")
        if self.held:
            m.service("storm-watch", "portreservectl", "watch", "--json=short", properties=["StandardOutput=file:/run/storm/watch"])
        self.witness = m.popen("/opt/inside/storm-witness", s.port, m.pid() if self.held else 0, THIEF, "/run/storm/log", "/run/storm/now",
                               *[s.greeting][:self.visited], stdin=-1, stderr=-1)
        path = f"/proc/{m.leader}/root/run/storm/now"
        wait_until(lambda: self.witness.poll() is not None or self._mapped(path), "the witness looks")
        assert self.witness.poll() is None, self.witness.stderr.read()
        m.background("storm-thief", "/opt/inside/storm-thief", s.port, PEER, "/run/storm/thief", user=THIEF)
        self.shell = m.popen("sh", stdin=-1)
        self.began = time.monotonic_ns()
        self.skew = time.time_ns() - self.began
        return self

    def _mapped(self, path):
        try:
            with open(path, "rb") as f:
                self.now = mmap.mmap(f.fileno(), NOW.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return False
        return True

    def __exit__(self, kind, *_):
        self.seconds = (time.monotonic_ns() - self.began) / 1e9
        m = self.m
        self.visits = self._look()[4]
        self.shell.communicate()
        m.finish("storm-thief")
        _, error = self.witness.communicate("")
        if self.held:
            m.systemctl("stop", "storm-watch")
        if kind is None:
            assert self.witness.returncode == 0, error
            self._read()

    # Driving

    def _look(self):
        return NOW.unpack(self.now[:])

    def _is_up(self):
        _, door, listeners, _, _ = self._look()
        return listeners == self.LISTENERS and door != 1

    def _wait_up(self):
        wait_until(self._is_up, f"{self.server.unit} listens, and the door is closed", 60, 0.001)

    def _systemctl(self, *argv):
        """One shell for all of them: entering the machine takes longer than many a start."""
        self.shell.stdin.write(" ".join(("systemctl", *argv, self.server.unit)) + "\necho\n")
        self.shell.stdin.flush()
        assert self.shell.stdout.readline() == "\n"

    def run(self, cycles):
        self.cycles = cycles
        unit = self.server.unit
        self._systemctl("start")
        self._wait_up()
        for i in range(cycles):
            action = list(ACTIONS)[i % len(ACTIONS)]
            gone = self._look()[3]
            self.ends.append((time.monotonic_ns(), action))
            # A start that a thief made fail: systemd tries again.
            for words in ACTIONS[action]:
                self._systemctl(*words)
            wait_until(lambda: self._look()[3] > gone, f"{unit} has gone after {action}")
            self._wait_up()
        self.ends.append((time.monotonic_ns(), "stop"))
        self._systemctl("stop")

    # What came of it

    def _read(self):
        m = self.m
        self.tried, self.won = {}, []
        for line in m.read("/run/storm/thief").splitlines():
            what, way, *numbers = line.split()
            if what == "tried":
                self.tried[way] = tuple(map(int, numbers))
            else:
                self.won.append((way, *map(int, numbers)))
        self.log = [tuple(map(int, line.split())) for line in m.read("/run/storm/log").splitlines()]
        self.starts = []
        if self.held:
            for line in m.read("/run/storm/watch").splitlines():
                event = json.loads(line)
                if event["event"] == "handed-over":
                    day, _, fraction = event["time"].rstrip("Z").partition(".")
                    seconds = calendar.timegm(time.strptime(day, "%Y-%m-%dT%H:%M:%S"))
                    self.starts.append(self._monotonic(seconds * 10**9 + int(fraction) * 1000))
            self._find_openings()

    def _monotonic(self, realtime):
        """The clocks drift apart by some microseconds a second, where one is being set."""
        passed = time.monotonic_ns() - self.began
        drift = time.time_ns() - time.monotonic_ns() - self.skew
        return realtime - self.skew - drift * (realtime - self.skew - self.began) // passed

    def _find_openings(self):
        """When a thief may get in: from the last look that saw the door closed to the first that saw the whole server listen, or the
        door closed again. Only with a hand-over in between: nothing else may open it."""
        self.openings, self.unasked, self.waited, self.tails = [], [], [], []
        begin = full = None
        slack = 2_000_000  # the daemon says so a moment after it was so
        for before, seen, door, listeners in self.log:
            if begin is None:
                if door != 1:
                    continue
                begin, full = before, None
            if full is None and listeners >= self.LISTENERS:
                full = seen
                if any(begin - slack <= t <= full for t in self.starts):
                    self.openings.append((begin, full))
                    self.waited.append((full - begin) / 1e6)
            if door == 0:
                if full is not None:
                    self.tails.append((seen - full) / 1e6)
                elif any(begin - slack <= t <= seen + slack for t in self.starts):
                    self.openings.append((begin, seen))
                else:
                    self.unasked.append((begin, seen))
                begin = None

    def phase(self, before, after):
        i = bisect.bisect_left(self.openings, (before + 1,))
        if any(begin <= after and before <= end for begin, end in self.openings[max(0, i - 1):i + 1]):
            return "starting"
        i = bisect.bisect_left(self.ends, (before,))
        ended, action = self.ends[i - 1] if i else (0, "stop")
        listened = [row[3] for row in self.log if ended < row[0] <= before]
        if self.LISTENERS in listened:
            return "running"
        return "crashed" if action.startswith("kill") else "down"

    def counts(self):
        """way -> {phase: wins}."""
        table = {way: dict.fromkeys(("running", "down", "crashed", "starting"), 0) for way in self.tried}
        for way, before, after in self.won:
            table[way][self.phase(before, after)] += 1
        return table

    def summary(self):
        retried = len(self.starts) - self.cycles - 1
        return (f"{self.cycles} cycles in {self.seconds:.0f} s, {self.visits} clients answered; {len(self.starts)} hand-overs, of which {retried} "
                f"for a start that failed; from hand-over to the server's bind {statistics.median(self.waited):.1f} ms (median), "
                f"{max(self.waited):.1f} ms (most); until the door was closed again {statistics.median(self.tails):.1f} ms, {max(self.tails):.1f} ms")
