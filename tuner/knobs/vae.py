"""vae_slicing and vae_tiling: decode a batch picture by picture, or one picture in overlapping tiles."""

from __future__ import annotations

from typing import Any

from tuner.knobs.knob import Knob, Value


def _switch(method: str) -> Any:
    def apply(pipe: Any, value: Value, _device: str) -> str | None:
        vae = getattr(pipe, "vae", None)
        action = getattr(vae, f"{'enable' if value == 'on' else 'disable'}_{method}", None)
        if action is None:
            return (
                f"vae_{method}=on changes nothing: this model's VAE has no {method}"
                if value == "on"
                else None
            )
        try:
            action()
        except NotImplementedError:
            if value == "on":
                return f"vae_{method}=on changes nothing: this model's VAE has no {method}"
        return None

    return apply


def _reader(method: str) -> Any:
    def read(pipe: Any) -> str:
        return "on" if getattr(getattr(pipe, "vae", None), f"use_{method}", False) else "off"

    return read


SLICING = Knob(
    name="vae_slicing",
    about="Decodes a batch one picture at a time; changes nothing for a batch of one.",
    values=("off", "on"),
    in_place=True,
    candidates=lambda _target, batch: ("on",) if batch > 1 else (),
    apply=_switch("slicing"),
    read=_reader("slicing"),
)

TILING = Knob(
    name="vae_tiling",
    about="Decodes one picture in overlapping tiles once it is larger than the VAE's own sample size: the peak of "
    "memory stops growing with the picture; seams and tones can differ slightly.",
    values=("off", "on"),
    lossless=False,
    in_place=True,
    candidates=lambda _target, _batch: ("on",),
    apply=_switch("tiling"),
    read=_reader("tiling"),
)
