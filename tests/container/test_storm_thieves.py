# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thieves of another user against Hold=bound, while the server is stopped, killed and started: PORTRESERVED_STORM times (300).

While it runs, is down or has crashed, nobody gets the port. Between its start and its bind, SO_REUSEADDR binds may; that is what the
limits of portreserved say, and here it is counted. Without portreserved, every way works."""

import os

import pytest
from machine import Machine
from storm import Server, Storm

CYCLES = int(os.environ.get("PORTRESERVED_STORM", "300"))
CONTROL_CYCLES = 8
PHASES = ("running", "down", "crashed")

HAPROXY = """defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend storm
    bind 0.0.0.0:48080
    bind [::]:48080 v6only
    http-request return status 200
"""
REDIS = """bind 127.0.0.1 -::1
port 48080
save ""
daemonize no
pidfile /run/redis/redis-server.pid
dir /var/lib/redis
"""
GET = "GET / HTTP/1.0\r\n\r\n"
SERVERS = {
    "nginx": Server("nginx.service", 48080, {
        "/etc/nginx/sites-enabled/default": "server { listen 48080; listen [::]:48080; location / { return 200 'x'; } }\n"}, GET),
    "haproxy": Server("haproxy.service", 48080, {"/etc/haproxy/haproxy.cfg": HAPROXY}, GET),
    "redis": Server("redis-server.service", 48080, {"/etc/redis/redis.conf": REDIS}, "QUIT\r\n"),
}


def control(m, server):
    """Before portreserved is started for the first time."""
    with Storm(m, server, held=False) as storm:
        storm.run(CONTROL_CYCLES)
    return storm


def storms(m, server, name):
    """One without clients, and one whose clients leave remains of their connections, which stand in thieves' way as well."""
    m.serve(f"[{name}]\nPorts={server.port}/tcp\nHold=bound\nUnit={server.unit}\n")
    m.wait_endpoint(name, "exclusive")
    for visited in (False, True):
        with Storm(m, server, held=True, visited=visited) as storm:
            storm.run(CYCLES // 2)
        yield storm


class Results:
    """Of several storms, and of the control, by way of stealing."""

    def __init__(self, found, without):
        self.storms = found
        self.attempts, self.odd, self.won = {}, {}, {}
        for way in without.tried:
            self.attempts[way] = sum(s.tried[way][0] for s in found)
            self.odd[way] = sum(s.tried[way][2] for s in found)
            self.won[way] = {p: sum(s.counts()[way][p] for s in found) for p in (*PHASES, "starting")}
        self.without = {way: (attempts, won) for way, (attempts, won, _) in without.tried.items()}

    def table(self, title):
        yield title
        for storm in self.storms:
            yield f"  {storm.summary()}"
        yield f"  {'':20} {'attempts':>9} {'running':>8} {'down':>8} {'crashed':>8} {'starting':>8}   without us: {'attempts':>9} {'won':>6}"
        for way, won in self.won.items():
            yield (f"  {way:20} {self.attempts[way]:9} " + " ".join(f"{n:8}" for n in won.values()) +
                   f"   {'':11} {self.without[way][0]:9} {self.without[way][1]:6}")


@pytest.mark.parametrize("name", SERVERS)
def test_no_thief_gets_the_port(trees, figures, name):
    with Machine(trees, f"storm-{name}") as m:
        m.boot()
        SERVERS[name].prepare(m)
        without = control(m, SERVERS[name])
        results = Results(list(storms(m, SERVERS[name], name)), without)
        title = f"{name}, {m.run('systemctl', '--version').stdout.splitlines()[0]}"
        assert m.ordering_cycles() == []
    figures("\n".join(results.table(title)))

    for way, won in results.won.items():
        assert results.attempts[way] > 10 * CYCLES and results.odd[way] == 0, f"{title}: {way}"
        assert [won[p] for p in PHASES] == [0, 0, 0], f"{title}: {way} won: {won}"
        if way.startswith(("plain", "bind-any", "connect")):
            assert won["starting"] == 0, f"{title}: {way} won while the server started"
    for storm in results.storms:
        assert storm.unasked == [], f"{title}: the door was open, and no start had been handed over"
    # They would have known how.
    assert [way for way, (_, won) in results.without.items() if won == 0] == [], title
