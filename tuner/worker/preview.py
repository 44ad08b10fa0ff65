"""The picture as it forms: the clean picture that a step predicts, put into colours by a linear map.

What a pipeline hands to its callback is the noisy latents. The scheduler, though, is given the model's
prediction at every step; from that follows the clean picture, which is told from the first steps on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tuner.events import Preview
from tuner.latent_colours import Colours, colours_of

_LONGEST_SIDE = 64
"""Cells of the preview: 12 KiB of colours, and more than a terminal of half blocks can show of most pictures."""


class Previewer:
    """Follows one call of a pipeline. Whatever it cannot do costs the preview, never the picture."""

    def __init__(
        self, pipe: Any, send: Callable[[Preview], None], seconds: float, size: tuple[int, int]
    ) -> None:
        """``seconds``: least time between two previews. ``size``: width and height of the picture in pixels."""
        config = getattr(getattr(pipe, "vae", None), "config", None)
        channels, factor = getattr(config, "latent_channels", None), getattr(config, "scaling_factor", None)
        self._colours = colours_of(channels, factor)
        self._pipe = pipe
        self._send = send
        self._seconds = seconds
        self._size = size
        self._sent_at = 0.0
        self._step: tuple[Any, Any, Any] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what the scheduler is given while the pipeline runs."""
        scheduler = self._pipe.scheduler
        if self._colours is None:
            yield
            return
        original = scheduler.step

        def step(model_output: Any, timestep: Any, sample: Any, *args: Any, **kwargs: Any) -> Any:
            self._step = model_output, timestep, sample
            return original(model_output, timestep, sample, *args, **kwargs)

        scheduler.step = step
        try:
            yield
        finally:
            del scheduler.step
            self._step = None

    def stepped(self, index: int) -> None:
        """After a step: send a preview, if it is time for one."""
        now = time.perf_counter()
        if self._step is None or self._colours is None or now - self._sent_at < self._seconds:
            return
        try:
            preview = self._look(index, self._colours)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
            self._colours = None
            return
        self._send(preview)
        self._sent_at = now

    def _look(self, index: int, colours: Colours) -> Preview:
        import torch

        assert self._step is not None
        latents = predicted_clean(self._pipe.scheduler, *self._step)[:1].float()
        if latents.ndim == 3:
            width, height = self._size
            latents = self._pipe._unpack_latents(latents, height, width, self._pipe.vae_scale_factor)
        latents = latents.reshape(latents.shape[-3:])
        height, width = latents.shape[-2:]
        if max(height, width) > _LONGEST_SIDE:
            scale = _LONGEST_SIDE / max(height, width)
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            latents = torch.nn.functional.adaptive_avg_pool2d(latents, (height, width))
        factors = torch.tensor(colours.rows, device=latents.device)
        bias = torch.tensor(colours.bias, device=latents.device)
        rgb = (latents.permute(1, 2, 0) @ factors + bias).add(1).mul(127.5).clamp(0, 255).byte().cpu()
        return Preview(index=index, width=width, height=height, rgb=rgb.contiguous().numpy().tobytes())


def predicted_clean(scheduler: Any, output: Any, timestep: Any, sample: Any) -> Any:
    """The clean latents that follow from the model's ``output`` at a step which has just been taken.

    Three kinds of schedulers (diffusers 0.42): flow matching, x = (1 - s) clean + s noise; those that add noise to
    the picture as it is, x = clean + s noise (Euler and kin, whose first noise is not 1); and the others, which
    keep the variance, x = a clean + b noise.
    """
    kind = scheduler.config.get("prediction_type", "epsilon")
    if type(scheduler).__name__.startswith("FlowMatch") or kind == "flow_prediction":
        return sample - scheduler.sigmas[scheduler.step_index - 1].to(sample.device) * output
    if kind == "sample":
        return output
    if float(scheduler.init_noise_sigma) > 1.5:
        sigma = float(scheduler.sigmas[scheduler.step_index - 1])
        if kind == "v_prediction":
            return sample / (sigma**2 + 1) - output * sigma / (sigma**2 + 1) ** 0.5
        return sample - sigma * output
    kept = float(scheduler.alphas_cumprod[int(timestep)])
    if kind == "v_prediction":
        return kept**0.5 * sample - (1 - kept) ** 0.5 * output
    return (sample - (1 - kept) ** 0.5 * output) / max(kept, 1e-6) ** 0.5
