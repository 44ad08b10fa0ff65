"""StudyForm: the fields of a study; Enter in any of them begins it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from doctor.errors import UsageError
from doctor.sizes import parse_size
from tui.tuning import Asked
from tuner.models import resolve
from tuner.strategy.goal import Objective

_FIELDS = (
    (
        ("model", "model", "builtin:NAME, a folder, a .safetensors file, a hub id"),
        ("goal", "goal", "speed, size or memory"),
    ),
    (
        ("size", "size", "its own"),
        ("memory", "memory", "what is free"),
        ("minutes", "minutes", "20"),
        ("largest", "up to", "4096"),
    ),
)
_MOST_MINUTES, _LARGEST_SIDE = 10_000.0, 65_536


class StudyField(Input):
    """One value with a name; Escape gives the letter keys back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.keys", "keys", key_display="Esc"),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    async def action_submit(self) -> None:
        """Enter."""
        self.query_ancestor(StudyForm).submit()


class StudyForm(Vertical):
    """Reads and shows what a study is asked."""

    class Wanted(Message):
        """The user wants this study."""

        def __init__(self, asked: Asked) -> None:
            super().__init__()
            self.asked = asked

    def __init__(self, asked: Asked, models: tuple[str, ...]) -> None:
        """``asked``: what the fields begin with; options without a field are kept as they are there."""
        super().__init__(id="study-form")
        self._asked = asked
        self._models = models

    def compose(self) -> ComposeResult:
        """Two lines of fields, and one for what is wrong with them."""
        goals = tuple(objective.value for objective in Objective)
        known = {"model": self._models, "goal": goals}
        for line in _FIELDS:
            with Horizontal(classes="row"):
                for name, words, hint in line:
                    yield Static(words, classes="label")
                    yield StudyField(
                        id=f"study-{name}",
                        compact=True,
                        placeholder=hint,
                        suggester=SuggestFromList(known[name]) if name in known else None,
                    )
        yield Static(id="study-problem", classes="-empty", markup=False)

    def on_mount(self) -> None:
        """Fill in."""
        asked, usual = self._asked, Asked()
        values = {
            "model": asked.model,
            "goal": asked.goal,
            "size": asked.size or "",
            "memory": asked.memory or "",
            "minutes": "" if asked.time_limit == usual.time_limit else f"{asked.time_limit:g}",
            "largest": "" if asked.max_size == usual.max_size else str(asked.max_size),
        }
        for name, value in values.items():
            self._field(name).value = value

    def _field(self, name: str) -> StudyField:
        return self.query_one(f"#study-{name}", StudyField)

    def submit(self, *, resume: bool = False) -> None:
        """Ask for the study, or say what is wrong."""
        try:
            asked = self._read(resume=resume)
        except UsageError as error:
            self._complain(str(error))
            return
        self._complain("")
        self.post_message(self.Wanted(asked))

    def _complain(self, words: str) -> None:
        problem = self.query_one("#study-problem", Static)
        problem.update(words)
        problem.set_class(not words, "-empty")

    def _read(self, *, resume: bool) -> Asked:
        """Raises UsageError for what can be seen to be wrong without looking at the machine."""

        def typed(name: str) -> str:
            return self._field(name).value.strip()

        usual = Asked()
        resolve(typed("model") or usual.model, allow_pickle=self._asked.allow_pickle)
        goals = [objective.value for objective in Objective]
        goal = typed("goal").lower() or usual.goal
        if goal not in goals:
            raise UsageError(f"There is no goal '{goal}'; the goals are {', '.join(goals)}.")
        if typed("size"):
            parse_size(typed("size"))
        return replace(
            self._asked,
            model=typed("model") or usual.model,
            goal=goal,
            size=typed("size") or None,
            memory=typed("memory") or None,
            time_limit=_number("minutes", typed("minutes"), usual.time_limit, 0.1, _MOST_MINUTES),
            max_size=int(_number("up to", typed("largest"), usual.max_size, 64, _LARGEST_SIDE)),
            resume=resume,
        )


def _number(name: str, typed: str, usual: float, low: float, high: float) -> float:
    if not typed:
        return usual
    try:
        value = float(typed)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(f"'{typed}' cannot be used as {name}; it is a number from {low:g} to {high:g}.")
    return value
