# SPDX-License-Identifier: LGPL-2.1-or-later
"""5,000 reservations, half of which change in one reload."""

import contextlib
import os
import pathlib
import socket
import time

from conftest import kernel_list
from test_daemon import refused

FIRST, N = 30000, 5000


def config(name, first):
    """Of each four ports two have the same section, one another name, and one section goes to another port."""
    sections = []
    for i in range(0, N, 4):
        port = FIRST + i
        sections += [f"[same{i}]\nPorts={port}/tcp\n", f"[same{i + 1}]\nPorts={port + 1}/tcp\n",
                     f"[{name}{i}]\nPorts={port + 2}/tcp\nUnit=service{i}.service\n", f"[moved{i}]\nPorts={first + i}/tcp\n"]
    return "".join(s + "Hold=bound\n" for s in sections)


def sockets(d):
    """The inode numbers of its sockets, but of those that it closes while they are counted."""
    links = set()
    for fd in pathlib.Path(f"/proc/{d.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(fd))
    return {link for link in links if link.startswith("socket:")}


def is_held(d):
    endpoints = [e for r in d.state()["list"] for e in r["endpoints"]]
    return len(endpoints) == N and all(e["state"] == "exclusive" for e in endpoints)


def test_half_of_5000_change_at_once(daemon):
    d = daemon(config("old", FIRST + 3), start=False).start()
    assert is_held(d)
    before = sockets(d)
    d.configure(config("new", FIRST + N + 3))
    begin = time.monotonic()
    d.ctl("reload", code=0)
    print(f"reload of {N} reservations, half of them changed: {time.monotonic() - begin:.2f} s")
    assert is_held(d)
    assert {r["name"].rstrip("0123456789") for r in d.state()["list"]} == {"same", "new", "moved"}
    # Who did not move has its socket; connections to the daemon come and go.
    after = sockets(d)
    assert len(before & after) >= N * 3 // 4
    assert N // 4 <= len(before - after) <= N // 4 + 5
    moved = set(range(FIRST + 3, FIRST + N, 4))
    assert kernel_list() == set(range(FIRST, FIRST + N)) - moved | {p + N for p in moved}
    for port in (FIRST, FIRST + 1, FIRST + 2, FIRST + N + 3):
        assert refused(port, options=(socket.SO_REUSEADDR,))
    assert not refused(FIRST + 3)
    assert not d.events("pending") and not d.events("collision")
