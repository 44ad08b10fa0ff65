"""How memory and time of a generation grow with resolution and batch: measured and predicted, in one chart.

    cd tests && python -m benchmarks.growth builtin:sd15 --sizes 256,384,512 --precision fp32 \\
        --record ../out/growth.jsonl --chart ../docs/images/growth.svg
    cd tests && python -m benchmarks.growth --plan

Appends what it measured to the record and goes on where it was cut off; ``--minutes`` begins no cell after these.

Every measured point is a real picture of one denoising step in PyTorch with ``--precision``, warm. Predicted memory is
the dry run's, as ``sdoctor plan`` says it for a processor. Predicted time is the operations that the dry run counts
over this machine's rate of a matrix product, measured in the same run: a bound, which nothing can undercut.

``--plan`` measures instead how long the dry run of one request takes, for models from the smallest to the largest.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.growth_chart import Line, Panel, write
from benchmarks.speed_rate import rates

from doctor.gather import gather
from doctor.sizes import GIB
from tuner.device_model import device_of_target
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.lab import Bench, Lab
from tuner.predict import predict
from tuner.probe import Probe, Purpose
from tuner.settings import Settings
from tuner.target import choose_target

_PLANNED = ("builtin:tiny", "builtin:sd15", "builtin:sdxl", "builtin:sd35-large", "builtin:flux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size and batch. Bytes and seconds of one picture run of one step."""

    model: str
    precision: str
    size: int
    batch: int
    predicted_bytes: int
    flops: int
    rate: float
    """GFLOP/s of a matrix product, measured in the same call."""
    measured_bytes: int
    measured_seconds: float

    @property
    def predicted_seconds(self) -> float:
        """What the operations take at the rate of a matrix product: nothing can be faster."""
        return self.flops / self.rate / 1e9


def measure(model: str, settings: Settings, cells: list[tuple[int, int]], record: Record) -> list[Point]:
    """The cells (size, batch) that ran; one that failed is named and left out."""
    target = choose_target(gather(), "cpu")
    bench = Bench(model=model, device="cpu", budget=target.memory_free, ceiling=None, allow_pickle=False)
    with Oracle() as oracle, Lab(bench) as lab:
        for size, batch in cells:
            if record.find(model, settings.precision, size, batch) is not None or record.late:
                continue
            probe = Probe(
                purpose=Purpose.FASTEST,
                settings=settings,
                width=size,
                height=size,
                steps=1,
                batch=batch,
                warm_up=True,
            )
            trial = lab.run(probe)
            if trial.peak_bytes is None or trial.seconds_per_image is None:
                print(f"{size}x{size}, batch {batch}: {trial.outcome.value}: {trial.message}", flush=True)
                continue
            answer = oracle.ask(Ask(model=model, settings=settings, width=size, height=size, batch=batch))
            record.add(
                Point(
                    model=model,
                    precision=settings.precision,
                    size=size,
                    batch=batch,
                    predicted_bytes=predict(answer, settings, device_of_target(target)).peak_device_bytes,
                    flops=sum(answer.calls[n].flops for n in answer.order),
                    rate=record.rate(settings.precision),
                    measured_bytes=trial.peak_bytes,
                    measured_seconds=trial.seconds_per_image * batch,
                )
            )
    found = [record.find(model, settings.precision, size, batch) for size, batch in cells]
    return [point for point in found if point is not None]


class Record:
    """Measured points as JSON lines; without a path they are kept for this call only."""

    def __init__(self, path: Path | None, minutes: float) -> None:
        self._path, self._ends = path, time.monotonic() + minutes * 60
        self._rates: dict[str, float] = {}
        lines = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        self._points = [Point(**json.loads(line)) for line in lines]

    @property
    def late(self) -> bool:
        """Whether nothing more shall be begun."""
        return time.monotonic() > self._ends

    def rate(self, precision: str) -> float:
        """GFLOP/s of a matrix product by the fastest library, measured once in this call."""
        self._rates = self._rates or rates()
        return max(rate for name, rate in self._rates.items() if name.startswith(precision))

    def find(self, model: str, precision: str, size: int, batch: int) -> Point | None:
        """The point of that cell, if it was measured."""
        wanted = model, precision, size, batch
        held = [one for one in self._points if (one.model, one.precision, one.size, one.batch) == wanted]
        return held[-1] if held else None

    def add(self, point: Point) -> None:
        """Append it, at once."""
        self._points.append(point)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(point)) + "\n")


def row(point: Point) -> str:
    """A row of the table."""
    memory = point.predicted_bytes / point.measured_bytes - 1
    return (
        f"| {point.model} | {point.size} | {point.batch} | {point.predicted_bytes / GIB:.2f} | "
        f"{point.measured_bytes / GIB:.2f} | {memory:+.1%} | {point.predicted_seconds:.2f} | "
        f"{point.measured_seconds:.2f} | {point.predicted_seconds / point.measured_seconds:.2f} |"
    )


def panels(model: str, points: list[Point], batches: list[int], sizes: list[int]) -> list[Panel]:
    """Memory and time over the side, and over the batch where there are several."""
    first = [point for point in points if point.batch == batches[0]]
    second = [point for point in points if point.size == sizes[0]]
    found = []
    for label, chosen, over_batch in (("side, pixels", first, False), ("pictures per run", second, True)):
        if len(chosen) < 2:
            continue
        at = [point.batch if over_batch else point.size for point in chosen]
        for unit, measured, predicted in (
            (
                "GiB",
                [point.measured_bytes / GIB for point in chosen],
                [point.predicted_bytes / GIB for point in chosen],
            ),
            (
                "seconds",
                [point.measured_seconds for point in chosen],
                [point.predicted_seconds for point in chosen],
            ),
        ):
            name = "predicted" if unit == "GiB" else "bound by matrix rate"
            both = (("measured", measured), (name, predicted))
            lines = tuple(Line(title, tuple(zip(at, values, strict=True))) for title, values in both)
            found.append(Panel(title=model, across=label, unit=unit, lines=lines))
    return found


def plan_times() -> None:
    """Print the time of one dry run for each model, libraries imported, nothing remembered."""
    print("| model | weights, GiB | dry run, s |\n|---|---|---|")
    for model in _PLANNED:
        settings = Settings(precision="bf16")
        with Oracle(remember=False) as oracle:
            oracle.ask(Ask(model="builtin:tiny", settings=Settings(), width=64, height=64))
            began = time.perf_counter()
            answer = oracle.ask(Ask(model=model, settings=settings, width=512, height=512))
            seconds = time.perf_counter() - began
        weights = sum(part.bytes for part in answer.components) / GIB
        print(f"| {model} | {weights:.2f} | {seconds:.2f} |", flush=True)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Measure, predict, print, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--sizes", type=_numbers, default=[256, 384, 512])
    parser.add_argument("--batches", type=_numbers, default=[1, 2, 4])
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--record", type=Path, help="where measured points are kept, as JSON lines")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--chart", type=Path, help="an .svg file to draw")
    parser.add_argument("--plan", action="store_true", help="how long a dry run takes, by model")
    options = parser.parse_args()
    if options.plan:
        plan_times()
        return
    record = Record(options.record, options.minutes)
    cells = [(size, options.batches[0]) for size in options.sizes]
    cells += [(options.sizes[0], batch) for batch in options.batches[1:]]
    drawn, points = [], []
    for model in options.models:
        found = measure(model, Settings(precision=options.precision), cells, record)
        points += found
        drawn += panels(model, found, options.batches, options.sizes)
    print(
        "| model | side | batch | predicted GiB | measured GiB | error | bound, s | measured, s | bound / measured |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(map(row, points)))
    print("\nMatrix product: " + ", ".join(sorted({f"{point.rate:.0f} GFLOP/s" for point in points})))
    if options.chart and drawn:
        write(options.chart, drawn)


if __name__ == "__main__":
    main()
