"""StudyFeed: a study in a thread of its own, as a stream of messages for a screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from doctor.errors import SdoctorError
from tui.situation import Situation
from tui.study_state import Begun, Message, Opened, Over, Probing, Said, Stepping, Tried
from tui.tuning import Asked, Found, Stopper, run_study
from tuner.events import CompileEnded, CompileStarted, Event, PhaseStarted, Stepped
from tuner.probe import Probe, Trial
from tuner.study import Study

Run = Callable[[Asked, "StudyFeed", Callable[[str], None], Stopper], Found]


class StudyFeed:
    """One study after another. Every message is handed over in the study's thread.

    It is what the study reports to (``tui.progress.Show``).
    """

    def __init__(self, deliver: Callable[[Message], None], run: Run = run_study) -> None:
        self._deliver = deliver
        self._run_study = run
        self._stopper = Stopper()
        self._thread: threading.Thread | None = None
        self._study: Study | None = None
        self.found: Found | None = None
        """How the newest study ended; None while it runs, or if it was stopped before its first run."""
        self.error: Exception | None = None
        """What broke the newest study, if anything did."""

    @property
    def is_running(self) -> bool:
        """Whether a study runs."""
        return self._thread is not None and self._thread.is_alive()

    def run(self, asked: Asked) -> bool:
        """Begin; False if a study runs already."""
        if self.is_running:
            return False
        self._stopper, self._study, self.found, self.error = Stopper(), None, None, None
        self._thread = threading.Thread(target=self._work, args=(asked,), name="study", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """Stop the study; its worker is ended at once, and what was measured is concluded."""
        self._stopper.stop()

    close = stop

    def join(self, seconds: float) -> None:
        """Wait, at most so long, until the study has put its worker away."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self, asked: Asked) -> None:
        self._deliver(Opened(time.monotonic(), asked))
        words = None
        try:
            self.found = self._run_study(
                asked, self, lambda text: self._deliver(Said(time.monotonic(), text)), self._stopper
            )
        except KeyboardInterrupt:
            words = "Stopped before the first run."
        except SdoctorError as error:
            self.error, words = error, str(error)
        except Exception as error:  # noqa: BLE001  (a thread has no caller: what broke it must reach the screen)
            self.error, words = error, f"This is a defect of sdoctor: {type(error).__name__}: {error}"
        self._deliver(Over(time.monotonic(), self.found, words))

    # ------------------------------------------------ what the study reports to

    def begin(self, study: Study, situation: Situation) -> None:
        """The model was loaded."""
        self._study = study
        self._deliver(Begun(time.monotonic(), study.goal, situation))

    def event(self, event: Event) -> None:
        """Steps, phases and compilers move the bar; the rest is no matter for a screen."""
        if isinstance(event, Stepped | PhaseStarted | CompileStarted | CompileEnded):
            self._deliver(Stepping(time.monotonic(), event))

    def probe(self, probe: Probe) -> None:
        """A run begins."""
        self._deliver(Probing(time.monotonic(), probe))

    def trial(self, trial: Trial) -> None:
        """A run ended. What the trials say so far is found here, where the study's forecast may be asked."""
        if self._study is not None:
            self._deliver(Tried(time.monotonic(), trial, self._study.conclude()))
