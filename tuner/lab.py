"""Lab: runs probes, one after the other, on workers that it starts and ends as needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from doctor.trace import Outcome
from tuner.events import Apply, Command, Event, Failed, Generate, Load, Loaded
from tuner.gate import Gate
from tuner.knobs import needs_fresh_worker
from tuner.memory_back import FreeBytes, free_bytes_of, wait_until_back
from tuner.probe import MOST_RUNS, Probe, Purpose, TraceFold, Trial, trial_of
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings

_FIRST_RUNS_PATIENCE = 2.0
"""How much longer a warm-up may take than a measured run before it counts as beaten: libraries choose their kernels in it
(cuDNN's benchmark)."""
_TIGHT = 0.6
"""Share of its budget from which a process that compiled is left for a fresh one, which reads the program from the disk.
With 0.85 of its budget in use builtin:tiny's steps took 53 ms instead of 15 in OpenVINO ever after, with 0.45 they did not
(docs/performance.md, "Tuning cost")."""
_TO_COMPARE = (Purpose.BASELINE, Purpose.FASTEST)
"""Trials that differ in their settings only, at one size."""
_PROMPT = "a red circle on a blue background"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What stays the same for all probes of a study."""

    model: str
    device: str
    budget: int | None
    """Bytes that the loaded pipeline may use beyond the bare worker."""
    ceiling: int | None = None
    """Bytes of host memory that loading may take for a while."""
    seed: int = 0
    allow_pickle: bool = False
    load_seconds: float = 1800.0


class Lab:
    """Turns a Probe into a Trial. A context manager: leaving it ends the worker.

    The same worker is used as long as only settings change that can be changed in place; anything else,
    and every failure, gets a fresh one.
    """

    def __init__(
        self,
        bench: Bench,
        on_event: Callable[[Event], None] = lambda _event: None,
        start_worker: Callable[[], Worker] = Worker,
        free_bytes: FreeBytes | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate
        self._free_bytes = free_bytes or free_bytes_of(bench.device)
        self._free_before: int | None = None
        self._bench = bench
        self._on_event = on_event
        self._start_worker = start_worker
        self._worker: Worker | None = None
        self._loaded: Loaded | None = None
        self._settings = Settings()
        self._compared: list[Trial] = []
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker, and wait until its memory is back: the next trial must not pay for this one."""
        if self._worker is not None:
            self._worker.close()
            wait_until_back(self._free_bytes, self._free_before)
        self._worker = self._loaded = None

    def abandon(self) -> None:
        """End the worker from another thread; the run that waits for it then comes back as a failed one."""
        worker = self._worker
        if worker is not None:
            worker.abandon()

    def load(self, settings: Settings) -> Loaded | Failed:
        """Have a worker with the model loaded and these settings in force."""
        if self._worker is not None and self._loaded is not None and self._worker.usable:
            if settings == self._settings:
                return self._loaded
            if not needs_fresh_worker(self._settings, settings):
                return self._ask(Apply(settings=settings), settings)
        self.close()
        self._free_before = self._free_bytes()
        self._worker = self._start_worker()
        bench = self._bench
        return self._ask(
            Load(
                model=bench.model,
                settings=settings,
                device=bench.device,
                budget=bench.budget,
                ceiling=bench.ceiling,
                allow_pickle=bench.allow_pickle,
            ),
            settings,
        )

    def _ask(self, command: Command, settings: Settings) -> Loaded | Failed:
        fold = TraceFold()
        result = self._listen(command, Limits(total=self._bench.load_seconds), fold)
        if isinstance(result, Loaded):
            self._loaded, self._settings = result, settings
            return result
        self.close()
        assert isinstance(result, Failed)
        return result

    def _listen(self, command: Command, limits: Limits, fold: TraceFold) -> Event:
        assert self._worker is not None
        last: Event | None = None
        for event in self._worker.run(command, limits):
            fold.add(event)
            self._on_event(event)
            last = event
        if self._worker.ready is not None:
            self.versions = self._worker.ready.versions
        fold.cpu_wait = self._worker.cpu_wait
        assert last is not None
        return last

    def run(self, probe: Probe) -> Trial:
        """Run one probe. A failure is part of the trial; KeyboardInterrupt goes through after the worker is gone."""
        started = time.monotonic()
        try:
            return self._run(probe, started)
        except KeyboardInterrupt:
            if self._worker is not None:
                self._worker.kill()
            self.close()
            raise

    def _run(self, probe: Probe, started: float) -> Trial:
        fold = TraceFold()
        loaded = self.load(probe.settings)
        if isinstance(loaded, Failed):
            fold.add(loaded)
            return trial_of(probe, [fold], (), time.monotonic() - started)
        same = self._of_the_same_pipeline(probe, loaded)
        if same is not None:
            return replace(same, seconds=time.monotonic() - started)
        compiled, compiler_peak = 0.0, None
        if probe.warm_up:
            fold = self._warm_up(probe, loaded)
            compiled = fold.compile_seconds
            compiler_peak = fold.trace.peak_bytes if compiled else None
            if fold.compiled_anew and self._is_tight(compiler_peak) and fold.seconds is not None:
                self.close()
                loaded = self.load(probe.settings)
                if isinstance(loaded, Failed):
                    fold.add(loaded)
                    return trial_of(probe, [fold], (), time.monotonic() - started, compiled=compiled)
                fold = self._warm_up(probe, loaded)
                compiled += fold.compile_seconds
            if fold.seconds is None:
                cost = time.monotonic() - started
                return trial_of(probe, [fold], loaded.remarks, cost, compiled=compiled)
        samples = self._gate.samples(probe) if self._gate is not None else ()
        runs = [self._generate(probe, probe.steps, loaded, samples)]
        while _worth_repeating(probe, runs):
            runs.append(self._generate(probe, probe.steps, loaded))
        compiled += sum(run.compile_seconds for run in runs)
        cost = time.monotonic() - started
        trial = trial_of(probe, runs, loaded.remarks, cost, compiled=compiled, compiler_peak=compiler_peak)
        if self._gate is not None and samples:
            trial = self._gate.judge(trial, runs[0].not_finite)
        if trial.finished and probe.purpose in _TO_COMPARE:
            self._compared.append(trial)
        return trial

    def _of_the_same_pipeline(self, probe: Probe, loaded: Loaded) -> Trial | None:
        """The trial of a probe that another one answers: its knob changes nothing on this model. None if it has to run."""
        if probe.purpose is not Purpose.FASTEST or not loaded.setup:
            return None
        for trial in self._compared:
            renamed = replace(trial, purpose=probe.purpose, settings=probe.settings)
            if trial.settings != probe.settings and trial.setup == loaded.setup and renamed.answers(probe):
                remark = (
                    f"not run: the pipeline is the one of {trial.settings.text()}, whose figures these are"
                )
                remarks = (*loaded.remarks, remark)
                return replace(renamed, predicted=probe.predicted, remarks=remarks, compile_seconds=None)
        return None

    def _warm_up(self, probe: Probe, loaded: Loaded) -> TraceFold:
        beaten = probe.beaten_seconds
        patient = probe if beaten is None else replace(probe, beaten_seconds=beaten * _FIRST_RUNS_PATIENCE)
        # With a cache of steps the second one computes what the first does not.
        return self._generate(patient, 1 if probe.settings.step_cache == "none" else 2, loaded)

    def _is_tight(self, peak: int | None) -> bool:
        budget = self._bench.budget
        return peak is not None and budget is not None and peak > _TIGHT * budget

    def _generate(self, probe: Probe, steps: int, loaded: Loaded, samples: tuple[str, ...] = ()) -> TraceFold:
        """One run; its fold has no ``seconds`` if it did not finish."""
        fold = TraceFold(loaded.setup)
        command = Generate(request=self._request(probe, steps), samples=samples)
        last = self._listen(command, _limits(probe), fold)
        if isinstance(last, Failed) and last.outcome is not Outcome.REFUSED:
            self.close()
        return fold

    def _request(self, probe: Probe, steps: int) -> Request:
        return Request(
            prompt=_PROMPT,
            width=probe.width,
            height=probe.height,
            steps=steps,
            seed=self._bench.seed,
            batch=probe.batch,
        )


def _limits(probe: Probe) -> Limits:
    beaten, limit = probe.beaten_seconds, probe.limit_seconds
    if beaten is None or (limit is not None and limit <= beaten):
        return Limits(total=limit)
    message = f"Broken off after {beaten:.0f} s, which is several times what the best settings so far take."
    return Limits(total=beaten, message=message)


def _worth_repeating(probe: Probe, runs: list[TraceFold]) -> bool:
    """Whether another run fits the time for repeats; an even number of runs has no median run."""
    if runs[-1].seconds is None or len(runs) >= MOST_RUNS:
        return False
    total = sum(run.seconds or 0.0 for run in runs)
    return len(runs) % 2 == 0 or total * (1 + 2 / len(runs)) <= probe.repeat_within
