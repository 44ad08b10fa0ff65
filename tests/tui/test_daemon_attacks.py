"""What hostile and broken clients get from a real daemon, and that it goes on answering."""

from __future__ import annotations

import sys

import pytest
from attacks import ATTACKS, attempt, attempt_together
from daemon_client import live_daemon

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

FAST = [attack for attack in ATTACKS if not attack.slow and not attack.waits]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with live_daemon(tmp_path_factory.mktemp("attacked"), tcp=True) as running:
        yield running


@pytest.mark.parametrize("attack", FAST, ids=lambda attack: attack.name)
def test_one_after_the_other(daemon, attack):
    tried = attempt(daemon, attack)
    assert tried.as_wanted, tried.outcome
    assert tried.answered_in < 10.0


def test_those_that_keep_it_waiting(daemon):
    for tried in attempt_together(daemon, [attack for attack in ATTACKS if attack.waits]):
        assert tried.as_wanted, (tried.attack.name, tried.outcome)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.slow], ids=lambda attack: attack.name)
def test_those_that_take_long(daemon, attack):
    tried = attempt(daemon, attack)
    assert tried.as_wanted, tried.outcome
