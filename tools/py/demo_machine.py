# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second part: real servers under a real systemd, in a container."""

import pathlib
import shutil
import tempfile

import debian
from machine import Machine

PORT, WEB = 48121, 8080

CONFIG = f"""[nginx]
Ports={PORT}/tcp
Hold=bound
"""
MORE = f"""
[lighttpd]
ListenStream={WEB}
"""
NGINX = f"""server {{
    listen {PORT};
    location / {{ return 200 "nginx is here\\n"; }}
}}
"""
LIGHTTPD = f"""server.modules = ()
server.document-root = "/var/www/html"
server.port = {WEB}
server.systemd-socket-activation = "enable"
index-file.names = ( "index.html" )
"""
JOB = f"""[Unit]
Description=A job that talks to another server
[Service]
Type=notify
ExecStart=/usr/bin/python3 -B /opt/inside/thief.py {PORT} 6379
"""


class Host:
    """The booted machine, with commands that are shown."""

    def __init__(self, narrator, machine):
        self.narrator = narrator
        self.machine = machine

    def run(self, command, show=True):
        done = self.machine.run("sh", "-c", command, check=False)
        if show:
            self.narrator.command(command, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def quiet(self, command):
        return self.machine.run("sh", "-c", command, check=False).stdout.strip()

    def state(self, name):
        return self.quiet(f"portreservectl show {name} --json=short | grep --only-matching '\"state\":\"[a-z-]*\"' | head -n 1").split('"')[-2:-1]

    def active(self, unit):
        return self.machine.active(unit) == "active"


def play(n, top, build):
    layer = pathlib.Path(tempfile.mkdtemp(prefix="portreserved-demo-", dir="/var/tmp"))
    try:
        layer.chmod(0o755)
        debian.install(build, layer)
        shutil.copytree(top / "tests/container/inside", layer / "opt/inside", ignore=shutil.ignore_patterns("__pycache__"))
        n.title("Part 2: real servers under a real systemd, in a container")
        n.say("A Debian with nginx and lighttpd boots ...")
        with Machine([layer, debian.base()], "demo") as machine:
            machine.write("/etc/nginx/sites-enabled/default", NGINX)
            machine.write("/etc/lighttpd/lighttpd.conf", LIGHTTPD)
            machine.write("/var/www/html/index.html", "lighttpd is here\n")
            machine.write("/etc/systemd/system/nightly-job.service", JOB)
            machine.boot()
            tell(n, Host(n, machine))
            n.true(machine.ordering_cycles() == [], "no ordering cycle in the journal")
    finally:
        shutil.rmtree(layer, ignore_errors=True)


def tell(n, h):
    n.say(f"""nginx is to serve on port {PORT}. Before it starts, a nightly job has opened an outgoing connection that was given
          that very port.""")
    h.run("systemctl start nightly-job")
    h.run("systemctl start nginx")
    n.true(h.machine.active("nginx.service") == "failed", "nginx could not start")
    said = h.run("journalctl --quiet --output=cat --unit=nginx | grep --max-count=1 'bind()'")
    n.true("Address already in use" in said, "its log says why, and no name")

    n.say("Three lines in a file, and portreserved is enabled.")
    h.machine.write("/etc/portreserved.conf", CONFIG)
    h.run("cat /etc/portreserved.conf")
    h.run("systemctl enable --quiet --now portreserved")
    n.true(h.active("portreserved.service"), "portreserved runs")
    h.run("systemctl status --no-pager --lines=0 portreserved | grep Status")

    n.say("It has seen at once who is on the port.")
    said = h.run(f"portreservectl why {PORT}")
    n.true("nightly-job.service" in said, "why names the culprit's unit")
    n.until(lambda: "nightly-job.service" in h.quiet("journalctl --output=cat --unit=portreserved"), "and so does the journal")
    h.run("journalctl --quiet --output=cat --unit=portreserved | grep nightly-job")

    n.say("Somebody tries once more, in vain. From now on portreserved knows that nginx waits for the port.")
    h.run("systemctl start nginx")
    n.true(h.machine.active("nginx.service") == "failed", "nginx could not start")

    n.say("The job's connection closes. The port is claimed, and nginx, which had failed for it, is started.")
    h.run("systemctl stop nightly-job")
    n.until(lambda: h.active("nginx.service"), "nginx was started")
    n.until(lambda: h.state("nginx") == ["in-use"], "nginx has the port")
    n.true(h.run(f"curl --silent http://127.0.0.1:{PORT}/") == "nginx is here\n", "nginx answers")

    n.say("nginx is stopped for a while. Nobody takes its port: no bind() of whatever kind, no outgoing connection.")
    h.run("systemctl stop nginx")
    n.until(lambda: h.state("nginx") == ["exclusive"], "the port is held")
    said = h.run(f"python3 -B /opt/inside/take.py {PORT} 6380")
    n.true(len(said.splitlines()) == 13 and " ok" not in said, "every attempt was refused")

    n.say("""portreserved itself is killed, ten times, while another program tries to bind the port in a loop. The socket that holds
          the port is kept by systemd all the while.""")
    h.machine.background("taker", *h.machine.script("binder", PORT))
    for _ in range(10):
        before = h.machine.show("portreserved.service", "NRestarts")
        h.quiet("systemctl kill --signal=KILL portreserved")
        n.until(lambda: h.machine.show("portreserved.service", "NRestarts") != before and h.active("portreserved.service"), "it is back")
    said = h.machine.finish("taker")
    n.command("journalctl --quiet --output=cat --unit=taker", "\n".join(line for line in said.splitlines() if line.startswith(("tries", "won"))))
    n.true("tries" in said and "won" not in said, "no attempt has won")

    n.say("nginx starts again: the daemon makes room for it as it starts.")
    h.run("systemctl start nginx")
    n.true(h.run(f"curl --silent http://127.0.0.1:{PORT}/") == "nginx is here\n", "nginx answers again")

    n.say("lighttpd can take its sockets from systemd. So its section says ListenStream=, and the first client starts it.")
    h.machine.write("/etc/portreserved.conf", CONFIG + MORE)
    h.run("tail -n 2 /etc/portreserved.conf")
    h.run("portreservectl reload")
    n.true(not h.active("lighttpd.service"), "lighttpd does not run")
    h.run("systemctl is-active lighttpd.service portreserved-lighttpd.socket")
    n.true(h.run(f"curl --silent http://127.0.0.1:{WEB}/") == "lighttpd is here\n", "the first client is answered")
    n.true(h.active("lighttpd.service"), "lighttpd was started by it")
    h.run("portreservectl status; portreservectl list")
    n.true('"collisions":0' in h.quiet("portreservectl status --json=short"), "all is well at the end")
