"""How fast does this processor multiply matrices, in each format, and how much do more threads help?"""

from __future__ import annotations

import torch

from doctor.probes.measure.clock import best_of
from doctor.probes.say import Say

SIDE, SIDE_OF_MANY, MANY = 1024, 2048, 8
"""Large enough to keep every core busy (more than MANY need a larger product), small enough for one core."""

SIDE_FIRST = 256
"""A format without a fast path (fp16 on most processors, bf16 on many) takes a thousand times as long; a small one tells."""

LONGEST = 0.5
"""Seconds that one large product may take; where it would take longer, the rate of the small one is the answer."""

ROUNDS, BUDGET = 3, 0.08
"""Rounds, and seconds per format and round. The kernel may leave two threads on one core for a while: of 12 runs with
one round of 0.15 s one measured half of the rate, so the rounds are spread out and the best one counts."""


def measure(say: Say) -> None:
    """fp32, bf16 and fp16 with all threads that torch would start, fp32 with one."""
    threads = torch.get_num_threads()
    whole = SIDE if threads <= MANY else SIDE_OF_MANY
    say.value("threads", threads, "count", "cpu")
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    best = dict.fromkeys(formats, 0.0)
    alone = 0.0
    for _ in range(ROUNDS):
        for name, dtype in formats.items():
            say.during(f"{name} with {threads} threads")
            best[name] = max(best[name], _rate(dtype, whole))
        if threads > 1:
            say.during("fp32 with one thread")
            torch.set_num_threads(1)
            alone = max(alone, _rate(torch.float32, whole))
            torch.set_num_threads(threads)
    for name, rate in best.items():
        say.value(name, rate, "TFLOP/s", "cpu")
    if alone:
        say.value("fp32_one_thread", alone, "TFLOP/s", "cpu")


def _rate(dtype: torch.dtype, side: int) -> float:
    """TFLOP/s of a product of two squares of ``side``, or of small ones where that would take too long."""
    small = _rate_at(dtype, SIDE_FIRST)
    return small if 2 * side**3 / (small * 1e12) > LONGEST else _rate_at(dtype, side)


def _rate_at(dtype: torch.dtype, side: int) -> float:
    left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
    out = torch.empty(side, side, dtype=dtype)
    return float(2 * side**3 / best_of(lambda: torch.mm(left, right, out=out), BUDGET) / 1e12)
