"""What programs say when something is wrong, by topic; ``ALL`` is the table that messages are recognised by."""

from __future__ import annotations

from doctor.reports.patterns import apple_amd, files, memory, numbers, nvidia, packages, python, system
from doctor.reports.patterns.row import Row

ALL: tuple[Row, ...] = (
    *nvidia.ROWS,
    *system.ROWS,
    *python.ROWS,
    *packages.ROWS,
    *memory.ROWS,
    *numbers.ROWS,
    *apple_amd.ROWS,
    *files.ROWS,
)
