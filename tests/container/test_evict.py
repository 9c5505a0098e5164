# SPDX-License-Identifier: LGPL-2.1-or-later
"""Evict= and AlertUnit= with units: a thief goes, its victim starts, whom it concerns hears of it."""

import pytest
from machine import wait_until

PORT = 48121
SERVER = f"[Service]\nType=notify\nExecStart=/usr/bin/python3 -B /opt/inside/server.py {PORT}\n"
REDIS_CLIENT = f"""
import signal, sys
sys.path.insert(0, "/opt/inside")
import common
s = common.connect_from({PORT}, 6379)
s.sendall(b"PING\\r\\n")
assert s.recv(7) == b"+PONG\\r\\n"
common.ready()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
while s.recv(1000):
    pass
"""
TELL = """[Unit]
CollectMode=inactive-or-failed
[Service]
Type=oneshot
RuntimeDirectory=told
RuntimeDirectoryPreserve=yes
EnvironmentFile=/run/portreserved/alerts/%i
ExecStart=/bin/sh -c 'env -0 >/run/told/.new-%i && mv /run/told/.new-%i /run/told/%i'
"""


def told(m):
    """The environments that alert units have had, oldest first."""
    names = m.run("sh", "-c", "ls /run/told 2>/dev/null", check=False).stdout.split()
    return [dict(v.split("=", 1) for v in m.run("cat", f"/run/told/{n}").stdout.split("\0") if v) for n in sorted(names, key=int)]


@pytest.fixture
def victim(host):
    """Its port is one that a client of Redis may get."""
    host.unit("app.service", SERVER)
    host.systemctl("daemon-reload")
    yield host
    host.systemctl("stop", "redis-server.service", check=False)
    host.run("rm", "-rf", "/run/told")


def test_client_of_redis_is_evicted_and_its_victim_starts(victim):
    victim.systemctl("start", "redis-server.service")
    victim.background("client", "/usr/bin/python3", "-B", "-c", REDIS_CLIENT)
    cursor = victim.cursor()
    victim.serve(f"[app]\nPorts={PORT}/tcp\nHold=bound\nEvict=ephemeral\n")
    victim.wait_endpoint("app", "exclusive")
    evicted, = victim.events("evicted", after=cursor)
    assert (evicted["PORTRESERVED_NAME"], evicted["PORTRESERVED_PORT"]) == ("app", str(PORT))
    assert (evicted["PORTRESERVED_CULPRIT_UNIT"], evicted["PORTRESERVED_PEER"]) == ("client.service", "127.0.0.1:6379")
    wait_until(lambda: victim.active("client.service") != "active", "the client has seen it")
    victim.systemctl("start", "app.service")
    victim.wait_endpoint("app", "in-use")
    assert victim.active("redis-server.service") == "active"
    assert "hello" in victim.run("python3", "-c", f"import socket\nprint(socket.create_connection(('127.0.0.1', {PORT})).recv(9))").stdout
    assert victim.ctl("evict", PORT)["free"] is True


def test_socket_unit_that_failed_for_a_thief(victim):
    """Hold=listen: PID 1 could not listen; now it does, without anybody's help."""
    victim.unit("lazy.service", "[Service]\nExecStart=/usr/bin/python3 -B /opt/inside/owner.py 48131 listen\nType=notify\n")
    victim.background("thief", *victim.script("thief", 48131, 6380))
    victim.serve("[lazy]\nListenStream=127.0.0.1:48131\nEvict=ephemeral\n")
    victim.systemctl("start", "portreserved-lazy.socket", check=False)
    wait_until(lambda: victim.active("portreserved-lazy.socket") == "active", "PID 1 listens")


def test_owner_that_was_moved_is_not_evicted(victim):
    """Its connection was made in another unit. Only the process tells, which the daemon may not see itself."""
    victim.systemctl("start", "app.service")
    victim.background("thief", *victim.script("thief", 48132, 6380))
    victim.run("sh", "-c", f"echo {victim.pid('thief.service')} >/sys/fs/cgroup/system.slice/app.service/cgroup.procs")
    cursor = victim.cursor()
    victim.serve("[app]\nPorts=48132/tcp\nEvict=any\n[mark]\nPorts=48133/tcp\n")
    # Another one, told after it.
    victim.background("squatter", *victim.script("server", 48133))
    wait_until(lambda: any(e["PORTRESERVED_NAME"] == "mark" for e in victim.events("collision", after=cursor)), "what is a collision is told")
    # Remains of an earlier test may be.
    assert [e for e in victim.events("evicted", after=cursor) if e["PORTRESERVED_STATE"] != "TIME_WAIT"] == []
    assert victim.ctl("evict", 48132)["evicted"] == []
    assert "48132" in victim.run("ss", "-Htn", "state", "established").stdout


def test_squatter_has_to_be_stopped(victim):
    """What cannot be freed is said, with the command; and that one frees it."""
    victim.background("squatter", *victim.script("server", PORT))
    victim.serve(f"[app]\nPorts={PORT}/tcp\nHold=bound\nEvict=any\n")
    answer = victim.ctl("evict", PORT, code=1)
    assert answer["evicted"] == [] and answer["free"] is False
    left, = answer["left"]
    assert left["unit"] == "squatter.service" and "has to be stopped" in left["reason"]
    assert answer["remedy"] == ["systemctl stop squatter.service"]
    # By itself the daemon leaves it when it has been told which process it is.
    wait_until(lambda: any("Evict=any leaves " in m for m in victim.messages("_SYSTEMD_UNIT=portreserved.service")), "that is logged")
    victim.run("sh", "-c", answer["remedy"][0])
    victim.wait_endpoint("app", "exclusive")
    victim.systemctl("start", "app.service")


def test_alert_unit_once_with_the_fields_of_the_journal(victim):
    victim.unit("tell@.service", TELL)
    victim.background("thief", *victim.script("thief", PORT, 6380, "odd", "first\nLD_PRELOAD=/evil \"x\" $HOME\n"),
                      properties=("Delegate=yes",))
    cursor = victim.cursor()
    victim.serve(f"[Daemon]\nAlertUnit=tell@.service\n[app]\nPorts={PORT}/tcp\n")
    env, = wait_until(lambda: told(victim), "the unit has run")
    entry, = victim.events("collision", after=cursor)
    fields = {k: v for k, v in entry.items() if k.startswith("PORTRESERVED_") or k == "MESSAGE"}
    assert {k: env.get(k) for k in fields} == fields
    assert {k for k in env if k.startswith("PORTRESERVED_")} == {k for k in fields if k != "MESSAGE"}
    assert env["PORTRESERVED_CULPRIT_UNIT"] == "thief.service"
    # Whatever it is called, it adds no variable and ends none.
    assert env["PORTRESERVED_CULPRIT_CGROUP"] == """/system.slice/thief.service/a "b" 'c' $HOME `id` \\x2d %h #d;e=f"""
    assert "LD_PRELOAD" not in env
    if "PORTRESERVED_CULPRIT_COMMAND" in env:
        assert '\\x0aLD_PRELOAD=/evil "x"' in env["PORTRESERVED_CULPRIT_COMMAND"]

    # Neither its end is one, nor a restart that finds nobody; the next collision is.
    victim.finish("thief")
    wait_until(lambda: victim.events("resolved", after=cursor), "it ends")
    victim.systemctl("restart", "portreserved.service")
    victim.background("squatter", *victim.script("server", PORT))
    wait_until(lambda: len(told(victim)) == 2, "the next")
    assert told(victim)[1]["PORTRESERVED_CULPRIT_UNIT"] == "squatter.service"
    assert told(victim)[0] == env


def test_alert_unit_of_drift_and_of_a_reservation(victim):
    for name in "tell", "other":
        victim.unit(f"{name}@.service", TELL.replace("[Service]\n", f"[Service]\nEnvironment=TOLD_BY={name}\n"))
    victim.serve(f"[Daemon]\nAlertUnit=tell@.service\n[app]\nPorts={PORT}/tcp\nAlertUnit=other@.service\n")
    victim.run("sh", "-c", "echo 7 >/proc/sys/net/ipv4/ip_local_reserved_ports")
    drift, = wait_until(lambda: told(victim), "drift")
    assert (drift["TOLD_BY"], drift["PORTRESERVED_EVENT"]) == ("tell", "drift") and str(PORT) in drift["MESSAGE"]
    victim.background("squatter", *victim.script("server", PORT))
    wait_until(lambda: len(told(victim)) == 2, "collision")
    assert (told(victim)[1]["TOLD_BY"], told(victim)[1]["PORTRESERVED_EVENT"]) == ("other", "collision")


def squat(m):
    """Somebody comes to the port, is seen, and goes again."""
    m.background("squatter", *m.script("server", PORT))
    wait_until(lambda: m.endpoint("app")["collision"], "it is seen")
    m.finish("squatter")
    wait_until(lambda: not m.endpoint("app")["collision"], "and its end")


def test_alert_unit_without_act(victim):
    """Its socket is gone, or it hangs: said once, and nothing waits."""
    victim.unit("tell@.service", TELL)
    victim.serve(f"[Daemon]\nAlertIntervalSec=0\nAlertUnit=tell@.service\n[app]\nPorts={PORT}/tcp\n")
    cursor = victim.cursor()
    victim.run("mv", "/run/portreserved-act", "/run/portreserved-act.away")
    try:
        squat(victim)
        squat(victim)
    finally:
        victim.run("mv", "/run/portreserved-act.away", "/run/portreserved-act")
    said, = (m for m in victim.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor) if "AlertUnit=" in m)
    assert "portreserved-act" in said
    assert told(victim) == []

    squat(victim)
    wait_until(lambda: len(told(victim)) == 1, "it is there again")
    victim.systemctl("kill", "--signal=STOP", "portreserved-act.service")
    squat(victim)
    assert len(told(victim)) == 1
    victim.systemctl("kill", "--signal=CONT", "portreserved-act.service")
    wait_until(lambda: len(told(victim)) == 2, "it goes on")
