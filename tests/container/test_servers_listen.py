# SPDX-License-Identifier: LGPL-2.1-or-later
"""gunicorn under Hold=listen, in a unit as its documentation has it, without the .socket unit: that is ours."""

import pytest
import servers

UNIT = """[Unit]
Description=gunicorn
[Service]
Type=notify
NotifyAccess=main
DynamicUser=yes
WorkingDirectory=/srv/hello
ExecStart=/usr/bin/gunicorn hello:app
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=mixed
TimeoutStopSec=5
PrivateTmp=yes
Environment=PYTHONDONTWRITEBYTECODE=1
"""
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\\n"]
"""
SERVER = servers.Server("hello", "hello.service", 8000, "http")


@pytest.fixture
def gunicorn(host):
    host.write("/srv/hello/hello.py", APP)
    host.made.append("/srv/hello")
    host.unit("hello.service", UNIT)
    host.serve("[hello]\nListenStream=8000\n")
    host.systemctl("start", "portreserved-hello.socket")
    yield host
    host.systemctl("stop", "portreserved-hello.socket", "hello.service")


def test_gunicorn_is_started_by_its_first_client_and_restarted_under_load(gunicorn):
    m, s = gunicorn, SERVER
    assert m.active(s.unit) == "inactive"
    assert m.run("curl", "-sS", "--max-time", "60", "http://[::1]:8000/").stdout == "hello\n"
    assert m.active(s.unit) == "active"
    pid = m.pid(s.unit)
    environment = dict(v.split("=", 1) for v in m.read(f"/proc/{pid}/environ").split("\0") if "=" in v)
    assert (environment["LISTEN_FDS"], environment["LISTEN_FDNAMES"]) == ("1", "hello")
    m.background("load", *s.load("--slots=2"), properties=("Nice=19", "CPUWeight=1"))
    for _ in range(3):
        m.systemctl("restart", s.unit)
        assert m.run("curl", "-sS", "--max-time", "60", "http://127.0.0.1:8000/").stdout == "hello\n"
    m.systemctl("reload", s.unit)
    # Killed, with whatever it had accepted.
    m.systemctl("kill", "--signal=KILL", s.unit)
    assert m.run("curl", "-sS", "--max-time", "60", "http://127.0.0.1:8000/").stdout == "hello\n"
    found = servers.counts(m.finish("load"))
    assert found["ok"] > 0 and found["refused"] == found["timeouts"] == 0, f"{s.unit}: {found}\n{m.explain(s.unit)}"
