# SPDX-License-Identifier: LGPL-2.1-or-later
"""What portreservectl check remarks of a configuration without mistakes, and what it does not."""

import os
import pathlib
import subprocess

import pytest

from conftest import KERNEL_LIST, PORT_RANGE, kernel_list, program

KEY = "net.ipv4.ip_local_reserved_ports"
QUIET = "[a]\nPorts=8080\n"
LONG = ",".join(str(p) for p in range(10001, 13001, 2))


@pytest.fixture
def check(place, ctl, sysctl_d):
    """check(CONFIG) gives [(FILE, LINE, MESSAGE)]; the configuration is called "conf"."""
    path = place / "x.conf"

    def run(text, code=0):
        path.write_text(text)
        answer = ctl.json("check", path, code=code)
        said = ctl("check", path, code=code).stdout
        for kind, mark in ("warnings", "warning: "), ("errors", ""):
            for w in answer[kind]:
                place_of = f"{w['file']}:{w['line']}" if w["line"] else w["file"]
                assert f"{place_of}: {mark}{w['message']}\n" in said
        return [("conf" if w["file"] == str(path) else w["file"], w["line"], w["message"])
                for w in answer["warnings"] + answer["errors"]]

    return run


def test_nothing_to_say(check):
    PORT_RANGE.write_text("40000 60000")
    assert check(QUIET) == []
    assert check("") == []
    assert check("[a]\nPorts=39999 60001 664 1024\n") == []


# Ports that nothing holds

@pytest.mark.parametrize("text, line, words", [
    ("[a]\nPorts=40000\n", 1, ["nothing holds 40000,", "40000-60000 in 1 reservation:", "; Hold=bound holds them"]),
    ("[q]\nPorts=80\n[a]\nPorts=39990-40001\n[b]\nPorts=60000/udp\n", 3, ["nothing holds 40000-40001,60000,", "in 2 reservations:"]),
    ("[a]\nListenStream=80\nPorts=40000\n", 1, ["; ListenStream= or ListenDatagram= instead of Ports= holds them"]),
    ("[a]\nUser=root\nPorts=40000\n", 1, ["; Hold=shared holds them"]),
], ids=["one", "all in one", "beside Hold=listen", "of a user"])
def test_ephemeral_ports_that_are_only_watched(check, text, line, words):
    PORT_RANGE.write_text("40000 60000")
    ((file, at, message),) = check(text)
    assert (file, at) == ("conf", line)
    for w in words:
        assert w in message


@pytest.mark.parametrize("hold", ["Hold=bound\nPorts=40000", "Hold=shared\nPorts=40000", "ListenStream=40000",
                                  "Hold=bound\nListenStream=40000"])
def test_ephemeral_ports_that_are_held(check, hold):
    PORT_RANGE.write_text("40000 60000")
    assert check(f"[a]\n{hold}\n") == []


def test_ports_that_rpc_takes(check):
    warnings = check("[a]\nPorts=80 665 873\n[b]\nPorts=1020-1030\n[c]\nPorts=700\nHold=bound\n[d]\nPorts=664 1031\n[e]\nListenStream=900\n")
    assert [(f, n) for f, n, _ in warnings] == [("conf", 1), ("conf", 3)]
    assert "[a] NFS" in warnings[0][2] and "nothing holds 665,873; Hold=bound holds them" in warnings[0][2]
    assert "nothing holds 1020-1023;" in warnings[1][2]


# What a reload would refuse

def test_floor(check, ctl):
    PORT_RANGE.write_text("40000 45000")
    text = "[Daemon]\nEphemeralFloor=4500\n[big]\nPorts=40000-41000\nHold=bound\n"
    ((file, line, message),) = check(text, code=7)
    assert (file, line) == ("conf", 3) and "fewer than EphemeralFloor=4500" in message
    PORT_RANGE.write_text("30000 45000")
    assert check(text) == []
    # What others have put there counts.
    KERNEL_LIST.write_text("30000-39999\n")
    assert len(check(text, code=7)) == 1


def test_floor_does_not_count_our_own(daemon):
    PORT_RANGE.write_text("40000 45000")
    d = daemon("[Daemon]\nEphemeralFloor=4900\n[a]\nPorts=40000-40050\nHold=bound\n")
    assert kernel_list() == set(range(40000, 40051))
    d.configure("[Daemon]\nEphemeralFloor=4900\n[a]\nPorts=40060-40110\nHold=bound\n")
    assert d.ctl.json("check", d.config)["errors"] == []
    assert d.ctl.json("reload")["ports"] == 51


# Files of sysctl.d

def test_value_that_sysctl_cuts(check, sysctl_d):
    name = sysctl_d("90-long.conf", f"\n\n{KEY} = {LONG}\n")
    ((file, line, message),) = check(QUIET)
    assert (file, line) == (name, 3)
    assert f"the value has {len(LONG)} bytes, and of more than 4095 sysctl(8) sets only the beginning" in message
    # As long as it may be, and not a byte more.
    for size, expected in (4095, 0), (4096, 1):
        sysctl_d("90-long.conf", f"{KEY}={LONG[:size]}\n")
        assert len(check(QUIET)) == expected


@pytest.mark.parametrize("where", ["/etc/sysctl.conf", "/usr/lib/sysctl.d/x.conf"])
def test_every_directory(check, sysctl_d, where):
    sysctl_d(where, f"{KEY}={LONG}\n")
    ((file, line, _),) = check(QUIET)
    assert (file, line) == (where, 1)


def test_line_that_is_moot(check, sysctl_d):
    name = sysctl_d("x.conf", "-net/ipv4/ip_local_reserved_ports = 8080,9000-9001\n")
    ((file, line, message),) = check("[a]\nPorts=8080\n[b]\nPorts=9000-9010\n")
    assert (file, line) == (name, 1) and "all its ports are reserved by portreserved.conf" in message and "; remove the line" in message
    assert check(QUIET) == []
    # One that clears the list is none.
    sysctl_d("x.conf", f"{KEY}=\n")
    assert check(QUIET) == []


def test_later_file_that_drops_ports(check, sysctl_d):
    first = sysctl_d("10.conf", f"# a\n{KEY}=7000-7005,8080\n")
    last = sysctl_d("20.conf", f"{KEY}=7001-7003,9000\n")
    ((file, line, message),) = check(QUIET)
    assert (file, line) == (last, 1)
    assert message.startswith(f"drops ports that {first}:2 sets: 7000,7004-7005 (of several lines the last wins); ")
    # What is ours is in the list anyway.
    assert check("[a]\nPorts=7000 7004-7005 8080\n") == []
    # All of it.
    sysctl_d("20.conf", f"{KEY}=7000-7005,8080,9000\n")
    assert check("[a]\nPorts=1\n") == []
    # Within a file.
    sysctl_d("20.conf", "")
    sysctl_d("10.conf", f"{KEY}=7000\n{KEY}=\n")
    ((file, line, message),) = check(QUIET)
    assert (file, line) == (first, 2) and f"{first}:1 sets: 7000 (" in message


def test_masked_files_do_not_count(check, sysctl_d):
    sysctl_d("/usr/lib/sysctl.d/10.conf", f"{KEY}={LONG}\n")
    assert len(check(QUIET)) == 1
    os.symlink("/dev/null", "/etc/sysctl.d/10.conf")
    assert check(QUIET) == []


def test_heap_of_rubbish(check, sysctl_d):
    sysctl_d("a.conf", os.urandom(1 << 20))
    sysctl_d("b.conf", b"\0" * (1 << 20))
    sysctl_d("c.conf", KEY.encode() + b"=" + b"1" * (1 << 20))
    sysctl_d("d.conf", f"{KEY}=rubbish\n" * 3000)
    pathlib.Path("/etc/sysctl.d/e.conf").mkdir()
    os.mkfifo("/etc/sysctl.d/f.conf")
    ((file, line, message),) = check(QUIET)
    assert (file, line) == ("/etc/sysctl.d/c.conf", 1) and f"has {1 << 20} bytes" in message


def test_name_with_an_escape(check, sysctl_d):
    sysctl_d("\033[2J.conf", f"{KEY}=8080\n")
    ((file, _, _),) = check(QUIET)
    assert file == "/etc/sysctl.d/\\x1b[2J.conf"


def test_file_that_cannot_be_read(place, sysctl_d):
    (place / "x.conf").write_text(QUIET)
    os.chmod(sysctl_d("x.conf", f"{KEY}=8080\n"), 0)
    binary = place / "portreservectl"
    binary.write_bytes(program("portreservectl").read_bytes())
    binary.chmod(0o755)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", str(binary), "check", str(place / "x.conf")],
                       stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert "/etc/sysctl.d/x.conf: warning: cannot be read: Permission denied; whether it sets" in r.stdout
