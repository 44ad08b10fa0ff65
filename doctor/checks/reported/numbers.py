"""Error lines about NaN, black pictures and number formats."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.checks.cards import dotted
from doctor.checks.reported.rules import Rule, check_of, finding_of, is_mac
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy, Severity

_GTX_16 = re.compile(r"\bGTX ?16\d\d\b", re.I)
_SAID = ("nan-unet", "nan-image", "black-image")


def _run(facts: Facts) -> Iterator[Finding]:
    sixteen = next((gpu.name for gpu in facts.gpus or () if _GTX_16.search(gpu.name or "")), None)
    vae = facts.message("nan-vae")
    said = next((one for kind in _SAID if (one := facts.message(kind))), None)
    if is_mac(facts) and said and not vae:
        pass  # the check of Apple's backend says it
    elif sixteen and (said or vae):
        yield _gtx16(said or vae, sixteen)
    elif vae or (said and said.kind == "nan-image" and not facts.message("nan-unet")):
        yield _vae(vae or said)
    elif said and said.kind == "black-image" and facts.message("vae-or-sdxl"):
        yield _vae(said)
    elif said and said.kind == "nan-unet":
        yield _unet(facts, said)
    bf16 = facts.message("bf16")
    if bf16 and not is_mac(facts):
        yield _bf16(facts, bf16)


def _gtx16(said: Message | None, card: str) -> Finding:
    return finding_of(
        "fp16-nan-gtx16xx",
        said,
        f"{card} (GTX 16xx series) gives NaN, seen as black or green pictures, in half precision "
        f"(float16, fp16).",
        "Convolutions in half precision are broken on cards of the GTX 16xx series, with every model. "
        "float32 is right.",
        Remedy(
            "Load the pipeline in float32 (leave torch_dtype=torch.float16 out); in A1111 and Forge "
            "--no-half "
            "--precision full, in ComfyUI --force-fp32."
        ),
    )


def _vae(said: Message | None) -> Finding:
    return finding_of(
        "fp16-nan-vae",
        said,
        "The picture became NaN (black), most likely in the VAE in half precision.",
        "The VAE of SDXL, and some others, overflows in float16. The denoiser before it was right.",
        Remedy(
            "Run the VAE in float32 (fp32: --no-half-vae, ComfyUI --fp32-vae, diffusers upcast_vae), or "
            "use "
            "madebyollin/sdxl-vae-fp16-fix."
        ),
    )


def _unet(facts: Facts, said: Message) -> Finding:
    nameless = not facts.gpus
    return finding_of(
        "fp16-nan-gtx16xx" if nameless else "fp16-nan-unet",
        said,
        "The U-Net gave NaN in half precision (float16)"
        + (
            ", as cards of the GTX 16xx series (1650, 1660) do with every model."
            if nameless
            else " on this card."
        ),
        "Half precision overflows there: on GTX 16xx always, elsewhere with SD 2.x models and some LoRA "
        "or merged files.",
        Remedy(
            "Start with --no-half --precision full (float32), or switch on 'Upcast cross attention "
            "layer to float32'."
        ),
    )


def _bf16(facts: Facts, said: Message) -> Finding:
    card = next((gpu for gpu in facts.gpus or () if gpu.capability and gpu.capability < (8, 0)), None)
    named = ""
    if card and card.capability:
        named = f"{card.name} (compute capability {dotted(card.capability)})"
    return finding_of(
        "bf16-unsupported",
        said,
        f"bfloat16 (bf16) is not supported by {named or 'this GPU or operation'}.",
        "bfloat16 begins with compute capability 8.0 (Ampere: RTX 30, A100), and older torch releases "
        "lack it in some "
        "operations.",
        Remedy("Use float16 (fp16, --dtype half, dtype=torch.float16) or float32 instead."),
    )


_RULES = (
    Rule(kind="half-cpu", id="half-on-cpu", title="Half precision (float16) was used on the processor.",
         cause="Many operations have no float16 code for the processor, or very slow code. The card is "
              "not used at all here.",
         remedy=Remedy("Use float32 (--no-half --precision full), or see to it that torch uses the card."),
         applies=lambda facts: not is_mac(facts)),
    Rule(kind="fp8", id="fp8-unsupported", title="8-bit floats (fp8) are not supported by this torch, "
         "card or operation.",
         cause="fp8 in hardware begins with compute capability 8.9 (RTX 40), and torch knows the format "
              "since 2.1. Older ones can at "
         "best store it.",
         remedy=Remedy("Use a float16, bfloat16 or GGUF file, or update torch."),
         applies=lambda facts: not is_mac(facts)),
    Rule(kind="dtype-mix", id="dtype-mixed", title="Two number formats meet in one operation.",
         cause="One part of the pipeline is in half precision and another is not. Mixed loading or an "
              "extension does that.",
         remedy=Remedy("Load all parts with one dtype; in web UIs switch the extension off or start with "
              "--no-half."),
         severity=Severity.WARNING, applies=lambda facts: not is_mac(facts)),
    Rule(kind="nsfw", id="safety-checker", title="The safety checker replaced the picture by a black "
         "one.", severity=Severity.NOTE,
         cause="It guesses that the picture is not safe for work, and is often wrong. Nothing is broken.",
         remedy=Remedy("Change prompt or seed.")),
)  # fmt: skip

CHECK = check_of(
    "numbers",
    "Do the error lines speak of NaN, black pictures or number formats?",
    {
        "fp16-nan-gtx16xx": "NaN from half precision on GTX 16xx.",
        "fp16-nan-vae": "NaN from a VAE in half precision.",
        "fp16-nan-unet": "NaN from the U-Net in half precision.",
        "bf16-unsupported": "bfloat16 on a card or kernel without it.",
        "half-on-cpu": "Half precision on the processor.",
        "fp8-unsupported": "8-bit floats where they do not work.",
        "dtype-mixed": "Two number formats in one operation.",
        "safety-checker": "The safety checker made the picture black (nothing wrong).",
    },
    (
        "github.com/pytorch/pytorch/issues/58123",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/10154",
        "github.com/huggingface/diffusers/issues/4325",
        "github.com/huggingface/transformers/issues/34692",
    ),
    rules=_RULES,
    run=_run,
)
