# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of a socket on a reserved port that need systemd and the daemon as it is shipped, which is not root: units with their
children, processes that move, cgroups that go, scopes of machines and users. The others are in tests/netns."""


import pytest
from machine import wait_until

PORT, PEER, SENTINEL, VXLAN = 48100, 47000, 48199, 4789
CONTAINER = "8c1f" * 16
# A real one, without the login that would start it.
USER_MANAGER = """[Service]
Type=notify
ExecStart=/lib/systemd/systemd --user
Delegate=yes
RuntimeDirectory=manager
Environment=XDG_RUNTIME_DIR=/run/manager
"""
TELL = """import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
    c.connect("/run/actor-" + sys.argv[1])
    c.send(sys.argv[2].encode())
    print(c.recv(1 << 16).decode())
"""


class Scene:
    """The machine, with actors: programs in units of their own that do what they are told."""

    def __init__(self, m):
        self.m = m
        self.scopes, self.popened = [], []
        self.actor("peer")
        self.tell("peer", f"server = listener({PEER})")

    def serve(self, cases):
        """A reservation for each."""
        self.since = self.m.cursor()
        reservations = "".join(f"[{c.name}]\nPorts={c.port}/tcp\nUnit={c.owner}.service\n" for c in cases)
        self.m.serve(f"[Daemon]\nScanIntervalSec=100ms\nScanBudgetPercent=50\n{reservations}"
                     f"[sentinel]\nPorts={SENTINEL}/tcp\n[overlay]\nPorts={VXLAN}/udp\n")

    def actor(self, name, *properties):
        self.m.background(name, *self.m.script("actor", name), properties=properties)

    def scope(self, name, unit, slice_):
        self.scopes.append(unit)
        self.popened.append(self.m.popen("systemd-run", "--quiet", "--scope", "--collect", f"--unit={unit}", f"--slice={slice_}",
                                         "--", *self.m.script("actor", name)))
        self.wait_for(name)

    def wait_for(self, name):
        wait_until(lambda: self.m.run("test", "-S", f"/run/actor-{name}", check=False).returncode == 0, f"{name} runs")

    def tell(self, name, *lines):
        answer = self.m.run("python3", "-c", TELL, name, "\n".join(lines)).stdout.strip()
        assert answer == "ok", f"{name}: {answer}\n{self.m.explain(f'{name}.service')}"

    def everything_was_seen(self):
        """There was a full sweep since: one that saw a connection made now."""
        if "bait" not in self.m.started:
            self.actor("bait")
        self.tell("bait", f"s = tcp({SENTINEL}); s.connect(('127.0.0.1', {PEER}))")
        wait_until(lambda: (c := self.m.endpoint("sentinel")["collision"]) and c["state"] == "ESTABLISHED", "the sentinel was seen")
        self.tell("bait", "reset(s)")
        wait_until(lambda: not self.m.endpoint("sentinel")["collision"], "its end was seen")

    def end(self):
        for unit in self.scopes:
            self.m.systemctl("stop", unit, check=False)
        for p in self.popened:
            p.wait()


class Case:
    """One reservation, whose port somebody is on: the owner's unit, or others."""

    def __init__(self, scene, n, produce):
        self.x, self.m = scene, scene.m
        self.produce = produce
        self.port = PORT + n
        self.name = f"case{n}"
        self.owner, self.thief, self.other = f"owner{n}", f"thief{n}", f"other{n}"

    def collision(self):
        return self.m.endpoint(self.name)["collision"]

    def alerts(self):
        """Kind and unit of each that there was."""
        return [(e["PORTRESERVED_KIND"], e.get("PORTRESERVED_CULPRIT_UNIT"))
                for e in self.m.events("collision", after=self.x.since) if e["PORTRESERVED_NAME"] == self.name]


@pytest.fixture
def scene(host):
    s = Scene(host)
    yield s
    s.end()


def below(c, name):
    """Into a cgroup that the unit has made for its children."""
    c.x.tell(name, f"os.mkdir('/sys/fs/cgroup/system.slice/{name}.service/child')", f"move('/system.slice/{name}.service/child')")


def squatter(c):
    c.x.actor(c.thief)
    c.x.tell(c.thief, f"s = listener({c.port})")


def ephemeral(c):
    c.x.actor(c.thief)

    def steal():
        c.x.tell(c.thief, f"s = stolen({c.port}, {PEER})")
        return c.m.run("python3", "-c", TELL, c.thief, "s.getsockname()").stdout.strip() == "ok"
    wait_until(steal, "the theft")


def squatters_child(c):
    c.x.actor(c.thief, "Delegate=yes")
    below(c, c.thief)
    c.x.tell(c.thief, f"s = listener({c.port})")


def squatter_by_mptcp(c):
    c.x.actor(c.thief)
    c.x.tell(c.thief, f"s = listener({c.port}, protocol=MPTCP)")


def moved_away(c):
    """Where a process is later does not matter: its socket keeps the unit that it was made in."""
    squatter(c)
    c.x.actor(c.other, "Delegate=yes")
    c.x.tell(c.thief, f"move('/system.slice/{c.other}.service')")


def docker(c):
    c.x.scope(c.thief, f"docker-{CONTAINER}.scope", "system.slice")
    c.x.tell(c.thief, f"s = listener({c.port})")


def nspawn(c):
    c.x.scope(c.thief, "machine-box.scope", "machine.slice")
    c.x.tell(c.thief, f"s = listener({c.port})")


def session(c):
    c.x.scope(c.thief, "session-7.scope", "user-1.slice")
    c.x.tell(c.thief, f"s = listener({c.port})")


# What makes it: kind, state, unit.
COLLISIONS = {
    squatter: ("squatter", "LISTEN", "{thief}.service"),
    ephemeral: ("ephemeral", "ESTABLISHED", "{thief}.service"),
    squatters_child: ("squatter", "LISTEN", "{thief}.service"),
    squatter_by_mptcp: ("squatter", "LISTEN", "{thief}.service"),
    moved_away: ("squatter", "LISTEN", "{thief}.service"),
    docker: ("squatter", "LISTEN", f"docker-{CONTAINER}.scope"),
    nspawn: ("squatter", "LISTEN", "machine-box.scope"),
    session: ("squatter", "LISTEN", "session-7.scope"),
}


def test_collisions(scene):
    cases = [Case(scene, n, p) for n, p in enumerate(COLLISIONS)]
    scene.serve(cases)
    for c in cases:
        c.produce(c)
    for c in cases:
        kind, state, unit = COLLISIONS[c.produce]
        unit = unit.format(thief=c.thief)
        h = wait_until(c.collision, f"{c.produce.__name__}: collision")
        assert (h["kind"], h["state"], h["unit"]) == (kind, state, unit), c.produce.__name__
        wait_until(lambda c=c: c.collision()["pid"], f"{c.produce.__name__}: the process, by portreserved-inspect")
    scene.everything_was_seen()
    for c in cases:
        kind, _, unit = COLLISIONS[c.produce]
        assert c.alerts() == [(kind, unit.format(thief=c.thief))], c.produce.__name__


def accept(c, **how):
    """A client of the owner's, that is served."""
    c.x.tell("peer", f"c{c.port} = connected({c.port}, **{how})")
    c.x.tell(c.owner, "a, _ = s.accept()")


def owner(c):
    c.x.actor(c.owner)
    c.x.tell(c.owner, f"s = listener({c.port})")
    accept(c)


def owner_stops_listening(c):
    owner(c)
    c.x.tell(c.owner, "s.close()")


def owners_child(c):
    c.x.actor(c.owner, "Delegate=yes")
    below(c, c.owner)
    c.x.tell(c.owner, f"s = listener({c.port})")
    accept(c)


def owner_by_mptcp(c):
    c.x.actor(c.owner)
    c.x.tell(c.owner, f"s = listener({c.port}, protocol=MPTCP)")
    accept(c, protocol=262)
    c.x.tell(c.owner, "s.close()")


def owner_passes_on(c):
    """To a unit that goes on with the connection while the owner is stopped: its cgroup goes."""
    owner_stops_listening(c)
    c.x.actor(c.other)
    c.x.tell(c.owner, f"give('{c.other}', a, 'a = socket.socket(fileno=os.dup(fds[0]))')", "a.close()")
    c.x.everything_was_seen()
    c.m.finish(c.owner)


def owner_restarts(c):
    """And is started again: what its former run accepted is no thief's."""
    owner_passes_on(c)
    c.x.actor(c.owner)
    c.x.tell(c.owner, f"s = listener({c.port})")


def moved_to_owner(c):
    """Its socket was made in another unit, which it has left since. Only its process tells."""
    c.x.actor(c.owner, "Delegate=yes")
    c.x.actor(c.other)
    c.x.tell(c.other, "s = tcp()", f"move('/system.slice/{c.owner}.service')", f"s.bind(('127.0.0.1', {c.port}))", "s.listen()")


def owner_moves(c):
    owner(c)
    c.x.actor(c.other, "Delegate=yes")
    c.x.tell(c.owner, f"move('/system.slice/{c.other}.service')")


NONE = owner, owner_stops_listening, owners_child, owner_by_mptcp, owner_passes_on, owner_restarts, moved_to_owner, owner_moves


def test_no_collisions(scene):
    cases = [Case(scene, n, p) for n, p in enumerate(NONE)]
    scene.serve(cases)
    for c in cases:
        c.produce(c)
    scene.everything_was_seen()
    for c in cases:
        assert (c.alerts(), c.collision()) == ([], None), c.produce.__name__
    # A daemon that was started since has never known the cgroup of who passed its connection on: nobody is accused, and where the
    # owner listens again, there is nothing to tell.
    scene.since = scene.m.cursor()
    scene.m.systemctl("restart", "portreserved.service")
    gone = cases[NONE.index(owner_passes_on)]
    h = wait_until(gone.collision, "collision")
    assert (h["kind"], h["state"]) == ("unknown", "ESTABLISHED")
    scene.everything_was_seen()
    for c in cases:
        alerts = c.alerts()
        assert [kind for kind, _ in alerts] == (["unknown"] if c is gone else []), c.produce.__name__


def test_unit_of_a_user(scene):
    """A user's own service is not the system's of that name."""
    m = scene.m
    c = Case(scene, 0, None)
    scene.serve([c])
    m.unit("user@0.service", USER_MANAGER)
    m.systemctl("daemon-reload")
    m.systemctl("start", "user@0.service")
    m.run("env", "XDG_RUNTIME_DIR=/run/manager", "systemd-run", "--user", "--quiet", "--collect", f"--unit={c.owner}", "--",
          *m.script("actor", "user"))
    scene.wait_for("user")
    scene.tell("user", f"s = listener({c.port})")
    h = wait_until(c.collision, "collision")
    assert (h["kind"], h["unit"], h["user_unit"]) == ("squatter", "user@0.service", f"{c.owner}.service")


def test_vxlan(scene):
    """The kernel's own, set up by a unit that has ended."""
    m = scene.m
    r = m.run("systemd-run", "--quiet", "--wait", "--collect", "sh", "-ec",
              f"ip link add vx0 type vxlan id 5 local 127.0.0.1 dstport {VXLAN} && ip link set vx0 up", check=False)
    if r.returncode != 0:
        pytest.skip(f"no VXLAN here: {r.stderr}")
    try:
        scene.serve([])
        h = wait_until(lambda: m.endpoint("overlay")["collision"], "collision")
        assert (h["kind"], h["state"], h["pid"]) == ("unknown", "UNCONN", None)
    finally:
        m.run("ip", "link", "del", "vx0")
    wait_until(lambda: not m.endpoint("overlay")["collision"], "its end")
