# SPDX-License-Identifier: LGPL-2.1-or-later
"""ask-act.py UNIT...: one request to portreserved-act, as the daemon makes it. Ends when it has been dealt with."""

import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
    s.connect("/run/portreserved-act")
    # It says nothing; it hangs up, on who may not ask even before the request is sent.
    try:
        s.send(b"".join(name.encode() + b"\0" for name in sys.argv[1:]))
        s.recv(1)
    except (BrokenPipeError, ConnectionResetError):
        pass
