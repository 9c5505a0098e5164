# SPDX-License-Identifier: LGPL-2.1-or-later
"""clients.py ADDRESS PORT: HTTP requests one after the other until it is stopped; then prints "answered N", "refused N", "broken N"."""

import socket
import sys

import common

stop = common.Stop()
address, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
counts = {"answered": 0, "refused": 0, "broken": 0}
first = True
while not stop:
    with common.tcp(family) as s:
        s.settimeout(30)
        try:
            s.connect((address, port))
        except ConnectionRefusedError:
            counts["refused"] += 1
            continue
        # Accepted by a server that is just ending, it may be reset: that is the server's business.
        try:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            counts["answered" if s.recv(4096).startswith(b"HTTP/1.") else "broken"] += 1
        except OSError:
            counts["broken"] += 1
    if first:
        common.ready()
        first = False
for what, n in counts.items():
    print(what, n)
