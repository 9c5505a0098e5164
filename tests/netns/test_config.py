# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configurations that nobody should write: what is said of them, what they cost at boot, and what at a reload."""

import os
import re
import subprocess

import pytest

from conftest import kernel_list, program, wait_until

GOOD = "[a]\nPorts=48121/tcp\n"

MISTAKES = {
    "port 0": (b"[a]\nPorts=0\n", 2),
    "port 65536": (b"[a]\nPorts=65536\n", 2),
    "backwards": (b"[a]\nPorts=90-80\n", 2),
    "negative": (b"[a]\nPorts=-5\n", 2),
    "twice": (b"[a]\nPorts=80\n[b]\nPorts=80\n", 4),
    "in a run": (b"[a]\nPorts=70-90\n[b]\nListenStream=127.0.0.1:80\n", 4),
    "in a pool": (b"[a]\nPorts=70-90\n[Pool p]\nPorts=80\n", 3),
    "name with a newline": (b"[a\nb]\nPorts=80\n", 1),
    "name with an escape": (b"[a\033[2Jb]\nPorts=80\n", 1),
    "name too long": (b"[" + b"n" * 49 + b"]\nPorts=80\n", 1),
    "line too long": (b"[a]\nPorts=80\nDescription=" + b"x" * 300 + b"\n", 3),
    "no section": (b"Ports=80\n", 1),
    "unknown key": (b"[a]\nPorts=80\nFoo=1\n", 3),
    "NUL": (b"[a]\nPorts=80\nHold=\0\n", 3),
    "truncated": (b"[a]\nPorts=80\nHol", 3),
}


def check(which, path):
    command = {"portreserved": ["--check", path], "portreservectl": ["check", path]}[which]
    return subprocess.run([str(program(which)), *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)


@pytest.mark.parametrize("which", ["portreserved", "portreservectl"])
@pytest.mark.parametrize("name", MISTAKES)
def test_check_says_where_and_what(place, which, name):
    text, line = MISTAKES[name]
    path = place / "x.conf"
    path.write_bytes(text)
    r = check(which, path)
    assert r.returncode == 7
    said = (r.stdout + r.stderr).decode()
    mistakes = [s for s in said.splitlines() if not re.match(r"\S+:\d+: warning: ", s)]
    assert re.match(re.escape(str(path)) + rf":{line}: [^;]+; .+", mistakes[0]), said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


@pytest.mark.parametrize("which", ["portreserved", "portreservectl"])
def test_check_of_a_good_one(place, sysctl_d, which):
    path = place / "x.conf"
    path.write_text("[a]\nPorts=8121/tcp\n[w]\nListenStream=80\nBacklog=7\n")
    r = check(which, path)
    assert r.returncode == 0
    assert b"x.conf:" not in (r.stdout + r.stderr).replace(b"x.conf: valid, 2 reservations", b"")


@pytest.mark.parametrize("which", ["portreserved", "portreservectl"])
@pytest.mark.parametrize("text", [os.urandom(1 << 20), b"\0" * (10 << 20), b"[a]\n" + b"Ports=0\n" * 100000,
                                  b"#" * (10 << 20) + b"\n"], ids=["binary", "10 MB of NUL", "100,000 mistakes", "more than 10 MB"])
def test_check_of_a_heap(place, which, text):
    path = place / "x.conf"
    path.write_bytes(text)
    r = check(which, path)
    assert r.returncode == 7
    said = (r.stdout + r.stderr).decode()
    assert 1 <= len(said.splitlines()) <= 1001
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


def test_all_mistakes_at_once(place):
    path = place / "x.conf"
    (place / "x.conf.d").mkdir()
    path.write_text("[a]\nPorts=0\nHold=x\n[b]\nPorts=1-0\n")
    (place / "x.conf.d" / "10.conf").write_text("[a]\nPorts=80\nFoo=1\n")
    said = (lambda r: r.stdout + r.stderr)(check("portreserved", path)).decode()
    places = re.findall(r"^(\S+?:\d+): (?!warning)", said, re.M)
    assert places == [f"{path}:2", f"{path}:3", f"{path}:5", f"{path}.d/10.conf:3"]


def test_without_effect_yet_is_said_and_no_mistake(place):
    path = place / "x.conf"
    path.write_text("[Daemon]\nMetricsFile=/x\n[a]\nPorts=80\nExclusive=audit\n[Pool p]\nPorts=90\n")
    r = check("portreserved", path)
    said = (r.stdout + r.stderr).decode()
    assert r.returncode == 0
    assert re.findall(r"^\S+:(\d+): warning: .* no effect in this build", said, re.M) == ["2", "5", "6"]


LATER = {
    "Daemon": ["Exclusive=audit", "ExclusiveOnExit=keep", "PortserverSocket=@ports",
               "MetricsFile=/run/metrics"],
    "a": ["Exclusive=yes"],
}


def test_the_daemon_says_what_has_no_effect_yet(daemon):
    """As --check does: every such key once, with its line, at the start and in status."""
    text = "[a]\nPorts=48121/tcp\n" + "".join(f"[{section}]\n" + "".join(f"{key}\n" for key in keys) for section, keys in LATER.items())
    text += "[Pool p]\nPorts=20000-20009\nUsers=root\nMaxPerUser=1\nMaxLeaseSec=1h\n"
    d = daemon(text)
    lines = text.splitlines()
    want = [(str(i + 1), re.split("[]=]", line.lstrip("["))[0]) for i, line in enumerate(lines)
            if any(line in keys for keys in LATER.values()) or line == "[Pool p]"]
    assert len(want) == 6
    logged = re.findall(rf"^portreserved: {re.escape(str(d.config))}:(\d+): \[?([\w ]+)[]=]+ has no effect in this build", d.log(), re.M)
    assert logged == want
    assert [str(w["line"]) for w in d.state()["warnings"]] == [line for line, _ in want]
    assert d.state()["config_errors"] == 0
    said = check("portreserved", d.config).stdout.decode()
    assert re.findall(r"^\S+:(\d+): warning: \[?([\w ]+)[]=]+ has no effect in this build", said, re.M) == want


def test_at_boot_a_mistake_costs_itself(daemon):
    d = daemon(GOOD + "[b]\nPorts=48121 48122\n[c]\nPorts=48123/tcp 0\n[d\n[e]\nPorts=48124/tcp\nFoo=1\n")
    wait_until(lambda: set(kernel_list()) == {48121, 48123, 48124}, "the rest is reserved")
    assert sorted(r["name"] for r in d.state()["list"]) == ["a", "c", "e"]
    assert d.state()["config_errors"] == 4


@pytest.mark.parametrize("name", MISTAKES)
def test_a_reload_with_a_mistake_changes_nothing(daemon, name):
    d = daemon(GOOD)
    wait_until(lambda: set(kernel_list()) == {48121}, "reserved")
    applied = (d.runtime / "applied.conf").read_bytes()
    d.configure(MISTAKES[name][0])
    d.ctl("reload", code=7)
    assert set(kernel_list()) == {48121}
    assert (d.runtime / "applied.conf").read_bytes() == applied
    assert [r["name"] for r in d.state()["list"]] == ["a"]
