"""Feed: a worker's events and samples of the machine, joined into one stream of messages.

Two threads wait, each on its own source, so neither a silent worker nor a slow driver holds up the other
or the screen. Each message is handed to one callback, in the thread that it arose in.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from doctor.telemetry.gpu_child import GpuChild
from doctor.telemetry.sample import Sample
from doctor.telemetry.sampler import Sampler
from doctor.verdicts import judge, recent
from doctor.verdicts.verdict import Verdict
from tui.run_messages import FeedEnded, Heard, Judged, Message, News, Prepared, RunStarted
from tuner.events import Event, Ready
from tuner.following_worker import WorkerFold

SAMPLE_SECONDS = 1.0
"""Time between samples. Host and NVML readings cost well under a millisecond each."""

JUDGE_SECONDS = 2.0
"""Time between two judgements of the last ten seconds. One costs about as much as a sample."""

_MOST_SEEN = 7200
"""An hour of samples; of a longer run the last hour counts."""


def no_pid() -> int | None:
    """For a job that does not know its worker's process id before the worker says it."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateJob:
    """One generation to be shown: the facts of its title, and the handles of its worker."""

    model: str
    prompt: str
    settings_text: str
    width: int | None
    height: int | None
    steps: int | None
    """None, as for the sizes, if the loaded pipeline decides; ``start`` should then yield the Request."""
    seed: int
    start: Callable[[], Iterator[News]]
    """Begins the generation; called once, in a thread of the feed, which also takes the events."""
    interrupt: Callable[[], None]
    """Asks the worker to stop after the current step; called again, at once. Comes from another thread."""
    pid: Callable[[], int | None] = no_pid
    """The worker's process id before it says so itself with Ready."""
    batch: int = 1
    note: str = ""
    """One sentence for the user, for example that there is no profile and what is used instead."""
    budget_bytes: int | None = None
    device: str | None = None
    """"cpu" or "cuda:0": says what the worker's memory figures mean."""
    auto_exit: bool = False
    """Whether the screen closes by itself when the generation is over."""

    def opening(self, at: float) -> RunStarted:
        """The first message of the feed."""
        return RunStarted(
            at=at,
            model=self.model,
            prompt=self.prompt,
            settings_text=self.settings_text,
            width=self.width,
            height=self.height,
            steps=self.steps,
            seed=self.seed,
            batch=self.batch,
            note=self.note,
            budget_bytes=self.budget_bytes,
            device=self.device,
        )


class Feed:
    """Samples of the machine from start to close, and beside them one job after another."""

    def __init__(
        self,
        deliver: Callable[[Message], None],
        read: Callable[[int | None], Sample] | None = None,
        every: float = SAMPLE_SECONDS,
    ) -> None:
        """``read`` takes the samples, by default from this machine; ``every`` is the time between them."""
        self._deliver = deliver
        self._read = read
        self._every = every
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None
        self._job: GenerateJob | None = None
        self._pid: int | None = None
        self._worker = WorkerFold()
        self._seen: deque[Sample] = deque(maxlen=_MOST_SEEN)
        self._judged_at = 0.0
        self.error: Exception | None = None
        """What broke the newest job, if anything did."""

    def start(self) -> None:
        """Let the samples begin."""
        threading.Thread(target=self._sample, name="feed-samples", daemon=True).start()

    def run(self, job: GenerateJob) -> None:
        """Deliver the opening message of ``job`` and let it go. Only when the one before has ended."""
        self._job, self._pid, self.error = job, None, None
        self._seen.clear()
        self._worker = WorkerFold(job.device)
        self._say(job.opening(time.monotonic()))
        self._listener = threading.Thread(target=self._listen, args=(job,), name="feed-events", daemon=True)
        self._listener.start()

    def interrupt(self) -> None:
        """Ask the worker to stop. Returns at once, whatever the worker's pipe does."""
        if self._job is not None:
            threading.Thread(target=self._job.interrupt, name="feed-interrupt", daemon=True).start()

    def close(self) -> None:
        """Deliver nothing more, and end the job's iterator at its next event."""
        self._closed.set()

    def join(self, seconds: float) -> None:
        """Wait, at most so long, until the job has put its worker away."""
        if self._listener is not None:
            self._listener.join(seconds)

    def _say(self, message: Message) -> None:
        if not self._closed.is_set():
            self._deliver(message)

    def _listen(self, job: GenerateJob) -> None:
        words = None
        try:
            self._follow(job.start())
        except Exception as error:  # noqa: BLE001  (a thread has no caller: what broke it must reach the screen)
            self.error = error
            words = str(error) or type(error).__name__
        # A worker that waits for the next job is still looked at.
        self._job, self._pid = None, job.pid() or self._pid
        self._say(FeedEnded(time.monotonic(), words))

    def _follow(self, news: Iterator[News]) -> None:
        for what in news:
            if isinstance(what, Ready):
                self._pid = what.pid
            elif isinstance(what, Prepared):
                self._worker = WorkerFold(what.device)
            if isinstance(what, Event):
                self._worker.add(what)
            self._say(Heard(time.monotonic(), what))
            if self._closed.is_set():
                return

    def _sample(self) -> None:
        if self._read is not None:
            self._take(self._read)
            return
        source = Sampler(GpuChild())
        try:
            self._take(source.read)
        finally:
            source.close()

    def _take(self, read: Callable[[int | None], Sample]) -> None:
        while not self._closed.is_set():
            job = self._job
            sample = read((job.pid() if job else None) or self._pid)
            if job is None:
                self._say(sample)
            else:
                sample = replace(sample, worker=self._worker.sample())
                self._seen.append(sample)
                self._say(sample)
                self._judge(sample.at)
            self._closed.wait(self._every)

    def _judge(self, now: float) -> None:
        """Every few seconds; the screen cannot do it, since it may leave out samples when it is slow."""
        if now - self._judged_at < JUDGE_SECONDS:
            return
        self._judged_at = now
        self._say(Judged(time.monotonic(), judge(recent(tuple(self._seen)))))

    def verdicts(self) -> tuple[Verdict, ...]:
        """What the newest job waited for, over the whole of its run."""
        return judge(tuple(self._seen))
