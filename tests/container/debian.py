# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian root tree to boot from, made once and kept, and the build installed as a layer of its own above it."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

PACKAGES = [
    "ca-certificates", "curl", "dbus", "dnsmasq-base", "gunicorn", "haproxy", "iproute2", "libinih1", "libjansson4", "libmnl0",
    "libsmartcols1", "libsystemd0", "lighttpd", "nginx-light", "openssh-server", "postgresql", "procps", "python3-minimal",
    "redis-server", "s6", "socat", "systemd", "systemd-sysv", "tftp-hpa", "tftpd-hpa",
]
# Servers start when a test says so. The rest only costs time in a boot that nobody logs in to.
DISABLED = [
    "haproxy.service", "lighttpd.service", "nginx.service", "postgresql.service", "redis-server.service", "ssh.service",
    "tftpd-hpa.service",
]
MASKED = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@.service", "getty.target", "systemd-logind.service",
    "systemd-networkd-wait-online.service",
]
VERSION = "3"  # of what is done to the tree below


def cache_directory():
    return pathlib.Path(os.environ.get("PORTRESERVED_CONTAINER_CACHE", "/var/cache/portreserved-container"))


def base(suite="bookworm"):
    """The tree's path. Made at the first call, which takes half a minute and the network."""
    key = hashlib.sha256("\n".join([suite, VERSION, *PACKAGES, *DISABLED, *MASKED]).encode()).hexdigest()[:16]
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    tree = cache / f"{suite}-{key}"
    with open(cache / f"{tree.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            _make(suite, tree)
    return tree


def _make(suite, tree):
    new = tree.with_name(tree.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES),
            f'--customize-hook=systemctl --quiet --root="$1" disable {" ".join(DISABLED)}',
            f'--customize-hook=systemctl --quiet --root="$1" mask {" ".join(MASKED)}',
            suite, str(new),
        ],
        check=True, stdin=subprocess.DEVNULL)
    # No first boot, which would enable every unit by preset; and a journal that is there from the first line on.
    (new / "etc/machine-id").write_text("7d3c0f2ab1c54a0e9f3f6b6a3a5f9d10\n")
    (new / "var/log/journal").mkdir(exist_ok=True)
    (new / "etc/hostname").write_text("portreserved-test\n")
    new.rename(tree)


def install(build, layer):
    """What `meson install` puts in place, as a tree to lay over the base. /lib is a link there, so it becomes usr/lib here."""
    build = pathlib.Path(build)
    layer = pathlib.Path(layer)
    subprocess.run(["meson", "install", "-C", str(build), "--quiet", "--no-rebuild"], check=True, stdin=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": str(layer)})
    for name in ("bin", "lib", "sbin"):
        if (layer / name).is_dir():
            shutil.copytree(layer / name, layer / "usr" / name, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(layer / name)
