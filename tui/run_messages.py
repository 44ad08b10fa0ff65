"""What a feed tells of one generation after the other: the messages that ``tui.state`` folds into a view.

Units: seconds of ``time.monotonic()``, bytes, pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from doctor.telemetry.sample import Sample
from doctor.verdicts.verdict import Verdict
from tuner.events import Event
from tuner.settings import Request
from tuner.stepping import LadderStep


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The feed begins: what is to be made, and how."""

    at: float
    model: str
    prompt: str
    settings_text: str
    width: int | None
    height: int | None
    steps: int | None
    """None, as for the sizes: the loaded pipeline decides, and a Request will say it."""
    seed: int
    batch: int = 1
    note: str = ""
    budget_bytes: int | None = None
    device: str | None = None
    """"cpu" or "cuda:0"; None if not known. Says what the worker's memory figures mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The machine was looked at and the settings were decided."""

    settings_text: str
    note: str = ""
    budget_bytes: int | None = None
    device: str | None = None


News = Event | Prepared | Request | LadderStep
"""What a job tells: how it is prepared, the worker's events, the completed request, a step down the ladder."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of news, with the moment it arrived."""

    at: float
    what: News


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The user wants the generation to stop; the worker does so after the current step."""

    at: float


@dataclass(frozen=True, slots=True)
class FeedEnded:
    """No event will follow; ``error`` says why if the feed broke."""

    at: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the work waits for, from the samples of the last seconds; () where nothing stands out."""

    at: float
    verdicts: tuple[Verdict, ...]


Message = RunStarted | Heard | Sample | StopAsked | FeedEnded | Judged
