"""Loads the pipeline that a model reference means. The only place that does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tuner.models import ModelKind, ModelRef, has_weights
from tuner.settings import Settings
from tuner.worker.assemble import ComponentFailed, build_pipeline
from tuner.worker.describe import ComponentInfo, PipelineInfo, describe
from tuner.worker.hub import load_hub
from tuner.worker.noise import fill
from tuner.worker.pretrained import LoadRefused, load_folder

__all__ = [
    "ComponentInfo",
    "LoadRefused",
    "PipelineInfo",
    "describe",
    "dtypes_of",
    "load_pipeline",
    "torch_dtype",
]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def torch_dtype(precision: str) -> torch.dtype:
    """torch's type for the setting ``precision``. Raises LoadRefused for a name that is none."""
    if precision not in _DTYPES:
        raise LoadRefused(f"There is no precision '{precision}'; there are {', '.join(_DTYPES)}.")
    return _DTYPES[precision]


def dtypes_of(settings: Settings) -> Callable[[str], torch.dtype]:
    """torch's type for a component by its name. Raises LoadRefused for a precision that is none."""
    return lambda name: torch_dtype(settings.precision_of(name))


def load_pipeline(
    ref: ModelRef,
    dtype: torch.dtype,
    *,
    dtypes: Callable[[str], torch.dtype] | None = None,
    allow_pickle: bool = False,
) -> Any:
    """The pipeline on the CPU, its weights in ``dtype``, in evaluation mode, without a safety checker.

    ``dtypes`` gives another type for a component by its name; a single file is loaded in ``dtype`` throughout.

    A few modules stay in float32 at half precision where the library insists (``noise.fill`` names them).
    Raises LoadRefused with one sentence; torch's own errors for lack of memory pass through.
    """
    before = torch.get_default_dtype()
    try:
        if ref.path is None:
            return load_hub(ref, dtype, allow_pickle, dtypes)
        if ref.kind is ModelKind.FILE:
            # Its readers bring a second of imports that no other kind of model needs.
            from tuner.worker.singlefile import load_file

            return load_file(ref, ref.path, dtype)
        if ref.kind is ModelKind.BUILTIN and not has_weights(ref.path):
            return _random_pipeline(ref, ref.path, dtypes or (lambda _name: dtype))
        return load_folder(ref, ref.path, dtype, allow_pickle, dtypes)
    finally:
        # diffusers sets torch's default while it loads, and leaves it so where loading fails.
        torch.set_default_dtype(before)


def _random_pipeline(ref: ModelRef, folder: Path, dtypes: Callable[[str], torch.dtype]) -> Any:
    """The architecture with random weights; needs the memory of the weights and a block of noise."""

    def finish(name: str, model: Any) -> None:
        fill(model, f"{ref.name}/{name}", dtypes(name))
        cast_buffers(model, dtypes(name))

    try:
        return build_pipeline(folder, finish)
    except ComponentFailed as error:
        raise LoadRefused(f"{ref.name} cannot be built: {error}.") from error


def cast_buffers(model: Any, dtype: torch.dtype) -> None:
    """Tables that a checkpoint would hold take its precision; others stay as computed."""
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if (
                buffer is not None
                and buffer.is_floating_point()
                and name not in module._non_persistent_buffers_set
            ):
                module._buffers[name] = buffer.to(dtype)
