"""What a card's name implies: its maker and its compute capability.

Source of the capabilities: developer.nvidia.com/cuda-gpus and developer.nvidia.com/cuda-legacy-gpus.
"""

from __future__ import annotations

import re

from doctor.compat import Capability

_SERIES: tuple[tuple[str, Capability], ...] = (
    (r"\bGB10\b|DGX Spark", (12, 1)),
    (r"RTX PRO \d{4}|RTX ?50[5-9]0|RTX ?50\d?\.\.\.", (12, 0)),
    (r"\bG?B300\b", (10, 3)),
    (r"\bG?B[12]00\b", (10, 0)),
    (r"\bG?H[128]00\b|\bH20\b", (9, 0)),
    (r"RTX ?40[5-9]0|RTX \d{4} (?:SFF )?Ada|\bL4\b|\bL[24]0S?\b|RTX ?40\d?\.\.\.", (8, 9)),
    (r"Orin", (8, 7)),
    (r"RTX ?30[5-9]0|RTX ?A[1-6]?[05]00\b|\bA[456]000\b|\bA(?:2|10G?|16|40)\b|RTX ?30\d?\.\.\.|\bCMP 90HX"
     r"|MX570", (8, 6)),
    (r"\bA100|\bA30\b|\bA800\b|CMP 170HX", (8, 0)),
    (r"RTX ?20[5-8]0|GTX ?16[356]0|\b16[56]0 ?(?:Ti|Super)|TITAN RTX|\bT4\b|Quadro RTX|RTX [3-8]000\b"
     r"|\bT[4-9]00\b"
     r"|\bT1[02]00\b|\bT[124]000\b|MX4[56]0|CMP [345]0HX|RTX ?20\d?\.\.\.", (7, 5)),
    (r"Xavier", (7, 2)),
    (r"\bV100|TITAN V\b|GV100|CMP 100", (7, 0)),
    (r"\bTX2\b", (6, 2)),
    (r"\bG?P100\b", (6, 0)),
    (r"GTX ?10[5-8]0|GT 10[13]0|\bP40?\b|\bP[46]\b|TITAN X[Pp]\b|TITAN X \(Pascal\)|Quadro P\d{3,4}"
     r"|\bP[1-6]\d{3}\b"
     r"|MX1[1-9]0|MX[23][35]0|P10[0-9]-1\d\d|GTX 10\d?\.\.\.", (6, 1)),
    (r"GTX ?9[5-8]0(?!M)|GTX 9[678]0M|TITAN X\b|Tesla M[46]0?\b|Quadro M[2-6]\d{3}|\bM40\b"
     r"|\bM60\b", (5, 2)),
    (r"GTX ?75[0-9]|GTX 8[56]0M|GTX 9[56]0M|GeForce 9[1-4]0MX?|MX1[13]0|Quadro (?:K[126]2\d\d|M1\d{3}"
     r"|M\d00)\b", (5, 0)),
    (r"\bK80\b", (3, 7)),
    (r"\bK40\b|\bK20|GTX TITAN\b|GTX ?780|Quadro K6000|GT 7[13]0\b", (3, 5)),
    (r"GTX ?6[5-9]0|GTX ?7[67]0|GT [67]\d0M?\b|Quadro K\d{3,4}|\bK10\b|\bK[12]\b|GRID K|GTX 6\d0M"
     r"|GTX 7\d0M", (3, 0)),
    (r"GTX? ?(?:4[0-9]{2}|5[0-9]{2})M?\b|Tesla [CM]20\d0|Quadro [456]000\b", (2, 1)),
)  # fmt: skip

_COMPILED = tuple((re.compile(pattern, re.I), value) for pattern, value in _SERIES)


def capability_of(name: str) -> Capability | None:
    """The compute capability that belongs to an NVIDIA card's name, or None for a name that is not in the table."""
    return next((value for pattern, value in _COMPILED if pattern.search(name)), None)
