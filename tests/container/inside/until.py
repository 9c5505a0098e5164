# SPDX-License-Identifier: LGPL-2.1-or-later
"""until.py PORT: ends as soon as PORT stands in the kernel's list; fails after 20 seconds."""

import sys
import time

import common

end = time.monotonic() + 20
while time.monotonic() < end:
    with open(common.LIST) as f:
        if sys.argv[1] in f.read().strip().split(","):
            sys.exit(0)
    time.sleep(0.01)
sys.exit(f"{sys.argv[1]} is not in the list")
