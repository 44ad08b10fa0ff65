"""Faults for the real worker: Python imports this at start when its folder is on PYTHONPATH.

FAULTS names a folder with a file ``plan`` of lines "act phase". The first worker of a study is left alone, each later
one takes the next line: when that phase begins, the act is done to it. Other programs are left alone.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path

_MODULE = "tuner.worker.session"


def _act(name: str) -> None:
    import signal

    if name == "oom":
        import torch

        torch.empty(1 << 46, dtype=torch.uint8)  # 64 TiB: torch's own error for memory that is not there
    elif name == "hang":
        signal.pause()
    else:
        os.kill(os.getpid(), getattr(signal, name))


def _take(folder: Path) -> tuple[str, str] | None:
    """This worker's line of the plan; a line is taken once (making a file fails where there is one)."""
    lines = ["none none", *(folder / "plan").read_text().splitlines()]
    for number, line in enumerate(lines):
        try:
            (folder / f"taken-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        act, phase = line.split()
        return act, phase
    return None


def _harm(session: type) -> None:
    fault = _take(Path(os.environ["FAULTS"]))
    if fault is None:
        return
    act, phase_name = fault
    begin = session.begin

    def harmed(self: object, phase: object) -> None:
        begin(self, phase)
        if phase == phase_name:
            _act(act)

    session.begin = harmed


class _Finder(importlib.abc.MetaPathFinder):
    """Harms the module's class right after it was loaded."""

    def find_spec(self, name: str, path: object, target: object = None) -> object:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def harming(module: object) -> None:
            execute(module)
            _harm(module.Session)

        spec.loader.exec_module = harming
        return spec


if "FAULTS" in os.environ and "tuner.worker" in sys.orig_argv:
    sys.meta_path.insert(0, _Finder())
