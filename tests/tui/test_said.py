"""Said: a figure that changes within a sentence does not lay the screen out; another number of lines does."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui.widgets.said import Said


class Page(App):
    CSS = "Vertical { width: 20; }  #fixed { height: 1; }"

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Said("before", id="said")
            yield Said(id="fixed")
            yield Static("below", id="below")


def shown(app: Page, name: str) -> str:
    return "\n".join(
        strip.text.rstrip() for strip in app.query_one(name).render_lines(app.query_one(name).size.region)
    )


def test_the_screen_is_laid_out_only_when_it_has_to_be(monkeypatch):
    laid_out = []
    lay_out = Screen._refresh_layout
    monkeypatch.setattr(Screen, "_refresh_layout", lambda *a, **k: (laid_out.append(1), lay_out(*a, **k)))

    async def look():
        app = Page()
        async with app.run_test(size=(40, 12)) as pilot:
            said, fixed, below = (app.query_one(name) for name in ("#said", "#fixed", "#below"))
            await pilot.pause()
            laid_out.clear()
            for percent in (80, 81, 82):
                said.say(f"{percent} % of two cores")
                fixed.say("words that would need more than one line of these")
                await pilot.pause()
                assert shown(app, "#said") == f"{percent} % of two cores"
            assert not laid_out
            assert below.region.y == 2
            said.say("other programs take all the cores there are")
            await pilot.pause()
            assert laid_out
            assert said.size.height == 3
            assert below.region.y == 4
            laid_out.clear()
            # Other colours are other words; the same ones are not.
            before = said.content
            said.say(Content(before.plain))
            assert said.content is before
            said.say(Content.from_markup("[bold]" + before.plain))
            assert said.content is not before
            said.say("short again")
            await pilot.pause()
            assert below.region.y == 2

    asyncio.run(look())
