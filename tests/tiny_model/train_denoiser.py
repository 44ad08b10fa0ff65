"""The second half of the training: text encoder and U-Net together, on cached latents."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tiny_model.architecture import MODEL_FOLDER, SCHEDULER, UNET, text_encoder_config
from tiny_model.checkpoints import Checkpoint
from tiny_model.dataset import picture, training_scenes
from tiny_model.phrasing import phrase
from tiny_model.replicas import Replicas
from tiny_model.train_text import train_text
from tiny_model.train_vae import to_model
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SCENES = 16_000
BATCH = 32
_RATE = 1.0e-3
_WARM_UP = 150
_COOL_DOWN = 0.3
"""Share of the steps over which the rate falls to nothing. Before it the rate is constant, so that a training that was
stopped can go on to another number of steps."""
_UNCONDITIONED = 0.1
_DECAY = 0.998
"""Of the exponential moving average that is shipped."""
_EARLY_SHARE, _FIRST_SHARE = 0.35, 0.04
_EARLY = 800
"""Colours show through the noise below this timestep, so the prompt decides above it: drawn more often."""

Export = Callable[[nn.Module, nn.Module], None]


class Denoiser(nn.Module):
    """Text encoder and U-Net as one module, so that one optimizer and one average hold both."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = CLIPTokenizer.from_pretrained(MODEL_FOLDER / "tokenizer")
        self.text_encoder = CLIPTextModel(CLIPTextConfig(**text_encoder_config(len(self.tokenizer))))
        self.unet = UNet2DConditionModel.from_config(UNET)

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, prompts: list[str]) -> torch.Tensor:
        """The predicted velocity."""
        tokens = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        states = self.text_encoder(tokens.input_ids).last_hidden_state
        return self.unet(noisy, times, states).sample


def cached_latents(vae: AutoencoderKL, path: Path, threads: int) -> torch.Tensor:
    """The latents of every training scene, encoded once; float32."""
    if path.exists():
        return torch.load(path, weights_only=True).float()
    scenes = training_scenes(SCENES)

    @torch.no_grad()
    def encoded(first: int) -> torch.Tensor:
        pictures = [picture(scene, index) for index, scene in enumerate(scenes[first : first + BATCH], first)]
        with torch.autocast("cpu", torch.bfloat16):
            return vae.encode(to_model(torch.from_numpy(np.stack(pictures)))).latent_dist.mean.half()

    with ThreadPoolExecutor(threads) as pool:
        latents = torch.cat(list(pool.map(encoded, range(0, SCENES, BATCH))))
    torch.save(latents, path)
    return latents.float()


def train_denoiser(
    vae: AutoencoderKL, folder: Path, seed: int, steps: int, replicas: int, export: Export
) -> nn.Module:
    """Train (or go on training); returns the averaged denoiser. ``export`` is called with it now and then."""
    torch.manual_seed(seed)
    model, average = Denoiser(), Denoiser()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.99), weight_decay=1e-3)
    checkpoint = Checkpoint(
        folder / "denoiser.pt", {"model": model, "average": average, "optimizer": optimizer}
    )
    start = checkpoint.load()
    scenes = training_scenes(SCENES)
    if start == 0:
        torch.set_num_threads(replicas)
        told = train_text(model.text_encoder, model.tokenizer, scenes, seed)
        print(f"text encoder tells {told:.1%} of the attributes", flush=True)
        average.load_state_dict(model.state_dict())
    workers = Replicas(model, replicas)
    latents = cached_latents(vae, folder / "latents.pt", replicas)
    cumulated = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod
    began = time.monotonic()
    recent = 0.0
    for step in range(start, steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM_UP, (steps - step) / (_COOL_DOWN * steps))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        rng = random.Random(seed * 1_000_003 + step)
        chosen = torch.randint(SCENES, (BATCH,), generator=generator)
        prompts = [
            "" if rng.random() < _UNCONDITIONED else phrase(scenes[index], rng) for index in chosen.tolist()
        ]
        noisy, times, velocity = _noised(latents[chosen], cumulated, generator)
        shares = [
            (noisy[part::replicas], times[part::replicas], prompts[part::replicas], velocity[part::replicas])
            for part in range(replicas)
        ]
        # The plain formula: for so few tokens its backward pass is several times faster than the fused kernel's.
        with sdpa_kernel(SDPBackend.MATH):
            recent += workers.backward(lambda replica, index, shares=shares: _loss(replica, *shares[index]))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        _follow(average, model, min(_DECAY, (1 + step) / (10 + step)))
        if (step + 1) % 100 == 0:
            each = (time.monotonic() - began) / (step + 1 - start)
            print(f"denoiser step {step + 1}/{steps} loss {recent / 100:.4f} {each:.3f} s/step", flush=True)
            recent = 0.0
        if (step + 1) % 500 == 0 or step + 1 == steps:
            checkpoint.save(step + 1)
            export(average.text_encoder, average.unet)
    return average


def _noised(
    latents: torch.Tensor, cumulated: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy latents, their timesteps, and the velocity to be predicted."""
    times = _times(len(latents), len(cumulated), generator)
    noise = torch.randn(latents.shape, generator=generator)
    signal = cumulated[times].sqrt()[:, None, None, None]
    spread = (1 - cumulated[times]).sqrt()[:, None, None, None]
    return signal * latents + spread * noise, times, signal * noise - spread * latents


def _loss(
    model: nn.Module, noisy: torch.Tensor, times: torch.Tensor, prompts: list[str], velocity: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of the velocity."""
    with torch.autocast("cpu", torch.bfloat16):
        predicted = model(noisy, times, prompts)
    return F.mse_loss(predicted.float(), velocity)


def _times(count: int, last: int, generator: torch.Generator) -> torch.Tensor:
    times = torch.randint(0, last, (count,), generator=generator)
    early = torch.randint(_EARLY, last, (count,), generator=generator)
    share = torch.rand(count, generator=generator)
    times = torch.where(share < _EARLY_SHARE, early, times)
    return torch.where(share < _FIRST_SHARE, torch.full_like(times, last - 1), times)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    parameters = [parameter.data for parameter in average.parameters()]
    torch._foreach_lerp_(parameters, [parameter.data for parameter in model.parameters()], 1 - decay)
