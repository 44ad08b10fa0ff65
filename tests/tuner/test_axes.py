"""Axes, forecasts and objectives against a simulated machine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import Machine, goal

from doctor.errors import UsageError
from doctor.sizes import GIB, MIB
from doctor.trace import Outcome
from tuner.probe import Probe, Purpose, Trial
from tuner.settings import Settings
from tuner.strategy import largest
from tuner.strategy.axis import SHAPES, Axis, BatchAxis, Extent, parse_shape, shape_axis
from tuner.strategy.goal import Objective
from tuner.strategy.largest import LimitKind, bisection_runs
from tuner.study import Study, next_probe

SHAPE = st.sampled_from([parse_shape(text) for text in SHAPES])


@given(SHAPE, st.sampled_from([8, 16, 64]), st.integers(4, 60))
def test_a_position_is_found_again_from_what_was_made_there(shape, step, count) -> None:
    axis = shape_axis(shape, step, 4096, 2)
    assert axis.position(axis.at(count * step)) == count * step
    extent = axis.at(count * step)
    assert extent.width % step == extent.height % step == 0
    assert axis.position(Extent(extent.width, extent.height, 1)) is None


@given(SHAPE, st.sampled_from([8, 64]))
def test_a_larger_position_is_a_larger_picture_within_the_longest_side(shape, step) -> None:
    axis = shape_axis(shape, step, 4096, 1)
    pixels = [axis.at(position).pixels for position in range(step, axis.top + 1, step)]
    assert pixels == sorted(set(pixels))
    last = axis.at(axis.top)
    assert max(last.width, last.height) <= 4096


def test_the_shape_is_kept_as_well_as_multiples_allow() -> None:
    extent = shape_axis((16, 9), 64, 4096, 1).at(1024)
    assert (extent.width, extent.height) == (1344, 768)


@pytest.mark.parametrize("text", ["16", "16:0", "a:b", "0:1", "-1:1", "9:1", "", "1:1:1"])
def test_what_is_no_shape_is_refused_in_one_sentence(text) -> None:
    with pytest.raises(UsageError, match=r"^'.*' is .*\.$"):
        parse_shape(text)


@pytest.mark.parametrize(("text", "shape"), [("16:9", (16, 9)), ("1024x512", (2, 1)), (" 4/3 ", (4, 3))])
def test_shapes_are_read_in_the_ways_people_write_them(text, shape) -> None:
    assert parse_shape(text) == shape


def _search(machine: Machine, axis: Axis, bounds, forecast) -> list[Trial]:
    trials: list[Trial] = []
    while (probe := largest.next_probe(bounds, Settings(), trials, axis.step, axis, forecast)) is not None:
        trials.append(machine.run(probe))
        assert len(trials) < 60
    return trials


def _truth(machine: Machine, axis: Axis) -> int:
    fits = [
        position
        for position in range(axis.step, axis.top + 1, axis.step)
        if machine.peak(_probe(axis.at(position))) <= machine.budget
    ]
    return max(fits, default=0)


def _probe(extent: Extent) -> Probe:
    return Probe(
        purpose=Purpose.LARGEST,
        settings=Settings(),
        width=extent.width,
        height=extent.height,
        batch=extent.batch,
        steps=2,
    )


AXES = st.one_of(
    SHAPE.map(lambda shape: shape_axis(shape, 64, 4096, 1)),
    st.just(BatchAxis(width=256, height=256, top=64)),
)


@settings(max_examples=150)
@given(
    axis=AXES,
    weights=st.floats(0, 900 * MIB),
    per_pixel=st.floats(20, 5000),
    growth=st.floats(0.85, 1.25),
    factor=st.floats(0.2, 5.0),
    offset=st.floats(-500 * MIB, 500 * MIB),
)
def test_a_wrong_forecast_costs_runs_and_never_the_answer(
    axis, weights, per_pixel, growth, factor, offset
) -> None:
    machine = Machine(weights=weights, per_pixel=per_pixel, growth=growth, seconds_per_megapixel=0.01)

    def forecast(*asked) -> int:
        return max(0, int(machine.forecast(*asked) * factor + offset))

    bounds = goal(run_limit=1e9)
    trials = _search(machine, axis, bounds, forecast)
    truth = _truth(machine, axis)
    found = largest.edge(bounds, Settings(), trials, axis, forecast)
    if truth == 0:
        assert found is None
        return
    assert found is not None
    assert axis.position(Extent(found.works.width, found.works.height, found.works.batch)) == truth
    if truth + axis.step > axis.top:
        assert found.limit is LimitKind.MAX_SIZE
    else:
        assert found.limit is LimitKind.MEMORY
        assert found.fails is not None
        assert found.fails.outcome is Outcome.OUT_OF_MEMORY
        above = Extent(found.fails.width, found.fails.height, found.fails.batch)
        assert axis.position(above) == truth + axis.step


@settings(max_examples=60)
@given(axis=AXES, weights=st.floats(0, 500 * MIB), per_pixel=st.floats(100, 2000), off=st.floats(0.97, 1.03))
def test_a_good_forecast_needs_at_most_three_runs(axis, weights, per_pixel, off) -> None:
    machine = Machine(weights=weights, per_pixel=per_pixel, seconds_per_megapixel=0.01)
    bounds = goal(run_limit=1e9)

    def forecast(*asked) -> int:
        return int(machine.forecast(*asked) * off)

    # A study always has a run at the goal's size first; its excess over the forecast sets the level.
    first = machine.run(_probe(Extent(256, 256, 1)))
    trials = [first]
    while (probe := largest.next_probe(bounds, Settings(), trials, 64, axis, forecast)) is not None:
        trials.append(machine.run(probe))
    # An edge a few steps of the axis away from what 3 % are worth costs a run or two more.
    steps_off = _truth(machine, axis) * 0.03 / axis.step
    assert len(trials) - 1 <= 3 + 2 * steps_off


def test_bisection_is_counted_as_it_would_run() -> None:
    axis = shape_axis((1, 1), 64, 4096, 1)
    assert bisection_runs(axis, 17) in (6, 7)
    assert bisection_runs(BatchAxis(width=8, height=8, top=1), 1) == 1


def test_every_axis_of_the_goal_gets_its_edge() -> None:
    machine = Machine(seconds_per_megapixel=0.01)
    bounds = goal(shapes=((1, 1), (16, 9), (9, 16)), most_pictures=32, run_limit=1e9)
    result = Study(goal=bounds, runner=machine, forecast=machine.forecast).run()
    assert result.complete
    assert [item.axis for item in result.ladder] == ["1:1", "1:1"]
    fastest = [item for item in result.others if item.rung.name == "fastest"]
    assert [item.axis for item in fastest] == ["16:9", "9:16", "batch"]
    wide, tall, batch = fastest
    assert wide.edge is not None
    assert tall.edge is not None
    assert batch.edge is not None
    assert (wide.edge.works.width, wide.edge.works.height) == (tall.edge.works.height, tall.edge.works.width)
    assert (batch.edge.works.width, batch.edge.works.height) == (256, 256)
    assert batch.edge.works.batch > 1


def test_what_cannot_fit_is_not_run_but_listed() -> None:
    machine = Machine(per_pixel=20_000.0, budget=GIB)
    result = Study(goal=goal(), runner=machine, forecast=machine.forecast).run()
    run = {trial.settings for trial in result.trials if trial.purpose is not Purpose.LARGEST}
    assert Settings() not in run
    assert [item.settings for item in result.skipped] == [Settings()]
    assert result.skipped[0].predicted_peak_bytes > GIB
    assert result.best is not None
    assert result.best.settings.precision == "bf16"


def test_a_forecast_that_is_far_too_high_does_not_stop_the_study() -> None:
    machine = Machine(seconds_per_megapixel=0.2)
    result = Study(goal=goal(), runner=machine, forecast=lambda *_: 100 * GIB).run()
    assert result.best is not None
    assert result.best.finished


def test_the_least_memory_wins_where_memory_is_the_goal() -> None:
    class SmallAndSlow(Machine):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (9 if probe.settings.precision == "bf16" else 1)

    bounds = goal(objective=Objective.MEMORY)
    result = Study(goal=bounds, runner=SmallAndSlow()).run()
    assert result.best is not None
    assert result.best.settings.precision == "bf16"
    assert result.ladder == ()
    assert all(trial.purpose is not Purpose.LARGEST for trial in result.trials)


def test_where_size_is_the_goal_no_run_is_spent_on_speed() -> None:
    bounds = goal(objective=Objective.SIZE)
    machine = Machine(seconds_per_megapixel=0.2)
    result = Study(goal=bounds, runner=machine).run()
    compared = {trial.settings for trial in result.trials if trial.purpose is not Purpose.LARGEST}
    assert compared == {bounds.baseline, bounds.first_guess}
    assert result.largest is not None
    assert result.largest.rung.name == "tiled decode"


def test_lossy_settings_win_when_asked_for() -> None:
    class TilingIsFaster(Machine):
        def seconds_per_step(self, probe):
            return super().seconds_per_step(probe) * (0.5 if probe.settings.vae_tiling == "on" else 1.0)

    result = Study(goal=goal(lossy=True), runner=TilingIsFaster()).run()
    assert result.best is not None
    assert result.best.settings.vae_tiling == "on"
    assert next_probe(result.goal, result.trials) is None


def test_a_shape_is_called_as_people_call_it() -> None:
    assert [shape_axis(parse_shape(text), 64, 4096, 1).name for text in SHAPES] == list(SHAPES)
    assert shape_axis(parse_shape("32:18"), 64, 4096, 1).name == "16:9"
    assert shape_axis(parse_shape("5:4"), 64, 4096, 1).name == "5:4"
