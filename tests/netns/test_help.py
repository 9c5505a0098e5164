# SPDX-License-Identifier: LGPL-2.1-or-later
"""--help and the manual pages say the same, and what the programs answer."""

import re
import shutil
import subprocess

import pytest

from conftest import SOURCE, program

PAGES = {
    "portreserved": "portreserved.8",
    "portreservectl": "portreservectl.1",
    "portreserve-exec": "portreserve-exec.1",
    "portrelease": "portrelease.1",
}

# Others run these.
HELPERS = ["portreserved-act", "portreserved-generator", "portreserved-handover", "portreserved-inspect"]


def page(name):
    return (SOURCE / "docs" / f"{PAGES.get(name, name)}.scd").read_text()


def run(name, *args):
    return subprocess.run([str(program(name)), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("name", PAGES)
def test_options(name):
    r = run(name, "--help")
    assert (r.returncode, r.stderr) == (0, "")
    options = set(re.findall(r"--[a-z][a-z-]+", r.stdout))
    # The definitions: a line that begins with the option.
    assert set(re.findall(r"--[a-z][a-z-]+", "\n".join(re.findall(r"^\*-.*$", page(name), re.M)))) == options
    assert run(name, "-h").stdout == r.stdout


@pytest.mark.parametrize("name", [*PAGES, *HELPERS])
def test_mistaken_options(name):
    for args in ["--bogus"], ["--runtime-dir"], ["-Z"], ["--help=1"]:
        r = run(name, *args)
        assert r.returncode == 2, args
        assert r.stdout == "" and name in r.stderr, args


@pytest.mark.parametrize("name", [*PAGES, *HELPERS])
def test_an_unknown_option_is_told_where_all_are(name):
    for option in "--bogus", "-Z":
        assert "--help" in run(name, option).stderr, option


@pytest.mark.parametrize("name", HELPERS)
def test_help_of_helpers(name):
    r = run(name, "--help")
    assert (r.returncode, r.stderr) == (0, "") and name in r.stdout.splitlines()[0]
    assert run(name, "-h").stdout == r.stdout


@pytest.mark.parametrize("args", [["web"], ["web", "--"], ["--", "web"]])
def test_exec_without_a_command(args):
    r = run("portreserve-exec", *args)
    assert (r.returncode, r.stdout) == (2, "")
    assert r.stderr.startswith("portreserve-exec: no command given") and "NAME -- COMMAND" in r.stderr


@pytest.mark.parametrize("name", [*PAGES, *HELPERS])
def test_version(name):
    r = run(name, "--version")
    assert r.returncode == 0 and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", r.stdout)


def test_not_root(place):
    """Who just types its name is told what to do."""
    copy = place / "portreserved"
    shutil.copy(program("portreserved"), copy)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups", str(copy), f"--runtime-dir={place}/run"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=30, check=False)
    assert r.returncode == 1 and r.stdout == ""
    assert re.fullmatch(rf"portreserved: Cannot use the runtime directory {place}/run: Permission denied\. .*systemctl start portreserved\n", r.stderr)


def test_verbs():
    verbs = re.findall(r"^  ([a-z]+) ", run("portreservectl", "--help").stdout, re.M)
    assert verbs == re.findall(r"^\*portreservectl\* \[_OPTION_...\] \*([a-z]+)\*", page("portreservectl"), re.M)
    assert verbs == re.findall(r"^\*([a-z]+)\*(?: [_\[].*)?$", page("portreservectl").split("# VERBS")[1].split("# OPTIONS")[0], re.M)


def test_keys_of_the_configuration(place):
    """Each key that the page defines is known, each in its section."""
    reservations, daemon = page("portreserved.conf.5").split("# RESERVATIONS")[1].split("# POOLS")[0].split("# DAEMON")
    path = place / "x.conf"
    for section, text in ("a", reservations), ("Daemon", daemon):
        keys = [k for line in re.findall(r"^\*[A-Z].*=\*$", text, re.M) for k in re.findall(r"\*(\w+)=\*", line)]
        assert len(keys) > 8
        for key in keys:
            path.write_text(f"[{section}]\n{key}=\n")
            said = run("portreserved", "--check", str(path)).stdout
            assert "unknown key" not in said and "is no key" not in said, key


def test_reload_answers_as_its_page_says(daemon, ctl):
    daemon("[a]\nPorts=48121/tcp\n")
    shape = page("portreservectl").split("*reload*:")[1].split("```")[1]
    assert list(ctl.json("reload")) == re.findall(r'"(\w+)"', shape)


def test_fields_of_the_journal():
    """Each field that the daemon writes is on the page, and no other."""
    written = set(re.findall(r'"(PORTRESERVED_[A-Z_]+)[="]', (SOURCE / "daemon/alert/fields.c").read_text()))
    told = page("portreserved").split("# MESSAGES")[1].split("# FILES")[0]
    assert set(re.findall(r"PORTRESERVED_[A-Z_]+", told)) == written
    events = set(re.findall(r'^ +\[EVENT_\w+\] = \{ "([a-z-]+)"', (SOURCE / "daemon/alert/event.c").read_text(), re.M))
    described = told.split("*PORTRESERVED_EVENT=*")[1].split("*PORTRESERVED_NAME=*")[0]
    assert set(re.findall(r"\*([a-z-]+)\*", described)) - {"--debug"} == events - {"lease"}
