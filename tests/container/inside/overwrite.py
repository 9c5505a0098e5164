# SPDX-License-Identifier: LGPL-2.1-or-later
"""overwrite.py SECONDS TEXT...: overwrites the kernel's list each so many seconds, as echo does, with one TEXT after the other, until it
is stopped; then prints "writes N"."""

import itertools
import os
import sys
import time

import common

stop = common.Stop()
texts = itertools.cycle(sys.argv[2:])
n = 0
common.ready()
while not stop:
    fd = os.open(common.LIST, os.O_WRONLY | os.O_TRUNC)
    os.write(fd, next(texts).encode() + b"\n")
    os.close(fd)
    n += 1
    time.sleep(float(sys.argv[1]))
print("writes", n)
