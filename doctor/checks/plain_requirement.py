"""A shortcut for the requirements that everybody writes ("numpy>=1.17,<3"): met, or a matter for ``packaging``.

Loading the parser of ``packaging`` costs as much as a tenth of a whole static check, and nearly all requirements of the
packages that are looked at are plain and met. This never says that one is not met.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

Release = tuple[int, ...]

_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    r"(?P<bounds>(?:(?:[<>]=?|[=!]=)\s*[0-9]+(?:\.[0-9]+)*\s*(?:,\s*(?=[<>=!])|(?=;|$)))*)"
    r"(?:;\s*(?P<marker>.+))?",
)
_BOUND = re.compile(r"([<>]=?|[=!]=)\s*([0-9.]+)")
_RELEASE = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:\+[A-Za-z0-9.]+)?")
"""A version without pre, post, dev and epoch; a local part ("+cpu") counts in no bound that names none (PEP 440)."""
_MARKER = re.compile(r"(platform_system|platform_machine|sys_platform)\s*(==|!=)\s*([\"'])([A-Za-z0-9_]+)\3")
"""Names that are compared as words, with words that cannot be taken for versions only if they begin with a letter."""

_COMPARE: dict[str, Callable[[Release, Release], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def name_of(requirement: str) -> str | None:
    """The normalised name of the package that is required; None if only ``packaging`` can tell."""
    match = _REQUIREMENT.fullmatch(requirement)
    return re.sub(r"[-_.]+", "-", match["name"]).lower() if match else None


def plainly_met(requirement: str, version: str | None, environment: Mapping[str, str]) -> bool:
    """Whether it is certain that ``version`` (None: not installed) meets the requirement, or that it does not apply."""
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        return False
    if _inside(match["bounds"], version):
        return True  # whether it applies or not
    return match["marker"] is not None and _applies(match["marker"].strip(), environment) is False


def _inside(bounds: str, version: str | None) -> bool:
    installed = _RELEASE.fullmatch(version or "")
    if installed is None:
        return False
    have = _numbers(installed[1])
    return all(_COMPARE[sign](have, _numbers(bound)) for sign, bound in _BOUND.findall(bounds))


def _applies(marker: str, environment: Mapping[str, str]) -> bool | None:
    match = _MARKER.fullmatch(marker)
    if match is None or not match[4][0].isalpha() or not environment.get(match[1]):
        return None
    return (environment[match[1]] == match[4]) == (match[2] == "==")


def _numbers(text: str) -> Release:
    """ "2.10.0" -> (2, 10): trailing zeros do not count."""
    numbers = [int(part) for part in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
