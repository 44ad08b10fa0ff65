"""Watching: a sample a second into the history, and what is wrong in it into incidents."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from doctor.daemon import aftermath
from doctor.daemon.incident_import import IncidentImport
from doctor.daemon.ledger import Ledger
from doctor.daemon.looks import make_looks
from doctor.daemon.processes import EVERY as PROCESSES_EVERY
from doctor.daemon.processes import ProcessMemory, largest_processes
from doctor.daemon.service import ServiceStatus
from doctor.daemon.sighting import Look, Sighting, View
from doctor.errors import SdoctorError
from doctor.history import Episode, History, Ran
from doctor.history.episode import RanProcess
from doctor.telemetry.gpu_child import GpuChild
from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Sampler
from doctor.verdicts import recent

INTERVAL = 1.0
KEPT_SAMPLES = 120
"""Samples in memory, for whoever asks what is now."""

IMPORT_SECONDS = 30.0
REMEMBER_SECONDS = 60.0
_MOST_RAN = 5

_log = logging.getLogger(__name__)

Listener = Callable[[Sample], None]


@dataclass(slots=True)
class _Looked:
    """One look, and what it saw last."""

    look: Look
    at: float = -1e18
    saw: Sequence[Sighting] = ()
    trouble: str = ""


class WatchService:
    """A thread that takes samples, keeps them, and judges them. Others may listen to the samples."""

    name = "watch"

    def __init__(
        self,
        history: History,
        *,
        interval: Callable[[], float] = lambda: INTERVAL,
        watched: Callable[[Sample | None], int | None] = lambda _: None,
        sampler: Callable[[], Sampler] = lambda: Sampler(GpuChild()),
        looks: Callable[[], Sequence[Look]] = make_looks,
    ) -> None:
        """``interval`` gives the seconds between samples, asked at every start and reload; ``watched`` the process to
        watch, asked before every sample with the one before; the others are for tests.
        """
        self._history = history
        self._ask_interval = interval
        self._watched = watched
        self._make_sampler = sampler
        self._make_looks = looks
        self.listeners: list[Listener] = []
        self._interval = interval()
        self._samples: deque[Sample] = deque(maxlen=KEPT_SAMPLES)
        self._processes: tuple[ProcessMemory, ...] = ()
        self._ledger = Ledger(self._keep)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._beat = time.monotonic()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The last two minutes or so, the newest last."""
        return tuple(self._samples)

    @property
    def lasting(self) -> tuple[Episode, ...]:
        """The incidents that last now."""
        return self._ledger.lasting

    def start(self) -> None:
        """Begin to watch."""
        self._ending.clear()
        self._beat = time.monotonic()
        for episode in aftermath.begin(self._history):
            _log.warning(episode.title, extra={"incident": episode.id, "kind": episode.kind})
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._thread.start()

    def stop(self, deadline: float) -> None:
        """End; incidents that last are written down as far as they were seen."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(deadline)
            if self._thread.is_alive():
                return
            self._thread = None
            self._ledger.close()
            aftermath.end(self._history)

    def reload(self) -> None:
        """Take another interval."""
        self._interval = self._ask_interval()

    def status(self) -> ServiceStatus:
        """Whether samples come."""
        lasting = self.lasting
        return ServiceStatus(
            name=self.name,
            running=self._thread is not None and self._thread.is_alive(),
            detail=f"{len(lasting)} incidents last" if lasting else "nothing is wrong that it can see",
            silent_seconds=time.monotonic() - self._beat,
            patience=30.0 + 3 * self._interval,
            figures={"interval_seconds": self._interval, "lasting_incidents": len(lasting)},
        )

    def _keep(self, episode: Episode) -> None:
        self._history.add_incident(episode)
        what = "lasts" if episode.ended is None else "over"
        _log.info(f"incident {what}: {episode.title}", extra={"incident": episode.id, "kind": episode.kind})

    def _work(self) -> None:
        sampler = self._make_sampler()
        looks = [_Looked(look) for look in self._make_looks()]
        rare = _Rare()
        imported = self._importer()
        due = time.monotonic()
        try:
            while not self._ending.wait(max(0.0, due - time.monotonic())):
                # After a pause (sleep, a stopped machine) the beat goes on from now and does not catch up.
                due = max(due + self._interval, time.monotonic())
                sample = sampler.read(self._watched(self._samples[-1] if self._samples else None))
                self._take(sample, looks, rare)
                if imported is not None and rare.due("import", IMPORT_SECONDS, sample.at):
                    _attempt("the incidents of programs", imported.run)
                self._beat = time.monotonic()
        finally:
            sampler.close()

    def _importer(self) -> IncidentImport | None:
        try:
            return IncidentImport(self._history)
        except SdoctorError as error:
            _log.error("incidents of programs are not taken over", extra={"error": str(error)})
            return None

    def _take(self, sample: Sample, looks: Sequence[_Looked], rare: _Rare) -> None:
        self._samples.append(sample)
        self._history.add_sample(sample)
        if rare.due("processes", PROCESSES_EVERY, sample.at):
            self._processes = largest_processes()
        at = sample.clock if sample.clock is not None else time.time()
        view = View(at=at, samples=recent(tuple(self._samples)), processes=self._processes)
        self._ledger.see(at, [each for one in looks for each in _look(one, view)], self._ran)
        if rare.due("remember", REMEMBER_SECONDS, sample.at):
            aftermath.remember(self._history, self._ran())
        for listener in self.listeners:
            listener(sample)

    def _ran(self) -> Ran:
        """What runs at this moment."""
        return what_ran(self._samples[-1], self._processes)


class _Rare:
    """What is due less often than every sample."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def due(self, what: str, every: float, at: float) -> bool:
        """``at`` is the sample's own time (``time.monotonic()``)."""
        if at - self._at.get(what, -1e18) < every:
            return False
        self._at[what] = at
        return True


def _look(one: _Looked, view: View) -> Sequence[Sighting]:
    """Look, if it is time; else what was seen last, but for what is over. Where nothing can be seen, nothing is seen."""
    if 0 <= view.at - one.at < one.look.every:
        return [each for each in one.saw if not each.at_once]
    one.at = view.at
    try:
        one.saw, one.trouble = one.look.look(view), ""
    except OSError as error:
        if not one.trouble:
            _log.warning("cannot look", extra={"look": type(one.look).__name__, "error": str(error)})
        one.saw, one.trouble = (), str(error)
    return one.saw


def _attempt(what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except OSError as error:
        _log.warning("cannot read %s", what, extra={"error": str(error)})


def what_ran(sample: Sample, processes: Sequence[ProcessMemory]) -> Ran:
    """The processes that used most of the processor, of the memory and of the cards; each once."""
    memory = {each.pid: each for each in processes}
    cards = {
        each.pid: each for card in sample.gpus or () for each in card.processes or () if each.memory_used
    }
    busy = {each.pid: each for each in sample.neighbours or ()}
    by_card = sorted(cards.values(), key=lambda each: each.memory_used or 0, reverse=True)
    first = [
        *[each.pid for each in by_card[:_MOST_RAN]],
        *list(busy)[:_MOST_RAN],
        *[each.pid for each in processes[:_MOST_RAN]],
    ]
    return Ran(
        processes=tuple(
            RanProcess(
                pid=pid,
                name=_name(pid, busy, memory, cards),
                cpu_percent=round(busy[pid].cpu_percent, 1) if pid in busy else None,
                memory=memory[pid].memory if pid in memory else None,
                gpu_memory=cards[pid].memory_used if pid in cards else None,
            )
            for pid in dict.fromkeys(first)
        ),
        worker=_worker(sample),
    )


def _name(pid: int, *known: Mapping[int, object]) -> str:
    names = [getattr(each[pid], "name", None) for each in known if pid in each]
    return next((str(name) for name in names if name), "?")


def _worker(sample: Sample) -> str | None:
    if sample.process is None:
        return None
    used = "" if sample.process_cpu_percent is None else f", {sample.process_cpu_percent:.0f} % of a core"
    memory = "" if sample.process_rss is None else f", {sample.process_rss / 2**30:.2f} GiB"
    return f"{sample.process.name or 'process'} {sample.process.pid}{used}{memory}"
