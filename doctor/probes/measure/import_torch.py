"""Can torch be imported, and how long does it take?"""

from __future__ import annotations

from doctor.probes.measure.imports import time_import
from doctor.probes.say import Say


def measure(say: Say) -> None:
    """Import torch and use it once: a broken library may be met only then."""
    time_import(say, "torch")
    say.during("computing with torch")
    import torch

    if float((torch.ones(8) + torch.ones(8)).sum()) != 16.0:
        raise ArithmeticError("8 times 1 + 1 is not 16 on this processor")
