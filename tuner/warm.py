"""Warm: keeps one worker with its loaded pipeline between two generations, so that a model is loaded once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import msgspec

from tuner.events import Load, Loaded
from tuner.knobs import needs_fresh_worker
from tuner.runner import Worker


@dataclass(frozen=True, slots=True)
class Kept:
    """A worker that waits, and what it holds."""

    worker: Worker
    load: Load
    loaded: Loaded


class Warm:
    """Of one place where generations run one after another. Holds at most one worker; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._closed = False

    @property
    def holds(self) -> str | None:
        """The model that is loaded and waits; None if nothing waits."""
        kept = self._kept
        return None if kept is None else kept.load.model

    def take(self, load: Load) -> Kept | None:
        """The worker that waits, if it can serve ``load``; one that cannot is ended, since its memory is needed."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is None:
            return None
        if kept.worker.usable and kept.worker.alive and _can_serve(kept.load, load):
            return kept
        kept.worker.close()
        return None

    def keep(self, worker: Worker, load: Load, loaded: Loaded) -> None:
        """Let ``worker`` wait for the next generation; one that must not be used again is ended."""
        with self._lock:
            if worker.usable and worker.alive and not self._closed and self._kept is None:
                self._kept = Kept(worker, load, loaded)
                return
        worker.close()

    def release(self) -> None:
        """End the worker that waits, which gives its memory back."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.worker.close()

    def close(self) -> None:
        """End the worker that waits, and keep none from now on."""
        self._closed = True
        self.release()


def _can_serve(kept: Load, wanted: Load) -> bool:
    """Whether a pipeline that was loaded for the one can be used for the other, at most with settings changed in place.

    The ceiling is for loading only; it follows what is free at the moment and says nothing about the pipeline.
    """
    like = msgspec.structs.replace(kept, settings=wanted.settings, ceiling=wanted.ceiling)
    return like == wanted and not needs_fresh_worker(kept.settings, wanted.settings)
