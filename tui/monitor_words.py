"""What the monitor screen says about itself: its title, its place in time, its help."""

from __future__ import annotations

from datetime import datetime

from doctor.verdicts.window import LEAST_SAMPLES
from tui.monitor_feed import Player
from tui.process_rows import COLUMNS, Order
from tui.timeline import Timeline
from tui.widgets.words import clock, printable


def title_words(line: Timeline, recorded: bool, player: Player) -> str:
    """Now or then, and when."""
    sample = line.sample
    when = ""
    if sample is not None and sample.clock is not None:
        when = f"  {datetime.fromtimestamp(sample.clock):%H:%M:%S}"
    if recorded:
        speed = "" if player.speed in (0, 1) else f" x{player.speed:g}"
        state = f"playing{speed}" if player.runs else "at its end" if line.at_end else "paused"
        return f" recording{when}  {state}"
    return f" monitor{when}" if line.follows else f" monitor{when}  {clock(line.behind())} ago"


def span_words(line: Timeline, per: int) -> str:
    """How far in time, and what a dot of the plots is."""
    samples = line.samples
    since = line.samples[line.head].at - samples[0].at
    whole = samples[-1].at - samples[0].at
    dot = "" if per == 1 else f", {per} samples a dot"
    return f"{clock(since)} of {clock(whole)}{dot}"


def about_table(shown: int, of: int, order: Order, is_now: bool, mark: str) -> str:
    """The line above the processes."""
    title = next(column.title for column in COLUMNS if column.name == order.column)
    what = f"{shown} processes" if shown >= of else f"{shown} of {of} processes"
    if not is_now:
        what = f"{shown} processes that were recorded (the watched one, busy neighbours, on a card)"
    by = f"by {title}{' reversed' if order.reverse else ''}{', tree' if order.tree else ''}"
    found = f", with '{printable(order.filter)}'" if order.filter else ""
    return f"{what}, {by}{found}" + (f"   ! {printable(mark)}" if mark else "")


def verdict_missing(line: Timeline) -> str:
    """What stands in the place of a verdict where there is none."""
    return "looking ..." if line.head + 1 < LEAST_SAMPLES else "Nothing stands out."
