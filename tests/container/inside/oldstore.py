# SPDX-License-Identifier: LGPL-2.1-or-later
"""oldstore.py FIRST LAST: gives PID 1's fd store a placeholder for each port, one by one, as another version of the daemon would, and
a thing that nobody knows; then is ready, and waits."""

import array
import os
import signal
import socket
import sys

import common


def store(s, name, fd):
    s.sendmsg([f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0".encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


kept = []
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    path = os.environ["NOTIFY_SOCKET"]
    s.connect("\0" + path[1:] if path[0] == "@" else path)
    for n, port in enumerate(range(int(sys.argv[1]), int(sys.argv[2]) + 1)):
        hold = common.tcp(socket.AF_INET6)
        hold.bind(("::", port))
        store(s, f"s{n:x}", hold.fileno())
        kept.append(hold)
    store(s, "of-a-later-version", os.open("/dev/null", os.O_RDONLY))
common.ready()
signal.pause()
