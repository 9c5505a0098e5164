# SPDX-License-Identifier: LGPL-2.1-or-later
"""Three services that must always start: one for each way in which a reservation lets its owner in."""

import time

OWNERS = {"share": 48201, "plain": 48202, "listen": 48203}
CONFIG = """[share]
Ports=48201/tcp
Hold=bound
[plain]
Ports=48202/tcp
Hold=bound
ReuseAddress=no
[listen]
ListenStream=48203
"""
WITHIN = 10  # seconds, whatever has become of portreserved

TAKE = """
import socket, sys
for port in map(int, sys.argv[1:]):
    for reuse in 0, 1:
        s = socket.socket(socket.AF_INET6)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            s.bind(("::", port))
            print("free", end=" ")
        except OSError:
            print("held", end=" ")
        s.close()
"""


# Resets the connection: its TIME_WAIT would be in the way of a server without SO_REUSEADDR, with us or without.
CLIENT = """
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
print(s.recv(9), s.recv(9))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
"""


def install(m):
    for name, port in OWNERS.items():
        m.unit(f"{name}.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nNotifyAccess=all\n"
               f"ExecStart={' '.join(m.script('owner', port, name))}\n")


def start_all(m, why):
    """Starts each, which must do, in time, and answer a client; and stops them again."""
    for name, port in OWNERS.items():
        begin = time.monotonic()
        r = m.systemctl("start", f"{name}.service", check=False)
        took = time.monotonic() - begin
        assert r.returncode == 0, f"{why}: {name}.service did not start: {r.stderr}{m.run('ss', '-Htlnap').stdout}"
        assert took < WITHIN, f"{why}: {name}.service took {took:.1f} s"
        out = m.run("python3", "-c", CLIENT, port).stdout
        assert "hello" in out, f"{why}: {name}.service does not answer"
    # The socket unit would be started by the next client, the service with it.
    m.systemctl("stop", *(f"{name}.service" for name in OWNERS))


def ways(m, *ports):
    """For each port, what becomes of a plain bind and of one with SO_REUSEADDR: "held" or "free"."""
    return m.run("python3", "-c", TAKE, *ports).stdout.split()
