"""JobList: the orders, one line each; those that wait can be moved and taken out."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.orders import Orders, Placed, State
from tui.widgets.words import duration, printable

_MARKS = {
    State.WAITING: ("·", "$foreground-muted"),
    State.RUNNING: ("▸", "bold $text-accent"),
    State.FINISHED: ("✓", "$text-success"),
    State.STOPPED: ("■", "$text-warning"),
    State.FAILED: ("✗", "bold $text-error"),
}


class JobList(OptionList):
    """Shows ``Orders``; decides nothing: what the user wants is posted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,x", "want('remove')", "remove", key_display="x"),
        Binding("shift+up,K", "want('earlier')", "earlier", key_display="K"),
        Binding("shift+down,J", "want('later')", "later", key_display="J"),
        Binding("escape", "screen.keys", show=False),
    ]

    class Wanted(Message):
        """The user wants something done with an order: "remove", "earlier", "later" or "reuse"."""

        def __init__(self, what: str, number: int) -> None:
            super().__init__()
            self.what = what
            self.number = number

    def __init__(self) -> None:
        super().__init__(id="jobs", classes="-empty", compact=True, markup=False)
        self.border_title = "jobs"
        self._shown: tuple[Placed, ...] = ()

    def show(self, orders: Orders) -> None:
        """Draw ``orders``, if they are others than those shown; the cursor stays on its order."""
        if orders.placed == self._shown:
            return
        at = self._number()
        self._shown = orders.placed
        self.set_class(len(orders.placed) < 2, "-empty")
        self.border_subtitle = f"{len(orders.waiting)} waiting" if orders.waiting else ""
        self.clear_options()
        self.add_options([Option(_line(one), id=str(one.number)) for one in orders.placed])
        numbers = [one.number for one in orders.placed]
        focus = orders.running.number if orders.running and not self.has_focus else at
        if numbers:
            self.highlighted = numbers.index(focus) if focus in numbers else len(numbers) - 1

    def action_want(self, what: str) -> None:
        """Say what is wanted of the order under the cursor."""
        number = self._number()
        if number is not None:
            self.post_message(self.Wanted(what, number))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter: the order goes back into the form."""
        event.stop()
        self.action_want("reuse")

    def _number(self) -> int | None:
        if self.highlighted is None or self.highlighted >= len(self._shown):
            return None
        return self._shown[self.highlighted].number


def _line(one: Placed) -> Content:
    mark, tone = _MARKS[one.state]
    wish = one.order.wish
    facts = [f"{wish.width}x{wish.height}" if wish.width and wish.height else ""]
    facts += [f"{wish.steps} steps" if wish.steps else "", f"seed {wish.seed}"]
    facts += [f"batch {wish.batch}" if wish.batch > 1 else ""]
    facts += [duration(one.seconds) if one.seconds is not None else ""]
    facts += [one.message if one.state is State.FAILED else ""]
    text = f"{one.number} {printable(wish.prompt)}  "
    rest = printable(" · ".join(filter(None, facts)))
    return Content.assemble((f"{mark} ", tone), text, (rest, "$foreground-muted"))
