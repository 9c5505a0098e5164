# SPDX-License-Identifier: LGPL-2.1-or-later
"""A boot with 500 reservations, and a thief that is there as sysinit.target is reached: from then on it gets none of the ports that are
held, and is given none by the kernel. Beside it the same boot without portreserved, where it gets them all."""

from machine import Machine, wait_until

NONE, BOUND, LISTEN = range(40000, 40167), range(40167, 40333), range(40333, 40500)
EVERY = range(NONE[0], LISTEN[-1] + 1)
# Beside them, the kernel has one port to choose.
RANGE = f"net.ipv4.ip_local_port_range={EVERY[0]} {EVERY[-1] + 1}\n"
UNITS = 20  # each with several reservations
THIEF = f"""[Unit]
DefaultDependencies=no
After=systemd-sysctl.service portreserved.service
Before=sysinit.target
[Service]
Type=notify
ExecStart=/opt/inside/boot-thief {BOUND[0]} {LISTEN[-1]} {EVERY[0]} {EVERY[-1]}
StandardOutput=file:/run/boot-thief
User=nobody
"""
SLEEPER = "[Service]\nExecStart=/bin/sleep infinity\n"


def config():
    yield "[Daemon]\nEphemeralFloor=1\n"
    for i, port in enumerate(NONE):
        yield f"[none-{port}]\nPorts={port}/tcp\nUnit=app-{i % UNITS}.service\n"
    for i, port in enumerate(BOUND):
        yield f"[bound-{port}]\nPorts={port}/tcp\nHold=bound\nUnit=app-{i % UNITS}.service\n"
    for i, port in enumerate(LISTEN):
        yield f"[listen-{port}]\nListenStream={port}\nUnit=activated-{i % UNITS}.service\n"


def prepare(m):
    m.write("/etc/sysctl.d/50-range.conf", RANGE)
    for i in range(UNITS):
        m.write(f"/etc/systemd/system/app-{i}.service", SLEEPER)
        m.write(f"/etc/systemd/system/activated-{i}.service", SLEEPER)
    m.write("/etc/systemd/system/boot-thief.service", THIEF)
    m.write("/etc/systemd/system/sysinit.target.wants/.keep", "")
    (m.upper / "etc/systemd/system/sysinit.target.wants/boot-thief.service").symlink_to("../boot-thief.service")


def manager(m, prop):
    """A time of the boot itself, in ms."""
    return int(m.systemctl("show", "--value", f"--property={prop}").stdout) / 1000


class Boot:
    """What the thief and systemd say of the boot that has just ended."""

    def __init__(self, m):
        self.finished = wait_until(lambda: manager(m, "FinishTimestampMonotonic"), "the end of the boot")
        began = manager(m, "UserspaceTimestampMonotonic")
        sysinit = int(m.show("sysinit.target", "ActiveEnterTimestampMonotonic")) / 1000
        m.systemctl("stop", "boot-thief.service")
        said = [line.split() for line in m.read("/run/boot-thief").splitlines()]
        numbers = {words[0]: int(words[1]) for words in said if words[0] != "won"}
        self.won = {int(words[1]): int(words[2]) / 1e6 for words in said if words[0] == "won" and int(words[2]) / 1e6 > sysinit}
        self.rounds, self.chosen = numbers["rounds"], numbers["chosen"]
        self.thief = numbers["began"] / 1e6 - sysinit
        self.sysinit = sysinit - began
        self.finished -= began
        self.daemon = int(m.show("portreserved.service", "ActiveEnterTimestampMonotonic")) / 1000 - began

    def __str__(self):
        return (f"sysinit.target after {self.sysinit:4.0f} ms, all of it after {self.finished:4.0f} ms; a thief, from "
                f"{-self.thief:.0f} ms before sysinit.target on, {self.rounds} rounds: {len(self.won)} ports after it")


def check(m, boot):
    assert boot.won == {}, "port: when (ms)"
    # The one that is nobody's it was given: so it looked.
    assert boot.rounds > 0 and boot.chosen > 0 and boot.thief < 0
    assert m.ordering_cycles() == []
    assert m.list() == f"{EVERY[0]}-{EVERY[-1]}"
    states = m.systemctl("list-units", "--no-legend", "--plain", "--all", "portreserved-listen-*.socket").stdout.splitlines()
    assert len(states) == len(LISTEN)
    assert [line for line in states if line.split()[2:4] != ["active", "listening"]] == []
    held = {e["state"] for r in m.ctl("list") if r["name"].startswith("bound-") for e in r["endpoints"]}
    assert held == {"exclusive"}
    status = m.ctl("status")
    assert (status["reservations"], status["pending"], status["collisions"]) == (len(EVERY), 0, 0)


def test_no_port_is_free_once_sysinit_target_is_reached(trees, figures):
    with Machine(trees, "boot500") as m:
        prepare(m)
        m.boot()
        without = Boot(m)
        version = m.run("systemctl", "--version").stdout.splitlines()[0]
        m.halt()

        m.enable("portreserved.service", "sysinit.target")
        m.write("/etc/portreserved.conf", "\n".join(config()))
        boots = []
        for _ in range(2):
            m.boot()
            boots.append(Boot(m))
            check(m, boots[-1])
            m.halt()

    lines = [f"{version}: boot with {len(EVERY)} reservations", f"  without portreserved: {without}"]
    lines += [f"  {what}: {boot}; the daemon was ready after {boot.daemon:.0f} ms" for what, boot in zip(("first boot", "second boot"), boots)]
    figures("\n".join(lines))
    assert set(without.won) >= set(range(BOUND[0], LISTEN[-1] + 1)) and without.won.keys() & set(NONE)
