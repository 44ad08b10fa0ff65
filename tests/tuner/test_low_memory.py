"""``tune --low-memory``: only frugal settings are compared, and the ladder begins among them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from command import sdoctor
from simulated import CPU, Machine, goal

from doctor.sizes import GIB
from doctor.trace import Outcome
from tuner.knobs import default_settings, low_memory_settings
from tuner.probe import Purpose, Trial
from tuner.settings import Settings
from tuner.strategy.ladder import rungs
from tuner.study import Study
from tuner.target import Target

CARD = Target(
    device="cuda:0",
    name="card",
    memory_total=4 * GIB,
    memory_free=4 * GIB,
    capability=(8, 6),
    fast_bf16=True,
    cores=4,
    default_threads=4,
    packages=("accelerate",),
)


SHARE = {"none": 1.0, "model": 0.6, "group": 0.2, "group-no-stream": 0.2, "sequential": 0.1}
DELAY = {"none": 1.0, "model": 1.3, "group": 1.8, "group-no-stream": 3.0, "sequential": 6.0}


class Card(Machine):
    """What is offloaded leaves the card, and costs time."""

    def peak(self, probe):
        whole = super().peak(probe)
        weights = self.weights * (0.5 if probe.settings.precision != "fp32" else 1.0)
        return whole - weights * (1 - SHARE[probe.settings.offload])

    def seconds_per_step(self, probe):
        return super().seconds_per_step(probe) * DELAY[probe.settings.offload]


def low_memory_study(machine, target=CARD, **changes):
    first = low_memory_settings(default_settings(target), target)
    bounds = goal(target=target, first_guess=first, low_memory=True, budget=int(machine.budget), **changes)
    return Study(goal=bounds, runner=machine).run()


def test_on_a_card_the_quickest_way_of_offloading_wins_and_what_stays_on_it_never():
    # Everything fits: without the option, nothing would be offloaded.
    result = low_memory_study(Card(seconds_per_megapixel=0.2))
    assert result.best.settings.offload == "model"
    assert (result.best.settings.vae_tiling, result.best.settings.vae_slicing) == ("on", "on")
    assert {trial.settings.offload for trial in result.trials if trial.purpose is not Purpose.BASELINE} == {
        "model", "group", "group-no-stream", "sequential"
    }  # fmt: skip
    # The baseline stays what it is everywhere: diffusers' default. The answer is slower, and says by how much.
    assert result.baseline.settings == Settings()
    assert result.speedup == pytest.approx(result.baseline.seconds_per_image / result.best.seconds_per_image)


def test_a_model_that_does_not_fit_a_card_runs():
    machine = Card(weights=10 * GIB, per_pixel=100.0, seconds_per_megapixel=0.2, budget=2 * GIB)
    result = low_memory_study(machine)
    assert result.baseline.outcome is Outcome.OUT_OF_MEMORY
    assert result.best.settings.offload == "group"
    assert result.speedup is None
    assert [item.rung.name for item in result.ladder] == ["fastest", "low memory"]
    for item in result.ladder:
        assert item.edge.fails.outcome is Outcome.OUT_OF_MEMORY or item.edge.fails is None
    # Sequential reaches at least as far as the quicker rung.
    sides = [item.edge.works.width for item in result.ladder]
    assert sides == sorted(sides)


def test_without_a_card_the_picture_is_decoded_in_tiles():
    machine = Machine(seconds_per_megapixel=0.2)
    plain = Study(goal=goal(), runner=Machine(seconds_per_megapixel=0.2)).run()
    result = low_memory_study(machine, target=CPU)
    compared = [trial for trial in result.trials if trial.purpose is not Purpose.BASELINE]
    assert all(trial.settings.vae_tiling == "on" for trial in compared)
    assert [item.rung.name for item in result.ladder] == ["fastest"]
    assert result.largest.edge.works.width == plain.largest.edge.works.width
    assert len(result.trials) < len(plain.trials)


def test_a_default_that_runs_does_not_win_where_the_frugal_settings_fail():
    class Broken(Card):
        def run(self, probe):
            trial = super().run(probe)
            if probe.settings.offload == "none":
                return trial
            return replace(_failed(trial), message="the driver")

    result = low_memory_study(Broken(seconds_per_megapixel=0.2))
    assert result.baseline.outcome is Outcome.FINISHED
    assert result.best is None


def _failed(trial: Trial) -> Trial:
    return replace(
        trial, outcome=Outcome.CRASHED, seconds_per_image=None, seconds_per_step=None, peak_bytes=None
    )


def test_the_command_warns_before_it_does_anything_else(tmp_path):
    done = sdoctor("tune", "--low-memory", "--memory", "5MiB", home=tmp_path)
    assert done.returncode == 1
    assert "slower, but larger pictures run." in done.stderr.splitlines()[0]


def test_the_ladder_never_climbs():
    grouped = Settings(precision="fp16", offload="group")
    assert [rung.settings.offload for rung in rungs(grouped, CARD)] == ["group", "group", "sequential"]
    assert [rung.name for rung in rungs(grouped, CARD)] == ["fastest", "tiled decode", "low memory"]
