# SPDX-License-Identifier: LGPL-2.1-or-later
"""knock.py PORT TIMES: connects and goes away again, so many times, whether somebody answers or not."""

import contextlib
import socket
import sys
import time

for _ in range(int(sys.argv[2])):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
    time.sleep(0.1)
