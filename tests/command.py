"""Runs the real `sdoctor` in a process of its own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def sdoctor(*arguments: str, home: Path, cwd: Path | None = None, timeout: float = 280, **environment: str):
    """The completed process of ``sdoctor ARGUMENTS`` with its state under ``home``."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("sdoctor")), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd or home,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SDOCTOR_HOME": str(home), "NO_COLOR": "1", **environment},
    )


def sentence_of(done) -> str:
    """The one line on standard error of a failed command; fails if there is a traceback or more than the talk."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("sdoctor: ")]
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("sdoctor: ")
