"""Makes an SVG picture of a screen.

    python -P tests/tui/make_screenshot.py docs/images/generate.svg --model MODEL --prompt PROMPT ...
    python -P tests/tui/make_screenshot.py docs/images/tune.svg --place tune --memory 120MiB --max-size 512
    python -P tests/tui/make_screenshot.py docs/images/check.svg --place check

runs the real worker (study, probes) and takes the picture when it is over. ``shoot`` does the same for any app.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tui.app import GenerateApp
from tui.orders import Order
from tui.places import PLACES
from tui.screens.check import CheckScreen
from tui.screens.generate import GenerateScreen
from tui.screens.tune import TuneScreen
from tui.shell import SdoctorApp
from tui.state import View
from tui.tuning import Asked
from tui.workshop import Bench, Workshop
from tuner.generation import Wish

LIMIT_SECONDS = 600.0


def is_over(view: View) -> bool:
    """The usual moment for a picture."""
    return view.over


async def shoot(
    app: GenerateApp,
    target: Path,
    size: tuple[int, int] = (140, 40),
    until: Callable[[View], bool] = is_over,
    theme: str | None = None,
    keys: tuple[str, ...] = (),
) -> None:
    """Run ``app``; save what a screen of ``size`` cells shows once ``until`` holds. Raises TimeoutError."""
    async with app.run_test(size=size) as pilot:
        if theme is not None:
            app.theme = theme
        async with asyncio.timeout(LIMIT_SECONDS):
            while not until(app.view):
                await asyncio.sleep(0.05)
        await pilot.press(*keys)
        await pilot.pause(0.5)
        await app.workers.wait_for_complete()
        await pilot.pause(0.5)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(app.export_screenshot(title="sdoctor generate", simplify=True))


def screen_of(options: argparse.Namespace) -> GenerateScreen:
    """The real screen, with one order that begins at once."""
    wish = Wish(
        prompt=options.prompt, width=options.size, height=options.size, steps=options.steps, seed=options.seed
    )
    order = Order(model=options.model, wish=wish, settings=options.settings)
    return GenerateScreen(Workshop(Bench(device=options.device)), order, begin=True)


async def shoot_place(options: argparse.Namespace, target: Path, size: tuple[int, int]) -> None:
    """A place of the shell: a real study, or a real examination with its probes."""
    tune = TuneScreen(
        Asked(model=options.model, memory=options.memory, max_size=options.max_size, device=options.device),
        begin=True,
    )
    check = CheckScreen()
    places = [replace(place, make=lambda: tune) if place.name == "tune" else place for place in PLACES]
    places = [replace(place, make=lambda: check) if place.name == "check" else place for place in places]
    app = SdoctorApp(places, first=options.place)
    async with app.run_test(size=size) as pilot, asyncio.timeout(LIMIT_SECONDS):
        await pilot.pause(2.0)
        if options.place == "check":
            await pilot.press("m")
            await pilot.pause(1.0)
            while check._examiner.is_busy:
                await pilot.pause(0.2)
        while options.place == "tune" and tune.is_working:
            await pilot.pause(0.2)
        await pilot.press(*options.keys.split())
        await pilot.pause(1.0)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(app.export_screenshot(title="sdoctor", simplify=True))


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
    parser.add_argument("--keys", default="", help="pressed at the end, separated by spaces")
    parser.add_argument("--at-step", type=int, help="take the picture at this step instead of at the end")
    parser.add_argument("--place", choices=("tune", "check"), help="of the shell, instead of a generation")
    parser.add_argument("--memory", help="--place tune: as in sdoctor tune")
    parser.add_argument("--max-size", type=int, default=512, help="--place tune: as in sdoctor tune")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.screen.split("x"))
    target = options.target.absolute()
    until = is_over if options.at_step is None else lambda view: view.step >= options.at_step
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the path on the screen is short and says nothing about this machine
        os.environ.setdefault("SDOCTOR_HOME", str(Path(folder) / "home"))
        try:
            if options.place:
                asyncio.run(shoot_place(options, target, (columns, rows)))
            else:
                app = GenerateApp(screen=screen_of(options))
                asyncio.run(shoot(app, target, (columns, rows), until, keys=tuple(options.keys.split())))
        finally:
            os.chdir("/")
    print(target)


if __name__ == "__main__":
    main()
