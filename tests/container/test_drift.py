# SPDX-License-Identifier: LGPL-2.1-or-later
"""Others write the kernel's list of a booted system: by its own units, files and tools, once and for a minute. How long ours were missing is
measured through another mount of procfs."""

import statistics

import servers
from machine import wait_until

CONFIG = "[a]\nPorts=48121 48123\n"
OURS = "48121,48123"
BOTH = "7000-7001,48121,48123"
KEY = "net.ipv4.ip_local_reserved_ports"
LONG = [str(p) for p in range(10001, 13001, 2)]


def serve(m, files=()):
    """The daemon with its two ports, and files of sysctl.d that nobody has applied yet."""
    m.serve(CONFIG)
    assert m.list() == OURS
    for name, text in files:
        m.write(f"/etc/sysctl.d/{name}", text)
        m.made.append(f"/etc/sysctl.d/{name}")
    return m.cursor()


def told(m, after):
    """The one alert."""
    wait_until(lambda: m.events("repaired", after=after), "it is repaired, and told")
    events = m.events("drift", after=after)
    assert len(events) == 1, events
    return events[0]["MESSAGE"]


def overwritten(m, after, *argv, expected=BOTH):
    m.run(*argv, check=argv[-1] != "--system")  # it also sets what is not to be had in a container
    wait_until(lambda: m.list() == expected, f"ours are back after {argv}, theirs stay")
    return told(m, after)


def test_systemd_sysctl(host):
    cursor = serve(host, [("50-x.conf", f"# theirs\n{KEY} = 7000,7001\n")])
    message = overwritten(host, cursor, "systemctl", "restart", "systemd-sysctl.service")
    assert "missing: 48121,48123; instead it had 7000-7001, as /etc/sysctl.d/50-x.conf:2 sets" in message
    # And once more: it is the same story.
    host.systemctl("restart", "systemd-sysctl.service")
    wait_until(lambda: host.ctl("status")["drifts"] == 2, "it is counted")
    wait_until(lambda: host.list() == BOTH, "ours are back")
    assert len(host.events("drift", after=cursor)) == 1


def test_sysctl_p(host):
    cursor = serve(host)
    # Debian 12 has one, and reads it at boot by a link in sysctl.d; 13 has none.
    if host.run("test", "-e", "/etc/sysctl.conf", check=False).returncode == 0:
        host.replace("/etc/sysctl.conf", f"{KEY}=7000-7001\n")
    else:
        host.write("/etc/sysctl.conf", f"{KEY}=7000-7001\n")
        host.made.append("/etc/sysctl.conf")
    assert "as /etc/sysctl.conf:1 sets" in overwritten(host, cursor, "sysctl", "-p")


def test_sysctl_system(host):
    cursor = serve(host, [("50-x.conf", "-net/ipv4/ip_local_reserved_ports=7000-7001\n")])
    assert "as /etc/sysctl.d/50-x.conf:1 sets" in overwritten(host, cursor, "sysctl", "--system")


def test_sysctl_w(host):
    cursor = serve(host)
    assert overwritten(host, cursor, "sysctl", "-w", f"{KEY}=7000-7001").endswith("instead it had 7000-7001")


def test_echo(host):
    cursor = serve(host)
    assert overwritten(host, cursor, "bash", "-c", "echo 7000-7001 >/proc/sys/net/ipv4/ip_local_reserved_ports").endswith("had 7000-7001")


def test_1500_ports(host):
    """sysctl sets 682 of them and says nothing; systemd-sysctl all."""
    cursor = serve(host, [("long.conf", f"{KEY}={','.join(LONG)}\n")])
    message = overwritten(host, cursor, "sysctl", "-p", "/etc/sysctl.d/long.conf", expected=",".join([*LONG[:682], OURS]))
    assert "the beginning of what /etc/sysctl.d/long.conf:1 sets (sysctl(8) leaves the rest out)" in message
    (warning,) = [w for w in host.ctl("check")["warnings"] if w["file"] == "/etc/sysctl.d/long.conf"]
    assert warning["line"] == 1 and "has 8999 bytes" in warning["message"]
    host.systemctl("restart", "systemd-sysctl.service")
    wait_until(lambda: host.list() == ",".join([*LONG, OURS]), "all of theirs, and ours")


def test_boot(machine):
    """systemd-sysctl comes first: what its files set stays, and is no drift."""
    machine.write("/etc/sysctl.d/50-x.conf", f"{KEY}=7000-7001\n")
    machine.write("/etc/portreserved.conf", CONFIG)
    machine.enable("portreserved.service", "sysinit.target")
    machine.boot()
    wait_until(lambda: machine.active("portreserved.service") == "active", "it runs")
    assert machine.list() == BOTH
    assert machine.events("drift") == []
    assert machine.ctl("status")["drifts"] == 0
    machine.systemctl("stop", "portreserved.service")
    wait_until(lambda: machine.list() == "7000-7001", "theirs is left")


# For how long ours are missing

def gaps(text):
    """What list-gaps found: microseconds, sorted, and how often it looked."""
    lines = [s.split() for s in text.splitlines()]
    return sorted(int(s[1]) for s in lines if s[0] == "gap"), *[int(s[1]) for s in lines if s[0] == "looks"]


def row(name, writes, found, seconds=None):
    """seconds: how long it went on, for the share of it in which something was missing."""
    at = [statistics.median(found), found[min(len(found) - 1, len(found) * 99 // 100)], found[-1]] if found else [0, 0, 0]
    share = f"{100 * sum(found) / (seconds * 1e6):9.3f} %" if seconds else ""
    return f"{name:34} {writes:7} {len(found):6} " + " ".join(f"{v / 1000:10.2f}" for v in at) + f" {share}"


HEAD = f"{'overwritten by':34} {'writes':>7} {'seen':>6} {'median ms':>10} {'99 % ms':>10} {'worst ms':>10} {'missing':>11}"


def cpu_seconds(m):
    return int(m.show("portreserved.service", "CPUUsageNSec")) / 1e9


def fight(m, seconds, period, *texts):
    """Somebody who overwrites the list all the time: a row of figures, and the one alert."""
    cursor = m.cursor()
    before = cpu_seconds(m)
    m.background("gaps", "/opt/inside/list-gaps", OURS)
    m.background("overwrite", *m.script("overwrite", period, *texts))
    m.run("sleep", str(seconds), timeout=seconds + 60)
    writes = int(m.finish("overwrite").split()[1])
    wait_until(lambda: set(OURS.split(",")) <= set(m.list().split(",")), "ours are back")
    found, looks = gaps(m.finish("gaps"))
    assert looks > 1000
    used = 100 * (cpu_seconds(m) - before) / seconds
    wait_until(lambda: m.events("repaired", after=cursor), "it is told")
    assert len(m.events("drift", after=cursor)) == 1
    assert m.ctl("status")["drifts"] > 1
    return row(f"one each {period * 1000:g} ms, {seconds} s; CPU {used:.1f} %", writes, found, seconds), sum(found) / (seconds * 1e6)


def test_a_writer_each_100_ms_for_a_minute(host, figures):
    serve(host)
    line, missing = fight(host, servers.storm(60), 0.1, "7000-7001")
    figures(f"the kernel's list, overwritten\n{HEAD}\n{line}")
    # Before each next write they were there: not for a moment only.
    assert missing < 0.5


def test_a_writer_each_millisecond(host, figures):
    serve(host)
    line, _ = fight(host, 3, 0.001, "7000-7001", "7002")
    figures(f"the kernel's list, overwritten\n{HEAD}\n{line}")


def test_single_ones(host, figures):
    serve(host, [("50-x.conf", f"{KEY}=7000,7001\n")])
    lines = []
    for name, argv in (("systemctl restart systemd-sysctl", ["systemctl", "restart", "systemd-sysctl.service"]),
                       ("sysctl -p FILE", ["sysctl", "-q", "-p", "/etc/sysctl.d/50-x.conf"]),
                       ("sysctl -w", ["sysctl", "-q", "-w", f"{KEY}=7000-7001"]),
                       ("echo", ["bash", "-c", "echo 7000-7001 >/proc/sys/net/ipv4/ip_local_reserved_ports"])):
        times = servers.storm(30)
        host.background("gaps", "/opt/inside/list-gaps", OURS)
        for _ in range(times):
            if name.startswith("systemctl"):
                host.systemctl("reset-failed", "systemd-sysctl.service")
            host.run(*argv)
            wait_until(lambda: host.list() == BOTH, "ours are back")
        found, _ = gaps(host.finish("gaps"))
        # Some are over before the next look.
        lines.append(row(name, times, found))
    figures("\n".join(["the kernel's list, overwritten", HEAD, *lines]))
