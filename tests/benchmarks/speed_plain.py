"""A contender of generation_speed.py: a diffusers pipeline as it comes, no setting touched, no sdoctor around it."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

from benchmarks.speed_runs import GUIDANCE, PROMPT, Run, serve


def make(
    options: argparse.Namespace, change: Callable[[Any], None] = lambda _pipe: None
) -> Callable[[], Run]:
    """Load the model, and ``change`` it; sdoctor's loader is used for its built-in random weights only."""
    import torch

    from tuner.models import resolve
    from tuner.worker.build import load_pipeline, torch_dtype

    pipe = load_pipeline(resolve(options.model), torch_dtype(options.weights))
    pipe.set_progress_bar_config(disable=True)
    change(pipe)
    decode = pipe.vae.decode
    marks: dict[str, Any] = {}

    def decoding(*args: Any, **kwargs: Any) -> Any:
        marks["decode"] = time.perf_counter()
        return decode(*args, **kwargs)

    pipe.vae.decode = decoding
    encode = pipe.encode_prompt

    def encoding(*args: Any, **kwargs: Any) -> Any:
        result = encode(*args, **kwargs)
        marks["steps"] = [time.perf_counter()]
        return result

    pipe.encode_prompt = encoding

    def stepped(_pipe: Any, _index: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        marks["steps"].append(time.perf_counter())
        return values

    def run() -> Run:
        began = time.perf_counter()
        pipe(
            PROMPT,
            width=options.size,
            height=options.size,
            num_inference_steps=options.steps,
            guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(0),
            callback_on_step_end=stepped,
        )
        ended = time.perf_counter()
        ends = marks["steps"]
        return Run(
            total=ended - began,
            text=ends[0] - began,
            steps=tuple(later - earlier for earlier, later in itertools.pairwise(ends)),
            decode=ended - marks["decode"],
        )

    return run


if __name__ == "__main__":
    serve(make)
