"""The tables of ``nvidia-smi``: cards with their memory, and the processes that hold it.

Layouts: driver 410 (without the columns GI and CI) to 610 ("KMD Version", "CUDA UMD Version"), Linux and Windows
(WDDM in place of the persistence mode). Public samples: github.com/noonghunna/club-3090/issues/32 and 1120,
github.com/m0nad/Diamorphine/issues/13, github.com/RLinf/RLinf/issues/255.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from doctor.facts import Gpu, GpuProcess
from doctor.reports.card_names import capability_of

_CARD = re.compile(
    r"^\|?\s*(?P<index>\d{1,2})\s+(?P<name>[A-Z]\S.*?)\s+(?:On|Off|N/A|WDDM|TCC|MCDM|Enabled|Disabled)?\s*"
    r"\|\s+(?P<bus>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f:.]+)\s*(?P<display>On|Off|N/A)?"
)
_MEMORY = re.compile(r"\|\s*(?P<used>\d{1,7}) ?MiB\s*/\s*(?P<total>\d{1,7}) ?MiB")
_PROCESS = re.compile(
    r"^\|?\s*(?P<gpu>\d{1,2})\s+(?:(?:N/A|\d+)\s+(?:N/A|\d+)\s+)?(?P<pid>\d{1,8})\s+(?P<type>C\+G|C|G|M\+C|N/A)\s+"
    r"(?P<name>\S.*?)\s+(?P<memory>N/A|\d{1,7} ?MiB)\s*\|?$"
)
_LISTED = re.compile(r"^GPU (?P<index>\d{1,2}): (?P<name>[^()]+?)\s*(?:\(UUID|\(gfx|$)")
MIB = 2**20


def cards_of_table(lines: tuple[str, ...]) -> tuple[Gpu, ...]:
    """The cards of the first table in the text, with their processes; () if there is no table."""
    cards: dict[int, Gpu] = {}
    last: int | None = None
    for line in lines:
        card, memory = _CARD.match(line), _MEMORY.search(line)
        if card:
            last = int(card["index"])
            cards.setdefault(last, _gpu(last, card["name"].strip(), card["display"]))
        elif memory and last is not None and cards[last].memory_total is None:
            used, total = int(memory["used"]) * MIB, int(memory["total"]) * MIB
            cards[last] = replace(cards[last], memory_used=used, memory_total=total)
    return tuple(_with_processes(cards, lines))


def _gpu(index: int, name: str, display: str | None) -> Gpu:
    active = None if display in (None, "N/A") else display == "On"
    return Gpu(index=index, name=name, capability=capability_of(name), display_active=active)


def _with_processes(cards: dict[int, Gpu], lines: tuple[str, ...]) -> Iterator[Gpu]:
    found: dict[int, dict[int, GpuProcess]] = {}
    for line in lines:
        match = _PROCESS.match(line)
        if match:
            known = None if match["memory"] == "N/A" else int(re.sub(r"\D", "", match["memory"])) * MIB
            process = GpuProcess(pid=int(match["pid"]), name=_program(match["name"]), memory_used=known)
            found.setdefault(int(match["gpu"]), {}).setdefault(process.pid, process)
    for index, gpu in cards.items():
        yield replace(gpu, processes=tuple(found[index].values()) if index in found else None)


def _program(path: str) -> str:
    """The program's name without its folders, which may tell who its user is."""
    return re.split(r"[/\\]", path.strip())[-1] or path.strip()


def listed_cards(lines: tuple[str, ...]) -> tuple[Gpu, ...]:
    """The cards of ``nvidia-smi -L`` and of collect_env: "GPU 0: NVIDIA GeForce RTX 3090 (UUID: ...)"."""
    cards: dict[int, Gpu] = {}
    for line in lines:
        match = _LISTED.match(line.removeprefix("GPU models and configuration: "))
        if match and capability_of(match["name"]):
            index = int(match["index"])
            cards.setdefault(
                index, Gpu(index=index, name=match["name"], capability=capability_of(match["name"]))
            )
    return tuple(cards.values())
