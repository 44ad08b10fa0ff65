"""Keeping: the gate of a study whose reference picture lies beside its journal, or nowhere for long."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.gate import Gate
from tuner.resuming import Notebook


@contextmanager
def gate_of(notebook: Notebook) -> Iterator[Gate]:
    """The gate of this study; a reference of an earlier one counts only for a study that goes on."""
    folder = notebook.pictures()
    if folder is not None:
        gate = Gate(folder)
        if not notebook.resumed_trials:
            gate.clear()
        yield gate
        return
    with tempfile.TemporaryDirectory(prefix="sdoctor-pictures-", ignore_cleanup_errors=True) as name:
        yield Gate(Path(name))
