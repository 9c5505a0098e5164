# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does a container boot here? Exit 0: yes. Exit 77: no, and this is a container itself, so none is to be expected; the last line
says what is missing. Anything else: no, and it should."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "container"))

import debian  # noqa: E402
from machine import Machine  # noqa: E402


def main():
    nested = subprocess.run(["systemd-detect-virt", "--container"], capture_output=True, text=True, check=False).stdout.strip()
    try:
        with Machine([debian.base()], "probe") as machine:
            machine.boot()
    except Exception as e:  # whatever kept it from booting is what the caller wants to know
        last = (str(e).strip().splitlines() or [type(e).__name__])[-1]
        if nested in ("", "none"):
            raise
        print(f"systemd-nspawn that boots inside {nested} ({last})")
        sys.exit(77)


main()
