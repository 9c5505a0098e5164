# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who has a port, in words and in JSON: containers, units of users, odd names, and what is only probably right."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import actors
import pytest

from conftest import listener, program, thief, wait_until

ID = "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef0123"
SERVER = """import signal, socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
signal.pause()
"""


class Cgroups(actors.Cgroups):
    """With servers in them. What stands at the top is not ours to make or to keep."""

    def __init__(self):
        root = actors.cgroup_root()
        if root is None:
            pytest.skip("missing here: cgroup v2")
        super().__init__(root)
        self.children = []

    def serve(self, path, port, arguments=(), executable=sys.executable, user=0):
        """A process in that cgroup that listens on the port."""
        procs = self.make(path) / "cgroup.procs"

        def enter():
            procs.write_text("0")
            os.setresuid(user, user, user)

        child = subprocess.Popen([sys.executable, "-c", SERVER, str(port), *arguments], executable=executable,
                                 stdout=subprocess.PIPE, preexec_fn=enter)
        self.children.append(child)
        child.stdout.readline()
        return child

    def end(self, child):
        child.kill()
        child.wait()
        child.stdout.close()
        self.children.remove(child)

    def close(self):
        for child in list(self.children):
            self.end(child)
        self.done()


@pytest.fixture
def cgroups():
    # Paths are what is tested: one run at a time, where all have one tree.
    with open(pathlib.Path(tempfile.gettempdir()) / "portreserved-test-cgroups.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(Cgroups()) as c:
            yield c


def holder_of(ctl, port):
    found = ctl.json("why", port)
    assert len(found["holders"]) == 1, found["holders"]
    return found["holders"][0], found["reason"]


def test_process(ctl, cgroups):
    """All that there is to know of a plain service."""
    child = cgroups.serve("/test.slice/test-identity.service", 8080, ("two words", "line\nbreak\x1b[2J"))
    h, reason = holder_of(ctl, 8080)
    assert (h["unit"], h["user_unit"], h["container"]) == ("test-identity.service", None, None)
    assert h["cgroup"] == "/test.slice/test-identity.service"
    assert (h["pid"], h["uid"], h["user"]) == (child.pid, 0, "root")
    assert h["exe"] == os.path.realpath(sys.executable)
    assert h["command"].endswith("8080 two words line\\x0abreak\\x1b[2J")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", h["started"])
    assert (h["automatic"], h["expires_sec"], h["no_process"], h["certain"]) == (False, None, False, True)
    assert reason.startswith(f"test-identity.service (pid {child.pid}, ")


@pytest.mark.parametrize("path, unit, container, name", [
    (f"/system.slice/docker-{ID}.scope", f"docker-{ID}.scope", ID, "container 4f5e6a7b8c9d"),
    (f"/system.slice/docker-{ID}.scope/system.slice/nginx.service", f"docker-{ID}.scope", ID, "container 4f5e6a7b8c9d"),
    (f"/machine.slice/libpod-{ID}.scope/container", f"libpod-{ID}.scope", ID, "container 4f5e6a7b8c9d"),
    (f"/docker/{ID}", None, ID, "container 4f5e6a7b8c9d"),
    (f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", f"cri-containerd-{ID}.scope", ID,
     "container 4f5e6a7b8c9d"),
    ("/machine.slice/machine-my\\x2dweb.scope/payload/system.slice/nginx.service", "machine-my\\x2dweb.scope", "my-web",
     "container my-web"),
    ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "systemd-nspawn@web.service", "web", "container web"),
    ("/lxc.payload.web.slice/system.slice/nginx.service", None, "web.slice", "container web.slice"),
])
def test_container(daemon, cgroups, path, unit, container, name):
    """Its unit is not the host's of that name: a thief, who is named by the container."""
    child = cgroups.serve(path, 8080)
    d = daemon("[nginx]\nPorts=8080/tcp\n")
    collision = wait_until(lambda: d.endpoints("nginx")[0]["collision"], "the collision is told")
    assert collision["kind"] == "squatter"
    assert (collision["unit"], collision["container"], collision["cgroup"]) == (unit, container, path)
    assert collision["user"] is None and collision["certain"]
    h, reason = holder_of(d.ctl, 8080)
    assert (h["kind"], h["container"], h["pid"]) == ("squatter", container, child.pid)
    assert reason.startswith(f"{name} (pid {child.pid}, ")
    wait_until(lambda: f"is taken by {name}" in d.log(), "it is logged")


def test_owner_beside_container(daemon, cgroups):
    """The real one is the owner, wherever containers have one of that name."""
    cgroups.serve("/system.slice/test-nginx.service/worker", 8080)
    cgroups.serve(f"/system.slice/docker-{ID}.scope/system.slice/test-nginx.service", 8081)
    d = daemon("[test-nginx]\nPorts=8080-8081/tcp\n")
    wait_until(lambda: any(e["collision"] for e in d.endpoints("test-nginx")), "the collision is told")
    told = {e["port"]: e["collision"] for e in d.endpoints("test-nginx")}
    assert set(told) == {8081} or told[8080] is None
    assert told[8081]["container"] == ID


def test_user_unit(ctl, cgroups):
    path = "/user.slice/user-4242.slice/user@4242.service/app.slice/foo\\x2dbar.service"
    child = cgroups.serve(path, 8080, user=4242)
    h, reason = holder_of(ctl, 8080)
    assert (h["unit"], h["user_unit"], h["uid"], h["user"]) == ("user@4242.service", "foo\\x2dbar.service", 4242, None)
    assert reason.startswith(f"foo\\x2dbar.service of user@4242.service (pid {child.pid}, ")
    assert "systemctl stop user@4242.service" not in ctl.json("why", 8080)["remedy"]


def test_container_of_user(ctl, cgroups):
    """Users call theirs as they like: it is told whose."""
    cgroups.serve(f"/user.slice/user-4242.slice/user@4242.service/user.slice/libpod-{ID}.scope/container", 8080, user=4242)
    h, reason = holder_of(ctl, 8080)
    assert (h["unit"], h["user_unit"], h["container"]) == ("user@4242.service", f"libpod-{ID}.scope", ID)
    assert reason.startswith("container 4f5e6a7b8c9d of user@4242.service (pid ")


def test_longest_name(daemon, cgroups):
    """255 bytes, most of them escapes."""
    unit = "\\xe2\\x82\\xac" * 20 + "x" * 7 + ".service"
    assert len(unit) == 255
    child = cgroups.serve(f"/system.slice/{unit}", 8080)
    d = daemon("[app]\nPorts=8080/tcp\n")
    collision = wait_until(lambda: d.endpoints("app")[0]["collision"], "the collision is told")
    assert (collision["unit"], collision["kind"]) == (unit, "squatter")
    h, reason = holder_of(d.ctl, 8080)
    assert h["unit"] == unit and reason.startswith(f"{unit} (pid {child.pid}, ")


def pass_on(cgroups, path, port):
    """A listener made in a cgroup that is left, and goes: (socket)."""
    procs = cgroups.make(path) / "cgroup.procs"
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        procs.write_text("0")
        s = listener(port)
        socket.send_fds(theirs, [b"x"], [s.fileno()])
        os._exit(0)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(child, 0)
    ours.close()
    theirs.close()
    return socket.socket(fileno=fds[0])


def test_deleted_cgroup(ctl, cgroups):
    """Who has it now is exact; who made it is not known any more."""
    s = pass_on(cgroups, "/test.slice/test-gone.service", 8080)
    cgroups.remove("/test.slice/test-gone.service")
    h, reason = holder_of(ctl, 8080)
    assert (h["pid"], h["exe"], h["certain"]) == (os.getpid(), os.path.realpath("/proc/self/exe"), True)
    assert h["unit"] != "test-gone.service"
    assert "test-gone" not in reason
    s.close()


def test_deleted_cgroup_remembered(daemon, cgroups, place):
    """Seen before it went, by a daemon that cannot look into processes: probably."""
    s = pass_on(cgroups, "/test.slice/test-gone.service", 8080)
    d = daemon("[app]\nPorts=8081/tcp\nHold=shared\n[first]\nPorts=8080/tcp\n")
    collision = wait_until(lambda: d.endpoints("first")[0]["collision"], "the collision is told")
    assert (collision["unit"], collision["certain"]) == ("test-gone.service", True)
    cgroups.remove("/test.slice/test-gone.service")
    d.configure("[second]\nPorts=8080/tcp\n")
    d.ctl("reload", code=0)
    collision = wait_until(lambda: d.endpoints("second")[0]["collision"], "the collision is told anew")
    if collision["pid"] is None:
        assert (collision["unit"], collision["certain"]) == ("test-gone.service", False)
        wait_until(lambda: "is taken by probably test.slice/test-gone.service" in d.log(), "it is logged")
    else:
        # A daemon that is root sees who has it.
        assert (collision["pid"], collision["certain"]) == (os.getpid(), True)
        assert collision["unit"] != "test-gone.service"
    s.close()


def test_deleted_program(ctl, cgroups, place):
    copy = place / "python"
    shutil.copy(os.path.realpath(sys.executable), copy)
    cgroups.serve("/test.slice/test-deleted.service", 8080, executable=str(copy))
    copy.unlink()
    h, _ = holder_of(ctl, 8080)
    assert h["exe"] == f"{copy} (deleted)"


def test_remains(ctl):
    """What is left of a connection is nobody's, and says for how long."""
    client, accepted, server = thief(40123)
    client.close()
    accepted.close()
    h = next(h for h in ctl.json("why", 40123)["holders"] if h["state"] == "TIME_WAIT")
    assert [h[k] for k in ("unit", "cgroup", "pid", "exe", "uid", "user", "command", "started")] == [None] * 8
    assert 1 <= h["expires_sec"] <= 60 and h["certain"] and not h["no_process"]
    server.close()


def test_kernels_own(ctl, cgroups):
    """A VXLAN device's socket: in a process's cgroup, and in no process."""
    holding = cgroups.serve("/test.slice/test-vxlan.service", 8080)
    procs = cgroups.root / "test.slice/test-vxlan.service/cgroup.procs"
    r = subprocess.run(["ip", "link", "add", "vx0", "type", "vxlan", "id", "1", "dstport", "4789", "dev", "lo"],
                       stderr=subprocess.PIPE, text=True)
    if r.returncode != 0:
        pytest.skip(f"missing here: VXLAN devices: {r.stderr}")
    subprocess.run(["ip", "link", "set", "vx0", "up"], check=True, preexec_fn=lambda: procs.write_text("0"))
    # Where root is kept out of some process (PID 1 of a sandbox), it cannot be said; in a /proc of its own nobody is.
    r = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *ctl.command("why", "4789/udp", "--json=short")],
                       stdout=subprocess.PIPE, text=True, check=True)
    assert '"no_process":false' in r.stdout, "the holder of port 8080 is in that cgroup and out of sight"
    cgroups.end(holding)
    r = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *ctl.command("why", "4789/udp", "--json=short")],
                       stdout=subprocess.PIPE, text=True, check=True)
    assert '"no_process":true' in r.stdout and '"unit":"test-vxlan.service"' in r.stdout
    r = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *ctl.command("why", "4789/udp")],
                       stdout=subprocess.PIPE, text=True, check=True)
    assert "test-vxlan.service (no process has it: the kernel's own)" in r.stdout


def test_hidden_processes(place, cgroups):
    """hidepid=2: not to be seen is not to be gone."""
    cgroups.serve("/test.slice/test-hidden.service", 8080, user=4242)
    command = [str(program("portreservectl")), f"--runtime-dir={place}", "why", "8080", "--json=short"]
    copy = place / "portreservectl"
    shutil.copy(command[0], copy)
    command[0] = str(copy)
    r = subprocess.run(["unshare", "--mount", "sh", "-c",
                        'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --clear-groups "$@"', "sh", *command],
                       stdout=subprocess.PIPE, text=True, check=True)
    assert '"unit":"test-hidden.service"' in r.stdout and '"uid":4242' in r.stdout
    assert '"pid":null,"exe":null' in r.stdout and '"no_process":false' in r.stdout
