"""``python -m tuner.lowly_child COMMAND...``: becomes that command, at the lowest priority, and ends with its owner.

The priority is set before the command starts, so that all its threads and children have it. It stays through exec, as
does the signal at the owner's end (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import os
import sys

import psutil

from tuner.lifeline import end_with_owner


def main() -> None:
    """Set the priorities, then become the command."""
    end_with_owner()
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        process.nice(psutil.IDLE_PRIORITY_CLASS if sys.platform == "win32" else 19)
    if hasattr(psutil, "IOPRIO_CLASS_IDLE"):
        with contextlib.suppress(psutil.Error, OSError):
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
