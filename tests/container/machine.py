# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted Debian with systemd as its PID 1, under systemd-nspawn, over a stack of trees that it does not change.

The mounts live in a mount namespace and the processes in a cgroup of the machine's own: whatever becomes of the test, nothing is
left behind, and machines can run side by side."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

BOOT_SECONDS = 120
STOP_SECONDS = 60

# Overlay mount, then nspawn in our place: its pid is the one that we know.
START = 'mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" overlay "$4" && shift 4 && exec "$@"'


class Failed(Exception):
    pass


def wait_until(condition, what="condition", deadline=60, step=0.05):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline} s")
        time.sleep(step)


def cgroup_mounts():
    """Where cgroup v2 and systemd's named v1 hierarchy are mounted: nspawn needs a place of its own in both."""
    mounts = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fs, _, options = right.split(" ", 2)
        if fs == "cgroup2" or (fs == "cgroup" and "name=systemd" in options):
            mounts.append(pathlib.Path(left.split()[4]))
    return mounts


class Machine:
    def __init__(self, trees, name="machine"):
        """trees: read-only, the uppermost first."""
        self.name = name
        self.trees = [str(t) for t in trees]
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f"portreserved-{name}-", dir="/var/tmp"))
        self.upper = self.work / "upper"
        for folder in (self.upper, self.work / "work", self.work / "root"):
            folder.mkdir()
        self.cgroups = []
        self.made = []
        self.replaced = {}
        self.started = {}
        self.process = None
        self.leader = None

    # Before the boot

    def write(self, path, text, mode=0o644):
        """A file of the machine; before the boot straight into the uppermost tree."""
        if self.leader:
            self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', "sh", path, f"{mode:o}", input=text)
            return
        file = self.upper / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def enable(self, unit, target):
        """As `systemctl enable`, before the boot."""
        link = self.upper / "etc/systemd/system" / f"{target}.wants" / unit
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/lib/systemd/system/{unit}")

    # Boot and shutdown

    def boot(self, wait=True):
        self._make_cgroups()
        console = open(self.work / "console", "wb")
        self.process = subprocess.Popen(
            [
                "unshare", "--mount", "--propagation", "slave", "sh", "-ec", START, "sh",
                ":".join(self.trees), str(self.upper), str(self.work / "work"), str(self.work / "root"),
                "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe",
                "--capability=CAP_BPF,CAP_PERFMON", "--system-call-filter=bpf", "-D", str(self.work / "root"), "--boot",
            ],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, stdin=subprocess.DEVNULL, stdout=console,
            stderr=subprocess.STDOUT, preexec_fn=self._enter_cgroups)
        console.close()
        self.leader = wait_until(self._find_leader, "the container's PID 1", BOOT_SECONDS)
        if wait:
            wait_until(lambda: self.state() in ("running", "degraded"), "the end of the boot", BOOT_SECONDS, 0.1)
        return self

    def _make_cgroups(self):
        for mount in cgroup_mounts():
            cgroup = mount / f"{self.work.name}"
            cgroup.mkdir()
            self.cgroups.append(cgroup)

    def _enter_cgroups(self):
        for cgroup in self.cgroups:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def _find_leader(self):
        if self.process.poll() is not None:
            raise Failed("systemd-nspawn has ended: " + self.console())
        try:
            pids = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in pids:
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("NSpid:") and line.split()[-1] == "1" and len(line.split()) > 2:
                        # PID 1 is systemd only once nspawn's own code in it has executed it.
                        return int(pid) if os.readlink(f"/proc/{pid}/exe").endswith("/systemd") else None
        except OSError:
            pass
        return None

    def console(self):
        return (self.work / "console").read_text(errors="replace")

    def state(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def halt(self):
        """Ends it and keeps what it wrote, for another boot()."""
        if self.process and self.process.poll() is None:
            if self.leader:
                # What halt.target's signal is to systemd as PID 1: SIGRTMIN+4, poweroff.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGRTMIN + 4)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.leader = None
        for cgroup in self.cgroups:
            self._remove_cgroup(cgroup)
        self.cgroups = []

    def shutdown(self):
        """Ends it and removes all that it wrote."""
        self.halt()
        shutil.rmtree(self.work, ignore_errors=True)

    @staticmethod
    def _remove_cgroup(cgroup):
        def gone():
            for folder, _, _ in os.walk(cgroup, topdown=False):
                for pid in (pathlib.Path(folder) / "cgroup.procs").read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            return not cgroup.exists()

        with contextlib.suppress(AssertionError, OSError):
            wait_until(gone, "an empty cgroup", 10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()

    # Inside

    def command(self, *argv):
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd",
                "--", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                *map(str, argv)]

    def run(self, *argv, check=True, input=None, timeout=120):
        """A command as root, in no unit: for looking and for systemctl."""
        r = subprocess.run(self.command(*argv), text=True, errors="replace", timeout=timeout, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}))
        if check and r.returncode != 0:
            raise Failed(f"{' '.join(map(str, argv))}: {r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def popen(self, *argv, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        return subprocess.Popen(self.command(*argv), text=True, **kwargs)

    def read(self, path):
        return self.run("cat", path).stdout

    def systemctl(self, *argv, check=True):
        """Where it fails, that says what the units themselves have to say."""
        r = self.run("systemctl", "--no-pager", *argv, check=False)
        if check and r.returncode != 0:
            units = [a for a in argv[1:] if not a.startswith("-")]
            raise Failed(f"systemctl {' '.join(argv)}: {r.returncode}\n{r.stdout}{r.stderr}{self.explain(*units) if units else ''}")
        return r

    def show(self, unit, prop):
        return self.systemctl("show", "--value", f"--property={prop}", unit).stdout.rstrip("\n")

    def active(self, unit):
        return self.show(unit, "ActiveState")

    def service(self, unit, *argv, properties=(), user=None):
        """Runs a command as a transient service and returns when it has been started."""
        args = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", *(f"--property={p}" for p in properties)]
        if user:
            args.append(f"--uid={user}")
        return self.run(*args, "--", *argv)

    def script(self, name, *args):
        """A program of inside/, as arguments of a command."""
        return ["/usr/bin/python3", "-B", f"/opt/inside/{name}.py", *map(str, args)]

    def background(self, unit, *argv, properties=(), user=None):
        """A program that says READY=1: returns when it has, and runs until finish()."""
        self.started[unit] = self.cursor()
        self.service(unit, *argv, properties=("Type=notify", "NotifyAccess=all", *properties), user=user)

    def finish(self, unit):
        """Stops it and returns what it printed."""
        self.systemctl("stop", unit)
        return "\n".join(self.messages(f"_SYSTEMD_UNIT={unit}.service", after=self.started.pop(unit)))

    def unit(self, name, text):
        """A unit file of the administrator's."""
        self.write(f"/etc/systemd/system/{name}", text)
        self.made.append(f"/etc/systemd/system/{name}")

    def replace(self, path, text):
        """Another text in a file of the distribution's, until reset()."""
        if path not in self.replaced:
            self.replaced[path] = self.read(path)
        self.write(path, text)

    def serve(self, config):
        """The daemon, freshly started with that configuration, and the units generated from it."""
        self.write("/etc/portreserved.conf", config)
        self.systemctl("daemon-reload")
        self.systemctl("start", "portreserved.service")

    def explain(self, *units):
        """What these units say of themselves, for the message of a failure."""
        return self.run("systemctl", "--no-pager", "--full", "--lines=15", "status", *units, check=False).stdout

    @contextlib.contextmanager
    def without_package(self):
        """All that was installed is gone, at once, as no package manager would do it; afterwards it is back."""
        self.run("sh", "-ec", "mkdir /run/package; for f in /lib/systemd/system/portreserved* /lib/systemd/system-generators/portreserved* "
                 "/usr/sbin/portre* /usr/libexec/portreserved /usr/bin/portreserve*; do "
                 "mkdir -p /run/package/${f%/*}; cp -a $f /run/package/${f%/*}; rm -r $f; done")
        try:
            yield
        finally:
            self.run("sh", "-ec", "for d in lib usr; do cp -a /run/package/$d/. /$d/; done; rm -r /run/package")
            self.systemctl("daemon-reload")

    def pid(self, unit="portreserved.service"):
        """Its main process, as seen inside."""
        return int(self.show(unit, "MainPID"))

    def kill_daemon(self):
        """SIGKILL for portreserved; its next run is up then."""
        before = self.pid()
        self.systemctl("kill", "--signal=KILL", "--kill-whom=main", "portreserved.service")
        wait_until(lambda: self.pid() not in (0, before) and self.active("portreserved.service") == "active", "it is back")

    def descriptors(self, unit="portreserved.service"):
        """What its main process's descriptors lead to. One may be closed while they are looked at, which ls calls a failure."""
        shown = self.run("ls", "-l", f"/proc/{self.pid(unit)}/fd", check=False).stdout
        return [line.partition(" -> ")[2] for line in shown.splitlines() if " -> " in line]

    def status_of(self, pid):
        """/proc/PID/status as a dictionary."""
        return dict(line.split(":\t", 1) for line in self.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)

    def ctl(self, *argv, code=0, user=None):
        """portreservectl … --json=short, parsed."""
        prefix = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
        r = self.run(*prefix, "portreservectl", *argv, "--json=short", check=False)
        assert r.returncode == code, f"{argv}: {r.returncode}\n{r.stdout}{r.stderr}"
        return json.loads(r.stdout)

    def endpoint(self, name):
        """The first EP of a reservation."""
        return self.ctl("show", name)["endpoints"][0]

    def wait_endpoint(self, name, state):
        return wait_until(lambda: self.endpoint(name)["state"] == state, f"{name} is {state}")

    def list(self):
        return self.read("/proc/sys/net/ipv4/ip_local_reserved_ports").strip()

    def events(self, event, after=None):
        """Journal entries of the daemon's events of that kind."""
        return self.journal(f"PORTRESERVED_EVENT={event}", after=after)

    def alert(self, port, after):
        """The journal's entry of a collision's begin on that port."""
        def told():
            return next((e for e in self.events("collision", after=after) if e["PORTRESERVED_PORT"] == str(port)), None)
        return wait_until(told, f"the alert of port {port}", step=0.2)

    def reset(self):
        """Back to an empty machine without the daemon."""
        for unit in self.started:
            self.systemctl("stop", unit, check=False)
        self.started = {}
        # A socket unit that is active when its file goes stays so, without its sockets.
        self.systemctl("stop", "portreserved.service", "portreserved-*.socket", check=False)
        wait_until(lambda: self.active("portreserved-list.service") in ("inactive", "failed"), "the companion has stopped")
        units = [os.path.basename(p) for p in self.made if p.startswith("/etc/systemd/system/") and p.count("/") == 4]
        if units:
            self.systemctl("stop", *units, check=False)
        self.run("rm", "-rf", "/etc/portreserved.conf", "/etc/portreserved.conf.d", *self.made)
        self.made = []
        for path, text in self.replaced.items():
            self.write(path, text)
        self.replaced = {}
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed")
        self.run("sh", "-c", "echo >/proc/sys/net/ipv4/ip_local_reserved_ports")

    def journal(self, *match, after=None):
        """This boot's entries with these FIELD=VALUE, as dictionaries; after: a cursor()."""
        self.run("journalctl", "--sync", check=False)
        if not after:
            out = self.run("journalctl", "-q", "--boot", "--output=json", "--all", *match).stdout
            return [json.loads(line) for line in out.splitlines()]
        # With matches, journalctl of systemd 252 skips one entry too many behind a cursor.
        out = self.run("journalctl", "-q", "--boot", "--output=json", "--all", "--after-cursor", after).stdout
        fields = dict(m.split("=", 1) for m in match)
        return [e for e in map(json.loads, out.splitlines()) if fields.items() <= e.items()]

    def messages(self, *match, after=None):
        def text(message):
            return message if isinstance(message, str) else bytes(message or b"").decode(errors="replace")

        return [text(e.get("MESSAGE")) for e in self.journal(*match, after=after)]

    def cursor(self):
        """A place in the journal, to look only at what comes later: journal(after=c)."""
        self.run("journalctl", "--sync", check=False)
        out = self.run("journalctl", "-q", "--boot", "-n", "1", "--show-cursor").stdout
        return out.rsplit("-- cursor: ", 1)[1].strip()

    def ordering_cycles(self):
        return [m for m in self.messages() if "ordering cycle" in m or "deleted to break" in m]
