# SPDX-License-Identifier: LGPL-2.1-or-later
"""`meson install` with DESTDIR puts exactly these files in place, and nothing anywhere else."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PORTRESERVED_BUILD", SOURCE / "build")).resolve()

# Mode -> paths. {units} and {generators} are where systemd's pkg-config file puts them: below /lib or /usr/lib.
EXPECTED = {
    0o755: [
        "{generators}/portreserved-generator",
        "usr/bin/portreserve-exec",
        "usr/bin/portreservectl",
        "usr/libexec/portreserved/portreserved-act",
        "usr/libexec/portreserved/portreserved-handover",
        "usr/libexec/portreserved/portreserved-inspect",
        "usr/sbin/portrelease",
        "usr/sbin/portreserved",
    ],
    0o644: [
        "{units}/portreserved-act.service",
        "{units}/portreserved-act.socket",
        "{units}/portreserved-inspect.service",
        "{units}/portreserved-inspect.socket",
        "{units}/portreserved-list.service",
        "{units}/portreserved.service",
        "usr/lib/systemd/catalog/portreserved.catalog",
        "usr/lib/sysusers.d/portreserved.conf",
        "usr/lib/tmpfiles.d/portreserved.conf",
        "usr/share/doc/portreserved/examples/portreserved.conf",
        "usr/share/man/man1/portrelease.1",
        "usr/share/man/man1/portreserve-exec.1",
        "usr/share/man/man1/portreservectl.1",
        "usr/share/man/man5/portreserved.conf.5",
        "usr/share/man/man8/portreserved.8",
    ],
}


def systemd(variable, otherwise):
    shown = subprocess.run(["pkg-config", f"--variable={variable}", "systemd"], capture_output=True, text=True, check=False)
    return (shown.stdout.strip() or otherwise).lstrip("/")


@pytest.fixture
def destination(tmp_path):
    path = tmp_path / "destination"
    path.mkdir()
    subprocess.run(
        ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"],
        check=True, stdin=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(path)},
    )  # fmt: skip
    return path


def expected():
    units = systemd("systemdsystemunitdir", "/lib/systemd/system")
    generators = systemd("systemdsystemgeneratordir", "/lib/systemd/system-generators")
    return {path.format(units=units, generators=generators): mode for mode, paths in EXPECTED.items() for path in paths}


def test_files(destination):
    found = {str(p.relative_to(destination)) for p in destination.rglob("*") if not p.is_dir()}
    assert found == set(expected())


def test_modes(destination):
    wrong = {}
    for path, mode in expected().items():
        here = destination / path
        if here.exists() and stat.S_IMODE(here.stat().st_mode) != mode:
            wrong[path] = oct(here.stat().st_mode)
    assert wrong == {}


def test_handover_needs_no_library(destination):
    """It also runs in a unit's RootDirectory=, where there may be none."""
    program = destination / "usr/libexec/portreserved/portreserved-handover"
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    said = shown.stdout + shown.stderr
    assert "statically linked" in said or "not a dynamic executable" in said, said


def test_no_build_path_is_left(destination):
    """No run path into the build directory."""
    for path in expected():
        here = destination / path
        if here.exists() and not path.startswith("usr/s") and shutil.which("readelf"):
            shown = subprocess.run(["readelf", "-d", here], capture_output=True, text=True, check=False)
            assert "RUNPATH" not in shown.stdout and "RPATH" not in shown.stdout, path


def test_catalog_has_each_message(destination):
    """Every id that the daemon writes has its entry, no other is there, and journald takes the file."""
    catalog = destination / "usr/lib/systemd/catalog/portreserved.catalog"
    ids = re.findall(r'MESSAGE_ID_\w+\s+"([0-9a-f]{32})"', (SOURCE / "daemon/alert/message-ids.h").read_text())
    assert ids
    assert sorted(re.findall(r"^-- ([0-9a-f]{32})$", catalog.read_text(), re.M)) == sorted(ids)
    (destination / "var/lib/systemd/catalog").mkdir(parents=True, exist_ok=True)
    subprocess.run(["journalctl", f"--root={destination}", "--update-catalog"], check=True, stdin=subprocess.DEVNULL)
    shown = subprocess.run(
        ["journalctl", f"--root={destination}", "--list-catalog"], check=True, capture_output=True, text=True
    ).stdout
    assert len(shown.splitlines()) == len(ids)


def test_catalog_asks_for_fields_that_there_are():
    """journalctl shows the name of a field that an entry lacks."""
    asked = set(re.findall(r"@([A-Z_]+)@", (SOURCE / "units/portreserved.catalog").read_text()))
    assert "PORTRESERVED_REMEDY" in asked
    assert asked <= set(re.findall(r'"(PORTRESERVED_[A-Z_]+)[="]', (SOURCE / "daemon/alert/fields.c").read_text()))
