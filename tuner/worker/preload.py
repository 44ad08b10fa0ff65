"""Imports the code of a model before its memory is counted: a hundred megabytes of Python is not the model's."""

from __future__ import annotations

import importlib

from tuner.models import ModelKind, ModelRef, component_names, read_index
from tuner.settings import Settings


def import_classes(ref: ModelRef, settings: Settings) -> None:
    """Import the pipeline class and its components' classes, as far as the model's index names them.

    diffusers and transformers load a module when its class is first asked for. A name that they do not have
    is left for the loader, which says what is wrong.
    """
    import diffusers

    if settings.weights == "native" and not _may_be_quantised(ref):
        leave_bitsandbytes_out()
    if ref.pipeline_class:
        getattr(diffusers, ref.pipeline_class, None)
    if ref.kind is ModelKind.FILE:
        importlib.import_module("tuner.worker.singlefile")
    if ref.path is None or not ref.path.is_dir():
        return
    index = read_index(ref.path)
    for name in component_names(index):
        library, kind = index[name]
        if library in ("diffusers", "transformers"):
            getattr(importlib.import_module(library), kind, None)


def leave_bitsandbytes_out() -> None:
    """Keep diffusers from importing bitsandbytes, in a process that quantises nothing.

    Where it is installed, the first class of a model imports it, and it imports torch's compiler: 1.4 of the 8 s that a
    worker takes to start, and 44 MB (diffusers 0.42.1, quantizers/bitsandbytes/utils.py). Our own `weights` import it by
    themselves. Nothing is done if diffusers keeps its knowledge elsewhere.
    """
    from diffusers.utils import import_utils

    if getattr(import_utils, "_bitsandbytes_available", False):
        import_utils._bitsandbytes_available = False


def _may_be_quantised(ref: ModelRef) -> bool:
    """Whether the files' own weights may be in bitsandbytes' types. True where they cannot be looked at before loading."""
    if ref.path is None or not ref.path.is_dir():
        return True
    return any(
        "quantization_config" in config.read_text(encoding="utf-8", errors="replace")
        for config in ref.path.glob("*/config.json")
    )
