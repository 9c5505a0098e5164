#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A listening socket for a command, from portreserved by portreserve-exec and from s6-fdholder-daemon by s6-fdholder-retrieve: the same
socket, the same command, which does nothing. From the start of the program to the end of the command.

usage: bench_exec.py PORTRESERVED PORTRESERVE-EXEC COMMAND      as root in a network namespace; PORTRESERVED_TIMES: how often (500)"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pairs

DEADLINE = 30


def spawn(argv):
    begin = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, os.environ)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(f"{argv}: {status}")
    return time.monotonic() - begin


def wait_for(path):
    end = time.monotonic() + DEADLINE
    while not path.exists():
        if time.monotonic() > end:
            sys.exit(f"{path}: not within {DEADLINE} s")
        time.sleep(0.01)


def first():
    """Before whatever else runs on this host, so that it is no part of what is measured."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def main(program, exec_program, command):
    if not shutil.which("s6-fdholder-retrieve"):
        print("exec: left out, s6 is not installed")
        sys.exit(77)  # for meson: skipped
    place = pathlib.Path(tempfile.mkdtemp(prefix="bench-exec-"))
    (place / "conf").write_text("[web]\nListenStream=7001\nUnit=web.service\n")
    # s6-accessrules: root may store and retrieve everything.
    (place / "rules/uid/0/env").mkdir(parents=True)
    (place / "rules/uid/0/allow").touch()
    for what in "STORE", "RETRIEVE":
        (place / f"rules/uid/0/env/S6_FDHOLDER_{what}_REGEX").write_text(".\n")

    env = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")}
    daemons = []
    first()
    try:
        for argv in ([program, f"--config={place}/conf", f"--runtime-dir={place}/run", f"--state-dir={place}/state"],
                     [shutil.which("s6-fdholder-daemon"), "-i", f"{place}/rules", f"{place}/s6"]):
            daemons.append(subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(place / "run/state.json")
        wait_for(place / "s6")
        ours = [exec_program, f"--runtime-dir={place}/run", "web", "--"]
        peer = [shutil.which("s6-fdholder-retrieve"), f"{place}/s6", "web"]
        subprocess.run([*ours, "sh", "-c", 's6-fdholder-store "$1" web <&3', "sh", f"{place}/s6"], check=True)
        times = int(os.environ.get("PORTRESERVED_TIMES", "500"))
        measured = pairs.measure(lambda: spawn([*ours, command]), lambda: spawn([*peer, command]), times)
        alone = pairs.measure(lambda: spawn([*ours, command]), lambda: spawn([command]), times)
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.wait(DEADLINE)
        shutil.rmtree(place)
    pairs.report("exec", measured, "peer", "s6-fdholder-retrieve")
    pairs.report("exec-alone", alone, "floor", "the command alone")


if len(sys.argv) != 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
