"""What works on this machine, and what works best, proven by running the real pipeline.

For a user's own script: ``tuner.load_profile(model)`` gives the profile, ``profile.apply(pipe)`` follows it;
``tuner.advise(model, width, height)`` asks the daemon what fits right now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.client import advise as advise
    from tuner.scripting import load_profile as load_profile

__all__ = ["advise", "load_profile"]


def __getattr__(name: str) -> object:
    """Import them when they are first asked for: the worker and the commands need not pay for it."""
    if name == "advise":
        from tuner.client import advise

        return advise
    if name == "load_profile":
        from tuner.scripting import load_profile

        return load_profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
