"""Error lines of Apple's MPS backend."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, is_mac
from doctor.compat import release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy
from doctor.remedies import pip_install

_MACOS = (((2, 10), (14, 0)), ((2, 5), (13, 0)), ((1, 12), (12, 3)))
"""From which torch on MPS needs which macOS (github.com/pytorch/pytorch/issues/78343, 139425, 164943)."""

_BF16 = (14, 0)
"""bfloat16 on MPS begins with macOS 14 (github.com/pytorch/pytorch/pull/119641)."""

_FLUX_FIXED = (0, 31)
"""diffusers before it computes FLUX's rotary embedding in float64 on every device (huggingface/diffusers#9224)."""

_HALF_WORKS = (2, 1)
"""float16 on MPS crashed with torch 2.0.1 (github.com/huggingface/diffusers/issues/4480)."""


def _run(facts: Facts) -> Iterator[Finding]:
    yield from _system(facts)
    yield from _half(facts)
    yield from _flux(facts)


def _system(facts: Facts) -> Iterator[Finding]:
    said = facts.message("mps-os")
    match = re.search(r"mac ?OS[- ]v?(\d+(?:\.\d+)*)", facts.host.distribution or "", re.I)
    here = release(match[1]) if match else None
    torch = release(facts.torch.version) if facts.torch else None
    need: tuple[int, ...] | None = next((macos for first, macos in _MACOS if torch and torch >= first), None)
    if facts.message("mps-bf16"):
        need = _BF16
    demanded = release(said.values.get("wanted")) if said else None
    need = max((one for one in (need, demanded) if one), default=None)
    arm = facts.host.machine in ("arm64", None)
    old = bool(here and need and arm and here < need)
    if not (said or old):
        return
    wanted = ".".join(map(str, need)) if need else "14.0"
    is_here = f"macOS {match[1]}" if match else "This macOS"
    told = said.values.get("wanted") if said else None
    dated = told is not None and told.rstrip(".") != wanted
    wrong = f" torch's message names {told}, which is out of date." if dated else ""
    yield finding_of(
        "mps-os-too-old",
        said,
        f"{is_here} is older than this torch's MPS backend needs: macOS {wanted} or newer.",
        f"Without it torch computes on the processor only.{wrong}",
        Remedy("Update macOS, or use an older torch.", ("softwareupdate --install --all",)),
        evidence={
            "host.distribution": facts.host.distribution,
            "torch.version": facts.torch.version if facts.torch else None,
        },
    )


def _too_old_for_bf16(facts: Facts) -> bool:
    return any(finding.id == "mps-os-too-old" for finding in _system(facts))


def _half(facts: Facts) -> Iterator[Finding]:
    torch = release(facts.torch.version) if facts.torch else None
    early = facts.message("half-asked") if torch and torch < _HALF_WORKS else None
    nan = next(
        (one for kind in ("nan-unet", "nan-image", "black-image") if (one := facts.message(kind))), None
    )
    on_mac = facts.message("half-cpu") or early or (nan if not facts.message("nan-vae") else None)
    said = facts.message("mps-half") or (on_mac if is_mac(facts) else None)
    if said:
        yield finding_of(
            "mps-fp16",
            said,
            "Half precision (float16) fails on the MPS backend of this torch.",
            "Some of its operations have no float16 kernel, or mix the two formats. float32 has them all.",
            Remedy(
                "Use float32 (no torch_dtype=torch.float16; in web UIs --no-half), or update torch.",
                (pip_install("torch", "torchvision"),),
            ),
        )


def _flux(facts: Facts) -> Iterator[Finding]:
    asked, pipeline, diffusers = (
        facts.message("mps-asked"),
        facts.message("flux-pipeline"),
        facts.package("diffusers"),
    )
    version = release(diffusers.version) if diffusers else None
    if asked and pipeline and version and version < _FLUX_FIXED and not facts.message("mps-float64"):
        yield finding_of(
            "mps-unsupported-op",
            pipeline,
            f"FLUX of diffusers {diffusers.version if diffusers else ''} computes in float64 (double), "
            f"which MPS "
            "does not have.",
            "It makes the positions of the picture in double precision. Later versions of diffusers ask "
            "the device first.",
            Remedy("Update diffusers.", (pip_install("diffusers"),)),
        )


_FALLBACK = Remedy(
    "Let such operations run on the processor, and update torch.",
    ("export PYTORCH_ENABLE_MPS_FALLBACK=1", pip_install("torch", "torchvision")),
)
_RULES = (
    Rule(kind="mps-float64", id="mps-unsupported-op", title="MPS has no float64 (double precision).",
         cause="A part of the program makes double-precision tensors. Apple's GPU has no such numbers.",
         remedy=Remedy("Update diffusers or the program, or cast to "
              "float32.", (pip_install("diffusers"),))),
    Rule(kind="mps-dtype", id="mps-unsupported-op",
         title=lambda _facts, message: f"MPS has no {message.values.get('dtype', 'such number format')}.",
         cause="Apple's backend lacks some number formats, such as the 8-bit floats of many FLUX files "
              "and complex doubles.",
         remedy=Remedy("Use a file in float16 or bfloat16, or a GGUF one, and fp16 text encoders.")),
    Rule(kind="mps-bf16", id="mps-unsupported-op", title="This MPS backend has no bfloat16 (bf16).",
         cause="bfloat16 on MPS needs macOS 14, a current torch and an Apple processor. Macs with AMD "
              "cards have none.",
         remedy=Remedy("Update macOS and torch, or start with --force-fp16 or --force-fp32."),
         applies=lambda facts: not _too_old_for_bf16(facts)),
    Rule(kind="mps-op", id="mps-unsupported-op", title="MPS does not have an operation that the program "
         "uses.",
         cause="The backend of this torch lacks it. The processor has them all, more "
              "slowly.", remedy=_FALLBACK),
)  # fmt: skip

CHECK = check_of(
    "apple",
    "Do the error lines belong to Apple's MPS backend?",
    {
        "mps-os-too-old": "macOS is older than this torch's MPS backend needs.",
        "mps-fp16": "Half precision fails on this MPS backend.",
        "mps-unsupported-op": "An operation or number format that MPS does not have.",
    },
    (
        "github.com/pytorch/pytorch/issues/77764",
        "github.com/pytorch/pytorch/issues/78343",
        "github.com/pytorch/pytorch/issues/139425",
        "github.com/pytorch/pytorch/issues/164943",
        "github.com/huggingface/diffusers/issues/9224",
    ),
    rules=_RULES,
    run=_run,
)
