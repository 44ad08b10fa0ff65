import dataclasses
import queue
import threading
import time
from functools import reduce

import pytest
from fake_jobs import (
    CARD,
    LOADED,
    MIB,
    READY,
    Script,
    beginning,
    finishing,
    job_of,
    running_out_of_memory,
    step,
)
from hypothesis import given
from hypothesis import strategies as st

from doctor.telemetry.sample import GpuSample, Sample
from doctor.trace import Outcome, Phase
from tui.feed import Feed
from tui.run_messages import FeedEnded, Heard, StopAsked
from tui.state import HISTORY, LOG_LINES, LadderStep, View, fold
from tui.widgets.braille import bars, plot
from tui.widgets.readings import cpu_reading, gpu_reading, heat_reading, memory_reading, ram_reading
from tui.widgets.words import clock, duration, pace, printable, status
from tuner.events import Failed, Finished, Loaded, PhaseEnded, PhaseStarted, Pulse, Stepped
from tuner.settings import Request

JOB = job_of(Script([]), note="")


def play(events, every=1.0, view=None, at=100.0):
    """Fold events that come one each ``every`` seconds after the opening message."""
    view = fold(View(), JOB.opening(at)) if view is None else view
    for number, event in enumerate(events, 1):
        view = fold(view, Heard(at + number * every, event))
    return view


def texts(view):
    return [line.text for line in view.log]


def test_the_opening_message_starts_anew():
    view = fold(play(finishing(["a.png"])), JOB.opening(500.0))
    assert (view.phase, view.outcome, view.step, view.total) == (None, None, 0, 8)
    assert view.elapsed == 0
    assert view.run.prompt == JOB.prompt
    assert status(view) == "starting the worker"


def test_a_generation_that_finishes():
    view = play([*beginning(), *step(1, 8)])
    assert view.phase is Phase.DENOISE
    assert (view.step, view.total, view.pid) == (1, 8, READY.pid)
    assert status(view) == "denoising"
    view = fold(play(finishing(["a.png", "b.png"])), FeedEnded(200.0))
    assert view.outcome is Outcome.FINISHED
    assert view.images == ("a.png", "b.png")
    assert [record.phase for record in view.phases] == list(Phase)
    assert view.seconds == 6.2
    assert view.over
    assert view.elapsed == 100.0
    assert view.peak_allocated == 2300 * MIB
    assert view.peak_reserved == 2020 * MIB
    assert LOADED.remarks[0] in texts(view)
    assert texts(view)[-1] == "finished in 6.2 s"


def test_what_the_pipeline_decides_is_filled_in_by_the_request():
    view = fold(View(), job_of(Script([]), width=None, height=None, steps=None).opening(0.0))
    assert (view.run.width, view.total, view.seconds_left) == (None, 0, None)
    view = play([Request(prompt="p", width=64, height=96, steps=30)], view=view)
    assert (view.run.width, view.run.height, view.run.steps, view.total) == (64, 96, 30, 30)


def test_memory_falls_but_its_peak_stays():
    view = play([Pulse(allocated=500, reserved=900), Pulse(allocated=100), PhaseStarted(phase=Phase.LOAD)])
    assert (view.allocated, view.reserved) == (100, None)
    assert (view.peak_allocated, view.peak_reserved) == (500, 900)
    view = play([PhaseEnded(phase=Phase.LOAD, seconds=1.0, peak_allocated=800)], view=view)
    assert view.peak_allocated == 800


def test_speed_leaves_the_first_step_out_and_follows_the_recent_ones():
    assert play(beginning()).seconds_per_step is None
    view = play([*beginning(), Stepped(index=1, total=50, seconds=9.0)])
    assert view.seconds_per_step == 9.0
    slow = [Stepped(index=index, total=50, seconds=2.0) for index in range(2, 12)]
    fast = [Stepped(index=index, total=50, seconds=1.0) for index in range(12, 22)]
    assert play(slow, view=view).seconds_per_step == 2.0
    assert play(slow + fast, view=view).seconds_per_step == 1.0


def test_time_left_counts_down_between_steps_and_never_below_zero():
    view = play([*beginning(), *step(1, 8), *step(2, 8)], every=0.0)
    assert view.seconds_left == pytest.approx(6 * 0.5)
    assert fold(view, Sample(at=100.2)).seconds_left == pytest.approx(2.8)
    assert fold(view, Sample(at=900.0)).seconds_left == 0
    assert play([PhaseEnded(phase=Phase.DENOISE, seconds=1)], view=view).seconds_left is None


def test_out_of_memory_says_where():
    view = fold(play(running_out_of_memory()), FeedEnded(200.0))
    assert view.outcome is Outcome.OUT_OF_MEMORY
    assert view.failed_in is Phase.DECODE
    assert "tried to allocate" in view.message
    assert view.log[-1].tone == "bad"
    assert view.log[-1].text.startswith("out of memory in decode: ")
    assert status(view) == "out of memory"


def test_a_failure_without_a_phase_is_placed_by_the_running_one():
    view = play([PhaseStarted(phase=Phase.LOAD), Failed(outcome=Outcome.CRASHED, message="gone")])
    assert view.failed_in is Phase.LOAD


def test_a_step_down_the_ladder_begins_anew_but_keeps_history():
    failed = play([Pulse(allocated=5, reserved=6), *running_out_of_memory()])
    view = play([LadderStep(settings_text="bf16, vae tiling", reason="out of memory")], view=failed)
    assert (view.outcome, view.message, view.phase, view.phases) == (None, "", None, ())
    assert (view.step, view.total, view.step_seconds, view.seconds_left) == (0, 8, (), None)
    assert view.peak_allocated is None
    assert view.settings_text == "bf16, vae tiling"
    assert len(view.memory) == len(failed.memory)
    assert texts(view)[-1] == "out of memory; trying again with bf16, vae tiling"
    again = fold(play(finishing(["a.png"]), view=view, at=300.0), FeedEnded(400.0))
    assert again.outcome is Outcome.FINISHED


def test_a_feed_that_ends_without_a_word_is_a_crash():
    view = fold(play(beginning()), FeedEnded(200.0))
    assert view.outcome is Outcome.CRASHED
    assert "without an ending" in view.message


def test_a_feed_that_breaks_says_why():
    view = fold(play(beginning()), FeedEnded(200.0, "no such model"))
    assert (view.outcome, view.message) == (Outcome.CRASHED, "no such model")


def test_stopping_is_said_once_and_ends_as_interrupted():
    view = fold(fold(play(beginning()), StopAsked(150.0)), StopAsked(151.0))
    assert view.stopping
    assert texts(view).count("asked to stop") == 1
    assert status(view) == "stopping after this step"
    assert fold(view, FeedEnded(160.0)).outcome is Outcome.INTERRUPTED
    finished = fold(play(finishing(["a.png"]), view=view, at=160.0), FeedEnded(200.0))
    assert finished.outcome is Outcome.FINISHED
    assert fold(finished, StopAsked(300.0)) == dataclasses.replace(finished, now=300.0)


def test_the_clock_stops_at_the_end_and_never_runs_back():
    view = fold(play(finishing(["a.png"])), FeedEnded(140.0))
    assert fold(view, Sample(at=900.0)).elapsed == view.elapsed == 40.0
    assert fold(View(now=50.0), Sample(at=10.0)).now == 50.0


EVENTS = st.one_of(
    st.sampled_from([READY, LOADED, Loaded(setup={}), LadderStep(settings_text="fp32", reason="why")]),
    st.builds(PhaseStarted, phase=st.sampled_from(Phase)),
    st.builds(PhaseEnded, phase=st.sampled_from(Phase), seconds=st.floats(0, 10)),
    st.builds(Stepped, index=st.integers(0, 9), total=st.integers(0, 9), seconds=st.floats(0, 10)),
    st.builds(
        Pulse, allocated=st.none() | st.integers(0, 1 << 40), reserved=st.none() | st.integers(0, 1 << 40)
    ),
    st.builds(Finished, seconds=st.floats(0, 10)),
    st.builds(Failed, outcome=st.sampled_from(Outcome), message=st.text()),
)
MESSAGES = st.one_of(
    st.builds(Heard, st.floats(0, 1000), EVENTS),
    st.builds(Sample, at=st.floats(0, 1000), cpu_percent=st.none() | st.floats(0, 100)),
    st.builds(StopAsked, st.floats(0, 1000)),
    st.builds(FeedEnded, st.floats(0, 1000), st.none() | st.text()),
)


@given(st.lists(MESSAGES, max_size=30))
def test_any_order_of_messages_gives_a_view_that_can_be_shown(messages):
    view = reduce(fold, messages, fold(View(), JOB.opening(0.0)))
    assert view.elapsed >= 0
    assert view.seconds_left is None or view.seconds_left >= 0
    assert status(view)
    for reading in (memory_reading(view), cpu_reading(view), ram_reading(view)):
        assert reading.ceiling > 0
        rows = plot(reading.fill, reading.contour, 10, 3, reading.ceiling)
        assert [len(row) for row in rows] == [10, 10, 10]


def test_rings_are_bounded():
    view = play([Pulse(allocated=n) for n in range(HISTORY + 50)], every=0.0)
    view = reduce(fold, (Sample(at=200.0 + n) for n in range(HISTORY + 50)), view)
    for _ in range(LOG_LINES + 50):
        view = view.logged("line")
    assert (len(view.memory), len(view.samples), len(view.log)) == (HISTORY, HISTORY, LOG_LINES)
    assert view.memory[-1].allocated == HISTORY + 49


# ------------------------------------------------------------------------ feed


def test_the_feed_watches_the_process_that_ready_names():
    watched, seen = [], threading.Event()

    def read(pid):
        watched.append(pid)
        if pid == READY.pid:
            seen.set()
        return Sample(at=1.0)

    feed = Feed(lambda _message: None, read, every=0.01)
    feed.start()
    feed.run(job_of(Script(finishing(["a.png"]), pause=0.05)))
    assert seen.wait(5)
    feed.close()
    assert watched[0] in (None, READY.pid)


def test_a_closed_feed_ends_the_iterator_and_says_nothing_more():
    ended, said = threading.Event(), []

    def start():
        try:
            while True:
                time.sleep(0.01)
                yield Pulse(allocated=1)
        finally:
            ended.set()

    feed = Feed(said.append, lambda _pid: Sample(at=1.0), every=60)
    feed.start()
    feed.run(job_of(Script([]), start=start))
    time.sleep(0.1)
    feed.close()
    feed.join(5)
    assert ended.is_set()
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count > 1


def test_a_job_that_raises_is_reported_with_its_error():
    def start():
        raise ValueError("no such model")

    said = queue.Queue()
    feed = Feed(said.put, lambda _pid: Sample(at=1.0), every=60)
    feed.start()
    feed.run(job_of(Script([]), start=start))
    messages = [said.get(timeout=5)]
    while not isinstance(messages[-1], FeedEnded):
        messages.append(said.get(timeout=5))
    feed.close()
    assert messages[-1].error == "no such model"
    assert isinstance(feed.error, ValueError)


# -------------------------------------------------------------------- readings


def test_memory_words_follow_the_device():
    view = play([Pulse(allocated=1500 * MIB, reserved=2000 * MIB)])
    on_cpu = memory_reading(view)
    assert on_cpu.title == "memory beyond the bare worker"
    assert "resident" in on_cpu.lines[0]
    assert "1.46 GiB" in on_cpu.lines[0]
    assert (on_cpu.ceiling, on_cpu.ceiling_text) == (4096 * MIB, "top: limit")
    on_gpu = memory_reading(
        dataclasses.replace(view, run=dataclasses.replace(view.run, device="cuda:0", budget_bytes=None))
    )
    assert "cuda:0" in on_gpu.title
    assert "allocated" in on_gpu.lines[0]
    assert (on_gpu.ceiling, on_gpu.ceiling_text) == (2048 * MIB, "top: 2.00 GiB")
    assert on_gpu.lines[2].strip() == "no limit set"
    small = play([Pulse(allocated=30 * MIB, reserved=70 * MIB)])
    assert (memory_reading(small).ceiling, memory_reading(small).ceiling_text) == (128 * MIB, "top: 128 MiB")


def test_of_the_card_that_draws_what_others_hold_and_what_it_costs_is_told():
    first = GpuSample(index=0, name="idle", memory_used=100 * MIB, power=20.0, power_limit=300.0)
    second = GpuSample(
        index=1,
        name="busy",
        memory_used=3000 * MIB,
        power=150.0,
        power_limit=200.0,
        temperature=71.0,
        throttle_reasons=("power cap",),
    )
    view = fold(
        play([Pulse(allocated=1500 * MIB, reserved=2000 * MIB)]), Sample(at=200.0, gpus=(first, second))
    )
    on_second = dataclasses.replace(view, run=dataclasses.replace(view.run, device="cuda:1"))
    assert memory_reading(on_second).lines[3].split() == ["others", "1000", "MiB", "on", "the", "card"]
    assert len(memory_reading(view).lines) == 3  # on a CPU nobody holds memory of a card
    heat = heat_reading(on_second)
    assert [line[2:] for line in heat.lines] == ["150 W of 200 W", "71 °C", "held down by power cap"]
    assert (heat.fill[-1], heat.contour[-1]) == (75.0, 71.0)
    assert heat_reading(view).title == "GPU 0 power and heat"
    assert heat_reading(view).contour[-1] is None
    assert heat_reading(fold(view, Sample(at=201.0, gpus=()))) is None


def test_what_is_not_known_is_called_unknown():
    view = fold(View(), JOB.opening(0.0))
    assert memory_reading(view).lines[0].count("unknown") == 2
    view = fold(view, Sample(at=1.0))
    words = " ".join((*cpu_reading(view).lines, *ram_reading(view).lines))
    assert words.count("unknown") == 7
    assert not any(digit in words for digit in "0123456789")


def test_the_gpu_panel_is_absent_without_a_card_and_says_what_is_wrong():
    view = fold(View(), JOB.opening(0.0))
    assert gpu_reading(view) is None
    assert gpu_reading(fold(view, Sample(at=1.0, gpus=()))) is None
    broken = gpu_reading(fold(view, Sample(at=1.0, gpus=None, gpu_error="Driver/library version mismatch")))
    assert broken.lines == ("cannot be read: Driver/library version mismatch",)
    second = dataclasses.replace(CARD, index=1, utilization=None, power=None)
    reading = gpu_reading(fold(view, Sample(at=1.0, gpus=(CARD, second))))
    assert reading.title == "GPU 0 NVIDIA Test 3060"
    assert reading.lines[0].endswith("97 %")
    assert reading.lines[2].strip() == "170 W, 71 °C"
    assert "GPU 1: unknown" in reading.lines[3]
    assert "power unknown" in reading.lines[3]


# ------------------------------------------------------------- plots and words


def test_a_plot_has_its_newest_reading_at_the_right():
    assert plot([1.0] * 4, (), 4, 1, 1.0) == ("  ⣿⣿",)
    assert plot([0.0, 1.0], (), 1, 1, 1.0) == ("⣸",)
    assert plot([0.5], (), 1, 2, 1.0) == (" ", "⢸")


def test_an_unknown_reading_is_a_gap_and_zero_is_not():
    assert plot([None, None], (), 1, 1, 1.0) == (" ",)
    assert plot([0.0, 0.0], (), 1, 1, 1.0) == ("⣀",)


def test_a_contour_shows_above_the_area_and_within_it():
    assert plot([0.25, 0.25], [1.0, 1.0], 1, 1, 1.0) == ("⣉",)
    assert plot([1.0, 1.0], [0.5, 0.5], 1, 1, 1.0) == ("⣛",)
    assert plot([1.0, 1.0], [1.0, 1.0], 1, 1, 1.0) == ("⣿",)


def test_more_than_the_ceiling_stays_in_the_plot():
    assert plot([9.0, 9.0], (), 1, 1, 1.0) == ("⣿",)


def test_bars_of_cores():
    assert bars([0.0, 50.0, 100.0, None], 10) == "▁▅█?"
    assert bars([0.0] * 10, 4) == "▁▁▁…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3725, "1 h 02 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_clock_and_pace():
    assert [clock(7.9), clock(3723)] == ["0:07", "1:02:03"]
    assert pace(0.5) == "2.00 it/s (0.50 s/step)"
    assert pace(0.004) == "250.00 it/s (4.0 ms/step)"
    assert pace(0.0) == "0.0 ms/step"


def test_control_characters_do_not_reach_the_terminal():
    assert printable("a\x1b[31mb\nc\u202ed") == "a [31mb c d"
