"""A generation that runs out of memory goes one rung down and finishes: in the stream, in lines, on the screen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command import sdoctor
from fake_jobs import Script as Played
from fake_jobs import beginning, ending, job_of, paint, running_out_of_memory, sampler, step

from doctor.incidents import read_incidents
from doctor.trace import Outcome, Phase
from tui.app import GenerateApp
from tuner.events import Failed, Finished, Load
from tuner.generation import Generation, Wish
from tuner.runner import Worker
from tuner.settings import Settings
from tuner.stepping import LadderStep, Step

TESTS = Path(__file__).parents[1]
FAST, TILED = Settings(precision="bf16"), Settings(precision="bf16", vae_tiling="on")
LAST = TILED.but(attention="sliced")
LADDER = (
    Step(name="tiled decode", settings=TILED, proven=True),
    Step(name="low memory", settings=LAST, proven=False),
)


def generation(monkeypatch, *acts: str, ladder=LADDER, **options) -> Generation:
    """Worker number n does what ``acts`` says at n."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
    to_do = iter(acts)

    def start() -> Worker:
        monkeypatch.setenv("FAKE_WORKER", next(to_do))
        return Worker(("fake_worker",))

    load = Load(model="m", settings=FAST, device="cpu")
    return Generation(
        load,
        Wish(prompt="x", width=64, height=64, steps=2),
        lambda _request: (),
        most_steps=4,
        ladder=ladder,
        start_worker=start,
        **options,
    )


def test_the_first_rung_that_fits_finishes_the_picture(monkeypatch):
    told = []
    here = generation(monkeypatch, "out_of_memory", "out_of_memory", "finish", on_setback=told.append)
    events = list(here.events())
    assert isinstance(events[-1], Finished)
    steps = [event for event in events if isinstance(event, LadderStep)]
    assert [step.reason for step in steps] == ["out of memory in decode"] * 2
    assert steps[1].settings_text.endswith("(rung 'low memory', not proven by tune here)")
    assert here.settings == LAST
    assert [(one.settings, one.step.settings) for one in told] == [(FAST, TILED), (TILED, LAST)]
    assert told == here.setbacks


def test_where_the_ladder_ends_the_failure_stays(monkeypatch):
    here = generation(monkeypatch, "out_of_memory", "out_of_memory", "out_of_memory")
    events = list(here.events())
    assert isinstance(events[-1], Failed)
    assert events[-1].outcome is Outcome.OUT_OF_MEMORY
    assert [one.step for one in here.setbacks] == [*LADDER, None]


@pytest.mark.parametrize("act", ["segfault", "half_a_line"])
def test_what_is_not_memory_is_not_tried_again(monkeypatch, act):
    here = generation(monkeypatch, act, "finish")
    events = list(here.events())
    assert events[-1].outcome is Outcome.CRASHED
    assert "No module" not in events[-1].message
    assert here.setbacks == []
    assert not any(isinstance(event, LadderStep) for event in events)


def test_a_worker_that_dies_of_memory_steps_down_too(monkeypatch):
    here = generation(monkeypatch, "abort_without_memory", "finish")
    assert isinstance(list(here.events())[-1], Finished)
    assert here.settings == TILED


def test_stopped_between_two_rungs_nothing_more_is_tried(monkeypatch):
    here = generation(monkeypatch, "out_of_memory", "finish")
    seen = []
    for event in here.events():
        seen.append(event)
        if isinstance(event, LadderStep):
            here.interrupt()
    assert seen[-1].outcome is Outcome.INTERRUPTED
    assert not any(isinstance(event, Finished) for event in seen)


def test_in_lines_the_picture_is_finished_told_and_recorded(tmp_path, monkeypatch):
    """512x512 of builtin:tiny in fp32 is decoded in less than 150 MiB in tiles; otherwise 167 MiB are resident alone."""
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    done = sdoctor(
        "generate", "x", "--plain", "--no-profile", "--precision", "fp32", "--steps", "1", "--size", "512",
        "--seed", "1", "--memory", "150MiB", "--json", home=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (setback,) = document["stepped_down"]
    assert (setback["outcome"], setback["next_rung"], setback["next_proven"]) == (
        "out_of_memory", "tiled decode", False
    )  # fmt: skip
    assert document["settings"]["vae_tiling"] == document["setup"]["vae_tiling"] == "on"
    assert len(list(tmp_path.glob("*.png"))) == 1
    (incident,) = read_incidents()
    assert (incident.source, incident.width, incident.budget_bytes) == ("generate", 512, 150 * 2**20)
    assert incident.phase == setback["phase"]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_on_the_screen_the_second_attempt_replaces_the_first(tmp_path, size):
    picture = paint(tmp_path / "picture.png")
    script = [
        *running_out_of_memory(),
        LadderStep(settings_text="bf16, VAE tiling (rung 'tiled decode')", reason="out of memory in decode"),
        *beginning(),
        *[event for index in range(1, 9) for event in step(index, 8)],
        *ending([picture]),
    ]
    app = GenerateApp(job_of(Played(script)), read=sampler(), every=0.05)
    async with app.run_test(size=size) as pilot:
        for _ in range(200):
            await pilot.pause(0.05)
            if app.view.outcome is Outcome.FINISHED:
                break
        await pilot.pause(0.4)
        view = app.view
        assert view.outcome is Outcome.FINISHED
        assert view.settings_text == "bf16, VAE tiling (rung 'tiled decode')"
        # Of the attempt that failed nothing is left but its line in the log.
        assert view.failed_in is None
        assert [record.phase for record in view.phases].count(Phase.DECODE) == 1
        assert any("trying again with bf16, VAE tiling" in line.text for line in view.log)
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "finished" in text
        if size[0] >= 120:
            assert "VAE tiling" in text
