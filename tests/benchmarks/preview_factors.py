"""Fits the linear map from latents to colours for builtin:tiny's VAE, and says how well it does.

    python -P tests/benchmarks/preview_factors.py

prints the rows of ``tuner.latent_colours`` for it: least squares of the picture, shrunk to the size of the
latents, over the latents that the VAE makes of it.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw

from tuner.models import BUILTIN_ROOT

PICTURES, SIDE, CELL = 300, 128, 8


def pictures() -> torch.Tensor:
    """One-coloured grounds with up to three shapes, values -1 to 1."""
    chance = np.random.default_rng(0)
    made = []
    for _ in range(PICTURES):
        colours = [tuple(int(value) for value in chance.integers(0, 256, 3)) for _ in range(4)]
        image = Image.new("RGB", (SIDE, SIDE), colours[0])
        draw = ImageDraw.Draw(image)
        for colour in colours[1:]:
            left, top = chance.integers(0, SIDE - 24, 2)
            side = int(chance.integers(16, 72))
            box = (int(left), int(top), int(left) + side, int(top) + side)
            (draw.ellipse if chance.random() < 0.5 else draw.rectangle)(box, fill=colour)
        made.append(np.asarray(image))
    return torch.tensor(np.stack(made)).permute(0, 3, 1, 2).float() / 127.5 - 1


def main() -> None:
    """Fit on two thirds, judge on the rest."""
    vae = AutoencoderKL.from_pretrained(BUILTIN_ROOT / "tiny" / "vae")
    with torch.inference_mode():
        images = pictures()
        latents = vae.encode(images).latent_dist.mode() * vae.config.scaling_factor
        small = torch.nn.functional.avg_pool2d(images, images.shape[-1] // latents.shape[-1])
    inputs = latents.permute(0, 2, 3, 1).reshape(PICTURES, -1, latents.shape[1])
    wanted = small.permute(0, 2, 3, 1).reshape(PICTURES, -1, 3)
    inputs = torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)
    known = PICTURES * 2 // 3
    factors = torch.linalg.lstsq(inputs[:known].flatten(0, 1), wanted[:known].flatten(0, 1)).solution
    rest = wanted[known:] - inputs[known:] @ factors
    explained = 1 - rest.pow(2).mean() / (wanted[known:] - wanted[known:].mean((0, 1))).pow(2).mean()
    for row in factors.tolist():
        print("(" + ", ".join(f"{value:.4f}" for value in row) + "),")
    print(f"explains {explained:.1%} of the variance of held-out pictures (the last row is the bias)")


if __name__ == "__main__":
    main()
