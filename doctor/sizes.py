"""Byte counts and picture sizes as people write them: "4GiB", "0.5", "512x768"."""

from __future__ import annotations

import re

from doctor.errors import UsageError

KIB, MIB, GIB = 2**10, 2**20, 2**30

_UNITS = {
    "": 1,
    "B": 1,
    "KIB": KIB,
    "MIB": MIB,
    "GIB": GIB,
    "TIB": 2**40,
    "KB": KIB,
    "MB": MIB,
    "GB": GIB,
    "K": KIB,
    "M": MIB,
    "G": GIB,
}
_AMOUNT = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([A-Za-z]*)\s*")
_SIZE = re.compile(r"\s*(\d{1,6})(?:\s*[xX×]\s*(\d{1,6}))?\s*")  # noqa: RUF001  (people paste the sign)


def gib(count: float | None) -> str:
    """``count`` bytes for people: "1.50 GiB", "320 MiB"; "unknown" for None."""
    if count is None:
        return "unknown"
    if abs(count) >= GIB:
        return f"{count / GIB:.2f} GiB"
    return f"{count / MIB:.0f} MiB"


def parse_amount(text: str, whole: int | None = None) -> int:
    """Read "4GiB", "6000MiB", "4G", or a fraction of ``whole`` such as "0.5"; returns bytes.

    The usual GB/MB are taken as GiB/MiB, as every tool for graphics cards means them.
    Raises UsageError with the reason.
    """
    match = _AMOUNT.fullmatch(text)
    unit = match[2].upper() if match else ""
    if match is None or unit not in _UNITS:
        raise UsageError(
            f"'{text}' is not an amount of memory; write for example 4GiB, 6000MiB or 0.5 (half of the device)."
        )
    number = float(match[1])
    if unit == "" and number <= 1:
        if whole is None:
            raise UsageError(
                f"'{text}' is a fraction, but the memory of the device is not known; write for example 4GiB."
            )
        count = int(number * whole)
    elif unit == "":
        raise UsageError(f"'{text}' has no unit; write for example {text}GiB or {text}MiB.")
    else:
        count = int(number * _UNITS[unit])
    if count <= 0:
        raise UsageError("An amount of memory must be larger than zero.")
    return count


def parse_size(text: str) -> tuple[int, int]:
    """Read "512" (square) or "512x768" (width x height), in pixels. Raises UsageError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"'{text}' is not a picture size; write for example 512 or 512x768 (width x height in pixels)."
        )
    width = int(match[1])
    height = int(match[2]) if match[2] else width
    if width == 0 or height == 0:
        raise UsageError("A picture needs a width and a height larger than zero.")
    return width, height
