"""Runs the probes: preparations side by side, measurements that disturb each other one at a time."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from dataclasses import replace

from doctor.facts import Facts, ProbeOutcome, ProbeResult
from doctor.gather.redact import Redactor
from doctor.probes.catalogue import PROBES, Probe, Turn
from doctor.probes.process import Child

TICK = 0.05
"""Seconds between looks at the deadlines."""

Show = Callable[[str, int, int], None]
"""Told what is being done, how many probes have ended, and how many there are."""


def probe_machine(facts: Facts, show: Show | None = None, probes: Sequence[Probe] = PROBES) -> Facts:
    """``facts`` with ``probes`` filled in, and with what the errors of failed ones say as messages.

    Never raises and ends when the deadlines have passed; an interrupt ends all children first.
    """
    from doctor.reports.messages import messages_in

    results = run_probes(facts, show, probes)
    said = [
        text
        for one in results
        if one.outcome is not ProbeOutcome.NOT_APPLICABLE
        for text in (one.error, one.notes.get("warnings"))
        if text
    ]
    lines = tuple(line for text in said for line in text.splitlines())
    return replace(facts, probes=results, messages=(*facts.messages, *messages_in(lines)))


def run_probes(
    facts: Facts, show: Show | None = None, probes: Sequence[Probe] = PROBES
) -> tuple[ProbeResult, ...]:
    """The result of every probe, in the order of ``probes``."""
    session = _Session(facts, show or (lambda _doing, _ended, _all: None), len(probes))
    first = [probe for probe in probes if probe.turn is Turn.FIRST]
    session.run(first)
    session.run([probe for probe in probes if probe not in first])
    return tuple(session.results[probe.name] for probe in probes)


class _Session:
    """The children that run now, and the results so far."""

    def __init__(self, facts: Facts, show: Show, count: int) -> None:
        self.results: dict[str, ProbeResult] = {}
        self._facts = facts
        self._show = show
        self._count = count
        self._news: queue.Queue[tuple[Child, bytes | None]] = queue.Queue()
        self._children: list[Child] = []
        self._pending: list[Probe] = []
        self._width = max(
            2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
        )
        self._redactor = Redactor.of_this_user()

    def run(self, probes: Sequence[Probe]) -> None:
        """Run some probes to their ends."""
        self._pending = list(probes)
        try:
            while self._pending or self._children:
                self._start()
                self._give_turns()
                self._listen()
                self._end_overdue()
        finally:
            for child in self._children:
                child.end()
                child.close()

    def _start(self) -> None:
        """Start as many as there are cores; those that wait for their turn cost nothing."""
        while self._pending and sum(not child.waiting for child in self._children) < self._width:
            probe = self._pending.pop(0)
            excuse = self._excuse(probe)
            if excuse is not None:
                self._note(_inapplicable(probe, excuse))
                continue
            self._show(probe.doing, len(self.results), self._count)
            try:
                self._children.append(Child(probe, self._news))
            except OSError as error:
                self._note(
                    ProbeResult(
                        name=probe.name, outcome=ProbeOutcome.FAILED, error=f"it cannot be started: {error}"
                    )
                )

    def _excuse(self, probe: Probe) -> str | None:
        excuse = probe.excuse(self._facts)
        return excuse if excuse is not None else self._unmet(probe)

    def _unmet(self, probe: Probe) -> str | None:
        """Which needed probe ended badly, in words; None if none has so far."""
        for name in probe.needs:
            result = self.results.get(name)
            if result is not None and result.outcome is not ProbeOutcome.OK:
                return f"it needs the probe '{name}', which ended as {result.outcome.value.replace('_', ' ')}"
        return None

    def _give_turns(self) -> None:
        for child in [child for child in self._children if child.waiting]:
            unmet = self._unmet(child.probe)
            if unmet is not None:
                child.end()
                child.close()
                self._children.remove(child)
                self._note(_inapplicable(child.probe, unmet))
            elif all(name in self.results or not self._knows(name) for name in child.probe.needs):
                alone = child.probe.turn is not Turn.BESIDE
                if not alone or self._quiet():
                    self._show(child.probe.doing, len(self.results), self._count)
                    child.go()

    def _knows(self, name: str) -> bool:
        """Whether a probe of that name runs or will run."""
        return any(
            name == probe.name for probe in (*self._pending, *(child.probe for child in self._children))
        )

    def _quiet(self) -> bool:
        """Whether nothing else is going on: every other child waits for a turn of its own alone."""
        return not self._pending and all(
            child.waiting and child.probe.turn is not Turn.BESIDE for child in self._children
        )

    def _listen(self) -> None:
        try:
            child, line = self._news.get(timeout=TICK)
        except queue.Empty:
            return
        while True:
            if child in self._children:
                if line is not None:
                    child.hear(line)
                else:
                    self._finish(child)
            try:
                child, line = self._news.get_nowait()
            except queue.Empty:
                return

    def _end_overdue(self) -> None:
        for child in [child for child in self._children if child.overdue]:
            child.timed_out = True
            child.end()
            self._finish(child)

    def _finish(self, child: Child) -> None:
        self._children.remove(child)
        self._note(child.result(self._redactor))

    def _note(self, result: ProbeResult) -> None:
        self.results[result.name] = result


def _inapplicable(probe: Probe, why: str) -> ProbeResult:
    return ProbeResult(name=probe.name, outcome=ProbeOutcome.NOT_APPLICABLE, error=why)
