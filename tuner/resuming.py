"""Resuming: decides what of an earlier study still counts, and lets a study run with its journal beside it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from doctor.sizes import gib
from doctor.trace import Outcome
from tuner.fingerprint import Fingerprint
from tuner.journal import Begun, Ended, Journal, Kept, Ran, journal_path, others_of, read
from tuner.probe import Probe, Trial
from tuner.question import Question
from tuner.study import Runner

_WELL_BELOW = 0.9
"""A peak under this share of a budget fits: on a CPU the peak counts resident memory and the limit mapped memory,
which is a few percent more (docs/tune.md)."""

Say = Callable[[str], None]
"""Takes one sentence for the user."""


@dataclass(kw_only=True)
class Notebook:
    """A study's journal as the rest of sdoctor sees it: the trials to keep, and a place for new ones."""

    kept: list[Trial] = field(default_factory=list)
    """Trials of the earlier study that have not been asked for again yet."""
    budget: int | None = None
    """The budget of this study: the earlier one's if it goes on."""
    path: Path | None = None
    """None if nothing can be written."""
    resumed_trials: int = 0
    _journal: Journal | None = None
    _say: Say = lambda _sentence: None
    _troubled: bool = False

    def pictures(self) -> Path | None:
        """Where the study's reference picture is kept beside the journal; None without a journal."""
        return None if self.path is None else self.path.with_suffix(".pictures")

    def take(self, probe: Probe) -> Trial | None:
        """The kept trial of this probe, once: a probe that is repeated on purpose meets the next one."""
        for index, trial in enumerate(self.kept):
            if trial.answers(probe):
                return self.kept.pop(index)
        return None

    def add(self, trial: Trial) -> None:
        """Have a trial on disk. One that the user broke off is no result."""
        if trial.outcome is not Outcome.INTERRUPTED:
            self._write(Ran(trial=trial, budget=self.budget))

    def finish(self) -> None:
        """The study has answered its question."""
        self._write(Ended())

    def _write(self, record: Begun | Ran | Ended) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(record)
        except OSError as error:
            if not self._troubled:
                self._say(
                    f"The journal {self.path} cannot be written ({error.strerror}); the study goes on, and what "
                    "is missing is written as soon as that works again."
                )
            self._troubled = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the journal go."""
        if self._journal is not None:
            self._journal.close()


class Journalled:
    """Runs what is not in the notebook, and writes down what ran."""

    def __init__(self, runner: Runner, notebook: Notebook) -> None:
        self._runner = runner
        self._notebook = notebook

    def run(self, probe: Probe) -> Trial:
        """The kept trial of this probe, else a real one, which is on disk when this returns."""
        kept = self._notebook.take(probe)
        if kept is not None:
            return kept
        trial = self._runner.run(probe)
        self._notebook.add(trial)
        return trial


def open_notebook(
    question: Question, fingerprint: Fingerprint, budget: int | None, *, resume: bool, say: Say
) -> Notebook:
    """The notebook of a study that begins now or, with ``resume``, goes on. Never fails: it says what it cannot do.

    ``budget`` is what may be used now. Every decision that the user did not ask for is said in one sentence.
    """
    path = journal_path(question, fingerprint)
    try:
        kept = read(path)
    except OSError as error:
        say(
            f"The journal {path} cannot be read ({error.strerror}); the study starts anew without one; "
            "set SDOCTOR_HOME to another folder to change that."
        )
        return Notebook(budget=budget)
    use = _usable(question, fingerprint, path, kept, budget, resume=resume, say=say)
    notebook = Notebook(kept=list(use.trials), budget=use.budget, path=path, resumed_trials=len(use.trials))
    notebook._say = say
    try:
        notebook._journal = Journal(path, use.good_bytes)
    except OSError as error:
        notebook.path = None
        say(_cannot_open(path, error))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    notebook._write(Begun(question=question, fingerprint=fingerprint, budget=use.budget, at=now))
    return notebook


def _cannot_open(path: Path, error: OSError) -> str:
    if error.errno in (errno.EAGAIN, errno.EACCES) and isinstance(error, BlockingIOError):
        return "Another sdoctor is at work on the same study; this one goes on without a journal."
    return (
        f"The journal {path} cannot be written ({error.strerror}); this study goes on, but it could not be resumed; "
        "set SDOCTOR_HOME to another folder to change that."
    )


def _usable(
    question: Question,
    fingerprint: Fingerprint,
    path: Path,
    kept: Kept,
    budget: int | None,
    *,
    resume: bool,
    say: Say,
) -> Kept:
    """What of the journal counts for this study, and the budget to go on with."""
    fresh = Kept(budget=budget)
    if not resume:
        if kept.trials and not kept.complete:
            say(
                f"An unfinished study of the same question with {_count(kept)} is replaced; "
                "with --resume it would have gone on."
            )
        return fresh
    if not kept.trials:
        say(_nothing_to_resume(question, fingerprint, path, kept))
        return fresh
    usable = _within(kept, budget)
    remarks = [f"{kept.damaged} damaged line(s) are left out"] if kept.damaged else []
    dropped = len(kept.trials) - len(usable.trials)
    if dropped:
        remarks.append(
            f"{dropped} needed more than the {gib(usable.budget)} that may be used now and run again"
        )
    say("; ".join([f"Going on with the study that has {_count(usable)} already", *remarks]) + ".")
    return usable


def _within(kept: Kept, budget: int | None) -> Kept:
    """The trials that hold for the smaller of both budgets, which the study goes on with.

    What failed with more memory fails with less; what finished counts where its peak lies well below.
    """
    known = [value for value in (kept.budget, budget) if value is not None]
    smaller = min(known, default=None)
    return replace(kept, ran=tuple(item for item in kept.ran if _holds(item, smaller)), budget=smaller)


def _holds(ran: Ran, budget: int | None) -> bool:
    if budget is None or (ran.budget is not None and ran.budget <= budget) or not ran.trial.finished:
        return True
    return ran.trial.peak_bytes is not None and ran.trial.peak_bytes < budget * _WELL_BELOW


def _nothing_to_resume(question: Question, fingerprint: Fingerprint, path: Path, kept: Kept) -> str:
    if kept.damaged:
        return f"The journal {path} is damaged and holds no trial that can be read; the study starts anew."
    for _, other in others_of(question.model, path):
        if other.begun is None:
            continue
        changed = fingerprint.differences(other.begun.fingerprint) + question.differences(
            other.begun.question
        )
        if changed:
            return f"The unfinished study of this model was made with {', '.join(changed)}; the study starts anew."
    return "There is no unfinished study of this model to resume; the study starts anew."


def _count(kept: Kept) -> str:
    number = len(kept.trials)
    return "1 trial" if number == 1 else f"{number} trials"
