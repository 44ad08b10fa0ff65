"""The runner and the lab against a worker program that ends in every way a real one can."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from doctor.sizes import GIB
from doctor.trace import Outcome, Phase
from tuner.events import Failed, Finished, Generate, Load, Loaded, Stepped
from tuner.generation import Generation, Wish
from tuner.host_memory import FloorGuard, available_bytes, seconds_to_the_next_look
from tuner.lab import Bench, Lab
from tuner.memory_back import wait_until_back
from tuner.probe import Probe, Purpose
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings

TESTS = Path(__file__).resolve().parents[1]
FAKE = functools.partial(Worker, ("fake_worker",))
LOAD = Load(model="builtin:tiny", settings=Settings(), device="cpu")
REQUEST = Request(prompt="x", width=64, height=64, steps=3)


@pytest.fixture(autouse=True)
def _fake_on_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))


def probe(**changes) -> Probe:
    values = {"purpose": Purpose.FASTEST, "settings": Settings(), "width": 64, "height": 64, "steps": 3}
    return Probe(**(values | changes))


def lab(**changes) -> Lab:
    return Lab(Bench(model="builtin:tiny", device="cpu", budget=None), start_worker=FAKE, **changes)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_run_that_finishes():
    with lab() as here:
        trial = here.run(probe())
    assert trial.outcome is Outcome.FINISHED
    assert trial.seconds_per_image == pytest.approx(0.03)
    assert trial.seconds_per_step == pytest.approx(0.01)
    assert trial.peak_bytes == 64000
    assert trial.setup == {"precision": "fp32"}
    assert len(trial.step_seconds) == 3


@pytest.mark.parametrize(
    ("act", "outcome", "phase", "words"),
    [
        ("out_of_memory", Outcome.OUT_OF_MEMORY, Phase.DECODE, "no room"),
        ("segfault", Outcome.CRASHED, Phase.DECODE, "SIGSEGV"),
        ("abort_without_memory", Outcome.OUT_OF_MEMORY, Phase.DECODE, "SIGABRT"),
        ("killed", Outcome.CRASHED, Phase.DENOISE, "SIGKILL"),
        ("half_a_line", Outcome.CRASHED, None, "exit code 7"),
        ("garbage", Outcome.CRASHED, None, "lost its pipe"),
        ("loses_its_pipe", Outcome.CRASHED, None, "lost its pipe"),
    ],
)
def test_every_death_is_the_outcome_of_one_trial(monkeypatch, act, outcome, phase, words):
    with lab() as here:
        monkeypatch.setenv("FAKE_WORKER", act)
        trial = here.run(probe())
        assert (trial.outcome, trial.failed_in) == (outcome, phase)
        assert words in trial.message
        assert trial.peak_bytes is None
        # The next trial gets a fresh worker and is not touched by the death before it.
        monkeypatch.setenv("FAKE_WORKER", "finish")
        assert here.run(probe()).outcome is Outcome.FINISHED


def test_a_worker_that_cannot_start(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "dies_at_start")
    with lab() as here:
        trial = here.run(probe())
    assert trial.outcome is Outcome.CRASHED
    assert "exit code 1" in trial.message
    assert "no such library" in trial.message


def test_too_slow_and_hung_are_told_apart(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "slow")
    with lab() as here:
        trial = here.run(probe(limit_seconds=1.0))
    assert trial.outcome is Outcome.TOO_SLOW
    monkeypatch.setenv("FAKE_WORKER", "hang")
    worker = FAKE()
    try:
        list(worker.run(LOAD, Limits()))
        last = list(worker.run(Generate(request=REQUEST), Limits(total=60.0, stall=1.0)))[-1]
    finally:
        worker.close()
    assert isinstance(last, Failed)
    assert last.outcome is Outcome.HUNG
    assert is_gone(worker.pid)


def test_compiling_is_no_part_of_a_run_and_has_a_limit_of_its_own(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "compiles")
    with lab() as here:
        trial = here.run(probe(limit_seconds=0.4, warm_up=True))
    assert trial.outcome is Outcome.FINISHED
    assert trial.seconds_per_image == pytest.approx(0.03)
    assert trial.compile_seconds == pytest.approx(1.0)
    assert trial.peak_bytes == 10**6  # of the warm-up, in which it was compiled
    assert trial.seconds > 1.0
    monkeypatch.setenv("FAKE_WORKER", "compiles_for_ever")
    worker = FAKE()
    try:
        list(worker.run(LOAD, Limits()))
        last = list(worker.run(Generate(request=REQUEST), Limits(total=0.2, compiling=1.0)))[-1]
    finally:
        worker.close()
    assert (last.outcome, last.phase) == (Outcome.TOO_SLOW, Phase.DENOISE)
    assert last.message == "Compiling the denoiser was not done after 1 s."
    # One that does not even compute, in the worker or in a child of it, is found out sooner.
    worker = FAKE()
    try:
        list(worker.run(LOAD, Limits()))
        last = list(worker.run(Generate(request=REQUEST), Limits(compiling=60.0, stall=1.0)))[-1]
    finally:
        worker.close()
    assert last.outcome is Outcome.HUNG


@pytest.mark.parametrize(("budget", "workers"), [(None, 1), (10**7, 1), (15 * 10**5, 2)])
def test_a_process_that_compiled_next_to_its_limit_is_left_for_a_fresh_one(monkeypatch, budget, workers):
    """What it measures would be slow; the fresh one compiles nothing, or what it has to."""
    monkeypatch.setenv("FAKE_WORKER", "compiles")
    started = []
    bench = Bench(model="builtin:tiny", device="cpu", budget=budget)
    with Lab(bench, start_worker=lambda: started.append(FAKE()) or started[-1]) as here:
        trial = here.run(probe(warm_up=True))
    assert trial.outcome is Outcome.FINISHED
    assert len(started) == workers
    assert trial.compile_seconds == pytest.approx(0.5 + 0.5 * workers)
    assert trial.peak_bytes == 10**6


def test_a_refused_load_is_no_crash(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "refuses")
    with lab() as here:
        trial = here.run(probe())
    assert (trial.outcome, trial.failed_in, trial.message) == (
        Outcome.REFUSED,
        Phase.LOAD,
        "No such weights.",
    )


def test_settings_that_can_be_changed_in_place_keep_the_worker():
    starts = []

    def start() -> Worker:
        starts.append(1)
        return FAKE()

    with Lab(Bench(model="builtin:tiny", device="cpu", budget=None), start_worker=start) as here:
        here.run(probe())
        trial = here.run(probe(settings=Settings(vae_tiling="on")))
        assert trial.setup == {"vae_tiling": "on"}
        assert len(starts) == 1
        here.run(probe(settings=Settings(precision="bf16")))
        assert len(starts) == 2


def test_a_worker_that_failed_is_never_used_again(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "segfault")
    worker = FAKE()
    list(worker.run(LOAD, Limits()))
    list(worker.run(Generate(request=REQUEST), Limits()))
    with pytest.raises(RuntimeError, match="must not be used again"):
        next(worker.run(LOAD, Limits()))
    worker.close()


def generation(**changes) -> Generation:
    return Generation(LOAD, Wish(prompt="x", **changes), lambda request: (), most_steps=30, start_worker=FAKE)


def test_a_generation_asks_the_loaded_pipeline_for_what_was_left_open():
    made = generation()
    events = list(made.events())
    assert isinstance(events[-1], Finished)
    assert (made.request.width, made.request.steps) == (64, 30)
    assert is_gone(made.pid())


def test_an_interrupted_generation_stops_after_the_step():
    made = generation(steps=500)
    events = []
    for event in made.events():
        events.append(event)
        if isinstance(event, Stepped) and event.index == 2:
            made.interrupt()
    assert isinstance(events[-1], Failed)
    assert events[-1].outcome is Outcome.INTERRUPTED
    assert sum(isinstance(event, Stepped) for event in events) < 400
    assert is_gone(made.pid())


def test_a_second_interrupt_does_not_wait(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "hang")
    made = generation()
    for event in made.events():
        if isinstance(event, Loaded):
            continue
        if made.request is not None:
            made.interrupt()
            made.interrupt()
    assert event.outcome is Outcome.INTERRUPTED
    assert is_gone(made.pid())


def test_a_worker_that_takes_the_hosts_memory_is_ended_before_the_floor_is_broken(monkeypatch):
    monkeypatch.setenv("FAKE_WORKER", "greedy")
    before = available_bytes()
    if before < 4 * GIB:
        pytest.skip("this machine has too little memory free")
    floor = before - GIB
    guarded = functools.partial(FAKE, guard=functools.partial(FloorGuard, floor=floor))
    started = []
    with Lab(
        Bench(model="builtin:tiny", device="cpu", budget=None),
        start_worker=lambda: started.append(guarded()) or started[-1],
    ) as here:
        trial = here.run(probe())
    assert trial.outcome is Outcome.OUT_OF_MEMORY
    assert trial.failed_in is Phase.DENOISE
    assert trial.message.startswith("killed: host memory floor")
    assert not psutil.pid_exists(started[0].pid)


def test_the_guard_leaves_a_machine_with_enough_memory_alone():
    ended = []
    guard = FloorGuard(lambda: ended.append(1), floor=GIB, available=lambda: GIB)
    time.sleep(0.2)
    guard.stop()
    assert (ended, guard.left) == ([], None)


@pytest.mark.parametrize(
    ("gib", "cores", "seconds"), [(0, 2, 0.05), (1, 2, 0.0537), (4, 2, 0.215), (20, 2, 0.5), (20, 64, 0.05)]
)
def test_the_guard_looks_seldom_where_much_is_left(gib, cores, seconds):
    assert seconds_to_the_next_look(gib * GIB, cores) == pytest.approx(seconds, rel=0.01)


def test_the_next_trial_waits_until_the_memory_of_the_one_before_is_back(monkeypatch):
    """A driver gives memory back later than the process ends."""
    monkeypatch.setenv("FAKE_WORKER", "killed")
    ended = []

    def free() -> int:
        return 8 * GIB if not ended or time.monotonic() - ended[0] > 0.5 else 6 * GIB

    class Watched(Worker):
        def close(self) -> None:
            super().close()
            ended.append(time.monotonic())

    with Lab(
        Bench(model="m", device="cuda:0", budget=None),
        start_worker=lambda: Watched(("fake_worker",)),
        free_bytes=free,
    ) as here:
        here.run(probe())
        assert time.monotonic() - ended[0] > 0.5
    assert not wait_until_back(lambda: 0, GIB, seconds=0.1)
    assert not wait_until_back(lambda: None, GIB)


@pytest.mark.parametrize("act", ["finish", "deaf"])
def test_neither_orphan_nor_file_when_the_owner_is_killed(act, tmp_path):
    script = (
        "import functools,sys,time\n"
        "from tuner.runner import Worker, Limits\n"
        "from tuner.events import Generate, Load\n"
        "from tuner.settings import Request, Settings\n"
        "w = Worker(('fake_worker',))\n"
        "list(w.run(Load(model='m', settings=Settings(), device='cpu'), Limits()))\n"
        "print(w.pid, flush=True)\n"
        "r = Request(prompt='x', width=64, height=64, steps=3)\n"
        "list(w.run(Generate(request=r), Limits()))\n"
        "time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-P", "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "FAKE_WORKER": act, "TMPDIR": str(tmp_path)},
    )
    worker = int(owner.stdout.readline())
    time.sleep(0.5)
    assert not is_gone(worker)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 5
    while not is_gone(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_gone(worker)
    assert not list(tmp_path.iterdir())
    owner.stdout.close()


def test_a_short_run_is_repeated_and_the_median_is_the_measured_one():
    with lab() as here:
        trial = here.run(probe(repeat_within=0.5))
        single = here.run(probe(repeat_within=0.0))
    assert len(trial.runs_seconds) == 7
    assert trial.seconds_per_image == sorted(trial.runs_seconds)[3]
    assert len(single.runs_seconds) == 1


def test_a_worker_that_comes_up_after_its_owner_has_gone_ends_at_once():
    environment = os.environ | {"SDOCTOR_OWNER": str(os.getpid() + 1)}
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from tuner.lifeline import end_with_owner; end_with_owner(); print(1)",
        ],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
