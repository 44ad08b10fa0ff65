"""Gathering: this machine -> ``Facts``. Nothing here imports torch, and nothing here raises."""

from __future__ import annotations

from doctor.facts import Facts


def gather() -> Facts:
    """Read the facts of this machine. Never raises and never waits for ever.

    A reader that fails or hangs leaves its facts unread, with the reason.
    """
    # The readers are imported here: the NVML child lives in this package too and must not pay for them.
    from doctor.gather.run import gather_facts

    return gather_facts()
