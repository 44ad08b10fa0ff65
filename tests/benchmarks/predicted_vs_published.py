"""Predicted peak memory beside published figures of real cards.

    python -P tests/benchmarks/predicted_vs_published.py

Prints the Markdown table of docs/plan.md. "allocated" and "reserved" are torch's two figures, in MiB.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from doctor.sizes import MIB
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.replay import replay
from tuner.settings import Settings

P100, A100, H100 = (6, 0), (8, 0), (9, 0)
# The safety checker that diffusers loads with SD 1.4 and that sdoctor leaves out: 303,966,208 weights in 16 bits.
CHECKER = 580


@dataclass(frozen=True)
class Row:
    """One published figure."""

    card: str
    capability: tuple[int, int]
    model: str
    size: int
    published: float
    kind: str = "allocated"
    batch: int = 1
    extra: int = 0
    settings: dict[str, str] = field(default_factory=dict)


def _p100(model: str, figures: tuple[float | None, ...], extra: int = 0) -> list[Row]:
    modes = ("none", "model", "sequential")
    return [
        Row("P100", P100, model, 512, figure, extra=extra, settings={"offload": mode})
        for mode, figure in zip(modes, figures, strict=True)
        if figure is not None
    ]


def _a100(gigabytes: float, **settings: str) -> Row:
    return Row("A100 40GB", A100, "sdxl", 1024, gigabytes * 1024, batch=4, settings=settings)


ROWS = [
    *_p100("sd15", (3519.1, 2707.8, 1463.6), CHECKER),
    *_p100("sd21", (3361.6, 2138.6, 882.5)),
    *_p100("sdxl", (7663.1, 5472.6, 777.3)),
    *_p100("sdxl-turbo", (7663.2, 5452.2, 776.6)),
    *_p100("sd35-medium", (None, 12352.5, 1323.0)),
    _a100(21.72),
    _a100(28.09, precision="fp32"),
    _a100(20.21, offload="model"),
    _a100(19.91, offload="sequential"),
    _a100(15.40, vae_slicing="on"),
    _a100(11.47, vae_slicing="on", offload="sequential"),
    Row("H100", H100, "flux", 1024, 36.166 * 1024, "reserved", settings={"precision": "bf16"}),
]


def main() -> None:
    """Predict every row and print it."""
    print("| card | model | size | batch | settings | published | predicted | error |")
    print("|---|---|---|---|---|---|---|---|")
    errors = []
    with Oracle() as oracle:
        for row in ROWS:
            settings = Settings(**({"precision": "fp16"} | row.settings))
            ask = Ask(
                model=f"builtin:{row.model}",
                settings=settings,
                width=row.size,
                height=row.size,
                batch=row.batch,
            )
            run = replay(oracle.ask(ask), settings.offload, row.capability)
            allocated = max(stage.peak_bytes for stage in run.stages)
            predicted = (run.peak_reserved if row.kind == "reserved" else allocated) / MIB + row.extra
            error = predicted / row.published - 1
            errors.append(abs(error))
            print(
                f"| {row.card} | {row.model} | {row.size} | {row.batch} | {settings.text()} | "
                f"{row.published:.0f} {row.kind} | {predicted:.0f} | {error:+.1%} |",
                flush=True,
            )
    print(f"\nMedian error {statistics.median(errors):.1%}, largest {max(errors):.1%}, {len(errors)} rows.")


if __name__ == "__main__":
    main()
