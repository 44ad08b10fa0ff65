"""The stage in which a component of a pipeline works, by its name. Free of torch."""

from __future__ import annotations

from tuner.settings import DECODERS

# Two pipelines in one (Stable Cascade, Wuerstchen) name the parts of the first with this.
_PRIOR = "prior_"
_ENCODERS = ("text_encoder", "image_encoder")


def stage_of(component: str) -> str:
    """The stage in which a component of that name works."""
    if is_encoder(component):
        return "encode"
    return "decode" if component.startswith(DECODERS) else "denoise"


def is_encoder(component: str) -> bool:
    """Whether it reads prompts or pictures."""
    return component.removeprefix(_PRIOR).startswith(_ENCODERS)
