"""No garbage collection while libraries are imported: nothing of theirs is garbage, and looking for it takes long."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Import inside, while no pipeline is loaded: what is there afterwards is never looked at again.

    Importing torch, diffusers and a pipeline's classes makes so many objects that Python walks through all of them again
    and again: about 1 s of 6.5 s CPU time (`python -m benchmarks.worker_start`).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Out of the collector's sight (gc.freeze in Python's manual), so later collections are short as well.
        gc.freeze()
        if was_on:
            gc.enable()
