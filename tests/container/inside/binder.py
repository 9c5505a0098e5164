# SPDX-License-Identifier: LGPL-2.1-or-later
"""binder.py PORT...: tries to bind the ports, each in every way, again and again until it is stopped; then prints "tries N" and each
success."""

import socket
import sys

import common

stop = common.Stop()
BOTH = (socket.SO_REUSEADDR, socket.SO_REUSEPORT)
PLACES = [(family, address, options) for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))
          for options in ((), BOTH[:1], BOTH[1:], BOTH)]
tries, won = 0, []
common.ready()
while not stop:
    for port in map(int, sys.argv[1:]):
        for family, address, options in PLACES:
            with common.tcp(family, *options) as s:
                tries += 1
                try:
                    s.bind((address, port))
                    won.append((port, address, options))
                except OSError:
                    pass
print("tries", tries)
for win in won:
    print("won", win)
