# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's own kernel, from the release that apt here is set up for: 6.1 on Debian 12. Kept in a cache between runs."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

# What the programs under test load by themselves on a real system: the kernel's socket tables, by protocol.
MODULES = ["inet_diag", "tcp_diag", "udp_diag"]
# A server inside the kernel: its sockets are no process's.
MODULES += ["nfsd"]
# Of the package, beside the kernel itself: the whole has some 400 MB.
WANTED = ["net/ipv4", "net/netlink", "net/sunrpc", "fs/lockd", "fs/nfs_common", "fs/nfsd"]


class Unavailable(Exception):
    """There is no such kernel to be had here; the text says what is missing."""


class Kernel:
    def __init__(self, folder, release):
        self.release = release
        self.image = os.path.join(folder, "boot", f"vmlinuz-{release}")
        self.folder = folder

    def modules(self):
        """Files of MODULES and what they depend on, in the order of loading."""
        files = []
        for name in MODULES:
            shown = output(["modprobe", "-d", self.folder, "-S", self.release, "--show-depends", name])
            for line in shown.splitlines():
                words = line.split()
                if words[:1] == ["insmod"] and words[1] not in files:
                    files.append(words[1])
        return files


def output(argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options).stdout


def package():
    """The package that linux-image-amd64 stands for, such as linux-image-6.1.0-56-amd64."""
    if not shutil.which("apt-get"):
        raise Unavailable("apt-get, to fetch Debian's kernel with")
    if output(["dpkg", "--print-architecture"]).strip() != "amd64":
        raise Unavailable("an amd64 machine")
    for attempt in ("as it is", "with fresh lists"):
        if attempt == "with fresh lists":
            subprocess.run(["apt-get", "-qq", "update"], check=False, stdin=subprocess.DEVNULL)
        found = re.findall(r"^\s*Depends: (linux-image-\S+-amd64)$", depends(), re.M)
        if found:
            return found[0]
    raise Unavailable("the package linux-image-amd64 in apt's sources")


def depends():
    return subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=False).stdout


def fetch(cache):
    """The Kernel, below the directory cache; downloaded where it is not there yet."""
    name = package()
    folder = os.path.join(cache, name)
    if not is_whole(folder):
        os.makedirs(cache, exist_ok=True)
        unpack(name, cache, folder)
    (image,) = glob.glob(os.path.join(folder, "boot", "vmlinuz-*"))
    return Kernel(folder, os.path.basename(image)[len("vmlinuz-") :])


def is_whole(folder):
    """Not where it was made by one that wanted less."""
    return all(os.path.isdir(f"{found}/{w}") for found in glob.glob(f"{folder}/lib/modules/*/kernel") or [folder] for w in WANTED)


def unpack(name, cache, folder):
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        try:
            output(["apt-get", "-q", "download", name], cwd=scratch)
        except subprocess.CalledProcessError as e:
            raise Unavailable(f"the package {name}: {e.stderr.strip().splitlines()[-1:]}") from e
        (deb,) = glob.glob(os.path.join(scratch, "*.deb"))
        root = os.path.join(scratch, "root")
        os.mkdir(root)
        wanted = ["./boot/vmlinuz-*", "*/modules.builtin*", "*/modules.order", *(f"*/kernel/{w}/*" for w in WANTED)]
        unpacked = subprocess.run(
            f"dpkg-deb --fsys-tarfile {deb} | tar -x -C {root} --wildcards " + " ".join(f"'{w}'" for w in wanted),
            shell=True, capture_output=True, text=True, check=False,
        )
        if unpacked.returncode != 0 or not glob.glob(os.path.join(root, "boot", "vmlinuz-*")):
            raise RuntimeError(f"{name} cannot be unpacked: {unpacked.stderr}")
        # Debian 13 has its modules in /usr/lib.
        if not os.path.isdir(os.path.join(root, "lib")):
            os.symlink("usr/lib", os.path.join(root, "lib"))
        (modules,) = glob.glob(os.path.join(root, "lib", "modules", "*"))
        output(["depmod", "-b", root, os.path.basename(modules)])
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(root, folder)
