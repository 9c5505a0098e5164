# SPDX-License-Identifier: LGPL-2.1-or-later
"""Upgrade and downgrade: other binaries in place of those that run, and state of a version that knows more or less."""

from test_change import holds, listeners, nothing_wrong, queued, served, web  # noqa: F401 (web is a fixture)

from machine import wait_until

APPLIED = "/run/portreserved/applied.conf"
CONFIG = "[web]\nListenStream=5001\n[seed]\nPorts=5002/tcp\nPorts=5003/udp\nHold=bound\n[loose]\nPorts=5004/tcp\nHold=shared\n"
# A file of its own in place of the one that runs, as dpkg does it.
REPLACE = "for p in $(command -v portreserved portreservectl) /usr/libexec/portreserved/*; do cp -a $p $p.new; mv $p.new $p; done"


def held(m):
    """Everything that must not change by whatever happens to the daemon."""
    return holds(m), {p: i for p, i in listeners(m).items() if p == 5001}, m.list()


def unchanged(m, before):
    """But for the sockets that the daemon makes, and closes, to try its ports."""
    wait_until(lambda: held(m) == before, f"as before: {before}")


def start(m):
    m.serve(CONFIG)
    m.wait_endpoint("seed", "exclusive")
    wait_until(lambda: m.endpoint("web")["state"] == "listening", "PID 1 listens")
    return held(m), m.cursor()


def test_binaries_replaced_then_try_restart(web):
    before, cursor = start(web)
    c = queued(web, 5001)
    assert len(before[0]) == 3
    for _ in range(2):
        pid = web.pid()
        web.run("sh", "-ec", REPLACE)
        assert web.run("readlink", f"/proc/{pid}/exe").stdout.strip().endswith("(deleted)")
        # It serves from the file that is gone; and new programs ask it.
        assert web.ctl("status")["pending"] == 0
        web.run("portreservectl", "reload")
        web.systemctl("daemon-reload")
        web.systemctl("try-restart", "portreserved.service")
        assert web.pid() != pid and held(web) == before
        web.systemctl("daemon-reexec")
        unchanged(web, before) and web.endpoint("seed")["state"] == "exclusive"
    web.run("touch", "/run/go")
    assert served(c) == "web"
    nothing_wrong(web, cursor)


def test_stop_replace_start(web):
    """A package whose scripts stop the service first: what PID 1 listens on stays, the rest is taken back at start."""
    before, cursor = start(web)
    c = queued(web, 5001)
    web.systemctl("stop", "portreserved.service")
    web.run("sh", "-ec", REPLACE)
    web.systemctl("daemon-reload")
    assert listeners(web)[5001] == before[1][5001]
    web.systemctl("start", "portreserved.service")
    web.wait_endpoint("seed", "exclusive")
    web.wait_endpoint("loose", "sharing")
    assert web.list() == before[2] and len(holds(web)) == 3 and listeners(web)[5001] == before[1][5001]
    web.run("touch", "/run/go")
    assert served(c) == "web"
    nothing_wrong(web, cursor)


def test_applied_conf_of_a_newer_version(web):
    """Keys, sections and values that this version does not know cost nothing else; not the generated units either."""
    before, cursor = start(web)
    text = web.read(APPLIED)
    newer = text.replace("[seed]\n", "[seed]\nNovelty=7\n").replace("[web]\n", "[web]\nFormerName=!\nRun=x y\nNovelty=a;b\n") \
        .replace("[Daemon]\n", "[Daemon]\nFuture=yes\n").replace("# End\n", "[Rule x]\nPorts=1\n# End\n")
    assert newer.count("Novelty") == 2 and "Future" in newer and "[Rule x]" in newer
    web.systemctl("kill", "--signal=STOP", "--kill-whom=main", "portreserved.service")
    web.write(APPLIED, newer)
    web.kill_daemon()
    unchanged(web, before)
    status = web.run("portreservectl", "status").stdout
    assert web.ctl("status")["config_errors"] == 0
    for word in ("Novelty=", "Future=", "[Rule x]"):
        assert f"{word} is not known to this version" in status
    web.systemctl("daemon-reload")
    unchanged(web, before)
    assert web.active("portreserved-web.socket") == "active"
    assert "portreserved-handover" in web.read("/run/systemd/generator/seed.service.d/50-portreserved.conf")
    # An older one would have written neither end nor history.
    web.systemctl("kill", "--signal=STOP", "--kill-whom=main", "portreserved.service")
    web.write(APPLIED, "".join(line for line in text.splitlines(True) if not line.startswith("#")))
    web.kill_daemon()
    unchanged(web, before)
    nothing_wrong(web, cursor)


def test_damaged_files(web):
    """Cut short at any of its lines, applied.conf is not believed; ours, rewrite and state.json are put right."""
    before, cursor = start(web)
    text = web.read(APPLIED).splitlines(True)
    for n in (0, 1, len(text) // 2, len(text) - 1):
        web.systemctl("kill", "--signal=STOP", "--kill-whom=main", "portreserved.service")
        web.write(APPLIED, "".join(text[:n]))
        web.run("sh", "-ec", "cd /run/portreserved; echo more >>ours; echo x >rewrite; echo '{\"version\":' >state.json")
        web.kill_daemon()
        unchanged(web, before)
    # What is in the list is still known to be ours.
    web.systemctl("stop", "portreserved.service")
    wait_until(lambda: web.list() == "", "it is ours and goes")
    nothing_wrong(web, cursor)


def test_single_sockets_of_an_older_version(web):
    """An older daemon stored each socket by itself: taken over, and into pages. What a newer one stored that is no socket stays for it;
    a socket that nobody knows goes."""
    web.write("/opt/store.py", """import array, os, socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 5002))
strange = [os.open("/dev/null", os.O_RDONLY), os.memfd_create("x"), socket.socket(socket.AF_UNIX).detach(), os.pipe()[0]]
n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
n.connect(os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))
for name, fd in [("a1", s.fileno()), ("a1", strange[0]), ("z" * 200, strange[1]), ("page9", strange[2]), ("p0", strange[3])]:
    n.sendmsg([f"FDSTORE=1\\nFDPOLL=0\\nFDNAME={name}".encode()],
              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
n.send(b"READY=1")
print("inode", os.fstat(s.fileno()).st_ino, flush=True)
os.execvp("sleep", ["sleep", "infinity"])
""")
    web.write("/etc/portreserved.conf", CONFIG)
    drop_in = "/run/systemd/system/portreserved.service.d/older.conf"
    web.write(drop_in, "[Service]\nExecStart=\nExecStart=/usr/bin/python3 /opt/store.py\nWatchdogSec=0\n")
    web.made.append("/run/systemd/system/portreserved.service.d")
    web.systemctl("daemon-reload")
    cursor = web.cursor()
    web.systemctl("start", "portreserved.service")
    inode = next(m.split()[1] for m in web.messages("_SYSTEMD_UNIT=portreserved.service", after=cursor) if m.startswith("inode"))
    web.run("rm", drop_in)
    web.systemctl("daemon-reload")
    web.systemctl("restart", "portreserved.service")
    web.wait_endpoint("seed", "exclusive")
    assert inode in holds(web)
    for _ in range(2):
        web.systemctl("restart", "portreserved.service")
        assert inode in holds(web) and len(holds(web)) == 3
        # A page, a memfd and a pipe.
        wait_until(lambda: web.show("portreserved.service", "NFileDescriptorStore") == "4", "the rest is gone")
    web.kill_daemon()
    assert inode in holds(web) and web.endpoint("seed")["state"] == "exclusive"
