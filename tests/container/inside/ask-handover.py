# SPDX-License-Identifier: LGPL-2.1-or-later
"""ask-handover.py read|leave|hang|silent COUNT VERB NAME...: COUNT connections to the hand-over socket, each with that request.

read: prints the replies, each different one once. leave: ends without waiting for one. hang: never reads one, until it is stopped.
silent: does not even ask. A name "N*WORD" stands for N times that word."""

import socket
import sys
import time

import common

stop = common.Stop()
how, count, words = sys.argv[1], int(sys.argv[2]), []
for word in sys.argv[3:]:
    n, star, name = word.partition("*")
    words += [name] * int(n) if star else [word]
request = b"".join(w.encode("latin-1") + b"\0" for w in words)

kept, replies = [], set()
for _ in range(count):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        s.connect("/run/portreserved/handover")
        if how != "silent":
            s.send(request)
        if how == "read":
            replies.add(s.recv(65536).decode())
    except OSError as e:
        replies.add(e.strerror)
    kept.append(s)
    if how == "read":
        kept.pop().close()
for reply in sorted(replies):
    print(reply)
if how in ("hang", "silent"):
    common.ready()
    while not stop:
        time.sleep(0.1)
