"""Every knob on real pipelines: what is applied is what is read back, and what changes nothing is said."""

from __future__ import annotations

import pytest
import torch
from mini_pipeline import write_mini

from tuner.knobs import KNOBS, apply_in_place, apply_settings, knob, read_setup
from tuner.knobs.fewer_steps import default_steps_of, steps_for
from tuner.models import resolve
from tuner.settings import Settings
from tuner.worker.assemble import build_pipeline
from tuner.worker.build import load_pipeline
from tuner.worker.compiling import compiled_seconds
from tuner.worker.noise import fill


def tiny():
    pipe = load_pipeline(resolve("builtin:tiny"), torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe) -> bytes:
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        return pipe("a circle", num_inference_steps=2, generator=generator).images[0].tobytes()


@pytest.fixture(scope="module")
def reference() -> bytes:
    return draw(tiny())


@pytest.mark.parametrize(
    ("name", "value", "reads"),
    [
        ("attention", "sdpa", "AttnProcessor2_0"),
        ("attention", "sliced", "SlicedAttnProcessor"),
        ("memory_format", "channels_last", "channels_last"),
        ("memory_format", "contiguous", "contiguous"),
        ("fused_qkv", "on", "on"),
        ("fused_qkv", "off", "off"),
        ("compile", "none", "none"),
        ("step_cache", "none", "none"),
        ("tf32", "off", "off"),
        ("cudnn_benchmark", "off", "off"),
        ("vae_slicing", "on", "on"),
        ("vae_tiling", "on", "on"),
        ("offload", "none", "none"),
        # The hooks of both kinds work between a CPU and itself: the same code as on a card, without its gain.
        ("offload", "model", "model"),
        ("offload", "group", "group"),
        ("offload", "group-no-stream", "group-no-stream"),
    ],
)
def test_lossless_knobs_do_what_they_say_and_keep_the_picture(name, value, reads, reference):
    pipe = tiny()
    assert knob(name).apply(pipe, value, "cpu") is None
    assert knob(name).read(pipe) == reads
    picture = draw(pipe)
    assert knob(name).read(pipe) == reads
    assert max(abs(a - b) for a, b in zip(picture, reference, strict=True)) <= 2


def test_sequential_offload_hooks_every_leaf():
    pipe = tiny()
    knob("offload").apply(pipe, "sequential", "cpu")
    assert knob("offload").read(pipe) == "sequential"


def test_what_is_switched_on_in_place_can_be_switched_off():
    pipe, on = tiny(), Settings(vae_slicing="on", vae_tiling="on")
    apply_in_place(pipe, Settings(), on, "cpu")
    assert (read_setup(pipe)["vae_slicing"], read_setup(pipe)["vae_tiling"]) == ("on", "on")
    apply_in_place(pipe, on, Settings(), "cpu")
    assert (read_setup(pipe)["vae_slicing"], read_setup(pipe)["vae_tiling"]) == ("off", "off")


def test_a_transformer_says_that_slicing_its_attention_changes_nothing(tmp_path):
    folder = write_mini(tmp_path / "flux", "flux")
    pipe = build_pipeline(folder, lambda name, model: fill(model, name, torch.float32))
    (remark,) = apply_settings(pipe, Settings(attention="sliced"), "cpu")
    assert "changes nothing" in remark


def test_a_transformer_takes_a_backend_of_attention_and_a_cache_of_steps(tmp_path):
    folder = write_mini(tmp_path / "flux", "flux")
    pipe = build_pipeline(folder, lambda name, model: fill(model, name, torch.float32))
    assert apply_settings(pipe, Settings(attention="_native_math", step_cache="first-block"), "cpu") == ()
    setup = read_setup(pipe)
    assert setup["attention"].endswith("(_native_math)")
    assert setup["step_cache"] == "first-block"
    knob("step_cache").apply(pipe, "none", "cpu")
    assert read_setup(pipe)["step_cache"] == "none"


@pytest.mark.parametrize("kind", ["taylorseer", "pyramid"])
def test_a_cache_of_steps_saves_work_and_can_be_taken_away_again(tmp_path, kind):
    pipe = build_pipeline(
        write_mini(tmp_path / "flux", "flux"), lambda name, model: fill(model, name, torch.float32)
    )
    pipe.set_progress_bar_config(disable=True)
    computed = []
    for block in (*pipe.transformer.transformer_blocks, *pipe.transformer.single_transformer_blocks):
        block.attn.to_q.register_forward_hook(lambda *_: computed.append(1))

    def work() -> int:
        computed.clear()
        with torch.inference_mode():
            pipe("x", width=64, height=64, num_inference_steps=12, output_type="latent")
        return len(computed)

    everything = work()
    assert knob("step_cache").apply(pipe, kind, "cpu") is None
    assert knob("step_cache").read(pipe) == kind
    assert work() < 0.75 * everything
    # From one kind to another, as a study does it in one worker after another.
    knob("step_cache").apply(pipe, "first-block", "cpu")
    assert knob("step_cache").read(pipe) == "first-block"
    knob("step_cache").apply(pipe, "none", "cpu")
    assert work() == everything


def test_one_kernel_of_attention_comes_first_and_the_order_comes_back(reference):
    before = torch._C._get_sdp_priority_order()
    pipe = tiny()
    apply_settings(pipe, Settings(attention="sdpa-math"), "cpu")
    assert "math first" in read_setup(pipe)["attention"]
    assert torch._C._get_sdp_priority_order()[0] == int(torch.nn.attention.SDPBackend.MATH)
    assert max(abs(a - b) for a, b in zip(draw(pipe), reference, strict=True)) <= 2
    knob("attention").apply(pipe, "sdpa", "cpu")
    assert torch._C._get_sdp_priority_order() == before


def test_fewer_steps_are_made_by_whoever_calls_the_pipeline():
    pipe = tiny()
    assert (steps_for(pipe, 20), default_steps_of(pipe)) == (20, 50)
    apply_settings(pipe, Settings(fewer_steps="half"), "cpu")
    assert read_setup(pipe)["fewer_steps"] == "half"
    assert [steps_for(pipe, asked) for asked in (20, 5, 1)] == [10, 2, 1]


@pytest.mark.parametrize(("name", "value"), [("attention", "native"), ("step_cache", "first-block")])
def test_a_u_net_says_that_what_is_made_for_transformers_changes_nothing(name, value):
    pipe = tiny()
    before = read_setup(pipe)
    assert "changes nothing" in knob(name).apply(pipe, value, "cpu")
    assert read_setup(pipe) == before


def test_a_u_net_writes_its_scores_when_it_is_told_to():
    pipe = tiny()
    assert knob("attention").apply(pipe, "_native_math", "cpu") is None
    assert read_setup(pipe)["attention"] == "AttnProcessor"


@pytest.mark.slow
@pytest.mark.parametrize("value", ["inductor", "inductor-whole"])
def test_compiled_blocks_give_the_same_picture(reference, value):
    pipe = tiny()
    assert knob("compile").apply(pipe, value, "cpu") is None
    assert knob("compile").read(pipe) == value
    before = compiled_seconds()
    assert max(abs(a - b) for a, b in zip(draw(pipe), reference, strict=True)) <= 2
    # What the compiler took is known apart, and only the first picture pays it.
    first = compiled_seconds() - before
    assert first > 1
    draw(pipe)
    assert compiled_seconds() - before < 1.1 * first


def test_the_setup_names_every_knob():
    assert read_setup(tiny()).keys() == {item.name for item in KNOBS}


def test_mixed_precision_is_read_component_by_component():
    pipe = tiny()
    pipe.vae.to(torch.bfloat16)
    assert read_setup(pipe)["precision"] == "text_encoder:fp32 unet:fp32 vae:bf16"
