"""Reading: what one reader of facts brings home - values, and what it could not read with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from doctor.facts import Unread

T = TypeVar("T")


@dataclass(slots=True)
class Reading:
    """Collects the parts of ``Facts`` that one reader fills, and the list of what stayed unread."""

    parts: dict[str, Any] = field(default_factory=dict)
    """Field of ``Facts`` -> its value."""
    unread: list[Unread] = field(default_factory=list)

    def miss(self, what: str, why: object) -> None:
        """Note that the fact ``what`` (a dotted path such as "cpu.governor") could not be read."""
        self.unread.append(Unread(what=what, why=_sentence(why)))

    def attempt(self, what: str, read: Callable[[], T]) -> T | None:
        """The value that ``read`` returns; if it raises, None, and the fact is listed as unread."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001  (a reader that fails is an unread fact, whatever failed)
            self.miss(what, error)
            return None


def _sentence(why: object) -> str:
    if isinstance(why, BaseException):
        return f"{type(why).__name__}: {why}" if str(why) else type(why).__name__
    return str(why)
