"""forecast: what the dry run expects of a run, as the strategies ask for it. Predicted, never measured."""

from __future__ import annotations

from collections.abc import Callable

from tuner.device_model import Device
from tuner.dryrun.client import Refused
from tuner.dryrun.rows import Answer, Ask
from tuner.replay import replay_on
from tuner.settings import Settings


class DryRunForecast:
    """Callable as ``tuner.strategy.goal.Forecast``. It asks each question once.

    A model that cannot be predicted (a hub id that is not here, a single file) has no forecast; the study then goes by
    its measurements alone.
    """

    def __init__(self, model: str, device: Device, ask: Callable[[Ask], Answer]) -> None:
        self._model, self._device, self._ask = model, device, ask
        self._known: dict[tuple[Settings, int, int, int], int | None] = {}
        self._silent = False

    def __call__(self, settings: Settings, width: int, height: int, batch: int) -> int | None:
        """Predicted peak in bytes: allocated by torch on a card, weights and tensors on a processor."""
        if self._silent:
            return None
        # As the oracle does; what is on the device at a time changes with offloading and OpenVINO.
        seen = settings.as_the_models_see_them().but(offload=settings.offload, compile=settings.compile)
        question = (seen, width, height, batch)
        if question not in self._known:
            self._known[question] = self._fresh(*question)
        return self._known[question]

    def _fresh(self, settings: Settings, width: int, height: int, batch: int) -> int | None:
        ask = Ask(model=self._model, settings=settings, width=width, height=height, batch=batch)
        try:
            answer = self._ask(ask)
        except Refused:
            # A model that cannot be predicted at all is not asked about again; a size it refuses says nothing else.
            self._silent = not self._known
            return None
        run = replay_on(answer, settings, self._device)
        return max(stage.peak_bytes for stage in run.stages)
