"""Goal: what a study is asked to find, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.settings import Settings
from tuner.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Bounds of one study. Pixels, bytes, seconds."""

    target: Target
    budget: int | None
    width: int
    height: int
    steps: int
    batch: int
    baseline: Settings
    """What diffusers does by default on this device."""
    first_guess: Settings
    """Where the search for speed begins."""
    step: int = 64
    """Largest resolutions are told apart down to this many pixels."""
    max_size: int = 4096
    edge_steps: int = 2
    """Denoising steps of a run that proves a resolution: the second one meets what the first left behind."""
    run_limit: float = 120.0
    """Longest time that one run may take."""
