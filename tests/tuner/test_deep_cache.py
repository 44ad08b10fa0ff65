"""step_cache=deep-N on real U-Nets: less work, nothing of another picture, the same beside offload and OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mini_pipeline import write_mini

from tuner.knobs import apply_settings, knob, read_setup, refusals
from tuner.knobs.deep_cache import deep_cache_of, go_deep_at_every
from tuner.settings import Settings
from tuner.target import Target
from tuner.worker import openvino
from tuner.worker.assemble import build_pipeline
from tuner.worker.noise import fill

CPU = Target(device="cpu", fast_bf16=True, cores=2, packages=("openvino",))


def mini(folder, name):
    pipe = build_pipeline(
        write_mini(folder / name, name), lambda part, model: fill(model, part, torch.float32)
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.eval()
    return pipe


def draw(pipe, steps=6, seed=0, prompts=1, side=64):
    generators = [torch.Generator().manual_seed(seed + n) for n in range(prompts)]
    with torch.inference_mode():
        images = pipe(
            ["a circle"] * prompts, width=side, height=side, num_inference_steps=steps, generator=generators
        ).images
    return np.asarray(images[-1], dtype=int)


@pytest.fixture(params=["sd15", "sdxl"])
def pipe(request, tmp_path):
    return mini(tmp_path, request.param)


@pytest.fixture
def deep_steps(pipe):
    """One entry for each time that the middle of the U-Net was computed."""
    computed: list[int] = []
    pipe.unet.mid_block.register_forward_hook(lambda *_: computed.append(1))
    return computed


@pytest.mark.parametrize(("value", "deep"), [("none", 7), ("deep-2", 4), ("deep-3", 3)])
def test_only_every_nth_step_goes_deep(pipe, deep_steps, value, deep):
    assert knob("step_cache").apply(pipe, value, "cpu") is None
    assert read_setup(pipe)["step_cache"] == value
    draw(pipe, steps=7)
    # The scheduler of SD 1.5 makes one step more than it is asked for.
    assert len(pipe.scheduler.timesteps) - 7 in (0, 1)
    every = {"none": 1, "deep-2": 2, "deep-3": 3}[value]
    assert len(deep_steps) == -(-len(pipe.scheduler.timesteps) // every) in (deep, deep + 1)


def test_the_outer_layers_say_what_the_whole_says_when_the_depths_say_the_same(pipe):
    go_deep_at_every(pipe, 2)
    cache, seen = deep_cache_of(pipe.unet), []
    whole = cache.whole.forward

    def watched(*args, **kwargs):
        result = whole(*args, **kwargs)
        seen.append((result[0], cache.outer(result[1], *args, **kwargs)))
        return result

    cache.whole.forward = watched
    draw(pipe)
    assert len(seen) >= 3
    for noise, again in seen:
        torch.testing.assert_close(again, noise)


def test_a_picture_takes_nothing_from_the_one_before(pipe, deep_steps):
    alone = draw(pipe, steps=1)
    knob("step_cache").apply(pipe, "deep-3", "cpu")
    first = draw(pipe)
    assert not np.array_equal(draw(pipe, seed=7), first)
    assert np.array_equal(draw(pipe), first)
    # With the same time step as the first of a picture before.
    assert np.array_equal(draw(pipe, steps=1), alone)
    # Another size and another number of pictures, whose features would not even fit.
    draw(pipe, side=96)
    assert np.abs(draw(pipe, prompts=2, seed=-1) - first).max() <= 2


def test_it_changes_the_picture_and_can_be_taken_away(pipe):
    before = draw(pipe)
    methods = dict(vars(pipe.unet)), dict(vars(pipe.scheduler))
    knob("step_cache").apply(pipe, "deep-2", "cpu")
    assert not np.array_equal(draw(pipe), before)
    knob("step_cache").apply(pipe, "deep-3", "cpu")
    assert read_setup(pipe)["step_cache"] == "deep-3"
    knob("step_cache").apply(pipe, "none", "cpu")
    assert read_setup(pipe)["step_cache"] == "none"
    assert vars(pipe.unet).keys() == methods[0].keys()
    assert "set_timesteps" not in vars(pipe.scheduler)
    assert np.array_equal(draw(pipe), before)


def test_every_step_deep_is_the_picture_itself(pipe):
    before = draw(pipe)
    go_deep_at_every(pipe, 1)
    assert np.array_equal(draw(pipe), before)


@pytest.mark.parametrize("offload", ["model", "group-no-stream"])
def test_beside_offload(pipe, offload):
    """The hooks work between a CPU and itself: the same code as on a card, without its gain."""
    apply_settings(pipe, Settings(step_cache="deep-2"), "cpu")
    expected = draw(pipe)
    knob("offload").apply(pipe, offload, "cpu")
    assert (read_setup(pipe)["offload"], read_setup(pipe)["step_cache"]) == (offload, "deep-2")
    assert np.abs(draw(pipe) - expected).max() <= 2


def test_openvino_computes_both_parts(tmp_path):
    pytest.importorskip("openvino")
    pipe = mini(tmp_path, "sdxl")
    apply_settings(pipe, Settings(step_cache="deep-2"), "cpu")
    expected = draw(pipe)
    openvino.install(pipe)
    setup = read_setup(pipe)
    assert (setup["compile"], setup["step_cache"]) == ("openvino", "deep-2")
    assert np.abs(draw(pipe) - expected).max() <= 2
    assert openvino.remarks(pipe) == ()
    programs = {part.name: len(part.programs) for part in openvino.installed(pipe)}
    assert programs["denoiser"] == programs["denoiser's outer layers"] == 1


def test_a_u_net_of_other_layers_says_that_it_changes_nothing(tmp_path):
    pipe = mini(tmp_path, "kandinsky22")
    decoder = getattr(pipe, "decoder_pipe", pipe)
    assert "SD 1.x, SD 2.x and SDXL only" in knob("step_cache").apply(decoder, "deep-2", "cpu")


def test_what_it_does_not_go_with():
    beside = Settings(step_cache="deep-2", compile="inductor-whole")
    assert "use compile=inductor" in "; ".join(refusals(beside, CPU))
    card = Target(device="cuda:0", fast_bf16=True, cores=2, packages=("triton", "accelerate"))
    beside = Settings(precision="fp16", step_cache="deep-2", offload="group")
    assert "use offload=group-no-stream" in "; ".join(refusals(beside, card))
    assert not refusals(beside.but(offload="group-no-stream"), card)
