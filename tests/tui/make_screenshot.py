"""Makes an SVG picture of the generate screen.

    python -P tests/tui/make_screenshot.py docs/images/generate.svg --model MODEL --prompt PROMPT ...

runs the real worker and takes the picture when the generation is over. ``shoot`` does the same for any job.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from doctor.telemetry.sample import Sample
from tui.app import GenerateApp, GenerateJob
from tui.state import View
from tuner.events import Event, Finished, Generate, Load, Loaded
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings, parse_settings

LIMIT_SECONDS = 600.0


def is_over(view: View) -> bool:
    """The usual moment for a picture."""
    return view.over


async def shoot(
    job: GenerateJob,
    target: Path,
    size: tuple[int, int] = (140, 40),
    read: Callable[[int | None], Sample] | None = None,
    until: Callable[[View], bool] = is_over,
    theme: str | None = None,
    keys: tuple[str, ...] = (),
) -> None:
    """Run ``job``; save what a screen of ``size`` cells shows once ``until`` holds. Raises TimeoutError."""
    app = GenerateApp(job, read=read)
    async with app.run_test(size=size) as pilot:
        if theme is not None:
            app.theme = theme
        async with asyncio.timeout(LIMIT_SECONDS):
            while not until(app.view):
                await asyncio.sleep(0.05)
        await pilot.press(*keys)
        await app.workers.wait_for_complete()
        await pilot.pause(0.5)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(app.export_screenshot(title="sdoctor generate", simplify=True))


def real_job(worker: Worker, options: argparse.Namespace, picture: Path) -> GenerateJob:
    """A job of a real worker that writes ``picture``."""
    settings = Settings().but(**parse_settings(options.settings))
    request = Request(
        prompt=options.prompt, width=options.size, height=options.size, steps=options.steps, seed=options.seed
    )

    def start() -> Iterator[Event]:
        for event in worker.run(
            Load(model=options.model, settings=settings, device=options.device), Limits()
        ):
            yield event
            if isinstance(event, Loaded):
                for later in worker.run(Generate(request=request, outputs=(str(picture),)), Limits()):
                    # The screen stands in the picture's folder, the worker elsewhere: the short name will do.
                    yield (
                        Finished(seconds=later.seconds, images=(picture.name,))
                        if isinstance(later, Finished)
                        else later
                    )

    return GenerateJob(
        model=options.model,
        prompt=options.prompt,
        settings_text=settings.text(),
        width=options.size,
        height=options.size,
        steps=options.steps,
        seed=options.seed,
        device=options.device,
        start=start,
        interrupt=worker.interrupt,
        pid=lambda: worker.pid,
    )


def main() -> None:
    """Read the command line, run, save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--prompt", default="a red circle")
    parser.add_argument("--settings", default="")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--screen", default="140x40", help="columns x rows")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.screen.split("x"))
    target = options.target.absolute()
    worker = Worker()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the path on the screen is short and says nothing about this machine
        job = real_job(worker, options, Path(folder) / "picture.png")
        try:
            asyncio.run(shoot(job, target, (columns, rows)))
        finally:
            worker.close()
            os.chdir("/")
    print(target)


if __name__ == "__main__":
    main()
