"""Hands a generation to the live screen and gives back what happened."""

from __future__ import annotations

from collections.abc import Iterator

from tui.decision import Decision
from tui.situation import Situation
from tuner.events import Event
from tuner.generation import Generation, Wish
from tuner.probe import TraceFold
from tuner.settings import Request
from tuner.stepping import LadderStep


def run_on_screen(generation: Generation, situation: Situation, decision: Decision, wish: Wish) -> TraceFold:
    """Run the generation under the Textual screen; gives back the last attempt when the user leaves it.

    Raises what broke the stream of events, as the plain run does.
    """
    from tui.app import GenerateJob, run_generate

    attempts = [TraceFold()]

    def start() -> Iterator[Event | Request | LadderStep]:
        request: Request | None = None
        for event in generation.events():
            if isinstance(event, LadderStep):
                attempts.append(TraceFold())
            else:
                attempts[-1].add(event)
            yield event
            if request is None and generation.request is not None:
                request = generation.request
                yield request

    result = run_generate(
        GenerateJob(
            model=situation.model.name,
            prompt=wish.prompt,
            settings_text=decision.settings.text(),
            width=wish.width,
            height=wish.height,
            steps=wish.steps,
            seed=wish.seed,
            batch=wish.batch,
            note=" ".join(decision.notes),
            budget_bytes=situation.budget,
            device=situation.target.device,
            start=start,
            interrupt=generation.interrupt,
            pid=generation.pid,
        )
    )
    if result.error is not None:
        raise result.error
    return attempts[-1]
