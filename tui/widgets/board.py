"""Board: the panels of the monitor in a grid, which come and go with cards and the watched process."""

from __future__ import annotations

from textual.containers import VerticalScroll

from tui.widgets.panel import Panel
from tui.widgets.readings import Reading

_TONES = {"cpu": "a", "ram": "b", "process": "a", "pressure": "e", "disk": "d", "network": "d"}
_LONG = ("gpu", "process")
"""Panels with so many figures that they are two rows high."""


class Board(VerticalScroll, can_focus=False):
    """Keeps a panel as long as it has a reading, so that nothing flickers."""

    def show(self, readings: tuple[tuple[str, Reading], ...]) -> None:
        """Draw these, in their order."""
        names = [name for name, _ in readings]
        if [panel.id for panel in self.children] != names:
            self._place(names)
        for name, reading in readings:
            self.query_one(f"#{name}", Panel).show(reading)

    def _place(self, names: list[str]) -> None:
        present = {panel.id: panel for panel in self.children}
        for name, panel in present.items():
            if name not in names:
                panel.remove()
        self.mount(*(_panel(name) for name in names if name not in present))
        order = {name: at for at, name in enumerate(names)}
        self.sort_children(key=lambda panel: order.get(panel.id or "", len(order)))


def _panel(name: str) -> Panel:
    panel = Panel(id=name)
    kind = name.rstrip("0123456789")
    panel.add_class(f"-series-{_TONES.get(kind, 'c')}")
    panel.set_class(kind in _LONG, "-long")
    return panel
