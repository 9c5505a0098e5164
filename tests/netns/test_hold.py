# SPDX-License-Identifier: LGPL-2.1-or-later
"""The states of a hold with the real daemon, its own watch answering who has bound: User=root is the owner, so this process is."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import listener, wait_until
from test_daemon import handover

PORT = 48121


def config(hold="bound", reuse="yes", protocol="tcp"):
    return f"[a]\nPorts={PORT}/{protocol}\nUnit=a.service\nUser=root\nHold={hold}\nReuseAddress={reuse}\n"


def bind(kind, address, *options):
    """A socket, or None where it was refused."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        for option in options:
            s.setsockopt(socket.SOL_SOCKET, option, 1)
        s.bind((address, PORT))
        return s
    except OSError:
        s.close()
        return None


def closed(kind=socket.SOCK_STREAM):
    """Everybody is refused, also at an address that the owner leaves alone."""
    for address in "127.0.0.1", "127.0.0.2", "0.0.0.0", "::", "::1":
        for options in (), (socket.SO_REUSEADDR,):
            s = bind(kind, address, *options)
            if s:
                s.close()
                return False
    return True


def test_in_use_is_closed_to_everybody_else(daemon):
    d = daemon(config())
    d.wait_state("a", "exclusive")
    assert closed()
    for _ in range(3):
        assert handover(d, "start", "a") == "ok"
        server = listener(PORT)
        d.wait_state("a", "in-use")
        assert closed()
        socket.create_connection(("127.0.0.1", PORT)).close()
        server.close()
        assert handover(d, "stop", "a") == "ok"
        d.wait_state("a", "exclusive")
        assert closed()
    assert not d.events("collision")


def test_slow_to_listen(daemon):
    """Closing the door between a server's bind() and its listen() would make the listen() fail."""
    d = daemon(config())
    assert handover(d, "start", "a") == "ok"
    server = bind(socket.SOCK_STREAM, "0.0.0.0", socket.SO_REUSEADDR)
    time.sleep(2.5)  # some looks of the daemon
    server.listen()
    d.wait_state("a", "in-use")
    server.listen(5)
    server.close()


def test_two_addresses_one_after_the_other(daemon):
    d = daemon(config())
    for pause in 0, 0.01, 0.05:
        assert handover(d, "start", "a") == "ok"
        one = listener(PORT, "127.0.0.1")
        time.sleep(pause)
        two = listener(PORT, "::1")
        d.wait_state("a", "in-use")
        assert closed()
        one.close()
        two.close()
        assert handover(d, "stop", "a") == "ok"
        d.wait_state("a", "exclusive")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_killed_without_a_stop(daemon, protocol):
    """The helper of `stop` may be killed as well: the hold comes back all the same."""
    d = daemon(config(protocol=protocol))
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    assert handover(d, "start", "a") == "ok"
    code = ("import socket, time, sys; s = socket.socket(socket.AF_INET6, int(sys.argv[1])); "
            "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('::', int(sys.argv[2]))); "
            "s.type == socket.SOCK_STREAM and s.listen(); time.sleep(1000)")
    with subprocess.Popen([sys.executable, "-c", code, str(int(kind)), str(PORT)]) as server:
        try:
            d.wait_state("a", "in-use")
            assert closed(kind)
        finally:
            os.kill(server.pid, signal.SIGKILL)
    d.wait_state("a", "exclusive")
    assert closed(kind)


def test_server_that_was_there_first(daemon):
    server = listener(PORT, "::")
    d = daemon(config())
    d.wait_state("a", "in-use")
    assert not d.events("pending") and not d.events("collision")
    server.close()
    d.wait_state("a", "exclusive")
    assert closed()


@pytest.mark.parametrize("reuse", ["yes", "always"])
def test_udp_reuseport_over_ipv6_gets_its_datagrams(daemon, reuse):
    """The kernel puts such a socket behind a placeholder; the placeholder steps back."""
    d = daemon(config(reuse=reuse, protocol="udp"))
    assert handover(d, "start", "a") == "ok"
    server = bind(socket.SOCK_DGRAM, "::", socket.SO_REUSEADDR, socket.SO_REUSEPORT)
    server.setblocking(False)
    client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

    def answered():
        client.sendto(b"x", ("::1", PORT))
        time.sleep(0.05)
        try:
            return server.recv(10)
        except BlockingIOError:
            return None

    wait_until(answered, "a datagram at the server")
    server.close()
    assert handover(d, "stop", "a") == "ok"
    d.wait_state("a", "exclusive")
    assert closed(socket.SOCK_DGRAM)


def test_reuse_no_is_taken_back(daemon):
    d = daemon(config(reuse="no"))
    for _ in range(2):
        d.wait_state("a", "exclusive")
        assert handover(d, "start", "a") == "ok"
        server = listener(PORT, reuse=False)
        d.wait_state("a", "in-use")
        server.close()
        assert handover(d, "stop", "a") == "ok"
    d.wait_state("a", "exclusive")
    assert closed()
    assert not d.events("claimed") and not d.events("pending")


def test_always_lets_it_bind_again(daemon):
    d = daemon(config(reuse="always"))
    assert handover(d, "start", "a") == "ok"
    for _ in range(3):
        server = listener(PORT, "::")
        time.sleep(1.5)
        server.close()
    assert handover(d, "stop", "a") == "ok"
    d.wait_state("a", "exclusive")
    assert closed()
