# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inside the machine of bench_start.py: prints what it measured, as JSON.

usage: inside_start.py TIMES"""

import json
import os
import socket
import sys
import time

import pairs


def systemctl(*argv):
    pid = os.posix_spawn("/usr/bin/systemctl", ["systemctl", *argv], os.environ)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(f"systemctl {argv}: {status}")


def start(unit):
    begin = time.monotonic()
    systemctl("start", unit)
    took = time.monotonic() - begin
    systemctl("stop", unit)
    return took


def first_byte(unit, port):
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as s:
        if s.recv(1) != b"x":
            sys.exit(f"{unit} does not serve")
    took = time.monotonic() - begin
    systemctl("stop", unit)
    return took


SIDES = {
    "bound": (lambda: start("ours.service"), lambda: start("floor.service")),
    "nothing": (lambda: start("nothing.service"), lambda: start("floor.service")),
    "listen": (lambda: first_byte("served.service", 7004), lambda: first_byte("hand.service", 7005)),
}

print(json.dumps({name: pairs.measure(*sides, int(sys.argv[1])) for name, sides in SIDES.items()}))
