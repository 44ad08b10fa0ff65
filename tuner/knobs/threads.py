"""threads: how many CPU threads torch computes with."""

from __future__ import annotations

from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, Told, by_hand
from tuner.knobs.knob import Knob, Value
from tuner.target import Target


def _candidates(target: Target, _batch: int) -> tuple[Value, ...]:
    if not target.is_cpu or target.cores is None:
        return ()
    # More threads than physical cores hurt; half of them can win where memory bandwidth is the limit.
    wanted = (target.cores, target.cores // 2)
    return tuple(count for count in wanted if count >= 2 and count != target.default_threads)


def _apply(_pipe: Any, value: Value, _device: str) -> str | None:
    import torch

    if isinstance(value, int):
        torch.set_num_threads(value)
    return None


def _read(_pipe: Any) -> str:
    import torch

    return str(torch.get_num_threads())


def _told(_program: str, value: Value) -> Told:
    if value is None:
        return ITS_OWN_WAY
    return by_hand(f"start it with the environment variable OMP_NUM_THREADS={value}")


KNOB = Knob(
    name="threads",
    about="CPU threads that torch computes with; the default is torch's own choice.",
    # A pipeline that was told a number cannot be told "your own choice" again: that needs a fresh worker.
    candidates=_candidates,
    apply=_apply,
    script=lambda value: (f"torch.set_num_threads({value})",) if isinstance(value, int) else (),
    told=_told,
    read=_read,
)
