# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `why` tells of the sockets on a port, without portreserved."""

import errno
import json
import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import KERNEL_LIST, PORT_RANGE, listener, thief
from test_ctl import HOLDER_KEYS

WHY_KEYS = ["port", "protocol", "declared", "ephemeral", "reserved", "holders", "would_bind", "reason", "remedy"]


def why(ctl, port, *args):
    found = ctl.json("why", port, *args)
    assert list(found)[:len(WHY_KEYS)] == WHY_KEYS
    for h in found["holders"]:
        assert list(h) == HOLDER_KEYS
    text = ctl("why", port, *args, code=0).stdout
    # Seconds go by.
    assert re.sub(r"\d+ s\b", "N s", found["reason"]) in re.sub(r"\d+ s\b", "N s", text)
    for command in found["remedy"]:
        assert command in text
    return found


def bind_works(port, reuse, protocol="tcp", address="127.0.0.1"):
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        try:
            s.bind((address, port))
            if protocol == "tcp":
                s.listen()
        except OSError as e:
            assert e.errno == errno.EADDRINUSE
            return False
    return True


def assert_prediction(found, address="127.0.0.1"):
    """would_bind, against the kernel."""
    port, protocol = found["port"], found["protocol"]
    plain, reuse = (bind_works(port, r, protocol, address) for r in (False, True))
    assert found["would_bind"] == ("yes" if plain else "with-reuseaddr" if reuse else "no")


def test_why_free(ctl):
    found = why(ctl, 22)
    assert found.pop("reason").startswith("nobody ")  # has it; before 6.8, where the kernel does not list all: is seen on it
    listed = sees_bound()
    assert bool(found.pop("not_seen")) != listed
    assert found == {"port": 22, "protocol": "tcp", "declared": None, "ephemeral": False, "reserved": False, "holders": [],
                     "would_bind": "yes", "would_bind_certain": listed, "free_sec": None, "reserved_by": None,
                     "reserved_source": None, "remedy": []}
    assert_prediction(found)


def test_why_ephemeral_and_reserved(ctl):
    PORT_RANGE.write_text("40000 40100")
    for port, ephemeral in ((39999, False), (40000, True), (40100, True), (40101, False)):
        assert why(ctl, port)["ephemeral"] == ephemeral
    found = why(ctl, 40050)
    assert "any outgoing connection may be given it" in found["reason"]
    assert any("Ports=40050/tcp" in r for r in found["remedy"])
    KERNEL_LIST.write_text("40050")
    found = why(ctl, 40050)
    assert found["reserved"] and found["remedy"] == []


def test_why_listener(ctl):
    s = listener(8080)
    found = why(ctl, 8080)
    assert len(found["holders"]) == 1
    h = found["holders"][0]
    assert (h["kind"], h["state"], h["local"], h["remote"]) == ("unknown", "LISTEN", "127.0.0.1:8080", None)
    assert (h["pid"], h["uid"], h["exe"]) == (os.getpid(), 0, os.path.realpath("/proc/self/exe"))
    assert_prediction(found)
    assert found["would_bind"] == "no" and f"kill {os.getpid()}" in found["remedy"]
    s.close()


def test_why_accepted(ctl):
    s = listener(8080)
    c = socket.create_connection(("127.0.0.1", 8080))
    a, _ = s.accept()
    assert [h["kind"] for h in why(ctl, 8080)["holders"]] == ["unknown", "accepted"]
    a.close()
    c.close()


def test_why_ephemeral_thief(ctl):
    client, accepted, server = thief(48121, 6379)
    found = why(ctl, 48121)
    h, = found["holders"]
    assert (h["kind"], h["state"], h["local"], h["remote"]) == ("ephemeral", "ESTABLISHED", "127.0.0.1:48121", "127.0.0.1:6379")
    assert h["pid"] == os.getpid()
    assert found["would_bind"] == "no" and "outgoing connection" in found["reason"]
    assert_prediction(found)


@pytest.mark.skipif(not shutil.which("ss"), reason="ss(8) of iproute2 is missing")
@pytest.mark.parametrize("closed", [False, True])
def test_why_remedy_works(ctl, closed):
    """The command that is printed frees the port, of a connection and of its remains."""
    client, accepted, server = thief(48121, 6379)
    if closed:
        client.close()
        accepted.close()
        server.close()
    found = why(ctl, 48121)
    assert [(h["kind"], h["state"]) for h in found["holders"]] == \
        [("stale", "TIME_WAIT") if closed else ("ephemeral", "ESTABLISHED")]
    assert_prediction(found)
    assert found["would_bind"] == "no"
    subprocess.run(["sh", "-ec", found["remedy"][0]], check=True, stdout=subprocess.DEVNULL)
    found = why(ctl, 48121)
    assert found["holders"] == [] and found["would_bind"] == "yes"
    assert_prediction(found)


def test_why_remains_have_no_uid(ctl):
    client, accepted, server = thief(48121, 6379)
    client.close()
    accepted.close()
    h, = why(ctl, 48121)["holders"]
    assert (h["uid"], h["pid"], h["unit"]) == (None, None, None)


def test_why_udp(ctl):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 5353))
    assert why(ctl, 5353)["holders"] == []
    found = why(ctl, "5353/udp")
    h, = found["holders"]
    assert found["protocol"] == "udp" and h["state"] == "UNCONN"
    assert_prediction(found)
    s.close()


def sees_bound():
    """Linux 6.8 lists sockets that are bound and do not listen."""
    return tuple(int(x) for x in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 8)


def test_why_bound_only(ctl):
    s = socket.socket()
    s.bind(("127.0.0.1", 7000))
    found = why(ctl, 7000)
    if not sees_bound():
        pytest.skip("kernel older than 6.8")
    h, = found["holders"]
    assert h["state"] == "BOUND" and h["remote"] is None
    assert_prediction(found)
    s.close()


def test_why_declared(ctl, place):
    config = place / "a.conf"
    config.write_text("[web]\nListenStream=127.0.0.1:8080\n\n[dns]\nPorts=53/udp\nUnit=named.service\n")
    found = why(ctl, 8080, f"--config={config}")
    assert found["declared"] == {"name": "web", "unit": "web.service", "source": f"{config}:1"}
    # Without a protocol it is UDP where only that is declared.
    found = why(ctl, 53, f"--config={config}")
    assert found["protocol"] == "udp"
    assert found["declared"] == {"name": "dns", "unit": "named.service", "source": f"{config}:4"}
    found = why(ctl, "53/tcp", f"--config={config}")
    assert found["protocol"] == "tcp" and found["declared"] is None


def test_why_a_listener_at_another_address_is_in_nobodys_way(ctl, place):
    config = place / "a.conf"
    config.write_text("[web]\nListenStream=127.0.0.1:8080\n")
    s = listener(8080, "127.0.0.2")
    found = why(ctl, 8080, f"--config={config}")
    assert len(found["holders"]) == 1 and found["would_bind"] == "yes"
    assert_prediction(found, "127.0.0.1")
    s.close()


def test_why_applied_goes_before_the_files(ctl, place):
    (place / "run").mkdir()
    (place / "run" / "applied.conf").write_text("[db]\nPorts=5432/tcp\n")
    assert why(ctl, 5432)["declared"]["name"] == "db"


def test_why_of_a_busy_server(ctl):
    s = listener(8080, backlog=1200)
    peers = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(400)]
    accepted = [s.accept()[0] for _ in peers]
    found = why(ctl, 8080)
    assert len(found["holders"]) == 401 and "holders_dropped" not in found
    for p in peers + accepted:
        p.close()


def test_why_needs_no_privileges(ctl, place):
    s = listener(8080)
    copy = place / "portreservectl"  # the build directory may be out of reach
    shutil.copy(ctl.command()[0], copy)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(copy), f"--runtime-dir={place}/run",
                        "why", "8080", "--json=short"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    h, = json.loads(r.stdout)["holders"]
    assert (h["uid"], h["pid"], h["exe"]) == (0, None, None)
    s.close()
