# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first part: one port, one daemon, no systemd, in a network namespace."""

import json
import os
import pathlib
import signal
import subprocess

PORT = 48121
LIST = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
CONFIG = f"""[shop]
Ports={PORT}/tcp
Hold=bound
Description=the shop's server
"""


class Host:
    """Commands in this namespace; what runs in the background ends with the namespace."""

    def __init__(self, narrator, top, build):
        self.narrator = narrator
        self.place = pathlib.Path("/run/demo")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "demo", "/run"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.place.mkdir()
        os.chdir(self.place)
        inside = top / "tests" / "container" / "inside"
        for script in ("thief", "take", "server", "common"):
            (self.place / f"{script}.py").write_bytes((inside / f"{script}.py").read_bytes())
        os.environ["PATH"] = ":".join([*(str(build / d) for d in ("daemon", "ctl", "activation")), os.environ["PATH"]])
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        os.environ.pop("NOTIFY_SOCKET", None)

    def run(self, command):
        """Shows the command and its output; returns the output."""
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)  # fmt: skip
        self.narrator.command(command, done.stdout)
        return done.stdout

    def start(self, command, log):
        self.narrator.command(command + " &")
        with open(log, "wb") as out:
            return subprocess.Popen(["bash", "-c", "exec " + command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def stop(self, process, name):
        self.narrator.command(f"kill {process.pid}   # {name}")
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    @staticmethod
    def ctl(*args):
        done = subprocess.run(["portreservectl", *args, "--json=short"], capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else {}

    def state(self):
        return [e["state"] for e in self.ctl("show", "shop").get("endpoints", [])]


def connected(pid):
    """Is that process's connection there, from PORT?"""
    shown = subprocess.run(["ss", "-tnpH", "state", "established", f"sport = :{PORT}"], capture_output=True, text=True, check=False)
    return f"pid={pid}," in shown.stdout


def play(n, top, build):
    h = Host(n, top, build)
    n.title("Part 1: a port, a thief and a daemon, in a network namespace without systemd")

    n.say(f"""The shop's server has always been on port {PORT}. It is down for a moment, and another program opens an outgoing
          connection. The kernel gives that connection a free port, and this time it is {PORT}. (Here it always is: thief.py
          leaves the kernel no other to choose.)""")
    thief = h.start(f"python3 thief.py {PORT} 6379", "thief.log")
    n.until(lambda: connected(thief.pid), "the connection has the port")
    h.run(f"ss --tcp --numeric state established 'sport = :{PORT}'")

    n.say("Now the server starts. The message names nobody.")
    said = h.run(f"python3 server.py {PORT} 2>&1 | tail -n 1")
    n.true("Address already in use" in said, "the server cannot start")

    n.say("So somebody declares the port, in a file, and starts portreserved.")
    pathlib.Path("portreserved.conf").write_text(CONFIG)
    h.run("cat portreserved.conf")
    daemon = h.start("portreserved --config=portreserved.conf", "portreserved.log")
    n.until(lambda: h.state() == ["pending"], "the daemon is up and has seen that the port is taken")

    n.say("It cannot hold the port yet. But it can say who has it, and what to do.")
    h.run(f"portreservectl why {PORT}")
    why = h.ctl("why", str(PORT))
    n.true([(x["kind"], x["pid"]) for x in why["holders"]] == [("ephemeral", thief.pid)], "why names the culprit")
    n.true(why["would_bind"] == "no" and why["remedy"], "why says that no bind succeeds, and a remedy")

    n.say("The connection closes. Nobody does anything else: the port is claimed by itself.")
    h.stop(thief, "the other program")
    n.until(lambda: h.state() == ["exclusive"], "the port was claimed")
    h.run("portreservectl list")
    n.true(LIST.read_text().strip() == str(PORT), "the port is in the kernel's list")

    n.say(f"""From now on nobody gets it: not with a plain bind(), not with SO_REUSEADDR or SO_REUSEPORT; and the kernel does not
          choose it for an outgoing connection, even where {PORT} is the only port that it may choose.""")
    said = h.run(f"python3 take.py {PORT} 6380").splitlines()
    n.true(len(said) == 13 and not any(line.endswith(" ok") for line in said), "every attempt was refused")

    n.say("Other tools write the kernel's list as well, and most of them overwrite it. Ours comes back, theirs stays.")
    h.run(f"echo 9999 >{LIST}")
    n.until(lambda: LIST.read_text().strip() == f"9999,{PORT}", "the port was put back")
    h.run(f"cat {LIST}")

    n.say("The server starts, through the door that is kept for it, and answers.")
    server = h.start(f"portreserve-exec shop -- python3 server.py {PORT}", "server.log")
    n.until(lambda: h.state() == ["in-use"], "the server has the port")
    n.true(h.run(f"cat </dev/tcp/127.0.0.1/{PORT}") == "hello\n", "the server answers")
    said = h.run(f"python3 take.py {PORT} 6381 | awk '{{ print $NF }}' | sort | uniq --count").split()
    n.true(said == ["12", "EADDRINUSE", "1", "EADDRNOTAVAIL"], "beside the running server nobody gets in either")

    n.say("It stops, and the port is held again.")
    h.stop(server, "the server")
    n.until(lambda: h.state() == ["exclusive"], "the port is held again")
    h.run("portreservectl list --no-legend")

    n.say("portreserved stops, too, and leaves in the kernel's list what others put there.")
    h.stop(daemon, "portreserved")
    n.true(h.run(f"cat {LIST}").strip() == "9999", "the list is the others' again")
