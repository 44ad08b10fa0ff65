"""The table that a study ends with: verdict first, every figure labelled, nothing left to guess."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from simulated import CPU, Machine, goal

from doctor.sizes import GIB
from tui.render_tune import as_document, as_table
from tuner.fingerprint import Fingerprint
from tuner.probe import Purpose
from tuner.settings import Settings
from tuner.strategy.fastest import probe_at
from tuner.study import Study, conclude

HERE = Fingerprint(device="cpu")


def test_the_verdict_stands_first_and_names_both_sides_of_each_edge():
    result = Study(goal=goal(), runner=Machine(seconds_per_megapixel=0.2)).run()
    lines = as_table(result, "builtin:tiny", CPU, Path("/p.json")).splitlines()
    assert lines[0] == "builtin:tiny on test, 1.00 GiB to use"
    assert lines[2] == f"Fastest: bf16, channels_last - {result.speedup:.2f} times diffusers' default (fp32)"
    edge = result.ladder[0].edge
    side, above = edge.works.width, edge.fails.width
    assert (
        lines[3]
        == f"Largest, fastest: {side}x{side} ran, {above}x{above} did not (out of memory in decode). "
        f"Found with {edge.runs} runs; bisection takes {edge.bisection_runs}."
    )
    assert any(line.endswith("<- best") and line.startswith("  bf16, channels_last ") for line in lines)
    assert any(line.endswith("<- default") and line.startswith("  fp32 ") for line in lines)
    assert lines[-1] == "Profile saved: /p.json"


def test_an_unfinished_study_says_so():
    bounds = goal()
    trials = Study(goal=bounds, runner=Machine(seconds_per_megapixel=0.2)).run().trials
    table = as_table(conclude(bounds, trials[:3]), "m", CPU, None)
    assert "stopped before its end" in table
    assert "Profile saved" not in table


def test_a_default_that_does_not_fit_is_told():
    machine = Machine(per_pixel=40000.0, tiled_per_pixel=100.0, seconds_per_megapixel=0.2)
    table = as_table(Study(goal=goal(), runner=machine).run(), "m", CPU, None)
    assert "diffusers' default ended with: out of memory" in table


def test_nothing_worked():
    result = Study(goal=goal(), runner=Machine(weights=4 * GIB)).run()
    assert "No settings worked." in as_table(result, "m", CPU, None)
    document = json.loads(as_document(result, "m", HERE, None, resumed_trials=2))
    assert document["resumed_trials"] == 2
    assert document["best"] is None
    assert document["largest"] is None
    assert document["profile"] is None
    assert document["speedup"] is None
    assert document["trials"]


def test_runs_that_others_disturbed_are_told():
    bounds = goal()
    trials = list(Study(goal=bounds, runner=Machine(seconds_per_megapixel=0.2)).run().trials)
    assert "other programs" not in as_table(conclude(bounds, trials), "m", CPU, None)
    trials[1] = replace(trials[1], cpu_wait=0.2)
    table = as_table(conclude(bounds, trials), "m", CPU, None)
    assert f"in 1 of {len(trials)} runs other programs had the processor" in table


def test_where_the_default_is_the_best_no_ratio_is_told():
    bounds = goal(first_guess=Settings())
    machine = Machine(seconds_per_megapixel=0.2)
    trials = [machine.run(probe_at(bounds, Settings(), Purpose.BASELINE))]
    (first, *_) = as_table(conclude(bounds, trials), "m", CPU, None).splitlines()[2:]
    assert first == "Fastest: fp32, which is diffusers' default"
