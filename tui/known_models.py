"""Models that can be named without a network: the built-in ones, and those that were tuned here."""

from __future__ import annotations

from tuner.models import BUILTIN_PREFIX, builtin_names
from tuner.store import stored


def known_models() -> tuple[str, ...]:
    """Names for ``--model``, the tuned ones first."""
    tuned = [one.profile.model for one in stored() if one.profile is not None]
    return tuple(dict.fromkeys([*tuned, *(f"{BUILTIN_PREFIX}{name}" for name in builtin_names())]))
