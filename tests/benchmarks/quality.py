"""What settings really do to the picture: PSNR and SSIM against diffusers' default (fp32), for several seeds.

    python -P tests/benchmarks/quality.py builtin:tiny 256 --steps 20 --seeds 3

Prints a Markdown table. Every figure comes from real generations in a worker, judged by the code that judges a study.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from tuner.gate import Gate
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings

VARIANTS: tuple[dict[str, str | int], ...] = (
    {"threads": 1},
    {"attention": "sliced"},
    {"memory_format": "channels_last"},
    {"vae_slicing": "on"},
    {"vae_tiling": "on"},
    {"precision": "bf16"},
    {"precision": "bf16", "memory_format": "channels_last"},
    {"precision": "bf16", "attention": "sliced"},
)


def main() -> None:
    """Generate, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("sizes", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="one of the settings, as the table names it")
    options = parser.parse_args()
    print("| settings | size | steps | seeds | PSNR dB, least | SSIM, least | verdicts |")
    print("|---|---|---|---|---|---|---|")
    variants = [Settings(**changes) for changes in VARIANTS]
    variants = [item for item in variants if options.only in (None, item.text())]
    for size in options.sizes:
        found: dict[Settings, list[Trial]] = {item: [] for item in variants}
        others: list[Trial] = []
        for seed in range(options.seeds):
            others.append(_judge(options.model, size, options.steps, seed, found))
        for settings, trials in found.items():
            print(_row(settings.text(), size, options.steps, trials), flush=True)
        print(_row("fp32, another seed (a wrong picture)", size, options.steps, others), flush=True)


def _judge(model: str, size: int, steps: int, seed: int, found: dict[Settings, list[Trial]]) -> Trial:
    """Run all settings with one seed; returns the run with another seed, judged against this one."""
    bench = Bench(model=model, device="cpu", budget=None, seed=seed)
    with tempfile.TemporaryDirectory() as folder, Lab(bench, gate=(gate := Gate(Path(folder)))) as lab:
        for settings in (Settings(), *found):
            probe = Probe(purpose=Purpose.FASTEST, settings=settings, width=size, height=size, steps=steps)
            trial = lab.run(probe)
            if settings in found:
                found[settings].append(trial)
        other = replace(bench, seed=seed + 1000)
        probe = Probe(purpose=Purpose.FASTEST, settings=Settings(), width=size, height=size, steps=steps)
        with Lab(other, gate=gate) as elsewhere:
            return elsewhere.run(probe)


def _row(name: str, size: int, steps: int, trials: list[Trial]) -> str:
    qualities = [trial.quality for trial in trials if trial.quality is not None]
    ratios = [quality.psnr_db for quality in qualities if quality.psnr_db is not None]
    likeness = [quality.ssim for quality in qualities if quality.ssim is not None]
    identical = qualities and all(quality.identical for quality in qualities)
    psnr = "identical" if identical else f"{min(ratios):.1f}" if ratios else "-"
    ssim = f"{min(likeness):.4f}" if likeness else "-"
    verdicts = ", ".join(
        sorted({quality.verdict.value for quality in qualities} or {trials[0].outcome.value})
    )
    return f"| {name} | {size} | {steps} | {len(trials)} | {psnr} | {ssim} | {verdicts} |"


if __name__ == "__main__":
    main()
