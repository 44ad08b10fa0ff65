"""Checks of what the live probes measured. Without probes they say nothing. ``CHECKS`` is in reading order.

What the error of a failed probe means in particular is judged by the checks of ``reported``: the probes' errors are
messages of the facts, like those of a pasted report.
"""

from __future__ import annotations

from doctor.check import Check
from doctor.checks.live import (
    attention,
    compiler,
    cpu_rates,
    cuda,
    disk,
    endings,
    figures,
    gpu_rates,
    imports,
)

CHECKS: tuple[Check, ...] = (
    imports.CHECK,
    cuda.CHECK,
    endings.CHECK,
    attention.CHECK,
    gpu_rates.CHECK,
    cpu_rates.CHECK,
    compiler.CHECK,
    disk.CHECK,
    figures.CHECK,
)
