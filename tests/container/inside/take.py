# SPDX-License-Identifier: LGPL-2.1-or-later
"""take.py PORT PEER [udp]: tries to take PORT in every way, once, and prints a line for each: "WAY ok" or "WAY ERROR"."""

import errno
import socket
import sys

import common

port, peer = int(sys.argv[1]), int(sys.argv[2])
udp = sys.argv[3:] == ["udp"]
BOTH = (socket.SO_REUSEADDR, socket.SO_REUSEPORT)
WAYS = {"plain": (), "reuseaddr": BOTH[:1], "reuseport": BOTH[1:], "both": BOTH}

for way, options in WAYS.items():
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")):
        with (common.udp if udp else common.tcp)(family, *options) as s:
            try:
                s.bind((address, port))
                if not udp:
                    s.listen()
                print(way, address, "ok")
            except OSError as e:
                print(way, address, errno.errorcode[e.errno])

if not udp:
    server = common.tcp(socket.AF_INET, socket.SO_REUSEADDR)
    server.bind(("127.0.0.1", peer))
    server.listen()
try:
    common.connect_from(port, peer, common.udp if udp else common.tcp)
    print("connect ok")
except OSError as e:
    print("connect", errno.errorcode[e.errno])
