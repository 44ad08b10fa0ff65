"""Do the attention backends work, and is a fast one among them?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.live.results import answered
from doctor.facts import Facts, ProbeResult
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of


def run(facts: Facts) -> Iterator[Finding]:
    """A backend may refuse a card; it must not fail or compute wrongly."""
    result = answered(facts, "attention")
    if result is None:
        return
    on_card = any(device != "cpu" for device in result.devices)
    broken = {
        name: answer for name, answer in result.notes.items() if _is_broken(name, answer, on_card=on_card)
    }
    if broken:
        yield _broken(facts, broken, result)
    fast = [name for name in ("flash", "efficient", "cudnn") if result.notes.get(name) == "ok"]
    if on_card and not fast and result.notes.get("math") == "ok":
        yield Finding(
            id="attention-only-math",
            severity=Severity.WARNING,
            title="Of torch's attention backends only the slow one (math) works on this card.",
            evidence=dict(result.notes),
            cause="The card is too old for the fused kernels, or the torch build lacks them. Attention then "
            "needs memory that grows with the fourth power of the picture's side.",
            remedy=Remedy("Keep pictures small, or use attention slicing; a torch build with fused kernels "
                          "for this card helps most.", ("sdoctor tune",)),
        )  # fmt: skip


def _is_broken(name: str, answer: str, *, on_card: bool) -> bool:
    # xformers has no kernels for a processor, but on a card its refusal of an ordinary problem is a fault.
    refused = answer.startswith("refused") and name == "xformers" and on_card
    return answer.startswith(("failed", "wrong")) or refused


def _broken(facts: Facts, broken: dict[str, str], result: ProbeResult) -> Finding:
    wrong = any(answer.startswith("wrong") for answer in broken.values())
    own = [name for name in broken if name != "xformers"]
    remedy = Remedy("Choose another backend; update torch and the driver together.", ("sdoctor tune",))
    if not own:
        remedy = Remedy(
            "Remove xformers: torch's own attention does the same work.",
            (f"{pip_of(facts)} uninstall -y xformers",),
        )
    names = " and ".join(broken)
    return Finding(
        id="attention-backend-broken",
        severity=Severity.ERROR if wrong and own else Severity.WARNING,
        title=f"The attention backend {names} {'computes wrongly' if wrong else 'fails'} on this machine."
        if len(broken) == 1
        else f"The attention backends {names} fail on this machine.",
        evidence=dict(result.notes),
        cause="An ordinary problem (8 heads of size 64, 512 tokens) was put to it. Pictures that are made "
        "with it fail or come out wrong.",
        remedy=remedy,
    )


CHECK = Check(
    name="live-attention",
    title="Does every attention backend work?",
    needs=(),
    causes={
        "attention-backend-broken": "An attention backend fails or computes wrongly on a small problem.",
        "attention-only-math": "On this card only the slow attention backend works.",
    },
    run=run,
    sources=(
        "docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html",
        "huggingface.co/docs/diffusers/optimization/attention_backends",
        "github.com/pytorch/pytorch/issues/181379",
    ),
)
