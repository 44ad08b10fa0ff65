"""The checks, in reading order: what stops everything first, what only slows things down last."""

from __future__ import annotations

from doctor.check import Check
from doctor.checks import (
    architecture,
    companions,
    driver,
    driver_age,
    host_memory,
    no_gpu,
    precision,
    python,
    reported,
    requirements,
    storage,
    threads,
    torch_build,
    visibility,
    vram,
    xformers,
)

CHECKS: tuple[Check, ...] = (
    python.CHECK,
    torch_build.CHECK,
    driver.CHECK,
    driver_age.CHECK,
    architecture.CHECK,
    visibility.CHECK,
    no_gpu.CHECK,
    requirements.CHECK,
    companions.CHECK,
    xformers.CHECK,
    vram.CHECK,
    precision.CHECK,
    host_memory.CHECK,
    threads.CHECK,
    storage.CHECK,
    *reported.CHECKS,
)
