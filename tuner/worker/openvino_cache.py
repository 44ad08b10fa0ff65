"""Converted models of OpenVINO on disk: a second process need not convert them again, and none holds them in memory.

A converted model is two files, ``KEY.xml`` and the weights in ``KEY.bin``, which OpenVINO maps instead of reading, and a
description ``KEY.json``. PyTorch's own parameters are made to lie in the same mapping: what nobody computes with takes
no memory. The folder is bounded: the models that were used longest ago go first.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import mmap
import os
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch.utils import _pytree as pytree

from doctor.paths import cache_dir, nearest_existing
from doctor.sizes import gib
from tuner.worker.openvino_library import core, openvino

MOST_BYTES = 32 * 2**30
"""Size of the folder; Stable Diffusion 1.5's U-Net in fp32 takes 3.2 GiB for each size of picture."""
MOST_OF_THE_DISK = 0.2
"""No more than this share of what is free on the disk when a model is saved."""
_SUFFIXES = (".bin", ".xml", ".json")
_MAPS = Path("/proc/self/maps")
_FORGET_SECONDS = 0.1
"""Compiling reads a gigabyte a second here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a parameter lies among the weights. Bytes."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A module as OpenVINO has it, before it is compiled."""

    model: Any
    """OpenVINO's Model."""
    out_spec: Any
    """torch's tree of the result."""
    out_types: tuple[torch.dtype, ...]
    weights: Path | None = None
    """The file that its constants are mapped from; None where they are PyTorch's own parameters."""
    places: dict[str, Place] = field(default_factory=dict)
    """Where the module's parameters and buffers lie in that file, by their names."""

    def share(self, module: torch.nn.Module) -> None:
        """Let the module's parameters lie in the mapped file too; they can be read and not written."""
        if self.weights is None:
            return
        with self.weights.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            place = self.places.get(name)
            if place is None or place.shape != tuple(tensor.shape) or place.dtype != _name(tensor.dtype):
                continue
            with warnings.catch_warnings():
                # torch would rather have memory that it may write; nothing does once a pipeline is set up.
                warnings.simplefilter("ignore", UserWarning)
                view = torch.frombuffer(mapped, dtype=tensor.dtype, count=tensor.numel(), offset=place.offset)
            tensor.data = view.view(place.shape)


@dataclass(frozen=True, slots=True)
class ModelCache:
    """One folder of converted models."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def key(self, described: str, shapes: str, weights: str) -> str:
        """Name of a model. Whatever changes it is in the name: layers, weights, shapes, versions."""
        versions = {name: version(name) for name in ("openvino", "torch", "diffusers", "transformers")}
        parts = json.dumps([described, shapes, weights, versions], sort_keys=True)
        return hashlib.blake2b(parts.encode(), digest_size=20).hexdigest()

    def load(self, key: str) -> Converted | None:
        """The model of that name; None if there is none or it cannot be used here."""
        weights = self.folder / f"{key}.bin"
        try:
            told = json.loads((self.folder / f"{key}.json").read_text("utf-8"))
            if weights.stat().st_size != told["weights_bytes"]:
                raise ValueError("the weights are cut off")
            kept = Converted(
                model=core().read_model(self.folder / f"{key}.xml"),
                weights=weights,
                out_spec=pytree.treespec_loads(told["out_spec"]),
                out_types=tuple(getattr(torch, name) for name in told["out_types"]),
                places={
                    name: Place(offset=offset, shape=tuple(shape), dtype=dtype)
                    for name, (offset, shape, dtype) in told["places"].items()
                },
            )
            # So that the folder knows what was used last.
            os.utime(weights)
        except FileNotFoundError:
            return None
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  (a torn or foreign file: it is made anew)
            self._remove(key)
            return None
        return kept

    def save(self, key: str, converted: Converted, module: torch.nn.Module) -> bool:
        """Keep a model for which there is room (``why_not``); whether it was.

        A disk that is full or read-only keeps nothing, and that is no fault.
        """
        try:
            spec = pytree.treespec_dumps(converted.out_spec)
        except NotImplementedError:
            return False  # a tree with a class of its own, which torch cannot write down
        names = _names_of_constants(converted.model, module)
        fresh = self.folder / f"{key}.{os.getpid()}.new.xml"
        weights = fresh.with_suffix(".bin")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(bytes_of(module))
            openvino().save_model(converted.model, fresh, compress_to_fp16=False)
            told = {
                "out_spec": spec,
                "out_types": [_name(kind) for kind in converted.out_types],
                "weights_bytes": weights.stat().st_size,
                "places": _places(fresh, names, module),
            }
            weights.replace(self.folder / f"{key}.bin")
            fresh.replace(self.folder / f"{key}.xml")
            # The description last: without one the others are never read.
            (self.folder / f"{key}.json").write_text(json.dumps(told), "utf-8")
        except (OSError, RuntimeError):
            return False
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
                weights.unlink(missing_ok=True)
        return True

    def why_not(self, module: torch.nn.Module) -> str | None:
        """Why a model of that size is not kept, as the rest of a sentence; None if there is room for it."""
        size = bytes_of(module)
        if size > self.most_bytes:
            return (
                f"{gib(size)} are more than the folder of converted models may hold ({gib(self.most_bytes)})"
            )
        free = _free_bytes(self.folder)
        if free is not None and size > free * MOST_OF_THE_DISK:
            share = f"{MOST_OF_THE_DISK:.0%}"
            return f"{gib(size)} are more than {share} of what is free on the disk ({gib(free)} in {self.folder})"
        return None

    def _make_room(self, size: int) -> None:
        held = sorted(self.folder.glob("*.bin"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in held)
        for path in held:
            if total + size <= self.most_bytes:
                break
            total -= path.stat().st_size
            self._remove(path.stem)
        # Programs of versions of sdoctor that kept them compiled.
        for path in self.folder.glob("*.blob"):
            path.unlink(missing_ok=True)

    def _remove(self, key: str) -> None:
        for suffix in _SUFFIXES:
            with contextlib.suppress(OSError):
                (self.folder / f"{key}{suffix}").unlink(missing_ok=True)


def default_cache() -> ModelCache:
    """The user's own folder of converted models."""
    return ModelCache(cache_dir() / "openvino")


def bytes_of(module: torch.nn.Module) -> int:
    """Of all that a module holds, parameters and buffers."""
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def _free_bytes(folder: Path) -> int | None:
    """Of the disk that a folder is on, or would be; None if that cannot be told."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(nearest_existing(folder)).free
    return None


def digest_of_weights(module: torch.nn.Module) -> str:
    """A hash over every weight: a LoRA that was fused into a model makes another program of it."""
    digest = hashlib.blake2b(digest_size=20)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().contiguous().reshape(-1)
        if flat.numel():
            digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def forget_mapped(path: Path) -> None:
    """Take the pages of a mapped file out of this process; they come back from the system's cache when they are read.

    madvise(2), MADV_DONTNEED on a mapping that is only read loses nothing. Elsewhere than on Linux nothing is done.
    """
    madvise = getattr(mmap, "MADV_DONTNEED", None)
    if madvise is None or not _MAPS.exists():
        return
    library = ctypes.CDLL(None)
    for line in _MAPS.read_text().splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5] == str(path) and "w" not in parts[1]:
            first, last = (int(address, 16) for address in parts[0].split("-"))
            library.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), madvise)


@contextmanager
def forgetting(path: Path | None, every: float = _FORGET_SECONDS) -> Iterator[None]:
    """Within: take the file's pages out of this process again and again, so that its memory does not seem to hold them.

    Compiling reads all weights of a model once, 3.2 GiB of SD 1.5's U-Net, and the kernel's high-water mark would count
    them beside the copy that is made of them. ``every`` in seconds; nothing is done without a file.
    """
    if path is None:
        yield
        return
    over = threading.Event()

    def forget() -> None:
        while not over.wait(every):
            forget_mapped(path)

    thread = threading.Thread(target=forget, name="forget-mapped", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        forget_mapped(path)


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


def _names_of_constants(model: Any, module: torch.nn.Module) -> dict[str, list[str]]:
    """The names of the module's parameters by the constant of the model that lies where they lie."""
    by_address: dict[int, list[str]] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_contiguous():
            by_address.setdefault(tensor.data_ptr(), []).append(name)
    found: dict[str, list[str]] = {}
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            names = by_address.get(node.data.ctypes.data)
            if names is not None:
                found[node.get_friendly_name()] = names
    return found


def _places(
    description: Path, names: dict[str, list[str]], module: torch.nn.Module
) -> dict[str, tuple[int, tuple[int, ...], str]]:
    """Where those constants lie in the file of the weights, read from the description that OpenVINO wrote."""
    tensors = dict((*module.named_parameters(), *module.named_buffers()))
    found: dict[str, tuple[int, tuple[int, ...], str]] = {}
    for layer in ElementTree.parse(description).getroot().iter("layer"):
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        for name in names.get(layer.get("name", ""), ()):
            offset, size = int(data.get("offset", -1)), int(data.get("size", -1))
            if size == tensors[name].nbytes and offset % tensors[name].itemsize == 0:
                found[name] = offset, tuple(tensors[name].shape), _name(tensors[name].dtype)
    return found


def described(module: torch.nn.Module) -> str:
    """The layers with their parameters, and the configuration without what is only noted in it (paths, defaults)."""
    config: Any = getattr(module, "config", None)
    values = config.to_dict() if hasattr(config, "to_dict") else dict(config or {})
    return repr((module, sorted((name, repr(values[name])) for name in values if not name.startswith("_"))))
