# SPDX-License-Identifier: LGPL-2.1-or-later
"""thief.py PORT PEER [odd]: an outgoing connection that the kernel gave PORT, to a server of its own on PEER, until it is stopped.
odd: from a cgroup below its unit's (Delegate=yes) with a name that nobody should take for anything but a name."""

import os
import signal
import socket
import sys

import common

ODD = """a "b" 'c' $HOME `id` \\x2d %h #d;e=f"""

port, peer = int(sys.argv[1]), int(sys.argv[2])
if sys.argv[3:4] == ["odd"]:
    with open("/proc/self/cgroup") as f:
        own = "/sys/fs/cgroup" + f.read().split("0::", 1)[1].strip()
    os.mkdir(f"{own}/{ODD}")
    with open(f"{own}/{ODD}/cgroup.procs", "w") as f:
        f.write("0")
server = common.tcp(socket.AF_INET, socket.SO_REUSEADDR)
server.bind(("127.0.0.1", peer))
server.listen()
client = common.connect_from(port, peer)
accepted, _ = server.accept()
assert client.getsockname()[1] == port
signal.signal(signal.SIGTERM, signal.SIG_DFL)
common.ready()
signal.pause()
