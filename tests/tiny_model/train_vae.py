"""The first half of the training: an autoencoder for flat shapes."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from tiny_model.architecture import VAE
from tiny_model.checkpoints import Checkpoint
from tiny_model.dataset import picture, training_scenes
from tiny_model.replicas import Replicas

CROP_STEPS, FULL_STEPS = 1900, 1200
_POOL = 5000
_CROP = 64
_CROP_BATCH, _FULL_BATCH = 16, 8
_RATE = 1.5e-3
_LATENT_NOISE = 0.1
"""Noise on the latents while training, so that the decoder forgives what the denoiser leaves."""
_LATENT_WEIGHT = 1e-3
"""Weight of the mean squared latent: keeps their scale near one, so that the noise above means something."""
_EDGE_WEIGHT = 4.0
_POSTERIOR_DEVIATION = 0.02


def train_vae(folder: Path, seed: int, replicas: int) -> AutoencoderKL:
    """Train (or go on training) and return the autoencoder with latents of mean 0 and deviation 1."""
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_config(VAE)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    checkpoint = Checkpoint(folder / "vae.pt", {"model": vae, "optimizer": optimizer})
    start = checkpoint.load()
    workers = Replicas(vae, replicas)
    total = CROP_STEPS + FULL_STEPS
    pool = _pictures(_POOL) if start < total else None
    began = time.monotonic()
    for step in range(start, total):
        assert pool is not None
        for group in optimizer.param_groups:
            group["lr"] = (
                _RATE
                * min(1.0, (step + 1) / 100)
                * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / total)))
            )
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        pictures = _batch(pool, step, generator)
        shares = list(zip(pictures.chunk(replicas), _noise(pictures, generator).chunk(replicas), strict=True))
        loss = workers.backward(lambda replica, index, shares=shares: _loss(replica, *shares[index]))
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            each = (time.monotonic() - began) / (step + 1 - start)
            print(f"vae step {step + 1}/{total} loss {loss:.4f} {each:.3f} s/step", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == total:
            checkpoint.save(step + 1)
    vae.eval()
    normalise(vae)
    return vae


def _pictures(count: int, first: int = 0) -> torch.Tensor:
    scenes = training_scenes(count, seed=first + 1)
    return torch.from_numpy(np.stack([picture(scene, index) for index, scene in enumerate(scenes)]))


def to_model(pictures: torch.Tensor) -> torch.Tensor:
    """Bytes, height x width x 3, to what the autoencoder takes: -1..1, 3 x height x width."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def _batch(pool: torch.Tensor, step: int, generator: torch.Generator) -> torch.Tensor:
    """Crops at first (more pictures for the same time), then whole pictures; mirrored at random."""
    whole = step >= CROP_STEPS
    chosen = torch.randint(len(pool), (_FULL_BATCH if whole else _CROP_BATCH,), generator=generator)
    pictures = to_model(pool[chosen])
    if not whole:
        corners = torch.randint(
            0, pictures.shape[-1] - _CROP + 1, (len(chosen), 2), generator=generator
        ).tolist()
        pictures = torch.stack(
            [p[:, y : y + _CROP, x : x + _CROP] for p, (y, x) in zip(pictures, corners, strict=True)]
        )
    return pictures.flip(-1) if torch.rand((), generator=generator) < 0.5 else pictures


def _noise(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise for the latents of these pictures."""
    count, _, height, width = pictures.shape
    return _LATENT_NOISE * torch.randn(
        (count, VAE["latent_channels"], height // 8, width // 8), generator=generator
    )


def _loss(vae: AutoencoderKL, pictures: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error of values and gradients, more near edges: the rest of a flat picture is easy."""
    with torch.autocast("cpu", torch.bfloat16):
        mean = vae.encode(pictures).latent_dist.mean
        drawn = vae.decode(mean + noise).sample
    drawn, mean = drawn.float(), mean.float()
    weight = _near_edges(pictures)
    error = (drawn - pictures).abs()
    loss = (weight * (error + error.square())).mean()
    for axis in (-1, -2):
        loss = loss + F.l1_loss(drawn.diff(dim=axis), pictures.diff(dim=axis))
    return loss + _LATENT_WEIGHT * mean.square().mean()


def _near_edges(pictures: torch.Tensor) -> torch.Tensor:
    """A weight for every pixel: more where an edge is within four pixels."""
    step = F.pad((pictures.diff(dim=-1)).abs().amax(1, keepdim=True), (0, 1)) + F.pad(
        (pictures.diff(dim=-2)).abs().amax(1, keepdim=True), (0, 0, 0, 1)
    )
    return 1 + _EDGE_WEIGHT * F.max_pool2d((step > 0.1).float(), 9, stride=1, padding=4)


@torch.no_grad()
def normalise(vae: AutoencoderKL) -> None:
    """Fold mean and deviation of every latent channel into the 1x1 convolutions on both sides of the latents.

    After it latents have mean 0 and deviation 1 per channel, so the scaling factor is 1. Exact: the pictures
    that come out do not change.
    """
    latents = torch.cat(
        [vae.encode(to_model(part)).latent_dist.mean for part in _pictures(256, first=9).split(32)]
    )
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    channels = len(mean)
    before, after = vae.quant_conv, vae.post_quant_conv
    after.bias += (after.weight[:, :, 0, 0] * mean).sum(1)
    after.weight *= deviation[None, :, None, None]
    before.weight[:channels] /= deviation[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) / deviation
    before.weight[channels:] = 0
    before.bias[channels:] = 2 * math.log(_POSTERIOR_DEVIATION)
