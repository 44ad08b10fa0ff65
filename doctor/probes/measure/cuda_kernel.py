"""Does a kernel run on every card, and is its result right?"""

from __future__ import annotations

import torch

from doctor.probes.say import Say


def measure(say: Say) -> None:
    """A sum by a kernel of torch's own and a product by cuBLAS, each compared with what it must be."""
    for index in range(torch.cuda.device_count()):
        device = f"cuda:{index}"
        say.during(f"a kernel on {device}")
        ones = torch.ones(256, 256, device=device)
        total, product = float((ones + ones).sum()), float((ones @ ones)[0, 0])
        if total != 2 * 256 * 256 or product != 256:
            raise ArithmeticError(
                f"{device} computes wrongly: {total} for {2 * 256 * 256}, {product} for 256"
            )
    say.value("cards", torch.cuda.device_count(), "count")
