"""The outcome of a study as a table for people and as one JSON document for programs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from doctor.sizes import gib
from doctor.trace import Outcome
from tuner.fingerprint import Fingerprint
from tuner.probe import Purpose, Trial
from tuner.strategy.comparing import DISTURBED
from tuner.strategy.goal import Objective
from tuner.strategy.largest import Edge, LimitKind
from tuner.study import Result, RungEdge
from tuner.target import Target

SCHEMA = "sdoctor.tune/1"

OUTCOMES = {
    Outcome.FINISHED: "finished",
    Outcome.OUT_OF_MEMORY: "out of memory",
    Outcome.TOO_SLOW: "too slow",
    Outcome.HUNG: "hung",
    Outcome.CRASHED: "crashed",
    Outcome.REFUSED: "refused",
    Outcome.INTERRUPTED: "interrupted",
    Outcome.REJECTED: "picture rejected",
}
"""The endings of a run, for people."""


_BEST = {
    Objective.SPEED: "Fastest",
    Objective.SIZE: "The settings that the sizes start from",
    Objective.MEMORY: "Least memory",
}


def as_document(
    result: Result, model: str, fingerprint: Fingerprint, profile: Path | None, resumed_trials: int = 0
) -> str:
    """The JSON document of ``sdoctor tune --json``."""

    def pair(trial: Trial | None) -> dict[str, object] | None:
        return None if trial is None else {"settings": trial.settings, "trial": trial}

    document = {
        "schema": SCHEMA,
        "model": model,
        "fingerprint": fingerprint,
        "budget_bytes": result.goal.budget,
        "complete": result.complete,
        "resumed_trials": resumed_trials,
        "largest": _largest(result.largest),
        "ladder": [_largest(item) for item in result.ladder if item.edge is not None],
        "other_edges": [_largest(item) for item in result.others if item.edge is not None],
        "objective": result.goal.objective,
        "skipped": result.skipped,
        "best": pair(result.best),
        "baseline": pair(result.baseline),
        "speedup": result.speedup,
        "trials": result.trials,
        "profile": None if profile is None else str(profile),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _largest(item: RungEdge | None) -> dict[str, object] | None:
    if item is None or item.edge is None:
        return None
    return {
        "rung": item.rung.name,
        "axis": item.axis,
        "width": item.edge.works.width,
        "height": item.edge.works.height,
        "batch": item.edge.works.batch,
        "settings": item.rung.settings,
        "edge": item.edge,
    }


def as_table(result: Result, model: str, target: Target, profile: Path | None) -> str:
    """The table that ``sdoctor tune`` ends with: verdict first, then the trials. All figures are measured."""
    goal = result.goal
    lines = [
        f"{model} on {target.name or target.device}, {gib(goal.budget)} to use",
        "",
        *verdict_of(result),
        "",
        f"Speed at {goal.width}x{goal.height}, {goal.steps} steps, batch {goal.batch} (measured):",
        _row("settings", "s/step", "s/image", "peak", "outcome"),
    ]
    lines += [_trial_row(trial, result) for trial in result.trials if trial.purpose.value != "largest"]
    if any(trial.purpose.value == "largest" for trial in result.trials):
        lines += ["", "Sizes tried (measured):", _row("settings", "size", "s/image", "peak", "outcome")]
        lines += [_size_row(trial) for trial in result.trials if trial.purpose.value == "largest"]
    lines += [
        f"Rejected: {trial.settings.text()}: {trial.message}"
        for trial in result.trials
        if trial.outcome is Outcome.REJECTED
    ]
    remarks = sorted({remark for trial in result.trials for remark in trial.remarks})
    lines += [f"Note: {remark}." for remark in remarks]
    lines += _disturbances(result)
    if not result.complete:
        lines += ["", "The study was stopped before its end; this is what was measured until then."]
    if profile is not None:
        lines += ["", f"Profile saved: {profile}"]
    return "\n".join(lines)


def _disturbances(result: Result) -> list[str]:
    disturbed = sum((trial.cpu_wait or 0.0) > DISTURBED for trial in result.trials)
    if not disturbed:
        return []
    return [
        f"Note: in {disturbed} of {len(result.trials)} runs other programs had the processor for more than "
        f"{DISTURBED:.0%} of the time; where that could decide, the run was made again."
    ]


def verdict_of(result: Result) -> list[str]:
    """What the study says first: the best settings, the edges, what was not run."""
    if result.best is None:
        return ["No settings worked."]
    best = _BEST[result.goal.objective]
    lines = [f"{best}: {result.best.settings.text()}"]
    if result.goal.objective is Objective.MEMORY:
        return [*lines, *_memory_verdict(result)]
    if result.baseline is not None and result.best.settings == result.baseline.settings:
        lines[0] += ", which is diffusers' default"
    elif result.speedup is not None:
        lines[0] += (
            f" - {result.speedup:.2f} times diffusers' default ({result.baseline.settings.text()})"
            if result.baseline
            else ""
        )
    elif result.baseline is not None:
        lines[0] += f" - diffusers' default ended with: {OUTCOMES[result.baseline.outcome]}"
    edges = (*result.ladder, *result.others)
    lines += [
        _edge_line(item, item.edge, complete=result.complete) for item in edges if item.edge is not None
    ]
    for item in result.skipped:
        lines.append(f"Not run: {item.settings.text()} - predicted to take {gib(item.predicted_peak_bytes)}.")
    return lines


def _memory_verdict(result: Result) -> list[str]:
    if result.best is None or result.best.peak_bytes is None:
        return []
    line = f"Its peak is {gib(result.best.peak_bytes)}"
    if result.baseline is not None and result.baseline.peak_bytes is not None:
        line += (
            f"; diffusers' default ({result.baseline.settings.text()}) took {gib(result.baseline.peak_bytes)}"
        )
    return [line + " (measured)."]


def _edge_line(item: RungEdge, edge: Edge, *, complete: bool) -> str:
    what = "Largest batch" if item.axis == "batch" else "Largest"
    shape = "" if item.axis in ("1:1", "batch") else f" {item.axis}"
    line = f"{what}{shape}, {item.rung.name}: {_extent(edge.works, item.axis)} ran"
    if edge.limit is LimitKind.MAX_SIZE:
        option = "--max-batch" if item.axis == "batch" else "--max-size"
        return f"{line}; {option} stopped the search there."
    if edge.limit is LimitKind.MEMORY and edge.fails is not None:
        where = f" in {edge.fails.failed_in.value}" if edge.fails.failed_in else ""
        above = f"{_extent(edge.fails, item.axis)} did not ({OUTCOMES[edge.fails.outcome]}{where})"
        return f"{line}, {above}. {_cost(edge)}"
    if not complete and (edge.fails is None or edge.fails.outcome is Outcome.OUT_OF_MEMORY):
        return f"{line}; the search beyond it was not finished."
    return f"{line}; larger ones would take longer than the time that was given."


def _extent(trial: Trial, axis: str) -> str:
    size = f"{trial.width}x{trial.height}"
    return f"{trial.batch} of {size}" if axis == "batch" else size


def _cost(edge: Edge) -> str:
    runs = "1 run" if edge.runs == 1 else f"{edge.runs} runs"
    return f"Found with {runs}; bisection takes {edge.bisection_runs}."


def _row(first: str, *rest: str) -> str:
    return f"  {first:<62}" + "".join(f"{cell:>11}" for cell in rest[:-1]) + f"  {rest[-1]}"


def seconds_text(value: float | None) -> str:
    """Seconds with the digits that mean something; "-" if they are not known."""
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _trial_row(trial: Trial, result: Result) -> str:
    marks = {"best": result.best, "default": result.baseline}
    mark = "".join(f"  <- {name}" for name, marked in marks.items() if trial is marked)
    again = " (again)" if trial.purpose in (Purpose.AGAIN, Purpose.CONFIRMATION) else ""
    row = _row(
        trial.settings.text() + again,
        seconds_text(trial.seconds_per_step),
        seconds_text(trial.seconds_per_image),
        "-" if trial.peak_bytes is None else gib(trial.peak_bytes),
        OUTCOMES[trial.outcome],
    )
    return row + mark


def _size_row(trial: Trial) -> str:
    return _row(
        trial.settings.text(),
        f"{trial.width}x{trial.height}" + (f" x{trial.batch}" if trial.batch > 1 else ""),
        seconds_text(trial.seconds_per_image),
        "-" if trial.peak_bytes is None else gib(trial.peak_bytes),
        OUTCOMES[trial.outcome],
    )
