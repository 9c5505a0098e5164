# SPDX-License-Identifier: LGPL-2.1-or-later
"""owner.py PORT share|plain|listen: a server that binds with SO_REUSEADDR, or without, or takes LISTEN_FDS where it has any."""

import os
import signal
import socket
import sys

import common

signal.signal(signal.SIGTERM, signal.SIG_DFL)
port, kind = int(sys.argv[1]), sys.argv[2]
if kind == "listen" and os.environ.get("LISTEN_FDS"):
    server = socket.socket(fileno=3)
else:
    server = common.tcp(socket.AF_INET6, *([] if kind == "plain" else [socket.SO_REUSEADDR]))
    server.bind(("::", port))
    server.listen()
common.ready()
while True:
    client, _ = server.accept()
    client.sendall(b"hello\n")
    client.close()
