"""Which number formats does this card or processor have trouble with?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.check import Check, FactUnread, require
from doctor.checks.cards import cuda_usable, dotted, evidence_of, names_of
from doctor.compat import NATIVE_BF16
from doctor.facts import Facts, Gpu
from doctor.finding import Finding, Remedy, Severity

_GTX_16 = re.compile(r"\bGTX 16[0-9]{2}\b")


def run(facts: Facts) -> Iterator[Finding]:
    """fp16 on GTX 16xx, bf16 before Ampere, bf16 on the processor."""
    if facts.gpus:
        yield from _cards(facts.gpus, pasted=bool(facts.read_from))
    if not cuda_usable(facts):
        yield _processor(facts)


def _cards(gpus: tuple[Gpu, ...], *, pasted: bool) -> Iterator[Finding]:
    broken = [gpu for gpu in gpus if gpu.capability == (7, 5) and _GTX_16.search(gpu.name or "")]
    if broken:
        yield Finding(
            id="fp16-nan-gtx16xx",
            # In a pasted report the card alone is no complaint: whether NaN is the matter, its messages tell.
            severity=Severity.NOTE if pasted else Severity.WARNING,
            title=f"{names_of(broken)} makes black or green pictures in half precision (fp16).",
            evidence={"gpus": evidence_of(broken)},
            cause="Convolutions in fp16 give NaN on GTX 16xx cards, with any model.",
            remedy=Remedy(
                "Compute in fp32 (in A1111 --no-half, in ComfyUI --force-fp32), with VAE tiling if memory "
                "gets short.",
                ("sdoctor tune",),
            ),
        )
    emulating = [
        gpu
        for gpu in gpus
        if require(gpu.capability, f"gpus[{gpu.index}].capability") < NATIVE_BF16 and gpu not in broken
    ]
    if emulating:
        yield Finding(
            id="bf16-unsupported",
            severity=Severity.NOTE,
            title=f"{names_of(emulating)} has no bfloat16 in hardware: use fp16 for models that are offered "
            "in both.",
            evidence={"gpus": evidence_of(emulating), "native from": dotted(NATIVE_BF16)},
            cause="bfloat16 began with Ampere (RTX 30, A100); torch emulates it on older cards, slowly.",
            remedy=Remedy(
                "Load models with dtype=torch.float16; where that gives black pictures, with torch.float32."
            ),
        )


def _processor(facts: Facts) -> Finding:
    fast = facts.cpu.has_fast_bf16
    if fast is None:
        raise FactUnread("cpu.flags")
    model = facts.cpu.model or "The processor"
    evidence: dict[str, object] = {"cpu.model": facts.cpu.model, "cpu.flags": list(facts.cpu.flags or ())}
    if fast:
        return Finding(
            id="cpu-bf16",
            severity=Severity.OK,
            title=f"{model} multiplies bfloat16 in hardware: precision bf16 should be the fastest choice on "
            "it.",
            evidence=evidence,
        )
    return Finding(
        id="cpu-no-bf16",
        severity=Severity.NOTE,
        title=f"{model} has no bfloat16 in hardware: on the processor, fp32 is the format to use.",
        evidence=evidence,
        cause="Half precision is emulated there and slower than fp32; it only saves memory.",
        remedy=Remedy("Keep fp32 on the processor, and measure before choosing another.", ("sdoctor tune",)),
    )


CHECK = Check(
    name="precision",
    title="Which number formats does this card or processor have trouble with?",
    needs=("gpus",),
    causes={
        "fp16-nan-gtx16xx": "GTX 16xx cards give NaN (black or green pictures) in fp16.",
        "bf16-unsupported": "A card before Ampere has no bfloat16 in hardware.",
        "cpu-no-bf16": "The processor has no bfloat16 in hardware.",
        "cpu-bf16": "The processor has bfloat16 in hardware (nothing wrong).",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch/issues/58123",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/10154",
        "github.com/nunchux-ai/nunchaku/issues/537",
        "github.com/huggingface/transformers/issues/34692",
    ),
)
