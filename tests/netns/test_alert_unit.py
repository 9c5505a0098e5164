# SPDX-License-Identifier: LGPL-2.1-or-later
"""AlertUnit= as far as it goes without systemd: the files that units would read, and nobody there to start them."""

import os
import shlex

import pytest

from conftest import USER, KERNEL_LIST, listener, wait_until

REFUSED = "AlertUnit=: a unit cannot be started (portreserved-act): "


def alerts(d):
    """The environments, oldest first."""
    folder = d.runtime / "alerts"
    return [read(folder / n) for n in sorted(os.listdir(folder), key=int)] if folder.exists() else []


def read(path):
    """As a shell would."""
    return dict(word.split("=", 1) for word in shlex.split(path.read_text()))


def test_a_file_for_each_alert(daemon):
    squatter = listener(48121)
    d = daemon("[Daemon]\nAlertIntervalSec=0\nScanIntervalSec=50ms\nAlertUnit=tell@.service\n[a]\nPorts=48121/tcp\n")
    found, = wait_until(lambda: alerts(d), "a file")
    assert found["PORTRESERVED_EVENT"] == "collision"
    assert (found["PORTRESERVED_NAME"], found["PORTRESERVED_PROTOCOL"], found["PORTRESERVED_PORT"]) == ("a", "tcp", "48121")
    assert found.get("PORTRESERVED_CULPRIT_PID") == (None if USER else str(os.getpid()))
    assert found["MESSAGE"].startswith("a: tcp *:48121 is taken by ")
    folder = d.runtime / "alerts"
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert all(p.stat().st_mode & 0o7777 == 0o600 for p in folder.iterdir())

    # Its end is none, nor that it is still there; that the list is overwritten is one.
    squatter.close()
    wait_until(lambda: d.events("resolved"), "the end")
    KERNEL_LIST.write_text("\n")
    wait_until(lambda: len(alerts(d)) == 2, "another file")
    assert alerts(d)[1]["PORTRESERVED_EVENT"] == "drift"
    assert "PORTRESERVED_NAME" not in alerts(d)[1]
    # Nobody is there to start units: said once.
    wait_until(lambda: REFUSED in d.log(), "it is said")
    assert d.log().count(REFUSED) == 1


def test_another_template_and_none(daemon):
    squatters = [listener(48121), listener(48122)]
    d = daemon("[a]\nPorts=48121/tcp\nAlertUnit=own@.service\n[b]\nPorts=48122/tcp\n")
    wait_until(lambda: len(d.events("collision")) == len(squatters), "both")
    found, = alerts(d)
    assert found["PORTRESERVED_NAME"] == "a"


def test_what_is_not_shown_starts_nothing(daemon):
    squatters = [listener(48121, "127.0.0.1"), listener(48121, "127.0.0.2"), listener(48121, "127.0.0.3")]
    d = daemon("[Daemon]\nAlertUnit=tell@.service\nAlertIntervalSec=1h\n[a]\nPorts=48121/tcp\n")
    wait_until(lambda: len(d.events("collision")) == len(squatters), "all")
    assert len(alerts(d)) == 1


def test_no_more_than_so_many(daemon):
    squatters = [listener(40000 + i) for i in range(40)]
    text = "".join(f"[r{i}]\nPorts={40000 + i}/tcp\n" for i in range(40))
    d = daemon("[Daemon]\nAlertUnit=tell@.service\n" + text)
    wait_until(lambda: len(d.events("collision")) == len(squatters), "all")
    assert len(alerts(d)) == 30
    assert d.log().count("no more than 30 units are started in 10 s") == 1
    assert d.ctl("status").returncode == 8


@pytest.mark.parametrize("first", [1000, 10**16])
def test_old_files_go(daemon, first):
    """The oldest; also where the clock has been set back since they were written."""
    d = daemon("[Daemon]\nAlertUnit=tell@.service\nScanIntervalSec=50ms\n[a]\nPorts=48121/tcp\n")
    folder = d.runtime / "alerts"
    folder.mkdir()
    for i in range(1000):
        (folder / str(first + i)).touch()
    if USER:
        os.system(f"chown -R {USER} {shlex.quote(str(folder))}")
    with listener(48121):
        wait_until(lambda: d.events("collision"), "an alert")
    names = sorted(map(int, os.listdir(folder)))
    assert len(names) == 1000 and names[0] == first + 1 and names[-1] >= first + 1000
