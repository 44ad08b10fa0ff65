"""Predicted peak memory beside published figures of real cards.

    python -P tests/benchmarks/predicted_vs_published.py

Prints the Markdown tables of docs/plan.md. "allocated" and "reserved" are torch's two figures, in MiB.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from doctor.sizes import MIB
from tuner.dryrun.client import Oracle
from tuner.dryrun.rows import Ask
from tuner.replay import Replay, replay
from tuner.settings import Settings
from tuner.workspaces import cublas_bytes

GTX1070, P100, A100, H100 = (6, 1), (6, 0), (8, 0), (9, 0)
# The safety checker that diffusers loads with SD 1.4 and that sdoctor leaves out: 303,966,208 weights in 16 bits.
CHECKER = 580
# T5's "wo" layers (24 of 10240 x 4096) were float32 beside bitsandbytes' weights in the transformers of that time
# (quantizer_bnb_4bit.py: use_keep_in_fp32_modules = True); today they stay in 16 bits.
T5_WO = 24 * 10240 * 4096 * 2 / MIB


@dataclass(frozen=True)
class Row:
    """One published figure, MiB."""

    card: str
    capability: tuple[int, int]
    model: str
    size: int
    published: float
    kind: str = "allocated"
    batch: int = 1
    extra: float = 0
    """What the source's set-up held beside what is predicted, known from its code."""
    settings: dict[str, str] = field(default_factory=dict)
    guidance: bool = True
    denoiser_only: bool = False
    """Whether the source ran the denoiser alone."""
    after_compile: bool = False
    """Whether the row was measured in a notebook after one that compiled the U-Net, see docs/plan.md."""


def _pascal(model: str, figures: tuple[float | None, ...], extra: int = 0) -> list[Row]:
    modes = ("none", "model", "sequential")
    return [
        Row("P100", P100, model, 512, figure, extra=extra, settings={"offload": mode})
        for mode, figure in zip(modes, figures, strict=True)
        if figure is not None
    ]


def _a100(gigabytes: float, *, after_compile: bool = False, **settings: str) -> Row:
    return Row(
        "A100 40GB", A100, "sdxl", 1024, gigabytes * 1024, batch=4, settings=settings, after_compile=after_compile
    )  # fmt: skip


def _flux(gigabytes: float, weights: str, extra: float = 0) -> Row:
    settings = {"precision": "bf16", "weights": weights}
    return Row("H100", H100, "flux", 1024, gigabytes * 1024, "reserved", extra=extra, settings=settings)


def _denoiser(model: str, gigabytes: float, **settings: str) -> Row:
    chosen = {"precision": "bf16", "offload": "model"} | settings
    return Row(
        "RTX 4090 or A100", A100, model, 1024, gigabytes * 1024, settings=chosen, guidance=False, denoiser_only=True
    )  # fmt: skip


ROWS = [
    *_pascal("sd15", (3519.1, 2707.8, 1463.6), CHECKER),
    *_pascal("sd21", (3361.6, 2138.6, 882.5)),
    *_pascal("sdxl", (7663.1, 5472.6, 777.3)),
    *_pascal("sdxl-turbo", (7663.2, 5452.2, 776.6)),
    *_pascal("sd35-medium", (None, 12352.5, 1323.0)),
    # PixArt-XL-2-512 and PixArt-Sigma are built alike.
    *_pascal("pixart-sigma", (13223.0, 11034.9, 890.5)),
    Row("GTX 1070", GTX1070, "sd35-large", 512, 1062.3, settings={"offload": "sequential"}, guidance=False),
    _a100(21.72),
    _a100(28.09, precision="fp32"),
    _a100(20.21, offload="model", after_compile=True),
    _a100(19.91, offload="sequential", after_compile=True),
    _a100(15.40, vae_slicing="on", after_compile=True),
    _a100(11.47, vae_slicing="on", offload="sequential", after_compile=True),
    Row("A100 80GB", A100, "sdxl", 1024, 16.827 * 1024, settings={"precision": "fp32"}),
    Row("A100 80GB", A100, "sdxl", 1024, 8.958 * 1024, settings={"precision": "bf16"}),
    _denoiser("flux", 22.61),
    _denoiser("flux", 6.70, weights="nf4"),
    _denoiser("flux", 0.53, offload="group"),
    _denoiser("sdxl", 5.05),
    _flux(36.166, "native"),
    _flux(17.281, "nf4", T5_WO),
    _flux(24.432, "int8", T5_WO),
    _flux(28.451, "fp8"),
    _flux(25.973, "q8_0"),
    _flux(21.326, "q4_1"),
    _flux(17.752, "q2_k"),
]


def main() -> None:
    """Predict every row and print it."""
    print("| card | model | size | batch | settings | published | predicted | error |")
    print("|---|---|---|---|---|---|---|---|")
    errors: list[float] = []
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
            print(f"{start} {row.kind} | {predicted:.0f} | {error:+.1%} |", flush=True)
            if row.after_compile:
                explained = _after_compile(oracle, row, run) / MIB
                left_over.append(
                    f"| {settings} | {row.published:.0f} | {predicted:.0f} | {explained:.0f} | "
                    f"{explained / row.published - 1:+.1%} |"
                )
            else:
                errors.append(abs(error))
    print(f"\nMedian error {statistics.median(errors):.1%}, largest {max(errors):.1%}, {len(errors)} rows,")
    print(f"without the {len(left_over)} of the notebook:\n")
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
