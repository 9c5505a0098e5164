# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's own servers, their unit files untouched."""

import pytest
from machine import wait_until

LIGHTTPD = """[web]
ListenStream=8443
ListenStream=[::1]:8444
Unit=lighttpd.service
"""
NGINX = "[nginx]\nPorts=48080/tcp\nHold=bound\n"
SITE = "server { listen 48080; listen [::]:48080; location / { return 200 'nginx\\n'; } }\n"


def get(m, url, check=True):
    return m.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", url, check=check).stdout


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


@pytest.fixture
def nginx(host):
    host.write("/etc/nginx/sites-enabled/default", SITE)
    host.serve(NGINX)
    host.wait_endpoint("nginx", "exclusive")
    yield host
    host.systemctl("stop", "nginx.service")


def taken(m, user=None):
    """Every way to take 48080 that worked."""
    prefix = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    lines = m.run(*prefix, *m.script("take", 48080, 6379)).stdout.splitlines()
    assert len(lines) == 13
    return [line for line in lines if line.endswith(" ok")]


def test_nginx_has_its_port_whatever_others_try(nginx):
    m = nginx
    assert taken(m) == []
    m.systemctl("start", "nginx.service")
    assert get(m, "http://127.0.0.1:48080/") == get(m, "http://[::1]:48080/") == "200"
    assert unit_of_package(m, "nginx.service")
    m.wait_endpoint("nginx", "in-use")
    assert taken(m) == []
    m.systemctl("restart", "nginx.service")
    assert get(m, "http://127.0.0.1:48080/") == "200"
    m.wait_endpoint("nginx", "in-use")
    m.systemctl("reload", "nginx.service")
    assert get(m, "http://127.0.0.1:48080/") == "200"
    m.systemctl("stop", "nginx.service")
    m.wait_endpoint("nginx", "exclusive")
    assert taken(m) == []
    # And the way in which they fail is not that nothing works here.
    m.systemctl("stop", "portreserved.service")
    wait_until(lambda: len(taken(m)) == 13, "all of them work without portreserved")


def test_nginx_after_a_crash(nginx):
    m = nginx
    m.systemctl("start", "nginx.service")
    m.wait_endpoint("nginx", "in-use")
    m.systemctl("kill", "--signal=KILL", "nginx.service")
    m.wait_endpoint("nginx", "exclusive")
    assert taken(m) == []
    m.systemctl("start", "nginx.service")
    assert get(m, "http://127.0.0.1:48080/") == "200"


def test_nginx_starts_over_remains_of_its_last_run(nginx):
    """Connections that nginx closed first are left in FIN_WAIT2, and in TIME_WAIT where the client closed too."""
    m = nginx
    m.systemctl("start", "nginx.service")
    m.wait_endpoint("nginx", "in-use")
    clients = m.popen("python3", "-c", """
import socket, sys
kept = [socket.create_connection(("127.0.0.1", 48080)) for _ in range(10)]
print("connected", flush=True)
sys.stdin.readline()
for s in kept[:5]:
    s.close()
print("closed", flush=True)
sys.stdin.readline()
""", stdin=-1)
    assert clients.stdout.readline() == "connected\n"
    m.systemctl("stop", "nginx.service")
    clients.stdin.write("\n")
    clients.stdin.flush()
    assert clients.stdout.readline() == "closed\n"

    def states():
        return {line.split()[0] for line in m.run("ss", "-Htan", "sport = :48080").stdout.splitlines()}

    wait_until(lambda: {"FIN-WAIT-2", "TIME-WAIT"} <= states(), "both kinds are there")
    assert taken(m) == []
    m.systemctl("start", "nginx.service")
    assert get(m, "http://127.0.0.1:48080/") == "200"
    clients.communicate("\n")


def test_start_and_stop_are_handed_over(nginx):
    m = nginx
    cursor = m.cursor()
    m.systemctl("start", "nginx.service")
    m.systemctl("stop", "nginx.service")
    texts = m.messages("_SYSTEMD_UNIT=nginx.service", after=cursor)
    # The helper has nothing to say where all is well.
    assert not [t for t in texts if "portreserved" in t]
    events = [e["event"] for e in m.ctl("status").get("events", [])] or [
        e["event"] for e in __import__("json").loads(m.read("/run/portreserved/state.json"))["events"]]
    assert "handed-over" in events


PLAIN = """
import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 48123))
s.listen()
time.sleep(1000)
"""


def test_server_without_reuseaddr(host):
    """ReuseAddress=no: it finds the port free, though PID 1 lets go of its copy of our socket in its own time; twenty times."""
    host.write("/run/plain.py", PLAIN)
    host.unit("plain.service", "[Service]\nExecStart=/usr/bin/python3 /run/plain.py\n")
    host.serve("[plain]\nPorts=48123/tcp\nHold=bound\nReuseAddress=no\n")
    for _ in range(20):
        host.wait_endpoint("plain", "exclusive")
        host.systemctl("start", "plain.service")
        host.wait_endpoint("plain", "in-use")
        assert host.active("plain.service") == "active"
        host.systemctl("stop", "plain.service")
    host.run("rm", "/run/plain.py")
