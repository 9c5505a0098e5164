# SPDX-License-Identifier: LGPL-2.1-or-later
"""Evict= and portreservectl evict: thieves are cut, nobody else is, and what stays is said."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time

import actors
import pytest

from conftest import USER, listener, only_ports, thief, wait_until
from test_inspect import FOUND
from test_inspect_daemon import asking, fake, reply  # noqa: F401 (fixtures)

PORT = 48121
OWNER = 4242     # a reservation's User=
STRANGER = 4343  # nobody's
MARK = 48130     # where looks() has something seen
PID = None if USER else os.getpid()  # as far as the daemon may know it


@pytest.fixture
def cgroups():
    root = actors.cgroup_root()
    if not root:
        pytest.skip("no cgroup v2 here")
    made = actors.Cgroups(root)
    yield made
    made.done()


@pytest.fixture
def unit(cgroups):
    """with unit("thief.service"): sockets made there are that unit's. A socket keeps the cgroup in which it was made."""
    home = cgroups.root / pathlib.Path("/proc/self/cgroup").read_text().split("0::/", 1)[1].split("\n", 1)[0]

    @contextlib.contextmanager
    def enter(name):
        actors.move(cgroups.make(name))
        try:
            yield
        finally:
            actors.move(home)

    return enter


def config(evict, more="", hold="none"):
    return f"[Daemon]\nScanIntervalSec=50ms\n[app]\nPorts={PORT}/tcp\nHold={hold}\nEvict={evict}\n[mark]\nPorts={MARK}/tcp\n{more}"


def client_from(port, server_port, address="127.0.0.1", kind=socket.SOCK_STREAM):
    """A connection that the kernel gives this port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with only_ports(port):
        s = socket.socket(family, kind)
        s.connect((address, server_port))
    assert s.getsockname()[1] == port
    return s


def is_cut(s):
    """Has SOCK_DESTROY, or the reset that it sends, ended it? A peer's close alone does not."""
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7  # TCP_CLOSE


def looks(d):
    """Lets two looks pass: what was to happen by then has."""
    seen = len(d.events("resolved"))
    with listener(MARK, "127.0.0.9"):
        wait_until(lambda: any(e["port"] == MARK for e in d.events("collision")), "a look")
    wait_until(lambda: len(d.events("resolved")) > seen, "another look")


# By Evict=


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("evict", ["ephemeral", "any"])
def test_thief_is_cut_and_the_port_held_at_once(daemon, unit, evict, address):
    server = listener(6379, address)
    with unit("thief.service"):
        client = client_from(PORT, 6379, address)
    accepted, _ = server.accept()
    d = daemon(config(evict, hold="bound"))
    d.wait_state("app", "exclusive")
    assert is_cut(client)
    wait_until(lambda: is_cut(accepted), "its peer hears of it")
    event, = wait_until(lambda: d.events("evicted"), "it is told")
    assert (event["name"], event["port"], event["protocol"]) == ("app", PORT, "tcp")
    assert (event["holder"]["unit"], event["holder"]["kind"], event["holder"]["state"]) == ("thief.service", "ephemeral", "ESTABLISHED")
    assert event["holder"]["pid"] == PID
    assert f"app: tcp *:{PORT} was cleared of " in d.log()
    wait_until(lambda: d.events("resolved"), "the collision ends")


def test_mptcp(daemon, unit):
    """What Go programs connect by."""
    server = listener(6379)
    try:
        with unit("thief.service"), only_ports(PORT):
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, actors.MPTCP)
            client.connect(("127.0.0.1", 6379))
    except OSError as e:
        pytest.skip(f"no MPTCP here: {e}")
    accepted, _ = server.accept()
    d = daemon(config("ephemeral", hold="bound"))
    d.wait_state("app", "exclusive")
    wait_until(lambda: is_cut(accepted), "its peer hears of it")
    event, = wait_until(lambda: d.events("evicted"), "it is told")
    assert event["holder"]["unit"] == "thief.service"


def test_not_without_evict(daemon, unit):
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d = daemon(config("no"))
    wait_until(lambda: d.events("collision"), "it is seen")
    looks(d)
    assert not is_cut(client)
    assert not d.events("evicted")


def test_thief_that_closed_first(daemon, unit):
    """Its remains in TIME_WAIT are in the way as well, and no event tells of their end."""
    with unit("thief.service"):
        client, accepted, _ = thief(PORT, 6379)
    client.close()
    accepted.close()
    d = daemon(config("ephemeral", hold="bound"))
    d.wait_state("app", "exclusive")


def test_thief_after_drift(daemon, unit):
    """A list that somebody empties for a moment is when a thief gets in."""
    d = daemon(config("ephemeral"))
    d.stop()
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d.start()
    wait_until(lambda: is_cut(client), "it is cut")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_collision_ends_though_its_process_keeps_the_socket(daemon, unit, kind):
    """No destroy event comes before it closes it, and no dump for an hour."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 6379))
        if kind == socket.SOCK_STREAM:
            server.listen()
        with unit("thief.service"):
            client = client_from(PORT, 6379, kind=kind)
        d = daemon(config("ephemeral").replace("50ms", "1h").replace("/tcp", ""))
        wait_until(lambda: d.events("evicted"), "it is evicted")
        wait_until(lambda: d.events("resolved"), "the collision ends")
        assert client.fileno() >= 0


def test_collision_of_remains_ends_with_them(daemon, unit):
    """The kernel tells of the end of no TIME_WAIT."""
    with unit("thief.service"):
        client, accepted, _ = thief(PORT, 6379)
    client.close()
    accepted.close()
    d = daemon(config("no").replace("50ms", "1h"))
    assert [e["holder"]["kind"] for e in d.events("collision")] == ["stale"]
    d.ctl("evict", PORT, code=0)
    wait_until(lambda: d.events("resolved"), "the collision ends")


def test_collisions_that_became_remains_end_with_them(daemon, unit):
    """Each of them, though one line tells of all."""
    server, other = listener(6379), listener(6380)
    with unit("thief.service"):
        thieves = [client_from(PORT, 6379), client_from(PORT, 6380)]
    accepted = [server.accept()[0], other.accept()[0]]
    d = daemon(config("no").replace("50ms", "1h"))
    assert len(d.events("collision")) == len(thieves)
    for s in *thieves, *accepted:
        s.close()
    wait_until(lambda: d.endpoints("app")[0]["collision"]["kind"] == "stale", "remains are left")
    d.ctl("evict", PORT, code=0)
    wait_until(lambda: len(d.events("resolved")) == len(thieves), "both collisions end")


def test_reload_that_brings_evict(daemon, unit):
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d = daemon(config("no"))
    wait_until(lambda: d.events("collision"), "it is seen")
    d.configure(config("ephemeral"))
    d.ctl("reload", code=0)
    wait_until(lambda: is_cut(client), "it is cut")


@pytest.mark.parametrize("reload", [False, True])
def test_who_is_evicted_is_told_first(asking, fake, unit, reload):  # noqa: F811
    """With the name that was asked for, at the start and by a reload as well."""
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    f = fake(lambda _: None)
    d = asking(config("no" if reload else "ephemeral"))
    wait_until(lambda: f.waiting, "it asks")
    if reload:
        d.configure(config("ephemeral"))
        d.ctl("reload", code=0)
    f.say(reply(FOUND, pid=os.getpid(), uid=0, started=1, texts=b"/thief.service\0/usr/bin/thief\0thief\0"))
    wait_until(lambda: d.events("resolved"), "it is over")
    told_of = [e for e in d.events() if e["event"] in ("collision", "evicted", "resolved")]
    assert [e["event"] for e in told_of] == ["collision", "evicted", "resolved"]
    # Without a name where this test had no second's time to answer.
    assert told_of[1]["holder"]["pid"] == told_of[0]["holder"]["pid"]


def test_owner_is_never_cut(daemon, unit):
    """Neither its listener, nor what it accepted, nor that after the listener has closed; nor what it connects from the port."""
    with unit("app.service"):
        server = listener(PORT)
        client = socket.create_connection(("127.0.0.1", PORT))
        accepted, _ = server.accept()
    d = daemon(config("any"))
    assert d.ctl("evict", PORT, code=0).stdout == f"{PORT}/tcp: nobody is on it who should not be\n"
    server.close()
    looks(d)
    assert d.ctl("evict", PORT, code=0).stdout == f"{PORT}/tcp: nobody is on it who should not be\n"
    accepted.sendall(b"x")
    assert client.recv(1) == b"x"
    accepted.close()
    client.close()
    assert not d.events("evicted")


def test_who_may_be_the_owner_is_not_cut(daemon):
    """In the root cgroup is everybody: nobody can tell."""
    client, accepted, server = thief(PORT, 6379)
    d = daemon(config("any"))
    if d.endpoints("app")[0]["collision"]["cgroup"] != "/":
        pytest.skip("this process is not in the root cgroup")
    wait_until(lambda: "it may be the owner's" in d.log(), "that is said")
    r = d.ctl.json("evict", PORT, code=1)
    assert "may be the owner's" in r["left"][0]["reason"]
    assert not is_cut(client)


def test_user_tells_where_no_cgroup_does(daemon):
    client, accepted, server = thief(PORT, 6379)
    d = daemon(f"[Daemon]\nScanIntervalSec=50ms\n[app]\nPorts={PORT}/tcp\nUser={OWNER}\nHold=shared\nEvict=ephemeral\n")
    d.wait_state("app", "sharing")
    assert is_cut(client)


def test_squatters(daemon, unit):
    """Evict=ephemeral leaves who asked for the port; Evict=any cuts their connections, no servers; both say who has to be stopped."""
    with unit("squatter.service"):
        server = listener(PORT, "127.0.0.2")
        inside = socket.create_connection(("127.0.0.2", PORT))
        served, _ = server.accept()
        other = listener(6379)
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", PORT))
        bound.connect(("127.0.0.1", 6379))
        accepted, _ = other.accept()
    d = daemon(config("ephemeral"))
    wait_until(lambda: d.log().count("Evict=ephemeral leaves ") >= 2, "both are named")
    assert d.log().count("What to do: systemctl stop squatter.service") >= 2
    assert "it serves there, and has to be stopped" in d.log()
    assert "Evict= does not allow to close it" in d.log()
    assert not is_cut(bound) and not d.events("evicted")
    d.configure(config("any"))
    d.ctl("reload", code=0)
    wait_until(lambda: is_cut(bound), "the connection is cut")
    wait_until(lambda: is_cut(accepted), "its peer hears of it")
    event, = wait_until(lambda: d.events("evicted"), "it is told")
    assert "keeps it until its process closes it" in event["message"]
    assert event["holder"]["unit"] == "squatter.service"
    looks(d)
    left = [h["local"] for h in d.ctl.json("evict", PORT, code=1)["left"]]
    assert left[0] == f"127.0.0.2:{PORT}" and len(left) <= 2, "its clients are no news"
    served.sendall(b"x")
    assert inside.recv(1) == b"x"
    assert socket.create_connection(("127.0.0.2", PORT)), "the server serves on"
    # It is as the kernel says: still not free.
    probe = socket.socket()
    with pytest.raises(OSError):
        probe.bind(("127.0.0.1", PORT))
    bound.close()
    probe.bind(("127.0.0.1", PORT))
    assert len(d.events("evicted")) == 1


def test_udp(daemon, unit):
    """Of UDP the kernel's choice goes, connected or not; who asked for the port stays."""
    text = f"[Daemon]\nScanIntervalSec=50ms\n[app]\nPorts={PORT}-{PORT + 2}/udp\nEvict=ephemeral\n"
    with unit("thief.service"):
        connected = client_from(PORT, 53, kind=socket.SOCK_DGRAM)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with only_ports(PORT + 1):
            sender.sendto(b"x", ("127.0.0.1", 53))
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", PORT + 2))
    d = daemon(text)
    wait_until(lambda: len(d.events("evicted")) == 2, "both are evicted")
    for port, ok in ((PORT, True), (PORT + 1, True), (PORT + 2, False)):
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if ok:
            probe.bind(("0.0.0.0", port))
        else:
            with pytest.raises(OSError):
                probe.bind(("0.0.0.0", port))
        probe.close()
    assert connected.getsockname()[1] != PORT
    assert "keeps the port until its process closes it" in d.log()


def test_without_the_capability(daemon, unit):
    """The kernel's refusal is said, once, and nothing is called evicted."""
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d = daemon(config("ephemeral"), start=False)
    command = d.command
    d.command = lambda: ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--ambient-caps=-all", *command()] \
        if not USER else [w.replace(",+net_admin", "").replace("+net_admin,", "") for w in command()]
    d.start()
    wait_until(lambda: "Operation not permitted. What to do: portreservectl why" in d.log(), "the refusal is said")
    looks(d)
    assert d.log().count("Operation not permitted. What to do") == 1
    r = d.ctl.json("evict", PORT, code=1)
    assert r["evicted"] == [] and r["left"][0]["reason"] == "Operation not permitted"
    assert not is_cut(client) and not d.events("evicted")


def test_other_addresses_are_left(daemon, unit):
    text = (f"[Daemon]\nScanIntervalSec=50ms\n[app]\nListenStream=127.0.0.2:{PORT}\nHold=none\nEvict=any\n"
            f"[mark]\nPorts={MARK}/tcp\n")
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d = daemon(text)
    looks(d)
    assert d.ctl("evict", PORT, code=0).stdout == f"{PORT}/tcp: nobody is on it who should not be\n"
    assert not is_cut(client)


def test_a_thousand_thieves(daemon, unit):
    """They go at a limited rate, which is said, and counted."""
    first, n = 40000, 1000
    server = listener(6379, backlog=n)
    clients = []
    with unit("thief.service"), only_ports(first, first + n - 1):
        for _ in range(n):
            s = socket.socket()
            s.connect(("127.0.0.1", 6379))
            clients.append(s)
    assert len({s.getsockname()[1] for s in clients}) == n
    begin = time.monotonic()
    d = daemon(f"[Daemon]\nScanIntervalSec=50ms\n[app]\nPorts={first}-{first + n - 1}/tcp\nEvict=ephemeral\n")
    wait_until(lambda: "more sockets are to be closed by Evict=" in d.log(), "the limit is said")
    wait_until(lambda: d.state()["evictions"]["waiting"] > 0, "it is counted")
    evictions = d.state()["evictions"]
    assert evictions["evicted"] <= 100 * (1 + (time.monotonic() - begin) // 10)
    assert evictions["waiting"] == n - evictions["evicted"]
    assert sum(map(is_cut, clients)) >= 100
    assert d.log().count(" was cleared of ") >= 100, "each is logged"

    def by_hand():
        """Of one that is still there."""
        return d.ctl("evict", next(s.getsockname()[1] for s in reversed(clients) if not is_cut(s))).stdout

    wait_until(lambda: "too many have been closed" in by_hand(), "by hand it is not faster")
    wait_until(lambda: d.state()["evictions"]["evicted"] > evictions["evicted"], "the rest goes later")


# By hand


def test_dry_run_changes_nothing(daemon, unit):
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
    d = daemon(config("no"))
    r = d.ctl.json("evict", PORT, "--dry-run")
    assert list(r) == ["port", "protocol", "name", "dry_run", "evicted", "left", "remedy", "free"]
    assert (r["port"], r["protocol"], r["name"], r["dry_run"], r["free"]) == (PORT, "tcp", "app", True, True)
    holder, = r["evicted"]
    assert (holder["unit"], holder["state"], holder["reason"], holder["count"]) == ("thief.service", "ESTABLISHED", None, 1)
    assert r["left"] == [] and r["remedy"] == []
    text = d.ctl("evict", f"{PORT}/tcp", "--dry-run", code=0).stdout
    assert text.startswith(f"{PORT}/tcp: would be free\n would close: thief.service")
    assert not is_cut(client) and not d.events("evicted")
    r = d.ctl.json("evict", PORT)
    assert r["dry_run"] is False and r["evicted"][0]["pid"] == PID
    assert is_cut(client)
    wait_until(lambda: d.events("evicted"), "it is logged")
    assert d.ctl("evict", PORT, code=0).stdout == f"{PORT}/tcp: nobody is on it who should not be\n"


@pytest.mark.parametrize("remains", [False, True])
def test_why_names_it(daemon, ctl, unit, remains):
    """Where the daemon runs and the port is declared; else ss(8) does it."""
    with unit("thief.service"):
        client, accepted, server = thief(PORT, 6379)
        other = client_from(48140, 6379)
    if remains:
        client.close()
        accepted.close()
    command = f"portreservectl evict {PORT}/tcp"
    assert ctl.json("why", PORT)["remedy"][0].startswith("ss --kill ")
    # What is to be held is freed of remains in any case.
    d = daemon(config("no", hold="none" if remains else "bound"))
    wait_until(lambda: d.events("collision"), "the collision is seen")
    assert ctl.json("why", PORT)["remedy"] == [command]
    for verb, code in ("status", 8), ("show", 0):
        text = ctl(verb, "app", code=code).stdout
        assert f"to free it: {command}\n" in text and "ss --kill" not in text
    assert ctl.json("why", 48140)["remedy"][0].startswith("ss --kill ")
    ctl.shell(command)
    found = ctl.json("why", PORT)
    assert found["remedy"] == [] and all(h["kind"] == "hold" for h in found["holders"])
    other.close()


def test_what_cannot_be_freed(daemon, unit):
    with unit("squatter.service"):
        bound = socket.socket()
        bound.bind(("127.0.0.1", PORT))
    d = daemon(config("any"))
    if "bound-inactive" in " ".join(d.state()["features"] + d.state()["degraded"]):
        pytest.skip("this kernel does not list bound sockets (6.8)")
    r = d.ctl.json("evict", PORT, code=1)
    assert r["free"] is False and r["evicted"] == []
    assert "bound without a connection" in r["left"][0]["reason"]
    assert r["remedy"] == ["systemctl stop squatter.service"]
    text = d.ctl("evict", PORT, code=1).stdout
    assert text.startswith(f"{PORT}/tcp: not free\n") and "What to do: systemctl stop squatter.service" in text


def test_undeclared_port(daemon, unit):
    """Only what the kernel gave away, and remains: never a server, nor whoever asked for the port."""
    with unit("thief.service"):
        client, accepted, server = thief(5000, 6379)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 5001))
        bound.connect(("127.0.0.1", 6379))
    d = daemon(config("any"))
    assert d.ctl.json("evict", 6379, code=1)["evicted"] == []
    assert not is_cut(accepted)
    assert d.ctl.json("evict", 5001, code=1)["evicted"] == []
    assert not is_cut(bound)
    r = d.ctl.json("evict", 5000)
    assert r["name"] is None and r["evicted"][0]["local"] == "127.0.0.1:5000"
    assert is_cut(client)
    wait_until(lambda: d.events("evicted"), "it is logged")
    assert d.events("evicted")[0]["name"] is None
    assert server.getsockname()[1] == 6379
    r = d.ctl.json("evict", 5002, code=4)
    assert r["error"] == "NotFound" and "nobody is on it" in r["message"]


def test_remains_are_one_line(daemon):
    server = listener(6379)
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", 6379))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    server.close()
    d = daemon(config("no"))
    r = d.ctl.json("evict", 6379)
    holder, = r["evicted"]
    assert (holder["state"], holder["count"]) == ("TIME_WAIT", 5)
    wait_until(lambda: d.events("evicted"), "it is logged")
    assert "with 4 more remains" in d.events("evicted")[0]["message"]


def ctl_as(uid, d, *args):
    return subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", *d.ctl.command(*args)], capture_output=True, text=True, timeout=60,
                          check=False)


def test_who_may(daemon, unit):
    """A User= frees its own reservation's ports, as far as Evict= goes; others are not even let in."""
    # So seldom are they looked for that the daemon does not come first.
    d = daemon(f"[Daemon]\nScanIntervalSec=1h\n[mine]\nPorts={PORT}/tcp\nUser={OWNER}\nEvict=any\n"
               f"[meek]\nPorts=5000/tcp\nUser={OWNER}\n[other]\nPorts=5001/tcp\nEvict=any\n")
    server = listener(6379)
    thieves = {}
    with unit("thief.service"):
        for port in PORT, 5000, 5001:
            thieves[port] = socket.socket()
            thieves[port].bind(("127.0.0.1", port))
            thieves[port].connect(("127.0.0.1", 6379))
    if ctl_as(OWNER, d, "status").returncode in (126, 127):
        pytest.skip("the build directory is out of other users' reach")
    for port, words in ((5000, "has no Evict="), (5001, "only root"), (5002, "only root")):
        for more in (), ("--dry-run",):
            r = ctl_as(OWNER, d, "evict", port, *more)
            assert r.returncode == 5 and words in r.stderr, r.stderr
    assert ctl_as(STRANGER, d, "evict", PORT).returncode == 5
    assert not any(map(is_cut, thieves.values()))
    assert f"Denied to uid {OWNER}" in d.log()
    r = ctl_as(OWNER, d, "evict", PORT)
    assert r.returncode == 1 and "keeps it until its process closes it" in r.stdout, r.stderr
    assert [is_cut(s) for s in thieves.values()] == [True, False, False]
    assert server.getsockname()[1] == 6379
