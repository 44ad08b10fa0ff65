"""Loads single-file checkpoints (the format of ComfyUI, A1111 and Forge) without needing the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.loaders import single_file_utils

from tuner.models import BUILTIN_ROOT, ModelRef, component_names, read_index
from tuner.weightfiles import PICKLE_SUFFIXES, read_header
from tuner.weightkinds import accessory_of, refusal_of
from tuner.worker.assemble import load_tokenizer
from tuner.worker.ownership import own_weights
from tuner.worker.pretrained import LoadRefused, refusal

# diffusers' name for the kind of checkpoint -> the builtin whose configuration fits it.
_BUILTIN_FOR = {
    "v1": "sd15",
    "v2": "sd21",
    "xl_base": "sdxl",
    "sd3": "sd3-medium",
    "sd35_large": "sd35-large",
    "flux-dev": "flux",
    "flux-schnell": "flux-schnell",
}
# CLIP knows 49408 tokens, T5 32100.
_SMALLEST_VOCABULARY = 10_000
_MISSING = re.compile(r"^(\w+) = \w+\.from_pretrained", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Stands for a tensor where only its shape is asked for."""

    shape: tuple[int, ...]


def load_file(ref: ModelRef, path: Path, dtype: torch.dtype) -> Any:
    """A single-file checkpoint. Raises LoadRefused.

    The kind is recognised by diffusers, the configuration is the builtin one of that kind. The file holds no
    vocabulary: it is taken from the hub (its cache first); where that cannot be reached the shared one
    serves, and ``describe`` says that prompts are not understood.
    """
    kind = _checkpoint_kind(ref, path)
    if kind not in _BUILTIN_FOR:
        hub = single_file_utils.DIFFUSERS_DEFAULT_PIPELINE_PATHS.get(kind, {}).get(
            "pretrained_model_name_or_path"
        )
        instead = f", for example {hub}" if hub else ""
        raise LoadRefused(
            f"'{ref.name}' is a checkpoint of the kind '{kind}', which sdoctor cannot load from a single "
            f"file; use its diffusers folder or hub id{instead}."
        )
    source = single_file_utils.DIFFUSERS_DEFAULT_PIPELINE_PATHS[kind]["pretrained_model_name_or_path"]
    return load_checkpoint(ref, path, BUILTIN_ROOT / _BUILTIN_FOR[kind], dtype, vocabulary=source)


def load_checkpoint(
    ref: ModelRef, path: Path, config: Path, dtype: torch.dtype, vocabulary: str | None
) -> Any:
    """A checkpoint that fits the configuration in ``config``; ``vocabulary`` is a hub id or None."""
    index = read_index(config)
    tokenizers = {
        name: _tokenizer(config / name, name, getattr(transformers, index[name][1]), vocabulary)
        for name in component_names(index)
        if name.startswith("tokenizer")
    }
    pipeline_class = getattr(diffusers, index["_class_name"])
    try:
        pipe = pipeline_class.from_single_file(
            str(path), config=str(config), dtype=dtype, local_files_only=True, **tokenizers
        )
    except single_file_utils.SingleFileComponentError as error:
        missing = _MISSING.search(str(error))
        part = missing[1] if missing else "text encoder or VAE"
        raise LoadRefused(
            f"'{ref.name}' holds only a part of a pipeline: its {part} is missing; use a "
            "checkpoint that holds everything, or the diffusers folder."
        ) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError) as error:
        raise refusal(ref, error) from error
    own_weights(pipe)
    return pipe


def _checkpoint_kind(ref: ModelRef, path: Path) -> str:
    """diffusers' name for what the file holds. Raises LoadRefused if it is no pipeline at all."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        # weights_only: torch's restricted reader, which runs no code of the file's.
        tensors: dict[str, Any] = single_file_utils.load_single_file_checkpoint(str(path))
    else:
        tensors = {name: _Shape(tensor.shape) for name, tensor in read_header(path).items()}
    kind: str = single_file_utils.infer_diffusers_model_type(tensors)
    accessory = accessory_of({name: tuple(getattr(item, "shape", ())) for name, item in tensors.items()})
    if accessory is not None:
        raise LoadRefused(refusal_of(ref.name, accessory))
    # "v1" is also the answer for whatever diffusers does not know.
    if kind == "v1" and single_file_utils.CHECKPOINT_KEY_NAMES["v1"] not in tensors:
        raise LoadRefused(
            f"'{ref.name}' is not a pipeline, and what it is its names do not tell; "
            "give the checkpoint of a text-to-image model."
        )
    return kind


def _tokenizer(folder: Path, name: str, kind: Any, vocabulary: str | None) -> Any:
    """The published tokenizer if the hub's cache or the hub has it, else the shared one."""
    for offline in (True, False) if vocabulary else ():
        try:
            tokenizer = kind.from_pretrained(vocabulary, subfolder=name, local_files_only=offline)
        except (OSError, ValueError, TypeError, ImportError):
            continue
        # transformers 5 makes a tokenizer of the special tokens alone where it finds no vocabulary.
        if len(tokenizer) >= _SMALLEST_VOCABULARY:
            return tokenizer
    return load_tokenizer(folder, kind)
