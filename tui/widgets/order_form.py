"""OrderForm: the box for the prompt, with its history, and the fields for all that can be asked for."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from doctor.errors import UsageError
from doctor.sizes import parse_size
from tui.orders import Order
from tui.prompt_history import PromptHistory
from tuner.generation import Wish
from tuner.settings import parse_settings

_MOST_STEPS, _MOST_BATCH = 1000, 64
_FIELDS = (
    ("size", "size", "its own"),
    ("steps", "steps", "its own"),
    ("guidance", "guidance", "its own"),
    ("seed", "seed", "random"),
    ("batch", "batch", "1"),
)
_LONG_FIELDS = (("model", "model", ""), ("negative", "not", "what not to draw"))


class Ask(Input):
    """One line for the prompt; up and down go through the history, Escape gives the letter keys back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", show=False),
        Binding("down", "newer", show=False),
        Binding("escape", "screen.keys", "keys", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def __init__(self, history: PromptHistory) -> None:
        super().__init__(id="ask", compact=True, placeholder="what to draw; Enter draws it")
        self._history = history

    async def _on_key(self, event: Key) -> None:
        """Enter is obeyed before the keys after it are: a binding would come too late, and they are the next prompt's."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.query_ancestor(OrderForm).submit()
        else:
            await super()._on_key(event)

    def action_older(self) -> None:
        """The prompt before."""
        self._put(self._history.older(self.value))

    def action_newer(self) -> None:
        """The prompt after."""
        self._put(self._history.newer())

    def _put(self, prompt: str | None) -> None:
        if prompt is not None:
            self.value = prompt
            self.cursor_position = len(prompt)


class Field(Input):
    """One value with a name; Escape gives the letter keys back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.keys", show=False),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    async def action_submit(self) -> None:
        """Enter, as in the box."""
        self.query_ancestor(OrderForm).submit()


class OrderForm(Vertical):
    """Reads and shows an ``Order``. Enter in any field orders it."""

    class Ordered(Message):
        """The user wants this drawn."""

        def __init__(self, order: Order) -> None:
            super().__init__()
            self.order = order

    def __init__(
        self, order: Order, models: tuple[str, ...], history: PromptHistory, seed: int | None = None
    ) -> None:
        """``order``: what the fields begin with. ``seed``: kept until the user takes it out; None for random ones."""
        super().__init__(id="form")
        self._order = order
        self._models = models
        self._history = history
        self._seed = seed
        self.settings = order.settings
        """Settings that were changed by hand, ``name=value,...``."""

    def compose(self) -> ComposeResult:
        """The prompt first; the fields in two lines below, where they are shown."""
        with Horizontal(classes="row"):
            yield Static(">", classes="mark")
            yield Ask(self._history)
        with Horizontal(classes="row fields"):
            for name, words, hint in _FIELDS:
                yield Static(words, classes="label")
                yield Field(id=f"field-{name}", compact=True, placeholder=hint)
        with Horizontal(classes="row fields"):
            for name, words, hint in _LONG_FIELDS:
                yield Static(words, classes="label")
                suggester = SuggestFromList(self._models) if name == "model" else None
                yield Field(id=f"field-{name}", compact=True, placeholder=hint, suggester=suggester)
        yield Static(id="changed", classes="-empty", markup=False)
        yield Static(id="problem", classes="-empty", markup=False)

    def on_mount(self) -> None:
        """Fill in."""
        self.fill(self._order, seed=self._seed)

    def fill(self, order: Order, *, seed: int | None = None) -> None:
        """Show ``order``; ``seed`` None leaves the seed to chance."""
        wish = order.wish
        size = f"{wish.width}x{wish.height}" if wish.width and wish.height else ""
        self._put("size", size)
        self._put("steps", wish.steps)
        self._put("guidance", wish.guidance)
        self._put("seed", seed)
        self._put("batch", wish.batch if wish.batch != 1 else None)
        self._put("model", order.model)
        self._put("negative", wish.negative_prompt)
        self.use_settings(order.settings)
        ask = self.query_one(Ask)
        ask.value = wish.prompt
        ask.cursor_position = len(wish.prompt)

    def use_settings(self, settings: str) -> None:
        """Take over ``name=value,...``, and show that the profile is not followed in these."""
        self.settings = settings
        line = self.query_one("#changed", Static)
        line.update(f"settings changed by hand: {settings}" if settings else "")
        line.set_class(not settings, "-empty")

    def order(self) -> Order:
        """What the fields say. Raises UsageError for the first that cannot be."""
        prompt = self.query_one(Ask).value.strip()
        if not prompt:
            raise UsageError("There is nothing to draw: the prompt is empty.")
        width, height = parse_size(self._text("size")) if self._text("size") else (None, None)
        seed = self._whole("seed", 0, None)
        parse_settings(self.settings)
        return Order(
            model=self._text("model") or self._order.model,
            wish=Wish(
                prompt=prompt,
                negative_prompt=self._text("negative") or None,
                width=width,
                height=height,
                steps=self._whole("steps", 1, _MOST_STEPS),
                guidance=self._number("guidance"),
                seed=secrets.randbelow(2**31) if seed is None else seed,
                batch=self._whole("batch", 1, _MOST_BATCH) or 1,
            ),
            settings=self.settings,
        )

    def template(self) -> Order:
        """What the fields say, whatever the prompt; for looking at the settings. Raises UsageError."""
        return replace(self._order, model=self._text("model") or self._order.model, settings="")

    def submit(self) -> None:
        """Order it, or say what is wrong."""
        try:
            order = self.order()
        except UsageError as error:
            self.say(str(error))
            return
        self.say("")
        self._history.add(order.wish.prompt)
        self.query_one(Ask).value = ""
        self.post_message(self.Ordered(order))

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong may be right now."""
        event.stop()
        self.say("")

    def say(self, problem: str) -> None:
        """One sentence below the fields; "" for none."""
        line = self.query_one("#problem", Static)
        if line.content != problem:
            line.update(problem)
            line.set_class(not problem, "-empty")

    def _put(self, name: str, value: object) -> None:
        self.query_one(f"#field-{name}", Field).value = "" if value is None else str(value)

    def _text(self, name: str) -> str:
        return self.query_one(f"#field-{name}", Field).value.strip()

    def _whole(self, name: str, least: int, most: int | None) -> int | None:
        text = self._text(name)
        if not text:
            return None
        bounds = f"from {least} to {most}" if most is not None else f"from {least} on"
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise UsageError(f"'{text}' cannot be used as {name}; it is a whole number {bounds}.")
        return int(text)

    def _number(self, name: str) -> float | None:
        text = self._text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1000:
            raise UsageError(f"'{text}' cannot be used as {name}; it is a number from 0 on.")
        return value
