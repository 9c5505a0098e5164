# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreservectl beside the real daemon."""

import json
import os
import shutil
import subprocess

import pytest

from conftest import KERNEL_LIST, kernel_list, thief, wait_until
from test_ctl import HOLDER_KEYS, watch  # noqa: F401 (watch is a fixture)
from test_why_sockets import assert_prediction, why

RES_KEYS = ["name", "unit", "user", "source", "socket_unit", "hold", "exclusive", "enforced", "endpoints"]
EP_KEYS = ["protocol", "address", "port", "last", "state", "reserved", "restart_needed", "collision"]
STATUS_KEYS = ["version", "features", "degraded", "reservations", "ports", "pending", "collisions", "drifts", "config_errors", "scan",
               "evictions"]

CONFIG = """\
[web]
ListenStream=127.0.0.1:8080
ListenStream=[::1]:8081

[redis-server]
Ports=6379/tcp
Hold=bound

[range]
Ports=20000-20009/udp
User=daemon
"""


def test_list_show_status(daemon, ctl):
    d = daemon(CONFIG)
    d.wait_state("redis-server", "exclusive")
    d.wait_state("web", "listening")
    found = ctl.json("list")
    assert [r["name"] for r in found] == ["web", "redis-server", "range"]
    for r in found:
        assert list(r) == RES_KEYS
        for e in r["endpoints"]:
            assert list(e) == EP_KEYS
            assert e["reserved"] is True and e["collision"] is None
    web, redis, run = found
    assert [(e["protocol"], e["address"], e["port"], e["last"], e["state"]) for e in web["endpoints"]] == \
        [("tcp", "127.0.0.1", 8080, 8080, "listening"), ("tcp", "::1", 8081, 8081, "listening")]
    assert (redis["unit"], redis["hold"], redis["source"]) == ("redis-server.service", "bound", f"{d.config}:5")
    assert (run["user"], run["hold"], run["enforced"]) == ("daemon", "none", False)
    assert [(e["protocol"], e["address"], e["port"], e["last"], e["state"]) for e in run["endpoints"]] == \
        [("udp", "*", 20000, 20009, "none")]

    assert ctl.json("show", "web") == web
    assert "127.0.0.1:8080" in ctl("show", "web", code=0).stdout
    rows = ctl("list", "--no-legend", code=0).stdout.splitlines()
    assert len(rows) == 4 and "*:20000-20009" in rows[3]

    status = ctl.json("status")
    assert list(status) == STATUS_KEYS
    assert (status["reservations"], status["ports"], status["pending"], status["collisions"]) == (3, 13, 0, 0)
    assert "is running" in ctl("status", code=0).stdout
    d.stop()
    ctl("status", code=3)


def test_status_tells_mistakes(daemon, ctl):
    d = daemon("[a]\nPorts=0\nPorts=80\n")
    text = ctl("status", code=0).stdout
    assert f"{d.config}:2: " in text
    assert ctl.json("status")["config_errors"] == 1


def test_why_of_holds(daemon, ctl):
    d = daemon(CONFIG)
    d.wait_state("redis-server", "exclusive")
    d.wait_state("web", "listening")
    found = why(ctl, 6379)
    assert found["declared"] == {"name": "redis-server", "unit": "redis-server.service", "source": f"{d.config}:5"}
    assert found["reserved"] is True
    assert {h["kind"] for h in found["holders"]} == {"hold"}
    assert found["would_bind"] == "with-reuseaddr" and "portreserved holds it" in found["reason"]
    found = why(ctl, 8080)
    assert {h["kind"] for h in found["holders"]} == {"hold"}
    assert "portreserved listens on it" in found["reason"]
    found = why(ctl, 20005)
    assert (found["protocol"], found["declared"]["name"], found["holders"]) == ("udp", "range", [])


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv(1) of util-linux is missing")
@pytest.mark.parametrize("hidepid", [0, 2])
def test_why_of_holds_for_everybody(daemon, ctl, place, hidepid):
    """Who may not read the daemon's fds, or not see its process, still learns that these are its holds."""
    d = daemon(CONFIG)
    d.wait_state("redis-server", "exclusive")
    copy = place / "portreservectl"
    shutil.copy(ctl.command()[0], copy)
    for port in (6379, 8080):
        # A /proc of its own, whatever the machine's is.
        r = subprocess.run(["unshare", "--mount", "sh", "-c", f'mount -t proc -o hidepid={hidepid} proc /proc && exec "$@"', "sh",
                            "setpriv", "--reuid=daemon", "--regid=nogroup", "--clear-groups", str(copy), f"--runtime-dir={d.runtime}",
                            "why", str(port), "--json=short"], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        assert {h["kind"] for h in json.loads(r.stdout)["holders"]} == {"hold"}, port


def test_why_and_status_of_a_thief(daemon, ctl):
    client, accepted, server = thief(48121)
    d = daemon("[app]\nPorts=48121/tcp\nHold=bound\n")
    wait_until(lambda: ctl("status", "-q").returncode == 8, "collision")
    text = ctl("status", code=8).stdout
    assert "app: tcp *:48121 is taken (ephemeral)" in text and "127.0.0.1:48121 -> 127.0.0.1:1 ESTABLISHED" in text
    found = why(ctl, 48121)
    assert_prediction(found)
    h, = found["holders"]
    assert (h["kind"], found["would_bind"]) == ("ephemeral", "no")
    assert "claims it as soon as it is free" in found["reason"]
    # Since when is what the daemon saw.
    assert h["since"] == d.endpoints("app")[0]["collision"]["since"] is not None
    assert ctl.json("status", "app", code=8)["list"][0]["endpoints"][0]["collision"]["since"] == h["since"]

    ctl.shell(found["remedy"][0])
    d.wait_state("app", "exclusive")
    wait_until(lambda: ctl("status", "-q").returncode == 0, "no collision")
    assert {h["kind"] for h in why(ctl, 48121)["holders"]} == {"hold"}


def test_watch_follows(daemon, ctl, watch):  # noqa: F811
    d = daemon("[app]\nPorts=48121/tcp\nHold=bound\n")
    d.wait_state("app", "exclusive")
    w = watch("--json=short")
    KERNEL_LIST.write_text("9\n")
    wait_until(lambda: {json.loads(x)["event"] for x in w.lines} >= {"drift", "repaired"}, "drift and repair")
    for line in w.lines:
        assert list(json.loads(line))[:6] == ["time", "event", "name", "protocol", "address", "port"]
    n = len(w.lines)
    d.stop()
    client, accepted, server = thief(48121)
    d.start()
    wait_until(lambda: "collision" in {json.loads(x)["event"] for x in w.lines[n:]}, "collision of the second daemon")
    event = next(json.loads(x) for x in w.lines[n:] if json.loads(x)["event"] == "collision")
    assert (event["name"], event["protocol"], event["port"]) == ("app", "tcp", 48121)
    assert list(event["holder"]) == HOLDER_KEYS and event["holder"]["kind"] == "ephemeral"
    client.close()
    accepted.close()
    wait_until(lambda: "claimed" in {json.loads(x)["event"] for x in w.lines[n:]}, "claimed")
    assert w.errors == []


def test_reload(daemon, ctl):
    d = daemon("[app]\nPorts=48121/tcp\n")
    d.configure("[app]\nPorts=48122/tcp\nHold=bound\n")
    assert ctl("reload", code=0).stdout == "applied\n"
    d.wait_state("app", "exclusive")
    assert kernel_list() == {48122}
    found = ctl.json("reload")
    assert found["daemon_reload"] is False and found["started"] == found["stopped"] == found["waiting"] == []


def test_reload_with_mistakes_changes_nothing(daemon, ctl):
    d = daemon("[app]\nPorts=48121/tcp\n")
    before = (d.runtime / "applied.conf").read_bytes()
    d.configure("[app]\nPorts=48122/tcp\nPorts=0\n[b]\nPorts=99999\n[c]\nPorts=80\nEvict=any\n")
    r = ctl("reload", code=7)
    # The mistakes, and nothing else: a remark is none.
    assert [line.split(": ")[:2] for line in r.stderr.splitlines()] == \
        [["portreservectl", f"{d.config}:3"], ["portreservectl", f"{d.config}:5"]]
    assert "Not reloaded, what ran goes on: the configuration has mistakes" in d.log()
    error = ctl.json("reload", code=7)
    assert list(error) == ["error", "message", "exit"] and error["error"] == "ConfigurationInvalid"
    assert f"{d.config}:5: " in error["message"] and error["message"].strip() == error["message"]
    assert "no effect" not in error["message"]
    assert ctl("reload", "-q", code=7).stderr == ""
    assert kernel_list() == {48121}
    assert (d.runtime / "applied.conf").read_bytes() == before
    # What runs is what was applied.
    assert why(ctl, 48122)["declared"] is None
    assert why(ctl, 48122, f"--config={d.config}")["declared"]["name"] == "app"


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv(1) of util-linux is missing")
def test_reload_denied_to_strangers(daemon, ctl, place):
    d = daemon("[app]\nPorts=48121/tcp\n[mine]\nPorts=48123\nUser=games\n")
    copy = place / "portreservectl"
    shutil.copy(ctl.command()[0], copy)

    def reload_as(user):
        return subprocess.run(["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", str(copy),
                               f"--runtime-dir={d.runtime}", "reload", "--json=short"], capture_output=True, text=True)
    r = reload_as("daemon")
    assert r.returncode == 5, (r.stdout, r.stderr)
    assert json.loads(r.stdout)["error"] == "Denied"
    assert d.ctl("list").returncode == 0


# What reload makes PID 1 do. systemd is not here: its directories and systemctl are ours.

SYSTEMCTL = """#!/bin/sh
echo "$@" >>{log}
[ "$1" = --quiet ] && shift
if [ "$1" = show ]; then
    shift 3
    for unit; do
        if grep -qx "$unit" {active}; then echo active; else echo inactive; fi
        echo
    done
fi
"""

GENERATOR = """#!/bin/sh
cp -r {fresh}/. "$1"/
"""


class Pid1:
    """In a mount namespace of portreservectl's own, /run/systemd is a tree of ours, so that systemd seems to be booted."""

    def __init__(self, place):
        self.place = place
        self.loaded, self.fresh, self.bin = place / "systemd" / "generator", place / "fresh", place / "bin"
        self.log, self.active = place / "systemctl.log", place / "active"
        for d in (self.loaded, place / "systemd" / "system", self.fresh, self.bin):
            d.mkdir(parents=True)
        self.active.write_text("")
        for name, text in (("systemctl", SYSTEMCTL.format(log=self.log, active=self.active)),
                           ("generator", GENERATOR.format(fresh=self.fresh))):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    @staticmethod
    def unit(directory, name, text):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def socket(self, directory, name, service, port):
        self.unit(directory, f"portreserved-{name}.socket", f"[Socket]\nListenStream={port}\nService={service}\n")
        wants = directory / "sockets.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / f"portreserved-{name}.socket").symlink_to(f"../portreserved-{name}.socket")

    def reload(self, ctl, *args):
        self.log.write_text("")
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "PORTRESERVED_GENERATOR": str(self.bin / "generator")}
        # The mount point may be missing where there is no systemd at all: /run as a whole is ours then, but for the daemon's.
        script = f'mount -t tmpfs none /run && mkdir /run/systemd && mount --bind {self.place}/systemd /run/systemd && exec "$@"'
        r = subprocess.run(["unshare", "--mount", "sh", "-ec", script, "sh", *ctl.command("reload", *args)], capture_output=True,
                           text=True, env=env)
        return r, self.log.read_text().replace("--quiet ", "").splitlines()


@pytest.fixture
def pid1(place):
    return Pid1(place)


def test_reload_leaves_pid1_alone_where_nothing_differs(daemon, ctl, pid1):
    daemon("[a]\nPorts=9000\n")
    for directory in (pid1.loaded, pid1.fresh):
        pid1.socket(directory, "web", "web.service", 80)
        pid1.unit(directory, "redis.service.d/50-portreserved.conf", "[Service]\n")
    # Others' units are nothing to us.
    pid1.unit(pid1.loaded, "dev-sda.swap", "x")
    pid1.unit(pid1.loaded, "redis.service.d/10-other.conf", "x")
    r, calls = pid1.reload(ctl)
    assert (r.returncode, r.stdout, calls) == (0, "applied\n", []), r.stderr


def test_reload_follows_units(daemon, ctl, pid1):
    daemon("[a]\nPorts=9000\n")
    pid1.socket(pid1.loaded, "gone", "gone.service", 80)
    pid1.socket(pid1.loaded, "same", "same.service", 81)
    pid1.socket(pid1.loaded, "changed", "changed.service", 82)
    pid1.socket(pid1.loaded, "busy", "busy.service", 83)
    pid1.socket(pid1.fresh, "same", "same.service", 81)
    pid1.socket(pid1.fresh, "changed", "changed.service", 182)
    pid1.socket(pid1.fresh, "busy", "busy.service", 183)
    pid1.socket(pid1.fresh, "new", "new.service", 84)
    pid1.active.write_text("busy.service\ngone.service\nportreserved-gone.socket\nportreserved-busy.socket\n")
    r, calls = pid1.reload(ctl, "--json=short")
    assert r.returncode == 0, r.stderr
    assert [c for c in calls if not c.startswith("show")] == \
        ["daemon-reload", "stop portreserved-busy.socket portreserved-gone.socket",
         "restart portreserved-changed.socket portreserved-new.socket"]
    found = json.loads(r.stdout)
    assert (found["daemon_reload"], found["stopped"], found["waiting"]) == \
        (True, ["portreserved-busy.socket", "portreserved-gone.socket"], ["portreserved-busy.socket"])
    assert found["started"] == ["portreserved-changed.socket", "portreserved-new.socket"]
    assert "portreserved-busy.socket: busy.service gets it at its next restart: systemctl restart busy.service" in r.stderr


def test_reload_restarts_no_socket_that_is_the_same(daemon, ctl, pid1):
    daemon("[a]\nPorts=9000\n")
    for name, more in (("comment", ""), ("text", ""), ("loaded", ""), ("fewer", "ListenStream=91\n"), ("old", "")):
        pid1.unit(pid1.loaded, f"portreserved-{name}.socket",
                  f"# file:1\n\n[Unit]\nDescription=One\n\n[Socket]\nListenStream=90\n{more}Service={name[:3]}.service\nFileDescriptorName=a\n")
    (pid1.loaded / "portreserved-older.socket").symlink_to("portreserved-old.socket")
    pid1.active.write_text("portreserved-old.socket\nportreserved-new.socket\n")
    for name, more in (("comment", ""), ("text", "Two"), ("loaded", ""), ("fewer", ""), ("new", "")):
        pid1.unit(pid1.fresh, f"portreserved-{name}.socket",
                  f"# file:2\n\n[Unit]\nDescription={more or 'One'}\n\n[Socket]\nListenStream=90\n"
                  f"Service={'old' if name == 'new' else name[:3]}.service\nFileDescriptorName={'b' if name == 'loaded' else 'a'}\n")
    (pid1.fresh / "portreserved-old.socket").symlink_to("portreserved-new.socket")
    r, calls = pid1.reload(ctl, "--json=short")
    assert (r.returncode, [c for c in calls if not c.startswith("show")]) == (0, ["daemon-reload"]), r.stderr
    found = json.loads(r.stdout)
    assert (found["renamed"], found["started"], found["stopped"], found["waiting"]) == (["portreserved-new.socket"], [], [], [])
    # A comment alone is nothing to PID 1.
    shutil.rmtree(pid1.loaded)
    shutil.copytree(pid1.fresh, pid1.loaded, symlinks=True)
    pid1.unit(pid1.fresh, "portreserved-comment.socket", (pid1.loaded / "portreserved-comment.socket").read_text().replace(":2", ":7"))
    r, calls = pid1.reload(ctl, "--json=short")
    assert (r.returncode, calls) == (0, []), r.stderr

def test_reload_follows_drop_ins(daemon, ctl, pid1):
    daemon("[a]\nPorts=9000\n")
    pid1.unit(pid1.fresh, "redis.service.d/50-portreserved.conf", "[Service]\n")
    r, calls = pid1.reload(ctl)
    assert (r.returncode, calls) == (0, ["daemon-reload"]), r.stderr


def test_reload_says_when_pid1_cannot_follow(daemon, ctl, pid1):
    daemon("[a]\nPorts=9000\n")
    (pid1.bin / "generator").write_text("#!/bin/sh\nexit 1\n")
    r, calls = pid1.reload(ctl)
    assert (r.returncode, calls) == (1, []) and "by hand" in r.stderr
    (pid1.bin / "generator").write_text(GENERATOR.format(fresh=pid1.fresh))
    (pid1.bin / "systemctl").write_text(f"#!/bin/sh\necho \"$@\" >>{pid1.log}\nexit 1\n")
    pid1.socket(pid1.fresh, "new", "new.service", 84)
    r, calls = pid1.reload(ctl)
    assert (r.returncode, calls) == (1, ["daemon-reload"]) and "daemon-reload" in r.stderr
