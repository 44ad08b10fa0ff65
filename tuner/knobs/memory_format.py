"""memory_format: the order of the dimensions of convolution weights and activations in memory."""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, flags, lines_by, setting, told_by
from tuner.knobs.knob import Knob, Value


def _convolutional(pipe: Any) -> list[Any]:
    import torch

    modules = [getattr(pipe, name, None) for name in ("unet", "prior", "decoder", "vae")]
    return [
        module
        for module in modules
        if module is not None and any(isinstance(part, torch.nn.Conv2d) for part in module.modules())
    ]


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    import torch

    wanted = torch.channels_last if value == "channels_last" else torch.contiguous_format
    modules = _convolutional(pipe)
    for module in modules:
        module.to(memory_format=wanted)
    if not modules and value == "channels_last":
        return "memory_format=channels_last changes nothing: this model has no convolutions"
    return None


def _read(pipe: Any) -> str:
    import torch

    formats = set()
    for module in _convolutional(pipe):
        for part in module.modules():
            # A 1x1 kernel counts as both formats, so only larger ones tell.
            if (
                isinstance(part, torch.nn.Conv2d)
                and part.weight.dim() == 4
                and min(part.weight.shape[1:]) > 1
            ):
                last = part.weight.is_contiguous(memory_format=torch.channels_last)
                formats.add("channels_last" if last else "contiguous")
    return "+".join(sorted(formats)) or "contiguous"


_LINES = (
    'for name in ("unet", "vae"):',
    "    if getattr(pipe, name, None) is not None:",
    "        getattr(pipe, name).to(memory_format=torch.channels_last)",
)
_TOLD: Table = {
    **{(program, "contiguous"): ITS_OWN_WAY for program in PROGRAMS},
    ("comfyui", "channels_last"): flags("--force-channels-last"),
    ("a1111", "channels_last"): flags("--opt-channelslast"),
    ("sdnext", "channels_last"): setting("opt_channelslast", True),
}


KNOB = Knob(
    name="memory_format",
    about="channels_last keeps the channels of a pixel together, which convolutions often like better.",
    values=("contiguous", "channels_last"),
    candidates=lambda _target, _batch: ("channels_last",),
    apply=_apply,
    script=lines_by({"channels_last": _LINES}),
    told=told_by(_TOLD),
    read=_read,
)
