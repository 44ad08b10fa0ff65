"""KeyLine: the keys at the foot of a screen, close together and without the palette's where room is scarce."""

from __future__ import annotations

from textual import events
from textual.widgets import Footer

_ROOMY = 120
"""Columns from which the keys of every screen fit with gaps."""


class KeyLine(Footer):
    """Textual's footer. Ctrl+P opens the palette on a narrow screen too; the help (?) says so."""

    def on_resize(self, event: events.Resize) -> None:
        """Give up gaps first."""
        roomy = event.size.width >= _ROOMY
        if roomy == self.compact:
            self.compact = not roomy
            self.show_command_palette = roomy
            self.refresh(recompose=True)
