"""GalleryScreen: the pictures that were made, with how; a prompt can be taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.gallery import Piece, gallery
from tui.orders import Order
from tui.widgets.frame import PictureFrame
from tui.widgets.key_line import KeyLine
from tui.widgets.words import duration, printable


@dataclass(frozen=True, slots=True)
class Again:
    """What the user takes from the gallery."""

    order: Order
    seed: int | None
    """None leaves it to chance."""


class GalleryScreen(Screen[Again | None]):
    """Gives back what shall be drawn again, or None. Needs no particular app."""

    CSS_PATH = ["../sdoctor.tcss", "generate.tcss"]  # noqa: RUF012  (Textual's own type is a plain list)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,g,q", "dismiss", "back", key_display="Esc"),
        Binding("r", "again(False)", "reuse prompt"),
        Binding("s", "again(True)", "reuse prompt and seed"),
        Binding("f", "full", "full size"),
        Binding("y", "copy", "copy path"),
    ]

    def compose(self) -> ComposeResult:
        """The list, the picture beside (or below) it, its making."""
        yield Static(" gallery", id="title")
        with Horizontal(id="gallery"):
            yield OptionList(id="pieces", markup=False, compact=True)
            with Vertical(id="piece"):
                yield Static(id="making", markup=False)
                yield PictureFrame(id="gallery-picture")
        yield KeyLine()

    def on_mount(self) -> None:
        """Read the index; it is short."""
        self._pieces = gallery()
        pieces = self.query_one("#pieces", OptionList)
        pieces.add_options([Option(_line(piece)) for piece in self._pieces])
        pieces.focus()
        if self._pieces:
            pieces.highlighted = 0
        else:
            self.query_one(PictureFrame).show(None, "Nothing was made yet.")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the picture under the cursor."""
        event.stop()
        piece = self._pieces[event.option_index]
        self.query_one("#making", Static).update(Content(_making(piece)))
        if piece.exists:
            self.query_one(PictureFrame).show(Path(piece.path))
        else:
            self.query_one(PictureFrame).show(None, "The file is gone.")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter: full size."""
        event.stop()
        self.action_full()

    def action_full(self) -> None:
        """The picture alone, or the list with it."""
        self.toggle_class("-full")

    def action_again(self, with_seed: bool) -> None:
        """Take the prompt up again."""
        piece = self._piece()
        if piece is not None:
            self.dismiss(Again(piece.order(), piece.seed if with_seed else None))

    def action_copy(self) -> None:
        """The path into the clipboard of the terminal."""
        piece = self._piece()
        if piece is not None:
            self.app.copy_to_clipboard(piece.path)
            self.notify("The path was sent to the terminal's clipboard.")

    def _piece(self) -> Piece | None:
        at = self.query_one("#pieces", OptionList).highlighted
        return None if at is None else self._pieces[at]


def _line(piece: Piece) -> Content:
    mark = "" if piece.exists else " (gone)"
    return Content.assemble(printable(piece.prompt), (f"{mark}  {piece.at[:10]}", "$foreground-muted"))


def _making(piece: Piece) -> str:
    took = "" if piece.seconds is None else f" · {duration(piece.seconds)}"
    batch = f" for {piece.batch}" if piece.batch > 1 else ""
    guidance = "" if piece.guidance is None else f" · guidance {piece.guidance:g}"
    negative = f"\nnot: {piece.negative_prompt}" if piece.negative_prompt else ""
    facts = (
        f"{piece.model} · {piece.width}x{piece.height} · {piece.steps} steps · seed {piece.seed}{guidance} · "
        f"{piece.settings.text()}{took}{batch}"
    )
    lines = [f"“{piece.prompt}”{negative}", facts, f"{piece.at}  {piece.path}"]
    return "\n".join(printable(line) for text in lines for line in text.splitlines())
