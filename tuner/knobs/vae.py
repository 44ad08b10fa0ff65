"""vae_slicing and vae_tiling: decode a batch picture by picture, or one picture in overlapping tiles."""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, by_hand, lines_by, setting, told_by
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
    script=lines_by({"on": ("pipe.vae.enable_slicing()",)}),
    told=told_by(
        {
            ("sdnext", "on"): setting("diffusers_vae_slicing", True),
            ("sdnext", "off"): setting("diffusers_vae_slicing", False),
        }
    ),
    read=_reader("slicing"),
)

_TILING: Table = {
    **{(program, "off"): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "on"): by_hand("put the node 'VAE Decode (Tiled)' in the place of 'VAE Decode'"),
    ("a1111", "on"): by_hand("install the extension Tiled VAE (multidiffusion-upscaler) and switch it on"),
    ("forge", "on"): by_hand("switch 'Never OOM Integrated' -> 'Enabled for VAE (always tiled)' on"),
    ("sdnext", "on"): setting("diffusers_vae_tiling", True),
    ("sdnext", "off"): setting("diffusers_vae_tiling", False),
}

TILING = Knob(
    name="vae_tiling",
    about="Decodes one picture in overlapping tiles once it is larger than the VAE's own sample size: the peak of "
    "memory stops growing with the picture; seams and tones can differ slightly.",
    values=("off", "on"),
    lossless=False,
    in_place=True,
    candidates=lambda _target, _batch: ("on",),
    apply=_switch("tiling"),
    script=lines_by({"on": ("pipe.vae.enable_tiling()",)}),
    told=told_by(_TILING),
    read=_reader("tiling"),
)
