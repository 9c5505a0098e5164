# SPDX-License-Identifier: LGPL-2.1-or-later
"""What watching costs among many sockets, and what it does when the kernel tells more than it can take."""

import os
import random
import socket
import subprocess
import time

import pytest
from conftest import PORT_RANGE, listener, program, wait_until

SOCKETS = 50_000
SECONDS = 4
RESERVED = 1000


@pytest.fixture
def crowd():
    """Many TCP connections, in processes of their own. Returns how many sockets."""
    PORT_RANGE.write_text("1024 60999")
    with subprocess.Popen([program("bench-crowd"), str(SOCKETS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        yield int(p.stdout.readline())
        p.stdin.close()


def scattered():
    return random.Random(5).sample(range(1024, 60999), RESERVED)


def cpu_seconds(pid):
    """utime and stime."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scan(d):
    """The counters as they are now: state.json is written when something happens, as a reload, which sweeps."""
    sweeps = d.state()["scan"]["sweeps"]
    d.ctl("reload", code=0)
    return wait_until(lambda: d.state()["scan"]["sweeps"] > sweeps and d.state()["scan"], "state.json")


def events_dropped():
    """By the kernel, of the destroy events of this namespace (all four groups)."""
    with open("/proc/net/netlink", encoding="ascii") as f:
        rows = [line.split() for line in f]
    return sum(int(r[8]) for r in rows if r[1] == "4" and int(r[3], 16) == 0xf)


def watch_budget(daemon, budget, ports):
    """The share of a CPU that the daemon took, and sweeps in that time."""
    d = daemon("[Daemon]\nSocketUnits=no\nScanIntervalSec=50ms\n"
               f"ScanBudgetPercent={budget}\n[a]\n" + "".join(f"Ports={p}\n" for p in ports))
    time.sleep(1)  # what the start caused is over
    spent, begin = cpu_seconds(d.process.pid), time.monotonic()
    time.sleep(SECONDS)
    spent, elapsed = cpu_seconds(d.process.pid) - spent, time.monotonic() - begin
    scanned = scan(d)
    assert d.process.poll() is None
    d.stop()
    return spent / elapsed, scanned


def test_budget(daemon, crowd):
    """CPU time, as the kernel counts it for the process, and not the clock: however busy the host is. A look, each 50 ms, is no part
    of the budget; it takes a tenth of a millisecond, and four times that, and the kernel's ticks of 10 ms, are let pass."""
    assert crowd >= SOCKETS * 0.9
    ports = scattered()
    narrow, scan_narrow = watch_budget(daemon, 1, ports)
    wide, scan_wide = watch_budget(daemon, 10, ports)
    assert narrow < 2 * 0.01 + 0.02, (narrow, scan_narrow)
    assert wide < 2 * 0.10 + 0.02, (wide, scan_wide)
    # The interval follows the cost, and what is allowed is used.
    assert scan_narrow["sweep_interval_usec"] > 5 * scan_wide["sweep_interval_usec"] / 2
    assert scan_wide["sweep_interval_usec"] >= 50_000
    assert scan_wide["sweeps"] > 2 * scan_narrow["sweeps"], (scan_wide, scan_narrow)
    # Looks go on meanwhile: they do not wait for sweeps.
    assert scan_narrow["looks"] > 4 * scan_narrow["sweeps"], scan_narrow


def test_lost_events(daemon):
    """More sockets go than the buffer holds events: counted, told, and nothing depends on the event that was lost."""
    thief = listener(48121)
    d = daemon("[Daemon]\nSocketUnits=no\nScanIntervalSec=1h\n[a]\nPorts=48121/tcp\nHold=bound\n[b]\nPorts=48122/udp\n")
    wait_until(lambda: d.events("collision"), "collision")
    d.wait_state("a", "pending")
    with d.frozen():
        def burst():
            for _ in range(2000):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.bind(("127.0.0.1", 48122))
            return events_dropped()
        wait_until(burst, "events are dropped")
        thief.close()
    d.wait_state("a", "exclusive")
    wait_until(lambda: d.events("resolved"), "resolved")
    assert scan(d)["overruns"] >= 1
    text = d.ctl("status").stdout
    assert "messages lost (ENOBUFS) " in text and "dumps interrupted 0" in text, text
    assert "lost destroy events" in d.log()
    # The reload looked at everything: it is well again.
    wait_until(lambda: not any("lost destroy events" in t for t in d.state()["degraded"]), "well again")


def test_status_says_what_it_costs(daemon):
    d = daemon("[a]\nPorts=48121/tcp\n")
    lines = [line for line in d.ctl("status").stdout.splitlines() if line.lstrip().startswith("Scan:")]
    assert len(lines) == 1 and "looks" in lines[0] and "sweeps" in lines[0], lines
    assert "ENOBUFS" not in d.ctl("status").stdout
    counters = d.ctl.json("status")["scan"]
    assert counters.keys() >= {"interval_usec", "looks", "sweeps", "last_look_usec", "last_sweep_usec", "sweep_interval_usec", "rows",
                               "malformed", "interrupted", "overruns", "missed", "dropped"}
    assert counters["sweeps"] >= 1 and counters["interrupted"] == counters["overruns"] == counters["malformed"] == 0
