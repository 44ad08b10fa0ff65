"""SettingsEditor: every knob with its values on this machine, and why a value cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from doctor.errors import SdoctorError
from tui.decision import Decision
from tui.orders import Order
from tui.situation import Situation
from tuner.knobs import KNOBS
from tuner.knobs.knob import Knob, Value
from tuner.settings import Settings
from tuner.target import Target

_NAME_WIDTH = 16
_MOST_VALUES = 8
"""A knob with more values shows only those that can be used here."""


class SettingsEditor(ModalScreen[str | None]):
    """Gives back ``name=value,...`` for what differs from the profile's settings ("" for nothing), or None."""

    CSS_PATH = ["../sdoctor.tcss", "generate.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "leave it", key_display="Esc"),
        Binding("left,h", "turn(-1)", "value before", priority=True),
        Binding("right,l", "turn(1)", "value after", priority=True),
        Binding("r", "reset", "as the profile has it"),
    ]

    class Looked(Message):
        """The machine was looked at, or why that failed."""

        def __init__(self, found: tuple[Situation, Decision, Settings] | None, problem: str = "") -> None:
            super().__init__()
            self.found = found
            self.problem = problem

    def __init__(self, order: Order, typed: str, look: Callable[[Order], tuple[Situation, Decision]]) -> None:
        """``typed``: the changes that are in force. ``look``: takes part of a second, so it runs in a thread."""
        super().__init__()
        self._order = order
        self._typed = typed
        self._look = look
        self._target: Target | None = None
        self._base = self._settings = Settings()

    def compose(self) -> ComposeResult:
        """One box in the middle."""
        with Vertical(id="settings") as box:
            box.border_title = f"settings for {self._order.model}"
            box.border_subtitle = "← → change   Enter uses   r resets   Esc leaves"
            yield Static("Looking at the machine ...", id="settings-note", markup=False)
            yield OptionList(id="knobs", markup=False, compact=True)
            with VerticalScroll(id="knob-scroll"):
                yield Static(id="knob-about", markup=False)

    def on_mount(self) -> None:
        """Look at the machine meanwhile."""
        self.run_worker(partial(self._look_in_thread), thread=True, exit_on_error=False)

    def _look_in_thread(self) -> None:
        from dataclasses import replace

        try:
            situation, decision = self._look(self._order)
            _, changed = self._look(replace(self._order, settings=self._typed))
        except SdoctorError as error:
            self.post_message(self.Looked(None, str(error)))
            return
        self.post_message(self.Looked((situation, decision, changed.settings)))

    def on_settings_editor_looked(self, message: Looked) -> None:
        """Now the knobs can be shown."""
        message.stop()
        if message.found is None:
            self.query_one("#settings-note", Static).update(message.problem)
            return
        situation, decision, self._settings = message.found
        self._target, self._base = situation.target, decision.settings
        self.query_one("#settings-note", Static).update(" ".join(decision.notes))
        knobs = self.query_one("#knobs", OptionList)
        knobs.add_options([Option(self._line(item), id=item.name) for item in KNOBS])
        knobs.highlighted = 0
        knobs.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what the knob does, and what it cannot be."""
        event.stop()
        self._explain(KNOBS[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter: use what is shown."""
        event.stop()
        changes = self._settings.differences(self._base)
        # "None" means that the program decides; there is no way to type it, so it is left out.
        typed = [f"{name}={value}" for name, value in changes.items() if value is not None]
        self.dismiss(",".join(typed))

    def action_turn(self, by: int) -> None:
        """The next value of the knob under the cursor that can be used here."""
        knobs = self.query_one("#knobs", OptionList)
        if knobs.highlighted is None or self._target is None:
            return
        item = KNOBS[knobs.highlighted]
        present: Value = getattr(self._settings, item.name)
        possible = [value for value in self._values(item) if self._refusal(item, value) is None]
        if present not in possible:
            possible.insert(0, present)
        chosen = possible[(possible.index(present) + by) % len(possible)]
        self._settings = self._settings.but(**{item.name: chosen})
        self._redraw()

    def action_reset(self) -> None:
        """As the profile has it."""
        self._settings = self._base
        self._redraw()

    def _redraw(self) -> None:
        knobs = self.query_one("#knobs", OptionList)
        for place, item in enumerate(KNOBS):
            knobs.replace_option_prompt_at_index(place, self._line(item))
        if knobs.highlighted is not None:
            self._explain(KNOBS[knobs.highlighted])

    def _values(self, item: Knob) -> tuple[Value, ...]:
        if item.values or self._target is None:
            return item.values
        found = item.candidates(self._target, self._order.wish.batch)
        return tuple(dict.fromkeys([getattr(self._base, item.name), *found]))

    def _refusal(self, item: Knob, value: Value) -> str | None:
        assert self._target is not None
        return item.refusal(value, self._settings.but(**{item.name: value}), self._target)

    def _line(self, item: Knob) -> Content:
        present: Value = getattr(self._settings, item.name)
        changed = present != getattr(self._base, item.name)
        parts: list[str | tuple[str, str]] = [(f"{item.name:<{_NAME_WIDTH}}", "bold" if changed else "")]
        refused = 0
        for value in dict.fromkeys([*self._values(item), present]):
            word = "auto" if value is None else str(value)
            if value == present:
                parts.append((f"[{word}] ", "bold $text-accent"))
            elif self._refusal(item, value) is None:
                parts.append(f"{word}  ")
            elif len(self._values(item)) > _MOST_VALUES:
                refused += 1
            else:
                parts.append((f"{word}✗ ", "$foreground-muted"))
        if refused:
            parts.append((f"and {refused} that cannot be used", "$foreground-muted"))
        return Content.assemble(*parts)

    def _explain(self, item: Knob) -> None:
        """What it does; and for the values that cannot be used, why, those with one reason together."""
        reasons: dict[str, list[str]] = {}
        for value in self._values(item) if self._target is not None else ():
            reason = self._refusal(item, value)
            if reason is not None:
                # A reason that names its value is the same for all once the name is out of it.
                reasons.setdefault(reason.replace(str(value), "it"), []).append(str(value))
        lines = [item.about, *(f"✗ {', '.join(names)}: {reason}" for reason, names in reasons.items())]
        self.query_one("#knob-about", Static).update("\n".join(lines))
