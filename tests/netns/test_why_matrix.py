# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `why` predicts, against real binds: somebody's socket in every state, with SO_REUSEADDR and without, at every kind of address;
beside it servers at every kind of address, with SO_REUSEADDR and without. tests/kernel/kernel-bind-matrix does the same to the model
alone, with all addresses in all states and with ports that were bound first; here a few addresses stand for all in the states between
ESTABLISHED and TIME_WAIT."""

import errno
import itertools
import json
import shutil
import subprocess

import pytest
import scenes
from conftest import wait_until
from test_why_sockets import sees_bound

BETWEEN = [state for state in scenes.CONNECTIONS if state not in ("ESTABLISHED", "TIME_WAIT")]
FEW = "127.0.0.1", "0.0.0.0", "[::]", "[::] v6only", "[::1]"
STATES = list(dict.fromkeys((state, kind) for state, kind, _ in scenes.scenes()))


def lets_in(protocol, place, reuse, port):
    try:
        with scenes.opened(protocol, place, reuse, port) as s:
            if protocol == scenes.TCP:
                s.listen()
    except OSError as e:
        assert e.errno == errno.EADDRINUSE
        return False
    return True


def real(protocol, place, port):
    plain, reuse = (lets_in(protocol, place, r, port) for r in (False, True))
    return "yes" if plain else "with-reuseaddr" if reuse else "no"


def is_doubtful(state, kind, place, owner):
    """Whether an IPv6 connection is in the way of 0.0.0.0 hangs on a flag that nobody can ask for; by who chose the port it is guessed."""
    return kind != "server" and owner == "0.0.0.0" and place in ("[::1]", "[::]")


def may_be_wrong(state, kind, place, owner):
    """The guess does: [::1]'s listener had set that flag."""
    return is_doubtful(state, kind, place, owner) and (kind, place) == ("accepted", "[::1]")


@pytest.fixture
def ask(ctl, place):
    """Runs `why` for a server at that place; plain: as a user who may nothing."""
    copy = place / "portreservectl"  # the build directory may be out of a user's reach
    shutil.copy(ctl.command()[0], copy)
    config = place / "conf"

    def run(port, protocol, owner, plain):
        _, address, v6only = scenes.PLACES[owner]
        listen = "Stream" if protocol == scenes.TCP else "Datagram"
        config.write_text(f"[web]\nListen{listen}=" + (f"[{address}]" if ":" in address else address) + f":{port}\n"
                          + (f"BindIPv6Only={'ipv6-only' if v6only else 'both'}\n" if owner.startswith("[::]") else ""))
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if plain else []
        r = subprocess.run([*prefix, copy, f"--config={config}", f"--runtime-dir={place}/run", "why", str(port), "--json=short"],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return json.loads(r.stdout)

    return run


def settled(ask, port, protocol, state):
    """Waits until the socket is in its state."""
    wanted = {"UDP": "UNCONN", "UDP connected": "ESTABLISHED", "bound only": "BOUND"}.get(state, state.split(",")[0])
    if wanted == "BOUND" and not sees_bound():
        return
    wait_until(lambda: any(h["state"] == wanted for h in ask(port, protocol, "[::]", False)["holders"]), f"port {port} in {state}")


PORTS = itertools.count(20000)


@pytest.mark.parametrize("state, kind", STATES)
def test_prediction(ask, state, kind, capsys):
    protocol = scenes.UDP if state.startswith("UDP") else scenes.TCP
    cells, guessed, wrong = {}, 0, []
    owners = FEW if state in BETWEEN else scenes.PLACES
    places = [p for s, k, p in scenes.scenes() if (s, k) == (state, kind) and p in owners]
    for place, reuse in itertools.product(places, (False, True)):
        port = next(PORTS)
        scene = scenes.Scene(port, 10000 + port, state, kind, place, reuse)
        settled(ask, port, protocol, state)
        for owner in owners:
            for plain in (False, True) if owner == "[::]" else (False,):
                found = ask(port, protocol, owner, plain)
                truth = real(protocol, owner, port)
                guessed += not found["would_bind_certain"]
                cells[place, reuse, owner] = truth
                if found["would_bind"] == truth:
                    ok = True
                elif found["would_bind_certain"]:
                    ok = False
                else:
                    # As a plain user, UDP: nobody's flag can be read. Before 6.8: what is bound only is not seen.
                    ok = (plain and protocol == scenes.UDP) or may_be_wrong(state, kind, place, owner) or \
                        (state == "bound only" and not sees_bound())
                sure = not plain and not is_doubtful(state, kind, place, owner) and sees_bound()
                if not ok or (sure and not found["would_bind_certain"]):
                    wrong.append((place, reuse, owner, plain, truth, found["would_bind"], found["would_bind_certain"], found["reason"]))
        scene.end()
    with capsys.disabled():
        print(f"\n{state}, {kind}: {len(cells)} places, {guessed} answers with \"probably\"")
    assert not wrong, "\n".join(map(str, wrong))
