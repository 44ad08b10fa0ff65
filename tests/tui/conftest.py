"""Screens under test draw as soon as they can: what is looked for shall be there without waiting."""

from __future__ import annotations

import pytest

import tui.pacing


@pytest.fixture(autouse=True)
def _unpaced(monkeypatch):
    monkeypatch.setattr(tui.pacing, "SHARE", 1e6)
