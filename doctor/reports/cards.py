"""The cards that a text names: in nvidia-smi's tables, in lists, and anywhere in its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from doctor.facts import Gpu
from doctor.reports.card_names import capability_of
from doctor.reports.nvidia_smi import cards_of_table, listed_cards
from doctor.reports.repeats import few_of_a_kind

_NVIDIA = re.compile(
    r"(?:NVIDIA )?(?:GeForce )?(?:RTX PRO \d{4}(?: Blackwell)?(?: [\w-]+ Edition)?|(?:Quadro )?(?:RTX|GTX"
    r"|GT) ?A?\d{3,4}(?:(?<=\d)M\b)?"
    r"(?: SFF)?(?: Ada(?: Generation)?)?(?: ?(?:Ti|SUPER|D|Laptop GPU|Mobile|Max-Q)\b)*"
    r"|TITAN (?:RTX|V|Xp?|Z)\b|Tesla [KMPTVAC]\d+\w*(?:-\w+)*|Quadro [KMPTG]?[PV]?\d{3,4}M?"
    r"|GeForce MX ?\d{3}"
    r"|(?<=GeForce )(?:MX)?\d{3}M?X?\b)"
    r"|(?:NVIDIA )(?:[ABHLT]\d{1,4}[A-Z]?(?:[- ](?:SXM\d?|PCIe?|NVL)\S*|[- ]\d+GB\S*)*|[A-Z]{2}\d{2,3}\b)"
    r"|\b(?:GTX|nvidia|geforce) ?16[56]0(?: ?(?:Ti|Super))?|\b16[56]0 ?(?:Ti|Super)\b"
    r"|\b(?:A100|H100|H200|H800|A800|V100|P100|P40|K80|A10G|L40S|A4000|A5000|A6000|GB10)\b",
    re.IGNORECASE,
)
_AMD = re.compile(
    r"(?:AMD )?(?:Radeon(?:\(TM\)|™)? (?:Graphics|Pro [\w ]{1,8}\d{2,4}\w*|(?:RX )?Vega ?\d*|\d{3}M"
    r"|\d{4}S|RX ?\d{3,4}\w*|VII|R[579] \w+|AI PRO R\d+)"
    r"|\bRX ?(?:[4-9]\d{2,3}\d?|Vega ?\d*)(?:[MS]\b)?|Instinct MI\d+\w*|\bMI(?:25|50|60|100|210|250X?"
    r"|300X?)\b)(?: ?(?:XTX?|GRE)\b)?"
    r"|\b(?:AMD ?)?[5679]\d[05]0 ?XTX?\b",
    re.I,
)
_AMD_TARGET = re.compile(r"\bgfx(?:803|90[0-9a-c]|9[45]\d|10[1-3]\d|11[05]\d|120\d)\b")
_INTEL = re.compile(
    r"(?:Intel(?:\(R\))? )?\bArc(?:\(TM\)|™)? (?:Pro )?[AB]\d{2,3}M?\b"
    r"|Intel(?:\(R\))? Arc(?:\(TM\)|™)? Graphics",
    re.I,
)
_AFTER = re.compile(r",? ?\(?(?P<number>\d+) ?(?P<unit>MiB|MB|GB|GiB)\b", re.I)
_TOTAL = re.compile(r"^(?:Total VRAM|VRAM Total:)\s+(?P<number>\d{3,12})(?: MB)?\b", re.I)
_PACKAGE_PREFIX = re.compile(r"(?<=RTX|GTX)(?=\d)", re.I)
_IS_CPU = re.compile(r"\b(?:Ryzen|EPYC|Athlon|A\d+-\d{4})\b[^,;]{0,40}with Radeon", re.I)
_MAKERS = ((_NVIDIA, "nvidia"), (_AMD, "amd"), (_INTEL, "intel"))


def cards_in(lines: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Every card that the text names, numbered in the order of the text; those of a table or list come first."""
    certain = cards_of_table(lines) or listed_cards(lines)
    named = [
        card
        for card in _distinct(_named(few_of_a_kind(lines)))
        if not any(_same(card, other) for other in certain)
    ]
    if not certain and not named:
        target = next((match[0] for line in lines if (match := _AMD_TARGET.search(line))), None)
        named = [Gpu(index=0, name=f"AMD {target}", vendor="amd")] if target else []
    cards = [*certain, *(replace(card, index=len(certain) + at) for at, card in enumerate(named))]
    return tuple(_with_total(cards, lines))


def _named(lines: tuple[str, ...]) -> Iterator[Gpu]:
    for line in lines:
        if _IS_CPU.search(line):
            continue  # a processor with graphics inside: no card to compute on
        for pattern, vendor in _MAKERS:
            for match in pattern.finditer(line):
                yield _card(match[0].strip(), vendor, line[match.end() :])


def _card(name: str, vendor: str, rest: str) -> Gpu:
    plain = _PACKAGE_PREFIX.sub(" ", name)
    capability = capability_of(plain) if vendor == "nvidia" else None
    after = _AFTER.match(rest)
    memory = None
    if after:
        memory = int(after["number"]) * (2**30 if after["unit"].upper().startswith("G") else 2**20)
    return Gpu(index=0, name=plain, vendor=vendor, capability=capability, memory_total=memory)


def _distinct(cards: Iterator[Gpu]) -> list[Gpu]:
    """Each card once: a shorter name that is part of a longer one is the same card."""
    found: dict[str, Gpu] = {}
    for card in cards:
        key = (card.name or "").lower()
        known = found.get(key)
        if known is None or (known.memory_total is None and card.memory_total is not None):
            found[key] = card
    return [card for key, card in found.items() if not any(key != other and key in other for other in found)]


def _same(card: Gpu, other: Gpu) -> bool:
    """Whether a name in the text is that of a card of the table, which may be cut off ("GeForce RTX 208...")."""
    short, long = sorted(((card.name or "").lower(), (other.name or "").lower().rstrip(".")), key=len)
    core = re.sub(r"nvidia |geforce |tesla ", "", short)
    return core in long or (card.capability is not None and card.capability == other.capability)


def _with_total(cards: list[Gpu], lines: tuple[str, ...]) -> Iterator[Gpu]:
    """ComfyUI says the memory of its card on a line of its own, in MB or bytes."""
    stated = next((match for line in lines if (match := _TOTAL.match(line))), None)
    for at, card in enumerate(cards):
        if at == 0 and stated and card.memory_total is None:
            number = int(stated["number"])
            yield replace(card, memory_total=number if number > 2**27 else number * 2**20)
        else:
            yield card
