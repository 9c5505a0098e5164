# SPDX-License-Identifier: LGPL-2.1-or-later
"""The project's own files, and TAP output, for the checks beside this file."""

import os
import sys

# .git is a file in a git worktree.
SKIPPED = {".git", "__pycache__", ".pytest_cache", ".cache"}


def files(top):
    """Paths of all files of the project, relative to top; builds and caches left out."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(
            f for f in folders if f not in SKIPPED and not (folder == top and f.startswith("build"))
        )
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name not in SKIPPED and not os.path.islink(path):
                yield os.path.relpath(path, top)


def tap(name, faults, checked):
    """One TAP test; exits. A check that saw no file at all has failed."""
    print("1..1")
    for fault in faults:
        print(f"# {fault}")
    if faults or not checked:
        print(f"not ok 1 - {name}: {len(faults)} faults in {checked} files")
        sys.exit(1)
    print(f"ok 1 - {name} of {checked} files")
    sys.exit(0)


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
