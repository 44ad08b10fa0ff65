"""What ``sdoctor generate`` does once the settings are decided: prepare, run, report."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from doctor.errors import Interrupted, NotInOrder, UsageError
from doctor.sizes import gib
from doctor.trace import Outcome, Phase
from doctor.verdicts.verdict import Verdict
from tui.decision import Decision
from tui.diary import Diary
from tui.gallery import gallery_file, pieces_of, remember
from tui.picture_files import PictureFiles
from tui.plain import run_plain
from tui.situation import Situation, refuse_what_cannot_fit
from tuner.events import Load
from tuner.generation import Generation, Setback, Wish
from tuner.probe import TraceFold
from tuner.warm import Warm

SCHEMA = "sdoctor.generate/1"

MOST_STEPS = 30
"""Steps unless asked otherwise, where the pipeline's own default is higher.

The usual advice is 20-30 steps: Stable Diffusion's own default of 50 buys little that the eye can see.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it."""

    situation: Situation
    decision: Decision
    generation: Generation
    fold: TraceFold
    verdicts: tuple[Verdict, ...] = ()
    """What the work waited for, over the whole run; () where nothing stood out or nothing was watched."""
    troubles: tuple[str, ...] = ()
    """What could not be written down."""

    @property
    def finished(self) -> bool:
        """Whether the picture was written."""
        return self.fold.trace.outcome is Outcome.FINISHED and bool(self.fold.trace.images)

    def as_lines(self) -> str:
        """Where the picture is and what it took, for people."""
        trace, steps = self.fold.trace, self.fold.trace.step_seconds
        parts = [f"{self.fold.seconds:.2f} s" if self.fold.seconds is not None else ""]
        if steps:
            parts.append(f"{len(steps)} steps of {sum(steps) / len(steps):.3f} s")
        if trace.peak_bytes is not None:
            parts.append(f"peak {gib(trace.peak_bytes)}")
        return "\n".join([*trace.images, ", ".join(filter(None, parts)) + " (measured)"])

    def as_document(self) -> str:
        """The JSON document of ``sdoctor generate --json``."""
        trace = self.fold.trace
        document = {
            "schema": SCHEMA,
            "model": self.situation.model.name,
            "device": self.situation.target.device,
            "fingerprint": self.situation.fingerprint,
            "profile": self.decision.profile,
            "notes": self.decision.notes,
            "settings": self.generation.settings,
            "stepped_down": [_setback(setback) for setback in self.generation.setbacks],
            "setup": trace.setup,
            "request": self.generation.request,
            "outcome": trace.outcome,
            "message": trace.message,
            "images": trace.images,
            "seconds": self.fold.seconds,
            "step_seconds": trace.step_seconds,
            "phases": trace.phases,
            "peak_bytes": trace.peak_bytes,
            "budget_bytes": self.situation.budget,
            "verdicts": self.verdicts,
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()

    def raise_if_failed(self) -> None:
        """Turn an outcome other than finished into the error that says what to do."""
        trace = self.fold.trace
        if self.finished:
            return
        if trace.outcome is Outcome.INTERRUPTED:
            raise Interrupted("Stopped; no picture was written.")
        if trace.outcome is Outcome.REFUSED and trace.failed_in is not Phase.LOAD:
            raise UsageError(trace.message or "The pipeline refused the request.")
        if trace.outcome is Outcome.OUT_OF_MEMORY:
            raise NotInOrder(self._out_of_memory())
        where = f" in the phase '{trace.failed_in.value}'" if trace.failed_in else ""
        what = (
            "could not be used"
            if trace.outcome is Outcome.REFUSED
            else f"{trace.outcome.value.replace('_', ' ')}{where}"
        )
        raise NotInOrder(f"{self.situation.model.name}: {what}: {trace.message}")

    def _out_of_memory(self) -> str:
        name, budget = self.situation.model.name, self.situation.budget
        available = f" ({gib(budget)} to use)" if budget is not None else ""
        if self.fold.trace.failed_in is Phase.LOAD:
            advice = "give more memory, or take a smaller model or --precision bf16"
            return f"Out of memory while loading {name}{available}: {advice}."
        frugal = self.generation.settings.vae_tiling == "on"
        advice = "take a smaller --size" if frugal else "add --low-memory, or take a smaller --size"
        phase = self.fold.trace.failed_in
        return f"Out of memory in the phase '{phase.value if phase else 'unknown'}'{available}: {advice}."


def _setback(setback: Setback) -> dict[str, object]:
    return {
        "settings": setback.settings,
        "outcome": setback.failed.outcome,
        "phase": setback.failed.phase,
        "message": setback.failed.message,
        "next_settings": None if setback.step is None else setback.step.settings,
        "next_rung": None if setback.step is None else setback.step.name,
        "next_proven": None if setback.step is None else setback.step.proven,
    }


@dataclass(frozen=True, slots=True)
class Prepared:
    """A generation that may begin, and the diary of its setbacks."""

    situation: Situation
    decision: Decision
    generation: Generation
    diary: Diary

    def result(self, fold: TraceFold, verdicts: tuple[Verdict, ...]) -> Result:
        """What came of it; what was finished goes into the gallery."""
        troubles = list(self.diary.troubles)
        trace, request = fold.trace, self.generation.request
        if trace.outcome is Outcome.FINISHED and request is not None:
            pieces = pieces_of(
                trace.images,
                request,
                model=self.situation.model.name,
                settings=self.generation.settings,
                device=self.situation.target.device,
                seconds=fold.seconds,
            )
            try:
                remember(pieces)
            except OSError as error:
                troubles.append(
                    f"The picture could not be put into the gallery {gallery_file()}: {error.strerror or error}."
                )
        return Result(
            situation=self.situation,
            decision=self.decision,
            generation=self.generation,
            fold=fold,
            verdicts=verdicts,
            troubles=tuple(troubles),
        )


def prepare(
    situation: Situation,
    decision: Decision,
    wish: Wish,
    output: str | None,
    *,
    allow_pickle: bool,
    warm: Warm | None = None,
    preview_seconds: float | None = None,
) -> Prepared:
    """Everything up to the first event. Raises NotInOrder if no weights can fit, UsageError for a bad ``output``."""
    decision = first_that_can_fit(situation, decision)
    budget, ceiling = situation.limits
    load = Load(
        model=situation.address,
        settings=decision.settings,
        device=situation.target.device,
        budget=budget,
        ceiling=ceiling,
        allow_pickle=allow_pickle,
    )
    diary = Diary(situation, decision, wish)
    generation = Generation(
        load,
        wish,
        PictureFiles(output),
        most_steps=MOST_STEPS,
        ladder=decision.ladder,
        architecture=decision.architecture,
        on_setback=diary.write,
        warm=warm,
        preview_seconds=preview_seconds,
    )
    return Prepared(situation, decision, generation, diary)


def run_in_lines(prepared: Prepared, *, quiet: bool) -> Result:
    """Make the picture, with lines on standard error."""
    fold, verdicts = run_plain(prepared.generation, prepared.decision.notes, quiet=quiet)
    return prepared.result(fold, verdicts)


def first_that_can_fit(situation: Situation, decision: Decision) -> Decision:
    """The decision, or the first rung below it whose weights fit: those that cannot fit need not be tried.

    Raises NotInOrder if none can.
    """
    trouble: NotInOrder | None = None
    rungs = [(decision.settings, decision.ladder, "")]
    for number, step in enumerate(decision.ladder):
        rungs.append((step.settings, decision.ladder[number + 1 :], step.text()))
    for settings, ladder, text in rungs:
        try:
            refuse_what_cannot_fit(situation, settings)
        except NotInOrder as error:
            trouble = trouble or error
            continue
        notes = (*decision.notes, f"The weights do not fit; using {text}.") if text else decision.notes
        return replace(decision, settings=settings, ladder=ladder, notes=notes)
    raise trouble or NotInOrder("No settings are left to try.")
