"""Lessons: settings that ran out of memory for one order need not fail again for the next one of the same size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tui.decision import Decision
from tui.generating import Prepared
from tui.situation import Situation
from tuner.generation import Wish
from tuner.settings import Request, Settings

_MORE = 1.1
"""How many times the memory must be there, against the last time, for what failed to be tried once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Settings that did not fit, in a run that a lower rung then finished."""

    model: str
    device: str
    budget: int | None
    wish: Wish
    request: Request
    failed: tuple[Settings, ...]


def lesson_of(made: Prepared, wish: Wish) -> Lesson | None:
    """What a run that finished after stepping down teaches. One that never fitted teaches nothing: memory may come back."""
    generation, situation = made.generation, made.situation
    failed = tuple(one.settings for one in generation.setbacks)
    if not failed or generation.request is None or any(one.step is None for one in generation.setbacks):
        return None
    return Lesson(
        model=situation.address,
        device=situation.target.device,
        budget=situation.budget,
        wish=wish,
        request=generation.request,
        failed=failed,
    )


def heeding(decision: Decision, situation: Situation, wish: Wish, lessons: tuple[Lesson, ...]) -> Decision:
    """The decision, or the first rung below it that no lesson speaks against, with a note that says why."""
    against: dict[Settings, Lesson] = {}
    for lesson in lessons:
        if _holds(lesson, situation, wish):
            against |= dict.fromkeys(lesson.failed, lesson)
    lesson_now = against.get(decision.settings)
    if lesson_now is None:
        return decision
    for number, step in enumerate(decision.ladder):
        if step.settings not in against:
            size = f"{lesson_now.request.width}x{lesson_now.request.height}"
            note = f"{decision.settings.text()} ran out of memory at {size} before; beginning with {step.text()}."
            return replace(
                decision,
                settings=step.settings,
                ladder=decision.ladder[number + 1 :],
                notes=(*decision.notes, note),
            )
    return decision


def _holds(lesson: Lesson, situation: Situation, wish: Wish) -> bool:
    """For the same model, a picture that is no smaller, and no more memory than there was."""
    if (lesson.model, lesson.device) != (situation.address, situation.target.device):
        return False
    return (
        _no_more(situation.budget, lesson.budget)
        and wish.batch >= lesson.request.batch
        and _no_smaller(wish, lesson)
    )


def _no_more(now: int | None, then: int | None) -> bool:
    """Whether there is no more memory than there was, as far as both are known, or neither was."""
    if now is None or then is None:
        return now is then
    return now <= _MORE * then


def _no_smaller(wish: Wish, lesson: Lesson) -> bool:
    sides = []
    for wanted, left_open, got in (
        (wish.width, lesson.wish.width is None, lesson.request.width),
        (wish.height, lesson.wish.height is None, lesson.request.height),
    ):
        # Left open then and now it is the model's own size both times; open only now, it is not known.
        if wanted is None and not left_open:
            return False
        sides.append(got if wanted is None else wanted)
    return sides[0] * sides[1] >= lesson.request.width * lesson.request.height
