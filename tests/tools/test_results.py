# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tools/check counts: a run that died, or ran nothing, must not look like one that passed."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools" / "py"))

import command  # noqa: E402
import results  # noqa: E402


def counts(r):
    return (len(r.passed), len(r.failed), len(r.skipped))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1..2\nok 1 - a\nok 2 - b\n", (2, 0, 0)),
        ("ok 1 - a\nok 2 - b\n1..2\n", (2, 0, 0)),
        ("1..2\nok 1 - a\nnot ok 2 - b\n", (1, 1, 0)),
        ("1..2\nok 1 - a # SKIP no IPv6\nok 2\n", (1, 0, 1)),
        ("1..0 # SKIP no kernel\n", (0, 0, 1)),
        ("1..2\nok 1 - a\n", (1, 1, 0)),
        ("ok 1 - a\nAborted\n", (1, 1, 0)),
        ("1..2\n==1==ERROR: AddressSanitizer\n", (0, 1, 0)),
        ("# ok - tests\n1..1\nok 1 - okay # 3\r\n", (1, 0, 0)),
    ],
)
def test_tap(text, expected):
    assert counts(results.from_tap(text, "t")) == expected


def test_tap_not_tap():
    assert results.from_tap("hello\n", "t") is None


def test_named():
    r = results.Results().add(results.from_tap("1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no c\n", "t")).named("trixie")
    assert (r.passed, r.failed, r.skipped) == (["trixie: t: a"], ["trixie: t: b"], [("trixie: t: c", "no c")])


def meson_log(tmp_path, *tests):
    path = tmp_path / "testlog.json"
    path.write_text("".join(json.dumps(t) + "\n" for t in tests))
    return results.from_meson(path)


def test_meson(tmp_path):
    r, said = meson_log(
        tmp_path,
        {"name": "p:unit / a", "result": "OK", "returncode": 0, "stdout": "1..2\nok 1 - x\nok 2 - y\n"},
        {"name": "p:unit / died", "result": "ERROR", "returncode": -6, "stdout": "1..1\nok 1 - x\n"},
        {"name": "p:fuzz / plain", "result": "OK", "returncode": 0, "stdout": ""},
        {"name": "p:fuzz / late", "result": "TIMEOUT", "returncode": -9},
        {"name": "p:lint / none", "result": "SKIP", "returncode": 77, "stdout": ""},
    )
    assert r.passed == ["a: x", "a: y", "died: x", "plain"]
    assert [f.split(":")[0] for f in r.failed] == ["died", "late"]
    assert [name for name, _ in r.skipped] == ["none"]
    assert said.splitlines()[0] == "--- died"


def test_junit(tmp_path):
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite><testcase classname="t.a" name="one"/>'
        '<testcase classname="t.a" name="two"><failure message="no"/></testcase>'
        '<testcase classname="" name="t.b"><error message="collection failure"/></testcase>'
        '<testcase classname="t.a" name="three"><skipped message="no KVM"/></testcase></testsuite></testsuites>'
    )
    r = results.from_junit(path)
    assert counts(r) == (1, 2, 1)
    assert r.skipped == [("a.three", "no KVM")]


def test_command_deadline(tmp_path):
    log = tmp_path / "log"
    assert command.run(["sleep", "60"], log, 0.2) == "killed after 0.2 s"
    assert command.run(["sh", "-c", "echo out; echo err >&2; exit 3"], log, 30) == 3
    assert command.tail(log, 2) == "out\nerr"
    assert command.run(["cat"], log, 30) == 0
