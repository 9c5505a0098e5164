# SPDX-License-Identifier: LGPL-2.1-or-later
"""visit.py UNIT PORT [ADDRESS]: starts a unit of subject, asks it what it was given, and prints that with `systemctl show` as JSON.

With "-" before the unit's name it is not started: its first client has to do that."""

import json
import socket
import subprocess
import sys
import time

def show(unit):
    out = subprocess.run(["systemctl", "show", "--all", unit], stdout=subprocess.PIPE, text=True).stdout
    return dict(line.partition("=")[::2] for line in out.splitlines())


def is_settled(properties):
    """Is it as far as it will get while its client waits? A oneshot serves while it starts."""
    if properties["Type"] == "oneshot":
        return properties["SubState"] == "start"
    return properties["ActiveState"] not in ("inactive", "activating")


unit, port, address = sys.argv[1], int(sys.argv[2]), (sys.argv[3:] or ["127.0.0.1"])[0]
started = None
if not unit.startswith("-"):
    oneshot = show(unit)["Type"] == "oneshot"
    started = subprocess.run(["systemctl", "start", *(["--no-block"] if oneshot else []), unit], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
unit = unit.lstrip("-")
end = time.monotonic() + 20
text = error = None
while text is None and time.monotonic() < end and not (started and started.returncode):
    try:
        with socket.create_connection((address, port), 10) as s:
            while not is_settled(properties := show(unit)) and time.monotonic() < end:
                time.sleep(0.02)
            s.sendall(b"?")
            with s.makefile() as f:
                text = f.read()
    except ConnectionRefusedError:
        time.sleep(0.02)
    except OSError as e:
        error = str(e)
        break
if text is None:
    said = subprocess.run(["systemctl", "status", "--no-pager", "-n", "30", unit], stdout=subprocess.PIPE, text=True).stdout
    json.dump({"failed": error or "nobody listens", "said": (started.stdout if started else "") + said}, sys.stdout)
else:
    json.dump({"told": text, "show": properties}, sys.stdout)
