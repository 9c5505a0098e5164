# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has a port, told from the journal alone by a daemon that is not root: containers, a user's own units, a cgroup that has gone."""

import pytest

ID = "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef0123"
CONFIG = "[nginx]\nPorts=48141-48149/tcp\n"
# Stays in the cgroup that it is started in, as systemd-run --scope does, and out of the way of the shell.
LISTEN = "socat TCP-LISTEN:{},fork,bind=127.0.0.1 -"
# Makes a listener in a cgroup that it leaves and removes.
MOVER = """import os, pathlib, signal, socket, sys
sys.path.insert(0, "/opt/inside")
import common
top = pathlib.Path("/sys/fs/cgroup" + open("/proc/self/cgroup").read().partition("0::")[2].strip())
for name in ("before", "after"):
    (top / name).mkdir()
    (top / name / "cgroup.procs").write_text("0")
    if name == "before":
        s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
(top / "before").rmdir()
common.ready()
signal.pause()
"""


def holder(m, port):
    return next(e["collision"] for e in m.ctl("show", "nginx")["endpoints"] if e["port"] == port)


@pytest.fixture
def watched(host):
    host.serve(CONFIG)
    host.at = host.cursor()
    yield host
    host.systemctl("stop", f"docker-{ID}.scope", "machine-my\\x2dweb.scope", "user@1.service", check=False)
    host.systemctl("stop", "portreserved.service", "portreserved-inspect.socket", "portreserved-inspect.service", check=False)


def scope(m, unit, slice_, command, below=""):
    """A command in a scope of that name, and there in a cgroup of the container's own where one is given."""
    enter = f"d=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup){below}; mkdir -p $d; echo 0 >$d/cgroup.procs; " if below else ""
    m.run("sh", "-ec", f"systemd-run --quiet --scope --collect --unit='{unit}' --slice={slice_} --property=Delegate=yes "
          f"sh -ec '{enter}exec {command}' >/dev/null 2>&1 </dev/null &")


def test_docker(watched):
    """Whatever runs in it: a unit of the reservation's name inside is the container's."""
    m = watched
    scope(m, f"docker-{ID}.scope", "system.slice", LISTEN.format(48141), "/system.slice/nginx.service")
    entry = m.alert(48141, m.at)
    assert "is taken by container 4f5e6a7b8c9d (pid " in entry["MESSAGE"] and "/usr/bin/socat" in entry["MESSAGE"]
    assert entry["PORTRESERVED_CULPRIT_UNIT"] == f"docker-{ID}.scope"
    h = holder(m, 48141)
    assert (h["kind"], h["container"], h["user"], h["certain"]) == ("squatter", ID, None, True)
    assert h["cgroup"] == f"/system.slice/docker-{ID}.scope/system.slice/nginx.service"
    assert h["command"] == LISTEN.format(48141)
    assert m.ctl("why", 48141)["reason"].startswith("container 4f5e6a7b8c9d (pid ")


def test_machine(watched):
    """As machined names them, with what systemd escapes."""
    m = watched
    scope(m, "machine-my\\x2dweb.scope", "machine.slice", LISTEN.format(48142), "/payload/init.scope")
    assert "is taken by container my-web (pid " in m.alert(48142, m.at)["MESSAGE"]
    h = holder(m, 48142)
    assert (h["kind"], h["container"], h["unit"]) == ("squatter", "my-web", "machine-my\\x2dweb.scope")


def test_unit_of_a_user(watched):
    """nginx.service of a user's own manager is neither the system's nor anybody's but that user's."""
    m = watched
    # Where nobody has logged in, and pam_systemd is not there to say so.
    m.unit("user@1.service.d/runtime.conf", "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/1\n")
    m.write("/etc/systemd/user/nginx.service", f"[Service]\nExecStart=/usr/bin/{LISTEN.format(48143)}\n")
    m.made.append("/etc/systemd/user/nginx.service")
    m.systemctl("daemon-reload")
    m.systemctl("start", "user@1.service")
    as_user = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", "env", "XDG_RUNTIME_DIR=/run/user/1"]
    m.run(*as_user, "systemctl", "--user", "start", "nginx.service")
    assert "is taken by nginx.service of user daemon (pid " in m.alert(48143, m.at)["MESSAGE"]
    h = holder(m, 48143)
    assert (h["kind"], h["unit"], h["user_unit"], h["user"]) == ("squatter", "user@1.service", "nginx.service", "daemon")
    # Its manager, with all that the user runs, is not what to stop.
    assert not any("user@1.service" in r for r in m.ctl("why", 48143)["remedy"])


def test_cgroup_that_has_gone(watched):
    """A listener of a process that has moved since: told by where that is now, and not by where it was."""
    m = watched
    m.write("/run/mover.py", MOVER)
    m.made.append("/run/mover.py")
    m.background("mover", "/usr/bin/python3", "/run/mover.py", "48144", properties=("Delegate=yes",))
    entry = m.alert(48144, m.at)
    pid = m.pid("mover.service")
    assert f"is taken by system.slice/mover.service/after (pid {pid}, " in entry["MESSAGE"]
    assert entry["PORTRESERVED_CULPRIT_UNIT"] == "mover.service"
    h = holder(m, 48144)
    assert (h["unit"], h["cgroup"], h["certain"]) == ("mover.service", "/system.slice/mover.service/after", True)
    m.finish("mover")


def test_cgroup_that_has_gone_and_nobody_to_ask(watched):
    """Without the helper nobody is named: that cgroup was never seen."""
    m = watched
    m.systemctl("mask", "--runtime", "--now", "portreserved-inspect.socket")
    try:
        m.write("/run/mover.py", MOVER)
        m.made.append("/run/mover.py")
        m.background("mover", "/usr/bin/python3", "/run/mover.py", "48145", properties=("Delegate=yes",))
        assert "is taken by user root, " in m.alert(48145, m.at)["MESSAGE"]
        h = holder(m, 48145)
        assert [h[k] for k in ("unit", "cgroup", "pid", "exe", "command")] == [None] * 5
        assert h["kind"] == "unknown" and not h["no_process"]
        m.finish("mover")
    finally:
        m.systemctl("unmask", "--runtime", "portreserved-inspect.socket")
