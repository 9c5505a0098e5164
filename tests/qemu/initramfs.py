# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root file system of a few programs and the libraries they need, packed for the kernel to unpack at boot."""

import os
import re
import shutil
import subprocess


class Initramfs:
    def __init__(self, folder):
        self.folder = folder
        for name in ("bin", "dev", "etc", "modules", "proc", "root", "run", "sys", "tests", "tmp", "var/lib"):
            os.makedirs(os.path.join(folder, name))

    def add(self, source, target):
        """Copies a file to the path target."""
        path = os.path.join(self.folder, target.lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(os.path.realpath(source), path)

    def write(self, target, text):
        path = os.path.join(self.folder, target.lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def add_program(self, source, target):
        """Copies a program, and the shared libraries that the loader here finds for it, to where it finds them."""
        self.add(source, target)
        shown = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        if shown.returncode != 0 and "not a dynamic executable" not in shown.stderr + shown.stdout:
            raise RuntimeError(f"ldd {source}: {shown.stderr}")
        for line in shown.stdout.splitlines():
            if "not found" in line:
                raise RuntimeError(f"{source}: {line.strip()}")
            match = re.search(r"(/\S+) \(0x", line)
            if match and not os.path.exists(os.path.join(self.folder, match.group(1).lstrip("/"))):
                self.add(match.group(1), match.group(1))

    def pack(self, path):
        with open(path, "wb") as out:
            find = subprocess.Popen(["find", ".", "-print0"], cwd=self.folder, stdout=subprocess.PIPE)
            subprocess.run(
                ["cpio", "--null", "--create", "--format=newc", "--quiet"],
                cwd=self.folder, stdin=find.stdout, stdout=out, check=True,
            )
            if find.wait() != 0:
                raise RuntimeError("find failed")
