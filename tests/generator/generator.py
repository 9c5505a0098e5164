#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The generator: exact text of what it writes, and what systemd-analyze says of it.

usage: generator.py PROGRAM"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = sys.argv[1]
HELPER = "portreserved/portreserved-handover"
SERVICE = "[Service]\nExecStart=/bin/true\n"

# In a root of its own.
OWN_ROOT = ["tmpfs", "-HELPER:/run/portreserved-handover", "-RUNTIME"]

number = 0


def check(ok, what, detail=""):
    global number
    number += 1
    print(f"{'ok' if ok else 'not ok'} {number} - {what}")
    if not ok:
        print("\n".join("# " + line for line in str(detail).splitlines()))


class Host:
    """A tree in place of "/", with configuration and unit files."""

    def __init__(self, files):
        self.top = Path(tempfile.mkdtemp(prefix="generator-"))
        self.root = self.top / "root"
        self.runtime = self.top / "run"
        self.out = self.top / "out"
        for folder in (self.root, self.runtime, self.out):
            folder.mkdir()
        for name, text in files.items():
            path = self.root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("-> "):
                path.symlink_to(text[3:])
            else:
                path.write_text(text)

    def run(self, *more):
        return subprocess.run([PROGRAM, self.out, self.top / "early", self.top / "late", f"--root={self.root}",
                               f"--runtime-dir={self.runtime}", *more],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def files(self):
        found = {}
        for path in sorted(self.out.rglob("*")):
            if path.is_symlink():
                found[str(path.relative_to(self.out))] = f"-> {os.readlink(path)}"
            elif path.is_file():
                found[str(path.relative_to(self.out))] = path.read_text()
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)


def body(text):
    """Without the comment on top."""
    return text.split("\n\n", 1)[1]


def commands(text):
    """ExecStartPre= and ExecStopPost= lines as (key, words after the helper); the helper's path is where it was installed."""
    found = []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.startswith("Exec"):
            words = value.split(" ")
            assert words[0].startswith("-+/") and words[0].endswith(HELPER), line
            found.append((key, words[1:]))
    return found


def binds(text):
    """BindReadOnlyPaths= lines, and "tmpfs" for TemporaryFileSystem=/run; HELPER: where the helper was installed."""
    return [re.sub("(?<=^-)/.*" + HELPER, "HELPER", line.partition("=")[2]).replace("/run:nosuid", "tmpfs") for line in text.splitlines()
            if line.startswith(("BindReadOnlyPaths=", "TemporaryFileSystem="))]


def test_listen():
    with Host({"/etc/portreserved.conf": """
[web]
ListenStream=443
ListenStream=127.0.0.1:8443
ListenDatagram=[fe80::1]:99%7
Ports=9000
Unit=lighttpd.service
Description=Web, 100% "up"
Backlog=77
BindIPv6Only=both
[app@one]
ListenStream=[::1]:80
FileDescriptorName=http
"""}) as host:
        r = host.run()
        check(r.returncode == 0 and r.stdout == "" and r.stderr == "", "listen: silent success", r)
        files = host.files()
        check(sorted(files) == ["app@one.service.d/50-portreserved.conf", "lighttpd.service.d/50-portreserved.conf",
                                "portreserved-app@one.socket", "portreserved-web.socket",
                                "portreserved.service.wants/portreserved-app@one.socket",
                                "portreserved.service.wants/portreserved-web.socket",
                                "sockets.target.wants/portreserved-app@one.socket",
                                "sockets.target.wants/portreserved-web.socket"], "listen: one unit and its links each", sorted(files))
        check(files["sockets.target.wants/portreserved-web.socket"] == "-> ../portreserved-web.socket", "listen: linked", files)
        check(files["portreserved-web.socket"].startswith("# Generated from /etc/portreserved.conf:2."), "listen: says where from")
        check(body(files["portreserved-web.socket"]) == """[Unit]
Description=Web, 100%% "up"
Documentation=man:portreserved.conf(5)
SourcePath=/etc/portreserved.conf
DefaultDependencies=no
After=systemd-sysctl.service
Before=portreserved.service sysinit.target sockets.target shutdown.target
Conflicts=shutdown.target

[Socket]
ListenStream=443
ListenStream=127.0.0.1:8443
ListenDatagram=[fe80::1]:99%%7
Service=lighttpd.service
FileDescriptorName=web
FreeBind=yes
Backlog=77
BindIPv6Only=both
""", "listen: the unit's text", files["portreserved-web.socket"])
        check(body(files["portreserved-app@one.socket"]) == """[Unit]
Description=Reserved port of app@one.service
Documentation=man:portreserved.conf(5)
SourcePath=/etc/portreserved.conf
DefaultDependencies=no
After=systemd-sysctl.service
Before=portreserved.service sysinit.target sockets.target shutdown.target
Conflicts=shutdown.target

[Socket]
ListenStream=[::1]:80
Service=app@one.service
FileDescriptorName=http
""", "listen: an instance, its own name for the socket, no FreeBind= on loopback", files["portreserved-app@one.socket"])


def test_bound():
    with Host({"/etc/portreserved.conf": """
[redis]
Ports=6379/tcp
Hold=bound
[cache]
Ports=6380/tcp
Hold=bound
Unit=redis-server.service
[nginx]
Ports=80/tcp
Hold=bound
[shared]
Ports=81
Hold=shared
[none]
Ports=82
""", "/lib/systemd/system/redis-server.service": SERVICE,
               "/etc/systemd/system/redis.service": "-> /lib/systemd/system/redis-server.service",
               "/lib/systemd/system/nginx.service": SERVICE + "RootDirectory=/srv/nginx\n"}) as host:
        r = host.run()
        files = host.files()
        check(r.returncode == 0 and r.stdout + r.stderr == "", "bound: silent success", r)
        check(sorted(files) == ["nginx.service.d/50-portreserved.conf", "redis-server.service.d/50-portreserved.conf"],
              "bound: one drop-in a unit, by its canonical name", sorted(files))
        text = files["redis-server.service.d/50-portreserved.conf"]
        check([line for line in body(text).splitlines() if line and not line.startswith("Exec")] ==
              ["[Unit]", "After=portreserved.service", "[Service]"], "bound: no other key", text)
        check(commands(text) == [("ExecStartPre", ["start", "cache", "redis"]), ("ExecStopPost", ["stop", "cache", "redis"])],
              "bound: both reservations in one line", text)
        text = files["nginx.service.d/50-portreserved.conf"]
        check("ExecStartPre=-+/run/portreserved-handover start nginx\nExecStopPost=-+/run/portreserved-handover stop nginx\n" in text,
              "bound: run from the unit's own root", text)
        check(binds(text) == ["tmpfs", "-HELPER:/run/portreserved-handover", f"-{host.runtime}"], "bound: visible in the unit's own root", text)


def test_bound_many():
    for width in (3, 47):
        names = [f"n{i:0{width}}" for i in range(200)]
        with Host({"/etc/portreserved.conf": "".join(f"[{n}]\nPorts={1000 + i}\nHold=bound\nUnit=x.service\n"
                                                     for i, n in enumerate(names))}) as host:
            r = host.run()
            found = commands(host.files()["x.service.d/50-portreserved.conf"])
            starts = [words for key, words in found if key == "ExecStartPre"]
            check(r.returncode == 0 and [n for words in starts for n in words[1:]] == names, "bound: all of 200 names, in order", r)
            check(len(starts) > 1 and all(sum(len(w) + 1 for w in words) <= 4096 for words in starts),
                  "bound: no request longer than the helper can send")
            check(all(len(words) - 1 <= 128 for words in starts), "bound: no request of more names than the daemon takes", starts)


def test_view():
    """What the unit's own view hides is put there."""
    rows = {
        "": [],
        "RootDirectory=/": [],
        "RootDirectory=/srv": OWN_ROOT,
        "RootDirectory=/srv\nBindPaths=/x:RUNTIME": OWN_ROOT[1:],
        "RootImage=/srv.img": OWN_ROOT,
        "RootDirectory=/srv\nRootDirectoryStartOnly=yes": [],
        "TemporaryFileSystem=/var /usr:ro": ["-HELPER"],
        "TemporaryFileSystem=/": ["-HELPER", "-RUNTIME"],
        "TemporaryFileSystem=/run:ro\nTemporaryFileSystem=": [],
        "TemporaryFileSystem=/us /usr/libexec/portreserved/portreserved-handover/x": [],
        "BindPaths=/opt:/srv -/x:RUNTIME:norbind": ["-RUNTIME"],
        "BindPaths=-/usr/libexec/": ["-HELPER"],
        "BindReadOnlyPaths=/usr:/mnt:rbind\nBindReadOnlyPaths=/mnt:/usr": ["-HELPER"],
        "MountImages=/a.img:/usr": ["-HELPER"],
        "InaccessiblePaths=/usr\nProtectSystem=strict\nNoExecPaths=/": [],
    }
    units = {f"/lib/systemd/system/u{i}.service": SERVICE for i in range(len(rows))}
    with Host({"/etc/portreserved.conf": "".join(f"[u{i}]\nPorts={1000 + i}\nHold=bound\n" for i in range(len(rows))), **units}) as host:
        for i, lines in enumerate(rows):
            (host.root / f"lib/systemd/system/u{i}.service").write_text(SERVICE + lines.replace("RUNTIME", str(host.runtime)) + "\n")
        r = host.run()
        check(r.returncode == 0 and r.stderr == "", "view: silent success", r)
        files = host.files()
        for i, (lines, want) in enumerate(rows.items()):
            got = [b.replace(str(host.runtime), "RUNTIME") for b in binds(files[f"u{i}.service.d/50-portreserved.conf"])]
            if lines.startswith("TemporaryFileSystem=/run"):
                got = [b for b in got if b != "-RUNTIME"]
            check(got == want, f"view: {lines!r}", f"{got}\n{want}")


def test_own_network():
    own = {"private": "PrivateNetwork=yes", "joined": "PrivateNetwork=1\n[Unit]\nJoinsNamespaceOf=other.service",
           "path": "NetworkNamespacePath=/run/netns/x"}
    host_ns = {"host": "NetworkNamespacePath=/proc/1/ns/net", "off": "PrivateNetwork=yes\nPrivateNetwork=no",
               "joins": "[Unit]\nJoinsNamespaceOf=other.service"}
    ports = iter(range(1000, 2000))
    sections = "".join(f"[{n}-{hold}]\n{'ListenStream' if hold == 'listen' else 'Ports'}={next(ports)}\nHold={hold}\nUnit={n}.service\n"
                       for n in {**own, **host_ns} for hold in ("bound", "shared", "listen", "none"))
    with Host({"/etc/portreserved.conf": sections, **{f"/lib/systemd/system/{n}.service": SERVICE + lines + "\n"
                                                      for n, lines in {**own, **host_ns}.items()}}) as host:
        r = host.run()
        files = host.files()
        # Every service has one, for its .socket unit.
        told = sorted(f for f, text in files.items() if f.endswith(".d/50-portreserved.conf") and "ExecStartPre=" in text)
        check(told == [f"{n}.service.d/50-portreserved.conf" for n in sorted(host_ns)], "own network: no hand-over", told)
        check(all(f"portreserved-{n}-listen.socket" in files for n in {**own, **host_ns}), "own network: a listener is the host's", files)
        said = r.stderr.splitlines()
        check(r.returncode == 0 and len(said) == 2 * len(own), "own network: each bound and shared one is said", r.stderr)
        check("portreserved-generator: /etc/portreserved.conf:1: private.service has a network namespace of its own "
              "(/lib/systemd/system/private.service:3: PrivateNetwork=yes), and Hold=bound of [private-bound] is on the host; "
              "write ListenStream= or ListenDatagram= with Hold=listen if it takes sockets from systemd, or remove the section"
              == said[0], "own network: where, why and what to do", r.stderr)


def test_own_sockets():
    """A .socket unit of the owner's that listens on the port needs the hand-over as well."""
    with Host({"/etc/portreserved.conf": """
[a]
Ports=80
Hold=bound
[b]
ListenStream=127.0.0.1:81
Hold=bound
Unit=a.service
[other]
Ports=90
Hold=bound
[closed]
Ports=91
Hold=bound
[early]
Ports=92
Hold=bound
""", "/lib/systemd/system/a.service": SERVICE, "/lib/systemd/system/alias.service": "-> a.service",
               "/lib/systemd/system/a.socket": "[Socket]\nListenStream=/run/a\nListenStream=80\n",
               "/lib/systemd/system/more.socket": "[Socket]\nListenStream=127.0.0.1:80\nListenStream=81\nService=alias.service\n",
               "/lib/systemd/system/path.socket": "[Socket]\nListenStream=/run/x\nService=a.service\n",
               "/lib/systemd/system/other.socket": "[Socket]\nListenStream=900\n",
               "/lib/systemd/system/early.service": SERVICE,
               "/lib/systemd/system/early.socket":
                   "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n[Socket]\nListenDatagram=92\n",
               "/lib/systemd/system/closed.service": SERVICE + "RootImage=/x.img\nMountAPIVFS=no\n"}) as host:
        r = host.run()
        files = host.files()
        check(sorted(files) == [f"{u}.d/50-portreserved.conf" for u in ("a.service", "a.socket", "more.socket", "other.service")],
              "own sockets: those that listen there", sorted(files))
        names = {u: commands(files[f"{u}.d/50-portreserved.conf"])[0][1][1:] for u in ("a.service", "a.socket", "more.socket")}
        check(names == {"a.service": ["a", "b"], "a.socket": ["a"], "more.socket": ["a", "b"]}, "own sockets: what each has", names)
        check("\n[Socket]\nExecStartPre=" in files["a.socket.d/50-portreserved.conf"], "own sockets: the section", files)
        check("early.socket starts before portreserved can" in r.stderr, "own sockets: not before us", r.stderr)
        check("closed.service has a root of its own with MountAPIVFS=no" in r.stderr, "a root without /run is refused", r.stderr)


def test_too_early():
    early = "[Unit]\nDefaultDependencies=no\nBefore=%s\n" + SERVICE
    with Host({"/etc/portreserved.conf": "".join(f"[{n}]\nPorts={1000 + i}\nHold=bound\n" for i, n in enumerate(
                   ["a", "b", "c", "ok", "portreserved", "systemd-sysctl"])),
               "/lib/systemd/system/a.service": early % "local-fs.target",
               "/lib/systemd/system/b.service": early % "x.target \\\n  sysinit.target",
               "/lib/systemd/system/c.service": SERVICE,
               "/etc/systemd/system/c.service.d/x.conf": early % "systemd-sysusers.service",
               "/lib/systemd/system/ok.service": early % "network.target"}) as host:
        r = host.run()
        check(sorted(host.files()) == ["ok.service.d/50-portreserved.conf"], "too early: no drop-in", host.files())
        check(r.returncode == 0 and all(f"{n}.service starts before portreserved can" in r.stderr for n in
                                        ["a", "b", "c", "portreserved", "systemd-sysctl"]), "too early: each is said", r.stderr)
        check("/etc/portreserved.conf:1: " in r.stderr, "too early: with its place", r.stderr)


def test_applied_first():
    with Host({"/etc/portreserved.conf": "[edited]\nListenStream=1\n"}) as host:
        (host.runtime / "applied.conf").write_text("[applied]\nSource=/etc/x.conf:9\nListenStream=2\n")
        host.run()
        check([f for f in host.files() if "/" not in f] == ["portreserved-applied.socket"], "applied.conf before /etc", host.files())
        check("# Generated from /etc/x.conf:9." in host.files()["portreserved-applied.socket"], "applied.conf: the place it came from")


def test_running_service():
    """What a listener that comes while its service runs needs, and one that only has another name."""
    with Host({"/lib/systemd/system/web.service": SERVICE, "/etc/systemd/system/alias.service": "-> /lib/systemd/system/web.service"}) as host:
        (host.runtime / "applied.conf").write_text(
            "[new]\nFormerName=old\nListenStream=2\nUnit=alias.service\n[plain]\nPorts=3/tcp\nHold=bound\nUnit=web.service\n"
            "[bound]\nFormerName=gone\nPorts=4/tcp\nHold=bound\n[newer]\nNovelty=1\nPorts=5/tcp\nHold=bound\n")
        r = host.run()
        check(r.returncode == 0 and r.stderr == "", "applied.conf of a newer version: silent success", r)
        files = host.files()
        drop_in = files["web.service.d/50-portreserved.conf"]
        check("\nWants=portreserved-new.socket\nAfter=portreserved-new.socket\n" in drop_in, "listen: wanted by its service", drop_in)
        check(commands(drop_in) == [("ExecStartPre", ["start", "plain"]), ("ExecStopPost", ["stop", "plain"])],
              "listen beside bound: commands for bound only", drop_in)
        check(files["portreserved-old.socket"] == "-> portreserved-new.socket", "renamed: a link from the former name", files)
        check(not any("gone" in f for f in files), "renamed, bound: no link", files)
        check("newer.service.d/50-portreserved.conf" in files, "a key of a newer version costs nothing else", files)
        (host.runtime / "applied.conf").write_text("# What portreserved last applied.\n[Daemon]\n[a]\nPor")
        (host.root / "etc/portreserved.conf").write_text("[b]\nListenStream=9\n")
        shutil.rmtree(host.out)
        host.out.mkdir()
        host.run()
        check("portreserved-b.socket" in host.files(), "applied.conf without its end: /etc", host.files())


def test_mistakes():
    with Host({"/etc/portreserved.conf": "[a]\nListenStream=0\nListenStream=70\n[b]\nFrobnicate=1\nPorts=80\nHold=bound\n"}) as host:
        r = host.run()
        check(r.returncode == 0 and sorted(f for f in host.files() if "wants" not in f) ==
              ["a.service.d/50-portreserved.conf", "b.service.d/50-portreserved.conf", "portreserved-a.socket"], "mistakes: the rest is served", r)
        check("/etc/portreserved.conf:2: port 0" in r.stderr, "mistakes: the first is named", r.stderr)
    with Host({}) as host:
        r = host.run()
        check(r.returncode == 0 and host.files() == {} and r.stdout + r.stderr == "", "no configuration: nothing, silently", r)
    with Host({"/etc/portreserved.conf": "[a]\nListenStream=70\n"}) as host:
        shutil.rmtree(host.out)
        r = host.run()
        check(r.returncode == 1 and "cannot write" in r.stderr, "no place to write to: exit 1, said", r)
        r = subprocess.run([PROGRAM], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        check(r.returncode == 2 and "usage" in r.stderr, "no arguments: usage", r)
    with Host({"/etc/portreserved.conf": "[a]\nListenStream=70\n", "/x.conf": "[x]\nListenStream=71\n"}) as host:
        host.run("--config=/x.conf")
        check("portreserved-x.socket" in host.files() and "portreserved-a.socket" not in host.files(), "--config", host.files())


def test_example():
    """The shipped example, every line in force: no mistake, and what its comments say."""
    example = Path(__file__).resolve().parents[2] / "conf" / "portreserved.conf"
    lines = [line[1:] if line.startswith("#") and line[1:2].strip() else line for line in example.read_text().splitlines()]
    with Host({"/etc/portreserved.conf": "\n".join(lines) + "\n"}) as host:
        r = host.run()
        check(r.returncode == 0 and r.stdout + r.stderr == "", "the example has no mistake", r)
        check([f for f in sorted(host.files()) if "wants" not in f] ==
              ["lighttpd.service.d/50-portreserved.conf", "portreserved-web.socket",
               "redis-server.service.d/50-portreserved.conf"], "the example makes its units", host.files())


def test_verify():
    if not shutil.which("systemd-analyze"):
        print(f"ok {number + 1} - verify # SKIP no systemd-analyze")
        return
    with Host({"/etc/portreserved.conf": """
[web]
ListenStream=8443
ListenStream=192.0.2.1:8080
ListenDatagram=[::1]:8443
Unit=own.service
Description=%n is no specifier
Backlog=50
NoDelay=yes
TriggerLimitBurst=3
[app]
Ports=6379
Hold=bound
"""}) as host:
        host.run()
        (host.out / "own.service").write_text(SERVICE)
        (host.out / "app.service").write_text(SERVICE)
        (host.out / "portreserved.service").write_text(SERVICE)
        for unit in ("portreserved-web.socket", "app.service"):
            r = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{host.out}:"})
            # The helper is not installed here; a "-" before it makes that no failure.
            said = [line for line in r.stdout.splitlines() if ("portreserved" in line or "app.service" in line) and HELPER not in line]
            check(not said, f"systemd-analyze verify {unit}", r.stdout)


for test in (test_listen, test_bound, test_bound_many, test_view, test_own_network, test_own_sockets, test_too_early, test_applied_first,
             test_running_service, test_mistakes, test_example, test_verify):
    test()
print(f"1..{number}")
