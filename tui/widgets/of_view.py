"""OfView: base of the widgets that draw themselves from the view."""

from __future__ import annotations

from textual.widget import Widget

from tui.state import View


class OfView(Widget):
    """Keeps the view it was shown last."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.view = View()

    def show(self, view: View) -> None:
        """Draw ``view``."""
        self.view = view
        self.refresh()
