"""OpenVINO in the place of PyTorch's modules: the same picture, a cache on disk, and a way back."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mini_pipeline import write_mini

from doctor.sizes import MIB
from doctor.trace import Outcome
from tuner.knobs import knob, late_remarks, refusals, turned
from tuner.lab import Bench, Lab
from tuner.models import resolve
from tuner.probe import Probe, Purpose
from tuner.settings import Settings
from tuner.target import Target
from tuner.worker import openvino, openvino_cache
from tuner.worker.assemble import build_pipeline
from tuner.worker.noise import fill
from tuner.worker.openvino_cache import ModelCache, digest_of_weights, forgetting

CPU = Target(device="cpu", fast_bf16=True, cores=2, packages=("openvino",))


def mini(folder, name="sdxl"):
    """A pipeline of the shape of SDXL: nested arguments, two text encoders, a VAE. One layer of a kind: each is compiled."""
    config = write_mini(folder, name) / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"layers_per_block": 1}))
    pipe = build_pipeline(folder, lambda part, model: fill(model, part, torch.float32))
    for model in pipe.components.values():
        if isinstance(model, torch.nn.Module):
            model.eval()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, side=64):
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        arguments = {"width": side, "height": side, "num_inference_steps": 2, "generator": generator}
        return np.asarray(pipe("a circle", **arguments).images[0], dtype=int)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(scope="module")
def expected(folder):
    return draw(mini(folder / "reference"))


@pytest.fixture(scope="module")
def cache(folder, expected):
    """A cache that one pipeline has filled."""
    cache = ModelCache(folder / "programs")
    pipe = mini(folder / "first")
    openvino.install(pipe, cache)
    assert np.abs(draw(pipe) - expected).max() <= 2
    assert openvino.remarks(pipe) == ()
    assert {part.name for part in openvino.installed(pipe)} == {
        "denoiser",
        "VAE decoder",
        "text encoder",
        "text encoder 2",
    }
    assert all(len(part.programs) == 1 for part in openvino.installed(pipe))
    return cache


def test_a_second_pipeline_finds_the_programs_on_disk(folder, cache, expected, monkeypatch):
    pipe = mini(folder / "second")
    openvino.install(pipe, cache)
    monkeypatch.setattr(openvino, "convert", lambda *_: pytest.fail("converted again"))
    assert np.abs(draw(pipe) - expected).max() <= 2
    assert openvino.remarks(pipe) == ()


def test_another_size_gets_a_program_of_its_own(folder, cache):
    plain, pipe = mini(folder / "third"), mini(folder / "fourth")
    openvino.install(pipe, cache)
    draw(pipe)
    assert np.abs(draw(pipe, 96) - draw(plain, 96)).max() <= 2
    (denoiser,) = [part for part in openvino.installed(pipe) if part.name == "denoiser"]
    assert len(denoiser.programs) == 2


def test_a_module_that_cannot_be_converted_goes_on_in_pytorch(folder, expected, monkeypatch):
    def refuse(*_):
        raise RuntimeError("No conversion rule for aten::something\nand a long explanation")

    monkeypatch.setattr(openvino, "convert", refuse)
    pipe = mini(folder / "fifth")
    openvino.install(pipe)
    assert np.array_equal(draw(pipe), expected)
    (remark, *_) = late_remarks(pipe)
    assert "the denoiser, which PyTorch computes: No conversion rule for aten::something" in remark


def test_running_out_of_memory_is_not_a_reason_to_go_on(folder, monkeypatch):
    def refuse(*_):
        raise RuntimeError("Exception from src/inference: std::bad_alloc")

    monkeypatch.setattr(openvino, "convert", refuse)
    pipe = mini(folder / "sixth")
    openvino.install(pipe)
    with pytest.raises(MemoryError, match="bad_alloc"):
        draw(pipe)


def test_more_shapes_than_pay_are_left_to_pytorch(folder, monkeypatch):
    monkeypatch.setattr(openvino, "MOST_PROGRAMS", 0)
    pipe = mini(folder / "seventh")
    openvino.install(pipe)
    draw(pipe)
    assert "more than 0 different shapes" in openvino.remarks(pipe)[0]


def test_programs_of_large_models_do_not_pile_up(folder, cache, monkeypatch):
    monkeypatch.setattr(openvino, "MOST_BYTES", 0)
    pipe = mini(folder / "piling")
    openvino.install(pipe, cache)
    first = draw(pipe, 64)
    draw(pipe, 32)
    denoiser, *_ = openvino.installed(pipe)
    assert len(denoiser.programs) == 1 and len(denoiser.seen) == 2
    assert np.array_equal(draw(pipe, 64), first)
    assert openvino.remarks(pipe) == ()


def test_a_torn_program_is_thrown_away(folder, cache):
    (weights, *_) = cache.folder.glob("*.bin")
    torn = ModelCache(folder / "torn")
    torn.folder.mkdir()
    for suffix in (".xml", ".json"):
        shutil.copy(weights.with_suffix(suffix), torn.folder)
    (torn.folder / weights.name).write_bytes(weights.read_bytes()[:1000])
    assert torn.load(weights.stem) is None
    assert not list(torn.folder.iterdir())
    assert torn.load(weights.stem) is None


def test_what_nobody_computes_with_lies_in_the_mapped_file(folder, cache, expected):
    pipe = mini(folder / "mapped")
    openvino.install(pipe, cache)
    before = pipe.unet.state_dict()["conv_in.weight"].clone()
    addresses = {name: tensor.data_ptr() for name, tensor in pipe.unet.named_parameters()}
    draw(pipe)
    moved = [name for name, tensor in pipe.unet.named_parameters() if tensor.data_ptr() != addresses[name]]
    weights = dict(pipe.unet.named_parameters())
    assert sum(weights[name].nbytes for name in moved) > 0.9 * sum(part.nbytes for part in weights.values())
    assert torch.equal(weights["conv_in.weight"], before)
    # PyTorch still computes with them: the way back stays open.
    for part in openvino.installed(pipe):
        part.failure = "for the test"
    assert np.abs(draw(pipe) - expected).max() <= 2


def test_what_torch_keeps_of_a_traced_module_is_let_go(folder):
    pipe = mini(folder / "traced")
    openvino.install(pipe, None)
    draw(pipe)
    assert not openvino.remarks(pipe)
    assert not torch.jit._recursive.concrete_type_store.type_store


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read where Linux tells it")
def test_reading_a_mapped_file_does_not_seem_to_take_its_memory(folder):
    path = folder / "weights.bin"
    path.write_bytes(b"1" * 64 * MIB)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def resident() -> int:
        # The mappings of a file, each with a line "Rss:  65536 kB" some lines after its own.
        _, _, told = Path("/proc/self/smaps").read_text().partition(str(path))
        return int(told.partition("Rss:")[2].split()[0]) * 1024

    assert mapped[::4096]
    assert resident() >= 60 * MIB
    with forgetting(path, every=0.01):
        time.sleep(0.2)
        assert resident() < MIB
    assert mapped[:2] == b"11"


def test_a_disk_that_takes_nothing_is_no_fault(folder, expected):
    (folder / "a_file").write_text("")
    pipe = mini(folder / "full")
    openvino.install(pipe, ModelCache(folder / "a_file" / "programs"))
    assert np.abs(draw(pipe) - expected).max() <= 2
    assert openvino.remarks(pipe) == ()


def test_it_reports_nothing_to_its_makers():
    code = (
        "import sys; from tuner.worker.openvino_library import openvino; openvino();"
        "from openvino.tools.ovc import telemetry_utils;"
        "assert telemetry_utils.tm.__name__ == 'openvino.tools.ovc.telemetry_stub', telemetry_utils.tm"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_bounded_and_the_oldest_go_first(folder, cache):
    small = ModelCache(folder / "small", most_bytes=1000)
    small.folder.mkdir()
    for age, name in enumerate(("new", "old")):
        path = small.folder / f"{name}.bin"
        path.write_bytes(b"x" * 400)
        os.utime(path, (1000 - age, 1000 - age))
    small._make_room(500)
    assert [path.name for path in small.folder.iterdir()] == ["new.bin"]


def test_a_model_that_the_disk_has_no_room_for_is_converted_anew_and_that_is_said(
    folder, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(openvino_cache, "MOST_OF_THE_DISK", 1e-12)
    pipe, cache = mini(folder / "roomless"), ModelCache(tmp_path)
    # One module tells it; the others stay with PyTorch, which spares the time to convert them.
    object.__setattr__(
        pipe.unet, "forward", openvino.Compiled("denoiser", pipe.unet, pipe.unet.forward, cache)
    )
    assert np.abs(draw(pipe) - expected).max() <= 2
    (denoiser,) = late_remarks(pipe)
    assert denoiser.startswith("compile=openvino: the denoiser is converted anew in every process")
    assert "more than 0% of what is free on the disk" in denoiser
    assert not list(tmp_path.iterdir())
    assert "may hold (0 MiB)" in (ModelCache(tmp_path, most_bytes=1000).why_not(pipe.unet) or "")
    monkeypatch.setattr(openvino_cache, "MOST_OF_THE_DISK", 1.0)
    assert cache.why_not(pipe.unet) is None


def test_other_weights_make_another_program(folder):
    pipe = mini(folder / "eighth")
    before = digest_of_weights(pipe.unet)
    with torch.no_grad():
        next(pipe.unet.parameters()).view(-1)[0] += 1
    assert digest_of_weights(pipe.unet) != before


@pytest.mark.parametrize(
    ("changes", "target", "words"),
    [
        ({"attention": "sliced"}, CPU, "its own attention"),
        ({"precision": "fp16"}, CPU, "computes fp16 weights in fp32"),
        ({}, Target(device="cpu"), "pip install openvino"),
        ({}, Target(device="cuda:0", packages=("openvino",)), "on the CPU only"),
    ],
)
def test_where_it_cannot_be_used(changes, target, words):
    assert any(words in reason for reason in refusals(Settings(compile="openvino", **changes), target))


def test_it_is_tried_by_measurement_where_it_is_installed():
    assert knob("compile").slow == ("inductor", "inductor-whole")
    assert knob("compile").candidates(CPU, 1) == ("openvino", "inductor", "inductor-whole")
    assert knob("compile").candidates(Target(device="cpu"), 1) == ("inductor", "inductor-whole")


def test_what_means_nothing_beside_it_is_put_back():
    beside = Settings(memory_format="channels_last", attention="sliced", fused_qkv="on", vae_tiling="on")
    found = turned(beside, "compile", "openvino")
    assert found == Settings(compile="openvino", vae_tiling="on")
    assert turned(beside, "compile", "inductor") == beside.but(compile="inductor")


def test_the_worker_runs_it_and_says_what_is_in_force(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    assert resolve("builtin:tiny")
    probe = Probe(
        purpose=Purpose.FASTEST,
        settings=Settings(compile="openvino", vae_tiling="on"),
        width=128,
        height=128,
        steps=2,
        batch=1,
    )
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=None)) as lab:
        trial = lab.run(probe)
        again = lab.run(probe)
    assert trial.outcome is again.outcome is Outcome.FINISHED
    assert trial.setup["compile"] == "openvino"
    assert trial.remarks == ()
    # What the compiler took is told, and is in no other figure.
    assert trial.compile_seconds > 0
    assert trial.seconds > trial.compile_seconds + trial.seconds_per_image
    assert again.compile_seconds is None
    assert list((tmp_path / "cache" / "openvino").glob("*.bin"))


def test_under_a_budget_without_room_it_is_out_of_memory_and_no_silent_fallback(tmp_path, monkeypatch):
    """As it was: "changes nothing for the denoiser, which PyTorch computes: Exception from ..."; or a hang."""
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    probe = Probe(
        purpose=Purpose.FASTEST, settings=Settings(compile="openvino"), width=64, height=64, steps=1, batch=1
    )
    bench = Bench(model="builtin:tiny", device="cpu", budget=70 * 2**20, ceiling=2**30)
    with Lab(bench) as lab:
        trial = lab.run(probe)
    assert trial.outcome is Outcome.OUT_OF_MEMORY, trial.message
