# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every case of a socket on a reserved port, made for real and told apart by the real daemon: who is a collision, of which kind, in
whose name, with one alert; and who is none, without any."""

import ctypes
import os
import pathlib
import socket
import subprocess

import actors
import pytest
from conftest import KERNEL_LIST, PORT_RANGE, only_ports, wait_until

PORT, PEER = 48121, 1
UDP = socket.SOCK_DGRAM
LOCAL = "127.0.0.1"
DAEMON = "[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n"
SENTINELS = range(48180, 48200)
SENTINEL = f"[sentinel]\nPorts={SENTINELS[0]}-{SENTINELS[-1]}/tcp\n"
OWNER, THIEF = "web.service", "thief.service"
CONTAINER = "8c1f" * 16
COLLIDING = {"ephemeral", "squatter", "stale", "unknown"}

libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438


class Scene:
    """The daemon, a server on a port that nobody reserved, and actors in units of their own."""

    def __init__(self, daemon, cgroups):
        self.daemon = daemon
        self.cgroups = cgroups
        self.cast = []
        self.sentinels = iter(SENTINELS)
        self.config = f"[web]\nPorts={PORT}\n"
        self.d = None
        self.peer = self.actor("peer.service")
        self.peer.do(actors.make, "server", address="0.0.0.0", port=PEER, reuse=True)
        self.peer.do(actors.listen, "server")

    def start(self):
        """The daemon, in a cgroup as its unit's."""
        if not self.d:
            self.d = self.daemon(DAEMON + SENTINEL + self.config, start=False)
        cgroup = self.cgroups.make("portreserved.service")
        self.d.start(preexec_fn=lambda: actors.move(cgroup))
        return self.d

    def actor(self, unit):
        a = actors.Actor(self.cgroups.make(unit))
        self.cast.append(a)
        return a

    def end(self):
        for a in self.cast:
            a.end()

    def everything_was_seen(self):
        """What was there when this was called has been through a full sweep: one that saw a connection made since."""
        a = self.actor("sentinel-thief.service")
        for port in self.sentinels:
            a.do(actors.make, port, port=port)
            a.do(actors.connect, port, PEER)
            event = wait_until(lambda: [e for e in self.d.events("collision") if e["port"] == port], f"the sentinel {port}")[0]
            a.do(actors.close, port)
            if event["holder"]["state"] == "ESTABLISHED":
                return
        pytest.fail("each sentinel was seen before it had connected")

    def events(self, event):
        return [e for e in self.d.events(event) if e["name"] != "sentinel"]

    def why(self):
        """What portreservectl says by itself, as root: kind and state of each socket on the port."""
        return [(h["kind"], h["state"]) for protocol in ("tcp", "udp") for h in self.d.ctl.json("why", f"{PORT}/{protocol}")["holders"]]

    def collision(self):
        """Of the port in question, as state.json has it now."""
        for e in self.d.endpoints("web"):
            if e["collision"]:
                return e["collision"]
        return None


@pytest.fixture
def scene(daemon):
    root = actors.cgroup_root()
    if not root:
        pytest.skip("no cgroup v2 here: whose a socket is cannot be told")
    cgroups = actors.Cgroups(root)
    s = Scene(daemon, cgroups)
    yield s
    s.end()
    if s.d:
        s.d.stop()
    cgroups.done()


# Thieves. Each leaves somebody else's socket on the port. Of: the actor, with what it has.


def ephemeral(x, unit=THIEF, **how):
    a = x.actor(unit)
    assert a.do(actors.connect_from, "s", PORT, PEER, PORT_RANGE, **how)
    return a


def ephemeral_after_drift(x):
    """Another program empties the kernel's list, and before that is repaired the kernel chooses."""
    a = x.actor(THIEF)
    wait_until(lambda: a.do(actors.connect_from, "s", PORT, PEER, PORT_RANGE, before=(KERNEL_LIST, "\n")), "the theft")
    return a


def bound(x, unit=THIEF, port=PORT, **how):
    a = x.actor(unit)
    a.do(actors.make, "s", port=port, **how)
    return a


def listener(x, unit=THIEF, **how):
    a = bound(x, unit, **how)
    a.do(actors.listen, "s")
    return a


def bound_and_connected(x, **how):
    a = bound(x, **how)
    a.do(actors.connect, "s", PEER)
    return a


def beside_the_owner(x):
    """SO_REUSEADDR on both sides lets it. What the owner accepts has the owner's cgroup; this has not."""
    a = bound_and_connected(x, reuse=True)
    o = x.actor(OWNER)
    o.do(actors.make, "s", address="0.0.0.0", port=PORT, reuse=True)
    o.do(actors.listen, "s")
    return a


def chosen_listener(x):
    """bind(0), listen(): the kernel's choice, too."""
    with only_ports(PORT):
        return listener(x, port=0)


def chosen_udp(x):
    with only_ports(PORT):
        return bound(x, port=0, kind=UDP)


def need_processes():
    if os.environ.get("PORTRESERVED_USER"):
        pytest.skip("the daemon may not see what root's processes have open")


def need_mptcp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, actors.MPTCP).close()
    except OSError as e:
        pytest.skip(f"kernel without MPTCP: {e}")


def mptcp_ephemeral(x):
    need_mptcp()
    return ephemeral(x, protocol=actors.MPTCP)


def mptcp_listener(x):
    need_mptcp()
    return listener(x, protocol=actors.MPTCP)


def mptcp_bound(x):
    need_mptcp()
    return bound(x, protocol=actors.MPTCP)


def migrated_away(x):
    a = listener(x)
    a.do(actors.move, x.cgroups.make("elsewhere.service"))
    return a


# Name: what makes it, before the reservation or after, the kind, state, and the culprit's unit.
COLLISIONS = {
    "ephemeral, before": (ephemeral, True, "ephemeral", "ESTABLISHED"),
    "ephemeral, after a drift": (ephemeral_after_drift, False, "ephemeral", "ESTABLISHED"),
    "explicit bind, then connect": (bound_and_connected, False, "squatter", "ESTABLISHED"),
    "explicit bind, then connect, SO_REUSEADDR": (lambda x: bound_and_connected(x, reuse=True), False, "squatter", "ESTABLISHED"),
    "listener": (listener, False, "squatter", "LISTEN"),
    "listener, before": (listener, True, "squatter", "LISTEN"),
    "listener, dual-stack": (lambda x: listener(x, address="::", v6only=False), False, "squatter", "LISTEN"),
    "listener, v6only": (lambda x: listener(x, address="::", v6only=True), False, "squatter", "LISTEN"),
    "listener on a chosen port": (chosen_listener, True, "ephemeral", "LISTEN"),
    "bound only": (bound, False, "squatter", "BOUND"),
    "UDP, bound": (lambda x: bound(x, kind=UDP), False, "squatter", "UNCONN"),
    "UDP, bound and connected": (lambda x: bound_and_connected(x, kind=UDP), False, "squatter", "ESTABLISHED"),
    "UDP, chosen": (chosen_udp, True, "ephemeral", "UNCONN"),
    "UDP, chosen and connected": (lambda x: ephemeral(x, kind=UDP), True, "ephemeral", "ESTABLISHED"),
    "MPTCP, ephemeral": (mptcp_ephemeral, True, "ephemeral", "ESTABLISHED"),
    "MPTCP, listener": (mptcp_listener, False, "squatter", "LISTEN"),
    "MPTCP, bound": (mptcp_bound, False, "squatter", "BOUND"),
    "explicit bind, then connect, beside the owner": (beside_the_owner, False, "squatter", "ESTABLISHED"),
    "process moved elsewhere": (migrated_away, False, "squatter", "LISTEN"),
}


def check_collision(x, kind, state, unit):
    if state == "BOUND" and any(s.startswith("bound-inactive:") for s in x.d.state()["degraded"]):
        pytest.skip("kernel without TCP_BOUND_INACTIVE (6.8)")
    c = wait_until(x.collision, "collision")
    assert (c["kind"], c["state"], c["unit"]) == (kind, state, unit)
    x.everything_was_seen()
    alerts = x.events("collision")
    assert len(alerts) == 1
    assert (alerts[0]["holder"]["kind"], alerts[0]["holder"]["unit"]) == (kind, unit)
    assert (kind, state) in x.why()
    return c


@pytest.mark.parametrize("case", COLLISIONS)
def test_collision(scene, case):
    produce, before, kind, state = COLLISIONS[case]
    x = scene
    if not before:
        x.start()
    a = produce(x)
    if before:
        x.start()
    c = check_collision(x, kind, state, THIEF)
    # Of one that is bound only the kernel does not say.
    assert c["mptcp"] == (case.startswith("MPTCP") and state != "BOUND")
    assert c["local"].endswith(f":{PORT}")
    assert c["uid"] == 0
    # In its own cgroup a process is found at once; else all are searched, for no longer than a tenth of a second.
    if not os.environ.get("PORTRESERVED_USER") and (produce is not migrated_away or c["pid"]):
        assert c["pid"] == a.pid
    # One end for one begin; what remains of a connection is still that one.
    a.end()
    if state != "ESTABLISHED":
        resolved = wait_until(lambda: x.events("resolved"), "its end")
        assert resolved[0]["holder"]["unit"] == THIEF
        x.everything_was_seen()
        assert (len(x.events("collision")), len(x.events("resolved"))) == (1, 1)
        assert x.collision() is None


# Whose name it is. Paths as container managers and systemd lay them out: the unit is the outermost, whatever runs inside.
PLACES = {
    "docker": (f"system.slice/docker-{CONTAINER}.scope", f"docker-{CONTAINER}.scope"),
    "docker, cgroupfs": (f"/docker/{CONTAINER}", None),
    "podman": (f"machine.slice/libpod-{CONTAINER}.scope/container", f"libpod-{CONTAINER}.scope"),
    "podman of a user": (f"user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{CONTAINER}.scope", "user@1000.service"),
    "kubernetes": (f"kubepods.slice/kubepods-burstable.slice/cri-containerd-{CONTAINER}.scope", f"cri-containerd-{CONTAINER}.scope"),
    "nspawn": (f"machine.slice/machine-box.scope/payload/system.slice/{OWNER}", "machine-box.scope"),
    "nspawn service": (f"machine.slice/systemd-nspawn@box.service/payload/{OWNER}", "systemd-nspawn@box.service"),
    "user's unit": ("user.slice/user-1000.slice/user@1000.service/app.slice/" + OWNER, "user@1000.service"),
    "session": ("user.slice/user-1000.slice/session-2.scope", "session-2.scope"),
    "slice alone": ("thieves.slice", None),
    "unit's own cgroup below": (f"{THIEF}/workers/{OWNER}", THIEF),
}


@pytest.mark.parametrize("case", PLACES)
def test_place(scene, case):
    cgroup, unit = PLACES[case]
    scene.start()
    a = listener(scene, cgroup)
    c = check_collision(scene, "squatter", "LISTEN", unit)
    assert c["cgroup"].endswith(cgroup)
    a.end()
    wait_until(lambda: scene.events("resolved"), "its end")


# No collisions. Each leaves what it makes, and nobody is told of anything.


def owner(x, unit=OWNER, accept=True, **how):
    """The owner listens; with a client that it serves."""
    a = listener(x, unit, reuse=True, **how)
    if accept:
        x.peer.do(actors.make, "client", protocol=how.get("protocol", 0))
        x.peer.do(actors.connect, "client", PORT)
        a.do(actors.accept, "c", "s")
        x.peer.do(actors.send, "client", b"hello")
        assert a.do(actors.receive, "c", 5) == b"hello"
        a.do(actors.send, "c", b"hello")
        assert x.peer.do(actors.receive, "client", 5) == b"hello"
    return a


def owner_stops_listening(x, **how):
    a = owner(x, **how)
    a.do(actors.close, "s")
    return a


def owner_child_inherits(x):
    a = owner_stops_listening(x)
    a.do(actors.inherit, "c", x.cgroups.make("elsewhere.service"))


def pass_on(name, giver, taker):
    fd = giver.do(actors.give, name)
    taker.do(actors.take, name, fds=[fd])
    os.close(fd)


def owner_passes_on(x):
    a = owner_stops_listening(x)
    b = x.actor("elsewhere.service")
    pass_on("c", a, b)
    a.end()


def owner_passes_its_listener_on(x):
    a = owner(x)
    b = x.actor("elsewhere.service")
    pass_on("s", a, b)
    a.end()


def owner_moves(x):
    owner(x).do(actors.move, x.cgroups.make("elsewhere.service"))


def moved_to_owner(x):
    """Its socket was made elsewhere, and bears that cgroup for ever."""
    need_processes()
    a = x.actor("session-1.scope")
    a.do(actors.make, "s")
    a.do(actors.move, x.cgroups.make(OWNER))
    a.do(actors.bind, "s", PORT)
    a.do(actors.listen, "s")


def server_of_a_user(x):
    """It binds as root and drops its privileges, as servers do: its socket is root's."""
    need_processes()
    x.actor("games.service").do(actors.bind_and_become, "s", PORT, 5)


def mptcp_owner(x):
    need_mptcp()
    owner(x, protocol=actors.MPTCP)


def mptcp_owner_stops_listening(x):
    need_mptcp()
    owner_stops_listening(x, protocol=actors.MPTCP)


def mptcp_owner_with_subflows(x):
    """The client adds a second subflow, of another address."""
    need_mptcp()
    subprocess.run(["ip", "mptcp", "limits", "set", "subflow", "2", "add_addr_accepted", "2"], check=True)
    subprocess.run(["ip", "mptcp", "endpoint", "add", "127.0.0.2", "dev", "lo", "subflow"], check=True)
    a = owner(x, protocol=actors.MPTCP, address="0.0.0.0")
    # Each has two ends.
    wait_until(lambda: pathlib.Path("/proc/net/tcp").read_text().count(f"0100007F:{PORT:04X} ") == 4, "the second subflow")
    return a


NONE = {
    "nobody": (lambda x: None, None),
    "v6only beside IPv4": (lambda x: listener(x, address="::", v6only=True), f"ListenStream=127.0.0.1:{PORT}"),
    "IPv4 beside v6only": (lambda x: listener(x, address="0.0.0.0"), f"ListenStream=[::]:{PORT}\nBindIPv6Only=ipv6-only"),
    "other address": (lambda x: listener(x, address="127.0.0.2"), f"ListenStream=127.0.0.1:{PORT}"),
    "other address, connected": (ephemeral_after_drift, f"ListenStream=127.0.0.2:{PORT}"),
    "other family": (lambda x: listener(x, address="::1"), f"ListenStream=127.0.0.1:{PORT}"),
    "other protocol": (lambda x: listener(x), f"Ports={PORT}/udp"),
    "owner listens": (lambda x: owner(x, accept=False), None),
    "owner listens and has accepted": (owner, None),
    "owner has bound": (lambda x: bound(x, OWNER), None),
    "owner, UDP": (lambda x: bound(x, OWNER, kind=UDP), None),
    "owner, UDP, connected": (lambda x: bound(x, OWNER, kind=UDP).do(actors.connect, "s", PEER), None),
    "owner's listener has closed": (owner_stops_listening, None),
    "owner's child inherits": (owner_child_inherits, None),
    "owner passes its connection on": (owner_passes_on, None),
    "owner passes its listener on": (owner_passes_its_listener_on, None),
    "owner's process moved elsewhere": (owner_moves, None),
    "process moved to the owner": (moved_to_owner, None),
    "owner's cgroup below": (lambda x: owner(x, f"{OWNER}/workers/1.scope"), None),
    "owner in a slice of its own": (lambda x: owner(x, f"web.slice/{OWNER}"), None),
    "owner, its .socket unit": (lambda x: owner(x, "web.socket"), None),
    "User=, bound by root, run as the user": (server_of_a_user, f"Ports={PORT}\nUser=games"),
    "owner, MPTCP": (mptcp_owner, None),
    "owner, MPTCP, its listener has closed": (mptcp_owner_stops_listening, None),
    "owner, MPTCP, second subflow": (mptcp_owner_with_subflows, None),
}


@pytest.mark.parametrize("case", NONE)
def test_no_collision(scene, case):
    produce, endpoint = NONE[case]
    x = scene
    if endpoint:
        x.config = f"[web]\n{endpoint}\nHold=none\n"
    x.start()
    produce(x)
    x.everything_was_seen()
    if produce is moved_to_owner and x.events("collision") and x.events("collision")[0]["holder"]["pid"] is None:
        pytest.skip("this machine is too busy to search all processes within the daemon's tenth of a second")
    assert x.events("collision") == [], x.d.log()
    assert x.collision() is None
    # At an address that is not reserved nobody is anybody to why.
    assert endpoint or not {kind for kind, _ in x.why()} & COLLIDING


HOLDS = {
    "bound": (f"Ports={PORT}\nHold=bound", "exclusive"),
    "shared": (f"Ports={PORT}\nHold=shared", "sharing"),
    "listen": (f"ListenStream={PORT}\nListenDatagram={PORT}\nHold=listen", "listening"),
    "bound, UDP": (f"Ports={PORT}/udp\nHold=bound", "exclusive"),
    "bound, one address": (f"ListenStream=127.0.0.1:{PORT}\nHold=bound", "exclusive"),
}


@pytest.mark.parametrize("case", HOLDS)
def test_our_hold_is_no_collision(scene, case):
    endpoints, state = HOLDS[case]
    scene.config = f"[web]\n{endpoints}\n"
    scene.start().wait_state("web", state)
    scene.everything_was_seen()
    assert scene.events("collision") == [], scene.d.log()
    assert scene.events("pending") == []


def test_connections_of_our_own_listener(scene):
    """Hold=listen without systemd: accepted from the daemon's socket by whoever it was given to, and when that has gone, too."""
    scene.config = f"[web]\nListenStream={PORT}\nHold=listen\n"
    d = scene.start()
    d.wait_state("web", "listening")
    a = scene.actor(OWNER)
    copy = daemons_listener(d)
    a.do(actors.take, "s", fds=[copy])
    os.close(copy)
    scene.peer.do(actors.make, "client")
    scene.peer.do(actors.connect, "client", PORT)
    a.do(actors.accept, "c", "s")
    scene.everything_was_seen()
    assert scene.events("collision") == [], scene.d.log()
    a.do(actors.close, "s")
    d.configure(DAEMON + SENTINEL + f"[web]\nPorts={PORT}\n")
    d.ctl("reload", code=0)
    scene.everything_was_seen()
    assert scene.events("collision") == [], scene.d.log()


def daemons_listener(d):
    """A copy of the daemon's listening socket."""
    pidfd = os.pidfd_open(d.process.pid)
    try:
        for fd in map(int, os.listdir(f"/proc/{d.process.pid}/fd")):
            copy = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
            if copy >= 0 and is_listener(copy):
                return copy
            if copy >= 0:
                os.close(copy)
    finally:
        os.close(pidfd)
    pytest.fail("the daemon has no listener")


def is_listener(fd):
    try:
        s = socket.socket(fileno=os.dup(fd))
    except OSError:
        return False
    with s:
        return s.family in (socket.AF_INET, socket.AF_INET6) and s.getsockname()[1] == PORT and s.type == socket.SOCK_STREAM


# Remains of connections


def close_both(x, first, second):
    """first, second: (actor, its socket). The first says goodbye first, and stays in TIME_WAIT."""
    first[0].do(actors.goodbye, first[1])
    second[0].do(actors.end_of, second[1])
    second[0].do(actors.close, second[1])
    first[0].do(actors.end_of, first[1])
    first[0].do(actors.close, first[1])


def thief_in_time_wait(x):
    a = ephemeral(x)
    x.peer.do(actors.accept, "accepted", "server")
    close_both(x, (a, "s"), (x.peer, "accepted"))


def thief_in_fin_wait2(x):
    """Its peer keeps its end open."""
    a = ephemeral(x)
    x.peer.do(actors.accept, "accepted", "server")
    a.do(actors.close, "s")
    x.peer.do(actors.end_of, "accepted")


def thief_in_fin_wait1(x):
    """It has gone, and its peer reads nothing of what it has left behind."""
    a = ephemeral(x)
    a.do(actors.fill, "s")
    a.do(actors.close, "s")


def owner_in_time_wait(x):
    """Of the server's own last run."""
    a = owner(x)
    close_both(x, (a, "c"), (x.peer, "client"))
    a.end()


REMAINS = {
    "TIME_WAIT of a thief": (thief_in_time_wait, "TIME_WAIT", True),
    "FIN_WAIT2 of a thief": (thief_in_fin_wait2, "FIN_WAIT2", True),
    "FIN_WAIT1 of a thief": (thief_in_fin_wait1, "FIN_WAIT1", False),
    "TIME_WAIT of the owner": (owner_in_time_wait, "TIME_WAIT", True),
}


@pytest.mark.parametrize("case", REMAINS)
def test_remains(scene, case):
    produce, state, timed = REMAINS[case]
    produce(scene)
    scene.start()
    c = wait_until(scene.collision, "collision")
    assert (c["kind"], c["state"], c["pid"]) == ("stale", state, None)
    assert (c["expires_sec"] is not None) == timed
    if timed:
        assert 0 < c["expires_sec"] <= 60
    scene.everything_was_seen()
    assert len(scene.events("collision")) == 1


def test_remains_beside_the_owner(scene):
    """While it runs again they are in nobody's way."""
    owner_in_time_wait(scene)
    owner(scene, accept=False)
    scene.start()
    scene.everything_was_seen()
    assert scene.events("collision") == [], scene.d.log()


@pytest.mark.parametrize("unit, kind", [(THIEF, "ephemeral"), (OWNER, None)])
def test_remains_of_who_was_known(scene, unit, kind):
    """A thief's are the same collision, in its name; the owner's begin one when its listener has gone."""
    scene.start()
    if kind:
        wait_until(lambda: (a := scene.actor(unit)).do(actors.connect_from, "s", PORT, PEER, PORT_RANGE, before=(KERNEL_LIST, "\n"))
                   and scene.peer.do(actors.accept, "accepted", "server") is None
                   and check_collision(scene, kind, "ESTABLISHED", THIEF)
                   and close_both(scene, (a, "s"), (scene.peer, "accepted")) is None, "the theft")
    else:
        owner_in_time_wait(scene)
    c = wait_until(lambda: (c := scene.collision()) and c["state"] == "TIME_WAIT" and c, "remains")
    assert (c["kind"], c["unit"]) == ("stale", unit if kind else None)
    assert 0 < c["expires_sec"] <= 60
    assert len(scene.events("collision")) == 1


# Whose it is cannot be told


def test_deleted_cgroup(scene):
    """The owner was restarted while a program of another unit has a connection that it had passed on. Of the cgroup of that
    connection nothing is left: it may be the owner's, so nobody is accused."""
    a = owner_stops_listening(scene)
    b = scene.actor("elsewhere.service")
    pass_on("c", a, b)
    a.end()
    scene.cgroups.remove(OWNER)
    scene.start()
    c = wait_until(scene.collision, "collision")
    assert (c["kind"], c["state"]) == ("unknown", "ESTABLISHED")
    # Who has it now is known to those who may look.
    assert (c["unit"], c["pid"]) == ((None, None) if os.environ.get("PORTRESERVED_USER") else ("elsewhere.service", b.pid))
    scene.everything_was_seen()
    assert len(scene.events("collision")) == 1
    assert "cannot be told" in scene.events("collision")[0]["message"]
    # Where the new run listens, it is one that an earlier run accepted.
    owner(scene, accept=False)
    wait_until(lambda: scene.events("resolved"), "its end")


def test_deleted_cgroup_that_was_seen(scene):
    """The same where the daemon has known that cgroup."""
    scene.start()
    a = owner_stops_listening(scene)
    b = scene.actor("elsewhere.service")
    scene.everything_was_seen()
    pass_on("c", a, b)
    a.end()
    scene.cgroups.remove(OWNER)
    scene.everything_was_seen()
    assert scene.events("collision") == [], scene.d.log()


def test_deleted_cgroup_of_a_listener(scene):
    a = owner(scene, accept=False)
    b = scene.actor("elsewhere.service")
    pass_on("s", a, b)
    a.end()
    scene.cgroups.remove(OWNER)
    scene.start()
    assert wait_until(scene.collision, "collision")["kind"] == "unknown"


def test_root_cgroup(scene):
    """Nothing tells its programs from the owner, but a port that the kernel chose for a connection is no server's."""
    a = listener(scene, "/")
    scene.start()
    c = wait_until(scene.collision, "collision")
    assert (c["kind"], c["unit"]) == ("unknown", None)
    a.end()
    wait_until(lambda: scene.events("resolved"), "its end")
    scene.d.stop()
    ephemeral(scene, "/")
    scene.start()
    assert wait_until(scene.collision, "collision")["kind"] == "ephemeral"


# The kernel's own. NFS's: tests/qemu/guest-daemon, on a kernel that has it


def may_read_every_process():
    """Not in a sandbox that hides its PID 1, nor in a PID namespace below others."""
    try:
        return not os.environ.get("PORTRESERVED_USER") and os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC \
            and bool([os.readlink(f"/proc/1/fd/{fd}") for fd in os.listdir("/proc/1/fd")])
    except OSError:
        return False


def test_vxlan(scene):
    """A device has the port: no process, and none to be found."""
    r = subprocess.run(["ip", "link", "add", "vx0", "type", "vxlan", "id", "5", "local", LOCAL, "dstport", str(PORT)],
                       stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        pytest.skip(f"no VXLAN here: {r.stderr.strip()}")
    subprocess.run(["ip", "link", "set", "vx0", "up"], check=True)
    scene.start()
    c = wait_until(scene.collision, "collision")
    assert (c["kind"], c["state"], c["unit"], c["pid"]) == ("unknown", "UNCONN", None, None)
    assert c["no_process"] is may_read_every_process()
    if c["no_process"]:
        assert "the kernel" in scene.events("collision")[0]["message"]
    scene.everything_was_seen()
    assert len(scene.events("collision")) == 1
    subprocess.run(["ip", "link", "del", "vx0"], check=True)
    wait_until(lambda: scene.events("resolved"), "its end")
