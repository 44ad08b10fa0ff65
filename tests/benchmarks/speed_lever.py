"""A contender of levers.py: a diffusers pipeline in float32 with one thing changed that might make it faster."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from typing import Any

from benchmarks import speed_plain
from benchmarks.speed_runs import Run, serve

PICTURES_OVERLAPPED = 2


def _channels_last(*names: str) -> Callable[[Any], None]:
    def apply(pipe: Any) -> None:
        import torch

        for name in names:
            getattr(pipe, name).to(memory_format=torch.channels_last)

    return apply


def _frozen(pipe: Any) -> None:
    """The VAE's decoder as a frozen TorchScript graph, whose convolutions keep their weights in oneDNN's order."""
    import torch

    decoder = pipe.vae.decoder

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, latents: Any) -> Any:
            return self.decoder(latents)

    made: dict[Any, Any] = {}
    original = decoder.forward

    def forward(latents: Any, *_args: Any, **_kwargs: Any) -> Any:
        shape = tuple(latents.shape)
        if shape not in made:
            decoder.forward = original
            with torch.inference_mode(False), torch.no_grad():
                traced = torch.jit.trace(Plain().eval(), latents.clone(), check_trace=False)
                made[shape] = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
            decoder.forward = forward
        return made[shape](latents)

    decoder.forward = forward


def _int8_linears(pipe: Any) -> None:
    """The U-Net's linear layers with 8-bit weights and activations (torch's dynamic quantisation). Lossy."""
    import torch

    pipe.unet = torch.ao.quantization.quantize_dynamic(pipe.unet, {torch.nn.Linear}, dtype=torch.qint8)


def _fused(pipe: Any) -> None:
    pipe.unet.fuse_qkv_projections()


def _nothing(_pipe: Any) -> None:
    return None


LEVERS: dict[str, Callable[[Any], None]] = {
    "nothing": _nothing,
    "channels_last U-Net": _channels_last("unet"),
    "channels_last VAE": _channels_last("vae"),
    "frozen decoder": _frozen,
    "fused QKV": _fused,
    "int8 linears": _int8_linears,
    # Changes nothing in the pipeline: another environment, see levers.py.
    "pinned threads": _nothing,
    "no huge pages": _nothing,
    "spinning threads": _nothing,
    "decode overlapped": _nothing,
}


def make(options: argparse.Namespace) -> Callable[[], Run]:
    """The plain contender with the lever that ``--library`` names."""
    lever = options.library
    return _overlapped(options) if lever == "decode overlapped" else speed_plain.make(options, LEVERS[lever])


def _overlapped(options: argparse.Namespace) -> Callable[[], Run]:
    """Two pictures, the first one decoded while the second one is denoised; the time of one of them."""
    import time

    import torch

    from tuner.models import resolve
    from tuner.worker.build import load_pipeline, torch_dtype

    pipe = load_pipeline(resolve(options.model), torch_dtype(options.weights))
    pipe.set_progress_bar_config(disable=True)

    def latents() -> Any:
        return pipe(
            speed_plain.PROMPT,
            width=options.size,
            height=options.size,
            num_inference_steps=options.steps,
            guidance_scale=speed_plain.GUIDANCE,
            output_type="latent",
        ).images

    def decode(found: Any) -> None:
        with torch.inference_mode():
            pipe.vae.decode(found / pipe.vae.config.scaling_factor)

    def run() -> Run:
        began = time.perf_counter()
        waiting: threading.Thread | None = None
        for _ in range(PICTURES_OVERLAPPED):
            found = latents()
            if waiting is not None:
                waiting.join()
            waiting = threading.Thread(target=decode, args=(found,))
            waiting.start()
        assert waiting is not None
        waiting.join()
        return Run(total=(time.perf_counter() - began) / PICTURES_OVERLAPPED)

    return run


if __name__ == "__main__":
    serve(make)
