# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does a container boot here? Exit 0: yes. Exit 77: no, and systemd-nspawn cannot even run a single program; the last line says
why. Anything else: it should boot, and does not."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "container"))

import debian  # noqa: E402
from machine import Machine  # noqa: E402

PLAIN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--read-only"]


def main():
    base = debian.base()
    try:
        with Machine([base], "probe") as machine:
            machine.boot()
    except Exception:
        plain = subprocess.run([*PLAIN, "-D", str(base), "/bin/true"], capture_output=True, text=True, check=False)
        if plain.returncode == 0:
            raise
        why = (plain.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"systemd-nspawn that works ({why})")
        sys.exit(77)


main()
