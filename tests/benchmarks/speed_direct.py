"""A contender of generation_speed.py: OpenVINO by hand, without diffusers' pipeline around it.

Text encoders, U-Net and VAE decoder are converted with static shapes and compiled with bfloat16 as the inference
precision and LATENCY as the hint; arrays go in and out without torch. Only the scheduler's arithmetic is diffusers'.
Covers pipelines of the kind of Stable Diffusion 1.x and SDXL.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

from benchmarks.speed_runs import GUIDANCE, PROMPT, Run, serve

_CONFIG = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}


def make(options: argparse.Namespace) -> Callable[[], Run]:
    """Convert and compile, drop the torch models, and keep what a picture needs."""
    import numpy
    import torch

    from tuner.models import resolve
    from tuner.worker.build import load_pipeline, torch_dtype

    text_module, denoiser_module, decoder_module = _modules()
    pipe = load_pipeline(resolve(options.model), torch_dtype(options.weights))
    side = options.size // 8
    scaling = float(pipe.vae.config.scaling_factor)
    tokenizers = [one for one in (pipe.tokenizer, getattr(pipe, "tokenizer_2", None)) if one is not None]
    names = ["text_encoder", "text_encoder_2"][: len(tokenizers)]
    is_xl = len(names) == 2
    words = pipe.text_encoder.config.max_position_embeddings
    ids = torch.zeros((2, words), dtype=torch.long)
    encoders = [_compiled(text_module(getattr(pipe, name), is_xl), (ids,)) for name in names]
    _drop(pipe, *names)
    channels = pipe.unet.config.in_channels
    width = pipe.unet.config.cross_attention_dim
    given = [torch.zeros(2, channels, side, side), torch.tensor(1.0), torch.zeros(2, words, width)]
    if is_xl:
        pooled = (
            pipe.unet.config.projection_class_embeddings_input_dim
            - 6 * pipe.unet.config.addition_time_embed_dim
        )
        given += [torch.zeros(2, pooled), torch.zeros(2, 6)]
    unet = _compiled(denoiser_module(pipe.unet), tuple(given))
    _drop(pipe, "unet")
    decoder = _compiled(decoder_module(pipe.vae), (torch.zeros(1, channels, side, side),))
    _drop(pipe, "vae")
    sizes = numpy.array([[options.size, options.size, 0, 0, options.size, options.size]] * 2, dtype="float32")

    def text() -> list[Any]:
        found = []
        for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
            tokens = tokenizer(
                ["", PROMPT], padding="max_length", max_length=words, truncation=True, return_tensors="np"
            )
            found.append([array.copy() for array in encoder([tokens.input_ids.astype("int64")])])
        states = numpy.concatenate([one[0] for one in found], axis=-1)
        return [states, found[-1][1], sizes] if is_xl else [states]

    def run() -> Run:
        began = time.perf_counter()
        condition = text()
        scheduler = pipe.scheduler
        scheduler.set_timesteps(options.steps)
        shape = (1, channels, side, side)
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
        ends = [time.perf_counter()]
        for timestep in scheduler.timesteps:
            both = scheduler.scale_model_input(latents.repeat(2, 1, 1, 1), timestep).numpy()
            without, with_prompt = torch.from_numpy(
                unet([both, numpy.float32(timestep), *condition])[0]
            ).chunk(2)
            guided = without + GUIDANCE * (with_prompt - without)
            latents = scheduler.step(guided, timestep, latents).prev_sample
            ends.append(time.perf_counter())
        picture = decoder([(latents / scaling).numpy()])[0]
        numpy.ascontiguousarray(((picture[0] / 2 + 0.5).clip(0, 1) * 255).round().astype("uint8"))
        ended = time.perf_counter()
        steps = tuple(later - earlier for earlier, later in itertools.pairwise(ends))
        return Run(total=ended - began, text=ends[0] - began, steps=steps, decode=ended - ends[-1])

    return run


def _drop(pipe: Any, *names: str) -> None:
    for name in names:
        pipe.components.pop(name, None)
        setattr(pipe, name, None)
    gc.collect()


def _compiled(module: Any, given: tuple[Any, ...]) -> Callable[[list[Any]], list[Any]]:
    """The program for inputs of these shapes; its results are views that hold until the next call."""
    import torch

    from tuner.worker.openvino_library import openvino as library

    openvino = library()

    with torch.no_grad():
        model = openvino.convert_model(module, example_input=given, input=[tuple(one.shape) for one in given])
    around = openvino.preprocess.PrePostProcessor(model)
    for number, one in enumerate(given):
        if one.is_floating_point():
            around.input(number).tensor().set_element_type(openvino.Type.f32)
    for number in range(len(model.outputs)):
        around.output(number).tensor().set_element_type(openvino.Type.f32)
    request = openvino.Core().compile_model(around.build(), "CPU", _CONFIG).create_infer_request()
    count = len(model.outputs)

    def call(inputs: list[Any]) -> list[Any]:
        request.infer(inputs, share_inputs=True)
        return [request.get_output_tensor(n).data for n in range(count)]

    return call


def _modules() -> tuple[type[Any], type[Any], type[Any]]:
    import torch

    class Text(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
        """Ids to (states, pooled states)."""

        def __init__(self, encoder: Any, is_xl: bool) -> None:
            super().__init__()
            self.encoder, self.is_xl = encoder, is_xl

        def forward(self, ids: Any) -> Any:
            found = self.encoder(ids, output_hidden_states=self.is_xl)
            return (found.hidden_states[-2], found[0]) if self.is_xl else (found[0],)

    class Denoiser(torch.nn.Module):  # type: ignore[misc]
        """Latents, time, states (and for SDXL pooled states and sizes) to noise, in the weights' own format."""

        def __init__(self, unet: Any) -> None:
            super().__init__()
            self.unet = unet

        def forward(
            self, latents: Any, timestep: Any, states: Any, pooled: Any = None, sizes: Any = None
        ) -> Any:
            kind = self.unet.dtype
            more = None
            if pooled is not None:
                more = {"text_embeds": pooled.to(kind), "time_ids": sizes.to(kind)}
            return self.unet(
                latents.to(kind), timestep, states.to(kind), added_cond_kwargs=more, return_dict=False
            )[0]

    class Decoder(torch.nn.Module):  # type: ignore[misc]
        """Latents to the picture."""

        def __init__(self, vae: Any) -> None:
            super().__init__()
            self.vae = vae

        def forward(self, latents: Any) -> Any:
            return self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]

    return Text, Denoiser, Decoder


if __name__ == "__main__":
    serve(make)
