"""Checks of what the programs in a pasted report said. ``CHECKS`` is in reading order: root causes first.

They come to some of the same causes as the checks of the facts; the runner lets one finding of an id stand.
"""

from __future__ import annotations

from doctor.check import Check
from doctor.checks.reported import (
    amd,
    apple,
    architecture,
    attention,
    compilers,
    containers,
    driver,
    environment,
    faults,
    files,
    host,
    hub,
    huggingface,
    intel,
    libraries,
    memory,
    numbers,
    packages,
    python,
    torch_build,
    wsl,
    xformers,
)

CHECKS: tuple[Check, ...] = (
    python.CHECK,
    torch_build.CHECK,
    driver.CHECK,
    containers.CHECK,
    wsl.CHECK,
    architecture.CHECK,
    amd.CHECK,
    intel.CHECK,
    apple.CHECK,
    environment.CHECK,
    libraries.CHECK,
    packages.CHECK,
    huggingface.CHECK,
    xformers.CHECK,
    attention.CHECK,
    compilers.CHECK,
    memory.CHECK,
    host.CHECK,
    numbers.CHECK,
    faults.CHECK,
    files.CHECK,
    hub.CHECK,
)
