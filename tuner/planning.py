"""Planner: the largest size per rung, the needed mode, the first setting to change - by asking the dry run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tuner.calibration import Calibration
from tuner.device_model import Device
from tuner.dryrun.client import Refused
from tuner.dryrun.rows import Answer, Ask
from tuner.knobs import knob
from tuner.predict import Prediction, predict
from tuner.settings import Settings
from tuner.strategy.ladder import Rung, rungs
from tuner.target import Target

_STEP = 64
# Share of a device that ends up in tensors where it is just full; only the start of a search.
_USED = 0.98

# What to try first when something does not fit: what costs least speed comes first.
_CHANGES: tuple[dict[str, str], ...] = (
    {"vae_slicing": "on"},
    {"vae_tiling": "on"},
    {"attention": "sdpa"},
    {"precision": "fp16"},
    {"offload": "model"},
    {"offload": "group"},
    {"offload": "sequential"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The largest square picture that a rung can make, predicted."""

    rung: Rung
    side: int | None
    """Pixels; None if not even the smallest fits."""
    at_limit: bool = False
    """Whether the search stopped at the largest side that was to be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """One model; answers come from ``ask``, a device is given to each question."""

    model: str
    ask: Callable[[Ask], Answer]
    batch: int = 1
    guidance: bool = True
    steps: int | None = None
    max_side: int = 4096
    calibration: Calibration | None = None

    def answer(self, settings: Settings, width: int | None = None, height: int | None = None) -> Answer:
        """The dry run at that size; the model's own if none is given. Raises Refused."""
        return self.ask(
            Ask(
                model=self.model,
                settings=settings,
                width=width,
                height=height,
                batch=self.batch,
                guidance=self.guidance,
            )
        )

    def row(
        self, settings: Settings, device: Device, width: int | None = None, height: int | None = None
    ) -> Prediction:
        """One prediction. Raises Refused."""
        answer = self.answer(settings, width, height)
        return predict(answer, settings, device, steps=self.steps, calibration=self.calibration)

    def largest(self, rung: Rung, device: Device, guess: int | None = None) -> Largest:
        """The largest multiple of 64 pixels that fits; memory grows with the size, so it is bracketed from a guess."""
        native = self.answer(rung.settings)
        held = max(stage.weights_bytes for stage in self.row(rung.settings, device).stages)
        if device.budget is not None and held > device.budget:
            # The weights alone are too much, whatever the size.
            return Largest(rung=rung, side=None)
        step = math.lcm(_STEP, native.size_factor)
        top = max(1, self.max_side // step)
        known: dict[int, bool] = {}

        def fits(count: int) -> bool:
            if count not in known:
                known[count] = self._fits(rung.settings, device, count * step)
            return known[count]

        start = (guess or self._guess(rung.settings, device, native)) // step
        count, stride = min(top, max(1, start)), 1
        if fits(count):
            while count < top and fits(min(top, count + stride)):
                count, stride = min(top, count + stride), stride * 2
            low, high = count, min(top, count + stride)
        else:
            high = count
            while high > 1 and not fits(max(1, high - stride)):
                high, stride = max(1, high - stride), stride * 2
            low = max(1, high - stride)
            if not fits(low):
                return Largest(rung=rung, side=None)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        best = high if fits(high) else low
        return Largest(rung=rung, side=best * step, at_limit=best == top)

    def _fits(self, settings: Settings, device: Device, side: int) -> bool:
        try:
            return self.row(settings, device, side, side).fits
        except Refused:
            # Some pipelines refuse sizes for other reasons than memory; such a size is none that can be had.
            return False

    def _guess(self, settings: Settings, device: Device, native: Answer) -> int:
        """The side at which a stage would fill the device if each grew with the area, from two sizes."""
        near, far = native.native_size, min(self.max_side, 2 * native.native_size)
        try:
            rows = [self.row(settings, device, side, side) for side in (near, far)]
        except Refused:
            return near
        room = (device.budget or 0) * _USED
        sides = [float(self.max_side)]
        for small, large in zip(rows[0].stages, rows[1].stages, strict=True):
            per_area = (large.peak_bytes - small.peak_bytes) / max(1, far**2 - near**2)
            if per_area > 0:
                sides.append(math.sqrt(max(0.0, near**2 + (room - small.peak_bytes) / per_area)))
        return int(min(sides))

    def ladder(self, fastest: Settings, device: Device, target: Target) -> tuple[Largest, ...]:
        """The largest side of each rung, from the fastest settings to the most frugal ones."""
        found: list[Largest] = []
        for rung in ladder_rungs(fastest, target):
            before = found[-1] if found else None
            # A rung that takes less cannot do worse, and what the search may try ends somewhere.
            if before is not None and before.at_limit:
                found.append(Largest(rung=rung, side=before.side, at_limit=True))
            else:
                found.append(self.largest(rung, device))
        return tuple(found)

    def first_change(self, row: Prediction, device: Device, target: Target) -> Settings | None:
        """The settings nearest to those of a row that does not fit, with which it would; None if there are none."""
        tried = [row.settings.but(**changes) for changes in _CHANGES if _helps(changes, row, target)]
        tried += [rung.settings for rung in ladder_rungs(row.settings, target)]
        for settings in dict.fromkeys(tried):
            if settings == row.settings:
                continue
            if self.row(settings, device, row.width, row.height).fits:
                return settings
        return None


def _helps(changes: dict[str, str], row: Prediction, target: Target) -> bool:
    if "offload" in changes:
        # Never from a finer mode back to a coarser one.
        order = knob("offload").values
        return not target.is_cpu and order.index(changes["offload"]) > order.index(row.settings.offload)
    if "precision" in changes:
        return not target.is_cpu and row.settings.precision == "fp32"
    if "vae_slicing" in changes:
        return row.batch > 1
    return True


def ladder_rungs(fastest: Settings, target: Target) -> tuple[Rung, ...]:
    """The ladder's rungs, with what ``tune`` cannot set up yet (compile, weights) carried along."""
    kept = {"compile": fastest.compile, "weights": fastest.weights, "attention": fastest.attention}
    plain = fastest.but(compile="none", weights="native", attention="sdpa")
    return tuple(Rung(rung.name, rung.settings.but(**kept)) for rung in rungs(plain, target))
