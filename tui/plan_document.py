"""A plan as text for people and as one JSON document for programs. Every figure in it is predicted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from doctor.sizes import gib
from tuner.all_cards import CardRow
from tuner.device_model import Device
from tuner.planning import Largest
from tuner.predict import Prediction
from tuner.settings import Settings

SCHEMA = "sdoctor.plan/1"
_COLUMNS = 100
"""Width of notes; the rungs' table is about as wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a plan found."""

    model: str
    device: Device
    rows: tuple[Prediction, ...]
    rungs: tuple[str, ...]
    largest: tuple[Largest, ...]
    change: Settings | None
    """The settings nearest to those of the first row with which it would fit; None if it does or none would."""
    guidance: bool = True
    """Whether classifier-free guidance was on, if the model has any."""
    notes: tuple[str, ...] = ()


def as_document(report: PlanReport) -> str:
    """The JSON document of ``sdoctor plan --json``."""
    first = report.rows[0].settings
    document = {
        "schema": SCHEMA,
        "model": report.model,
        "device": {
            "name": report.device.name,
            "memory_bytes": report.device.memory_bytes,
            "usable_bytes": report.device.usable_bytes,
        },
        "guidance": report.guidance,
        "rows": [_row(row) for row in report.rows],
        "largest": [
            {"rung": item.rung.name, "settings": item.rung.settings, "width": item.side, "height": item.side}
            for item in report.largest
            if item.side is not None
        ],
        "first_change": None if report.change is None else report.change.differences(first),
        "notes": [*report.notes, *_remarks(report)],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _row(row: Prediction) -> dict[str, object]:
    return {
        "settings": row.settings,
        "width": row.width,
        "height": row.height,
        "batch": row.batch,
        "steps": row.steps,
        "fits": row.fits,
        "peak_allocated_bytes": row.peak_allocated_bytes,
        "peak_device_bytes": row.peak_device_bytes,
        "stages": row.stages,
        "seconds_per_image_estimate": row.seconds_per_image_estimate,
    }


def _remarks(report: PlanReport) -> list[str]:
    return sorted({remark for row in report.rows for remark in row.remarks})


def as_table(report: PlanReport) -> str:
    """The text of ``sdoctor plan``: verdict first, then stages and rungs."""
    first = report.rows[0]
    width = max(len("settings"), *(len(row.settings.text()) for row in report.rows)) + 1
    lines = [
        f"{report.model} on {report.device.name}, {gib(report.device.usable_bytes)} to use (predicted, not measured)",
        "",
        _verdict(first, report),
        "",
        f"At {first.width}x{first.height}, batch {first.batch}, {_steps(first, report)}:",
        f"  {'settings':<{width}}{'encode':>10}{'denoise':>10}{'decode':>10}{'device':>11}{'s/image':>9}  fits",
    ]
    for row in report.rows:
        peaks = {stage.name: gib(stage.peak_bytes) for stage in row.stages}
        cells = "".join(f"{peaks.get(name, '-'):>10}" for name in ("encode", "denoise", "decode"))
        lines.append(
            f"  {row.settings.text():<{width}}{cells}{gib(row.peak_device_bytes):>11}"
            f"{_seconds(row.seconds_per_image_estimate):>9}  {'yes' if row.fits else 'no'}"
        )
    lines.append("  (s/image is an estimate; device is what the driver would show)")
    if report.largest:
        lines += ["", "Largest square picture of each rung:"]
        lines += [
            f"  {item.rung.name:<16}{_side(item):<14}{item.rung.settings.text()}" for item in report.largest
        ]
    for note in (*report.notes, *_remarks(report)):
        lines += textwrap.wrap(f"Note: {note}.", width=_COLUMNS, subsequent_indent="  ")
    return "\n".join(lines)


def _verdict(row: Prediction, report: PlanReport) -> str:
    size = f"{row.width}x{row.height}"
    if row.fits:
        return f"It fits at {size} with {row.settings.text()}: {gib(row.peak_device_bytes)} at most, in {row.worst_stage}."
    start = f"It does not fit at {size} with {row.settings.text()}: {row.worst_stage} takes {gib(row.peak_device_bytes)}"
    if report.change is None:
        return f"{start}, and no other settings make it fit."
    changed = ", ".join(f"{name}={value}" for name, value in report.change.differences(row.settings).items())
    return f"{start}. First thing to change: {changed}."


def _steps(row: Prediction, report: PlanReport) -> str:
    count = "1 step" if row.steps == 1 else f"{row.steps} steps"
    return count if report.guidance else f"{count} without guidance"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _side(item: Largest) -> str:
    if item.side is None:
        return "none"
    return f"{item.side}x{item.side}{' +' if item.at_limit else ''}"


def cards_document(model: str, rows: Sequence[CardRow]) -> str:
    """The JSON document of ``--all-cards``."""
    document = {
        "schema": "sdoctor.plan-cards/1",
        "model": model,
        "cards": [
            {
                "name": row.device.name,
                "memory_bytes": row.device.memory_bytes,
                "width": row.width,
                "height": row.height,
                "needed": row.needed,
                "largest_fastest": row.largest_fastest,
                "largest": row.largest,
                "largest_rung": row.largest_rung,
            }
            for row in rows
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def cards_table(model: str, rows: Sequence[CardRow]) -> str:
    """The text of ``--all-cards``."""
    size = f"{rows[0].width}x{rows[0].height}"
    lines = [
        f"{model} on every known card (predicted, not measured)",
        "",
        f"  {'card':<40}{'memory':>11}  {'needed for ' + size:<22}{'fastest up to':>15}{'at most':>9}  with",
    ]
    for row in rows:
        sides = [str(side) if side else "-" for side in (row.largest_fastest, row.largest)]
        lines.append(
            f"  {row.device.name:<40}{gib(row.device.memory_bytes):>11}  {row.needed or 'does not fit':<22}"
            f"{sides[0]:>15}{sides[1]:>9}  {row.largest_rung or ''}"
        )
    return "\n".join(lines)
