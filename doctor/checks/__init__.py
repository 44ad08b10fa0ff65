"""The checks, in reading order: what stops everything first, what only slows things down last."""

from __future__ import annotations

from doctor.check import Check
from doctor.checks import (
    architecture,
    companions,
    driver,
    driver_age,
    gpu_state,
    host_memory,
    known_defects,
    live,
    no_gpu,
    precision,
    python,
    reported,
    requirements,
    storage,
    threads,
    torch_build,
    variables,
    visibility,
    vram,
    xformers,
    xid,
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
    known_defects.CHECK,
    vram.CHECK,
    precision.CHECK,
    gpu_state.CHECK,
    xid.CHECK,
    host_memory.CHECK,
    threads.CHECK,
    storage.CHECK,
    variables.CHECK,
    *live.CHECKS,
    *reported.CHECKS,
)
