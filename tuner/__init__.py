"""What works on this machine, and what works best, proven by running the real pipeline.

For a user's own script: ``tuner.load_profile(model)`` gives the profile, ``profile.apply(pipe)`` follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.scripting import load_profile as load_profile

__all__ = ["load_profile"]


def __getattr__(name: str) -> object:
    """Import ``load_profile`` when it is first asked for: the worker and the commands need not pay for it."""
    if name == "load_profile":
        from tuner.scripting import load_profile

        return load_profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
