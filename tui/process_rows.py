"""What the process table shows: which rows, in which order, as a list or a tree. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from doctor.sizes import GIB, MIB
from doctor.telemetry.processes import ProcessRow
from doctor.telemetry.sample import Sample
from tui.widgets.words import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the table."""

    row: ProcessRow
    gpu_memory: int | None = None
    """Bytes on all cards; None if it holds none that is known."""
    branch: str = ""
    """What a tree draws before its command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it says, and by what it sorts."""

    name: str
    title: str
    width: int
    """Cells; 0 for what is left."""
    text: Callable[[Entry], str]
    key: Callable[[Entry], float | str | None]
    left: bool = False
    wide: bool = False
    """Shown only where there is room."""
    rising: bool = False
    """Whether the smallest comes first unless reversed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How the table is arranged."""

    column: str = "cpu"
    reverse: bool = False
    tree: bool = False
    filter: str = ""
    """Only rows whose id, user, name or command hold these letters, upper or lower case."""


def _number(value: float | None, form: str = ".0f") -> str:
    return "?" if value is None else format(value, form)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def short_bytes(count: int | None) -> str:
    """In seven cells: "1.25G", "340M", "?"."""
    if count is None:
        return "?"
    return f"{count / GIB:.2f}G" if count >= GIB else f"{count / MIB:.0f}M"


COLUMNS = (
    Column(
        name="pid", title="PID", width=7, text=lambda e: str(e.row.pid), key=lambda e: e.row.pid, rising=True
    ),
    Column(
        name="user",
        title="USER",
        width=8,
        text=lambda e: e.row.user or "?",
        key=lambda e: e.row.user,
        left=True,
        rising=True,
    ),
    Column(
        name="gpu",
        title="GPU-MEM",
        width=8,
        text=lambda e: "" if e.gpu_memory is None else short_bytes(e.gpu_memory),
        key=lambda e: e.gpu_memory,
    ),
    Column(
        name="cpu",
        title="CPU%",
        width=5,
        text=lambda e: _number(e.row.cpu_percent),
        key=lambda e: e.row.cpu_percent,
    ),
    Column(
        name="memory",
        title="MEM",
        width=6,
        text=lambda e: short_bytes(e.row.resident),
        key=lambda e: e.row.resident,
    ),
    Column(
        name="threads",
        title="THR",
        width=4,
        text=lambda e: _number(e.row.threads),
        key=lambda e: e.row.threads,
        wide=True,
    ),
    Column(
        name="nice",
        title="NI",
        width=3,
        text=lambda e: _number(e.row.niceness),
        key=lambda e: e.row.niceness,
        wide=True,
    ),
    Column(
        name="time",
        title="TIME",
        width=8,
        text=lambda e: _time(e.row.cpu_seconds),
        key=lambda e: e.row.cpu_seconds,
        wide=True,
    ),
    Column(
        name="state",
        title="S",
        width=1,
        text=lambda e: e.row.state or "?",
        key=lambda e: e.row.state,
        rising=True,
    ),
    Column(
        name="command",
        title="COMMAND",
        width=0,
        text=lambda e: e.branch + printable(command_of(e.row)),
        key=lambda e: command_of(e.row).lower(),
        left=True,
        rising=True,
    ),
)
"""In reading order."""


def cell(column: Column, text: str) -> str:
    """As wide as its column, unless that takes what is left."""
    if column.width == 0:
        return text
    text = text if len(text) <= column.width else text[: column.width - 1] + "…"
    return text.ljust(column.width) if column.left else text.rjust(column.width)


_BY_NAME = {column.name: column for column in COLUMNS}
_WIDE = 110
"""Cells from which all columns are shown."""


def command_of(row: ProcessRow) -> str:
    """The command line, else the name: in brackets, as ps does, if it is known to have none."""
    return row.command or row.name


def columns_for(width: int, has_cards: bool = True) -> tuple[Column, ...]:
    """The columns that are shown in so many cells; memory of cards only where there is one."""
    return tuple(
        column
        for column in COLUMNS
        if (width >= _WIDE or not column.wide) and (has_cards or column.name != "gpu")
    )


def entries(rows: Sequence[ProcessRow], sample: Sample | None) -> tuple[Entry, ...]:
    """The processes with what they hold on the cards. The driver's processes that are unknown here come too."""
    held: dict[int, int | None] = {}
    names: dict[int, str | None] = {}
    for card in (sample.gpus if sample is not None else None) or ():
        for each in card.processes or ():
            held[each.pid] = _sum(held.get(each.pid), each.memory_used)
            names[each.pid] = each.name
    found = [
        Entry(row=row, gpu_memory=held.get(row.pid) if _is_the_same(row, names) else None) for row in rows
    ]
    known = {row.pid for row in rows if _is_the_same(row, names)}
    # In a container the driver counts as the host does: its process is shown, but not taken for one of ours.
    found += [
        Entry(row=ProcessRow(pid=pid, name=name or "by the driver"), gpu_memory=held[pid])
        for pid, name in names.items()
        if pid not in known
    ]
    return tuple(found)


def rows_of(sample: Sample) -> tuple[ProcessRow, ...]:
    """The processes that a sample of the past knows: the watched one and its busiest neighbours."""
    rows = [
        ProcessRow(pid=each.pid, name=each.name, cpu_percent=each.cpu_percent, niceness=each.niceness)
        for each in sample.neighbours or ()
    ]
    watched = sample.process
    if watched is not None:
        rows.append(
            ProcessRow(
                pid=watched.pid,
                name=watched.name or "?",
                cpu_percent=sample.process_cpu_percent,
                resident=sample.process_rss,
                niceness=watched.niceness,
                threads=watched.thread_count,
            )
        )
    return tuple(rows)


def table_lines(rows: Sequence[ProcessRow], sample: Sample) -> list[str]:
    """All processes as lines of text with a heading, those that compute the most first."""
    columns = columns_for(_WIDE, has_cards=bool(sample.gpus))
    heading = " ".join(cell(column, column.title) for column in columns)
    lines = [
        " ".join(cell(column, column.text(entry)) for column in columns)
        for entry in arrange(entries(rows, sample), Order())
    ]
    return [heading, *lines]


def arrange(found: Iterable[Entry], order: Order) -> tuple[Entry, ...]:
    """Filtered and sorted, as a list or a tree. What is not known stands last in either direction."""
    everything = _sorted(found, order)
    kept = [entry for entry in everything if _matches(entry, order.filter)]
    return _tree(everything, {entry.row.pid for entry in kept}) if order.tree else tuple(kept)


def _sorted(found: Iterable[Entry], order: Order) -> list[Entry]:
    column = _BY_NAME[order.column]
    everything = sorted(found, key=lambda entry: entry.row.pid)
    known = [entry for entry in everything if column.key(entry) is not None]
    unknown = [entry for entry in everything if column.key(entry) is None]
    falling = column.rising == order.reverse
    return sorted(known, key=column.key, reverse=falling) + unknown  # type: ignore[arg-type,type-var]


def _tree(everything: list[Entry], wanted: set[int]) -> tuple[Entry, ...]:
    """Parents before children, siblings in their order; of a filtered tree also the parents of what matches."""
    pids = {entry.row.pid for entry in everything}
    parents = {entry.row.pid: entry.row.parent for entry in everything}
    for pid in tuple(wanted):
        while (above := parents.get(pid)) in pids and above not in wanted:
            wanted.add(above)
            pid = above
    shown = [entry for entry in everything if entry.row.pid in wanted]
    children: dict[int | None, list[Entry]] = {}
    for entry in shown:
        children.setdefault(entry.row.parent if entry.row.parent in pids else None, []).append(entry)
    placed: dict[int, Entry] = {}
    # A list taken while numbers are given anew may hold parents in a ring: those that no root leads to begin one.
    for root in (*children.get(None, []), *shown):
        _place(root, children, placed)
    return tuple(placed.values())


def _place(root: Entry, children: dict[int | None, list[Entry]], placed: dict[int, Entry]) -> None:
    """Add one and all below it. A stack, not recursion: chains may be deeper than Python's limit."""
    waiting = [(root, "", "")]
    while waiting:
        entry, before, mark = waiting.pop()
        if entry.row.pid in placed:
            continue
        placed[entry.row.pid] = replace(entry, branch=before + mark)
        below = [each for each in children.get(entry.row.pid, []) if each.row.pid not in placed]
        indent = before + {"": "", "├─": "│ ", "└─": "  "}[mark]
        marked = [(each, indent, "├─") for each in below[:-1]] + [(each, indent, "└─") for each in below[-1:]]
        waiting.extend(reversed(marked))


def _matches(entry: Entry, letters: str) -> bool:
    row, wanted = entry.row, letters.lower()
    return any(wanted in text.lower() for text in (str(row.pid), row.user or "", row.name, command_of(row)))


def _is_the_same(row: ProcessRow, names: dict[int, str | None]) -> bool:
    """Whether the driver's process of this number is this one, as far as names tell."""
    name = names.get(row.pid)
    if row.pid not in names:
        return False
    return name is None or name.startswith(row.name) or name in command_of(row) or row.name in name


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
