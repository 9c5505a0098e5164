# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who reads nothing but the journal can tell who took the port, and what he is told to type frees it."""

import re

import pytest
from machine import wait_until

# Of the machine's own, where nothing else is.
PORT, PEER = 47121, 6379
BELOW = ("\N{LIGHT SHADE}\N{LIGHT SHADE}", "--")
SECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def catalog(shared):
    """What `meson install` does on a real system, and what it must not complain of."""
    r = shared.run("journalctl", "--update-catalog")
    assert r.stderr == ""
    listed = shared.run("journalctl", "--list-catalog").stdout
    assert listed.count("portreserved: ") == 11, listed


def told(m, event, since):
    """The entry of an event: its line with the explanation below it, as a reader sees them, and its fields."""
    entry = wait_until(lambda: m.events(event, after=since), f"{event} in the journal")[0]
    lines = m.run("journalctl", "-q", "--catalog", "--full", f"--cursor={entry['__CURSOR']}").stdout.splitlines()
    end = next((i for i, line in enumerate(lines) if i > 0 and not line.startswith(BELOW)), len(lines))
    return "\n".join(lines[:end]), entry


def explanation(text):
    lines = [line[3:] for line in text.splitlines() if line.startswith(BELOW)]
    assert lines, f"no catalog entry:\n{text}"
    return "\n".join(lines)


def commands(text):
    """What stands indented, to be typed."""
    return re.findall(r"^    (\S.*)$", explanation(text), re.M)


def assert_told(m, text, entry, who, kind, how, remedy):
    pid = m.pid(f"{who}.service")
    assert entry["PORTRESERVED_NAME"] == "web" and entry["PORTRESERVED_PORT"] == str(PORT)
    assert (entry["PORTRESERVED_KIND"], entry["PORTRESERVED_CULPRIT_UNIT"]) == (kind, f"{who}.service")
    assert entry["PORTRESERVED_CULPRIT_CGROUP"] == f"/system.slice/{who}.service"
    assert entry["PORTRESERVED_CULPRIT_CERTAIN"] == "yes" and entry["PORTRESERVED_REMEDY"] == remedy
    assert entry["PORTRESERVED_CULPRIT_USER"] == "nobody"
    # Once in the line itself, once below it.
    for part in (entry["MESSAGE"], explanation(text)):
        for words in (str(PORT), "web", f"{who}.service", how, remedy, f"portreservectl why {PORT}/tcp", f"127.0.0.1:{PORT}"):
            assert words in part, f"{words} is missing:\n{part}"
    assert entry["PORTRESERVED_CULPRIT_PID"] == str(pid) and f"(pid {pid}, {entry['PORTRESERVED_CULPRIT_EXE']})" in entry["MESSAGE"]
    assert "/usr/bin/python3" in entry["PORTRESERVED_CULPRIT_EXE"] and "/opt/inside/" in entry["PORTRESERVED_CULPRIT_COMMAND"]
    assert re.search(rf"user nobody; command: .*/opt/inside/.*; running since {SECONDS}; seen there since {SECONDS}\. ", entry["MESSAGE"])
    assert entry["PORTRESERVED_CULPRIT_STARTED"] < entry["PORTRESERVED_SINCE"]
    assert "PORTRESERVED_" not in text  # the name of a field that the entry lacks
    assert commands(text)[0] == remedy


def test_ephemeral_thief(host, catalog):
    host.background("crawler", *host.script("thief", PORT, PEER), properties=("AmbientCapabilities=CAP_NET_ADMIN CAP_DAC_OVERRIDE",),
                    user="nobody")
    since = host.cursor()
    host.serve(f"[web]\nPorts={PORT}/tcp\nHold=bound\n")
    text, entry = told(host, "collision", since)
    assert_told(host, text, entry, "crawler", "ephemeral", "the kernel chose the port for an outgoing connection",
                f"portreservectl evict {PORT}/tcp")
    assert entry["PORTRESERVED_PEER"] == f"127.0.0.1:{PEER}" and entry["PORTRESERVED_AUTOMATIC"] == "yes"
    assert f"-> 127.0.0.1:{PEER} ESTABLISHED" in explanation(text)
    pending, _ = told(host, "pending", since)
    assert f"portreservectl why {PORT}/tcp" in commands(pending)

    assert host.ctl("why", PORT)["remedy"][0] == commands(text)[0]
    host.run("sh", "-c", commands(text)[0])
    host.wait_endpoint("web", "exclusive")
    evicted, entry = told(host, "evicted", since)
    assert "crawler.service" in explanation(evicted) and "crawler.service" in entry["MESSAGE"]
    text, entry = told(host, "resolved", since)
    assert int(entry["PORTRESERVED_DURATION_USEC"]) > 0 and "crawler.service" in explanation(text)
    assert "Nothing has to be done" in explanation(told(host, "claimed", since)[0])


def test_squatter(host, catalog):
    host.background("squatter", *host.script("server", PORT, "127.0.0.1"), user="nobody")
    since = host.cursor()
    host.serve(f"[web]\nPorts={PORT}/tcp\nHold=bound\n")
    text, entry = told(host, "collision", since)
    assert_told(host, text, entry, "squatter", "squatter", "it bound the port explicitly", "systemctl stop squatter.service")
    assert entry["PORTRESERVED_STATE"] == "LISTEN" and "PORTRESERVED_PEER" not in entry
    host.run("sh", "-c", commands(text)[0])
    host.wait_endpoint("web", "exclusive")


def test_drift(host, catalog):
    host.serve(f"[web]\nPorts={PORT}/tcp\n")
    since = host.cursor()
    host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_local_reserved_ports")
    text, entry = told(host, "drift", since)
    assert str(PORT) in entry["MESSAGE"] and str(PORT) in explanation(text)
    assert "portreservectl check" in commands(text) and "/etc/sysctl.d" in explanation(text)
