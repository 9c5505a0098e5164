#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What portreserved costs where a server starts, in a booted Debian with systemd.

usage: bench_start.py BUILD SERVER      as root; PORTRESERVED_SUITE names one of the suites, PORTRESERVED_TIMES how often (100)

start-bound: `systemctl start` of a server until it is ready, with its Hold=bound drop-in; floor: the same unit without.
start-nothing: with a drop-in whose program does nothing: what systemd itself takes for one more program. floor: as above.
first-byte-listen: from connect() to the first byte of a server that the connection starts, with Hold=listen; peer: a .socket unit
written by hand."""

import json
import os
import pathlib
import shutil
import sys
import tempfile

import pairs

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "container"))

import debian  # noqa: E402
from machine import Machine, wait_until  # noqa: E402

CONFIG = "[ours]\nPorts=7001/tcp\nHold=bound\n[served]\nListenStream=127.0.0.1:7004\nTriggerLimitBurst=0\n"
UNIT = """[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=/usr/local/bin/server {port}
"""
UNITS = {"ours": 7001, "floor": 7002, "nothing": 7003, "served": 7004, "hand": 7005}
FILES = {
    "nothing.service.d/one-more.conf": "[Service]\nExecStartPre=-+/usr/local/bin/server\nExecStopPost=-+/usr/local/bin/server\n",
    "hand.socket": "[Socket]\nListenStream=127.0.0.1:7005\nTriggerLimitBurst=0\n",
}


def boot(m):
    m.write("/etc/portreserved.conf", CONFIG)
    for name, port in UNITS.items():
        m.write(f"/etc/systemd/system/{name}.service", UNIT.format(port=port))
    for name, text in FILES.items():
        m.write(f"/etc/systemd/system/{name}", text)
    m.enable("portreserved.service", "sysinit.target")
    m.enable("hand.socket", "sockets.target")
    m.boot()
    for unit in "hand.socket", "portreserved-served.socket":
        wait_until(lambda unit=unit: m.active(unit) == "active", f"{unit} listens")
    assert "portreserved-handover" in m.systemctl("cat", "ours.service").stdout


def bench(suite, build, server, times):
    layer = pathlib.Path(tempfile.mkdtemp(prefix="portreserved-layer-", dir="/var/tmp"))
    layer.chmod(0o755)
    try:
        debian.install(build, layer)
        local = layer / "usr/local/bin"
        local.mkdir(parents=True)
        shutil.copy(server, local / "server")
        for name in "inside_start.py", "pairs.py":
            shutil.copy(HERE / name, local)
        with Machine([layer, debian.base(suite)], "bench") as m:
            boot(m)
            # Before whatever else runs on this host, so that it is no part of what is measured. What PID 1 starts inherits it.
            for pid in (1, m.pid()):
                m.run("chrt", "--fifo", "--pid", 1, pid)
            said = m.run("chrt", "--fifo", 1, "/usr/bin/python3", "-B", "/usr/local/bin/inside_start.py", times, timeout=600).stdout
    finally:
        shutil.rmtree(layer, ignore_errors=True)
    measured = json.loads(said)
    pairs.report("start-bound", measured["bound"], "floor", f"without the drop-in, {suite}")
    pairs.report("start-nothing", measured["nothing"], "floor", f"without one more program, {suite}")
    pairs.report("first-byte-listen", measured["listen"], "peer", f"a .socket unit by hand, {suite}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    suite = os.environ.get("PORTRESERVED_SUITE")
    for name in [suite] if suite else ["bookworm", "trixie"]:
        bench(name, sys.argv[1], sys.argv[2], os.environ.get("PORTRESERVED_TIMES", "100"))


main()
