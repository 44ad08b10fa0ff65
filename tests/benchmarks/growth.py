"""How memory and time of a generation grow with resolution and batch: measured and predicted, in one chart.

    cd tests && python -m benchmarks.growth builtin:sd15 --sizes 256,384,512 --chart ../docs/images/growth.svg
    cd tests && python -m benchmarks.growth --plan

Every measured point is a real picture of one denoising step in PyTorch with ``--precision``, warm. Predicted memory is
the dry run's, as ``sdoctor plan`` says it for a processor. Predicted time is the operations that the dry run counts
over this machine's rate of a matrix product, measured in the same run: a bound, which nothing can undercut.

``--plan`` measures instead how long the dry run of one request takes, for models from the smallest to the largest.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.growth_chart import Line, Panel, write
from benchmarks.speed_rate import rates

from doctor.gather import gather
from doctor.sizes import GIB
from tuner.device_model import HOST_BYTES
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose
from tuner.replay import replay_on_cpu
from tuner.settings import Settings
from tuner.target import choose_target

_PLANNED = ("builtin:tiny", "builtin:sd15", "builtin:sdxl", "builtin:sd35-large", "builtin:flux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size and batch. Bytes and seconds of one picture run of one step."""

    size: int
    batch: int
    predicted_bytes: int
    predicted_seconds: float
    measured_bytes: int
    measured_seconds: float


def measure(model: str, settings: Settings, cells: list[tuple[int, int]], rate: float) -> list[Point]:
    """The cells (size, batch) that ran; one that failed is named and left out. ``rate`` in GFLOP/s."""
    target = choose_target(gather(), "cpu")
    bench = Bench(model=model, device="cpu", budget=target.memory_free, ceiling=None, allow_pickle=False)
    found = []
    with Oracle() as oracle, Lab(bench) as lab:
        for size, batch in cells:
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
            point = Point(
                size=size,
                batch=batch,
                predicted_bytes=replay_on_cpu(answer).peak_reserved + HOST_BYTES,
                predicted_seconds=sum(answer.calls[n].flops for n in answer.order) / rate / 1e9,
                measured_bytes=trial.peak_bytes,
                measured_seconds=trial.seconds_per_image * batch,
            )
            found.append(point)
            print(row(model, point), flush=True)
    return found


def row(model: str, point: Point) -> str:
    """A row of the table."""
    memory = point.predicted_bytes / point.measured_bytes - 1
    return (
        f"| {model} | {point.size} | {point.batch} | {point.predicted_bytes / GIB:.2f} | "
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
    parser.add_argument("--chart", type=Path, help="an .svg file to draw")
    parser.add_argument("--plan", action="store_true", help="how long a dry run takes, by model")
    options = parser.parse_args()
    if options.plan:
        plan_times()
        return
    rate = rates()[options.precision]
    print(f"Matrix product: {options.precision} {rate:.0f} GFLOP/s\n")
    print(
        "| model | side | batch | predicted GiB | measured GiB | error | bound, s | measured, s | bound / measured |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    cells = [(size, options.batches[0]) for size in options.sizes]
    cells += [(options.sizes[0], batch) for batch in options.batches[1:]]
    drawn = []
    for model in options.models:
        points = measure(model, Settings(precision=options.precision), cells, rate)
        drawn += panels(model, points, options.batches, options.sizes)
    if options.chart and drawn:
        write(options.chart, drawn)


if __name__ == "__main__":
    main()
