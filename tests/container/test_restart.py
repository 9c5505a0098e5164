# SPDX-License-Identifier: LGPL-2.1-or-later
"""Restarts and crashes of the daemon: nothing that it holds is ever let go."""

from machine import wait_until

CONFIG = """[seed]
Ports=48121/tcp
Hold=bound
Unit=seed.service

[local]
ListenStream=127.0.0.1:48123
ListenStream=[::1]:48124
Hold=bound
Unit=seed.service
"""


def sockets(m):
    """The inode numbers of the daemon's bound sockets, from its descriptors."""
    return {d for d in m.descriptors() if d.startswith("socket:[")}


def numbers(text):
    """What a program of inside/ printed at its end: {"tries": 12, …}, and the other lines."""
    found, rest = {}, []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
        elif words and words[0] in ("won", "lacks"):
            rest.append(line)
    return found, rest


def test_killed_ten_times_and_never_free(host):
    host.serve(CONFIG)
    for name in ("seed", "local"):
        host.wait_endpoint(name, "exclusive")
    # As root, so that not even the effective uid keeps SO_REUSEPORT out, and as somebody else.
    host.background("binder", *host.script("binder", 48121, 48123))
    host.background("binder-user", *host.script("binder", 48121, 48123), user="nobody")
    for _ in range(10):
        host.kill_daemon()
    for unit in ("binder", "binder-user"):
        counts, won = numbers(host.finish(unit))
        assert counts["tries"] > 1000
        assert won == []
    assert host.endpoint("seed")["state"] == "exclusive"
    # The thief would have known how: without the daemon it takes them all.
    host.systemctl("stop", "portreserved.service")
    host.background("binder", *host.script("binder", 48121))
    counts, won = numbers(host.finish("binder"))
    assert won


def test_restart_leaves_no_instant_without_the_list(host):
    host.serve(CONFIG)
    assert host.list() == "48121,48123-48124"
    host.background("listwatch", *host.script("listwatch", "48121", "48123-48124"))
    for _ in range(5):
        host.systemctl("restart", "portreserved.service")
    host.kill_daemon()
    counts, lacks = numbers(host.finish("listwatch"))
    assert counts["looks"] > 1000
    assert lacks == []


def stored(m):
    return int(m.show("portreserved.service", "NFileDescriptorStore"))


def test_ten_thousand_placeholders_survive(host):
    """All are safe by the time the start has ended, in some 160 descriptors of PID 1's."""
    host.serve("[many]\nPorts=10000-19999/tcp\nHold=shared\n")
    assert host.ctl("status")["pending"] == 0
    before = sockets(host)
    assert len(before) >= 10000
    assert 0 < stored(host) < 200
    for how in ("restart", "kill"):
        if how == "restart":
            host.systemctl("restart", "portreserved.service")
        else:
            host.kill_daemon()
        assert host.ctl("status")["pending"] == 0
        assert len(before & sockets(host)) >= 10000, how
        assert 0 < stored(host) < 200
    # And each is what it was: held, once.
    assert "19999 EADDRINUSE" in host.run(
        "python3", "-c", "import socket,errno\ns=socket.socket()\n"
        "try:\n s.bind(('0.0.0.0',19999))\nexcept OSError as e: print(19999, errno.errorcode[e.errno])").stdout


def test_configuration_change_parks_and_lets_go(host):
    host.serve("[many]\nPorts=10000-10999/tcp\nHold=shared\n")
    before = sockets(host)
    assert stored(host) == 16
    host.write("/etc/portreserved.conf", "[many]\nPorts=10500-10509/tcp\nHold=shared\n")
    host.systemctl("reload", "portreserved.service")
    # Free as the command returns, whatever PID 1 still has to do.
    host.run("python3", "-c", "import socket\nfor p in (10499, 10510):\n socket.socket().bind(('0.0.0.0', p))")
    wait_until(lambda: stored(host) <= 4, "the pages of the others are gone")
    host.systemctl("restart", "portreserved.service")
    assert host.ctl("status")["pending"] == 0
    assert host.endpoint("many")["state"] == "sharing"
    assert len(before & sockets(host)) >= 10


def test_sockets_stored_singly_are_moved(host):
    """As an older version left them, beside something that nobody knows."""
    drop_in = "/etc/systemd/system/portreserved.service.d/old.conf"
    host.write(drop_in, f"[Service]\nWatchdogSec=0\nExecStart=\nExecStart={' '.join(host.script('oldstore', 10000, 10299))}\n")
    host.made.append("/etc/systemd/system/portreserved.service.d")
    host.serve("[many]\nPorts=10000-10299/tcp\nHold=shared\n")
    before = sockets(host)
    assert stored(host) == 301
    host.run("rm", drop_in)
    host.systemctl("daemon-reload")
    for _ in range(2):
        host.systemctl("restart", "portreserved.service")
        assert host.ctl("status")["pending"] == 0
        assert len(before & sockets(host)) >= 300
        wait_until(lambda: stored(host) == 7, "three pages, and what nobody knows")


def test_no_fd_store_is_said(host):
    host.write("/etc/systemd/system/portreserved.service.d/off.conf", "[Service]\nFileDescriptorStoreMax=0\n")
    host.made.append("/etc/systemd/system/portreserved.service.d")
    cursor = host.cursor()
    host.serve(CONFIG)
    assert [d for d in host.ctl("status")["degraded"] if d.startswith("fd-store: ") and "FileDescriptorStoreMax=" in d]
    assert any("FileDescriptorStoreMax=" in t for t in host.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor))
    host.write("/etc/systemd/system/portreserved.service.d/off.conf", "")
    host.systemctl("daemon-reload")
    host.systemctl("restart", "portreserved.service")
    assert not [d for d in host.ctl("status")["degraded"] if d.startswith("fd-store: ")]


def test_list_overwritten_by_another_tool(host):
    host.serve(CONFIG)
    cursor = host.cursor()
    host.run("sh", "-c", "echo 7000-7001 >/proc/sys/net/ipv4/ip_local_reserved_ports")
    wait_until(lambda: host.list() == "7000-7001,48121,48123-48124", "ours are back, theirs stay")
    alerts = wait_until(lambda: host.events("drift", after=cursor), "the alert")
    assert len(alerts) == 1
    assert "48121" in alerts[0]["MESSAGE"]
    assert alerts[0]["MESSAGE_ID"]
    wait_until(lambda: host.ctl("status")["drifts"] == 1, "it is counted")
    assert len(host.events("drift", after=cursor)) == 1
