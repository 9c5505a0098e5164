# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units of every kind, their files untouched: each row is served with Hold=bound and with Hold=listen, and what its program is given,
how it becomes ready and what systemd says of it is what it is without a reservation."""

import json
import re

import pytest
from machine import wait_until

SUBJECT = "/opt/inside/subject"
BUS_NAME = "test.portreserved.Subject"
POLICY = f"""<busconfig><policy user="root"><allow own_prefix="{BUS_NAME}"/></policy></busconfig>
"""
CALLS = "@default @basic-io @io-event @network-io @file-system @process @memlock"
OWN_ROOT = "RootDirectory=/srv/rooted\n"

# Name: lines of [Service]; {exec} is the program with its port. Without ExecStart= it is that alone, without Type= it is exec.
ROWS = {
    # How they become ready
    "simple": "Type=simple",
    "exec": "Type=exec",
    "notify": "Type=notify\nExecStart={exec} ready",
    # 252 does not know it, and says so with or without us.
    "notify-reload": "Type=notify-reload\nExecStart={exec} ready",
    "notify-mainpid": "Type=notify\nNotifyAccess=all\nExecStart={exec} fork main",
    "forking": "Type=forking\nPIDFile=/run/{unit}.pid\nExecStart={exec} fork pidfile=/run/{unit}.pid",
    "forking-guess": "Type=forking\nExecStart={exec} fork",
    "oneshot": "Type=oneshot\nExecStart={exec} once",
    "oneshot-remains": "Type=oneshot\nRemainAfterExit=yes\nExecStart={exec} once\nExecStart=/bin/true",
    "dbus": f"Type=dbus\nBusName={BUS_NAME}.{{kind}}\nExecStart=/usr/bin/python3 -B /opt/inside/busname.py {BUS_NAME}.{{kind}} {{exec}}",
    # What they are called
    "instance@a\\x2db": "Environment=INSTANCE=%i",
    # What they have besides
    "commands": "ExecStartPre=/bin/sh -c 'echo A=1 >/run/{unit}.env'\nEnvironmentFile=-/run/{unit}.env\nExecStartPost=/bin/true\n"
                "ExecStop=/bin/true\nExecStopPost=/bin/true",
    "store": "Type=notify\nFileDescriptorStoreMax=4\nExecStart={exec} ready store",
    "watchdog": "Type=notify\nWatchdogSec=1h\nExecStart={exec} ready",
    "slice": "Slice=subject.slice",
    "delegate": "Delegate=yes",
    # Who they are
    "user": "User=nobody",
    "dynamic-user": "DynamicUser=yes\nUser=subject-user",
    "private-users": "PrivateUsers=yes\nUser=nobody",
    "no-capability": "User=nobody\nCapabilityBoundingSet=\nNoNewPrivileges=yes\nRestrictSUIDSGID=yes",
    # What they may
    "strict": "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nProtectProc=invisible\nProcSubset=pid\n"
              "ProtectKernelTunables=yes\nProtectControlGroups=yes\nMemoryDenyWriteExecute=yes\nLockPersonality=yes\nUser=nobody",
    "no-exec": f"NoExecPaths=/\nExecPaths={SUBJECT}",
    "system-calls": f"SystemCallFilter={CALLS}\nSystemCallFilter=~@privileged @ipc\nSystemCallArchitectures=native",
    "families": "RestrictAddressFamilies=AF_INET\nIPAddressDeny=any\nIPAddressAllow=localhost\nRestrictNamespaces=yes",
    "inaccessible": "InaccessiblePaths=/run/portreserved /usr/libexec",
    "limits": "LimitNOFILE=16\nTasksMax=4\nLimitNPROC=8\nLimitFSIZE=0\nNice=5\nUMask=0777",
    "processes": "PrivatePIDs=yes\nPrivateIPC=yes\nProtectHostname=yes\nKillSignal=SIGKILL",
    # What they see
    "root": OWN_ROOT + "ExecStart=/subject {port} ready\nType=notify",
    "root-user": OWN_ROOT + "ExecStart=/subject {port}\nUser=nobody\nProtectSystem=strict",
    "root-read-only": "RootDirectory=/srv/read-only\nExecStart=/subject {port}\nRuntimeDirectory={unit}",
    "root-no-exec": OWN_ROOT + "ExecStart=/subject {port}\nNoExecPaths=/\nExecPaths=/subject\nTemporaryFileSystem=/tmp",
    "root-start-only": OWN_ROOT + "ExecStart=/subject {port}\nRootDirectoryStartOnly=yes\nExecStartPre=/usr/bin/test -x /usr/bin/python3",
    "tmpfs-run": "TemporaryFileSystem=/run",
    "tmpfs-usr": "TemporaryFileSystem=/usr/libexec:ro /srv\nBindReadOnlyPaths=/opt:/srv",
    "tmpfs-all": f"TemporaryFileSystem=/\nBindReadOnlyPaths={SUBJECT}:/subject\nExecStart=/subject {{port}}",
    "covered": "BindReadOnlyPaths=/srv/rooted:/run",
}
CONTROL, BOUND, LISTEN = "c", "b", "l"
KINDS = (CONTROL, BOUND, LISTEN)
# What differs between any two runs, and what a drop-in is.
VARIABLE = re.compile(r"Timestamp|PID$|InvocationID|NSec$|^(Memory|IO|IP|Tasks|CPU)\w+|ControlGroupId|^UID$|^GID$|^Job$|StateChange|"
                      r"^(DropInPaths|ExecStartPre|ExecStartPreEx|ExecStopPost|ExecStopPostEx|After|Invocation|NeedDaemonReload)$")
# Where a helper of ours has to be put into the unit's own view.
BINDS = {"BindReadOnlyPaths", "TemporaryFileSystem"}


def unit_of(kind, row):
    return f"{kind}-{row}.service"


def port_of(kind, row):
    return 21000 + 100 * KINDS.index(kind) + list(ROWS).index(row)


def name_of(kind, row):
    return f"{kind}-{row}".replace("\\", "_")


def unit_text(kind, row):
    lines = ROWS[row]
    if "ExecStart=" not in lines:
        lines += "\nExecStart={exec}"
    if "Type=" not in lines:
        lines += "\nType=exec"
    port = port_of(kind, row)
    return "[Service]\n" + lines.format(exec=f"{SUBJECT} {port}", port=port, unit=f"{kind}-{row.partition('@')[0]}", kind=kind) + "\n"


def template(name):
    return re.sub(r"@[^.]*", "@", name)


def unit_files():
    for row in ROWS:
        for kind in KINDS:
            yield template(unit_of(kind, row)), unit_text(kind, row)
        yield template(f"c-{row}.socket"), f"[Socket]\nListenStream={port_of(CONTROL, row)}\nFileDescriptorName=listener\n"


WRITE = """import json, sys
for path, text in json.load(sys.stdin).items():
    with open(path, "w") as f:
        f.write(text)
"""


def write_units(m, units):
    """All with one command."""
    files = {f"/etc/systemd/system/{name}": text for name, text in units}
    m.run("python3", "-c", WRITE, input=json.dumps(files))
    m.made += files


def config():
    text = ""
    for row in ROWS:
        text += f"[{name_of(BOUND, row)}]\nPorts={port_of(BOUND, row)}/tcp\nHold=bound\nUnit={unit_of(BOUND, row)}\n"
        text += f"[{name_of(LISTEN, row)}]\nListenStream={port_of(LISTEN, row)}\nUnit={unit_of(LISTEN, row)}\nFileDescriptorName=listener\n"
    return text


# As of an image, which would need a loop device.
READ_ONLY = """
mkdir -p /srv/read-only
mount -t tmpfs tmpfs /srv/read-only
cp -a /srv/rooted/. /srv/read-only
mount -o remount,ro /srv/read-only
"""


@pytest.fixture(scope="module")
def m(shared):
    """One daemon with a reservation for every row."""
    write_units(shared, unit_files())
    shared.write("/etc/dbus-1/system.d/subject.conf", POLICY)
    shared.made.append("/etc/dbus-1/system.d/subject.conf")
    shared.systemctl("reload", "dbus.service")
    shared.run("sh", "-ec", READ_ONLY)
    shared.serve(config())
    yield shared
    shared.reset()
    shared.run("umount", "/srv/read-only")


def visit(m, unit, port, address="127.0.0.1"):
    found = json.loads(m.run(*m.script("visit", unit, port, address)).stdout)
    assert "failed" not in found, f"{unit}: {found['failed']}\n{found['said']}"
    return found


def told(found, kind, row):
    """What the program was given, without what belongs to one run or to the unit's name."""
    lines = []
    for line in found["told"].splitlines():
        if re.match(r"environment (INVOCATION_ID|LISTEN_PID|SYSTEMD_EXEC_PID|MAINPID|JOURNAL_STREAM|MEMORY_PRESSURE_WATCH|WATCHDOG_PID)=",
                    line):
            line = line.partition("=")[0]
        if line.startswith("line ") and not re.match(r"line (Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)", line):
            continue
        lines.append(neutral(line, kind, row))
    return sorted(lines)


def neutral(text, kind, row):
    text = re.sub(rf"\b{port_of(kind, row)}\b", "PORT", text)
    text = re.sub(r"\b%s(-|\\+x2d)(?=%s)" % (kind, re.escape(row.partition("@")[0])), "", text).replace(f"{BUS_NAME}.{kind}", BUS_NAME)
    return re.sub(r"(start_time|stop_time|pid|code|status)=(\[.*?\]|\S+)", "", text)


def shown(found, kind, row):
    """What systemd says of the unit. Its lists of units are in no order."""
    return {k: sorted(neutral(v, kind, row).split()) for k, v in found["show"].items() if not VARIABLE.search(k)}


def after(found, kind, row):
    return set(neutral(found["show"]["After"], kind, row).split())


def differences(a, b):
    return {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}


@pytest.mark.parametrize("row", ROWS)
def test_bound(m, row):
    unit, name = unit_of(BOUND, row), name_of(BOUND, row)
    m.wait_endpoint(name, "exclusive")
    control = visit(m, unit_of(CONTROL, row), port_of(CONTROL, row))
    found = visit(m, unit, port_of(BOUND, row))
    assert told(found, BOUND, row) == told(control, CONTROL, row), unit
    different = differences(shown(found, BOUND, row), shown(control, CONTROL, row))
    assert set(different) <= BINDS, f"{unit}: {different}"
    assert after(found, BOUND, row) ^ after(control, CONTROL, row) == {"portreserved.service"}, unit
    # Our command has run, and to a good end.
    ours = re.findall(r"argv\[\]=\S*portreserved-handover start [^;]* ;.* code=(\S+) ; status=(\S+)", found["show"]["ExecStartPre"])
    assert ours == [("exited", "0")], f"{unit}: {found['show']['ExecStartPre']}"
    if "once" not in ROWS[row]:
        m.wait_endpoint(name, "in-use")
    m.systemctl("stop", unit, unit_of(CONTROL, row))
    m.wait_endpoint(name, "exclusive")


# With PrivatePIDs=, systemd 257 gives LISTEN_PID as the number outside, so that no program takes its sockets, by us or without us.
@pytest.mark.parametrize("row", [r for r in ROWS if r != "processes"])
def test_listen(m, row):
    unit, name = unit_of(LISTEN, row), name_of(LISTEN, row)
    native, ours = f"c-{row}.socket", f"portreserved-{name}.socket"
    m.systemctl("start", native, ours)
    control = visit(m, "-" + unit_of(CONTROL, row), port_of(CONTROL, row))
    found = visit(m, "-" + unit, port_of(LISTEN, row))
    assert told(found, LISTEN, row) == told(control, CONTROL, row), unit
    different = differences(shown(found, LISTEN, row), shown(control, CONTROL, row))
    wants, without = map(set, different.pop("Wants"))
    assert wants ^ without == set(different["TriggeredBy"][0]), f"{unit}: {different}"
    assert set(different) <= {"TriggeredBy"}, f"{unit}: {different}"
    assert "environment LISTEN_FDS=1" in found["told"].splitlines()
    wait_until(lambda: m.endpoint(name)["state"] == "listening", f"{name} is seen listening")
    m.systemctl("stop", native, ours, unit, unit_of(CONTROL, row))
