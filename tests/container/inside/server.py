# SPDX-License-Identifier: LGPL-2.1-or-later
"""server.py PORT [ADDRESS]: an ordinary server: SO_REUSEADDR, bind, listen, a line to everybody."""

import signal
import socket
import sys

import common

signal.signal(signal.SIGTERM, signal.SIG_DFL)
address = sys.argv[2] if len(sys.argv) > 2 else "0.0.0.0"
server = common.tcp(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SO_REUSEADDR)
server.bind((address, int(sys.argv[1])))
server.listen()
common.ready()
while True:
    client, _ = server.accept()
    client.sendall(b"hello\n")
    client.close()
