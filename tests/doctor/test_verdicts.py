import os
import subprocess
import sys
import time
from dataclasses import replace

import gpu_traces
import pytest
from induced import sampled, strangers
from written_traces import WRITTEN, process, sample

from doctor.finding import Severity
from doctor.telemetry.recording import read_recording, write_recording
from doctor.telemetry.sample import Neighbour, Pressure, Sample
from doctor.trace import Phase
from doctor.verdicts import RULES, judge, recent
from doctor.verdicts.verdict import confidence


def first(samples):
    return next((verdict.id for verdict in judge(samples)), None)


def trace(**changes):
    return tuple(sample(number, **changes) for number in range(6))


@pytest.mark.parametrize("name", WRITTEN)
def test_written_traces_get_their_verdict(name):
    expected, samples = WRITTEN[name]
    verdicts = judge(samples)
    assert verdicts[0].id == expected
    assert verdicts[0].evidence
    assert 0.5 <= verdicts[0].confidence <= 0.95


@pytest.mark.parametrize("name", ["hot card", "offload, bytes counted"])
def test_cards_on_a_fake_driver_get_their_verdict(name, tmp_path):
    assert first(gpu_traces.record(tmp_path, name)) == gpu_traces.SCENARIOS[name][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", gpu_traces.SCENARIOS)
def test_every_card_on_a_fake_driver_gets_its_verdict(name, tmp_path):
    samples = gpu_traces.record(tmp_path, name)
    if gpu_traces.SCENARIOS[name][2] and (strangers(samples) or 0) > 20:
        pytest.skip("other programs use the processor, which is a verdict of its own")
    assert first(samples) == gpu_traces.SCENARIOS[name][0]


def test_a_healthy_run_is_told_that_it_is_and_nothing_else():
    verdicts = judge(trace())
    assert [verdict.id for verdict in verdicts] == ["processor-bound"]
    assert verdicts[0].severity is Severity.OK


def test_a_busy_machine_of_which_no_process_is_watched():
    unwatched = {"process": None, "process_cpu_percent": None, "process_rss": None, "worker": None}
    busiest = Neighbour(pid=7, name="cc1plus", cpu_percent=99.0, niceness=0)
    (verdict,) = judge(trace(**unwatched, neighbours=(busiest,)))
    assert (verdict.id, verdict.severity) == ("processor-busy", Severity.OK)
    assert "cc1plus (7)" in verdict.title
    assert verdict.advice.commands == ("sdoctor monitor --pid 7",)
    assert judge(trace(**unwatched))[0].advice is None
    assert judge(trace(**unwatched, cpu_percent=80.0)) == ()


def test_what_is_not_known_gives_no_verdict():
    assert judge([Sample(at=float(n), interval=1.0) for n in range(5)]) == ()


@pytest.mark.parametrize(
    "unknown",
    [
        {"process": None, "process_cpu_percent": None},
        {"cpu_percent": None, "core_percents": None},
        {"pressure": None},
        {"process": process(wait_percent=None)},
        {"process": process(threads=None, busy_threads=None)},
        {"swap_in": None, "swap_out": None},
        {"gpus": None, "gpu_error": "lost"},
        {"worker": None},
        {"neighbours": None},
    ],
)
def test_a_missing_counter_is_no_alarm(unknown):
    verdicts = judge(trace(**unknown))
    assert all(verdict.severity is Severity.OK for verdict in verdicts), verdicts


def test_two_samples_are_too_few():
    assert judge(trace()[:3]) == ()  # the first of them has no rates


HUNGRY = {
    "process_cpu_percent": 400.0,
    "neighbours": (Neighbour(pid=9, name="hog", cpu_percent=390.0, niceness=0),),
}


def test_others_are_named_and_priority_is_told_apart():
    (others,) = judge(trace(**HUNGRY, process=process(wait_percent=380.0)))
    assert others.id == "starved-by-others"
    assert "hog (9)" in others.title
    (priority,) = judge(trace(**HUNGRY, process=process(wait_percent=380.0, niceness=19)))
    assert priority.id == "starved-by-priority"
    assert priority.advice.commands == ("sudo renice -n 0 -p 4711",)


def test_a_process_that_hardly_wants_a_core_does_not_starve():
    quiet = {"threads": (), "busy_threads": 0}
    sleepy = {"process": process(wait_percent=2.0, **quiet), "process_cpu_percent": 8.0}
    assert first(trace(**sleepy)) is None
    assert first(trace(**(sleepy | {"process": process(wait_percent=40.0, **quiet)}))) == "starved-by-others"


def test_a_quota_comes_before_the_threads_that_it_makes_wait():
    squeezed = process(quota_cores=2.0, throttled_percent=80.0, busy_threads=8, wait_percent=300.0)
    verdicts = judge(trace(process=squeezed, process_cpu_percent=195.0, cpu_percent=26.0))
    assert verdicts[0].id == "starved-by-quota"
    assert "export OMP_NUM_THREADS=2" in verdicts[0].advice.commands


def test_many_threads_that_wait_for_nobody_else():
    crowd = process(busy_threads=32, wait_percent=1500.0)
    assert first(trace(process=crowd)) == "too-many-threads"
    # Waiting for the neighbours of a machine that is full of them is another matter.
    assert first(trace(process=crowd, process_cpu_percent=300.0)) == "starved-by-others"


def test_one_thread_of_many_cores():
    lonely = process(
        threads=(replace(process().threads[0], cpu_percent=99.0),), thread_count=3, busy_threads=1
    )
    assert first(trace(process=lonely, process_cpu_percent=100.0, cpu_percent=14.0)) == "one-thread"


def test_loading_from_a_slow_disk_and_from_a_fast_one():
    loading = {
        "process_cpu_percent": 20.0,
        "cpu_percent": 4.0,
        "pressure": Pressure(io_some=80.0),
        "worker": replace(sample(1).worker, phase=Phase.LOAD, phase_seconds=9.0, step=None, step_seconds=()),
    }
    assert first(trace(**loading, process=process(read=30e6))) == "disk-bound"
    assert first(trace(**loading, process=process(read=900e6))) is None


def test_idle_is_not_waiting():
    resting = {"process_cpu_percent": 0.5, "cpu_percent": 2.0, "worker": None}
    assert first(trace(**resting, process=process(threads=(), busy_threads=0, wait_percent=0.0))) == "idle"
    waiting = process(threads=(), busy_threads=0, wait_percent=40.0)
    assert first(trace(**resting, process=waiting)) != "idle"


def test_replay_gives_the_same_verdicts(tmp_path):
    for number, (_, samples) in enumerate(WRITTEN.values()):
        path = tmp_path / f"{number}.jsonl"
        write_recording(path, samples)
        assert judge(read_recording(path).samples) == judge(samples)


def test_confidence_grows_from_the_threshold_in_either_direction():
    assert [confidence(value, 10, 20) for value in (10, 15, 20, 99)] == [0.5, 0.72, 0.95, 0.95]
    assert [confidence(value, 85, 60) for value in (85, 60, 10)] == [0.5, 0.95, 0.95]


def test_recent_keeps_enough_to_judge():
    slow = [sample(0, at=60.0 * number) for number in range(9)]
    assert len(recent(slow)) == 3
    assert len(recent(trace(), seconds=4.0)) == 4
    assert recent(()) == ()


def test_ids_are_used_once_and_rules_name_their_causes():
    ids = [cause for rule in RULES for cause in rule.causes]
    assert len(ids) == len(set(ids))
    assert {expected for expected, _ in WRITTEN.values()} <= set(ids)
    assert {expected for expected, _, _ in gpu_traces.SCENARIOS.values()} <= set(ids)


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs processes that can be bound to a core"
)
def test_a_process_that_shares_its_core_really_starves():
    core = sorted(os.sched_getaffinity(0))[0]

    def busy(niceness):
        def begin():
            os.sched_setaffinity(0, {core})
            os.nice(niceness)

        return subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], preexec_fn=begin)

    neighbour, watched = busy(0), busy(10)
    try:
        time.sleep(0.3)
        seen = sampled(watched.pid, 2.5)
    finally:
        for child in (neighbour, watched):
            child.kill()
            child.wait()
    verdict = judge(seen.samples)[0]
    assert verdict.id == "starved-by-priority"
    assert verdict.evidence["niceness"] == os.nice(0) + 10
