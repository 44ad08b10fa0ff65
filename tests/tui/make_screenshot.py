"""Makes an SVG picture of the generate screen.

    python -P tests/tui/make_screenshot.py docs/images/generate.svg --model MODEL --prompt PROMPT ...

runs the real worker and takes the picture when the generation is over. ``shoot`` does the same for any app.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tui.app import GenerateApp
from tui.orders import Order
from tui.screens.generate import GenerateScreen
from tui.state import View
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
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.screen.split("x"))
    target = options.target.absolute()
    until = is_over if options.at_step is None else lambda view: view.step >= options.at_step
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that the path on the screen is short and says nothing about this machine
        os.environ.setdefault("SDOCTOR_HOME", str(Path(folder) / "home"))
        app = GenerateApp(screen=screen_of(options))
        try:
            asyncio.run(shoot(app, target, (columns, rows), until, keys=tuple(options.keys.split())))
        finally:
            os.chdir("/")
    print(target)


if __name__ == "__main__":
    main()
