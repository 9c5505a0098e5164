# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's own servers that bind their ports themselves, unit files untouched: in every state of theirs nobody else gets in, and they do."""

import pytest
import servers
from machine import Failed, wait_until

REMAINS = """
import socket, sys
kept = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(10)]
print("connected", flush=True)
sys.stdin.readline()
for s in kept[:5]:
    s.close()
print("closed", flush=True)
sys.stdin.readline()
"""

# Not root: SO_REUSEPORT lets programs of one effective uid share a port as they please, and haproxy has bound it as root.
CAPABILITIES = "+net_bind_service,+net_admin"
STRANGER = ["setpriv", "--reuid=nobody", "--clear-groups", f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}"]


def taken(m, port, protocol="tcp"):
    """Every way to take the port that worked, for somebody who may bind all of them and choose the range of ephemeral ones."""
    lines = m.run(*STRANGER, *m.script("take", port, 47000, protocol)).stdout.splitlines()
    assert len(lines) == 13
    return [line for line in lines if line.endswith(" ok")]


def states(m, port):
    """Of the connections that the server has or had."""
    return {line.split()[0] for line in m.run("ss", "-Htan", f"sport = :{port}").stdout.splitlines()}


def talk(m, s):
    """A hundred exchanges, on IPv4 and IPv6: all of them with the server."""
    m.background("load", *s.load("--slots=1", "--least=100"))
    found = servers.counts(m.finish("load"))
    assert found["refused"] == found["lost"] == found["timeouts"] == 0, f"{s.unit}: {found}\n{m.explain(s.unit)}"
    assert found["ok"] >= 100, f"{s.unit}: {found}"


@pytest.fixture
def bound(request, host):
    s = servers.server(host, request.param)
    s.prepare(host)
    host.serve(s.config)
    host.wait_endpoint(s.name, "exclusive")
    yield host, s
    host.systemctl("stop", s.unit)


@pytest.mark.parametrize("bound", ["nginx", "haproxy", "redis", "postgresql"], indirect=True)
def test_whatever_others_try(bound):
    m, s = bound
    assert taken(m, s.port) == []
    m.systemctl("start", s.unit)
    talk(m, s)
    assert m.show(s.unit, "FragmentPath").startswith(("/lib/", "/usr/lib/")), s.unit
    m.wait_endpoint(s.name, "in-use")
    assert taken(m, s.port) == []
    m.systemctl("restart", s.unit)
    talk(m, s)
    # Stopped with clients that are still there: FIN_WAIT2, and TIME_WAIT where they close then.
    clients = m.popen("python3", "-c", REMAINS, s.port, stdin=-1)
    assert clients.stdout.readline() == "connected\n"
    m.systemctl("stop", s.unit)
    clients.stdin.write("\n")
    clients.stdin.flush()
    assert clients.stdout.readline() == "closed\n"
    wait_until(lambda: states(m, s.port) & {"FIN-WAIT-2", "TIME-WAIT"}, f"remains of {s.unit}")
    m.wait_endpoint(s.name, "exclusive")
    assert taken(m, s.port) == []
    m.systemctl("start", s.unit)
    talk(m, s)
    clients.communicate("\n")
    m.wait_endpoint(s.name, "in-use")
    # Killed, all of it. Who has Restart= comes back by itself.
    m.systemctl("kill", "--signal=KILL", s.unit)
    assert taken(m, s.port) == []
    m.systemctl("start", s.unit)
    talk(m, s)


def test_control_all_ways_work_without_us(host):
    assert len(taken(host, 8091)) == len(taken(host, 8091, "udp")) == 13


SSHD_DIES = "Cannot bind any address"


@pytest.mark.parametrize("always", [True, False], ids=["always", "control-yes"])
def test_sshd_needs_always(host, always):
    """It closes its listeners and binds anew at each reload."""
    m, s = host, servers.server(host, "ssh")
    s.prepare(m)
    m.serve(s.config if always else s.config.replace("always", "yes"))
    m.systemctl("start", s.unit)
    talk(m, s)
    m.wait_endpoint(s.name, "sharing" if always else "in-use")
    if not always:
        wait_until(lambda: taken(m, s.port) == [], f"the door is closed behind {s.unit}")
    cursor = m.cursor()
    m.systemctl("reload", s.unit, check=always)  # a systemd that waits for it sees it die
    if always:
        wait_until(lambda: s.generation_of(m) >= {"2"}, f"{s.unit} listens again")
        talk(m, s)
    else:
        wait_until(lambda: any(SSHD_DIES in t for t in m.messages("_SYSTEMD_UNIT=ssh.service", after=cursor)), f"{s.unit} dies")
    m.systemctl("stop", s.unit)
    m.wait_endpoint(s.name, "exclusive")
    assert taken(m, s.port) == []


TFTP = "[tftp]\nPorts=69/udp\nUnit=tftpd-hpa.service\nHold=bound\nReuseAddress={}\n"


# As TFTP clients do it asks again: in.tftpd does not answer its first datagram, with us or without. (Debian's own client wants
# /etc/services, and curl asks again only after seven seconds.)
FETCH = """
import socket
for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        for _ in range(60):
            s.sendto(b"\\0\\1hello\\0octet\\0", (host, 69))
            try:
                data, server = s.recvfrom(600)
                break
            except TimeoutError:
                pass
        s.sendto(b"\\0\\4" + data[2:4], server)
        print(data[4:].decode(), end="")
"""


def fetch(m):
    assert m.run("python3", "-c", FETCH).stdout == "tftp\ntftp\n"


@pytest.mark.parametrize("reuse", ["no", "yes"], ids=["no", "control-yes"])
def test_tftpd_needs_no(host, reuse):
    """It sets no SO_REUSEADDR; on Debian 12 it comes with no unit, only an init script."""
    m = host
    m.write("/srv/tftp/hello", "tftp\n")
    m.serve(TFTP.format(reuse))
    m.wait_endpoint("tftp", "exclusive")
    assert taken(m, 69, "udp") == []
    if reuse == "yes":
        with pytest.raises(Failed):
            m.systemctl("start", "tftpd-hpa.service")
        assert m.active("tftpd-hpa.service") == "failed"
        m.systemctl("reset-failed", "tftpd-hpa.service")
        return
    for _ in range(3):
        m.systemctl("start", "tftpd-hpa.service")
        m.wait_endpoint("tftp", "in-use")
        fetch(m)
        assert taken(m, 69, "udp") == []
        m.systemctl("stop", "tftpd-hpa.service")
        m.wait_endpoint("tftp", "exclusive")
        assert taken(m, 69, "udp") == []


DNSMASQ = """[Unit]
Description=A name server
[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --address=/load.test/192.0.2.1 {}
"""
WILDCARD = "[dns]\nPorts=53\nHold=bound\n"
ADDRESSES = "[dns]\nListenDatagram=127.0.0.1:53\nListenDatagram=[::1]:53\nListenStream=127.0.0.1:53\nListenStream=[::1]:53\nHold=bound\n"


@pytest.mark.parametrize("config,options", [(WILDCARD, ""), (ADDRESSES, "--bind-interfaces --interface=lo")], ids=["wildcard", "addresses"])
def test_dnsmasq_gets_every_datagram(host, config, options):
    m = host
    s = servers.Server("dns", "dns.service", 53, "dns")
    m.unit("dns.service", DNSMASQ.format(options))

    def bound(state="in-use"):
        return wait_until(lambda: {e["state"] for e in m.ctl("show", "dns")["endpoints"]} == {state}, f"dns.service is {state}")

    # It runs before portreserved does, which is no reason for the newer socket to be given what is the server's.
    m.systemctl("daemon-reload")
    m.systemctl("start", s.unit)
    talk(m, s)
    m.serve(config)
    bound()
    talk(m, s)
    for _ in range(3):
        m.systemctl("restart", s.unit)
        talk(m, s)
        bound()
        # Its door closes some milliseconds behind it, and state.json tells that later still.
        wait_until(lambda: taken(m, 53, "udp") == taken(m, 53) == [], "nobody else gets in")
    # A flood of questions, and the daemon comes and goes.
    m.background("load", *s.load("--slots=4"), properties=("Nice=19", "CPUWeight=1"))
    for _ in range(3):
        m.systemctl("restart", "portreserved.service")
    m.kill_daemon()
    bound()
    m.systemctl("stop", "portreserved.service")
    m.systemctl("start", "portreserved.service")
    bound()
    found = servers.counts(m.finish("load"))
    assert found["ok"] > 100 and found["refused"] == found["lost"] == found["timeouts"] == 0, f"{s.unit}: {found}\n{m.explain(s.unit)}"
    m.systemctl("stop", s.unit)
    bound("exclusive")
    assert taken(m, 53, "udp") == taken(m, 53) == []
