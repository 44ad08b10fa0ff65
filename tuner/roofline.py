"""How long a generation may take: the larger of arithmetic and traffic on paper, times an efficiency. An estimate."""

from __future__ import annotations

from doctor.cards import Card
from tuner.dryrun.rows import Answer
from tuner.replay import StagePeak

# Share of the paper rate that whole generations reach. Large cards: SDXL, 30 steps in 3.31 s on an A100
# (0.39) and FLUX.1-dev, 50 steps in 12 s on an H100 (0.31; huggingface.co/blog/diffusers-quantization). Without: SD 1.4
# and SDXL at 512x512 on P100 and GTX 1070 (0.43 to 0.73; gperdrizet/unit-6-assignments).
_LARGE_CARD_EFFICIENCY = 0.35
_PLAIN_EFFICIENCY = 0.55
# Smaller cards are easier to keep busy: those below this rate are taken to reach what cards without tensor cores do.
_LARGE_CARD_TFLOPS = 200
_BANDWIDTH_EFFICIENCY = 0.8
# Every operation is counted as if it read and wrote the card's memory; caches and fused kernels save about half.
_REAL_TRAFFIC = 0.5
# Share of PCIe's paper rate: SDXL on a P100 takes 62 s more for 30 steps with sequential offload, 4.1 s more with
# model offload (same source).
_LEAF_TRANSFER = 0.16
_COMPONENT_TRANSFER = 0.11
_PREFETCHED_TRANSFER = 0.5


def seconds_per_image(
    answer: Answer, stages: tuple[StagePeak, ...], card: Card, precision: str, offload: str, steps: int
) -> float:
    """An estimate of the wall time for one picture of the batch, loading left out."""
    half = precision != "fp32"
    if half and card.tensor_tflops:
        large = card.tensor_tflops > _LARGE_CARD_TFLOPS
        rate = card.tensor_tflops * 1e12 * (_LARGE_CARD_EFFICIENCY if large else _PLAIN_EFFICIENCY)
    else:
        rate = card.fp32_tflops * 1e12 * _PLAIN_EFFICIENCY
    bandwidth = card.bandwidth_gbs * 1e9 * _BANDWIDTH_EFFICIENCY
    total = 0.0
    for stage in stages:
        once = max(stage.flops / rate, stage.moved_bytes * _REAL_TRAFFIC / bandwidth)
        total += once * (steps if stage.name == "denoise" else 1)
    return (total + _transfers(answer, card, offload, steps)) / answer.batch


def _transfers(answer: Answer, card: Card, offload: str, steps: int) -> float:
    if offload == "none":
        return 0.0
    if offload == "model":
        return sum(part.bytes for part in answer.components) / (card.pcie_bytes * _COMPONENT_TRANSFER)
    share = _PREFETCHED_TRANSFER if offload == "group" else _LEAF_TRANSFER
    moved = 0
    for index in answer.order:
        call = answer.calls[index]
        moved += call.component.bytes * (steps if call.stage == "denoise" else 1)
    return moved / (card.pcie_bytes * share)
