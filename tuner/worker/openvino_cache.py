"""Compiled programs of OpenVINO on disk, so that a second process need not compile them again.

A program holds its weights, so the folder is bounded: the programs that were used longest ago go first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from doctor.paths import cache_dir

MOST_BYTES = 16 * 2**30
"""Size of the folder; a program of Stable Diffusion 1.5's U-Net in bf16 takes 1.6 GiB."""
MOST_OF_THE_DISK = 0.2
"""No more than this share of what is free on the disk when a program is saved."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A program read back."""

    compiled: Any
    out_spec: Any
    out_types: tuple[torch.dtype, ...]


@dataclass(frozen=True, slots=True)
class ProgramCache:
    """One folder of programs: ``KEY.blob`` beside ``KEY.json``."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def key(self, described: str, shapes: str, config: dict[str, str], weights: str) -> str:
        """Name of a program. Whatever changes it is in the name: model, weights, shapes, how it computes, versions."""
        versions = {name: version(name) for name in ("openvino", "torch", "diffusers", "transformers")}
        parts = json.dumps([described, shapes, config, weights, versions, _processor()], sort_keys=True)
        return hashlib.blake2b(parts.encode(), digest_size=20).hexdigest()

    def load(self, key: str, config: dict[str, str]) -> Kept | None:
        """The program of that name; None if there is none or it cannot be used here."""
        # Here, since that module knows this one.
        from tuner.worker.openvino import core

        blob, about = self.folder / f"{key}.blob", self.folder / f"{key}.json"
        try:
            told = json.loads(about.read_text("utf-8"))
            spec = pytree.treespec_loads(told["out_spec"])
            types = tuple(getattr(torch, name) for name in told["out_types"])
            with blob.open("rb") as file:
                compiled = core().import_model(file.read(), "CPU", config)
            # So that the folder knows what was used last.
            os.utime(blob)
        except FileNotFoundError:
            return None
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  (a torn or foreign file: it is made anew)
            self._remove(key)
            return None
        return Kept(compiled, spec, types)

    def save(self, key: str, compiled: Any, out_spec: Any, out_types: tuple[torch.dtype, ...]) -> None:
        """Keep a program. A disk that is full or read-only keeps nothing, and that is no fault."""
        try:
            told = {
                "out_spec": pytree.treespec_dumps(out_spec),
                "out_types": [str(kind).removeprefix("torch.") for kind in out_types],
            }
        except NotImplementedError:
            return  # a tree with a class of its own, which torch cannot write down
        # The copy that is written takes as much memory as the program; a budget may not have it.
        with contextlib.suppress(OSError, MemoryError):
            self.folder.mkdir(parents=True, exist_ok=True)
            blob = self.folder / f"{key}.blob"
            fresh = blob.with_suffix(f".{os.getpid()}.new")
            try:
                exported = compiled.export_model()
                size = len(exported.getbuffer()) if hasattr(exported, "getbuffer") else len(exported)
                if size > min(self.most_bytes, shutil.disk_usage(self.folder).free * MOST_OF_THE_DISK):
                    return
                self._make_room(size)
                with fresh.open("wb") as file:
                    file.write(exported.getbuffer() if hasattr(exported, "getbuffer") else exported)
                # The description first: a blob without one is never read.
                (self.folder / f"{key}.json").write_text(json.dumps(told), "utf-8")
                fresh.replace(blob)
            finally:
                fresh.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        held = sorted(self._blobs(), key=lambda blob: blob.stat().st_mtime)
        total = sum(blob.stat().st_size for blob in held)
        for blob in held:
            if total + size <= self.most_bytes:
                return
            total -= blob.stat().st_size
            self._remove(blob.stem)

    def _blobs(self) -> Iterator[Path]:
        return self.folder.glob("*.blob")

    def _remove(self, key: str) -> None:
        with contextlib.suppress(OSError):
            (self.folder / f"{key}.blob").unlink(missing_ok=True)
            (self.folder / f"{key}.json").unlink(missing_ok=True)


def default_cache() -> ProgramCache:
    """The user's own folder of programs."""
    return ProgramCache(cache_dir() / "openvino")


def digest_of_weights(module: torch.nn.Module) -> str:
    """A hash over every weight: a LoRA that was fused into a model makes another program of it."""
    digest = hashlib.blake2b(digest_size=20)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().contiguous().reshape(-1)
        if flat.numel():
            digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _processor() -> str:
    """What the CPU can do: programs are compiled for it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines():
            if line.startswith("flags"):
                return hashlib.blake2b(line.encode(), digest_size=8).hexdigest()
    return str(torch.backends.cpu.get_cpu_capability())
