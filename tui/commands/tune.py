"""``sdoctor tune``: the fastest settings and the largest resolution, proven on the real pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tui.situation import Situation
    from tuner.events import Loaded
    from tuner.lab import Lab
    from tuner.settings import Settings
    from tuner.strategy.goal import Goal, Objective
    from tuner.study import Result
    from tuner.target import Target


def tune(
    model: Annotated[
        str, typer.Argument(help="builtin:NAME, a diffusers folder, a .safetensors file, or a hub id.")
    ] = "builtin:tiny",
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="Use at most this much: 4GiB, 6000MiB, 0.5 (default: what is free)."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", help="Picture size at which settings are compared (default: the model's own)."
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=1000, help="Denoising steps of a timed run.")
    ] = 4,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Pictures per run.")] = 1,
    step: Annotated[
        int, typer.Option("--step", min=8, help="Pixels between two sizes that are told apart.")
    ] = 64,
    max_size: Annotated[
        int, typer.Option("--max-size", min=64, help="Largest side to try, in pixels.")
    ] = 4096,
    goal: Annotated[
        str,
        typer.Option(
            "--goal", help="speed (and how large), size (how large only), memory (the lowest peak at --size)."
        ),
    ] = "speed",
    aspect: Annotated[
        list[str] | None,
        typer.Option("--aspect", help="Shape of the largest picture, width:height; may be given again."),
    ] = None,
    all_aspects: Annotated[
        bool, typer.Option("--all-aspects", help="The largest picture of every usual shape.")
    ] = False,
    max_batch: Annotated[
        int | None,
        typer.Option("--max-batch", min=2, max=64, help="Also the largest batch at --size, up to this many."),
    ] = None,
    low_memory: Annotated[
        bool,
        typer.Option(
            "--low-memory", help="Only settings of little memory: slower, but larger models and pictures run."
        ),
    ] = False,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Settings that change the picture beyond rounding may win.")
    ] = False,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also try what takes minutes to try: compile=inductor.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    run_limit: Annotated[
        float, typer.Option("--run-limit", min=1, help="Seconds that one run may take.")
    ] = 120.0,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=0.1, help="Minutes that the study may take.")
    ] = 20.0,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load weights that can run code.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that was cut off; its trials are kept.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the fastest settings that work here and the largest resolution that really works."""
    from doctor.errors import EXIT_INTERRUPTED, NotInOrder
    from tui.progress import progress, say
    from tui.situation import survey
    from tuner.device_model import device_of_target
    from tuner.dryrun.client import Oracle
    from tuner.forecast import DryRunForecast
    from tuner.keeping import gate_of
    from tuner.lab import Bench, Lab
    from tuner.question import Question
    from tuner.resuming import Journalled, open_notebook
    from tuner.study import Study

    wanted = _wanted(goal, aspect or [], all_aspects=all_aspects)
    situation = survey(model, device, memory, allow_pickle=allow_pickle)
    question = Question(
        model=situation.address,
        model_state=_files_state(situation),
        device=situation.target.device,
        memory=None if memory is None else situation.budget,
        size=size,
        steps=steps,
        batch=batch,
        step=step,
        max_size=max_size,
        goal=wanted.objective.value,
        shapes=wanted.shapes,
        max_batch=max_batch,
        lossy=lossy,
        run_limit=run_limit,
        low_memory=low_memory,
    )
    if low_memory:
        say(_low_memory_note(situation))
    notebook = open_notebook(question, situation.fingerprint, situation.budget, resume=resume, say=say)
    situation = replace(situation, budget=notebook.budget)
    bench = Bench(
        model=situation.address,
        device=situation.target.device,
        budget=situation.budget,
        ceiling=situation.ceiling,
        allow_pickle=allow_pickle,
    )
    interrupted = False
    with (
        notebook,
        progress() as show,
        Oracle() as oracle,
        gate_of(notebook) as gate,
        Lab(bench, show.event, gate=gate) as lab,
    ):
        loaded = _first_load(lab, situation, low_memory=low_memory)
        bounds = _goal(situation, loaded, size, steps, batch, step, max_size, run_limit)
        bounds = replace(
            bounds,
            objective=wanted.objective,
            first_guess=_first_guess(situation.target, low_memory=low_memory),
            low_memory=low_memory,
            shapes=wanted.shapes,
            lossy=lossy,
            slow=slow,
            most_pictures=max_batch,
        )
        study = Study(
            goal=bounds,
            runner=Journalled(lab, notebook),
            forecast=DryRunForecast(situation.address, device_of_target(situation.target), oracle.ask),
            time_limit=time_limit * 60,
            on_probe=show.probe,
            on_trial=show.trial,
        )
        try:
            result = study.run()
            if result.complete:
                notebook.finish()
                gate.clear()
        except KeyboardInterrupt:
            interrupted = True
            result = study.conclude()
    _report(result, situation, loaded, as_json=as_json, resumed_trials=notebook.resumed_trials)
    if interrupted:
        if notebook.path is not None:
            say("Stopped; the same command with --resume goes on from here.")
        raise typer.Exit(EXIT_INTERRUPTED)
    if result.best is None:
        raise NotInOrder(_nothing_worked(result))


def _files_state(situation: Situation) -> str:
    """Stands for the model's files; "" for what belongs to sdoctor."""
    from tuner.models import ModelKind
    from tuner.question import state_of_files

    model = situation.model
    return "" if model.kind is ModelKind.BUILTIN else state_of_files(model.path)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is sought, as the options name it."""

    objective: Objective
    shapes: tuple[tuple[int, int], ...]


def _wanted(goal: str, aspects: list[str], *, all_aspects: bool) -> _Wanted:
    """Read the options. Raises UsageError."""
    from doctor.errors import UsageError
    from tuner.strategy.axis import SHAPES, parse_shape
    from tuner.strategy.goal import Objective

    try:
        objective = Objective(goal.strip().lower())
    except ValueError:
        known = ", ".join(objective.value for objective in Objective)
        raise UsageError(f"There is no goal '{goal}'; the goals are {known}.") from None
    named = [parse_shape(text) for text in (*aspects, *(SHAPES if all_aspects else ()))]
    return _Wanted(objective, tuple(dict.fromkeys(named)) or ((1, 1),))


def _low_memory_note(situation: Situation) -> str:
    if situation.target.is_cpu:
        return (
            "Low memory: without a GPU there is nothing to move out of the way, so only settings that decode the "
            "picture in tiles are compared: slower, but larger pictures run."
        )
    return (
        "Low memory: only settings that keep parts of the model in host memory and decode the picture in tiles "
        "are compared: slower, but larger models run."
    )


def _first_guess(target: Target, *, low_memory: bool) -> Settings:
    from tuner.knobs import default_settings, low_memory_settings

    usual = default_settings(target)
    return low_memory_settings(usual, target) if low_memory else usual


def _first_load(lab: Lab, situation: Situation, *, low_memory: bool) -> Loaded:
    """Load the model with the first settings that fit, to learn its sizes. Raises NotInOrder if none does."""
    from doctor.errors import NotInOrder
    from doctor.sizes import gib
    from doctor.trace import Outcome
    from tui.situation import refuse_what_cannot_fit
    from tuner.events import Failed
    from tuner.knobs import default_settings, low_memory_settings
    from tuner.settings import Settings

    target = situation.target
    guess = default_settings(target)
    frugal = low_memory_settings(guess, target)
    refuse_what_cannot_fit(situation, frugal)
    tried = [frugal] if low_memory else [Settings(), guess, frugal]
    answer = None
    for settings in dict.fromkeys(tried):
        answer = lab.load(settings)
        if not isinstance(answer, Failed):
            return answer
        if answer.outcome is not Outcome.OUT_OF_MEMORY:
            raise NotInOrder(f"{situation.model.name} could not be loaded: {answer.message}")
    raise NotInOrder(
        f"The weights of {situation.model.name} do not fit into {gib(situation.budget)}; "
        "give more --memory or take a smaller model."
    )


def _goal(
    situation: Situation,
    loaded: Loaded,
    size: str | None,
    steps: int,
    batch: int,
    step: int,
    max_size: int,
    run_limit: float,
) -> Goal:
    """The bounds of the study. Raises UsageError for sizes that the pipeline cannot make."""
    from doctor.errors import UsageError
    from doctor.sizes import parse_size
    from tuner.settings import Settings
    from tuner.strategy.goal import Goal

    width, height = parse_size(size) if size else (loaded.native_size, loaded.native_size)
    factor = loaded.size_factor
    for name, value in (("--size", width), ("--size", height), ("--step", step)):
        if value % factor:
            raise UsageError(
                f"{name} {value} cannot be used: {situation.model.name} needs multiples of {factor} pixels."
            )
    if max(width, height) > max_size:
        raise UsageError(f"--size {width}x{height} lies above --max-size {max_size}.")
    return Goal(
        target=situation.target,
        budget=situation.budget,
        width=width,
        height=height,
        steps=steps,
        batch=batch,
        baseline=Settings(),
        first_guess=_first_guess(situation.target, low_memory=False),
        step=step,
        max_size=max_size,
        run_limit=run_limit,
    )


def _report(
    result: Result, situation: Situation, loaded: Loaded, *, as_json: bool, resumed_trials: int
) -> None:
    """Save the profile and print what was found. Raises NotInOrder, after printing, if it could not be saved."""
    from datetime import UTC, datetime

    from doctor.errors import NotInOrder
    from tui.render_tune import as_document, as_table
    from tuner.profile import profile_of
    from tuner.store import profiles_dir, save

    now = datetime.now(UTC).isoformat(timespec="seconds")
    profile = profile_of(
        result,
        situation.address,
        situation.fingerprint,
        now,
        pipeline=loaded.pipeline,
        architecture=loaded.architecture,
    )
    path, trouble = None, None
    try:
        path = save(profile) if profile is not None else None
    except OSError as error:
        where = f"{profiles_dir()}: {error.strerror}"
        trouble = f"The profile could not be saved in {where}; set SDOCTOR_HOME to another folder."
    if as_json:
        typer.echo(as_document(result, situation.model.name, situation.fingerprint, path, resumed_trials))
    elif result.trials:
        typer.echo(as_table(result, situation.model.name, situation.target, path))
    if trouble is not None:
        raise NotInOrder(trouble)


def _nothing_worked(result: Result) -> str:
    last = result.trials[-1] if result.trials else None
    reason = f" The last attempt ended with {last.outcome.value}: {last.message}" if last else ""
    size = f"{result.goal.width}x{result.goal.height}"
    return f"No settings were found that make a picture of {size} here.{reason}"
