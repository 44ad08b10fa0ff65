"""fewer_steps: a part of the denoising steps that were asked for. Lossy.

It is no property of a pipeline but of its calls: ``apply`` notes it on the pipeline, and whoever calls it asks
``steps_for``. Work falls with the steps; a picture of 15 steps is another one than that of 30.
"""

from __future__ import annotations

import inspect
from typing import Any

from tuner.knobs.exports import ITS_OWN_WAY, PROGRAMS, Table, by_hand, told_by
from tuner.knobs.knob import Knob, Value

_SHARES = {"off": 1.0, "three-quarters": 0.75, "half": 0.5}
_NOTE = "_sdoctor_fewer_steps"


def steps_for(pipe: Any, steps: int) -> int:
    """How many steps a call of this pipeline makes where ``steps`` were asked for; at least one."""
    return steps_left(steps, _read(pipe))


def steps_left(steps: int, value: Value) -> int:
    """How many of ``steps`` are made; at least one."""
    return max(1, round(steps * _SHARES.get(str(value), 1.0)))


def default_steps_of(pipe: Any) -> int | None:
    """What a call without a number makes, by the pipeline's own signature."""
    parameter = inspect.signature(type(pipe).__call__).parameters.get("num_inference_steps")
    return parameter.default if parameter is not None and isinstance(parameter.default, int) else None


def _apply(pipe: Any, value: Value, _device: str) -> str | None:
    setattr(pipe, _NOTE, str(value))
    return None


def _read(pipe: Any) -> str:
    return str(getattr(pipe, _NOTE, "off"))


_TOLD: Table = {
    **{(program, "off"): ITS_OWN_WAY for program in PROGRAMS},
    **{(program, "half"): by_hand("ask for half as many steps") for program in PROGRAMS},
    **{(program, "three-quarters"): by_hand("ask for three quarters of the steps") for program in PROGRAMS},
}


KNOB = Knob(
    name="fewer_steps",
    about="Makes three quarters or half of the denoising steps that are asked for: less time, another picture.",
    values=tuple(_SHARES),
    lossless=False,
    only_lossy=True,
    in_place=True,
    candidates=lambda _target, _batch: ("three-quarters", "half"),
    apply=_apply,
    told=told_by(_TOLD),
    read=_read,
)
