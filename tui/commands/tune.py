"""``sdoctor tune``: the fastest settings and the largest resolution, proven on the real pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tui.tuning import Found


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
        bool,
        typer.Option(
            "--slow", help="Also try what takes minutes to try: compile=inductor and inductor-whole."
        ),
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
    tui: Annotated[bool, typer.Option("--tui", help="Watch the study on a screen; on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the fastest settings that work here and the largest resolution that really works."""
    from doctor.errors import EXIT_INTERRUPTED, UsageError
    from tui.progress import progress, say
    from tui.terminal import shows_screens
    from tui.tuning import Asked, run_study

    asked = Asked(
        model=model,
        memory=memory,
        size=size,
        steps=steps,
        batch=batch,
        step=step,
        max_size=max_size,
        goal=goal,
        aspects=tuple(aspect or ()),
        all_aspects=all_aspects,
        max_batch=max_batch,
        low_memory=low_memory,
        lossy=lossy,
        slow=slow,
        device=device,
        run_limit=run_limit,
        time_limit=time_limit,
        allow_pickle=allow_pickle,
        resume=resume,
    )
    if tui:
        if as_json or not shows_screens():
            raise UsageError("--tui opens a screen: it needs a terminal, and does not go with --json.")
        from tui.tune_app import run_tune

        found = run_tune(asked)
        if found is None:
            raise typer.Exit(EXIT_INTERRUPTED)
    else:
        with progress() as show:
            found = run_study(asked, show, say)
    _report(found, as_json=as_json)
    if found.interrupted:
        if found.journal is not None:
            say("Stopped; the same command with --resume goes on from here.")
        raise typer.Exit(EXIT_INTERRUPTED)
    found.raise_if_nothing_worked()


def _report(found: Found, *, as_json: bool) -> None:
    """Print what was found. Raises NotInOrder, after printing, if the profile could not be saved."""
    from doctor.errors import NotInOrder
    from tui.render_tune import as_document, as_table

    result, situation = found.result, found.situation
    if as_json:
        typer.echo(
            as_document(
                result, situation.model.name, situation.fingerprint, found.profile, found.resumed_trials
            )
        )
    elif result.trials:
        typer.echo(as_table(result, situation.model.name, situation.target, found.profile))
    if found.trouble is not None:
        raise NotInOrder(found.trouble)
