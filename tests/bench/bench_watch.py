#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What watching 1,000 scattered ports costs among very many sockets, and how soon it tells.

usage: bench_watch.py PORTRESERVED PORTRESERVECTL CROWD SCAN      as root in a network namespace of its own

PORTRESERVED_SOCKETS: how many TCP sockets (200,000; a million take 4 GiB and five minutes); PORTRESERVED_TIMES: how many squatters and
thieves there are (100); PORTRESERVED_IDLE_SEC: how long the idle daemon is watched (60).

sweep, look-cpu: see bench-scan.c. ready: from the daemon's start to its first answer, which is after a sweep.
detect: from a squatter's listen() to the line of `portreservectl watch`. claim: from a thief's close() of a port with Hold=bound to the
daemon's log that it is held. peer: the same squatters and thieves in the eyes of who runs `ss -Htln` each second.
idle: CPU time of the daemon (utime + stime) with nothing happening."""

import json
import os
import pathlib
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

KERNEL_LIST = "/proc/sys/net/ipv4/ip_local_reserved_ports"
PORT_RANGE = (1024, 60999)  # bench-crowd's own listeners are above
RESERVED = 1000
CAPABILITIES = "+net_admin,+net_bind_service,+lease"
TRIAL_SECONDS = 0.4  # for each, at random moments
DEADLINE = 120


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {DEADLINE} s")
        time.sleep(0.005)


def reserve(ports):
    """As the daemon will: before there is anybody whom the kernel could give them to."""
    fd = os.open(KERNEL_LIST, os.O_WRONLY)
    for i in range(0, len(ports), 500):  # a page at most; past offset 0 a write adds
        os.pwrite(fd, ",".join(map(str, ports[i:i + 500])).encode(), i)
    os.close(fd)


def configuration(watched, held, rest):
    """Each trial has a reservation of its own, so that none is kept from being told by the one before."""
    sections = ["[Daemon]", "SocketUnits=no", "EphemeralFloor=0", "[rest]", *(f"Ports={p}" for p in rest)]
    for p in watched:
        sections += [f"[watched-{p}]", f"Ports={p}"]
    for p in held:
        sections += [f"[held-{p}]", f"Ports={p}/tcp", "Hold=bound"]
    return "\n".join(sections) + "\n"


def listener(port):
    s = socket.create_server(("127.0.0.1", port))
    return s


class Told:
    """When something was first told of a port, by time.monotonic()."""

    def __init__(self):
        self.listens, self.free = {}, {}
        self.thread = None
        self.running = True

    def begin(self, target, *args):
        self.thread = threading.Thread(target=target, args=args, daemon=True)
        self.thread.start()

    def events(self, stream):
        for line in stream:
            now = time.monotonic()
            event = json.loads(line)
            if event["event"] == "collision":
                self.listens.setdefault(event["port"], now)

    def log(self, stream):
        for line in stream:
            now = time.monotonic()
            claimed = re.search(r"held-(\d+): .* is held now", line)
            if claimed:
                self.free.setdefault(int(claimed[1]), now)

    def poll(self, held):
        """What an administrator without us would run."""
        due = time.monotonic()
        while self.running:
            text = subprocess.run(["ss", "-Htln"], stdout=subprocess.PIPE, check=True, text=True).stdout
            now = time.monotonic()
            listening = {int(line.split()[3].rpartition(":")[2]) for line in text.splitlines()}
            for port in listening:
                self.listens.setdefault(port, now)
            for port in held:
                if port not in listening:
                    self.free.setdefault(port, now)
            due = max(due + 1, now)
            time.sleep(due - now)


def as_service(place, program):
    """As its unit runs it: a user with three capabilities, who may not look into others' /proc."""
    copy = place / "portreserved"
    shutil.copy(program, copy)
    place.chmod(0o755)
    for name in "run", "state":
        (place / name).mkdir()
        shutil.chown(place / name, "nobody")
    return ["setpriv", "--reuid=nobody", "--clear-groups", f"--bounding-set=-all,{CAPABILITIES}", f"--inh-caps=-all,{CAPABILITIES}",
            f"--ambient-caps=-all,{CAPABILITIES}", "--", copy, f"--config={place}/conf", f"--runtime-dir={place}/run",
            f"--state-dir={place}/state"]


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def report(name, n, ours, peer):
    a, b = statistics.median(ours), statistics.median(peer)
    print(f"{name}-{n}: {a / b:.3f}, ours {a:.2f} ms, peer {b:.2f} ms (ss -Htln each second; 99 of 100: ours "
          f"{percentile(ours, 99):.2f} ms, peer {percentile(peer, 99):.2f} ms, {len(ours)} times)", flush=True)


def bench_latency(command, ours, n, watched, thieves):
    """Squatters and thieves, at random moments, so that they meet whatever else is done by the clock."""
    watch = subprocess.Popen([*command, "watch", "--json=short"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    peer = Told()
    ours.begin(ours.events, watch.stdout)
    peer.begin(peer.poll, list(thieves))
    time.sleep(1.5)  # both are there
    begin = time.monotonic()
    moments = sorted((random.uniform(0, TRIAL_SECONDS * len(watched)), kind, port)
                     for kind, ports in (("listen", watched), ("close", thieves)) for port in ports)
    when, squatters = {}, []
    for moment, kind, port in moments:
        time.sleep(max(0, begin + moment - time.monotonic()))
        if kind == "listen":
            squatters.append(listener(port))
            when[port] = time.monotonic()
        else:
            when[port] = time.monotonic()
            thieves[port].close()
    for told in ours, peer:
        wait_for(lambda told=told: told.listens.keys() >= set(watched) and told.free.keys() >= set(thieves), "all are told")
    peer.running = False
    peer.thread.join()
    watch.terminate()
    watch.wait()
    for s in squatters:
        s.close()
    for name, ports, seen in ("detect", watched, "listens"), ("claim", thieves, "free"):
        report(name, n, *([(getattr(told, seen)[p] - when[p]) * 1000 for p in ports] for told in (ours, peer)))


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench_idle(pid, n, seconds):
    time.sleep(2)  # what was told is written
    before, begin = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    spent, elapsed = cpu_seconds(pid) - before, time.monotonic() - begin
    print(f"idle-{n}: {spent / elapsed * 100:.2f} % of a CPU ({spent * 1000:.0f} ms in {elapsed:.0f} s)", flush=True)


def bench(place, programs, n, trials, idle_seconds):
    portreserved, ctl, crowd_program, scan = programs
    random.seed(4)
    ports = random.sample(range(*PORT_RANGE), RESERVED)
    watched, held, rest = ports[:trials], ports[trials:2 * trials], ports[2 * trials:]
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("{} {}".format(*PORT_RANGE))
    reserve(ports)
    config = place / "conf"
    config.write_text(configuration(watched, held, rest))
    subprocess.run([scan, config, "0"], check=True)
    with subprocess.Popen([crowd_program, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        n = int(crowd.stdout.readline())
        subprocess.run([scan, config, str(n)], check=True)
        thieves = {p: listener(p) for p in held}
        env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")}
        begin = time.monotonic()
        daemon = subprocess.Popen(as_service(place, portreserved), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ours = Told()
        ours.begin(ours.log, daemon.stderr)
        try:
            wait_for((place / "run/control").exists, "the daemon is up")
            print(f"ready-{n}: {(time.monotonic() - begin) * 1000:.0f} ms", flush=True)
            bench_latency([ctl, f"--runtime-dir={place}/run"], ours, n, watched, thieves)
            bench_idle(daemon.pid, n, idle_seconds)
        finally:
            daemon.terminate()
            daemon.wait(DEADLINE)
        crowd.stdin.close()


def main(*programs):
    numbers = [int(os.environ.get(f"PORTRESERVED_{name}", default))
               for name, default in (("SOCKETS", "200000"), ("TIMES", "100"), ("IDLE_SEC", "60"))]
    # Like /run, in memory.
    place = pathlib.Path(tempfile.mkdtemp(prefix="bench-watch-", dir="/dev/shm"))
    try:
        bench(place, programs, *numbers)
    finally:
        shutil.rmtree(place)


if len(sys.argv) != 5:
    sys.exit(__doc__)
main(*sys.argv[1:])
