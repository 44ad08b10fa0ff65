"""``sdoctor plan``: will it fit, at which size, with which settings - before a download or a purchase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tui.plan_document import PlanReport
    from tui.planned_device import PlannedDevice
    from tuner.dryrun.client import Oracle
    from tuner.planning import Planner
    from tuner.settings import Settings


def plan(
    model: Annotated[
        str,
        typer.Argument(help="builtin:NAME or a folder with a diffusers pipeline; weights are not needed."),
    ],
    gpu: Annotated[
        str | None, typer.Option("--gpu", help='A card by its name: "RTX 3060" (default: this machine).')
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="A card with this much to use: 8GiB, 6000MiB.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Picture size: 512 or 512x768 (default: the model's own).")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=64, help="Pictures at a time.")] = 1,
    settings: Annotated[
        str | None,
        typer.Option("--settings", help="For example precision=fp16,offload=model,vae_tiling=on."),
    ] = None,
    guidance: Annotated[
        bool | None,
        typer.Option(
            "--guidance/--no-guidance",
            help="Guided by the prompt's opposite (default: as the model's makers recommend).",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, max=1000, help="Steps of the time estimate (default: recommended)."),
    ] = None,
    max_size: Annotated[
        int, typer.Option("--max-size", min=64, max=16384, help="Largest side to try, in pixels.")
    ] = 4096,
    all_cards: Annotated[
        bool, typer.Option("--all-cards", help="A table: card, mode that it needs, largest picture.")
    ] = False,
    chart: Annotated[
        str | None, typer.Option("--chart", help="Draw memory over size into a .svg or .png file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Predict what fits on a card: no card, no weights needed."""
    import sys

    from doctor.errors import NotInOrder, UsageError
    from doctor.sizes import parse_size
    from tui.plan_chart import check_chart_path, terminal_chart, write_chart
    from tui.plan_document import as_document, as_table
    from tui.planned_device import planned_device, starting_settings
    from tuner.dryrun.client import Oracle
    from tuner.models import ModelKind, recommended, resolve
    from tuner.plan_settings import check_settings
    from tuner.settings import parse_settings

    changes = parse_settings(settings) if settings else {}
    wanted = parse_size(size) if size else None
    chart_path = check_chart_path(chart) if chart else None
    reference = resolve(model)
    if reference.kind in (ModelKind.HUB, ModelKind.FILE):
        raise UsageError(
            f"A plan for '{model}' needs the configuration files of the model: name a builtin model with the same "
            "architecture, or a local diffusers folder (its .json files are enough)."
        )
    place = planned_device(gpu, memory)
    fastest = starting_settings(place.target, reference.pipeline_class).but(**changes)
    check_settings(fastest, place.target)
    name = (
        reference.name
        if reference.kind is ModelKind.BUILTIN
        else str(reference.path.resolve() if reference.path else model)
    )
    advice = recommended(reference)
    guided = advice.is_guided if guidance is None else guidance
    with Oracle() as oracle:
        planner = _planner(oracle, name, batch, guided, steps or advice.steps, max_size, place)
        if all_cards:
            _print_cards(planner, reference.name, reference.pipeline_class, changes, wanted, as_json=as_json)
            return
        report = _examine(planner, reference.name, place, fastest, wanted, exact=bool(settings and size))
        if as_json:
            typer.echo(as_document(report))
        else:
            typer.echo(as_table(report))
        if chart_path is not None or (sys.stdout.isatty() and not as_json):
            from tuner.plan_curves import QUICK_SIDES, curves

            sides = None if chart_path is not None else QUICK_SIDES
            lines = curves(planner, fastest, place.device, place.target, sides)
            if chart_path is not None:
                write_chart(chart_path, lines, place.device, reference.name)
                typer.echo(f"Chart: {chart_path}", err=True)
            elif sys.stdout.isatty():
                typer.echo(terminal_chart(lines, place.device))
    if not any(row.fits for row in report.rows):
        raise NotInOrder(_nothing_fits(report))


def _planner(
    oracle: Oracle,
    model: str,
    batch: int,
    guidance: bool,
    steps: int | None,
    max_size: int,
    place: PlannedDevice,
) -> Planner:
    from tuner.planning import Planner

    return Planner(
        model=model,
        ask=oracle.ask,
        batch=batch,
        guidance=guidance,
        steps=steps,
        max_side=max_size,
        calibration=place.calibrated(model, oracle.ask) if place.is_this_machine else None,
    )


def _examine(
    planner: Planner,
    model: str,
    place: PlannedDevice,
    fastest: Settings,
    size: tuple[int, int] | None,
    *,
    exact: bool,
) -> PlanReport:
    """One row for settings that were named, else one per rung; the ladder unless exactly one row was asked for."""
    from tui.plan_document import PlanReport
    from tuner.planning import ladder_rungs

    width, height = size or (None, None)
    rungs = ladder_rungs(fastest, place.target)
    chosen = [fastest] if exact else [rung.settings for rung in rungs]
    rows = tuple(planner.row(settings, place.device, width, height) for settings in chosen)
    change = None if rows[0].fits else planner.first_change(rows[0], place.device, place.target)
    largest = () if exact else planner.ladder(fastest, place.device, place.target)
    return PlanReport(
        model=model,
        device=place.device,
        rows=rows,
        rungs=tuple(rung.name for rung in rungs),
        largest=largest,
        change=change,
        guidance=planner.guidance,
        notes=(*place.notes, *_learned(planner)),
    )


def _learned(planner: Planner) -> tuple[str, ...]:
    if planner.calibration is None:
        return ()
    count = planner.calibration.trials
    runs = "one run" if count == 1 else f"{count} runs"
    return (
        f"memory and time are corrected by what {runs} of this model took on this machine (`sdoctor tune`)",
    )


def _print_cards(
    planner: Planner,
    model: str,
    pipeline_class: str | None,
    changes: dict[str, str | int | None],
    size: tuple[int, int] | None,
    *,
    as_json: bool,
) -> None:
    from tui.plan_document import cards_document, cards_table
    from tui.planned_device import starting_settings, target_of
    from tuner.all_cards import all_cards

    rows = all_cards(
        planner, lambda device: starting_settings(target_of(device), pipeline_class).but(**changes), size
    )
    typer.echo(cards_document(model, rows) if as_json else cards_table(model, rows))


def _nothing_fits(report: PlanReport) -> str:
    row = report.rows[0]
    size = f"{row.width}x{row.height}"
    if report.change is not None:
        words = ", ".join(
            f"{name}={value}" for name, value in report.change.differences(row.settings).items()
        )
        return f"{report.model} does not fit at {size} with these settings; it would with {words}."
    return f"{report.model} does not fit on {report.device.name} at {size} with any settings; try a smaller --size."
