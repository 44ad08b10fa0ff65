"""Settings: their text, their parsing, what excludes what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import Machine, goal

from doctor.errors import UsageError
from doctor.sizes import GIB
from tuner.knobs import (
    KNOBS,
    default_settings,
    low_memory_settings,
    needs_fresh_worker,
    refusals,
    settings_from,
)
from tuner.settings import Settings, parse_settings, setting_names
from tuner.study import Study
from tuner.target import Target, check_budget, choose_target, holds_budgets

CPU = Target(device="cpu", memory_free=4 * GIB, fast_bf16=True, cores=4, packages=("accelerate",))
CUDA = Target(
    device="cuda:0",
    capability=(8, 6),
    fast_bf16=True,
    packages=("accelerate", "xformers"),
    memory_free=8 * GIB,
)


def test_every_knob_is_a_setting_and_every_setting_is_a_knob():
    assert {knob.name for knob in KNOBS} == set(setting_names())
    for knob in KNOBS:
        default = getattr(Settings(), knob.name)
        assert default is None or default in knob.values


def test_text_names_what_differs_from_diffusers_defaults():
    assert Settings().text() == "fp32"
    changed = Settings(
        precision="bf16", vae_tiling="on", memory_format="channels_last", offload="model", threads=4
    )
    assert changed.text() == "bf16, model offload, VAE tiling, channels_last, 4 threads"


def test_parse_settings():
    assert parse_settings("precision=FP16, vae_tiling=on,threads=8") == {
        "precision": "fp16",
        "vae_tiling": "on",
        "threads": 8,
    }
    assert parse_settings("") == {}


@given(st.text(max_size=60))
def test_parsing_any_text_gives_settings_or_one_sentence(text):
    try:
        found = parse_settings(text)
    except UsageError as error:
        assert str(error)
    else:
        assert set(found) <= set(setting_names())


@pytest.mark.parametrize(
    ("settings", "target", "words"),
    [
        (Settings(precision="fp16"), CPU, "no fast path on a CPU"),
        (Settings(offload="model"), CPU, "runs on the CPU"),
        (Settings(attention="xformers"), CPU, "no attention for a CPU"),
        (Settings(attention="xformers"), Target(device="cuda:0"), "not installed"),
        (Settings(offload="sequential"), Target(device="cuda:0"), "needs the package accelerate"),
        (Settings(precision="int3"), CUDA, "does not exist"),
        (Settings(weights="nf4"), CUDA, "pip install bitsandbytes"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(settings, target, words):
    (reason,) = refusals(settings, target)
    assert words in reason
    with pytest.raises(UsageError, match=words):
        settings_from(settings, {}, target)


def test_what_can_be_is_not_refused():
    assert refusals(Settings(), CPU) == []
    assert refusals(Settings(precision="fp16", offload="sequential", attention="xformers"), CUDA) == []


def test_defaults_follow_the_device():
    assert default_settings(CPU).precision == "bf16"
    assert default_settings(Target(device="cpu", fast_bf16=False)).precision == "fp32"
    assert default_settings(Target(device="cpu", fast_bf16=None)).precision == "fp32"
    assert default_settings(CUDA).precision == "fp16"


def test_low_memory_moves_parts_where_there_is_a_gpu():
    assert low_memory_settings(Settings(), CUDA).offload == "sequential"
    assert low_memory_settings(Settings(), CPU).offload == "none"
    assert low_memory_settings(Settings(), CPU).vae_tiling == "on"


def test_only_settings_that_can_be_turned_in_place_keep_the_pipeline():
    assert not needs_fresh_worker(Settings(), Settings(vae_tiling="on", vae_slicing="on"))
    for change in ({"precision": "bf16"}, {"offload": "model"}, {"threads": 2}, {"attention": "sliced"}):
        assert needs_fresh_worker(Settings(), Settings(**change))


def test_a_budget_may_not_take_what_is_not_free():
    assert check_budget(None, CPU) == 4 * GIB
    assert check_budget(GIB, CPU) == GIB
    with pytest.raises(UsageError, match=r"more than the 4\.00 GiB"):
        check_budget(5 * GIB, CPU)


def test_targets(monkeypatch):
    from doctor.facts import Cpu, Facts, Gpu, Memory, TorchBuild

    host = Facts(
        cpu=Cpu(model="c", physical_cores=8, usable_cores=16, quota_cores=2.5, flags=("avx512_bf16",)),
        memory=Memory(total=64 * GIB, available=32 * GIB, limit=16 * GIB, limit_used=2 * GIB),
    )
    cpu = choose_target(host)
    assert (cpu.device, cpu.cores, cpu.default_threads, cpu.fast_bf16) == ("cpu", 2, 8, True)
    # The control group's limit counts, and a floor of 1 GiB is left.
    assert cpu.memory_total == 16 * GIB
    assert cpu.memory_free == 13 * GIB
    unknown = choose_target(Facts())
    assert (unknown.memory_free, unknown.fast_bf16, unknown.cores) == (None, None, None)
    card = Gpu(index=0, name="RTX", memory_total=12 * GIB, memory_used=GIB, capability=(7, 5))
    with_card = Facts(gpus=(card,), torch=TorchBuild(version="2.13.0", cuda="13.0"))
    gpu = choose_target(with_card)
    assert (gpu.device, gpu.memory_free, gpu.fast_bf16) == ("cuda:0", 11 * GIB, False)
    assert choose_target(with_card, "cpu").device == "cpu"
    with pytest.raises(UsageError, match="this machine has 1 GPU"):
        choose_target(with_card, "cuda:1")
    # A card without a torch that can use it is not a target.
    assert choose_target(Facts(gpus=(card,), torch=TorchBuild(version="2.13.0+cpu"))).device == "cpu"
    with pytest.raises(UsageError, match="build without CUDA"):
        choose_target(Facts(gpus=(card,), torch=TorchBuild(version="2.13.0+cpu")), "cuda")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tf32": "on"}, "runs on the CPU"),
        ({"cudnn_benchmark": "on"}, "runs on the CPU"),
        ({"attention": "flash"}, "is a kernel for a GPU"),
        ({"compile": "openvino"}, "pip install openvino"),
        ({"fused_qkv": "on", "attention": "sliced"}, "use attention=sdpa"),
    ],
)
def test_what_a_processor_cannot_do_says_why(changes, words):
    (reason,) = refusals(Settings(**changes), CPU)
    assert words in reason


@pytest.mark.parametrize(
    ("changes", "capability", "words"),
    [
        ({"tf32": "on"}, (7, 5), "needs an Ampere card"),
        ({"tf32": "on", "precision": "fp16"}, (8, 6), "changes fp32 products only"),
        ({"attention": "flash", "precision": "bf16"}, (8, 6), "flash-attn is not installed"),
        ({"attention": "_native_cudnn"}, (8, 6), "16 bits only"),
        ({"compile": "inductor"}, (8, 6), "needs triton"),
        ({"compile": "inductor-whole"}, (8, 6), "needs triton"),
        ({"compile": "inductor", "offload": "sequential"}, (8, 6), "cut the program to pieces"),
    ],
)
def test_what_a_card_cannot_do_says_why(changes, capability, words):
    card = Target(device="cuda:0", capability=capability, packages=("accelerate",))
    assert any(words in reason for reason in refusals(Settings(**changes), card))


def test_what_leaves_the_work_of_the_models_as_it_is_is_not_asked_about_again():
    seen = Settings(attention="sdpa-cudnn", fewer_steps="half", compile="openvino", threads=2)
    assert seen.as_the_models_see_them() == Settings()
    assert Settings(attention="sliced").as_the_models_see_them() == Settings(attention="sliced")
    assert Settings(attention="sdpa-math").as_the_models_see_them() == Settings(attention="_native_math")


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_budget_that_nothing_holds_is_not_promised(system, monkeypatch):
    monkeypatch.setattr("tuner.target.sys.platform", system)
    with pytest.raises(UsageError, match="a budget for the CPU needs Linux"):
        check_budget(GIB, CPU)
    # What is free is known there too, and a card is held to a budget by torch.
    assert check_budget(None, CPU) == CPU.memory_free
    assert check_budget(GIB, CUDA) == GIB
    assert not holds_budgets("cpu")
    assert holds_budgets("cuda:0")


def test_what_takes_minutes_or_changes_the_picture_is_tried_only_when_asked_for():
    def tried(**changes):
        return {trial.settings for trial in Study(goal=goal(**changes), runner=Machine()).run().trials}

    assert all(settings.compile == "none" for settings in tried())
    assert any(settings.compile == "inductor" for settings in tried(slow=True))
    assert all(settings.step_cache == "none" for settings in tried())
    assert {settings.step_cache for settings in tried(lossy=True)} == {
        "none", "deep-3", "deep-2", "first-block", "taylorseer", "pyramid"
    }  # fmt: skip
    assert all(settings.fewer_steps == "off" for settings in tried())
    assert {settings.fewer_steps for settings in tried(lossy=True)} == {"off", "three-quarters", "half"}
