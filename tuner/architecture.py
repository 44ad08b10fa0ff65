"""Architecture: which models a pipeline is put together from, and how large. Profiles hold for one architecture.

The weights do not matter for speed and memory, so a profile of ``builtin:sd15`` serves every fine-tune of SD 1.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.models import LEFT_OUT


def architecture_of(pipe: Any) -> dict[str, str]:
    """Component name -> "UNet2DConditionModel of 859520964 parameters", without safety checkers and LoRAs."""
    return {
        name: f"{type(part).__name__} of {_parameters(part)} parameters"
        for name, part in sorted(pipe.components.items())
        if name not in LEFT_OUT and hasattr(part, "named_parameters")
    }


def _parameters(part: Any) -> int:
    """Parameters of a component, as many as before it was quantised: bitsandbytes packs two into a byte."""
    return sum(
        parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
        for name, parameter in part.named_parameters()
        if "lora_" not in name
    )


def architecture_differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """What differs, in words: "unet X of 2 parameters instead of Y of 3 parameters" (theirs first)."""
    return [
        f"{name} {theirs.get(name, 'missing')} instead of {ours.get(name, 'none')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
