"""Does each attention backend work here, and does it compute the same as plain arithmetic?"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from doctor.probes.measure.clock import best_of
from doctor.probes.say import Say

SHAPE = (1, 8, 512, 64)
"""Batch, heads, tokens, size of a head: 64 is what SDXL and FLUX-sized blocks have (SD 1.5 has 40 to 160)."""

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}

TOLERANCE = 0.02
"""Greatest difference from float64 that is no fault. The inputs are of order 1, the results averages of them; half
precision keeps 3 digits (measured with flash on a processor in bf16: 0.002)."""

REFUSALS = ("No available kernel", "No viable backend")
"""What torch says where a backend has no kernel for the card, the format or the size
(pytorch/pytorch aten/src/ATen/native/transformers: sdp_utils.cpp, attention.cpp)."""

BUDGET = 0.05


def measure(say: Say) -> None:
    """Every backend on the first card in fp16, or on the processor in fp32."""
    cuda = torch.cuda.is_available()
    device, dtype = ("cuda:0", torch.float16) if cuda else ("cpu", torch.float32)
    generator = torch.Generator().manual_seed(1)
    exact = [torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(3)]
    wanted = torch.softmax(exact[0] @ exact[1].mT / math.sqrt(SHAPE[-1]), dim=-1) @ exact[2]
    q, k, v = (one.to(device, dtype) for one in exact)
    for name, backend in BACKENDS.items():

        def sdpa(backend: SDPBackend = backend) -> Any:
            with sdpa_kernel(backend):
                return scaled_dot_product_attention(q, k, v)

        _try(say, name, device, sdpa, wanted)
    if importlib.util.find_spec("xformers") is not None:
        # xformers keeps the heads behind the tokens.
        turned = [one.transpose(1, 2).contiguous() for one in (q, k, v)]

        def efficient() -> Any:
            from xformers.ops import memory_efficient_attention

            return memory_efficient_attention(*turned).transpose(1, 2)

        _try(say, "xformers", device, efficient, wanted)


def _try(say: Say, name: str, device: str, run: Callable[[], Any], wanted: torch.Tensor) -> None:
    """Say "ok", "refused: ..." (this card or build has no such kernel), "failed: ..." or "wrong: ..."."""
    say.during(name)
    with warnings.catch_warnings(record=True) as reasons:
        warnings.simplefilter("always")
        try:
            worst = float((run().to("cpu", torch.float64) - wanted).abs().max())
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (the error is the answer)
            refused = isinstance(error, NotImplementedError) or any(words in str(error) for words in REFUSALS)
            why = "; ".join(dict.fromkeys(str(one.message).split(" (Triggered")[0] for one in reasons))
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            say.note(
                name, f"refused: {why or first}" if refused else f"failed: {type(error).__name__}: {first}"
            )
            return
    if not worst <= TOLERANCE:
        say.note(name, f"wrong: the result is off by {worst:.3g}")
        return
    say.note(name, "ok")

    def timed() -> None:
        run()
        if device != "cpu":
            torch.cuda.synchronize()

    say.value(name, 1e6 * best_of(timed, BUDGET), "us", device)
