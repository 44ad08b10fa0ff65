"""Reads what weight files say about themselves, without torch: names, shapes and types."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

# Formats that are unpickled when read: opening one runs whatever code it carries.
PICKLE_SUFFIXES = (".ckpt", ".bin", ".pt", ".pth", ".pkl")

# Width of one stored element; https://github.com/huggingface/safetensors#format names the types.
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_FLOATS = ("F64", "F32", "F16", "BF16")
_PRECISION_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
# The format's own limit for the header, so that a damaged length field does not read the whole disk.
_MAX_HEADER = 100_000_000
# How a pointer file begins, https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
_POINTER = b"version "
LFS_POINTER = "is a Git LFS pointer, not the weights; run `git lfs pull` in its folder"
# What is left of the eight bytes that would be a header's length.
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a safetensors file: type as the file names it ("BF16"), shape, bytes on disk."""

    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int


class UnreadableWeights(Exception):
    """Not a safetensors file, or not all of one; the message is the rest of a sentence about it."""


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file by name, from its header. Raises UnreadableWeights, OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start == _POINTER:
            raise UnreadableWeights(LFS_POINTER)
        if _WEB_PAGE.match(start + file.read(64)):
            raise UnreadableWeights(
                "is a web page, not the weights: the site asks for a login or has moved the file; "
                "download it in a browser, or with its own tool"
            )
        if len(start) < 8 or not 2 <= length <= _MAX_HEADER or 8 + length > size:
            raise UnreadableWeights("is not a complete safetensors file; download it again")
        file.seek(8)
        text = file.read(length)
    try:
        header = msgspec.json.decode(text)
        tensors = {
            name: StoredTensor(
                entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0]
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
        end = max(
            (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
        )
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise UnreadableWeights("is not a complete safetensors file; download it again") from error
    if 8 + length + end > size:
        raise UnreadableWeights("is cut off before its end; download it again")
    return tensors


def is_pointer(path: Path) -> bool:
    """Whether a weight file of any format is only a Git LFS pointer. False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def memory_bytes(tensors: Iterable[StoredTensor], precision: str | None) -> int:
    """Bytes of the tensors once loaded: floating ones in ``precision`` (None: as stored)."""
    width = None if precision is None else _PRECISION_BYTES.get(precision)
    total = 0
    for tensor in tensors:
        if width is not None and tensor.dtype in _FLOATS:
            total += math.prod(tensor.shape) * width
        elif tensor.dtype in _BYTES:
            total += math.prod(tensor.shape) * _BYTES[tensor.dtype]
        else:
            total += tensor.stored_bytes
    return total


def component_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that one component of a pipeline is loaded from; () if it has none.

    The plain file, else the shards that its index names, else the same of the variant "fp16": the order in
    which diffusers and transformers look.
    """
    for variant in ("", ".fp16"):
        for stem in ("diffusion_pytorch_model", "model"):
            whole = folder / f"{stem}{variant}.safetensors"
            if whole.is_file():
                return (whole,)
            shards = _shards(folder, stem, variant)
            if shards:
                return shards
    return ()


def _shards(folder: Path, stem: str, variant: str) -> tuple[Path, ...]:
    """The files that a shard index names; the libraries write the variant in different places."""
    for name in (f"{stem}.safetensors.index{variant}.json", f"{stem}{variant}.safetensors.index.json"):
        index = folder / name
        if not index.is_file():
            continue
        try:
            files = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            return ()
        return tuple(sorted(folder / Path(file).name for file in files))
    return ()


def pickles(folder: Path) -> Iterator[Path]:
    """Weight files in ``folder`` that can only be unpickled."""
    return (path for path in sorted(folder.glob("*")) if path.suffix in PICKLE_SUFFIXES and path.is_file())
