# SPDX-License-Identifier: LGPL-2.1-or-later
"""portreserved.service as systemd sees it: rights, notifications, reload, watchdog, stop, and what is left behind."""

from machine import wait_until

CONFIG = "[seed]\nPorts=48121/tcp\nHold=shared\n"
# linux/capability.h: NET_BIND_SERVICE 10, NET_ADMIN 12, LEASE 28.
THREE = f"{1 << 10 | 1 << 12 | 1 << 28:016x}"


def test_exactly_three_capabilities(host):
    host.serve(CONFIG)
    status = host.status_of(host.pid())
    assert set(status["Uid"].split()) == {host.run("id", "-u", "portreserved").stdout.strip()} != {"0"}
    assert {status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {THREE}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_status_says_the_numbers(host):
    host.serve(CONFIG)
    assert "1 reservation" in host.show("portreserved.service", "StatusText")
    host.write("/etc/portreserved.conf", CONFIG + "[more]\nPorts=48130-48132/tcp\n")
    host.systemctl("reload", "portreserved.service")
    wait_until(lambda: "2 reservations" in host.show("portreserved.service", "StatusText"), "the status follows a reload")
    assert host.list() == "48121,48130-48132"


def test_sighup_reloads_and_says_reloading(host):
    host.serve(CONFIG)
    host.run("systemd-analyze", "log-level", "debug")
    try:
        cursor = host.cursor()
        host.write("/etc/portreserved.conf", "[seed]\nPorts=48122/tcp\nHold=shared\n")
        host.systemctl("kill", "--signal=HUP", "portreserved.service")
        wait_until(lambda: host.list() == "48122", "the new configuration is applied")

        def said():
            got = [m for m in host.messages("_PID=1", after=cursor) if "Got notification message" in m]
            return ["RELOADING=1" in m and "MONOTONIC_USEC=" in m for m in got], ["READY=1" in m for m in got]

        wait_until(lambda: any(said()[1]), "READY=1")
        reloading, ready = said()
        assert reloading.index(True) < ready.index(True)
    finally:
        host.run("systemd-analyze", "log-level", "info")
    wait_until(lambda: host.show("portreserved.service", "SubState") == "running", "it is running again")


def test_reload_with_a_mistake_changes_nothing_and_fails(host):
    host.serve(CONFIG)
    pid = host.pid()
    host.write("/etc/portreserved.conf", "[seed]\nPorts=48122/tcp\nHold=shard\n")
    cursor = host.cursor()
    assert host.systemctl("reload", "portreserved.service", check=False).returncode != 0
    assert host.active("portreserved.service") == "active"
    assert host.pid() == pid
    assert host.list() == "48121"
    assert host.endpoint("seed")["port"] == 48121
    assert any("/etc/portreserved.conf:3" in m for m in host.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor))


def test_mistake_at_start_costs_only_itself(host):
    host.serve(CONFIG + "[wrong]\nPorts=99999/tcp\n[more]\nPorts=48130/tcp\nNonsense=1\n")
    assert host.active("portreserved.service") == "active"
    assert host.list() == "48121,48130"
    assert host.ctl("status")["config_errors"]


def test_edit_half_done_changes_nothing(host):
    """What runs is what was last applied: over a crash, a restart and anybody's daemon-reload."""
    host.serve("[web]\nListenStream=48121\nUnit=lighttpd.service\n")
    host.write("/etc/portreserved.conf", "[web]\nListenStream=48199\nUnit=lighttpd.service\n")
    host.systemctl("daemon-reload")
    assert "ListenStream=48121" in host.read("/run/systemd/generator/portreserved-web.socket")
    pid = host.pid()
    host.systemctl("kill", "--signal=KILL", "portreserved.service")
    wait_until(lambda: host.pid() not in (0, pid) and host.active("portreserved.service") == "active", "it is back")
    assert host.list() == "48121"
    host.systemctl("restart", "portreserved.service")
    assert host.list() == "48121"
    # A start after a stop is a fresh one.
    host.systemctl("stop", "portreserved.service")
    wait_until(lambda: host.active("portreserved-list.service") == "inactive", "the companion has stopped")
    host.systemctl("start", "portreserved.service")
    assert host.list() == "48199"


def test_hung_daemon_is_restarted_by_the_watchdog(host):
    host.write("/etc/systemd/system/portreserved.service.d/quick.conf", "[Service]\nWatchdogSec=2s\n")
    host.made.append("/etc/systemd/system/portreserved.service.d")
    host.serve(CONFIG)
    assert host.show("portreserved.service", "WatchdogUSec") == "2s"
    pid = host.pid()
    first = host.show("portreserved.service", "WatchdogTimestampMonotonic")
    wait_until(lambda: host.show("portreserved.service", "WatchdogTimestampMonotonic") != first, "it pings")
    assert host.pid() == pid
    host.systemctl("kill", "--signal=STOP", "portreserved.service")
    wait_until(lambda: host.pid() not in (0, pid) and host.active("portreserved.service") == "active", "it is back")
    assert host.endpoint("seed")["state"] == "sharing"


def test_stop_restores_the_list_byte_for_byte(host):
    text = "8000,9000-9010,40000"
    host.run("sh", "-c", f"echo {text} >/proc/sys/net/ipv4/ip_local_reserved_ports")
    host.serve(CONFIG + "[more]\nPorts=48130-48132/tcp\nPorts=40001/tcp\n")
    assert host.list() == "8000,9000-9010,40000-40001,48121,48130-48132"
    host.systemctl("stop", "portreserved.service")
    wait_until(lambda: host.active("portreserved-list.service") == "inactive", "the companion has stopped")
    assert host.list() == text


def test_nothing_is_left_after_uninstalling(machine):
    m = machine.boot()
    m.write("/etc/portreserved.conf", "[web]\nListenStream=8443\nUnit=lighttpd.service\n[nginx]\nPorts=48080/tcp\nHold=bound\n")
    m.systemctl("enable", "--now", "portreserved.service")
    assert m.list() == "8443,48080"
    assert m.run("sh", "-c", "find /run -name '*portreserve*'").stdout
    # A client of the generated socket's service, so that it is really in use.
    m.systemctl("start", "portreserved-web.socket")
    m.systemctl("disable", "--now", "portreserved.service")
    wait_until(lambda: m.active("portreserved-list.service") == "inactive", "the companion has stopped")
    m.systemctl("stop", "portreserved-web.socket")
    m.run("sh", "-c", "rm -rf /lib/systemd/system/portreserved* /lib/systemd/system-generators/portreserved* "
          "/usr/sbin/portreserved /usr/libexec/portreserved /etc/portreserved.conf*")
    m.systemctl("daemon-reload")

    def left():
        return (m.run("sh", "-c", "find /run /sys/fs/cgroup -name '*portreserve*'").stdout +
                m.systemctl("list-units", "--all", "--plain", "--no-legend", "portreserved*").stdout)

    # What was not needed any longer is stopped in PID 1's own time.
    wait_until(lambda: left() == "", f"nothing is left of {left()!r}")
    assert m.list() == ""
