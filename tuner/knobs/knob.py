"""Knob: one switch that the tuner may turn. One file per knob; ``tuner.knobs.KNOBS`` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tuner.knobs.exports import Told, no_lines, nothing_told
from tuner.settings import Settings
from tuner.target import Target

Value = str | int | None


DENOISERS = ("unet", "transformer")


def denoiser_of(pipe: Any) -> Any:
    """The model that makes the denoising steps: U-Net or transformer; None in a pipeline of another kind."""
    found = (getattr(pipe, name, None) for name in DENOISERS)
    return next((model for model in found if model is not None), None)


def _nothing(_pipe: Any, _value: Value, _device: str) -> str | None:
    return None


def _silent(_pipe: Any) -> tuple[str, ...]:
    return ()


def _puts_nothing_back(_value: Value) -> dict[str, Value]:
    return {}


def _never(_value: Value, _settings: Settings, _target: Target) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What one setting can be, when it is possible, and how it is done to a diffusers pipeline."""

    name: str
    """The field of Settings that it turns."""
    about: str
    """One sentence: what it does and what it costs."""
    values: tuple[str, ...] = ()
    """All values it can have; () for a number."""
    lossless: bool = True
    """Whether the picture stays the same up to floating-point noise."""
    slow: tuple[Value, ...] = ()
    """Values whose trial takes minutes; they are tried only when asked for (``--slow``)."""
    leads: bool = False
    """Whether a search turns it before the others (but for its slow values): what computes the models decides what else
    helps them."""
    only_lossy: bool = False
    """Whether it is not even measured unless settings may win that change the picture."""
    in_place: bool = False
    """Whether it may be turned on a loaded pipeline; otherwise a fresh worker is needed."""
    steps_down: bool = False
    """Whether a pipeline in use can be turned to a more frugal value, though not back: when memory ran out."""
    candidates: Callable[[Target, int], tuple[Value, ...]]
    """Values worth measuring on this device for a batch of that many pictures, the most promising first."""
    mends: tuple[Value, ...] = ()
    """Values that may mend a picture which the other settings spoil (black, NaN); tried only then."""
    puts_back: Callable[[Value], dict[str, Value]] = _puts_nothing_back
    """What other knobs go back to when this one gets that value, since they mean nothing beside it."""
    refusal: Callable[[Value, Settings, Target], str | None] = _never
    """Why a value cannot be used on this device or beside the other settings; None if it can."""
    apply: Callable[[Any, Value, str], str | None] = _nothing
    """Does it to ``(pipeline, value, device)``; returns a remark if it changed nothing there, and why.

    Raises what diffusers raises; ValueError if the model cannot do it.
    """
    late: Callable[[Any], tuple[str, ...]] = _silent
    """Remarks on what turned out only while the pipeline ran."""
    script: Callable[[Value], tuple[str, ...]] = no_lines
    """The same in a diffusers script: lines that know ``pipe``, ``device``, ``denoiser`` and torch."""
    told: Callable[[str, Value], Told | None] = nothing_told
    """The same in another program of ``exports.PROGRAMS``; None if it cannot be said there."""
    read: Callable[[Any], str]
    """Reads back from a pipeline what is really in force."""
