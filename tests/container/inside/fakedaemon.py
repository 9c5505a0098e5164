# SPDX-License-Identifier: LGPL-2.1-or-later
"""fakedaemon.py PORT start|crash|silent: a daemon whose fd store holds PORT; it dies while it starts, or later, or answers nobody."""

import array
import os
import socket
import sys
import time

import common

port = int(sys.argv[1])
hold = common.tcp(socket.AF_INET6)
try:
    hold.bind(("::", port))
    path = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect("\0" + path[1:] if path[0] == "@" else path)
        s.sendmsg([b"FDSTORE=1\nFDNAME=x\nFDPOLL=0"],
                  [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [hold.fileno()]))])
except OSError:
    pass  # it holds it already, from the run before

if sys.argv[2] == "start":
    os._exit(1)

os.makedirs("/run/portreserved", exist_ok=True)
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.path.exists("/run/portreserved/handover"):
    os.unlink("/run/portreserved/handover")
server.bind("/run/portreserved/handover")
server.listen()
common.ready()
if sys.argv[2] == "crash":
    # Not before the start job has ended.
    time.sleep(0.5)
    os._exit(1)
kept = []
while True:
    kept.append(server.accept())
