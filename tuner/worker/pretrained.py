"""Loads pipelines that have weights: a diffusers folder, a single file, a model of the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch

from doctor.trace import Outcome
from tuner.failures import outcome_of
from tuner.models import LEFT_OUT, ModelRef, component_names, read_index
from tuner.weightfiles import UnreadableWeights, component_files, pickles, read_header
from tuner.worker.ownership import own_weights

# What the libraries raise for a model that is not as it should be. Anything else passes through.
_MODEL_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError)
# The functions of diffusers that load one component; their argument ``name`` is the component's.
_SUB_MODEL_LOADERS = ("load_sub_model", "load_single_file_sub_model")


class LoadRefused(Exception):
    """The model cannot be loaded; the message is one sentence that says why and what to do."""


def load_folder(
    ref: ModelRef,
    folder: Path,
    dtype: torch.dtype,
    allow_pickle: bool,
    dtypes: Callable[[str], torch.dtype] | None = None,
) -> Any:
    """A diffusers folder, without the network and without running its code. Raises LoadRefused.

    ``dtypes`` gives another type than ``dtype`` for a component by its name.
    """
    index = read_index(folder)
    pipeline = str(index["_class_name"]).removeprefix("Flax")
    if not hasattr(diffusers, pipeline):
        raise LoadRefused(
            f"'{ref.name}' needs the pipeline {pipeline}, which diffusers {diffusers.__version__} does not "
            "have; another version of diffusers may."
        )
    _check_components(ref, folder, index, allow_pickle)
    options: dict[str, Any] = {name: None for name in LEFT_OUT if name in index}
    if "safety_checker" in index:
        options["requires_safety_checker"] = False
    if _only_fp16_files(folder, index):
        options["variant"] = "fp16"
    try:
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            folder,
            dtype=dtype if dtypes is None else _by_component(index, dtype, dtypes),
            local_files_only=True,
            use_safetensors=None if allow_pickle else True,
            **options,
        )
    except _MODEL_ERRORS as error:
        raise refusal(ref, error) from error
    own_weights(pipe)
    return pipe


def _by_component(
    index: Mapping[str, Any], dtype: torch.dtype, dtypes: Callable[[str], torch.dtype]
) -> torch.dtype | dict[str, torch.dtype]:
    """What diffusers takes: one type, or one for each component that has another."""
    others = {name: dtypes(name) for name in component_names(index) if dtypes(name) != dtype}
    return {"default": dtype, **others} if others else dtype


def _check_components(ref: ModelRef, folder: Path, index: Mapping[str, Any], allow_pickle: bool) -> None:
    """Name the component that is missing or damaged, before the libraries stumble over it."""
    for name in component_names(index):
        part = folder / name
        if not part.is_dir():
            raise LoadRefused(f"'{ref.name}' is incomplete: its {name} is missing.")
        files = component_files(part)
        if (
            not files
            and (part / "config.json").is_file()
            and not (allow_pickle and next(pickles(part), None))
        ):
            raise LoadRefused(
                f"'{ref.name}' is incomplete: its {name} has a configuration but no .safetensors weights."
            )
        for file in files:
            try:
                read_header(file)
            except UnreadableWeights as error:
                raise LoadRefused(
                    f"'{ref.name}' cannot be loaded: {file.name} of its {name} {error}."
                ) from error
            except OSError as error:
                raise LoadRefused(
                    f"'{ref.name}' is incomplete: {file.name} of its {name} cannot be read."
                ) from error


def _only_fp16_files(folder: Path, index: Mapping[str, Any]) -> bool:
    files = [file for name in component_names(index) for file in component_files(folder / name)]
    return bool(files) and all(".fp16." in file.name for file in files)


def refusal(ref: ModelRef, error: Exception) -> Exception:
    """What to raise for an error of the libraries: a LoadRefused, or the error itself if memory ran out."""
    if outcome_of(error) is Outcome.OUT_OF_MEMORY:
        return error
    text = str(error)
    if "mismatched_size" in text or "size mismatch" in text:
        reason = "its weights do not fit its configuration"
    else:
        lines = text.strip().splitlines()
        reason = (
            f"{type(error).__name__}: {lines[0].strip().rstrip('.')[:300] if lines else 'no reason given'}"
        )
    guilty = _component_of(error)
    return LoadRefused(
        f"'{ref.name}' cannot be loaded: {f'{guilty} failed' if guilty else 'it failed'} ({reason})."
    )


def _component_of(error: BaseException) -> str | None:
    """The component that diffusers was loading when it failed: its messages do not always say so."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name in _SUB_MODEL_LOADERS:
            name = trace.tb_frame.f_locals.get("name")
            return f"its {name}" if isinstance(name, str) else None
        trace = trace.tb_next
    return None
