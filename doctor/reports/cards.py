"""Card names in a text, and the compute capability that a name implies.

Source of the capabilities: developer.nvidia.com/cuda-gpus and developer.nvidia.com/cuda-legacy-gpus.
"""

from __future__ import annotations

import re

from doctor.compat import Capability
from doctor.facts import Gpu

_SERIES: tuple[tuple[str, Capability], ...] = (
    (r"RTX PRO \d{4} Blackwell|RTX 50[5-9]0", (12, 0)),
    (r"\bG?B[23]00\b", (10, 0)),
    (r"\bG?H[12]00\b", (9, 0)),
    (r"RTX 40[5-9]0|RTX \d{4} Ada|\bL4\b|\bL40S?\b", (8, 9)),
    (r"RTX 30[5-9]0|RTX A[2-6]\d00|\bA(?:10G?|16|40)\b", (8, 6)),
    (r"\bA100\b|\bA30\b|\bA800\b", (8, 0)),
    (r"RTX 20[6-8]0|GTX 16[356]0|TITAN RTX|Tesla T4|Quadro RTX \d000", (7, 5)),
    (r"\bV100|TITAN V\b", (7, 0)),
    (r"\bP100\b", (6, 0)),
    (r"GTX 10[5-8]0|GT 1030|\bP40\b|Tesla P4\b|TITAN Xp?\b|Quadro P\d{3,4}", (6, 1)),
    (r"GTX 9[5-8]0|TITAN X\b|Tesla M[46]0?\b|GTX 9[5-8]0M", (5, 2)),
    (r"GTX 750|GTX 8[56]0M|GeForce 940MX?", (5, 0)),
    (r"\bK80\b", (3, 7)),
    (r"\bK40\b|\bK20|GTX TITAN\b|GTX 780", (3, 5)),
    (r"GTX 6[5-9]0|GTX 7[67]0|GT 7[0-4]0\b", (3, 0)),
    (r"GTX? (?:4[0-9]{2}|5[0-9]{2})M?\b", (2, 1)),
)

_NAME = re.compile(
    r"(?:NVIDIA )?(?:GeForce )?(?:RTX PRO \d{4} Blackwell|(?:Quadro )?(?:RTX|GTX"
    r"|GT) ?A?\d{3,4}(?:(?<=\d)M\b)?"
    r"(?: Ada)?(?: ?(?:Ti|SUPER|D|Laptop GPU|Max-Q)\b)*|TITAN \w+|Tesla [KMPTV]\d+\w*(?:-\w+)*"
    r"|NVIDIA [ABHL]\d{1,3}[A-Z]?\b|NVIDIA [A-Z]{2}\d{3}\b)(?:,? \d+ ?MiB)?",
    re.IGNORECASE,
)
_AMD = re.compile(
    r"(?:AMD )?(?:Radeon (?:Graphics|Pro \w+|RX ?\d{3,4}\w*)"
    r"|\bRX ?\d{3,4})(?: ?XTX?\b)?",
    re.I,
)
_MEMORY = re.compile(r",? (\d+) ?MiB$", re.I)
_PACKAGE_PREFIX = re.compile(r"(?<=RTX|GTX)(?=\d)", re.I)


def capability_of(name: str) -> Capability | None:
    """The compute capability that belongs to a card's name, or None for a name that is not in the table."""
    return next((value for pattern, value in _SERIES if re.search(pattern, name, re.I)), None)


def cards_in(lines: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Every card that the text names, once each, numbered in the order of the text."""
    names: dict[str, str] = {}
    for line in lines:
        for pattern, vendor in ((_NAME, "nvidia"), (_AMD, "amd")):
            for match in pattern.finditer(line):
                names.setdefault(match[0].strip(), vendor)
    short = {name for name in names for other in names if name != other and name in other}
    return tuple(
        _card(index, name, vendor)
        for index, (name, vendor) in enumerate((n, v) for n, v in names.items() if n not in short)
    )


def _card(index: int, name: str, vendor: str) -> Gpu:
    memory = _MEMORY.search(name)
    plain = _PACKAGE_PREFIX.sub(" ", _MEMORY.sub("", name))
    return Gpu(
        index=index,
        name=plain,
        vendor=vendor,
        capability=capability_of(plain) if vendor == "nvidia" else None,
        memory_total=int(memory[1]) * 2**20 if memory else None,
    )
