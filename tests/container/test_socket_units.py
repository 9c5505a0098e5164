# SPDX-License-Identifier: LGPL-2.1-or-later
"""SocketUnits=: the ports of the host's own .socket units, reserved as units come and go; those that failed for their port are
started again when it is free."""

import pytest
from machine import wait_until

SERVICE = "[Service]\nExecStart=/bin/sleep infinity\n"


def native(m, name, listen, service=SERVICE, more=""):
    """A .socket unit of the host's, with its service."""
    m.unit(f"{name}.socket", f"[Socket]\n{listen}\n{more}")
    if service:
        m.unit(f"{name}.service", service)


def names(m):
    return {r["name"]: r for r in m.ctl("list")}


def listed(m, name, what=None):
    """The reservation, as soon as it is listed (and as what() wants it)."""
    def look():
        r = names(m).get(name)
        return r if r and (not what or what(r)) else None

    return wait_until(look, f"{name} is listed" + (" as wanted" if what else ""))


def gone(m, name):
    wait_until(lambda: name not in names(m), f"{name} is listed no more")


def state(r):
    return r["endpoints"][0]["state"]


def in_list(m, port):
    for run in filter(None, m.list().split(",")):
        first, _, last = run.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False


def started(m, *units):
    m.systemctl("daemon-reload")
    if units:
        m.systemctl("start", *units)


@pytest.fixture
def plain(host):
    """The daemon with nothing declared."""
    host.serve("")
    return host


def test_units_are_listed_with_their_service(plain):
    m = plain
    native(m, "web", "ListenStream=7001\nListenStream=127.0.0.1:7002\nListenDatagram=[::1]:7003\nListenStream=/run/web.sock", service=None,
           more="Service=app.service\n")
    m.unit("app.service", SERVICE)
    m.unit("inst@.socket", "[Socket]\nListenStream=127.0.0.1:%i\n")
    m.unit("inst@.service", SERVICE)
    m.unit("each.socket", "[Socket]\nListenStream=7005\nAccept=yes\n")
    m.unit("each@.service", "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n")
    m.unit("path.socket", "[Socket]\nListenStream=/run/path.sock\nListenDatagram=@abstract\nListenFIFO=/run/path.fifo\n")
    m.unit("path.service", SERVICE)
    m.unit("six.socket", "[Socket]\nListenStream=7006\nBindIPv6Only=ipv6-only\n")
    m.unit("six.service", SERVICE)
    m.unit("apart.socket", "[Socket]\nListenStream=7007\nPrivateNetwork=yes\n")
    m.unit("apart.service", SERVICE)
    started(m, "web.socket", "inst@7004.socket", "each.socket", "path.socket", "six.socket", "apart.socket")

    r = listed(m, "web", lambda r: all(e["state"] == "listening" for e in r["endpoints"]))
    assert (r["unit"], r["hold"], r["user"], r["socket_unit"]) == ("app.service", "none", None, "web.socket")
    assert r["source"] == "/etc/systemd/system/web.socket"
    assert [(e["protocol"], e["address"], e["port"], e["reserved"]) for e in r["endpoints"]] == [
        ("tcp", "*", 7001, True), ("tcp", "127.0.0.1", 7002, True), ("udp", "::1", 7003, True)]
    assert listed(m, "inst@7004")["unit"] == "inst@7004.service"
    assert listed(m, "each")["unit"] == "each@.service"
    assert listed(m, "six")["endpoints"][0]["address"] == "::"
    assert not {"path", "apart"} & set(names(m))
    assert all(in_list(m, port) for port in range(7001, 7007)) and not in_list(m, 7007)
    assert m.ctl("status")["collisions"] == 0
    table = m.run("portreservectl", "list").stdout
    assert [line.split()[2] for line in table.splitlines() if line.startswith("web")] == [".socket"] * 3
    assert "socket_unit" in m.ctl("show", "web")

    why = m.ctl("why", "7001")
    assert why["declared"] == {"name": "web", "unit": "app.service", "source": "/etc/systemd/system/web.socket"}
    assert why["reserved"] and [h["kind"] for h in why["holders"]] == ["listener"]
    # It is nobody's mistake, and nothing that was applied.
    assert "7001" not in m.read("/run/portreserved/applied.conf")
    assert m.ctl("check")["errors"] == []


def test_units_come_and_go(plain):
    m = plain
    native(m, "late", "ListenStream=7010")
    started(m, "late.socket")
    listed(m, "late", lambda r: state(r) == "listening")
    # Another port, which PID 1 reads now and listens on after a restart of the unit.
    m.unit("late.socket", "[Socket]\nListenStream=7011\n")
    started(m)
    listed(m, "late", lambda r: r["endpoints"][0]["port"] == 7011)
    assert in_list(m, 7011) and not in_list(m, 7010)
    m.systemctl("stop", "late.socket")
    gone(m, "late")  # nothing refers to it, so systemd unloads it
    assert not in_list(m, 7011)


def test_debians_own_ssh(plain):
    m = plain
    m.run("mkdir", "-p", "/run/sshd")
    m.systemctl("start", "ssh.socket")
    r = listed(m, "ssh", lambda r: state(r) == "listening")
    assert r["unit"] in ("ssh.service", "ssh@.service")
    assert r["source"].endswith("/lib/systemd/system/ssh.socket")
    assert in_list(m, 22)
    m.systemctl("stop", "ssh.socket")
    gone(m, "ssh")


def test_what_is_declared_wins(host):
    m = host
    native(m, "web", "ListenStream=7020\nListenStream=7021")
    native(m, "other", "ListenStream=7022\nListenStream=7023")
    m.unit("alias.service", SERVICE + "[Install]\nAlias=byname.service\n")
    m.unit("alias.socket", "[Socket]\nListenStream=7024\n")
    m.run("ln", "-s", "alias.service", "/etc/systemd/system/byname.service")
    m.made.append("/etc/systemd/system/byname.service")
    started(m, "web.socket", "other.socket", "alias.socket")
    m.serve("[web]\nPorts=7020/tcp\n[mine]\nPorts=7022/tcp\nUnit=nginx.service\n[byname]\nPorts=7024/tcp\n"
            "[gen]\nListenStream=7025\nUnit=alias.service\n")
    m.systemctl("start", "portreserved-gen.socket")
    r = listed(m, "web.socket")
    assert [e["port"] for e in r["endpoints"]] == [7021]
    assert [e["port"] for e in listed(m, "other")["endpoints"]] == [7023]
    assert set(names(m)) == {"web", "mine", "byname", "gen", "web.socket", "other"}
    said = [d for d in m.ctl("status", code=8)["degraded"] if d.startswith("socket-units")]
    assert said == ["socket-units: port 7022/tcp of other.socket is reserved by [mine]"]


def test_burst_of_units(plain):
    """All are there in the end, what is declared is not touched, and PID 1 is not asked for each."""
    m = plain
    cursor = m.cursor()
    m.write("/etc/portreserved.conf", "[held]\nPorts=7999/tcp\nHold=shared\nUser=nobody\n")
    m.run("portreservectl", "reload")
    m.wait_endpoint("held", "sharing")
    held = m.run("ss", "-tnaoHe", "sport = :7999", check=False).stdout
    m.unit("burst@.socket", "[Socket]\nListenStream=127.0.0.1:%i\n")
    m.unit("burst@.service", SERVICE)
    started(m, *(f"burst@{port}.socket" for port in range(20000, 20300)))
    wait_until(lambda: len(names(m)) == 301, "all are listed", step=0.5)
    assert m.list() == "7999,20000-20299"
    m.systemctl("stop", "burst@*.socket")
    wait_until(lambda: set(names(m)) == {"held"}, "all are gone", step=0.5)
    assert m.list() == "7999"
    assert m.run("ss", "-tnaoHe", "sport = :7999", check=False).stdout == held
    assert not m.events("drift", after=cursor)


def test_without_a_bus(plain):
    """A restart of the bus, and a while without one, lose nothing."""
    m = plain
    native(m, "one", "ListenStream=7030")
    native(m, "two", "ListenStream=7031")
    started(m, "one.socket")
    listed(m, "one")
    m.systemctl("stop", "dbus.socket", "dbus.service")
    started(m, "two.socket")
    assert "one" in names(m) and in_list(m, 7030)
    m.systemctl("start", "dbus.socket")
    listed(m, "two")
    m.systemctl("restart", "dbus.service")
    m.systemctl("stop", "one.socket")
    gone(m, "one")
    # Also where there is none for good: a daemon that starts then asks PID 1 all the same.
    m.systemctl("stop", "dbus.socket", "dbus.service")
    try:
        m.systemctl("stop", "portreserved.service")
        m.systemctl("start", "portreserved.service")
        listed(m, "two")
    finally:
        m.systemctl("start", "dbus.socket")


def test_restart_and_kill_leave_no_gap(plain):
    m = plain
    native(m, "one", "ListenStream=7040")
    started(m, "one.socket")
    listed(m, "one", lambda r: state(r) == "listening")
    m.background("watch", *m.script("listwatch", "7040"))
    m.systemctl("restart", "portreserved.service")
    assert in_list(m, 7040)
    listed(m, "one", lambda r: state(r) == "listening")
    pid = m.pid()
    m.systemctl("kill", "-s", "KILL", "portreserved.service")
    wait_until(lambda: m.active("portreserved.service") == "active" and m.pid() not in (0, pid), "it is back")
    listed(m, "one", lambda r: state(r) == "listening")
    said = m.finish("watch")
    assert "lacks" not in said, said
    m.systemctl("daemon-reexec")
    native(m, "two", "ListenStream=7041")
    started(m, "two.socket")
    listed(m, "two")
    m.systemctl("stop", "portreserved.service")
    wait_until(lambda: m.list() == "", "the list is as it was")


def test_switched_off_and_on(plain):
    m = plain
    native(m, "one", "ListenStream=7050")
    started(m, "one.socket")
    listed(m, "one")
    m.write("/etc/portreserved.conf", "[Daemon]\nSocketUnits=no\n")
    m.run("portreservectl", "reload")
    assert names(m) == {} and m.list() == ""
    assert m.ctl("why", "7050")["declared"] is None
    assert m.ctl("check")["warnings"] == []
    m.systemctl("restart", "portreserved.service")
    assert names(m) == {}
    m.write("/etc/portreserved.conf", "")
    m.run("portreservectl", "reload")
    listed(m, "one")


def test_few_ephemeral_ports(host):
    m = host
    before = m.read("/proc/sys/net/ipv4/ip_local_port_range")
    m.run("sh", "-c", "echo 30000 30010 >/proc/sys/net/ipv4/ip_local_port_range")
    try:
        native(m, "few", "ListenStream=30000\nListenStream=30001")
        native(m, "free", "ListenStream=7060")
        started(m, "few.socket", "free.socket")
        m.serve("[Daemon]\nEphemeralFloor=10\n")
        listed(m, "free")
        assert [e["reserved"] for e in listed(m, "few")["endpoints"]] == [False, False]
        assert m.list() == "7060"
        assert any("EphemeralFloor" in d for d in m.ctl("status")["degraded"])
    finally:
        m.run("sh", "-c", f"echo {before.strip()} >/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.parametrize("kind", ["thief", "server", "declared"])
def test_failed_for_its_port(plain, kind):
    """The culprit is named, and the unit started when the port is free: of an outgoing connection, of a server; and our own."""
    m = plain
    unit, name = ("portreserved-mine.socket", "mine") if kind == "declared" else ("mine.socket", "mine")
    if kind == "declared":
        m.unit("mine.service", SERVICE)
        m.write("/etc/portreserved.conf", "[mine]\nListenStream=7070\n")
        m.systemctl("daemon-reload")
    else:
        native(m, "mine", "ListenStream=7070")
    m.background("culprit", *(m.script("thief", 7070, 7071) if kind == "thief" else m.script("server", 7070)))
    cursor = m.cursor()
    m.systemctl("daemon-reload")
    if kind == "declared":
        m.run("portreservectl", "reload", check=False)
    m.systemctl("start", unit, check=False)
    wait_until(lambda: m.active(unit) == "failed", "its port is taken")
    alert = wait_until(lambda: [e for e in m.events("collision", after=cursor) if e["PORTRESERVED_NAME"] == name], "the alert")[0]
    assert alert["PORTRESERVED_CULPRIT_UNIT"] == "culprit.service"
    assert alert["PORTRESERVED_KIND"] == ("ephemeral" if kind == "thief" else "squatter")
    r = listed(m, name, lambda r: state(r) == "pending")
    assert r["endpoints"][0]["collision"]["unit"] == "culprit.service"
    m.systemctl("stop", "culprit")
    wait_until(lambda: m.active(unit) == "active", f"{unit} is started")
    listed(m, name, lambda r: state(r) == "listening")


def test_failed_while_nobody_looked(host):
    """What failed before the daemon came, and whose port is free by then, is started too."""
    m = host
    native(m, "mine", "ListenStream=7080")
    m.background("culprit", *m.script("server", 7080))
    m.systemctl("daemon-reload")
    m.systemctl("start", "mine.socket", check=False)
    assert m.active("mine.socket") == "failed"
    m.systemctl("stop", "culprit")
    m.serve("")
    wait_until(lambda: m.active("mine.socket") == "active", "it is started")


def test_failed_for_something_else_is_left_alone(plain):
    m = plain
    native(m, "nowhere", "ListenStream=192.0.2.1:7090")
    native(m, "limited", "ListenStream=7091", service="[Service]\nExecStart=/bin/true\n", more="TriggerLimitBurst=1\n")
    started(m, "limited.socket")
    m.systemctl("start", "nowhere.socket", check=False)
    m.run(*m.script("knock", 7091, 5))
    wait_until(lambda: m.active("limited.socket") == "failed", "it has failed of its limit")
    # Some times, as its port seemed free, and no more.
    wait_until(lambda: asked_to_start(m, "nowhere.socket") == 3, "it was tried again")
    listed(m, "nowhere", lambda r: state(r) == "pending")
    native(m, "mark", "ListenStream=7092")
    started(m, "mark.socket")
    listed(m, "mark")
    m.run(*m.script("knock", 7092, 42))  # longer than the next pause would be
    assert asked_to_start(m, "nowhere.socket") == 3 and asked_to_start(m, "limited.socket") == 0
    assert m.active("nowhere.socket") == m.active("limited.socket") == "failed"


def asked_to_start(m, unit, after=None):
    return len([t for t in m.messages("_SYSTEMD_UNIT=portreserved-act.service", after=after) if t.startswith(f"{unit}: started")])


def test_loop_is_slow(plain):
    """A thief that takes the port again and again has the unit started every now and then, not each time."""
    m = plain
    native(m, "mine", "ListenStream=7095")
    m.background("culprit", *m.script("server", 7095))
    started(m)
    m.systemctl("start", "mine.socket", check=False)
    listed(m, "mine", lambda r: state(r) == "pending")
    cursor = m.cursor()
    m.service("flicker", *m.script("flicker", 7095, 60))
    m.systemctl("stop", "culprit")
    wait_until(lambda: m.active("mine.socket") == "active", "it wins in the end")
    assert 1 <= asked_to_start(m, "mine.socket", cursor) <= 5


EARLY = """[Unit]
DefaultDependencies=no
After=portreserved.service
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -B /opt/inside/until.py 48121
"""


def test_reserved_at_boot_before_the_bus(machine):
    """The port of a .socket that is to start only later is in the list before sysinit.target, which the bus comes after; and on a
    host without a bus as well."""
    m = machine
    m.enable("portreserved.service", "sysinit.target")
    for name in ("dbus.socket", "dbus.service"):
        (m.upper / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
        (m.upper / "etc/systemd/system" / name).symlink_to("/dev/null")
    m.write("/etc/systemd/system/late.socket", "[Unit]\nAfter=sysinit.target\n[Socket]\nListenStream=48121\n")
    m.write("/etc/systemd/system/late.service", SERVICE)
    m.write("/etc/systemd/system/early.service", EARLY)
    for target, unit in (("sockets.target", "late.socket"), ("sysinit.target", "early.service")):
        m.write(f"/etc/systemd/system/{target}.wants/.keep", "")
        (m.upper / f"etc/systemd/system/{target}.wants" / unit).symlink_to(f"../{unit}")
    m.boot()
    assert m.active("dbus.service") == "inactive"
    assert m.active("early.service") == "active", "it was not in the list before sysinit.target"
    assert int(m.show("early.service", "ExecMainExitTimestampMonotonic")) < int(m.show("late.socket", "ActiveEnterTimestampMonotonic"))
    listed(m, "late", lambda r: state(r) == "listening")
