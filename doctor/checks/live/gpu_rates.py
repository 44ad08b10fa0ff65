"""Do the cards compute and copy as fast as their published figures say?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.cards import Card
from doctor.check import Check
from doctor.checks.live.results import answered, by_device, gpu_named, published, shown
from doctor.compat import NATIVE_BF16
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity

LOW_RATE, LOW_RATE_LAPTOP = 0.5, 0.3
"""Share of the published rate below which something is wrong. Healthy cards reach 0.70 to 0.87 of it in large
products (github.com/stas00/ml-engineering, compute/accelerator/benchmarks); laptops' clocks differ by 40 % from
model to model."""

LOW_COPY = 0.5
"""Share of a link's rate on paper. Healthy ones reach about 0.78 (12 of 15.8 GB/s with generation 3, 16 lanes), a link
with half of the lanes 0.39."""

LOW_BANDWIDTH = 0.5
"""Share of the published bandwidth of the card's memory. Ours, with room: a copy should reach three quarters."""


def run(facts: Facts) -> Iterator[Finding]:
    """Compare with doctor.cards; a card that is not listed there is not judged, save for its link."""
    result = answered(facts, "gpu-rate")
    for _, name, figures in by_device(result) if result else ():
        card = published(name)
        if card is not None:
            yield from _products(name, figures, card, facts)
            yield from _memory(name, figures, card)
    copies = answered(facts, "gpu-copy")
    for _, name, figures in by_device(copies) if copies else ():
        yield from _link(name, figures, facts)


def _products(name: str, figures: dict[str, float], card: Card, facts: Facts) -> Iterator[Finding]:
    wanted: dict[str, float | None] = {"fp32": card.fp32_tflops, "fp16": card.tensor_tflops}
    if card.capability >= NATIVE_BF16:
        wanted["bf16"] = card.tensor_tflops
    bound = LOW_RATE_LAPTOP if "laptop" in name.lower() else LOW_RATE
    low = {
        kind: (figures[kind], peak)
        for kind, peak in wanted.items()
        if peak and kind in figures and figures[kind] < bound * peak
    }
    if not low:
        return
    gpu = gpu_named(facts, name)
    words = ", ".join(
        f"{shown(rate)} of {shown(peak)} TFLOP/s in {kind}" for kind, (rate, peak) in low.items()
    )
    yield Finding(
        id="matrix-rate-low",
        severity=Severity.WARNING,
        title=f"{name} multiplies matrices far below its published rate: {words}.",
        evidence={
            "measured TFLOP/s": {kind: figures[kind] for kind in wanted if kind in figures},
            "published TFLOP/s": wanted,
            "bound": bound,
            "clock reasons before": list(gpu.clock_reasons or ()) if gpu else None,
            "source": card.source,
        },
        cause="Another program uses the card, or heat, power or a laptop on battery holds its clocks down.",
        remedy=Remedy(
            "Close other programs that use the card, plug the laptop in, and look at clocks and their reasons "
            "while it works.",
            ("nvidia-smi -q -d CLOCK,PERFORMANCE,POWER,TEMPERATURE",),
        ),
    )


def _memory(name: str, figures: dict[str, float], card: Card) -> Iterator[Finding]:
    copy = figures.get("copy")
    if copy is not None and copy < LOW_BANDWIDTH * card.bandwidth_gbs:
        yield Finding(
            id="gpu-memory-slow",
            severity=Severity.WARNING,
            title=f"{name} copies its memory at {shown(copy)} GB/s; published are {shown(card.bandwidth_gbs)}.",
            evidence={"measured GB/s": copy, "published GB/s": card.bandwidth_gbs, "source": card.source},
            cause="Another program uses the card, or its memory clock is held down to save power.",
            remedy=Remedy(
                "Close other programs that use the card and look at its clocks while it works.",
                ("nvidia-smi -q -d CLOCK,PERFORMANCE",),
            ),
        )


def _link(name: str, figures: dict[str, float], facts: Facts) -> Iterator[Finding]:
    copy, on_paper = figures.get("pinned_to_card"), _on_paper(name, facts)
    if copy is None or on_paper is None or copy >= LOW_COPY * on_paper:
        return
    now = {key: figures.get(f"pcie_{key}") for key in ("generation", "width")}
    under = ""
    if now["generation"] and now["width"]:
        under = f" (generation {now['generation']:.0f}, {now['width']:.0f} lanes during the copy)"
    yield Finding(
        id="copy-rate-low",
        severity=Severity.WARNING,
        title=f"Copies to {name} reach {shown(copy)} GB/s of the {shown(on_paper)} GB/s of its link on paper{under}.",
        evidence={"measured GB/s": {key: value for key, value in figures.items() if "card" in key},
                  "on paper GB/s": on_paper, "link during the copy": now},
        cause="The slot has fewer lanes or an older generation than the card, or a riser or a shared M.2 slot takes "
        "them. Loading models and CPU offload take as much longer.",
        remedy=Remedy("Put the card into the slot next to the processor, without a riser; in the firmware's "
                      "settings choose the newest PCIe generation.",
                      ("nvidia-smi -q -d PERFORMANCE", "sudo lspci -vv | grep -e NVIDIA -e LnkSta")),
    )  # fmt: skip


def _on_paper(name: str, facts: Facts) -> float | None:
    """GB/s of the widest and newest link that card and slot allow: 0.985 per lane for generation 3, doubled by each."""
    gpu, card = gpu_named(facts, name), published(name)
    if gpu is not None and gpu.pcie_generation_max and gpu.pcie_width_max:
        return float(0.985 * gpu.pcie_width_max * 2.0 ** (gpu.pcie_generation_max - 3))
    return card.pcie_bytes / 1e9 if card is not None else None


CHECK = Check(
    name="live-gpu-rates",
    title="Do the cards compute and copy as fast as they should?",
    needs=(),
    causes={
        "matrix-rate-low": "Matrix products run far below the published rate of the card.",
        "gpu-memory-slow": "The card copies its memory far below its published bandwidth.",
        "copy-rate-low": "Copies between main memory and the card are far below the rate of its PCIe link.",
    },
    run=run,
    sources=(
        "github.com/stas00/ml-engineering (compute/accelerator/benchmarks)",
        "github.com/NVIDIA/nvbandwidth",
        "github.com/Tiiny-AI/PowerInfer/issues/237",
    ),
)
