"""A contender of generation_speed.py: stable-diffusion.cpp through stable-diffusion-cpp-python.

Its weights are those of the built-in model, written once as a single file under the names of the original code, in
fp16, which it multiplies without unpacking. The stages' times are those that it logs. Stable Diffusion 1.x only:
``ldm_checkpoint`` knows those names. ``--library`` is the folder that holds the package ``stable_diffusion_cpp``.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed_runs import GUIDANCE, PROMPT, Run, serve

_TIMES = {
    "text": re.compile(r"get_learned_condition completed, taking ([\d.]+) ?(m?s)"),
    "denoise": re.compile(r"sampling completed, taking ([\d.]+) ?(m?s)"),
    "decode": re.compile(r"decode_first_stage completed, taking ([\d.]+) ?(m?s)"),
}


def checkpoint(model: str) -> Path:
    """The model's weights as one file, written where there is none yet."""
    import torch
    from ldm_checkpoint import ldm_tensors
    from safetensors.torch import save_file

    from tuner.models import resolve
    from tuner.worker.build import load_pipeline

    path = Path(tempfile.gettempdir()) / f"sdoctor-{model.replace(':', '-')}-{os.getuid()}.safetensors"
    if not path.exists():
        tensors = ldm_tensors(load_pipeline(resolve(model), torch.float16))
        fresh = path.with_suffix(".new")
        save_file({name: value.half().contiguous() for name, value in tensors.items()}, fresh)
        fresh.replace(path)
    return path


def make(options: argparse.Namespace) -> Callable[[], Run]:
    """Load the file; as many threads as there are cores, flash attention on as its manual advises."""
    path = checkpoint(options.model)
    sys.path.insert(0, options.library)
    import stable_diffusion_cpp as package
    from stable_diffusion_cpp import stable_diffusion_cpp as native

    lines: list[str] = []

    def log(_level: int, text: bytes, _data: Any) -> None:
        lines.append(text.decode("utf-8", "replace"))
        print(lines[-1], end="", file=sys.stderr, flush=True)

    callback = native.sd_log_callback(log)
    native.sd_set_log_callback(callback, ctypes.c_void_p(0))
    model = package.StableDiffusion(
        model_path=str(path),
        n_threads=len(os.sched_getaffinity(0)),
        vae_decode_only=True,
        diffusion_flash_attn=True,
        verbose=True,
    )
    native.sd_set_log_callback(callback, ctypes.c_void_p(0))

    def run() -> Run:
        lines.clear()
        began = time.perf_counter()
        model.generate_image(
            prompt=PROMPT,
            width=options.size,
            height=options.size,
            sample_steps=options.steps,
            sample_method="euler",
            cfg_scale=GUIDANCE,
            seed=0,
        )
        total = time.perf_counter() - began
        found = {name: _seconds(pattern, "".join(lines)) for name, pattern in _TIMES.items()}
        denoise = found["denoise"]
        # It tells the time of all steps only.
        steps = () if denoise is None else (denoise / options.steps,)
        return Run(total=total, text=found["text"], steps=steps, decode=found["decode"])

    # The callback must live as long as the library may call it.
    run.callback = callback  # type: ignore[attr-defined]
    return run


def _seconds(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return None if found is None else float(found[1]) * (0.001 if found[2] == "ms" else 1.0)


if __name__ == "__main__":
    serve(make)
