# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/demo's two parts. usage: demo.py prepare | namespace BUILD | machine BUILD"""

import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# The container is the one that the tests boot.
sys.path.insert(0, str(TOP / "tests" / "container"))

import debian  # noqa: E402
import demo_machine  # noqa: E402
import demo_namespace  # noqa: E402
from narrator import Narrator, Untrue  # noqa: E402


def main():
    if sys.argv[1:] == ["prepare"]:
        debian.base()
        return
    part = {"namespace": demo_namespace.play, "machine": demo_machine.play}[sys.argv[1]]
    narrator = Narrator()
    try:
        part(narrator, TOP, pathlib.Path(sys.argv[2]).resolve())
    except Untrue as e:
        sys.exit(f"\nThis was told, and it was not so: {e}")
    print(f"\n(Each of the {narrator.claims} things told in this part was checked as it happened.)", flush=True)


main()
