"""What the contenders of generation_speed.py share: one picture's times, and the two ends of a contender's pipe.

A contender is a module with ``make(options) -> Callable[[], Run]``; ``serve`` runs it once for each line that it is sent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROMPT = "a red circle on a white table"
GUIDANCE = 7.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One picture. Seconds; a stage that the contender does not report is None."""

    total: float
    text: float | None = None
    steps: tuple[float, ...] = ()
    decode: float | None = None

    @property
    def step(self) -> float | None:
        """The middle step: the first one may wait for pages."""
        return statistics.median(self.steps) if self.steps else None


def contender_options() -> argparse.Namespace:
    """What the one who starts a contender tells it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--weights", default="fp32", help="number format that the models are read in")
    parser.add_argument(
        "--library", default="", help="path of a shared library or package, where one is needed"
    )
    return parser.parse_args()


def serve(make: Callable[[argparse.Namespace], Callable[[], Run]]) -> None:
    """Make the contender, then answer each line of standard input with one Run as JSON."""
    # Libraries print as they like; the answers have the real standard output to themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    began = time.perf_counter()
    run = make(contender_options())
    print(json.dumps({"ready": time.perf_counter() - began}), file=answers, flush=True)
    for _line in sys.stdin:
        print(json.dumps(asdict(run())), file=answers, flush=True)


class Contender:
    """A contender in its own process, started at the first run and ended by ``close``."""

    def __init__(
        self, module: str, arguments: list[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self._environment = os.environ | (environment or {})
        self._command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *arguments]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> Run:
        """One picture; the first of a process is thrown away. Raises SystemExit with the log's end if it dies."""
        if self._process is None:
            with self._log.open("w") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    cwd=Path(__file__).parents[1],
                    env=self._environment,
                )
            self._answer()
            self._once()
        return self._once()

    def _once(self) -> Run:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        told = self._answer()
        return Run(**(told | {"steps": tuple(told["steps"])}))

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._command)} ended:\n{self._log.read_text()[-2000:]}")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process and give its memory back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
