# SPDX-License-Identifier: LGPL-2.1-or-later
"""listwatch.py RUN...: reads the kernel's list in a tight loop until it is stopped; then prints "looks N", and each different text that
lacked one of the runs."""

import os
import sys

import common

stop = common.Stop()
fd = os.open(common.LIST, os.O_RDONLY)
want = set(sys.argv[1:])
looks, bad = 0, set()
common.ready()
while not stop:
    text = os.pread(fd, 1 << 18, 0).decode().strip()
    looks += 1
    if not want <= set(text.split(",")):
        bad.add(text)
print("looks", looks)
for text in bad:
    print("lacks", text)
