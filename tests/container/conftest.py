# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the container tests: the build, installed into a Debian of its own and booted under systemd.

Run as root: /usr/bin/python3 -m pytest tests/container. PORTRESERVED_BUILD names the build directory (./build),
PORTRESERVED_SUITE the distribution (bookworm), PORTRESERVED_CONTAINER_CACHE where its tree is kept."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import debian  # noqa: E402
from machine import Machine  # noqa: E402

BUILD = pathlib.Path(os.environ.get("PORTRESERVED_BUILD", HERE.parents[1] / "build")).resolve()
SUITE = os.environ.get("PORTRESERVED_SUITE", "bookworm")
NEEDED = ["systemd-nspawn", "nsenter", "mmdebstrap", "meson"]


def make_root(root, program):
    """A root of a program's own, with no library. Folders to mount on: in a lower tree they stay empty."""
    for folder in ("proc", "sys", "dev", "run", "tmp", "var/tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(program, root / program.name)


@pytest.fixture(scope="session")
def trees():
    """What a machine boots from: the build's installed files, and the programs of inside/, over Debian's."""
    missing = [p for p in NEEDED if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        pytest.fail(f"the container tests need root and {', '.join(NEEDED)}; missing: {missing}")
    base = debian.base(SUITE)
    layer = pathlib.Path(tempfile.mkdtemp(prefix="portreserved-layer-", dir="/var/tmp"))
    layer.chmod(0o755)
    try:
        debian.install(BUILD, layer)
        shutil.copytree(HERE / "inside", layer / "opt/inside", ignore=shutil.ignore_patterns("__pycache__", "*.c"))
        for program in (BUILD / "tests/container").glob("inside-*"):
            if program.is_file():
                shutil.copy2(program, layer / "opt/inside" / program.name.removeprefix("inside-"))
        make_root(layer / "srv/rooted", layer / "opt/inside/subject")
        yield [layer, base]
    finally:
        shutil.rmtree(layer, ignore_errors=True)


def pytest_report_header():
    return f"distribution: Debian {SUITE}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure names the distribution, the units that have failed there, and what was said last."""
    report = (yield).get_result()
    if not report.failed:
        return
    for m in {id(v): v for v in getattr(item, "funcargs", {}).values() if isinstance(v, Machine) and v.leader}.values():
        try:
            text = m.explain("--state=failed") + m.run("journalctl", "-q", "--boot", "-n", "40", check=False, timeout=30).stdout
        except (OSError, subprocess.SubprocessError) as e:
            text = f"the machine does not say: {e}"
        report.sections.append((f"Debian {SUITE}: failed units, and the journal's end", text))


@pytest.fixture
def figures(capsys):
    """Tells what a test has measured: figures("table…"). Shown with the results, also of a test that passes."""

    def tell(text):
        with capsys.disabled():
            print(f"\n{text}")
        if "PORTRESERVED_FIGURES" in os.environ:
            with open(os.environ["PORTRESERVED_FIGURES"], "a") as f:
                f.write(f"{text}\n")

    return tell


def check_boot(m):
    """Of every boot, whatever it was for."""
    assert m.ordering_cycles() == []


@pytest.fixture
def machine(trees):
    """A machine that has not been booted, for tests of what a boot does: prepare it, then machine.boot()."""
    with Machine(trees, "own") as m:
        yield m
        if m.leader:
            check_boot(m)


@pytest.fixture(scope="session")
def shared(trees):
    with Machine(trees, "shared") as m:
        m.boot()
        yield m
        check_boot(m)


@pytest.fixture
def host(shared):
    """The machine that tests share, without a daemon that runs; stopped and emptied behind each."""
    yield shared
    shared.reset()
