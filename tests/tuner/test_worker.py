"""The real worker with the real pipeline builtin:tiny: memory that runs out, phases, setups, pictures."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from doctor.sizes import MIB
from doctor.trace import Outcome, Phase
from tuner.events import Generate, Load, Loaded, Stepped
from tuner.generation import Generation, Wish
from tuner.lab import Bench, Lab
from tuner.probe import Probe, Purpose, TraceFold
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings

BUDGET = 512 * MIB


def probe(side: int, settings: Settings | None = None, **changes) -> Probe:
    values = {"purpose": Purpose.FASTEST, "width": side, "height": side, "steps": 3, "batch": 1}
    return Probe(settings=settings or Settings(), **(values | changes))


@pytest.fixture(scope="module")
def lab():
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=BUDGET)) as here:
        yield here


def test_a_measured_run_has_every_figure(lab):
    trial = lab.run(probe(128, warm_up=True))
    assert trial.outcome is Outcome.FINISHED
    assert [record.phase for record in trial.phases] == [Phase.ENCODE, Phase.DENOISE, Phase.DECODE]
    assert len(trial.step_seconds) == 3
    assert sum(record.seconds for record in trial.phases) == pytest.approx(
        trial.seconds_per_image, rel=0.2, abs=0.05
    )
    # The weights alone are 20 MiB in fp32, and nothing larger than the budget can have been used.
    assert 20 * MIB < trial.peak_bytes < BUDGET
    assert trial.setup["precision"] == "fp32"
    assert lab.versions["torch"]


def test_memory_really_runs_out_and_the_next_trial_is_untouched(lab):
    trial = lab.run(probe(2048, steps=1))
    assert trial.outcome is Outcome.OUT_OF_MEMORY
    assert trial.failed_in in (Phase.DENOISE, Phase.DECODE)
    assert "allocate memory" in trial.message
    assert lab.run(probe(128)).outcome is Outcome.FINISHED


def test_settings_change_what_really_runs(lab):
    tiled = lab.run(probe(512, Settings(vae_tiling="on", vae_slicing="on"), steps=1))
    plain = lab.run(probe(512, steps=1))
    assert (tiled.setup["vae_tiling"], tiled.setup["vae_slicing"]) == ("on", "on")
    assert (plain.setup["vae_tiling"], plain.setup["vae_slicing"]) == ("off", "off")
    decode = {
        name: next(record.peak_allocated for record in trial.phases if record.phase is Phase.DECODE)
        for name, trial in (("tiled", tiled), ("plain", plain))
    }
    assert decode["tiled"] < 0.8 * decode["plain"]


def test_what_changes_nothing_is_not_run_a_second_time():
    steps = []
    with Lab(
        Bench(model="builtin:tiny", device="cpu", budget=None),
        on_event=lambda event: steps.append(event) if isinstance(event, Stepped) else None,
    ) as here:
        plain = here.run(probe(64))
        assert len(steps) == 3
        cached = here.run(probe(64, Settings(step_cache="first-block")))
        assert len(steps) == 3
        # At another size nothing is known of it.
        assert here.run(probe(96, Settings(step_cache="first-block"))).finished
        assert len(steps) == 6
    assert cached.settings.step_cache == "first-block"
    assert cached.seconds_per_image == plain.seconds_per_image
    nothing, not_run = cached.remarks
    assert nothing.startswith("step_cache=first-block changes nothing")
    assert not_run == "not run: the pipeline is the one of fp32, whose figures these are"


def test_the_setup_is_read_back_from_the_pipeline():
    settings = Settings(precision="bf16", attention="sliced", memory_format="channels_last", threads=1)
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=None)) as here:
        loaded = here.load(settings)
        assert isinstance(loaded, Loaded)
        fresh = here.load(Settings())
    assert loaded.setup["precision"] == "bf16"
    assert loaded.setup["attention"] == "SlicedAttnProcessor"
    assert loaded.setup["memory_format"] == "channels_last"
    assert loaded.setup["threads"] == "1"
    # diffusers' default is the fused attention, and nothing of ours may take it away.
    assert fresh.setup["attention"] == "AttnProcessor2_0"
    assert fresh.setup["memory_format"] == "contiguous"


def test_pictures_say_how_they_were_made_and_a_seed_repeats_them(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png", "d.png")]
    made = Generation(
        Load(model="builtin:tiny", settings=Settings(), device="cpu"),
        Wish(prompt="a red circle", width=64, height=96, steps=2, seed=5, batch=2, negative_prompt="blue"),
        lambda request: tuple(paths[:2]),
        most_steps=30,
    )
    fold = TraceFold()
    for event in made.events():
        fold.add(event)
    assert fold.trace.images == tuple(paths[:2])
    again = Worker()
    try:
        list(again.run(Load(model="builtin:tiny", settings=Settings(), device="cpu"), Limits()))
        for seed, path in ((5, paths[2]), (6, paths[3])):
            request = Request(
                prompt="a red circle", width=64, height=96, steps=2, seed=seed, negative_prompt="blue"
            )
            list(again.run(Generate(request=request, outputs=(path,)), Limits()))
    finally:
        again.close()
    pictures = [Image.open(path) for path in paths]
    assert pictures[0].size == (64, 96)
    record = json.loads(pictures[1].text["sdoctor"])
    assert (record["prompt"], record["seed"], record["steps"]) == ("a red circle", 6, 2)
    assert record["settings"]["precision"] == "fp32"
    assert record["setup"]["attention"] == "AttnProcessor2_0"
    assert set(record["phases"]) == {"load", "encode", "denoise", "decode"} - {"load"}
    assert pictures[0].text["parameters"].startswith("a red circle\n")
    # One at a time, another batch shape, another process: the same picture up to rounding.
    for mine, other in ((pictures[0], pictures[2]), (pictures[1], pictures[3])):
        differences = [abs(a - b) for a, b in zip(mine.tobytes(), other.tobytes(), strict=True)]
        assert max(differences) <= 2
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_a_budget_smaller_than_the_weights_is_out_of_memory_while_loading():
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=8 * MIB)) as here:
        trial = here.run(probe(128))
    assert (trial.outcome, trial.failed_in) == (Outcome.OUT_OF_MEMORY, Phase.LOAD)
