"""Picture: an image file, or one that still forms, drawn with half blocks, two pixels to a cell."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from pathlib import Path

from PIL import Image, ImageOps
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.pacing import Pace
from tuner.events import Preview

_UPPER_HALF = "▀"
_LONGEST_WITHOUT_PREVIEW = 10.0
_COMPOSED_SECONDS = 0.15
"""After which a drawn picture has been composed and written: what the process does meanwhile counts as its cost."""

_PREVIEW_BITS = 5
"""Of each colour: 32 levels."""

Rgb = tuple[int, int, int]
Source = Path | Preview
"""What can be drawn: a file, or the picture as it forms."""


@lru_cache(maxsize=8192)
def _style(upper: Rgb, lower: Rgb) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def _coarse(image: Image.Image) -> Image.Image:
    """A preview in fewer colours: neighbours become one segment, and colours come again, which is what drawing costs."""
    return ImageOps.posterize(image, _PREVIEW_BITS)


def half_blocks(
    image: Image.Image, size: Size, larger: Image.Resampling = Image.Resampling.NEAREST
) -> list[Strip]:
    """``image`` as large as fits into ``size`` cells of shape 1:2, keeping its own shape; ``larger``: how it grows."""
    scale = min(size.width / image.width, 2 * size.height / image.height)
    width = max(1, round(image.width * scale))
    height = max(2, round(image.height * scale) // 2 * 2)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BOX if scale < 1 else larger)
    data = small.tobytes()
    pixels: list[Rgb] = list(zip(data[0::3], data[1::3], data[2::3], strict=True))
    return [
        _strip(pixels[top * width : (top + 1) * width], pixels[(top + 1) * width : (top + 2) * width])
        for top in range(0, height, 2)
    ]


def _strip(upper: list[Rgb], lower: list[Rgb]) -> Strip:
    """One row of cells; neighbours of the same colours become one segment."""
    runs: list[tuple[tuple[Rgb, Rgb], int]] = []
    for pair in zip(upper, lower, strict=True):
        if runs and runs[-1][0] == pair:
            runs[-1] = pair, runs[-1][1] + 1
        else:
            runs.append((pair, 1))
    return Strip([Segment(_UPPER_HALF * count, _style(*pair)) for pair, count in runs], len(upper))


class Picture(Widget):
    """Shows one image file. Reading and scaling happen in a thread; the screen goes on meanwhile."""

    class Drawn(Message):
        """A thread has drawn the picture, or says why it could not."""

        def __init__(
            self, wanted: tuple[Source, Size], strips: list[Strip], problem: str = "", cost: float = 0.0
        ) -> None:
            """``cost``: seconds of processor time that it took."""
            super().__init__()
            self.cost = cost
            self.wanted = wanted
            self.strips = strips
            self.problem = problem

    def __init__(self) -> None:
        super().__init__()
        self._source: Source | None = None
        self._words = ""
        self._problem = ""
        self._strips: list[Strip] = []
        self._pace = Pace(longest=_LONGEST_WITHOUT_PREVIEW)
        self._begun_at = float("-inf")

    def show(self, source: Source | None, words: str = "") -> None:
        """Draw ``source``; without one, say ``words``. What was drawn stays until the new picture is ready."""
        if (source, words) == (self._source, self._words):
            return
        now = time.monotonic()
        if isinstance(source, Preview):
            # Whoever shows previews shows the newest one again and again: it is drawn when its time has come.
            if isinstance(self._source, Preview) and now - self._begun_at < self._pace.seconds:
                return
            self._begun_at = now
        self._source, self._words, self._problem = source, words, ""
        if source is None:
            self._strips = []
        if not self._strips:
            self.refresh()
        self._draw()

    def on_resize(self) -> None:
        """Draw anew for the new size."""
        self._draw()

    def _draw(self) -> None:
        size = self.content_size
        if self._source is not None and size.area:
            draw = partial(self._draw_in_thread, (self._source, size))
            self.run_worker(draw, thread=True, exclusive=True, exit_on_error=False)

    def _draw_in_thread(self, wanted: tuple[Source, Size]) -> None:
        source, size = wanted
        begun = time.thread_time()
        try:
            if isinstance(source, Preview):
                image = Image.frombytes("RGB", (source.width, source.height), source.rgb)
                strips = half_blocks(_coarse(image), size)
            else:
                with Image.open(source) as image:
                    # JPEG only: decode no more pixels than are drawn.
                    image.draft("RGB", (2 * size.width, 4 * size.height))
                    strips = half_blocks(image, size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            self.post_message(self.Drawn(wanted, [], f"The picture could not be drawn: {error}"))
            return
        self.post_message(self.Drawn(wanted, strips, cost=time.thread_time() - begun))

    def on_picture_drawn(self, message: Drawn) -> None:
        """Take what the thread drew, unless another picture or size is wanted by now."""
        message.stop()
        if message.wanted != (self._source, self.content_size):
            return
        self._strips, self._problem = message.strips, message.problem
        self.refresh()
        if isinstance(self._source, Preview):
            begun = time.process_time()
            self.set_timer(
                _COMPOSED_SECONDS, lambda: self._pace.drawn(message.cost + time.process_time() - begun)
            )

    def render_line(self, y: int) -> Strip:
        """The picture, or the words, in the middle."""
        width, height = self.content_size
        blank = Strip.blank(width, self.visual_style.rich_style)
        if not self._strips:
            words = self._problem or self._words
            if y != height // 2 or not words:
                return blank
            text = words[:width].center(width)
            return Strip([Segment(text, self.visual_style.rich_style)]).adjust_cell_length(
                width, self.visual_style.rich_style
            )
        row = y - (height - len(self._strips)) // 2
        if not 0 <= row < len(self._strips):
            return blank
        strip = self._strips[row]
        left = max(0, (width - strip.cell_length) // 2)
        return Strip.join([Strip.blank(left, self.visual_style.rich_style), strip]).adjust_cell_length(
            width, self.visual_style.rich_style
        )
