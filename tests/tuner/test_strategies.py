"""Strategies against a simulated machine: the answer is exact, few runs are needed, and any prefix can be resumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import CPU, Machine, goal

from doctor.sizes import GIB, MIB
from doctor.trace import Outcome
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy import fastest, largest
from tuner.strategy.largest import LimitKind
from tuner.study import Study, conclude, next_probe


def true_edge(machine: Machine, settings_: Settings, step: int = 64, top: int = 4096) -> int:
    fits = [
        side
        for side in range(step, top + 1, step)
        if machine.peak(Probe(purpose=Purpose.LARGEST, settings=settings_, width=side, height=side, steps=2))
        <= machine.budget
    ]
    return max(fits, default=0)


def test_study_finds_the_fastest_settings_and_every_edge():
    machine = Machine(seconds_per_megapixel=0.2)
    result = Study(goal=goal(), runner=machine).run()
    assert result.best is not None
    assert result.best.settings == Settings(precision="bf16", memory_format="channels_last")
    assert result.speedup == pytest.approx(result.baseline.seconds_per_image / result.best.seconds_per_image)
    assert result.complete
    assert [item.rung.name for item in result.ladder] == ["fastest", "tiled decode"]
    for item in result.ladder:
        assert item.edge.works.width == true_edge(machine, item.rung.settings)
        assert item.edge.fails.width == item.edge.works.width + 64
        assert item.edge.limit is LimitKind.MEMORY
    assert result.largest.rung.name == "tiled decode"


def test_a_straight_memory_law_needs_few_runs_per_edge():
    machine = Machine(seconds_per_megapixel=0.2)
    result = Study(goal=goal(), runner=machine).run()
    for item in result.ladder:
        runs = [
            trial
            for trial in result.trials
            if trial.purpose is Purpose.LARGEST and trial.settings == item.rung.settings
        ]
        # One to draw the line, one on either side of the edge, and one more where the line starts from nothing.
        assert len(runs) <= 4, [(trial.width, trial.outcome) for trial in runs]


@settings(max_examples=150)
@given(
    weights=st.floats(0, 900 * MIB),
    per_pixel=st.floats(20, 5000),
    growth=st.floats(0.85, 1.25),
    start=st.integers(1, 40).map(lambda n: n * 64),
    step=st.sampled_from([8, 64, 128]),
)
def test_the_edge_is_exact_whatever_the_memory_law(weights, per_pixel, growth, start, step):
    machine = Machine(weights=weights, per_pixel=per_pixel, growth=growth, seconds_per_megapixel=0.01)
    setting = Settings(precision="fp32")
    bounds = goal(step=step, width=256, height=256, run_limit=1e9)
    trials: list[Trial] = []
    while (probe := largest.next_probe(bounds, setting, trials, start)) is not None:
        trials.append(machine.run(probe))
        assert len(trials) < 60
    truth = true_edge(machine, setting, step)
    found = largest.edge(bounds, setting, trials)
    if truth == 0:
        assert found is None
        return
    assert found.works.width == truth
    if truth + step > bounds.max_size:
        assert found.limit is LimitKind.MAX_SIZE
        assert found.fails is None
    else:
        assert found.limit is LimitKind.MEMORY
        assert (found.fails.width, found.fails.outcome) == (truth + step, Outcome.OUT_OF_MEMORY)
    # Bisection of the whole range needs log2(4096 / step) runs; no law may cost more than three times that.
    assert len(trials) <= 3 * math.log2(4096 / step)


def test_a_slow_machine_is_not_driven_to_the_memory_edge():
    machine = Machine(seconds_per_megapixel=60.0, per_pixel=1.0)
    result = Study(goal=goal(run_limit=120.0, steps=1), runner=machine).run()
    edge = result.largest.edge
    assert edge.limit is LimitKind.TIME
    # Two steps at this side take at most the limit, and the next size up would take longer than it.
    assert machine.seconds_per_step(_probe(edge.works)) * 2 <= 120.0
    assert all(trial.outcome is not Outcome.TOO_SLOW for trial in result.trials)


def _probe(trial: Trial) -> Probe:
    return Probe(
        purpose=trial.purpose,
        settings=trial.settings,
        width=trial.width,
        height=trial.height,
        steps=trial.steps,
    )


def test_noise_does_not_make_a_winner():
    class Noisy(Machine):
        def seconds_per_step(self, probe):
            plain = replace(probe, settings=probe.settings.but(memory_format="contiguous"))
            faster = 0.98 if probe.settings.memory_format == "channels_last" else 1.0
            return super().seconds_per_step(plain) * faster

    result = Study(goal=goal(), runner=Noisy()).run()
    assert result.best.settings.memory_format == "contiguous"


def test_a_disturbance_while_the_default_is_measured_gives_no_false_speedup():
    class DisturbedAtFirst(Machine):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (5.0 if self.runs == 1 else 1.0)

    calm = Study(goal=goal(), runner=Machine()).run()
    disturbed = Study(goal=goal(), runner=DisturbedAtFirst()).run()
    assert disturbed.trials[0].seconds_per_image > 3 * calm.trials[0].seconds_per_image
    assert disturbed.speedup == pytest.approx(calm.speedup)
    assert disturbed.best.settings == calm.best.settings


@dataclass
class Told(Machine):
    """A machine that says what its pipeline became and how long each run waited for the processor."""

    disturbed: frozenset[int] = frozenset()
    """Numbers of the runs during which another program had three quarters of the processor."""

    def run(self, probe):
        trial = super().run(replace(probe, limit_seconds=None))
        in_force = probe.settings.but(threads=probe.settings.threads or 4)
        trial = replace(trial, setup={"settings": in_force.text()}, cpu_wait=0.0)
        if trial.finished and self.runs in self.disturbed:
            trial = replace(trial, seconds_per_image=trial.seconds_per_image * 4, cpu_wait=0.75)
        limits = [limit for limit in (probe.beaten_seconds, probe.limit_seconds) if limit is not None]
        if trial.finished and limits and trial.seconds_per_image > min(limits):
            too_slow = {"outcome": Outcome.TOO_SLOW, "seconds_per_image": None, "seconds_per_step": None}
            trial = replace(trial, **too_slow)
        return trial


@pytest.mark.parametrize("pace", [0.2, 200.0])
@pytest.mark.parametrize("run", range(1, 12))
def test_whichever_run_is_disturbed_the_winner_is_the_same(run, pace):
    """Also where the disturbed run was so slow that it was broken off."""
    bounds = goal(run_limit=1e9, max_size=256)
    calm = Study(goal=bounds, runner=Told(seconds_per_megapixel=pace)).run()
    found = Study(goal=bounds, runner=Told(seconds_per_megapixel=pace, disturbed=frozenset({run}))).run()
    assert (
        found.best.settings == calm.best.settings == Settings(precision="bf16", memory_format="channels_last")
    )
    assert found.best.seconds_per_image == pytest.approx(calm.best.seconds_per_image)


def test_settings_that_change_nothing_do_not_win_by_luck():
    """Four threads are what this machine computes with anyway; here each of their runs is lucky."""

    class Lucky(Told):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (0.5 if probe.settings.threads == 4 else 1.0)

    bounds = goal(target=replace(CPU, default_threads=8))
    result = Study(goal=bounds, runner=Lucky()).run()
    assert any(trial.settings.threads == 4 for trial in result.trials)
    assert result.best.settings.threads is None


def test_a_knob_that_said_that_it_changes_nothing_does_not_win():
    """As OpenVINO does where it cannot convert the denoiser, which is known only once it ran."""

    class Lucky(Machine):
        def run(self, probe):
            trial = super().run(probe)
            if probe.settings.memory_format != "channels_last":
                return trial
            remark = "memory_format=channels_last changes nothing for the denoiser, which PyTorch computes: no room"
            return replace(trial, remarks=(remark,), seconds_per_image=trial.seconds_per_image / 2)

    result = Study(goal=goal(max_size=256), runner=Lucky()).run()
    assert result.best.settings.memory_format == "contiguous"


def test_what_helps_only_under_a_compiler_is_found_with_it():
    """A machine on which channels_last gains nothing in PyTorch, and a fifth beside OpenVINO."""

    class Interplay(Machine):
        def seconds_per_step(self, probe):
            plain = replace(probe, settings=probe.settings.but(memory_format="contiguous"))
            factor = 0.6 if probe.settings.compile == "openvino" else 1.0
            if probe.settings.compile == "openvino" and probe.settings.memory_format == "channels_last":
                factor *= 0.8
            return super().seconds_per_step(plain) * factor

    bounds = goal(target=replace(CPU, packages=("openvino",)), max_size=256)
    result = Study(goal=bounds, runner=Interplay(seconds_per_megapixel=20.0)).run()
    assert result.best.settings == Settings(
        precision="bf16", memory_format="channels_last", compile="openvino"
    )


def test_a_close_win_is_measured_again_before_it_counts():
    class Unlucky(Machine):
        """What was measured first had bad luck, undisturbed as far as anybody can tell; the format changes nothing."""

        def seconds_per_step(self, probe):
            plain = replace(probe, settings=probe.settings.but(memory_format="contiguous"))
            first = probe.settings.memory_format == "contiguous" and probe.purpose is Purpose.FASTEST
            return super().seconds_per_step(plain) * (1.07 if first else 1.0)

    result = Study(goal=goal(max_size=256), runner=Unlucky(seconds_per_megapixel=20.0)).run()
    assert any(trial.purpose is Purpose.AGAIN for trial in result.trials)
    assert result.best.settings.memory_format == "contiguous"


def test_a_candidate_that_is_hopelessly_slow_is_broken_off():
    """As bf16 is on a processor that does not multiply it: half an hour a picture."""

    class SixteenBitsAreSlow(Told):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (450.0 if probe.settings.precision == "bf16" else 1.0)

    result = Study(goal=goal(max_size=256), runner=SixteenBitsAreSlow(seconds_per_megapixel=10.0)).run()
    first = next(trial for trial in result.trials if trial.settings.precision == "bf16")
    assert first.outcome is Outcome.TOO_SLOW
    assert result.best.settings.precision == "fp32"
    assert sum(trial.settings.precision == "bf16" for trial in result.trials) == 1


def test_a_lossy_setting_is_measured_but_does_not_win():
    class TilingIsFaster(Machine):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (0.5 if probe.settings.vae_tiling == "on" else 1.0)

    result = Study(goal=goal(), runner=TilingIsFaster()).run()
    measured = [trial for trial in result.trials if trial.purpose is Purpose.FASTEST]
    assert min(measured, key=lambda trial: trial.seconds_per_image).settings.vae_tiling == "on"
    assert result.best.settings.vae_tiling == "off"


def test_a_batch_brings_vae_slicing_into_the_comparison():
    settings_tried = [trial.settings for trial in Study(goal=goal(batch=4), runner=Machine()).run().trials]
    assert any(tried.vae_slicing == "on" for tried in settings_tried)


def test_what_does_not_fit_as_it_is_steps_down_to_what_does():
    machine = Machine(per_pixel=40000.0, tiled_per_pixel=100.0, seconds_per_megapixel=0.2)
    result = Study(goal=goal(), runner=machine).run()
    assert result.baseline.outcome is Outcome.OUT_OF_MEMORY
    assert result.speedup is None
    assert result.best.settings.vae_tiling == "on"


def test_nothing_fits():
    machine = Machine(weights=4 * GIB)
    result = Study(goal=goal(), runner=machine).run()
    assert result.best is None
    assert result.largest is None
    assert all(trial.outcome is Outcome.OUT_OF_MEMORY for trial in result.trials)


def test_every_prefix_of_the_trials_leads_to_the_same_end():
    bounds = goal()
    whole = Study(goal=bounds, runner=Machine(seconds_per_megapixel=0.2)).run()
    for length in range(len(whole.trials)):
        resumed = Study(
            goal=bounds, runner=Machine(seconds_per_megapixel=0.2), trials=list(whole.trials[:length])
        ).run()
        assert resumed.trials == whole.trials


def test_an_unfinished_study_says_so():
    bounds = goal()
    whole = Study(goal=bounds, runner=Machine(seconds_per_megapixel=0.2)).run()
    assert not conclude(bounds, whole.trials[:-1]).complete
    assert next_probe(bounds, whole.trials) is None


def test_best_of_no_trials_is_nothing():
    assert fastest.best(goal(), []) is None
    assert largest.edge(goal(), Settings(), []) is None
