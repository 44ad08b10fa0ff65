"""Faults for the real worker: Python imports this at start when its folder is on PYTHONPATH.

FAULTS names a folder with a file ``plan``: its first line is the picture's side that is left alone (the study needs one
run that works), the others are "act phase". Each worker takes the next line when it draws a picture of another size, or
when it loads, if that is the phase and another worker came before it: when the phase begins, the act is done to it.
Whatever settings a study tries on this machine, its search for the largest picture leads there. Other programs are left
alone.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable
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


def _next_line(folder: Path) -> tuple[int, str, str] | None:
    """The first line of the plan that no worker has taken."""
    for number, line in enumerate((folder / "plan").read_text().splitlines()[1:]):
        if not (folder / f"taken-{number}").exists():
            act, phase = line.split()
            return number, act, phase
    return None


def _harm(session: type) -> None:
    folder = Path(os.environ["FAULTS"])
    alone = int((folder / "plan").read_text().splitlines()[0])
    load, generate, begin = session.load, session.generate, session.begin
    due: list[tuple[str, str]] = []

    def take(wanted: Callable[[str], bool]) -> None:
        line = _next_line(folder)
        if line is not None and wanted(line[2]):
            (folder / f"taken-{line[0]}").touch(exist_ok=False)
            due[:] = [(line[1], line[2])]

    def harmed_load(self: object, command: object) -> None:
        if (folder / "a-worker-came-before").exists():
            take(lambda phase: phase == "load")
        (folder / "a-worker-came-before").touch()
        load(self, command)

    def harmed_generate(self: object, command: object) -> None:
        if command.request.width != alone and not due:
            take(lambda phase: phase != "load")
        generate(self, command)

    def harmed_begin(self: object, phase: object) -> None:
        begin(self, phase)
        if due and phase == due[0][1]:
            _act(due[0][0])

    session.load, session.generate, session.begin = harmed_load, harmed_generate, harmed_begin


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
