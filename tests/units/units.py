#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The unit files, judged by systemd-analyze: nothing it warns of, and an exposure of at most 2.1.

usage: units.py BUILD  (the build directory: units and programs of it are looked at, nothing has to be installed)"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNITS = ["portreserved.service", "portreserved-list.service", "portreserved-act.service", "portreserved-act.socket",
         "portreserved-inspect.service", "portreserved-inspect.socket"]
EXPOSURE_MAX = {"portreserved.service": 2.1, "portreserved-list.service": 2.1, "portreserved-act.service": 2.1,
                "portreserved-inspect.service": 1.2}
EARLY = ["DefaultDependencies=no", "After=systemd-sysctl.service systemd-sysusers.service", "Conflicts=shutdown.target"]
CAPABILITIES = {"CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_LEASE"}
INSPECT_CAPABILITIES = {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}

number = 0


def check(ok, what, detail=""):
    global number
    number += 1
    print(f"{'ok' if ok else 'not ok'} {number} - {what}")
    if not ok:
        print("\n".join("# " + line for line in detail.splitlines()))


def analyze(*args, **env):
    return subprocess.run(["systemd-analyze", *args], env={**os.environ, "LC_ALL": "C", **env}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def verify(units, directory):
    """What systemd-analyze says of our units, empty where they are fine."""
    r = analyze("verify", "--man=no", *units, SYSTEMD_UNIT_PATH=f"{directory}:")
    return "\n".join(line for line in r.stdout.splitlines() if "portreserved" in line)


def main():
    build = Path(sys.argv[1])
    if not shutil.which("systemd-analyze"):
        print("1..0 # SKIP systemd-analyze is not here")
        return 0

    with tempfile.TemporaryDirectory() as tmp:
        # verify wants the programs to be there; which they are, in the build.
        for unit in UNITS:
            text = (build / "units" / unit).read_text()
            text = re.sub(r"/\S+/(?=portreserve)", lambda m: f"{tmp}/bin/" if "/run/" not in m[0] else m[0], text)
            (Path(tmp) / unit).write_text(text)
        bin_ = Path(tmp) / "bin"
        bin_.mkdir()
        for program in ("portreserved", "portreservectl", "portreserved-act", "portreserved-inspect"):
            (bin_ / program).symlink_to("/bin/true")

        said = verify(UNITS, tmp)
        check(said == "", "systemd-analyze verify has nothing to say", said)

        # It would say so, had it something to say.
        planted = Path(tmp) / "planted"
        planted.mkdir()
        for unit in UNITS:
            (planted / unit).write_text((Path(tmp) / unit).read_text().replace("Restart=always", "Restrat=always"))
        check("Restrat" in verify(UNITS, planted), "a planted mistake is seen")

        for unit, limit in EXPOSURE_MAX.items():
            r = analyze("security", "--offline=true", "--no-pager", str(build / "units" / unit))
            m = re.search(r"exposure level for \S+: ([0-9.]+)", r.stdout)
            check(m is not None and float(m[1]) <= limit, f"{unit}: exposure {m[1] if m else '?'} <= {limit}", r.stdout)

    text = (build / "units" / "portreserved.service").read_text()
    lines = text.splitlines()
    for key in EARLY:
        check(key in lines, f"portreserved.service has {key}")
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        found = [set(line.partition("=")[2].split()) for line in lines if line.startswith(key + "=")]
        check(found == [CAPABILITIES], f"{key}= is exactly the three", str(found))
    inspect = (build / "units" / "portreserved-inspect.service").read_text().splitlines()
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        found = [set(line.partition("=")[2].split()) for line in inspect if line.startswith(key + "=")]
        check(found == [INSPECT_CAPABILITIES], f"{key}= of portreserved-inspect.service is exactly the two", str(found))
    # Each of these breaks something that no test would see at once.
    for key in ("ProtectProc", "ProcSubset", "IPAddressDeny", "IPAccounting", "StateDirectory", "PrivateTmp"):
        check(not any(line.startswith(key + "=") for line in lines), f"portreserved.service has no {key}=")

    print(f"1..{number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
