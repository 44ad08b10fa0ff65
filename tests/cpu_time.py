"""CPU time of whole processes: user and system time, which neighbours on the machine disturb far less than wall time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path


def sdoctor_command(*arguments: str) -> list[str]:
    """The installed ``sdoctor`` beside this Python."""
    return [str(Path(sys.executable).with_name("sdoctor")), *arguments]


def cpu_seconds(command: list[str], **environment: str) -> float:
    """User and system time of one process and its children, which all end before it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def side_by_side(commands: dict[str, list[str]], rounds: int, **environment: str) -> dict[str, list[float]]:
    """Every command once in each round, one after the other, after a round that warms the caches."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            seconds = cpu_seconds(command, **environment)
            if turn > 0:
                found[name].append(seconds)
    return found


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    """The middle of each command's times."""
    return {name: statistics.median(times) for name, times in found.items()}


def least(found: dict[str, list[float]]) -> dict[str, float]:
    """The least of each command's times: whatever else the machine does can only add to them."""
    return {name: min(times) for name, times in found.items()}
