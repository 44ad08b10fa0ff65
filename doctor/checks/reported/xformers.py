"""Error lines of xformers."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.checks.reported.rules import check_of, finding_of, is_mac
from doctor.compat import NATIVE_BF16, release
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy
from doctor.remedies import pip_of


def _run(facts: Facts) -> Iterator[Finding]:
    pair = facts.message("xformers-pair")
    built = facts.message("xformers-built")
    if pair and _differ(pair):
        yield _mismatch(
            facts,
            pair,
            f"xformers was built for torch {pair.values['built']}, not for {pair.values['here']}.",
        )
    elif built and not facts.message("xformers-dtype"):
        have = facts.torch.version if facts.torch else None
        yield _mismatch(
            facts, built, f"xformers' extensions do not load beside torch {have or '(version unknown)'}."
        )
    yield from _bf16(facts)
    operator = facts.message("xformers-no-operator")
    if operator and not (pair or built or _lacks_bf16(facts)):
        yield _no_operator(facts, operator)
    missing = facts.message("xformers-missing")
    if missing and not (pair or built):
        yield _missing(facts, missing)


def _differ(pair: Message) -> bool:
    return pair.values["built"] != pair.values["here"]


def _mismatch(facts: Facts, said: Message, title: str) -> Finding:
    torch = facts.torch.version if facts.torch else None
    return finding_of(
        "xformers-mismatch",
        said,
        title,
        "Its extensions were compiled for one torch, CUDA and Python and do not load beside another.",
        Remedy(
            "Remove it: torch's own attention (SDPA) does the work (leave --xformers out). Or install the "
            "version made for "
            "your torch, without letting it replace torch.",
            (f"{pip_of(facts)} uninstall -y xformers",),
        ),
        evidence={"torch.version": torch},
    )


def _lacks_bf16(facts: Facts) -> bool:
    card = facts.message("xformers-capability")
    capability = (
        (int(card.values["major"]), int(card.values["minor"])) if card and "major" in card.values else None
    )
    if capability is None:
        capability = next((gpu.capability for gpu in facts.gpus or () if gpu.capability), None)
    return capability is not None and capability < NATIVE_BF16


def _bf16(facts: Facts) -> Iterator[Finding]:
    said = facts.message("xformers-dtype") or facts.message("xformers-cutlass")
    said = said or facts.message("xformers-capability")
    if said is None or not _lacks_bf16(facts) or not facts.message("xformers-no-operator"):
        return
    if facts.message("xformers-built"):
        return
    card = facts.message("xformers-capability")
    capability = f"{card.values['major']}.{card.values['minor']}" if card else "below 8.0"
    name = next(
        (gpu.name for gpu in facts.gpus or () if gpu.capability and gpu.capability < NATIVE_BF16), None
    )
    yield finding_of(
        "bf16-unsupported",
        said,
        f"bfloat16 (bf16) on {name or 'a card'} of compute capability {capability}, which has none.",
        "bfloat16 begins with compute capability 8.0 (Ampere). xformers has float16 kernels for older "
        "cards but no "
        "bfloat16 ones.",
        Remedy("Load the model in float16 or float32 (fp16, half), or use torch's own attention."),
    )


def _no_operator(facts: Facts, said: Message) -> Finding:
    return finding_of(
        "xformers-mismatch",
        said,
        "xformers has no operator for this card, number format or head size.",
        "Its kernels are compiled for a range of cards: 0.0.31 and newer begin with Turing, and builds "
        "before CUDA 12.8 have "
        "no RTX 50.",
        Remedy(
            "Remove xformers; torch's own attention (SDPA) does the work.",
            (f"{pip_of(facts)} uninstall -y xformers",),
        ),
    )


def _missing(facts: Facts, said: Message) -> Finding:
    numbers = release(facts.python.version)
    unfit = bool(numbers and not (3, 10) <= numbers[:2] <= (3, 13))
    mac = " It has no use on a Mac." if is_mac(facts) else ""
    return finding_of(
        "xformers-missing",
        said,
        f"xformers is wanted but not installed for this "
        f"Python{' ' + (facts.python.version or '') if unfit else ''}.",
        "Its wheels exist for some Python versions and for CUDA only, and the flag --xformers does not "
        "bring them by force."
        f"{mac}",
        Remedy(
            "Start without --xformers (torch's own attention does the work), or use Python 3.10 or 3.11 "
            "and install a matching "
            "wheel.",
            (f"{pip_of(facts)} install xformers --no-deps",),
        ),
    )


CHECK = check_of(
    "xformers",
    "Do the error lines blame xformers?",
    {
        "xformers-mismatch": "xformers was built for another torch, CUDA or card.",
        "xformers-missing": "xformers is wanted but not installed for this Python.",
        "bf16-unsupported": "bfloat16 on a card whose xformers kernels do not have it.",
    },
    (
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/11395",
        "github.com/Comfy-Org/ComfyUI/issues/11602",
        "github.com/facebookresearch/xformers (xformers/_cpp_lib.py)",
    ),
    run=_run,
)
