"""Lifeline: a child ends with its owner even when it is too busy to see its pipe close."""

from __future__ import annotations

import os
import signal
import sys

_OWNER = "SDOCTOR_OWNER"
"""Environment variable: process id of the owner, for a child that comes up after its owner has gone."""

_PR_SET_PDEATHSIG = 1
"""linux/prctl.h; prctl(2): the signal to get when the parent (the thread that forked) ends."""


def owned() -> dict[str, str]:
    """The environment for a child of this process that calls ``end_with_owner``."""
    return {**os.environ, _OWNER: str(os.getpid())}


def end_with_owner() -> None:
    """Have the kernel kill this process when its owner ends. Linux only; elsewhere the closed pipe must do."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    owner = os.environ.get(_OWNER)
    if owner is not None and str(os.getppid()) != owner:
        # It ended between the start of this process and the line above, so no signal will come.
        os._exit(1)
