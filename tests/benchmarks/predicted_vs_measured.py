"""Predicted against measured peak memory on this machine's processor, for every setting that it has.

    cd tests && python -m benchmarks.predicted_vs_measured builtin:tiny 256,512,768 --record ../out/truth.jsonl

Measures what the record does not hold yet (a real generation of one step, in a worker of its own), appends it there, and
prints a Markdown table. So a long table is made in pieces: ``--minutes`` begins no run after these, ``--only`` takes
the settings that contain a text, ``--print`` measures nothing. What was measured by other code of the worker than
the present is measured again, unless ``--any-code`` takes it.

Where a processor has no fast bfloat16, settings with 16 bits are measured at ``--narrow-sizes`` only.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.truth_record import Cell, Measured, Record, cells, is_narrow, measure

from doctor.gather import gather
from doctor.sizes import MIB
from tuner.device_model import device_of_target
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.predict import Prediction, predict
from tuner.target import choose_target


def predicted(oracle: Oracle, cell: Cell) -> Prediction:
    """As ``sdoctor plan --device cpu`` says it."""
    answer = oracle.ask(
        Ask(
            model=cell.model,
            settings=cell.settings,
            width=cell.size,
            height=cell.size,
            batch=cell.batch,
            guidance=cell.guidance,
        )
    )
    return predict(answer, cell.settings, device_of_target(choose_target(gather(), "cpu")))


def table(oracle: Oracle, found: list[Measured]) -> None:
    """Print the rows, and what they come to."""
    errors, unmodelled = [], []
    print(
        "| settings | size | batch | predicted MiB | measured MiB | error | phase |\n|---|---|---|---|---|---|---|"
    )
    for one in found:
        cell = one.cell
        start = f"| {cell.name} | {cell.size} | {cell.batch} |"
        if one.message:
            print(f"{start} - | {one.message} | - | - |")
            continue
        prediction = predicted(oracle, cell)
        error = prediction.peak_device_bytes / one.peak - 1
        is_modelled = not any("not modelled" in remark for remark in prediction.remarks)
        (errors if is_modelled else unmodelled).append(abs(error))
        peaks = max(one.peaks, one.first_peaks, key=lambda found: max(found.values(), default=0))
        worst = max(peaks, key=lambda phase: peaks[phase])
        print(
            f"{start} {prediction.peak_device_bytes / MIB:.0f}{'' if is_modelled else ' (without it)'} "
            f"| {one.peak / MIB:.0f} | {error:+.1%} | {worst} |"
        )
    if errors:
        print(
            f"\nMedian error {statistics.median(errors):.1%}, largest {max(errors):.1%}, {len(errors)} runs."
        )
    if unmodelled:
        print(f"Beside them {len(unmodelled)} runs with a setting that plan says it does not model.")


def main() -> None:
    """Measure what is missing, predict, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("sizes", type=_numbers)
    parser.add_argument("--narrow-sizes", type=_numbers, help="sizes for 16 bits; else all")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--only", default="", help="settings that contain this text")
    parser.add_argument("--without", default=[], type=lambda text: text.split(","), help="and none of these")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--any-code", action="store_true")
    options = parser.parse_args()
    target = choose_target(gather(), "cpu")
    narrow = options.narrow_sizes if options.narrow_sizes is not None else options.sizes
    wanted = [
        cell
        for cell in cells(options.model, sorted({*options.sizes, *narrow}), target)
        if cell.size in (narrow if is_narrow(cell.settings) else options.sizes)
        and options.only in cell.name
        and not any(text in cell.name for text in options.without)
    ]
    record, began = Record(options.record), time.monotonic()
    for cell in wanted:
        known = record.find(cell, any_code=options.any_code)
        if known is not None or options.only_print or time.monotonic() - began > options.minutes * 60:
            continue
        fresh = measure(cell)
        record.add(fresh)
        told = fresh.message or f"{fresh.peak / MIB:.0f} MiB, {fresh.seconds:.1f} s"
        print(f"measured {cell.name} {cell.size} {cell.batch}: {told}", flush=True)
    held = [record.find(cell, any_code=options.any_code) for cell in wanted]
    with Oracle() as oracle:
        table(oracle, [one for one in held if one is not None])
    if None in held:
        print(f"{held.count(None)} of {len(held)} are not measured yet.")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


if __name__ == "__main__":
    main()
