from doctor.trace import Outcome, Phase
from tuner.events import Failed, PhaseEnded, PhaseStarted, Pulse, Stepped
from tuner.following_worker import WorkerFold


def test_steps_and_phases_that_ended_are_said_once():
    fold = WorkerFold("cuda:0")
    for event in (
        PhaseStarted(phase=Phase.ENCODE),
        PhaseEnded(phase=Phase.ENCODE, seconds=0.5, peak_allocated=70),
        PhaseStarted(phase=Phase.DENOISE),
        Stepped(index=1, total=20, seconds=0.3),
        Stepped(index=2, total=20, seconds=0.4),
        Pulse(allocated=50, reserved=60),
    ):
        fold.add(event)
    first, second = fold.sample(), fold.sample()
    assert (first.phase, first.step, first.steps, first.step_seconds) == (Phase.DENOISE, 2, 20, (0.3, 0.4))
    assert [(record.phase, record.seconds) for record in first.ended] == [(Phase.ENCODE, 0.5)]
    assert (first.allocated, first.reserved, first.peak_allocated) == (50, 60, 70)
    assert (second.step, second.step_seconds, second.ended, second.peak_allocated) == (2, (), (), 70)
    assert first.device == "cuda:0"
    assert 0 <= first.phase_seconds <= second.phase_seconds


def test_nothing_is_known_before_the_worker_speaks_and_no_phase_runs_after_its_end():
    fold = WorkerFold()
    empty = fold.sample()
    assert (empty.phase, empty.step, empty.allocated, empty.phase_seconds) == (None, None, None, None)
    fold.add(PhaseStarted(phase=Phase.DECODE))
    fold.add(Failed(outcome=Outcome.CRASHED, message="gone", phase=Phase.DECODE))
    assert fold.sample().phase is None
