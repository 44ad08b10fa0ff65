"""Predicted peak memory beside published figures of real cards.

    cd tests && python -m benchmarks.predicted_vs_published

Prints the Markdown tables of docs/plan.md. "allocated" and "reserved" are torch's two figures, "held" what is allocated
between two pictures; MiB. "When found" is the error with which a row that was found later was first predicted.
"""

from __future__ import annotations

import statistics

from benchmarks.published_rows import ROWS, Row

from doctor.sizes import MIB
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.replay import Replay, replay
from tuner.settings import Settings
from tuner.workspaces import cublas_bytes


def main() -> None:
    """Predict every row and print it."""
    print("| card | model | size | batch | settings | published | predicted | error | when found |")
    print("|---|---|---|---|---|---|---|---|---|")
    errors: list[float] = []
    blind: list[float] = []
    left_over: list[str] = []
    with Oracle() as oracle:
        for row in ROWS:
            run = _run(oracle, row, row.settings)
            predicted = _figure(row, run) / MIB + row.extra
            error = predicted / row.published - 1
            settings = _settings(row.settings).text() + (", denoiser alone" if row.denoiser_only else "")
            start = (
                f"| {row.card} | {row.model} | {row.size} | {row.batch} | {settings} | {row.published:.0f}"
            )
            first = "" if row.first is None else f"{row.first:+.1%}"
            print(f"{start} {row.kind} | {predicted:.0f} | {error:+.1%} | {first} |", flush=True)
            if row.first is not None:
                blind.append(abs(row.first))
            if row.after_compile:
                explained = _after_compile(oracle, row, run) / MIB
                left_over.append(
                    f"| {settings} | {row.published:.0f} | {predicted:.0f} | {explained:.0f} | "
                    f"{explained / row.published - 1:+.1%} |"
                )
            else:
                errors.append(abs(error))
    print(f"\nMedian error {statistics.median(errors):.1%}, largest {max(errors):.1%}, {len(errors)} rows,")
    print(
        f"without the {len(left_over)} of the notebook. When they were found, before anything was changed because of"
    )
    print(f"them: median {statistics.median(blind):.1%}, largest {max(blind):.1%}, {len(blind)} rows.\n")
    print("| A100, SDXL, 4 pictures | published | predicted | with what the notebook held | error |")
    print("|---|---|---|---|---|")
    print("\n".join(left_over))


def _settings(changes: dict[str, str]) -> Settings:
    return Settings(**({"precision": "fp16"} | changes))  # type: ignore[arg-type]  # all of these are words


def _run(oracle: Oracle, row: Row, changes: dict[str, str]) -> Replay:
    settings = _settings(changes)
    ask = Ask(
        model=f"builtin:{row.model}",
        settings=settings,
        width=row.size,
        height=row.size,
        batch=row.batch,
        guidance=row.guidance,
    )
    return replay(oracle.ask(ask), settings.offload, row.capability)


def _figure(row: Row, run: Replay) -> int:
    if row.kind == "reserved":
        return run.peak_reserved
    if row.kind == "held":
        return run.stages[-1].weights_bytes + cublas_bytes(row.capability)
    return max(stage.peak_bytes for stage in run.stages if not row.denoiser_only or stage.name == "denoise")


def _after_compile(oracle: Oracle, row: Row, run: Replay) -> int:
    """The peak beside the compiled U-Net and its stream's cuBLAS workspace, which nothing freed.

    The peak is never below what was allocated when the notebook reset it; the last row was reset while the pipeline
    of the row before it was still on the card.
    """
    alone = next(stage for stage in _run(oracle, row, {"offload": "model"}).stages if stage.name == "denoise")
    held = alone.weights_bytes + cublas_bytes(row.capability)
    peak = _figure(row, run) + held
    if row.settings.get("vae_slicing") == "on" and "offload" in row.settings:
        before = _run(oracle, row, {"vae_slicing": "on"}).stages[0].weights_bytes + cublas_bytes(
            row.capability
        )
        peak = max(peak, before + held)
    return peak


if __name__ == "__main__":
    main()
