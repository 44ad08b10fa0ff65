"""Did the driver log faults of a card since the system was started?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.facts import Facts, Xid
from doctor.finding import Finding, Remedy, Severity
from doctor.xids import Fault, meaning_of

_REMEDIES = {
    Fault.CARD: "Check the card's seat, power cables and heat, take overclocking back; if it comes back, the card "
    "or its slot is faulty.",
    Fault.DRIVER: "Restart the machine and update the driver.",
    Fault.PROGRAM: "Nothing has to be done if no program failed lately; else restart that program, and take "
    "overclocking back.",
}


def run(facts: Facts) -> Iterator[Finding]:
    """One finding, as severe as the worst code. Without the kernel's log there is nothing to say."""
    if not facts.xids:
        return
    faults = [meaning_of(one.code).fault for one in facts.xids]
    worst = next(fault for fault in (Fault.CARD, Fault.DRIVER, Fault.PROGRAM) if fault in faults)
    guilty = [one for one in facts.xids if meaning_of(one.code).fault is worst]
    others = len(facts.xids) - len(guilty)
    yield Finding(
        id="gpu-xid",
        # What was logged may be over: an error is only what a check of the present finds.
        severity=Severity.NOTE if worst is Fault.PROGRAM else Severity.WARNING,
        title=f"The driver logged {'; '.join(map(_words, guilty[:3]))}{f'; and {others} more' if others else ''}.",
        evidence={
            "xids": [
                {"code": one.code, "device": one.device, "count": one.count, "text": one.text}
                for one in facts.xids
            ]
        },
        cause="Xid lines in the kernel's log are the driver's record of faults since the last start. Some are a "
        "program's fault, some the card's.",
        remedy=Remedy(
            _REMEDIES[worst], ("sudo dmesg | grep -i xid", "nvidia-smi -q -d ECC,TEMPERATURE,POWER")
        ),
    )


def _words(xid: Xid) -> str:
    times = f", {xid.count} times" if xid.count > 1 else ""
    return f"Xid {xid.code} ({meaning_of(xid.code).words}{times})"


CHECK = Check(
    name="xid",
    title="Did the driver log faults of a card?",
    needs=(),
    causes={"gpu-xid": "The driver logged a fault (Xid)."},
    run=run,
    sources=("docs.nvidia.com/deploy/xid-errors", "github.com/facebookresearch/gcm"),
    echoes=True,
)
