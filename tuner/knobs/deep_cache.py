"""A U-Net that goes through its depths only at every n-th step, as DeepCache does it. Lossy.

What the depths say changes slowly from one step to the next (Ma, Fang, Wang: "DeepCache", 2023, arXiv:2312.00858). So their
last word, what the outermost layer of the way up receives, is kept, and in the steps between only the outermost layers
are computed: of one skip connection, the paper's branch 0.

Nothing of diffusers' forward is written anew: the outer part is a U-Net of the same layers without depths.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch

from tuner.replacing import replace_attribute

_KNOWN_BLOCKS = ("CrossAttnUpBlock2D", "UpBlock2D")
"""Outermost blocks of the way up whose layers are called as ``_Outermost`` does it: those of SD 1.x, SD 2.x and SDXL."""
_PLACE = "_sdoctor_deep_cache"


class Whole(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """All of a U-Net. Returns what it says, and what its outermost layer received from the depths."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        self._forward = unet.forward

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """``(noise, feature)``; the arguments are the U-Net's own, without ``return_dict``."""
        received: list[torch.Tensor] = []
        outermost = self.unet.up_blocks[-1].resnets[-1]
        hook = outermost.register_forward_pre_hook(lambda _module, inputs: received.append(inputs[0]))
        try:
            noise = self._forward(*args, return_dict=False, **kwargs)[0]
        finally:
            hook.remove()
        # Behind it lies what came over the skip connection, which the steps between compute for themselves.
        skipped: int = self.unet.conv_in.out_channels
        return noise, received[0][:, :-skipped].clone()


class _Outermost(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """The last layer of the outermost block of the way up, in the block's place."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attentions = getattr(block, "attentions", None)
        # A U-Net takes as many skip connections from its store as a block has of these.
        self.resnets = torch.nn.ModuleList([block.resnets[-1]])
        self.attention = attentions[-1] if attentions is not None else None
        self.has_cross_attention = self.attention is not None
        self.feature: torch.Tensor | None = None

    def forward(
        self,
        hidden_states: torch.Tensor,  # noqa: ARG002  (of the way down, which ends at once)
        temb: torch.Tensor,
        res_hidden_states_tuple: tuple[torch.Tensor, ...],
        upsample_size: int | None = None,  # noqa: ARG002  (the outermost block makes nothing larger)
        **condition: Any,
    ) -> torch.Tensor:
        """What the block would have returned, had the depths said ``feature`` again."""
        assert self.feature is not None
        hidden = self.resnets[0](torch.cat([self.feature, res_hidden_states_tuple[-1]], dim=1), temb)
        return hidden if self.attention is None else self.attention(hidden, return_dict=False, **condition)[0]


class Outer(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """A U-Net of the same layers that has no depths."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        shallow = copy.copy(unet)
        shallow.__dict__.pop("forward", None)
        shallow._modules = dict(unet._modules)
        shallow.down_blocks = torch.nn.ModuleList()
        shallow.mid_block = None
        shallow.up_blocks = torch.nn.ModuleList([_Outermost(unet.up_blocks[-1])])
        self.unet = shallow

    def forward(self, feature: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The noise; the arguments behind ``feature`` are the U-Net's own, without ``return_dict``."""
        outermost = self.unet.up_blocks[0]
        outermost.feature = feature
        try:
            return self.unet.forward(*args, return_dict=False, **kwargs)[0]
        finally:
            outermost.feature = None


class DeepCache:
    """Stands in the place of a U-Net's ``forward``."""

    def __init__(self, unet: Any, every: int) -> None:
        self.every = every
        self.whole, self.outer = Whole(unet), Outer(unet)
        self.forget: Callable[[], None] = lambda: None
        """Takes it out of the pipeline again."""
        self._feature: torch.Tensor | None = None
        self._steps = 0

    def begin(self) -> None:
        """A new picture, to which nothing of the one before belongs."""
        self._feature, self._steps = None, 0

    def __call__(self, sample: torch.Tensor, *args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        """One step."""
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput

        feature = self._feature
        is_deep = self._steps % self.every == 0
        if is_deep or feature is None or _batch_and_size(feature) != _batch_and_size(sample):
            noise, self._feature = self.whole(sample, *args, **kwargs)
        else:
            noise = self.outer(feature, sample, *args, **kwargs)
        self._steps += 1
        return UNet2DConditionOutput(sample=noise) if return_dict else (noise,)


def _batch_and_size(tensor: torch.Tensor) -> tuple[int, ...]:
    return (tensor.shape[0], *tensor.shape[2:])


def go_deep_at_every(pipe: Any, every: int) -> bool:
    """Let the U-Net of ``pipe`` be computed whole at every ``every``-th step only; False if it is of no known kind."""
    unet = getattr(pipe, "unet", None)
    blocks = getattr(unet, "up_blocks", None)
    if blocks is None or type(blocks[-1]).__name__ not in _KNOWN_BLOCKS or len(blocks) < 2:
        return False
    always_deep(pipe)
    cache = DeepCache(unet, every)
    set_timesteps = pipe.scheduler.set_timesteps

    @functools.wraps(set_timesteps)
    def begin(*args: Any, **kwargs: Any) -> Any:
        # The one thing that every pipeline does once for each picture before its first step.
        cache.begin()
        return set_timesteps(*args, **kwargs)

    undo = [
        replace_attribute(pipe.scheduler, "set_timesteps", begin),
        replace_attribute(unet, "forward", cache),
        replace_attribute(unet, _PLACE, cache),
    ]

    def forget() -> None:
        for restore in undo:
            restore()

    cache.forget = forget
    return True


def always_deep(pipe: Any) -> None:
    """Take it away again."""
    cache = deep_cache_of(getattr(pipe, "unet", None))
    if cache is not None:
        cache.forget()


def deep_cache_of(denoiser: Any) -> DeepCache | None:
    """What stands in the place of the forward of this model; None if it goes deep at every step."""
    return getattr(denoiser, _PLACE, None)


def parts_of(denoiser: Any) -> list[tuple[str, Any]]:
    """The modules that a compiler finds in a denoiser, with their names: itself, or what is called in its place."""
    cache = deep_cache_of(denoiser)
    if cache is None:
        return [("denoiser", denoiser)]
    return [("denoiser", cache.whole), ("denoiser's outer layers", cache.outer)]
