# SPDX-License-Identifier: LGPL-2.1-or-later
"""busname.py NAME COMMAND...: takes a name on the system bus and becomes the command, which has it for as long as it lives."""

import os
import socket
import struct
import sys


def string(s):
    return struct.pack("<I", len(s)) + s.encode() + b"\0"


def padded(b, n=8):
    return b + bytes(-len(b) % n)


def call(serial, member, signature="", body=b""):
    """A method call to the bus itself (D-Bus specification, "Message Protocol")."""
    fields = b""
    for code, kind, value in ((1, b"o", "/org/freedesktop/DBus"), (6, b"s", "org.freedesktop.DBus"), (2, b"s", "org.freedesktop.DBus"),
                              (3, b"s", member)):
        fields = padded(fields) + bytes([code, 1]) + kind + b"\0" + string(value)
    if signature:
        fields = padded(fields) + b"\x08\x01g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
    return padded(b"l\x01\0\x01" + struct.pack("<III", len(body), serial, len(fields)) + fields) + body


s = socket.socket(socket.AF_UNIX)
s.connect("/run/dbus/system_bus_socket")
s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
assert s.recv(1024).startswith(b"OK")
s.sendall(b"BEGIN\r\n" + call(1, "Hello") + call(2, "RequestName", "su", padded(string(sys.argv[1]), 4) + struct.pack("<I", 4)))
answer = b""
while b"NameAcquired" not in answer or sys.argv[1].encode() not in answer:
    more = s.recv(4096)
    assert more and b"AccessDenied" not in more, more
    answer += more
s.set_inheritable(True)
os.execv(sys.argv[2], sys.argv[2:])
