"""Can diffusers be imported, together with a pipeline and what that pulls in (transformers, huggingface_hub)?"""

from __future__ import annotations

from doctor.probes.measure.imports import time_import
from doctor.probes.say import Say


def measure(say: Say) -> None:
    """diffusers is lazy: only a pipeline meets the packages that do not fit."""
    time_import(say, "diffusers", "StableDiffusionPipeline")
