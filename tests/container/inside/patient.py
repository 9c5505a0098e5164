# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server that accepts nobody before /run/go is there, then answers each client with the names of its sockets.

patient.py [PORT …]: binds these with SO_REUSEADDR, where it was given none as LISTEN_FDS."""

import os
import selectors
import socket
import sys
import time

names = os.environ.get("LISTEN_FDNAMES", "").split(":")
listeners = [socket.socket(fileno=3 + i) for i in range(int(os.environ.get("LISTEN_FDS", "0")))]
for port in map(int, sys.argv[1:] if not listeners else []):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen()
    listeners.append(s)
while not os.path.exists("/run/go"):
    time.sleep(0.02)
poll = selectors.DefaultSelector()
for s in listeners:
    poll.register(s, selectors.EVENT_READ)
while True:
    for key, _ in poll.select():
        client, _ = key.fileobj.accept()
        client.sendall(" ".join(names).encode() + b"\n")
        client.close()
