"""What predicted_vs_measured.py measures and keeps: cells, their real runs in a worker, and the record on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from doctor.trace import Phase
from tuner.events import Event, Failed, Finished, Generate, Load, Loaded, PhaseEnded
from tuner.knobs import KNOBS, refusals
from tuner.models import recommended, resolve
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings
from tuner.target import Target

_ROOT = Path(__file__).parents[2]
_PATIENT = Limits(stall=900.0)
_PROMPT = "a red circle on a blue background"
_NO_GUIDANCE = 0.0
# Knobs that are about how bits are stored beside another one: what they mean shows only beside bf16.
_BESIDE_BF16 = ({"vae_precision": "fp32"}, {"text_precision": "fp32"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination that is measured. Pixels."""

    model: str
    settings: Settings
    size: int
    batch: int = 1
    guidance: bool = True

    @property
    def name(self) -> str:
        """What differs from diffusers' defaults, as ``--settings`` takes it."""
        changes = ", ".join(
            f"{name}={value}" for name, value in self.settings.differences(Settings()).items()
        )
        return (changes or "default (fp32)") + ("" if self.guidance else ", no guidance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of a cell. Bytes beyond the bare worker, by phase; ``message`` where it failed."""

    cell: Cell
    code: str
    """Which code measured it, see ``code_version``."""
    peaks: dict[str, int] = field(default_factory=dict)
    first_peaks: dict[str, int] = field(default_factory=dict)
    """Of the first picture, where compiling is part of it and a second one was made."""
    weights: int = 0
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    message: str = ""

    @property
    def peak(self) -> int:
        """The most of all phases after loading, compiling included."""
        return max(*self.peaks.values(), *self.first_peaks.values())


def variants(target: Target) -> Iterator[Settings]:
    """Diffusers' defaults, then each value of each knob that can be used on this device."""
    yield Settings()
    for knob in KNOBS:
        values: tuple[Any, ...] = knob.values or tuple(range(1, target.cores or 1))
        for value in values:
            changed = Settings().but(**{knob.name: value})
            if value != getattr(Settings(), knob.name) and not refusals(changed, target):
                yield changed
    for changes in _BESIDE_BF16:
        yield Settings().but(precision="bf16", **changes)


def is_narrow(settings: Settings) -> bool:
    """Whether a component computes in 16 bits, which a processor without such arithmetic does in ages."""
    return settings.narrowest_precision() != "fp32"


def cells(model: str, sizes: list[int], target: Target) -> Iterator[Cell]:
    """Every setting at every size; batches and guidance where they change something."""
    for size in sizes:
        for settings in variants(target):
            yield Cell(model=model, settings=settings, size=size)
        for settings in (Settings(), Settings().but(vae_slicing="on")):
            yield Cell(model=model, settings=settings, size=size, batch=2)
        yield Cell(model=model, settings=Settings(), size=size, guidance=False)


def code_version(settings: Settings) -> str:
    """A digest of what runs a pipeline with these settings: the worker's code and the knobs."""
    digest = hashlib.sha256()
    for path in sorted((*_ROOT.glob("tuner/worker/*.py"), *_ROOT.glob("tuner/knobs/*.py"))):
        if "openvino" not in path.name or settings.compile == "openvino":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def measure(cell: Cell) -> Measured:
    """A real generation of one step in a worker of its own; with a compiler two, the first of which compiles."""
    with _nothing_converted():
        return _measure(cell)


def _measure(cell: Cell) -> Measured:
    worker = Worker()
    try:
        loaded = list(worker.run(Load(model=cell.model, settings=cell.settings, device="cpu"), _PATIENT))
        told = loaded[-1]
        if not isinstance(told, Loaded):
            return Measured(cell=cell, code=code_version(cell.settings), message=_why(told))
        guidance = recommended(resolve(cell.model)).guidance if cell.guidance else _NO_GUIDANCE
        request = Request(
            prompt=_PROMPT, width=cell.size, height=cell.size, steps=1, batch=cell.batch, guidance=guidance
        )
        first: list[Event] = []
        if cell.settings.compile != "none":
            first = list(worker.run(Generate(request=request), _PATIENT))
        events = list(worker.run(Generate(request=request), _PATIENT)) if not _failed(first) else first
        last = events[-1]
        if not isinstance(last, Finished):
            return Measured(cell=cell, code=code_version(cell.settings), message=_why(last))
        return Measured(
            cell=cell,
            code=code_version(cell.settings),
            peaks=_peaks(events),
            first_peaks=_peaks(first),
            weights=told.weights_bytes,
            seconds=last.seconds,
            remarks=(*told.remarks, *last.remarks),
        )
    finally:
        worker.close()


@contextmanager
def _nothing_converted() -> Iterator[None]:
    """Within, a worker finds no models that OpenVINO converted before, and leaves none behind."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        patch.dict(os.environ, SDOCTOR_HOME=home),
    ):
        yield


def _failed(events: list[Event]) -> bool:
    return bool(events) and isinstance(events[-1], Failed)


def _why(event: Event) -> str:
    return f"{event.outcome.value}: {event.message}" if isinstance(event, Failed) else str(event)


def _peaks(events: list[Event]) -> dict[str, int]:
    return {
        event.phase.value: event.peak_allocated
        for event in events
        if isinstance(event, PhaseEnded)
        and event.peak_allocated is not None
        and event.phase is not Phase.LOAD
    }


class Record:
    """Measured cells as JSON lines: a long table can be made in pieces, by several calls of the command."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Cell, Measured] = {}
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                found = _read(json.loads(line))
                self._known[found.cell] = found

    def find(self, cell: Cell, *, any_code: bool = False) -> Measured | None:
        """The newest run of that cell, by the present code unless any will do."""
        found = self._known.get(cell)
        if found is None or any_code or found.code == code_version(cell.settings):
            return found
        return None

    def add(self, measured: Measured) -> None:
        """Append it, at once."""
        self._known[measured.cell] = measured
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(measured)) + "\n")


def _read(told: dict[str, Any]) -> Measured:
    cell = told.pop("cell")
    cell["settings"] = Settings(**cell["settings"])
    told["remarks"] = tuple(told["remarks"])
    return Measured(cell=Cell(**cell), **told)
