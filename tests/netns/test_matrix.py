# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's tables of who may bind are what the sockets here say, and with portreserved they say what it promises."""

import contextlib
import re

import matrix
import pytest
from conftest import SOURCE, program

README = (SOURCE / "README.md").read_text()
SHOWN = re.search(r"<!-- matrix -->\n(.*)<!-- /matrix -->\n", README, re.S).group(1)


@pytest.fixture(scope="module")
def rows():
    """README's rows, as lists of cells, without the two headings."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in SHOWN.splitlines() if line]
    return [r for r in rows if r[-1] in ("refused", "**in**")]


def test_readme_shows_what_the_sockets_say(daemon):
    @contextlib.contextmanager
    def reserved(configuration):
        d = daemon(configuration)
        yield matrix.Reserved(program("portreserved-handover"), d.runtime)
        d.stop()

    assert matrix.text(reserved) == SHOWN


def test_strangers_are_refused_and_the_owner_is_let_in(rows):
    """The one thing that the kernel allows nobody: to bind without SO_REUSEADDR beside a connection that a process still has."""
    assert len(rows) == 20
    for *_, strangers, owner in rows:
        assert strangers == "refused"
    refused = [r[:2] for r in rows if r[-1] != "**in**"]
    assert refused == [["TCP, `ReuseAddress=no`", matrix.LABELS[state]] for state in matrix.LEFT_TO_A_PROCESS]


def test_the_control_shows_the_loss(rows):
    """Without portreserved, strangers get in after every kind of end, and an outgoing connection keeps the owner out in every state."""
    tcp = {r[1]: r[2] for r in rows if r[0] == "TCP"}
    assert [label for label, strangers in tcp.items() if "**in**" not in strangers] == [matrix.LABELS["LISTEN"]]
    assert [r[1] for r in rows if len(r) == 5] == ["refused"] * 4
