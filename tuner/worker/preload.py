"""Imports the code of a model before its memory is counted: a hundred megabytes of Python is not the model's."""

from __future__ import annotations

import importlib

from tuner.models import ModelRef, component_names, read_index


def import_classes(ref: ModelRef) -> None:
    """Import the pipeline class and its components' classes, as far as the model's index names them.

    diffusers and transformers load a module when its class is first asked for. A name that they do not have
    is left for the loader, which says what is wrong.
    """
    import diffusers

    if ref.pipeline_class:
        getattr(diffusers, ref.pipeline_class, None)
    if ref.path is None or not ref.path.is_dir():
        return
    index = read_index(ref.path)
    for name in component_names(index):
        library, kind = index[name]
        if library in ("diffusers", "transformers"):
            getattr(importlib.import_module(library), kind, None)
