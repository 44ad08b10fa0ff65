"""The daemon under a real systemd user manager, in namespaces of its own (see benchmarks/under_systemd.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "under_systemd.py"


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", PROGRAM, *words], capture_output=True, text=True, timeout=250
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_install_reload_kill_next_session_uninstall():
    found = run("--fast")
    assert "runs anew after" in found
    assert found.count(" |\n") == 8  # the head and seven steps, none of which said no


@pytest.mark.slow
def test_the_watchdog_too():
    assert "stopped in its tracks: runs anew after" in run()
