# SPDX-License-Identifier: LGPL-2.1-or-later
"""list-act.py [hang-up]: asks portreserved-act for its list, as the daemon does, and prints it; or goes away without it."""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.connect("/run/portreserved-act")
    fds = []
    # It hangs up on who may not ask, even before the request is sent.
    try:
        s.send(b"list\0")
        if len(sys.argv) == 1:
            _, fds, _, _ = socket.recv_fds(s, 1, 4)
    except (BrokenPipeError, ConnectionResetError):
        pass
    for fd in fds:
        with os.fdopen(fd) as f:
            print(f.read(), end="")
