# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `why` tells beside the sockets themselves: declarations of every kind, the kernel's list and who wrote it, for how long remains
stay, what could not be seen; and that its commands do what they are for."""

import itertools
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys

import pytest
import scenes
from conftest import KERNEL_LIST, PORT_RANGE, Ctl, kernel_list, listener, thief, wait_until
from test_why_sockets import assert_prediction, bind_works, sees_bound, why

needs_ss = pytest.mark.skipif(not shutil.which("ss"), reason="ss(8) of iproute2 is missing")


def is_remedy(command):
    """Not those that keep the port from being taken the next time."""
    return "portreserved" not in command


@pytest.fixture
def stranger():
    """A process of its own that has a socket in some state: Python code that leaves it in `s`."""
    started = []

    def run(code):
        p = subprocess.Popen([sys.executable, "-c", f"import signal, socket\n{code}\nprint('ready', flush=True)\nsignal.pause()"],
                             stdout=subprocess.PIPE, text=True)
        started.append(p)
        assert p.stdout.readline() == "ready\n"
        return p

    yield run
    for p in started:
        p.kill()
        p.wait()


@needs_ss
@pytest.mark.parametrize("kind, state", sorted({(k, s) for s, k, _ in scenes.scenes() if k != "server" and s != "UDP connected"}))
def test_remedy_frees_the_port(ctl, kind, state):
    """Of what a connection without SO_REUSEADDR leaves in the way, over IPv4 and IPv6, whoever chose the port."""
    for port, place in (20000, "127.0.0.1"), (20001, "[::1]"):
        scene = scenes.Scene(port, 5000, state, kind, place, False)
        wanted = state.split(",")[0]
        wait_until(lambda: [h["state"] for h in ctl.json("why", port)["holders"]] == [wanted], f"port {port} in {wanted}")
        found = ctl.json("why", port)
        assert found["would_bind"] == "no" and found["would_bind_certain"]
        for command in filter(is_remedy, found["remedy"]):
            subprocess.run(["sh", "-ec", command], check=True, stdout=subprocess.DEVNULL)
        assert ctl.json("why", port)["would_bind"] == "yes"
        for address in ("127.0.0.1", "0.0.0.0"):
            assert bind_works(port, False, address=address)
        scene.end()


@needs_ss
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_remedy_frees_the_port_of_udp(ctl, address):
    """That the kernel gave away, to a socket that is connected."""
    PORT_RANGE.write_text("20000 20000")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((address, 53))
        found = why(ctl, "20000/udp")
        assert (found["would_bind"], found["would_bind_certain"], found["holders"][0]["kind"]) == ("no", True, "ephemeral")
        command, = filter(is_remedy, found["remedy"])
        subprocess.run(["sh", "-ec", command], check=True, stdout=subprocess.DEVNULL)
        assert why(ctl, "20000/udp")["would_bind"] == "yes"


STRANGERS = {
    "listens": "s = socket.create_server(('127.0.0.1', 7000))",
    "has bound it": "s = socket.socket(); s.bind(('127.0.0.1', 7000))",
    "bound first": "l = socket.create_server(('127.0.0.1', 7001)); s = socket.socket(); s.bind(('127.0.0.1', 7000)); "
                   "s.connect(('127.0.0.1', 7001))",
    "UDP": "s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 7000))",
}


@pytest.mark.parametrize("case", STRANGERS)
def test_remedy_stops_the_process(ctl, stranger, case):
    """What keeps its port until its process closes it."""
    protocol = "udp" if case == "UDP" else "tcp"
    p = stranger(STRANGERS[case])
    if protocol == "tcp" and case == "has bound it" and not sees_bound():
        pytest.skip("kernel older than 6.8")
    found = why(ctl, f"7000/{protocol}")
    assert found["would_bind"] == "no" and found["would_bind_certain"]
    assert_prediction(found)
    commands = list(filter(is_remedy, found["remedy"]))
    assert commands == [f"kill {p.pid}"]
    subprocess.run(["sh", "-ec", commands[0]], check=True)
    p.wait()
    found = why(ctl, f"7000/{protocol}")
    assert bind_works(7000, True, protocol) and found["would_bind"] in ("yes", "with-reuseaddr")
    assert_prediction(found)


@needs_ss
def test_remedy_of_many_remains(ctl):
    """A busy server leaves more than anybody wants to type."""
    with socket.create_server(("127.0.0.1", 8000), backlog=64) as server:
        ends = [(socket.create_connection(("127.0.0.1", 8000)), server.accept()[0]) for _ in range(50)]
    for client, accepted in ends:
        accepted.close()
        scenes.hear(client)
        client.close()
    wait_until(lambda: {h["state"] for h in ctl.json("why", 8000)["holders"]} == {"TIME_WAIT"}, "50 remains")
    found = why(ctl, 8000)
    assert found["would_bind"] == "with-reuseaddr" and len(found["holders"]) == 50
    commands = list(filter(is_remedy, found["remedy"]))
    assert len(commands) == 1
    subprocess.run(["sh", "-ec", commands[0]], check=True, stdout=subprocess.DEVNULL)
    assert why(ctl, 8000)["would_bind"] == "yes" and bind_works(8000, False)


def test_remains_say_how_long(ctl):
    """What the kernel's timer says, which is at most what it keeps TIME_WAIT for."""
    scene = scenes.Scene(20000, 5000, "TIME_WAIT", "client", "127.0.0.1", False)
    found = why(ctl, 20000)
    h, = found["holders"]
    assert 0 < h["expires_sec"] <= 60 and h["reuse"] is False
    assert 0 < found["free_sec"] <= 60
    assert re.search(r"no bind\(\) succeeds beside that, not even with SO_REUSEADDR, for another \d+ s", found["reason"])
    scene.end()
    # A connection goes when somebody ends it.
    client, _, _ = thief(20001)
    assert why(ctl, 20001)["free_sec"] is None
    client.close()


def test_with_reuseaddr_says_until_when_without(ctl):
    scene = scenes.Scene(20000, 5000, "TIME_WAIT", "accepted", "127.0.0.1", True)
    found = why(ctl, 20000)
    assert found["would_bind"] == "with-reuseaddr" and found["holders"][0]["reuse"] is True
    assert re.search(r"only a server with SO_REUSEADDR can bind beside that; without it, in \d+ s", found["reason"])
    assert_prediction(found)
    scene.end()


def test_asking_takes_nothing_from_anybody(ctl):
    """A server that wants the port gets it while it is being asked for, all the time."""
    scene = scenes.Scene(20000, 5000, "TIME_WAIT", "accepted", "127.0.0.1", True)
    asked = [subprocess.Popen(ctl.command("why", 20000), stdout=subprocess.DEVNULL) for _ in range(20)]
    tries = 0
    while any(p.poll() is None for p in asked):
        assert bind_works(20000, True)
        tries += 1
    assert tries and all(p.returncode == 0 for p in asked)
    scene.end()


def test_asking_is_in_nobodys_way_elsewhere(ctl):
    """Servers without SO_REUSEADDR at addresses that whoever is there leaves free, while it is being asked for all addresses."""
    if not sees_bound():
        pytest.skip("kernel older than 6.8: who is not listed may be anywhere, and it is asked everywhere")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.2", 20000))
        asked = subprocess.Popen(["sh", "-c", "for i in $(seq 40); do \"$@\" || exit; done", "-", *ctl.command("why", 20000)],
                                 stdout=subprocess.DEVNULL)
        # Each at its own: one that has just gone may still be asked about.
        places = (f"127.{n >> 16 & 127 | 128}.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1))
        while asked.poll() is None:
            assert bind_works(20000, False, address=next(places))
        assert asked.returncode == 0
        assert why(ctl, 20000)["would_bind"] == "with-reuseaddr"


@pytest.mark.parametrize("n", [2, 100])
def test_several_at_addresses_of_their_own(ctl, n):
    """Each is asked about where it is; of very many, all at once."""
    if not sees_bound():
        pytest.skip("kernel older than 6.8")
    sockets = [socket.socket() for _ in range(n)]
    for i, s in enumerate(sockets):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((f"127.0.1.{i + 1}", 20000))
    found = why(ctl, 20000)
    assert (found["would_bind"], found["would_bind_certain"]) == ("with-reuseaddr", True)
    assert_prediction(found, "0.0.0.0")
    # What the kernel goes by is the flag as it is now.
    sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    found = why(ctl, 20000)
    assert (found["would_bind"], found["would_bind_certain"]) == ("no", True)
    assert_prediction(found, "0.0.0.0")
    if n == 2:
        assert {h["local"]: h["reuse"] for h in found["holders"]} == {"127.0.1.1:20000": True, "127.0.1.2:20000": False}
    for s in sockets:
        s.close()


def test_by_name_and_by_address(ctl, place):
    services = pathlib.Path("/etc/services").read_text()
    if not re.search(r"^redis\s+6379/tcp", services, re.M) or not re.search(r"^tftp\s+69/udp", services, re.M):
        pytest.skip("/etc/services has no redis and tftp")
    s = listener(6379, "127.0.0.2")
    for name in ("redis", "redis/tcp", 6379):
        assert [h["local"] for h in why(ctl, name)["holders"]] == ["127.0.0.2:6379"]
    assert why(ctl, "tftp")["protocol"] == "udp"
    assert why(ctl, 6379)["would_bind"] == why(ctl, "127.0.0.2:6379")["would_bind"] == "no"
    found = why(ctl, "127.0.0.1:6379")
    assert found["would_bind"] == "yes" and "not in the way" in found["reason"]
    assert_prediction(found, "127.0.0.1")
    config = place / "conf"
    config.write_text("[a]\nListenStream=127.0.0.2:6379\n[b]\nListenStream=127.0.0.3:6379\n")
    names = [why(ctl, f"{a}6379", f"--config={config}")["declared"] for a in ("", "127.0.0.3:", "127.0.0.4:")]
    assert [n and n["name"] for n in names] == ["a", "b", None]
    s.close()


def test_declared_in_a_pool(ctl, place):
    config = place / "conf"
    config.write_text("[Pool ci]\nPorts=20000-20999\n")
    found = why(ctl, 20005, f"--config={config}")
    assert found["declared"] == {"name": "ci", "unit": None, "source": f"{config}:1"}
    assert "in pool ci, in " in ctl("why", 20005, f"--config={config}", code=0).stdout


def test_declared_by_portreserve(ctl, place):
    files = place / "portreserve"
    files.mkdir()
    (files / "cups").write_text("631\n")
    config = place / "conf"
    config.write_text(f"[Daemon]\nPortreserveDirectory={files}\n")
    found = why(ctl, 631, f"--config={config}")
    assert found["declared"]["name"] == "cups" and found["declared"]["source"].startswith(f"{files}/cups")


def test_list_by_whom(daemon, ctl):
    KERNEL_LIST.write_text("50000")
    found = why(ctl, 50000)
    assert (found["reserved"], found["reserved_by"], found["reserved_source"]) == (True, "others", None)
    assert why(ctl, 50001)["reserved_by"] is None
    d = daemon("[web]\nPorts=50001/tcp\n")
    wait_until(lambda: 50001 in kernel_list(), "the port is reserved")
    assert why(ctl, 50001)["reserved_by"] == "portreserved"
    assert why(ctl, 50000)["reserved_by"] == "others"
    assert "yes, by portreserved" in ctl("why", 50001, code=0).stdout
    d.kill()  # leaves the list and the record
    assert why(ctl, 50001)["reserved_by"] == "portreserved"


def test_list_from_which_file(ctl, place):
    """sysctl.d of a root of our own: in a mount namespace."""
    d = place / "sysctl.d"
    d.mkdir()
    (d / "60-db.conf").write_text("# the database's\nnet.ipv4.ip_local_reserved_ports = 50000,50010-50020\n")
    KERNEL_LIST.write_text("50000,50010-50020,50030")
    code = f"mount --bind {d} /etc/sysctl.d && exec " + " ".join(ctl.command("why", "$0", "--json=short"))
    if not pathlib.Path("/etc/sysctl.d").is_dir():
        pytest.skip("no /etc/sysctl.d")
    sources = [json.loads(subprocess.run(["unshare", "--mount", "sh", "-ec", code, str(p)], capture_output=True, text=True,
                                         check=True).stdout)["reserved_source"] for p in (50000, 50015, 50030)]
    assert sources == ["/etc/sysctl.d/60-db.conf:2"] * 2 + [None]


@pytest.fixture
def plain(ctl, place):
    """why, as a user who may nothing."""
    copy = place / "portreservectl"  # the build directory may be out of reach
    shutil.copy(ctl.command()[0], copy)

    class Plain(Ctl):
        def command(self, *args):
            return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(copy), *super().command(*args)[1:]]

    return Plain(ctl.runtime)


def test_a_plain_user_is_told_what_was_not_seen(plain):
    s = listener(8080)
    found = why(plain, 8080)
    assert any("ask as root" in t for t in found["not_seen"]) and found["would_bind_certain"]
    s.close()


def test_a_plain_user_may_not_read_the_configuration(plain, ctl, place):
    config = place / "conf"
    config.write_text("[web]\nPorts=8080/tcp\n")
    config.chmod(0o600)
    found = why(plain, 8080, f"--config={config}")
    assert found["declared"] is None and any(str(config) in t and "ermission" in t for t in found["not_seen"])
    assert why(ctl, 8080, f"--config={config}")["declared"]["name"] == "web"


@pytest.mark.parametrize("reuse", [False, True])
def test_a_plain_user_below_1024(plain, ctl, reuse):
    """There only root may try; remains of a server are guessed to share, since most servers do."""
    scene = scenes.Scene(443, 5000, "TIME_WAIT", "accepted", "127.0.0.1", reuse)
    found = why(plain, 443)
    assert (found["would_bind"], found["would_bind_certain"]) == ("with-reuseaddr", False)
    assert "probably" in found["reason"] and any("ask as root" in t for t in found["not_seen"])
    found = why(ctl, 443)
    assert found["would_bind_certain"] and found["not_seen"] == ([] if sees_bound() else found["not_seen"])
    assert_prediction(found)
    scene.end()


def test_an_ipv6_connection_at_an_ipv4_port(daemon, ctl):
    """Linux lets no server bind 0.0.0.0 beside an IPv6 connection whose port the kernel chose, which therefore is a collision. One that
    was bound first, and those of a server for IPv6 alone, are in nobody's way."""
    ports = thiefs, bound, served = 48121, 48122, 48123
    with socket.create_server(("::1", 7000), family=socket.AF_INET6) as server:
        first = scenes.opened(scenes.TCP, "[::1]", False, bound)
        first.connect(("::1", 7000))
        neighbour = scenes.opened(scenes.TCP, "[::] v6only", True, served)
        neighbour.listen()
        client = socket.create_connection(("::1", served))
        accepted = neighbour.accept()[0]
        thief6 = scenes.Scene(thiefs, 5000, "ESTABLISHED", "client", "[::1]", False)
        d = daemon("".join(f"[p{p}]\nListenStream=0.0.0.0:{p}\nHold=none\n" for p in ports))
        wait_until(lambda: d.state()["collisions"], "the collision is seen")
        collision, = [e["collision"] for p in ports for e in d.endpoints(f"p{p}") if e["collision"]]
        assert (collision["kind"], collision["local"]) == ("ephemeral", f"[::1]:{thiefs}")
        for port in ports:
            found = why(ctl, port)
            assert_prediction(found, "0.0.0.0")
            assert found["would_bind"] == ("no" if port == thiefs else "yes")
        thief6.end()
        wait_until(lambda: not d.state()["collisions"], "it is over")
        assert [e["port"] for e in d.events("collision")] == [thiefs]
        for s in first, client, accepted, neighbour:
            s.close()
