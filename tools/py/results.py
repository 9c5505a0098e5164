# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts of tests, read from what the test programs themselves say."""

import json
import re
import xml.etree.ElementTree


class Results:
    """Names of those that passed, names of those that failed, (name, why) of those skipped."""

    def __init__(self):
        self.passed = []
        self.failed = []
        self.skipped = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def named(self, prefix):
        """Every name with that in front: which of several runs of the same tests it was."""
        self.passed = [f"{prefix}: {name}" for name in self.passed]
        self.failed = [f"{prefix}: {name}" for name in self.failed]
        self.skipped = [(f"{prefix}: {name}", why) for name, why in self.skipped]
        return self

    def count(self):
        return len(self.passed) + len(self.failed) + len(self.skipped)


TAP_LINE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(?:#\s*(skip|todo)\S*\s*(.*))?$", re.I)
TAP_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$", re.I)


def from_tap(text, name):
    """Counts of one TAP program, or None where the text is none. A plan that was not kept is a failure."""
    results, plan = Results(), None
    for line in text.splitlines():
        line = line.strip()
        match = TAP_PLAN.match(line)
        if match:
            plan = int(match.group(1))
            if plan == 0:
                results.skipped.append((name, match.group(2) or "no reason given"))
            continue
        match = TAP_LINE.match(line)
        if not match:
            continue
        bad, what, directive, why = match.groups()
        if directive and directive.lower() == "skip":
            # cmocka's directive carries the test's name and no reason.
            results.skipped.append((f"{name}: {what or why}", why if what else "skipped itself"))
        elif bad:
            results.failed.append(f"{name}: {what}")
        else:
            results.passed.append(f"{name}: {what}")
    if plan is None and not results.count():
        return None
    ran = results.count()
    if plan is None or (plan > 0 and ran != plan):
        results.failed.append(f"{name}: ended after {ran} of {'?' if plan is None else plan} tests")
    return results


def from_meson(log):
    """Counts of a `meson test` run, from meson-logs/testlog.json, and what the programs that failed had to say. Meson's junit file
    leaves out a TAP program that died in the middle."""
    results, said = Results(), []
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            test = json.loads(line)
            name = test["name"].split(" / ")[-1]
            own = from_tap(test.get("stdout") or "", name)
            if own is None:
                own = Results()
                if test["result"] == "OK":
                    own.passed.append(name)
                elif test["result"] == "SKIP":
                    own.skipped.append((name, "skipped itself"))
            if test["result"] not in ("OK", "SKIP") and not own.failed:
                own.failed.append(f"{name}: {test['result']}, exit status {test.get('returncode')}")
            results.add(own)
            if own.failed:
                said += [f"--- {name}", (test.get("stdout") or "")[-8000:], (test.get("stderr") or "")[-8000:]]
    return results, "\n".join(said)


def from_junit(path):
    """Counts of a pytest run, from its junit file."""
    results = Results()
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            results.failed.append(name)
        elif skipped is not None:
            results.skipped.append((name, skipped.get("message") or "no reason given"))
        else:
            results.passed.append(name)
    return results
