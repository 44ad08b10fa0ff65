"""Drawing takes no more than its share of the cores, and is never slower than a person waits."""

from __future__ import annotations

import pytest

import tui.pacing
from tui.pacing import LONGEST_SECONDS, SHORTEST_SECONDS, Pace


@pytest.fixture(autouse=True)
def _paced(monkeypatch):
    monkeypatch.setattr(tui.pacing, "SHARE", 0.01)


def settled(cost: float, cores: int) -> float:
    pace = Pace(cores=cores)
    for _ in range(20):
        pace.drawn(cost)
    return pace.seconds


def test_the_first_drawing_does_not_wait():
    assert Pace(cores=1).seconds == SHORTEST_SECONDS


@pytest.mark.parametrize(("cost", "cores", "seconds"), [(0.01, 2, 0.5), (0.02, 2, 1.0), (0.02, 4, 0.5)])
def test_the_share_is_kept(cost, cores, seconds):
    assert settled(cost, cores) == pytest.approx(seconds)
    assert cost / settled(cost, cores) <= 0.01 * cores + 1e-9


def test_there_are_bounds_to_it():
    assert settled(1.0, 1) == LONGEST_SECONDS
    assert settled(0.001, 64) == SHORTEST_SECONDS


def test_one_slow_drawing_does_not_stop_the_screen():
    pace = Pace(cores=2)
    for _ in range(10):
        pace.drawn(0.01)
    pace.drawn(0.1)
    assert pace.seconds < LONGEST_SECONDS
    for _ in range(10):
        pace.drawn(0.01)
    assert pace.seconds == pytest.approx(0.5, rel=0.2)
