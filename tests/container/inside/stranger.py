# SPDX-License-Identifier: LGPL-2.1-or-later
"""stranger.py PORT: binds PORT without any option, again and again, until it is stopped, and lets go of it; then prints "won N"."""

import socket
import sys

import common

stop = common.Stop()
won = 0
common.ready()
while not stop:
    with common.tcp(socket.AF_INET) as s:
        try:
            s.bind(("0.0.0.0", int(sys.argv[1])))
            won += 1
        except OSError:
            pass
print("won", won)
