"""Keeping tuned: as a service of the daemon, studies run when nobody needs the machine, and stop when somebody does.

A study is ``sdoctor tune MODEL --resume`` in a process group of its own at the lowest priority: torch is never loaded
here, and what a study did is in its journal, so that it can be killed at any moment and goes on later.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from doctor.daemon.config import DaemonConfig
from doctor.daemon.service import ServiceStatus
from doctor.telemetry.sample import Sample
from tuner.idleness import IdleClock, Own, why_busy
from tuner.kept_study import KeptStudy

FOLLOW_SECONDS = 0.2
"""Between two looks at a study that runs: so soon it gives way."""

LOOK_SECONDS = 1.0
"""Between two looks whether one may begin."""

GONE_SECONDS = 5.0
"""Longest wait for the end of a study that has to go: it is killed, and waited for 3 s."""

DUE_SECONDS = 1800.0
"""How often it is asked which models are due, while the machine is idle. Driver and torch change rarely, and asking takes
0.3 s of one core: 0.02 %."""

AGAIN_SECONDS = 24 * 3600.0
"""Wait before a model whose study failed is tried again; a reload tries it at once."""

_DUE_PATIENCE = 120.0
_BATTERY_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model has to be tuned."""

    model: str
    due: bool
    reason: str = ""
    """Why it is due, or why it can never be."""


class DueDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``sdoctor daemon due --json`` prints."""

    schema: str = "sdoctor.due/1"
    models: tuple[Due, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What came of the wish for room."""

    stopped: bool
    """Whether a study ran that had to give way."""
    clear: bool
    """Whether nothing of it runs any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """How other programs are asked."""

    due: tuple[str, ...]
    """Prints a ``DueDocument``."""
    tune: Callable[[str], tuple[str, ...]]
    """Tunes this model, and goes on where it was stopped."""


class KeepTunedService:
    """Runs at most one study at a time. ``take`` is called with every sample, from the thread that watches."""

    name = "keep-tuned"

    def __init__(
        self,
        config: Callable[[], DaemonConfig],
        commands: Commands,
        log_file: Path,
        on_battery: Callable[[], bool] | None = None,
    ) -> None:
        self._read_config = config
        self._config = config()
        self._commands = commands
        self._log_file = log_file
        self._ask_battery = on_battery or _on_battery
        self._clock = IdleClock()
        self._battery = (float("-inf"), False)
        self._newest: Sample | None = None
        self._study: KeptStudy | None = None
        self._strangers: frozenset[int] = frozenset()
        self._due: tuple[Due, ...] = ()
        self._due_at = float("-inf")
        self._not_before: dict[str, float] = {}
        self._wait_until = float("-inf")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._doing = "waits for the machine to be idle"
        self._beat = time.monotonic()

    @property
    def worker_pid(self) -> int | None:
        """The study that runs, to be watched; None if none does."""
        study = self._study
        return None if study is None else study.pid

    def take(self, sample: Sample) -> None:
        """Look whether somebody needs the machine."""
        study = self._study
        self._newest = sample
        if study is None:
            why = self._why_busy(sample, Own())
        else:
            why = self._why_busy(sample, study.own())
            if why is not None:
                # It may have begun a worker that was not known yet.
                study.look()
                why = self._why_busy(sample, study.own())
            study.settle()
        self._clock.take(sample.at, why)

    def give_way(self, seconds: float) -> None:
        """Somebody is about to use the machine: no study for so long. From any thread."""
        self._wait_until = max(self._wait_until, time.monotonic() + seconds)

    def make_room(self, seconds: float, pid: int | None = None) -> Room:
        """No study for so long, and the one that runs is gone when this returns. From any thread.

        ``pid`` is the process that asks: a study of this service does not stop itself.
        """
        study = self._study
        if study is not None and pid is not None and study.owns(pid):
            return Room(stopped=False, clear=True)
        self.give_way(seconds)
        end = time.monotonic() + GONE_SECONDS
        while self._study is not None and time.monotonic() < end:
            time.sleep(0.05)
        return Room(stopped=study is not None, clear=self._study is None)

    def start(self) -> None:
        """Begin to wait for an idle machine."""
        self._ending.clear()
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="keep-tuned", daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """Stop the study, if one runs."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(deadline)

    def reload(self) -> None:
        """Read the list again, and try again what failed."""
        self._config = self._read_config()
        self._not_before.clear()
        self._due_at = float("-inf")

    def status(self) -> ServiceStatus:
        """What it does or waits for."""
        return ServiceStatus(
            name=self.name,
            running=self._thread is not None and self._thread.is_alive(),
            detail=self._doing,
            silent_seconds=time.monotonic() - self._beat,
            patience=_DUE_PATIENCE + 60.0,
            figures={"models_due": sum(each.due for each in self._due), "study_pid": self.worker_pid},
        )

    def _work(self) -> None:
        try:
            while not self._ending.wait(LOOK_SECONDS if self._study is None else FOLLOW_SECONDS):
                self._beat = time.monotonic()
                if self._study is not None:
                    self._follow(self._study)
                elif self._may_begin():
                    self._begin()
        finally:
            if self._study is not None:
                self._study.kill()
                self._study = None

    def _may_begin(self) -> bool:
        sample = self._newest
        if sample is None or time.monotonic() < self._wait_until:
            return False
        idle = self._clock.idle_seconds(sample.at)
        if self._clock.why is not None or idle < self._config.idle_minutes * 60:
            self._doing = f"waits for the machine to be idle ({self._clock.why or f'idle for {idle:.0f} s'})"
            return False
        return True

    def _begin(self) -> None:
        """Start the study that is due, if one is."""
        now = time.monotonic()
        if now - self._due_at >= DUE_SECONDS:
            self._due_at = now
            self._due = self._ask_due()
        ready = [each for each in self._due if each.due and now >= self._not_before.get(each.model, now)]
        # Asking took a while: somebody may have come meanwhile.
        asked_for = time.monotonic() < self._wait_until
        if not ready or self._ending.is_set() or self._clock.needed or asked_for:
            self._doing = "nothing to tune"
            return
        model = ready[0].model
        sample = self._newest
        holders = {
            each.pid for card in (sample.gpus if sample else None) or () for each in card.processes or ()
        }
        self._strangers = frozenset(holders)
        try:
            self._study = KeptStudy(model, self._commands.tune(model), self._log_file)
        except OSError as error:
            self._failed(model, str(error))
            return
        self._doing = f"tunes {model}"
        _log.info("study begun", extra={"model": model, "reason": ready[0].reason, "pid": self._study.pid})

    def _follow(self, study: KeptStudy) -> None:
        code = study.poll()
        if code is None:
            if self._clock.needed or time.monotonic() < self._wait_until:
                why = self._clock.why or "somebody asked for it"
                study.kill()
                self._study = None
                _log.info("study stopped; it goes on later", extra={"model": study.model, "why": why})
            return
        self._study = None
        if code == 0:
            _log.info("study ended", extra={"model": study.model})
            # What the study says of itself is not taken for granted: the profile has to be there.
            self._due_at = time.monotonic()
            self._due = self._ask_due()
            if not any(each.model == study.model and each.due for each in self._due):
                return
        self._failed(study.model, study.last_words() or f"it ended with code {code}")

    def _failed(self, model: str, why: str) -> None:
        self._not_before[model] = time.monotonic() + AGAIN_SECONDS
        _log.warning("study failed", extra={"model": model, "why": why})

    def _ask_due(self) -> tuple[Due, ...]:
        """A program of its own: what reads torch and the driver shall not stay in the daemon's memory."""
        try:
            done = subprocess.run(
                self._commands.due,
                capture_output=True,
                timeout=_DUE_PATIENCE,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            return msgspec.json.decode(done.stdout, type=DueDocument).models
        except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            _log.warning("cannot tell which models are due", extra={"error": str(error)})
            return ()

    def _why_busy(self, sample: Sample, own: Own) -> str | None:
        return why_busy(
            sample,
            own,
            cpu_percent=self._config.idle_cpu_percent,
            gpu_percent=self._config.idle_gpu_percent,
            on_battery=self._on_battery(sample.at),
            strangers=self._strangers,
        )

    def _on_battery(self, at: float) -> bool:
        asked_at, found = self._battery
        if not 0 <= at - asked_at < _BATTERY_SECONDS:
            found = self._ask_battery()
            self._battery = (at, found)
        return found


def _on_battery() -> bool:
    """False where there is no battery, or nothing is known of it."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError, ValueError):
        return False
    return battery is not None and battery.power_plugged is False


def this_sdoctor(*words: str) -> tuple[str, ...]:
    """The command line of this installation."""
    return (sys.executable, "-P", "-m", "tui", *words)


def tune_command(model: str, minutes: float = DaemonConfig().study_minutes) -> tuple[str, ...]:
    """One study of a model, at the lowest priority."""
    return (
        sys.executable,
        "-P",
        "-m",
        "tuner.lowly_child",
        *this_sdoctor("tune", "--resume", "--time-limit", f"{minutes:g}", "--", model),
    )


def default_commands(config: Callable[[], DaemonConfig] = DaemonConfig) -> Commands:
    """How this installation is asked."""
    return Commands(
        due=this_sdoctor("daemon", "due", "--json"),
        tune=lambda model: tune_command(model, config().study_minutes),
    )


def models_of(config: DaemonConfig, added: Sequence[str]) -> tuple[str, ...]:
    """All models to keep tuned, each once."""
    return tuple(dict.fromkeys((*added, *config.keep_tuned)))
