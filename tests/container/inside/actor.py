# SPDX-License-Identifier: LGPL-2.1-or-later
"""actor.py NAME: executes the Python that it is sent to /run/actor-NAME, and answers "ok" or what went wrong. Its variables stay;
"fds" are those that came with the text."""

import os
import socket
import struct
import sys

import common

MPTCP = 262


def tcp(port=None, address="127.0.0.1", reuse=True, protocol=0):
    """A socket; bound where there is a port."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, protocol)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    if port is not None:
        s.bind((address, port))
    return s


def listener(port, **how):
    s = tcp(port, **how)
    s.listen()
    return s


def connected(port, source=None, **how):
    s = tcp(source, **how)
    s.connect(("127.0.0.1", port))
    return s


def stolen(port, peer):
    """A connection to peer that the kernel gives that port, or None."""
    with open(common.LIST, "w") as f:
        f.write("\n")
    try:
        return common.connect_from(port, peer)
    except OSError:
        return None


def reset(s):
    """Closes it, and nothing remains."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def give(name, s, text):
    """Passes a socket on to another actor, with what it is to do."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
        c.connect(f"/run/actor-{name}")
        socket.send_fds(c, [text.encode()], [s.fileno()])
        assert c.recv(1 << 16) == b"ok"


def move(cgroup):
    with open(f"/sys/fs/cgroup{cgroup}/cgroup.procs", "w") as f:
        f.write("0")


names = dict(globals())
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
path = f"/run/actor-{sys.argv[1]}"
if os.path.exists(path):
    os.unlink(path)
door.bind(path + ".new")
door.listen()
os.rename(path + ".new", path)
common.ready()
while True:
    told, _ = door.accept()
    text, names["fds"], _, _ = socket.recv_fds(told, 1 << 16, 4)
    answer = "ok"
    try:
        exec(text, names)
    except Exception as e:
        answer = f"{text.decode()}: {e!r}"
    told.send(answer.encode())
    told.close()
