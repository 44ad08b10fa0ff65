"""Does the card wait for weights that come over PCIe?"""

from __future__ import annotations

from doctor.finding import Remedy, Severity
from doctor.verdicts.verdict import Rule, Verdict, confidence, figures
from doctor.verdicts.window import Window

TRAFFIC = 20.0
"""Percent of what the link can carry: so much of the time at least goes by with copying. Chosen here; a pipeline that
stays on the card moves almost nothing (huggingface/diffusers#2266: 6 to 2 steps per second by sequential offload)."""

TRAFFIC_SURE = 60.0
WAITING = 85.0
"""Utilisation in percent below which the card waits for something."""


def _judge(window: Window) -> Verdict | None:
    if not window.uses_gpu:
        return None
    work = window.computing
    share, busy = work.pcie_share, work.of_gpu(lambda card: card.utilization)
    if share is None or busy is None or share < TRAFFIC or busy >= WAITING:
        return None
    width = work.of_gpu(lambda card: card.pcie_width)
    return Verdict(
        id="offload-bound",
        severity=Severity.WARNING,
        title=f"The card waits for weights: PCIe is {share:.0f} % full while the card is {busy:.0f} % busy.",
        confidence=confidence(share, TRAFFIC, TRAFFIC_SURE),
        evidence=figures(
            pcie_percent_of_link=share,
            gpu_utilization_percent=busy,
            pcie_received_gb_per_second=_giga(work.of_gpu(lambda card: card.pcie_received)),
            pcie_sent_gb_per_second=_giga(work.of_gpu(lambda card: card.pcie_sent)),
            pcie_generation=work.of_gpu(lambda card: card.pcie_generation),
            pcie_width=width,
        ),
        advice=Remedy(
            "Offload whole models instead of single layers, or none if it fits; see which setting fits at all. "
            "A link of fewer lanes than the card has is worth a look at the slot.",
            ("sdoctor generate --settings offload=model ...", "sdoctor plan MODEL"),
        ),
    )


def _giga(count: float | None) -> float | None:
    return None if count is None else count / 1e9


RULE = Rule(
    name="offload",
    causes={"offload-bound": "Weights are copied over PCIe all the time."},
    judge=_judge,
    sources=(
        "github.com/huggingface/diffusers/issues/2266",
        "huggingface.co/docs/diffusers/optimization/memory",
    ),
)
