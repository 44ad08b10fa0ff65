"""Loads pipelines that have weights: a folder, a single file, the hub's cache or the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch

from tuner.models import INDEX, LEFT_OUT, ModelRef, component_files, component_names, read_index


class LoadRefused(Exception):
    """The model cannot be loaded; the message is one sentence that says why and what to do."""


def load_folder(ref: ModelRef, folder: Path, dtype: torch.dtype, allow_pickle: bool) -> Any:
    """A diffusers folder, without the network and without code from the folder."""
    index = read_index(folder)
    options: dict[str, Any] = {name: None for name in LEFT_OUT if name in index}
    if "safety_checker" in index:
        options["requires_safety_checker"] = False
    if _only_fp16_files(folder, index):
        options["variant"] = "fp16"
    try:
        return diffusers.DiffusionPipeline.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=None if allow_pickle else True,
            **options,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise LoadRefused(f"'{ref.name}' cannot be loaded: {_first_line(error)}") from error


def _only_fp16_files(folder: Path, index: dict[str, Any]) -> bool:
    files = [file for name in component_names(index) for file in component_files(folder / name)]
    return bool(files) and all(".fp16." in file.name for file in files)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"


def load_file(ref: ModelRef, path: Path, dtype: torch.dtype, allow_pickle: bool) -> Any:
    """A single-file checkpoint."""
    raise LoadRefused("not yet")


def load_hub(ref: ModelRef, dtype: torch.dtype, allow_pickle: bool) -> Any:
    """A model on the hub."""
    raise LoadRefused("not yet")
