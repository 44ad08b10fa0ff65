"""Said: words that change often, without the whole screen being laid out and drawn anew each time."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Said(Static):
    """Plain words or ``Content``. The screen is laid out anew only where they need another number of lines.

    Textual lays out at each ``Static.update``, and whatever is laid out is drawn: on a screen of 200x50 that was most of
    what it cost to show a figure in a sentence.
    """

    def __init__(self, words: str = "", *, id: str, classes: str = "") -> None:
        self._said = Content(words)
        super().__init__(self._said, id=id, classes=classes, markup=False)

    def say(self, words: Content | str) -> None:
        """Show ``words``, if they or their colours are others than those shown."""
        content = words if isinstance(words, Content) else Content(words)
        if content.is_same(self._said):
            return
        self._said = content
        self.update(content, layout=self._needs_layout(content))

    def _needs_layout(self, content: Content) -> bool:
        width, height = self.content_size
        if not self.styles.is_auto_height:
            return False
        return width == 0 or content.get_height(self.styles.get_rules(), width) != height
