# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tells a person what happens, in plain words, and sees that it is true."""

import os
import sys
import textwrap
import time


class Untrue(Exception):
    """Something that was told did not happen."""


class Narrator:
    def __init__(self):
        self.pause = float(os.environ.get("DEMO_PAUSE", "0.8"))
        self.bold, self.plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
        self.claims = 0

    def title(self, text):
        print(f"\n{self.bold}=== {text}{self.plain}", flush=True)

    def say(self, text):
        print("\n" + textwrap.fill(" ".join(text.split()), 96), flush=True)
        time.sleep(self.pause)

    def command(self, text, output=None):
        """A command as it was run, and what it printed."""
        print(f"{self.bold}$ {text}{self.plain}", flush=True)
        if output is not None:
            for line in output.rstrip("\n").splitlines():
                print(f"  {line}", flush=True)
            time.sleep(self.pause)

    def true(self, condition, claim):
        """The demonstration ends with a failure where what it tells is not so."""
        if not condition:
            raise Untrue(claim)
        self.claims += 1

    def until(self, condition, claim, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Untrue(f"{claim} (waited {seconds} s)")
            time.sleep(0.05)
        self.claims += 1
