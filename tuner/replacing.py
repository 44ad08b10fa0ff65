"""Puts another function in the place of an object's own, and takes it away again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def replace_attribute(owner: Any, name: str, value: Any) -> Callable[[], None]:
    """Let ``owner.name`` be ``value``; returns what undoes it.

    Undone, the object has again what it had: its class's attribute, or the one that somebody put there before.
    """
    own = vars(owner)
    before = own.get(name)
    was_there = name in own
    setattr(owner, name, value)

    def undo() -> None:
        if was_there:
            setattr(owner, name, before)
        else:
            delattr(owner, name)

    return undo
