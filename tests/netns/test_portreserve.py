# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes from Red Hat's portreserve: its folder, read as reservations, and portrelease."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import DEADLINE, kernel_list, program, wait_until

PORT = 48121
SERVER = """
import signal, socket, sys
s = socket.socket()
if sys.argv[2] == "reuse":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
print("up", flush=True)
signal.pause()
"""


@pytest.fixture
def folder(place):
    path = place / "portreserve"
    path.mkdir()
    return path


def config(folder, more=""):
    return f"[Daemon]\nPortreserveDirectory={folder}\n{more}"


def portrelease(d, *names, **popen):
    return subprocess.run([str(program("portrelease")), f"--runtime-dir={d.runtime}", *names], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, **popen)


def can_bind(port, reuse=True):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def names(d):
    return sorted(r["name"] for r in d.state()["list"])


def test_files_are_reservations(daemon, folder):
    (folder / "dovecot").write_text(f"# mail\n{PORT}/tcp\n{PORT + 1}/tcp # more\n")
    (folder / "both").write_text(f"{PORT + 2}\n")
    (folder / "dovecot.rpmsave").write_text("1\n")
    (folder / "old~").write_text("2\n")
    d = daemon(config(folder))
    d.wait_state("dovecot", "exclusive")
    assert names(d) == ["both", "dovecot"]
    assert kernel_list() == {PORT, PORT + 1, PORT + 2}
    shown = d.ctl.json("show", "dovecot")
    assert (shown["unit"], shown["hold"], shown["source"]) == ("dovecot.service", "bound", f"{folder}/dovecot:2")
    assert [(e["protocol"], e["port"]) for e in d.endpoints("both")] == [("tcp", PORT + 2), ("udp", PORT + 2)]
    assert not can_bind(PORT) and not can_bind(PORT + 1)


def test_a_reload_takes_changes_and_a_mistake_changes_nothing(daemon, folder):
    (folder / "one").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder))
    d.wait_state("one", "exclusive")
    (folder / "two").write_text(f"{PORT + 1}/tcp\nnosuchservice\n70000\n")
    r = d.ctl("reload", code=7)
    assert f"{folder}/two:2:" in r.stderr and f"{folder}/two:3:" in r.stderr
    assert names(d) == ["one"]
    r = d.ctl("check", d.config, code=7)
    assert f"{folder}/two:2:" in r.stdout + r.stderr
    (folder / "two").write_text(f"{PORT + 1}/tcp\n")
    (folder / "one").unlink()
    d.ctl("reload", code=0)
    d.wait_state("two", "exclusive")
    assert names(d) == ["two"]
    assert can_bind(PORT) and not can_bind(PORT + 1)


def test_at_boot_a_mistake_costs_itself(daemon, folder):
    (folder / "good").write_text(f"{PORT}/tcp\nrubbish here\n")
    (folder / "noise").write_bytes(os.urandom(65536))
    (folder / "a\nb").write_text("80\n")
    (folder / "directory").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    (folder.parent / "elsewhere").write_text(f"{PORT + 1}/tcp\n")
    d = daemon(config(folder, f"[declared]\nPorts={PORT + 2}/tcp\n"))
    d.wait_state("good", "exclusive")
    d.wait_state("linked", "exclusive")
    assert names(d) == ["declared", "good", "linked"]
    log = d.log()
    for said in (f"{folder}/good:2:", "noise:", "a\\x0ab: its name", "directory: is a directory", "fifo: is no file", "dangling: links"):
        assert said in log, said


def test_a_section_of_that_name_counts(daemon, folder):
    (folder / "web").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder, f"[web]\nPorts={PORT + 1}/tcp\n"))
    assert [e["port"] for e in d.endpoints("web")] == [PORT + 1]
    assert d.state()["config_errors"] == 0
    assert any("[web] is declared" in w["message"] for w in d.state()["warnings"])


def test_files_come_and_go_while_they_are_read(daemon, folder):
    """None of it is a mistake, whatever the reload sees."""
    d = daemon(config(folder))
    stop = threading.Event()

    def stir():
        while not stop.is_set():
            for i in range(20):
                (folder / f"s{i}").write_text(f"{PORT + i}/tcp\n")
            for i in range(20):
                (folder / f"s{i}").unlink()

    thread = threading.Thread(target=stir)
    thread.start()
    try:
        for _ in range(20):
            d.ctl("reload", code=0)
    finally:
        stop.set()
        thread.join()
    assert d.state()["config_errors"] == 0


def test_what_runs_is_what_was_applied(daemon, folder):
    (folder / "one").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder))
    d.wait_state("one", "exclusive")
    (folder / "one").write_text(f"{PORT + 1}/tcp\n")
    d.kill()
    d.start()
    d.wait_state("one", "exclusive")
    assert [e["port"] for e in d.endpoints("one")] == [PORT]
    assert d.ctl.json("show", "one")["source"] == f"{folder}/one:1"


@pytest.mark.parametrize("reuse", ["reuse", "plain"])
def test_portrelease_answers_when_the_port_is_open(daemon, folder, reuse):
    """As an init script has it: portrelease NAME && NAME. The hold is exclusive again when the server is gone."""
    (folder / "mail").write_text(f"{PORT}/tcp\n")
    section = f"[plain]\nPorts={PORT + 1}/tcp\nHold=bound\nReuseAddress=no\n"
    d = daemon(config(folder, section))
    name, port = ("mail", PORT) if reuse == "reuse" else ("plain", PORT + 1)
    for _ in range(5):
        d.wait_state(name, "exclusive")
        assert not can_bind(port)
        server = subprocess.Popen(["sh", "-c", '"$1" --runtime-dir="$2" "$3" && exec "$4" -c "$5" "$6" "$7"', "sh",
                                   program("portrelease"), d.runtime, name, sys.executable, SERVER, str(port), reuse],
                                  stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "up\n"
        d.wait_state(name, "in-use")
        server.send_signal(signal.SIGKILL)
        server.wait()
    d.wait_state(name, "exclusive")
    assert not can_bind(port)


def test_twice_told_is_harmless(daemon, folder):
    """Packages' units have ExecStartPre=-/sbin/portrelease NAME, and then comes our own drop-in's."""
    (folder / "mail").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder))
    d.wait_state("mail", "exclusive")
    assert portrelease(d, "mail").returncode == 0
    assert subprocess.run([program("portreserved-handover"), f"--runtime-dir={d.runtime}", "start", "mail"]).returncode == 0
    assert portrelease(d, "mail", "mail").returncode == 0
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(PORT), "reuse"], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "up\n"
    d.wait_state("mail", "in-use")
    server.kill()
    server.wait()
    d.wait_state("mail", "exclusive")


def test_statuses(daemon, folder, place):
    (folder / "mail").write_text(f"{PORT}/tcp\n")
    thief = socket.socket()
    thief.bind(("0.0.0.0", PORT + 1))
    thief.listen()
    d = daemon(config(folder, f"[taken]\nPorts={PORT + 1}/tcp\nHold=bound\n[many]\nPorts={PORT + 2}/tcp\n"))
    d.wait_state("taken", "pending")
    r = portrelease(d, "nope")
    assert r.returncode == 4 and "nope: no such reservation" in r.stderr
    r = portrelease(d, "taken")
    assert r.returncode == 6 and "somebody else has the port" in r.stderr
    r = portrelease(d, "nope", "mail", "taken")
    assert r.returncode == 4 and "taken: somebody" in r.stderr
    d.wait_state("mail", "sharing")  # whatever becomes of the others
    for args in (), ("--nonsense",), ("x",) * 129, ("y" * 48,) * 100:
        assert portrelease(d, *args).returncode == 2
    assert portrelease(d, *("many",) * 128).returncode == 0
    copy = shutil.copy(program("portrelease"), place / "portrelease")
    r = subprocess.run(["setpriv", "--reuid=12345", "--clear-groups", copy, f"--runtime-dir={d.runtime}", "mail"], capture_output=True,
                       text=True)
    assert r.returncode == 5 and "only root" in r.stderr


def test_without_a_daemon_the_script_goes_on(daemon, folder, place):
    d = daemon(config(folder))
    d.kill()
    began = time.monotonic()
    r = portrelease(d, "mail")
    assert r.returncode == 0 and "not running" in r.stderr
    shutil.rmtree(d.runtime)
    assert portrelease(d, "mail").returncode == 0
    assert time.monotonic() - began < DEADLINE
    d.runtime.mkdir()


def test_a_daemon_that_hangs_is_a_failure(daemon, folder):
    """Nobody knows whether the port is open."""
    (folder / "mail").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder))
    with d.frozen():
        r = portrelease(d, "mail")
    assert r.returncode == 1 and "does not answer" in r.stderr
    # Its request is dropped: nobody is there to bind.
    wait_until(lambda: "the process has ended" in d.log(), "said")
    assert d.endpoints("mail")[0]["state"] == "exclusive"


def test_it_waits_for_a_daemon_that_is_being_restarted(daemon, folder):
    (folder / "mail").write_text(f"{PORT}/tcp\n")
    d = daemon(config(folder))
    d.kill()
    asking = subprocess.Popen([str(program("portrelease")), f"--runtime-dir={d.runtime}", "mail"], stderr=subprocess.PIPE, text=True)
    d.start()
    assert asking.wait(60) == 0
    # On a machine so slow that the second was over, it has said so.
    if not asking.stderr.read():
        d.wait_state("mail", "sharing")


def test_a_pid_that_is_used_again(place):
    """Who asked has ended, and another process has its number by the time that the daemon looks: it is not taken for who asked."""
    ask = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(b"release\\0mail\\0")
os.set_inheritable(s.fileno(), True)
print(os.getpid(), flush=True)
if os.fork() == 0:
    os.closerange(0, 3)
    os.execvp("sleep", ["sleep", "60"])  # keeps the connection
"""
    script = f"""
set -e
mount -t tmpfs run /run
printf '[mail]\\nPorts={PORT}/tcp\\nHold=bound\\n' >/run/c
"$1" --config=/run/c 2>/run/log & daemon=$!
until [ -S /run/portreserved/handover ] && [ -e /run/portreserved/state.json ]; do sleep 0.1; done
kill -STOP $daemon
until grep -q 'State:.T' /proc/$daemon/status; do sleep 0.01; done
pid=$(python3 -c "$2" /run/portreserved/handover)
[ ! -e /proc/$pid ]
echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
sleep 60 & again=$!
echo again $([ $again = $pid ] && echo yes)
kill -CONT $daemon
for i in $(seq 300); do grep -q 'has ended' /run/log && break; sleep 0.1; done
cat /run/log
"$3" show mail
"""
    r = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", program("portreserved"),
                        ask, program("portreservectl")], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    assert "again yes" in r.stdout, r
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 5):
        pytest.skip("before Linux 6.5 nobody can tell")
    assert "the process has ended; the request is dropped" in r.stdout
    assert "exclusive" in r.stdout and "sharing" not in r.stdout
