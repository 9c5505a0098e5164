# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's own servers, their unit files untouched."""

import json

import pytest
import servers
from machine import wait_until

LIGHTTPD = """[web]
ListenStream=8443
ListenStream=[::1]:8444
Unit=lighttpd.service
"""


def get(m, url):
    return m.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", url).stdout


def unit_of_package(m, unit):
    """Is there no other fragment than the package's?"""
    return m.show(unit, "FragmentPath") in (f"/lib/systemd/system/{unit}", f"/usr/lib/systemd/system/{unit}")


@pytest.fixture
def lighttpd(host):
    host.write("/etc/lighttpd/conf-enabled/90-activation.conf", 'server.systemd-socket-activation = "enable"\n')
    host.made.append("/etc/lighttpd/conf-enabled/90-activation.conf")
    host.serve(LIGHTTPD)
    host.systemctl("start", "portreserved-web.socket")
    yield host
    host.systemctl("stop", "portreserved-web.socket", "lighttpd.service")


def test_lighttpd_is_started_by_its_first_client(lighttpd):
    m = lighttpd
    assert m.active("lighttpd.service") == "inactive"
    assert get(m, "http://[::1]:8444/") in ("200", "403", "404")
    assert m.active("lighttpd.service") == "active"
    assert get(m, "http://127.0.0.1:8443/") in ("200", "403", "404")
    assert get(m, "http://[::1]:8443/") in ("200", "403", "404")
    assert unit_of_package(m, "lighttpd.service")
    pid = m.pid("lighttpd.service")
    environment = dict(v.split("=", 1) for v in m.read(f"/proc/{pid}/environ").split("\0") if "=" in v)
    assert environment["LISTEN_FDS"] == "2"
    assert environment["LISTEN_FDNAMES"] == "web:web"
    assert environment["LISTEN_PID"] == str(pid)
    # PID 1's listener is the reservation's own: nothing to complain of.
    assert m.ctl("status")["collisions"] == 0
    wait_until(lambda: {e["state"] for e in m.ctl("show", "web")["endpoints"]} == {"listening"}, "it is seen listening")
    assert m.list() == "8443-8444"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_lighttpd_is_restarted_without_one_refused_connection(lighttpd, address):
    m = lighttpd
    m.background("clients", *m.script("clients", address, 8443))
    # Not more often: its unit allows five starts in ten seconds.
    for _ in range(3):
        m.systemctl("restart", "lighttpd.service")
        assert get(m, "http://127.0.0.1:8443/") in ("200", "403", "404")
    text = m.finish("clients")
    counts = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    assert int(counts["answered"]) > 0
    assert counts["refused"] == "0"


def test_start_and_stop_are_handed_over(host):
    m, nginx = host, servers.server(host, "nginx")
    nginx.prepare(m)
    m.serve(nginx.config)
    m.wait_endpoint("nginx", "exclusive")
    cursor = m.cursor()
    m.systemctl("start", nginx.unit)
    m.systemctl("stop", nginx.unit)
    texts = m.messages(f"_SYSTEMD_UNIT={nginx.unit}", after=cursor)
    # The helper has nothing to say where all is well.
    assert not [t for t in texts if "portreserved" in t]
    # Told to whoever watches, not to the journal.
    assert "handed-over" in [e["event"] for e in json.loads(m.read("/run/portreserved/state.json"))["events"]]


def test_server_without_reuseaddr(host):
    """ReuseAddress=no: it finds the port free, though PID 1 lets go of its copy of our socket in its own time; twenty times."""
    host.unit("plain.service", f"[Service]\nType=notify\nNotifyAccess=all\nExecStart={' '.join(host.script('owner', 48123, 'plain'))}\n")
    host.serve("[plain]\nPorts=48123/tcp\nHold=bound\nReuseAddress=no\n")
    for _ in range(20):
        host.wait_endpoint("plain", "exclusive")
        host.systemctl("start", "plain.service")
        host.wait_endpoint("plain", "in-use")
        host.systemctl("stop", "plain.service")
