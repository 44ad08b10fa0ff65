"""GPU models: memory, bandwidth, arithmetic and interface of cards that need not be in this machine."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from doctor.errors import UsageError
from doctor.sizes import GIB

_DATA = Path(__file__).with_name("cards.json")
# Words of vendors and drivers that people leave out or add.
_NOISE = frozenset(
    (
        "nvidia",
        "geforce",
        "tesla",
        "quadro",
        "graphics",
        "gpu",
        "generation",
        "card",
        "the",
        "pcie",
        "sxm",
        "hbm2",
        "hbm3",
    )
)
# GDDR6 has no bits of its own for error correction: the driver takes a sixteenth of the memory
# (a T4 of 16 GiB reports 15109 MiB, an A10G of 24 GiB 22731 MiB; nvidia-smi as pasted in many issues).
_ECC_SHARE = 1 / 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model of a GPU, from its published data. Rates are peaks on paper."""

    name: str
    memory_gib: float
    bandwidth_gbs: float
    """10**9 bytes per second."""
    fp32_tflops: float
    tensor_tflops: float | None
    """Dense 16-bit matrix products added up in float32, as torch computes them; None without tensor cores."""
    capability: tuple[int, int]
    multiprocessors: int
    """Streaming multiprocessors: shading units over the cores that one has in its architecture."""
    pcie_generation: int
    pcie_lanes: int
    ecc: bool
    """Whether error correction takes its share of the memory as the card is delivered."""
    source: str

    @property
    def memory_bytes(self) -> int:
        """Bytes of its memory, without what error correction takes."""
        return int(self.memory_gib * GIB * (1 - _ECC_SHARE if self.ecc else 1))

    @property
    def is_desktop(self) -> bool:
        """Whether a screen is usually attached to it."""
        return "GeForce" in self.name or "TITAN" in self.name

    @property
    def pcie_bytes(self) -> float:
        """Bytes per second over PCIe on paper: 0.985 * 10**9 per lane for generation 3, doubled by each later one."""
        return float(0.985e9 * self.pcie_lanes * 2 ** (self.pcie_generation - 3))


@cache
def cards() -> tuple[Card, ...]:
    """All known models, in the order of the data file."""
    import msgspec  # a machine without a card never asks

    return msgspec.json.decode(_DATA.read_bytes(), type=tuple[Card, ...])


def find_card(text: str) -> Card:
    """The card that ``text`` means, whatever the vendor's words around it ("rtx3060", "Tesla T4").

    Of several that it may mean, the one with the least memory; a laptop's only if it is said.
    Raises UsageError with the nearest names.
    """
    matches = meant_by(text)
    if not matches:
        raise UsageError(
            f"The card '{text}' is not known; the nearest names are {', '.join(nearest(text))}. "
            "Or give its memory: --memory 12GiB."
        )
    return min(matches, key=lambda card: card.memory_gib)


def meant_by(text: str) -> tuple[Card, ...]:
    """All cards whose names hold every word of ``text``; exactly that one if there is such a name."""
    wanted = _words(text)
    if not wanted:
        return ()
    exact = tuple(card for card in cards() if _words(card.name) == wanted)
    if exact:
        return exact
    return tuple(
        card
        for card in cards()
        if wanted <= _words(card.name) | {f"{card.memory_gib:.0f}gb"}
        # A 3060 Ti is no 3060, and a laptop's chip is another one with the same name.
        and not ({"ti", "super", "laptop", "ada", "titan"} & (_words(card.name) - wanted))
    )


def named(name: str | None) -> Card | None:
    """The card that a driver calls so; the first of those that share the name, None if it is none of ours."""
    return next(iter(meant_by(name or "")), None)


def nearest(text: str, count: int = 3) -> tuple[str, ...]:
    """Names of the cards that look most like ``text``."""
    wanted = _spoken(text)

    def likeness(card: Card) -> float:
        name = _spoken(card.name)
        # The size of the memory is often left out, so the beginning alone counts too.
        starts = (name, name[: len(wanted)])
        return max(difflib.SequenceMatcher(None, wanted, start).ratio() for start in starts)

    return tuple(card.name for card in sorted(cards(), key=likeness, reverse=True)[:count])


def _spoken(name: str) -> str:
    """The words that are not noise, in their order."""
    known = _words(name)
    return " ".join(word for word in _spaced(name) if word in known)


def _words(name: str) -> frozenset[str]:
    """Lower case words and numbers: "RTX3060Ti 12GB" gives rtx, 3060, ti, 12gb."""
    return frozenset(_spaced(name)) - _NOISE


def _spaced(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=\d{3})|(?<=\d{3})(?=[a-z])", " ", name.lower())
    spaced = re.sub(r"(\d+)\s*gi?b\b", r"\1gb", spaced)
    spaced = re.sub(r"\bsxm\d\b", " ", spaced)
    return re.findall(r"[a-z0-9]+", spaced)
