# SPDX-License-Identifier: LGPL-2.1-or-later
"""flicker.py PORT TIMES: a server that is there for a moment, so many times, wherever nobody else is."""

import socket
import sys
import time

import common

for _ in range(int(sys.argv[2])):
    with common.tcp(socket.AF_INET, socket.SO_REUSEADDR) as s:
        try:
            s.bind(("0.0.0.0", int(sys.argv[1])))
            s.listen()
        except OSError:
            pass
        time.sleep(0.05)
    time.sleep(0.005)
