"""PictureFrame: a picture in the best way that the terminal has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container

from tui.graphics import image_widget
from tui.widgets.picture import Picture, Source


class PictureFrame(Container):
    """Half blocks for what changes often; real graphics, where there are any, for a finished file."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="picture-frame")
        kind = image_widget()
        self._sharp: Any = None if kind is None else kind(classes="sharp")
        self._path: Path | None = None

    def compose(self) -> ComposeResult:
        """Both ways; one is shown."""
        yield Picture()
        if self._sharp is not None:
            self._sharp.display = False
            yield self._sharp

    def show(self, source: Source | None, words: str = "") -> None:
        """Draw ``source``; without one, say ``words``."""
        path = source if isinstance(source, Path) and self._sharp is not None else None
        if path is not None and path != self._path:
            try:
                self._sharp.image = path
            except (OSError, ValueError, SyntaxError):
                path = None  # half blocks say what is wrong with it
        self._path = path
        if self._sharp is not None:
            self._sharp.display = path is not None
        picture = self.query_one(Picture)
        picture.display = path is None
        if path is None:
            picture.show(source, words)
