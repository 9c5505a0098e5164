# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon where it is started by something else than a service manager or a shell."""

import os
import pathlib
import signal
import subprocess

import pytest

from conftest import wait_until

CONFIG = "[a]\nPorts=48121/tcp\nUnit=a.service\nHold=bound\n"


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
