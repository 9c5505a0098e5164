# SPDX-License-Identifier: LGPL-2.1-or-later
"""thief.py PORT PEER: an outgoing connection that the kernel gave PORT, to a server of its own on PEER, until it is stopped."""

import signal
import socket
import sys

import common

port, peer = int(sys.argv[1]), int(sys.argv[2])
server = common.tcp(socket.AF_INET, socket.SO_REUSEADDR)
server.bind(("127.0.0.1", peer))
server.listen()
client = common.connect_from(port, peer)
accepted, _ = server.accept()
assert client.getsockname()[1] == port
signal.signal(signal.SIGTERM, signal.SIG_DFL)
common.ready()
signal.pause()
