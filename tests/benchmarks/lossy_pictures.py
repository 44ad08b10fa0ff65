"""What the lossy settings cost in right pictures, and what they save in time, on the built-in model, which is trained.

    cd tests && python -m benchmarks.lossy_pictures [--prompts 100] [--steps 20]

Draws the same held-out prompts with the same seeds in every setting, by turns, and lets the judge of ``tiny_model`` say
how many are right. Prints Markdown: share of the time of a plain picture (median of the pictures' ratios), pictures for one
kind of shape whose colours and whose outline are right, and the PSNR against the plain picture (median).
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field

import numpy as np
from skimage.metrics import peak_signal_noise_ratio
from tiny_model.dataset import questions
from tiny_model.evaluate import draw, load
from tiny_model.judge import Verdict, judge

from tuner.knobs import apply_settings
from tuner.knobs.fewer_steps import steps_for
from tuner.models import recommended, resolve
from tuner.settings import Settings

VARIANTS = (
    Settings(),
    Settings(step_cache="deep-2"),
    Settings(step_cache="deep-3"),
    Settings(fewer_steps="three-quarters"),
    Settings(fewer_steps="half"),
    Settings(step_cache="deep-2", fewer_steps="half"),
)


@dataclass(slots=True)
class Taken:
    """What one setting drew."""

    shares: list[float] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    decibels: list[float] = field(default_factory=list)


def main() -> None:
    """Draw, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    guidance = recommended(resolve("builtin:tiny")).guidance
    asked = [question for question in questions(options.prompts) if question.scene.one_shape]
    taken = {settings: Taken() for settings in VARIANTS}
    pipes = {settings: load() for settings in VARIANTS}
    for settings, pipe in pipes.items():
        apply_settings(pipe, settings, "cpu")
        draw(pipe, "warm up", 0, 4)
    for question in asked:
        plain, plain_seconds = np.empty(0), 0.0
        for settings, pipe in pipes.items():
            began = time.perf_counter()
            drawn = draw(pipe, question.prompt, question.seed, steps_for(pipe, options.steps), guidance)
            seconds = time.perf_counter() - began
            if settings == Settings():
                plain, plain_seconds = drawn, seconds
            found = taken[settings]
            found.shares.append(seconds / plain_seconds)
            found.verdicts.append(judge(drawn, question.scene))
            if settings != Settings():
                found.decibels.append(float(peak_signal_noise_ratio(plain, drawn)))
    print(f"{len(asked)} prompts for one kind of shape, {options.steps} steps, guidance scale {guidance}\n")
    print("| settings | time | colours right | outline and colours right | PSNR, dB |\n|---|---|---|---|---|")
    for settings, found in taken.items():
        colours = sum(one.colours and one.background for one in found.verdicts)
        outlines = sum(one.shapes for one in found.verdicts)
        likeness = f"{statistics.median(found.decibels):.1f}" if found.decibels else "-"
        share = statistics.median(found.shares)
        print(f"| {settings.text()} | {share:.2f} | {colours} | {outlines} | {likeness} |")


if __name__ == "__main__":
    main()
