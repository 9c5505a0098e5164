# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hot reloads under load: no connection is lost that is not lost without a reservation."""

import pytest
import servers
from machine import wait_until

RELOADS = servers.storm(20)
CONTROL = servers.storm(5)
# sshd closes its listener and binds anew: as long as that takes, clients are refused, each as often as it comes back. How often is
# up to the scheduler; three times as often as without us would be a longer gap.
NOISE = 3


def reload_under_load(m, s, reloads):
    m.systemctl("start", s.unit)
    m.background("load", *s.load("--slots=8"), properties=("TimeoutStopSec=60", "Nice=19", "CPUWeight=1"))
    for i in range(reloads):
        before = s.generation_of(m)
        m.systemctl("reload", s.unit)
        wait_until(lambda: not before & s.generation_of(m), f"{s.unit}: reload {i + 1}")
        assert m.active(s.unit) == "active", f"{s.unit} after reload {i + 1}\n{m.explain(s.unit)}"
    found = servers.counts(m.finish("load"))
    assert found["ok"] > 10 * reloads, f"{s.unit}: {found}\n{m.explain(s.unit)}"
    m.systemctl("stop", s.unit)
    return found


def lost(counts):
    return counts["refused"] + counts["lost"] + counts["timeouts"]


@pytest.mark.parametrize("name", ["nginx", "haproxy", "lighttpd", "postgresql", "ssh"])
def test_reloads_lose_nothing(host, figures, name):
    s = servers.server(host, name)
    s.prepare(host)
    without = reload_under_load(host, s, CONTROL)
    host.serve(s.config)
    host.wait_endpoint(name, "exclusive")
    ours = reload_under_load(host, s, RELOADS)
    host.wait_endpoint(name, "exclusive")
    rows = [(f"{CONTROL} without a reservation", without), (f"{RELOADS} with Hold=bound", ours)]
    figures(servers.table(f"reloads of {s.unit}", rows))
    if lost(without) == 0:
        assert lost(ours) == 0, f"{s.unit}: {ours}\n{host.explain(s.unit)}"
    else:
        assert lost(ours) / RELOADS <= NOISE * lost(without) / CONTROL, f"{s.unit}: {ours}, without us {without}\n{host.explain(s.unit)}"
