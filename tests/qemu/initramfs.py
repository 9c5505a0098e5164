# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root file system of a few programs and the libraries they need, packed for the kernel to unpack at boot."""

import encodings
import glob
import modulefinder
import os
import re
import shutil
import subprocess
import sys


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

    def add_python(self, source, target):
        """Copies a Python program, the interpreter that runs us and the modules that the program imports."""
        self.add(source, target)
        self.add_program(sys.executable, sys.executable)
        finder = modulefinder.ModuleFinder()
        finder.run_script(source)
        finder.import_hook("encodings.idna")  # what socket imports by itself, for names of hosts
        files = [m.__file__ for m in finder.modules.values() if m.__file__ and m.__name__ != "__main__"]
        # What the interpreter itself starts with.
        files += [os.path.join(os.path.dirname(os.__file__), "site.py"), *glob.glob(os.path.dirname(encodings.__file__) + "/*.py")]
        for path in files:
            if ".so" in path:
                self.add_program(path, path)
            else:
                self.add(path, path)

    def pack(self, path):
        with open(path, "wb") as out:
            find = subprocess.Popen(["find", ".", "-print0"], cwd=self.folder, stdout=subprocess.PIPE)
            subprocess.run(
                ["cpio", "--null", "--create", "--format=newc", "--quiet"],
                cwd=self.folder, stdin=find.stdout, stdout=out, check=True,
            )
            if find.wait() != 0:
                raise RuntimeError("find failed")
