"""What ``sdoctor generate`` does with its options: the screen on a terminal, lines or JSON elsewhere."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import typer

from doctor.errors import SdoctorError
from tui.decision import decide
from tui.generating import Result, prepare, run_in_lines
from tui.orders import Order
from tui.prompt import read_prompt
from tui.say import say
from tui.situation import Situation, survey
from tui.terminal import shows_screens
from tui.workshop import PREVIEW_SECONDS, Bench, Workshop


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The command line, read."""

    order: Order
    """Its prompt and seed are filled in here."""
    bench: Bench
    has_prompt: bool
    prompt_file: str | None
    seed: int | None
    plain: bool
    as_json: bool
    preview: bool | None
    """None: as it is usual where the picture is shown."""


def run(call: Call) -> None:
    """Draw. Raises SdoctorError for what cannot be done, with the exit code in it."""
    on_screen = not call.plain and not call.as_json and shows_screens()
    empty = on_screen and not call.has_prompt and call.prompt_file is None
    order = call.order
    if not empty:
        typed = order.wish.prompt if call.has_prompt else None
        seed = secrets.randbelow(2**31) if call.seed is None else call.seed
        prompt = read_prompt(typed, call.prompt_file)
        order = replace(order, wish=replace(order.wish, prompt=prompt, seed=seed))
    # Before the screen opens, so that what is wrong with the options is said in one sentence on the terminal.
    situation = survey(
        order.model, call.bench.device, call.bench.memory, allow_pickle=call.bench.allow_pickle
    )
    decision = decide(situation, call.bench.asked(order), order.wish)
    if on_screen:
        _report_all(_on_screen(call, order, situation, empty=empty))
        return
    result = run_in_lines(
        prepare(
            situation,
            decision,
            order.wish,
            call.bench.output,
            allow_pickle=call.bench.allow_pickle,
            preview_seconds=PREVIEW_SECONDS if call.preview else None,
        ),
        quiet=call.as_json,
    )
    if call.as_json:
        typer.echo(result.as_document())
    _report(result, silent=call.as_json)
    result.raise_if_failed()


def _on_screen(call: Call, order: Order, situation: Situation, *, empty: bool) -> list[Result | SdoctorError]:
    """Show the screen until the user leaves it; what came of each order."""
    from tui.app import run_generate
    from tui.picture_files import PictureFiles

    PictureFiles(call.bench.output)
    bench = replace(call.bench, preview=call.preview is not False)
    workshop = Workshop(bench, surveyed=(order.model, situation))
    try:
        run_generate(workshop, order, begin=not empty, seed=call.seed)
    finally:
        workshop.close()
    return workshop.results


def _report_all(results: list[Result | SdoctorError]) -> None:
    """What was made; the error is that of the last order, the others are said."""
    for number, result in enumerate(results, 1):
        last = number == len(results)
        if isinstance(result, Result):
            _report(result)
        try:
            if isinstance(result, SdoctorError):
                raise result
            result.raise_if_failed()
        except SdoctorError as error:
            if last:
                raise
            say(str(error))


def _report(result: Result, *, silent: bool = False) -> None:
    if result.finished and not silent:
        typer.echo(result.as_lines())
    for trouble in result.troubles:
        say(trouble)
