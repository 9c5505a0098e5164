# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreservectl ephemeral against pools that are really used up: what it says is left is what the kernel still gives."""

import errno
import json
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess

import pytest

from conftest import DEADLINE, KERNEL_LIST, PORT_RANGE, SOURCE, listener, program, wait_until

FIRST, LAST = 20000, 20099
IP_BIND_ADDRESS_NO_PORT = 24
REUSE = pathlib.Path("/proc/sys/net/ipv4/tcp_tw_reuse")
ANYWHERE = ("127.0.0.3", 1)  # nobody is connected to it but who asks


@pytest.fixture
def pool():
    """A range of 100 ports, and what connects from it."""
    p = Pool()
    yield p
    p.close()


class Pool:
    def __init__(self, first=FIRST, last=LAST):
        PORT_RANGE.write_text(f"{first} {last}")
        self.sockets = []
        self.servers = [listener(port, "0.0.0.0", backlog=4096) for port in (1, 2, 3)]

    def one(self, to, source=None, options=(), kind=socket.SOCK_STREAM, family=socket.AF_INET):
        """One more connection to there; False where the kernel has no port for it."""
        s = socket.socket(family, kind)
        for option in options:
            s.setsockopt(*option)
        try:
            if source:
                s.bind((source, 0))
            if to:
                s.connect(to)
        except OSError as e:
            s.close()
            assert e.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EAGAIN), e
            return False
        self.sockets.append(s)
        return True

    def fill(self, to, n=1000, **how):
        """So many more, or as many as there are ports for; how many."""
        return next((i for i in range(n) if not self.one(to, **how)), n)

    def more(self, to, **how):
        """How many more there could be. They are gone without remains afterwards."""
        before = len(self.sockets)
        n = self.fill(to, **how)
        self.drop(before)
        return n

    def drop(self, keep=0):
        for s in self.sockets[keep:]:
            if s.type == socket.SOCK_STREAM:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        del self.sockets[keep:]

    def close(self):
        self.drop()
        for s in self.servers:
            s.close()


def to(port):
    return ("127.0.0.1", port)


def destination(found, remote, protocol="tcp"):
    return next(d for d in found["destinations"] if (d["protocol"], d["remote"]) == (protocol, remote))


def test_nothing_in_use(ctl, pool):
    found = ctl.json("ephemeral")
    assert (found["first"], found["last"], found["reserved"], found["left"]) == (FIRST, LAST, 0, 100)
    assert found["tcp"] == {"sockets": 0, "time_wait": 0, "ports": 0, "exclusive": 0, "left_bind": 100, "left_connect": 100,
                            "used_percent": 0}
    assert found["udp"] == {"sockets": 0, "ports": 0, "left": 100, "used_percent": 0}
    assert found["destinations"] == found["advice"] == []
    assert (found["reserved_ours"], found["reserved_foreign"]) == (0, 0)
    text = ctl("ephemeral", code=0).stdout
    assert "20000 to 20099, 100 ports" in text and "Nobody runs short" in text and "administrator" in text
    assert ctl("ephemeral", "-q", code=0).stdout == ""


def test_json_is_as_the_page_says(ctl, pool):
    pool.fill(to(1), 90)
    pool.fill(to(9), 5, kind=socket.SOCK_DGRAM)

    def keys(value):
        if isinstance(value, list):
            return set().union(*map(keys, value))
        return {k for key, v in value.items() for k in {key} | (set() if key == "holder" else keys(v))} if isinstance(value, dict) else set()
    page = (SOURCE / "docs/portreservectl.1.scd").read_text()
    shape = page.split("\n*ephemeral*; ")[1].split("```")[1]
    assert keys(ctl.json("ephemeral")) == set(re.findall(r'"(\w+)"', shape))


@pytest.mark.parametrize("n", [1, 37, 50, 51, 99, 100])
def test_connect_uses_up_one_destination(ctl, pool, n):
    assert pool.fill(to(1), n) == n
    found = ctl.json("ephemeral")
    one = destination(found, "127.0.0.1:1")
    assert (one["sockets"], one["local"], one["binds_first"], one["left"]) == (n, "127.0.0.1", False, 100 - n)
    assert one["used_percent"] == n and one["holder"]["pid"] == os.getpid()
    assert found["tcp"]["ports"] == n and found["tcp"]["exclusive"] == 0 and found["tcp"]["left_connect"] == 100
    assert pool.more(to(1)) == one["left"]
    assert pool.more(to(2)) == found["tcp"]["left_connect"]
    assert pool.more(None, source="0.0.0.0") == found["tcp"]["left_bind"] == 100 - n


def test_exhausted(ctl, pool):
    assert pool.fill(to(1)) == 100
    text = ctl("ephemeral", code=0).stdout
    assert re.search(r"^tcp +127\.0\.0\.1 +127\.0\.0\.1:1 +100 +0 +0 +100% +connect ", text, re.M), text
    assert "sysctl -w net.ipv4.ip_local_port_range='10240 65535'" in text
    found = ctl.json("ephemeral")
    assert found["sees_bound"] == (tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 8))
    assert list(found["advice"][0]) == ["message", "command"] and "each other address" in found["advice"][0]["message"]


def test_the_advised_range_is_one_that_the_kernel_takes(ctl, pool):
    pool.fill(to(1))
    command = ctl.json("ephemeral")["advice"][-1]["command"]
    left = int(re.search(r"brings (\d+) ports more", ctl.json("ephemeral")["advice"][-1]["message"]).group(1))
    subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
    assert PORT_RANGE.read_text().split() == ["10240", "65535"]
    found = ctl.json("ephemeral")
    assert found["left"] == 100 + left and destination(found, "127.0.0.1:1")["used_percent"] == 0


@pytest.mark.parametrize("n", [1, 30, 50, 60, 95, 100])
def test_bind_uses_up_all(ctl, pool, n):
    assert pool.fill(to(1), n, source="127.0.0.1") == n
    found = ctl.json("ephemeral")
    one = destination(found, "127.0.0.1:1")
    assert (one["binds_first"], one["left"], one["used_percent"]) == (True, 100 - n, n)
    assert found["tcp"]["exclusive"] == n
    assert pool.more(to(1), source="127.0.0.1") == one["left"]
    assert pool.more(to(2)) == pool.more(ANYWHERE) == found["tcp"]["left_connect"] == 100 - n
    assert any(f"has bound {n} ports" in a["message"] and "IP_BIND_ADDRESS_NO_PORT" in a["message"]
               for a in found["advice"]) == (n >= 50)
    assert [(p["sockets"], p["tcp_exclusive"], p["udp_ports"]) for p in found["programs"]] == [(n, n, 0)]
    assert found["programs"][0]["holder"]["pid"] == os.getpid()


def test_bind_without_port_uses_up_one_destination(ctl, pool):
    how = {"source": "127.0.0.1", "options": [(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)]}
    assert pool.fill(to(1), 70, **how) == 70
    found = ctl.json("ephemeral")
    one = destination(found, "127.0.0.1:1")
    assert (one["binds_first"], one["left"]) == (False, 30)
    assert pool.more(to(1), **how) == 30 and pool.more(to(2), **how) == found["tcp"]["left_connect"] == 100


def test_who_binds_for_many_destinations(ctl, pool):
    """Each with a port or two: more than are tried, and none is busy."""
    PORT_RANGE.write_text("20000 20599")
    for i in range(600):
        assert pool.one((f"127.2.{i // 250}.{i % 250 + 1}", 1 + i % 3), source="127.0.0.1")
    found = ctl.json("ephemeral")
    assert found["tcp"]["exclusive"] == 600 and found["programs"][0]["tcp_exclusive"] == 600
    assert found["tcp"]["left_connect"] == pool.more(ANYWHERE) == 0
    assert any("has bound 600 ports" in a["message"] for a in found["advice"])
    pool.drop(300)
    found = ctl.json("ephemeral")
    assert found["tcp"]["left_connect"] == pool.more(ANYWHERE) == 300


def test_who_binds_beside_who_connects(ctl, pool):
    assert pool.fill(to(1), 70) == 70
    assert pool.fill(to(2), 20, source="127.0.0.1") == 20
    found = ctl.json("ephemeral")
    one, two = destination(found, "127.0.0.1:1"), destination(found, "127.0.0.1:2")
    assert (one["binds_first"], two["binds_first"]) == (False, True)
    assert pool.more(to(1)) == one["left"] == 10
    assert pool.more(to(2), source="127.0.0.1") == two["left"] == 10
    assert pool.more(to(3)) == found["tcp"]["left_connect"] == 80


def test_after_peak(ctl, pool):
    """The halves tell nothing any more: connections came and went."""
    assert pool.fill(to(1)) == 100
    keep = [s for i, s in enumerate(pool.sockets) if i % 10 > 6 or s.getsockname()[1] % 4 == 1]
    gone = [s for s in pool.sockets if s not in keep]
    pool.sockets = gone
    pool.drop()
    pool.sockets = keep
    found = ctl.json("ephemeral")
    one = destination(found, "127.0.0.1:1")
    assert (one["sockets"], one["binds_first"]) == (len(keep), False)
    assert pool.more(to(1)) == one["left"] and pool.more(to(2)) == found["tcp"]["left_connect"] == 100


def test_asking_is_in_nobodys_way(ctl, pool):
    """Servers without SO_REUSEADDR at ports that connections have from another address only, while these are tried."""
    assert pool.fill(to(1), 100, source="127.0.0.9", options=[(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)]) == 100
    # In the other half than where connect() begins: they may have been bound first.
    keep = [s for s in pool.sockets if s.getsockname()[1] % 2][:5]
    pool.sockets = [s for s in pool.sockets if s not in keep]
    pool.drop()
    pool.sockets = keep
    asked = subprocess.Popen(["sh", "-c", "for i in $(seq 100); do \"$@\" || exit; done", "-", *ctl.command("ephemeral", "--quiet")])
    while asked.poll() is None:
        for s in keep:
            with socket.socket() as server:
                server.bind(("127.0.0.1", s.getsockname()[1]))
    assert asked.returncode == 0


def test_another_source_has_the_whole_range(ctl, pool):
    """Bound first at one address, a port is still free for bind() at another, but not for connect() from there."""
    assert pool.fill(to(1), 100, source="127.0.0.1") == 100
    assert pool.fill(to(1), 40, source="127.0.0.9") == 40
    found = ctl.json("ephemeral")
    left = {d["local"]: d["left"] for d in found["destinations"]}
    assert left == {"127.0.0.1": 0, "127.0.0.9": 60} and found["tcp"]["left_connect"] == 0
    assert pool.more(to(1), source="127.0.0.9") == 60 and pool.more(to(2)) == 0


def test_listeners_and_bound_sockets_are_exclusive(ctl, pool):
    held = [listener(FIRST, "127.0.0.7"), listener(FIRST + 1, "::1"), socket.socket()]
    held[2].bind(("127.0.0.8", FIRST + 2))
    client = socket.create_connection(("127.0.0.7", FIRST), source_address=("127.0.0.1", FIRST + 3))
    found = ctl.json("ephemeral")
    unseen = 0 if found["sees_bound"] else 1
    assert found["tcp"]["exclusive"] == 4 - unseen
    assert found["destinations"] == []  # what was not chosen uses no pool up
    assert pool.more(to(1)) == found["tcp"]["left_connect"] - unseen == 96
    for s in (*held, client):
        s.close()


def test_ipv6_and_ipv4_share_ports(ctl, pool):
    server = listener(4, "::1", backlog=200)
    for _ in range(60):
        s = socket.socket(socket.AF_INET6)
        s.connect(("::1", 4))
        pool.sockets.append(s)
    found = ctl.json("ephemeral")
    assert destination(found, "[::1]:4")["left"] == 40
    assert pool.more(to(1)) == found["tcp"]["left_connect"] == 100
    # A dual-stack socket needs a port that is free in both.
    assert found["tcp"]["left_bind"] == 40 == pool.more(None, source="::", family=socket.AF_INET6)
    server.close()


@pytest.mark.parametrize("reuse", ["0", "1", "2"])
def test_time_wait(ctl, pool, reuse):
    REUSE.write_text(reuse)
    assert pool.fill(to(1), 80) == 80
    accepted = [pool.servers[0].accept()[0] for _ in range(80)]
    for s in pool.sockets[:60]:  # this side closes first
        s.close()
    for s in accepted:
        s.close()
    del pool.sockets[:60]

    def waiting():
        d = destination(ctl.json("ephemeral"), "127.0.0.1:1")
        # Of these, tcp_tw_reuse_delay (a second) ago.
        return d["time_wait"] == 60 and (reuse == "0" or d["left"] == 80) and d
    d = wait_until(waiting, "60 in TIME_WAIT")
    assert d["left"] == (20 if reuse == "0" else 80)
    assert pool.more(to(1)) == d["left"]
    found = ctl.json("ephemeral")
    assert pool.more(None, source="0.0.0.0") == found["tcp"]["left_bind"]


def test_time_wait_advice(ctl, pool):
    REUSE.write_text("0")
    assert pool.fill(to(1), 80) == 80
    accepted = [pool.servers[0].accept()[0] for _ in range(80)]
    for s in (*pool.sockets, *accepted):
        s.close()
    del pool.sockets[:]
    wait_until(lambda: ctl.json("ephemeral")["tcp"]["time_wait"] == 80, "80 in TIME_WAIT")
    assert "sysctl -w net.ipv4.tcp_tw_reuse=1" in [a["command"] for a in ctl.json("ephemeral")["advice"]]


def test_remains_of_a_server_that_has_gone(ctl, pool):
    """What is tried must not meet them."""
    assert pool.fill(to(1), 100) == 100
    accepted = [pool.servers[0].accept()[0] for _ in range(100)]
    for s in (*pool.sockets, *accepted, pool.servers.pop(0)):
        s.close()
    del pool.sockets[:]
    found = wait_until(lambda: (f := ctl.json("ephemeral"))["tcp"]["time_wait"] == 100 and f, "100 in TIME_WAIT")
    assert destination(found, "127.0.0.1:1")["binds_first"] is False
    assert pool.more(to(2)) == found["tcp"]["left_connect"] == 100


def test_udp(ctl, pool):
    assert pool.fill(to(9), 40, kind=socket.SOCK_DGRAM) == 40
    assert pool.fill(None, 25, source="0.0.0.0", kind=socket.SOCK_DGRAM) == 25
    found = ctl.json("ephemeral")
    assert found["udp"] == {"sockets": 65, "ports": 65, "left": 35, "used_percent": 65}
    connected, bound = destination(found, "127.0.0.1:9", "udp"), destination(found, None, "udp")
    assert (connected["sockets"], bound["sockets"]) == (40, 25)
    assert connected["binds_first"] is connected["time_wait"] is None
    assert pool.more(to(9), kind=socket.SOCK_DGRAM) == found["udp"]["left"] == connected["left"] == 35
    assert pool.more(to(1)) == found["tcp"]["left_connect"] == 100  # TCP has its own
    assert any("65 UDP ports" in a["message"] for a in found["advice"])


def test_reserved_ports_subtract(ctl, daemon, pool):
    KERNEL_LIST.write_text("20090-20099,30000")
    daemon("[Daemon]\nEphemeralFloor=1\n[a]\nPorts=20000-20009/tcp\nPorts=6379/tcp\n")
    assert pool.fill(to(1), 33) == 33
    found = ctl.json("ephemeral")
    assert (found["reserved"], found["reserved_ours"], found["reserved_foreign"], found["left"]) == (20, 10, 10, 80)
    assert pool.more(to(1)) == destination(found, "127.0.0.1:1")["left"] == 47
    assert "10 by portreserved and 10 by others" in ctl("ephemeral", code=0).stdout


def test_all_reserved(ctl, pool):
    KERNEL_LIST.write_text(f"{FIRST}-{LAST}")
    found = ctl.json("ephemeral")
    assert found["left"] == 0 == pool.more(to(1))
    assert found["tcp"]["used_percent"] == found["udp"]["used_percent"] == 100
    assert any("100 of the 100 ports of the range are reserved" in a["message"] for a in found["advice"])
    ctl("ephemeral", code=0)


def test_widening_would_cover_servers(ctl, pool):
    pool.fill(to(1), 80)
    server = listener(12345, "127.0.0.1")
    advice = ctl.json("ephemeral")["advice"][-1]
    assert advice["command"].startswith("sysctl -w net.ipv4.ip_local_port_range=")
    assert "cover 0 declared ports that the kernel's list does not have, and 1 that somebody listens on" in advice["message"]
    server.close()


def test_widening_would_cover_declared_ports(ctl, daemon, pool):
    d = daemon("[a]\nPorts=15000-15009/tcp\n")
    pool.fill(to(1), 80)
    assert "would cover" not in ctl.json("ephemeral")["advice"][-1]["message"]
    with d.frozen():  # or it would put them back
        KERNEL_LIST.write_text("15005\n")
        message = ctl.json("ephemeral")["advice"][-1]["message"]
    assert "cover 9 declared ports that the kernel's list does not have, and 0 that" in message


@pytest.mark.parametrize("first, last, n", [(20001, 20100, 100), (20000, 20000, 1), (20000, 20001, 2), (65534, 65535, 2)])
def test_ranges(ctl, pool, first, last, n):
    PORT_RANGE.write_text(f"{first} {last}")
    assert ctl.json("ephemeral")["left"] == n == pool.more(to(1))
    pool.fill(to(1))
    found = ctl.json("ephemeral")
    assert destination(found, "127.0.0.1:1")["left"] == 0 and found["tcp"]["left_connect"] == n == pool.more(to(2))
    assert pool.fill(to(3), source="127.0.0.1") == found["tcp"]["left_bind"]


def test_an_odd_range_counts_one_that_a_search_may_miss(ctl, pool):
    PORT_RANGE.write_text("20000 20098")
    assert ctl.json("ephemeral")["left"] == 99
    assert pool.more(to(1)) in (98, 99)


def test_unprivileged_and_without_ipv6(ctl, pool, place):
    pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    pool.fill(to(1), 60, source="127.0.0.1")
    copy = place / "portreservectl"
    copy.write_bytes(program("portreservectl").read_bytes())
    copy.chmod(0o755)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", str(copy), "ephemeral"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (r.returncode, r.stderr) == (0, "")
    assert re.search(r"^tcp +127\.0\.0\.1 +127\.0\.0\.1:1 +60 +0 +40 +60% +bind ", r.stdout, re.M), r.stdout


def test_many_destinations(ctl, pool):
    """Those that there is no room for are counted, and everything else all the same."""
    PORT_RANGE.write_text("10000 65535")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 12000), max(hard, 12000)))
    try:
        for i in range(8300):
            assert pool.one((f"127.1.{i // 250}.{i % 250 + 1}", 9), kind=socket.SOCK_DGRAM)
        found = ctl.json("ephemeral")
        assert found["udp"]["sockets"] == found["udp"]["ports"] == 8300 and found["udp"]["left"] == 55536 - 8300
        assert found["sockets_not_attributed"] == 8300 - 8192
        assert "and 108 sockets to more places" in ctl("ephemeral", code=0).stdout
    finally:
        pool.drop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_range_that_cannot_be_wider(ctl, pool):
    """Next to nothing is left, and nobody has most of it."""
    PORT_RANGE.write_text("65506 65535")
    pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("65506")
    for i in range(28):
        os.seteuid(2000 + i)
        try:
            assert pool.one(to(9), kind=socket.SOCK_DGRAM)
        finally:
            os.seteuid(0)
    found = ctl.json("ephemeral")
    assert found["udp"]["left"] == 2 and [p["udp_ports"] for p in found["programs"]] == [1] * 5
    assert [a["message"] for a in found["advice"]] == ["the range is as wide as it can be: fewer sockets at a time, or more addresses"]
    assert "Nobody runs short" not in ctl("ephemeral", code=0).stdout


def test_who_set_the_range(ctl, pool):
    """Of the files the last one wins, and only what is in force is named."""
    script = """set -e
mount -t tmpfs none /etc/sysctl.d
printf '# ports\\nnet.ipv4.ip_local_port_range = 20000 20099\\n' >/etc/sysctl.d/zz-a.conf
"$@" ephemeral --json=short
echo 'net/ipv4/ip_local_port_range=1024 65000' >/etc/sysctl.d/zz-b.conf
"$@" ephemeral --json=short
rm /etc/sysctl.d/zz-b.conf
"$@" ephemeral
"""
    pool.fill(to(1), 90)
    r = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *ctl.command()], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=DEADLINE, check=True)
    first, second, text = r.stdout.split("\n", 2)
    assert json.loads(first)["source"] == "/etc/sysctl.d/zz-a.conf:2" and json.loads(second)["source"] is None
    assert "set in /etc/sysctl.d/zz-a.conf:2)" in text and "keep it in /etc/sysctl.d/zz-a.conf:2" in text


def test_settings_that_cannot_be_read(ctl):
    r = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys/net/ipv4 && exec "$@"', "sh", *ctl.command("ephemeral")],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (r.returncode, r.stdout) == (1, "") and "the kernel's settings cannot be read: No such file" in r.stderr
