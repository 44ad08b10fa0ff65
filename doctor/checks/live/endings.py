"""Did a probe crash, hang, or fail in a way that nobody foresaw?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from doctor.check import Check
from doctor.checks.live.results import quoted
from doctor.facts import Facts, ProbeOutcome, ProbeResult
from doctor.finding import Finding, Remedy, Severity
from doctor.probes.catalogue import PROBES

_BASIC = frozenset({"import-torch", "import-diffusers", "cuda-init", "cuda-kernel"})
"""Without these no picture can be made."""

_JUDGED = _BASIC | {"import-xformers"}
"""Their errors have checks of their own."""

_DOING = {probe.name: probe.doing for probe in PROBES}


def run(facts: Facts) -> Iterator[Finding]:
    """One finding for all crashes, one for all hangs, one for all other failures."""
    ended: dict[ProbeOutcome, list[ProbeResult]] = {}
    for result in facts.probes or ():
        if not _follows(facts, result):
            ended.setdefault(result.outcome, []).append(result)
    if crashed := ended.get(ProbeOutcome.CRASHED):
        yield Finding(
            id="probe-crashed",
            severity=_severity(crashed),
            title=f"{_named(crashed)} crashed ({', '.join(dict.fromkeys(map(_how, crashed)))}).",
            evidence=_evidence(crashed),
            cause="A compiled library (torch, a driver's, an extension's) broke off without a Python error. A "
            "program that does the same will vanish just so.",
            remedy=Remedy(
                "Reinstall torch and what is built against it, update the driver; if that does not help, test "
                "the memory of the machine.",
            ),
        )
    if hung := ended.get(ProbeOutcome.TIMED_OUT):
        yield Finding(
            id="probe-hung",
            severity=_severity(hung),
            title=f"{_named(hung)} did not end within {max(one.seconds or 0.0 for one in hung):.0f} s.",
            evidence=_evidence(hung),
            cause="The driver, a disk or a network folder does not answer; or the machine is very busy.",
            remedy=Remedy(
                "Look for a process in state D, for a full or absent network folder, and for a card that fell "
                "off the bus; then check again.",
                ("ps -eo pid,stat,wchan:30,args | grep ' D'",) if facts.host.os == "Linux" else (),
            ),
        )
    failed = [one for one in ended.get(ProbeOutcome.FAILED, ()) if one.name not in _JUDGED]
    if failed:
        yield Finding(
            id="probe-failed",
            severity=Severity.NOTE,
            title=f"{_named(failed)} could not be measured: {quoted(failed[0])}.",
            evidence=_evidence(failed),
            cause="The measurement ended with an error that has no check of its own. Where its words name a "
            "known cause, a finding of its own tells it.",
        )


def _follows(facts: Facts, result: ProbeResult) -> bool:
    """Whether it came to grief while it imported torch, when importing torch by itself does too."""
    torch = facts.probe("import-torch")
    broken = torch is not None and torch.outcome not in (ProbeOutcome.OK, ProbeOutcome.NOT_APPLICABLE)
    return broken and result is not torch and result.during == "preparing"


def _severity(results: Sequence[ProbeResult]) -> Severity:
    return Severity.ERROR if any(one.name in _BASIC for one in results) else Severity.WARNING


def _named(results: Sequence[ProbeResult]) -> str:
    words = ", ".join(_DOING.get(one.name, one.name) for one in results)
    return words[:1].upper() + words[1:]


def _how(result: ProbeResult) -> str:
    return (result.error or "no words").splitlines()[0].removeprefix("ended by ")


def _evidence(results: Sequence[ProbeResult]) -> dict[str, object]:
    return {one.name: {"during": one.during, "error": one.error, "seconds": one.seconds} for one in results}


CHECK = Check(
    name="live-endings",
    title="Did every live probe end in order?",
    needs=(),
    causes={
        "probe-crashed": "A live probe was ended by a signal, such as a segmentation fault.",
        "probe-hung": "A live probe did not end within its time.",
        "probe-failed": "A live probe ended with an error that nobody foresaw.",
    },
    run=run,
    sources=("docs.python.org/3/library/signal.html",),
)
