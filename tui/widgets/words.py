"""Figures and endings in words, for people."""

from __future__ import annotations

from doctor.trace import Outcome, Phase
from tui.state import View

DOING = {
    Phase.LOAD: "loading the model",
    Phase.ENCODE: "reading the prompt",
    Phase.DENOISE: "denoising",
    Phase.DECODE: "decoding the picture",
    Phase.SAVE: "saving",
}

ENDED = {
    Outcome.FINISHED: "finished",
    Outcome.OUT_OF_MEMORY: "out of memory",
    Outcome.TOO_SLOW: "too slow",
    Outcome.HUNG: "hung",
    Outcome.CRASHED: "crashed",
    Outcome.REFUSED: "refused",
    Outcome.INTERRUPTED: "interrupted",
    Outcome.REJECTED: "picture rejected",
}


def what_to_do(view: View) -> str:
    """What helps after a run that ran out of memory on the last rung; empty otherwise."""
    if not view.over or view.outcome is not Outcome.OUT_OF_MEMORY:
        return ""
    if view.failed_in is Phase.LOAD:
        return "Give it more memory, or take a smaller model or another precision (s: settings)."
    fewer = " or fewer pictures at once" if view.run is not None and view.run.batch > 1 else ""
    return f"Take a smaller size{fewer} (o: options), or give it more memory; `sdoctor plan` says what fits."


def duration(seconds: float) -> str:
    """A time as it is said: "3.2 s", "42 s", "3 min 07 s", "1 h 02 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """A time as a clock shows it: "0:07", "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def pace(seconds_per_step: float) -> str:
    """The speed of denoising, both ways round: "1.32 it/s (0.76 s/step)"."""
    speed = 1 / seconds_per_step if seconds_per_step > 0 else None
    step = (
        f"{seconds_per_step:.2f} s/step"
        if seconds_per_step >= 0.1
        else f"{seconds_per_step * 1000:.1f} ms/step"
    )
    return step if speed is None else f"{speed:.2f} it/s ({step})"


def status(view: View) -> str:
    """What is happening now, in a few words."""
    if view.run is None:
        return "ready"
    if view.outcome is not None:
        return ENDED[view.outcome] if view.over or not view.stopping else "stopping"
    if view.stopping:
        return "stopping after this step" if view.phase is Phase.DENOISE else "stopping"
    if view.compiling:
        return f"compiling {view.compiling}"
    if view.phase is not None:
        return DOING[view.phase]
    return "starting the worker" if view.pid is None else "waiting for the worker"


def printable(text: str) -> str:
    """``text`` in one line and without control characters, which would move the cursor of the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
