"""Do convolutions in half precision give NaN, as on GTX 16xx cards (pytorch/pytorch#58123)?"""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d

from doctor.probes.measure.cuda import devices
from doctor.probes.say import Say

ROUNDS = 10

SHAPES = ((4, 320, 64, 3), (320, 320, 64, 3), (640, 320, 32, 3), (512, 512, 64, 3), (320, 320, 64, 1))
"""Channels in and out, side, kernel: convolutions of SD 1.5's U-Net and of its VAE."""


def measure(say: Say) -> None:
    """Count the results that are not finite, over several random inputs of ordinary size."""
    for device in devices(torch):
        name = str(device)
        say.note(name, torch.cuda.get_device_name(device))
        torch.manual_seed(1)
        bad = done = 0
        for channels, features, side, kernel in SHAPES:
            say.during(f"convolving {channels}x{side}x{side} on {name}")
            for _ in range(ROUNDS):
                image = torch.randn(2, channels, side, side, device=device, dtype=torch.float16)
                # Weights as layers start with: the results stay of order 1, far from what fp16 cannot hold.
                scale = (channels * kernel**2) ** -0.5
                weights = scale * torch.randn(
                    features, channels, kernel, kernel, device=device, dtype=torch.float16
                )
                bad += not bool(torch.isfinite(conv2d(image, weights, padding=kernel // 2)).all())
                done += 1
        say.value("convolutions", done, "count", name)
        say.value("not_finite", bad, "count", name)
