"""A number format of its own for the VAE and for the text encoders: loaded so, computed so, predicted so."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mini_pipeline import NARROW, at_its_own_size, write_mini
from simulated import Machine, goal

from doctor.trace import Outcome
from tuner.dryrun.engine import DryRun
from tuner.dryrun.rows import Ask
from tuner.knobs import apply_settings, read_setup, refusals
from tuner.lab import Bench, Lab
from tuner.models import resolve
from tuner.probe import Probe, Purpose
from tuner.settings import Settings
from tuner.study import Study
from tuner.target import Target
from tuner.worker.assemble import build_pipeline
from tuner.worker.build import dtypes_of, load_pipeline
from tuner.worker.noise import fill

CARD = Target(device="cuda:0", capability=(8, 6), fast_bf16=True)


def mini(folder, name, settings):
    pipe = build_pipeline(
        write_mini(folder / name, name),
        lambda part, model: fill(model, part, dtypes_of(settings)(part)),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize("name", sorted(set(NARROW) & {"sd15", "sdxl", "sd3-medium", "flux", "pixart-sigma"}))
@pytest.mark.parametrize("part", ["vae", "text"])
def test_each_family_draws_with_one_part_in_float32(tmp_path, name, part):
    settings = Settings(precision="bf16", **{f"{part}_precision": "fp32"})
    pipe = mini(tmp_path, name, settings)
    assert apply_settings(pipe, settings, "cpu") == ()
    setup = read_setup(pipe)
    assert setup[f"{part}_precision"] == "fp32"
    sizes = {"width": 64, "height": 64, "num_inference_steps": 1, "output_type": "pt"}
    with torch.inference_mode():
        picture = pipe("a circle", **sizes, **at_its_own_size(pipe)).images
    assert picture.isfinite().all()
    denoiser = getattr(pipe, "unet", None) or pipe.transformer
    assert denoiser.dtype is torch.bfloat16
    assert pipe.vae.dtype is (torch.float32 if part == "vae" else torch.bfloat16)
    assert pipe.text_encoder.dtype is (torch.float32 if part == "text" else torch.bfloat16)


def test_a_decoder_by_another_name_has_its_own_precision_too(tmp_path):
    settings = Settings(precision="bf16", vae_precision="fp32")
    assert {settings.precision_of(name) for name in ("vae", "movq", "vqgan")} == {"fp32"}
    pipe = mini(tmp_path, "kandinsky22", settings)
    assert apply_settings(pipe, settings, "cpu") == ()
    assert read_setup(pipe)["vae_precision"] == "fp32"
    with torch.inference_mode():
        sizes = {"width": 64, "height": 64, "num_inference_steps": 2, "prior_num_inference_steps": 2}
        assert pipe("a circle", output_type="pt", **sizes).images.isfinite().all()
    assert (pipe.movq.dtype, pipe.unet.dtype) == (torch.float32, torch.bfloat16)


def test_weights_of_a_folder_are_not_rounded_on_the_way():
    reference = load_pipeline(resolve("builtin:tiny"), torch.float32)
    settings = Settings(precision="bf16", vae_precision="fp32")
    pipe = load_pipeline(resolve("builtin:tiny"), torch.bfloat16, dtypes=dtypes_of(settings))
    apply_settings(pipe, settings, "cpu")
    assert pipe.unet.dtype is torch.bfloat16
    for name, weight in reference.vae.state_dict().items():
        assert torch.equal(weight, pipe.vae.state_dict()[name]), name


def test_a_users_own_pipeline_is_cast_and_back():
    pipe = load_pipeline(resolve("builtin:tiny"), torch.float32)
    apply_settings(pipe, Settings(precision="bf16", vae_precision="fp32", text_precision="fp32"), "cpu")
    assert {pipe.vae.dtype, pipe.text_encoder.dtype, pipe.unet.dtype} == {torch.float32, torch.bfloat16}
    assert read_setup(pipe)["precision"] == "text_encoder:fp32 unet:bf16 vae:fp32"
    apply_settings(pipe, Settings(precision="bf16"), "cpu")
    assert read_setup(pipe)["precision"] == "bf16"
    assert (read_setup(pipe)["vae_precision"], read_setup(pipe)["text_precision"]) == ("same", "same")
    with torch.inference_mode():
        pipe("a circle", num_inference_steps=1)


def test_the_dry_run_counts_it():
    folder = resolve("builtin:sdxl").path

    def weights(settings):
        answer = DryRun(folder, settings).answer(
            Ask(model="builtin:sdxl", settings=settings, width=256, height=256)
        )
        decode = next(call for call in answer.calls if call.stage == "decode")
        return {part.name: sum(part.tensors) for part in answer.components}, decode

    (plain, _), (mixed, decode) = (
        weights(Settings(precision="fp16", vae_precision=vae, text_precision=text))
        for vae, text in (("same", "same"), ("fp32", "bf16"))
    )
    assert mixed["vae"] == 2 * plain["vae"]
    assert mixed["unet"] == plain["unet"]
    assert mixed["text_encoder"] == plain["text_encoder"]
    assert sum(decode.component.tensors) == mixed["vae"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "fp16", "vae_precision": "fp16"}, "the precision of the rest already"),
        ({"precision": "fp16", "text_precision": "fp64"}, "does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    assert any(words in reason for reason in refusals(Settings(**changes), CARD))
    assert refusals(Settings(precision="fp16", vae_precision="fp32"), CARD) == []


class Overflowing(Machine):
    """fp16 draws black, unless the VAE computes in fp32."""

    def run(self, probe):
        trial = super().run(probe)
        settings = probe.settings
        if trial.finished and settings.precision == "fp16" and settings.vae_precision == "same":
            return replace(trial, outcome=Outcome.REJECTED, seconds_per_image=None, peak_bytes=None)
        return trial


def test_a_black_picture_in_fp16_is_mended_by_a_float32_vae():
    study = goal(target=replace(CARD, memory_free=4 * 2**30), first_guess=Settings(precision="fp16"))
    result = Study(goal=study, runner=Overflowing(seconds_per_megapixel=0.2)).run()
    assert result.best is not None
    assert (result.best.settings.precision, result.best.settings.vae_precision) == ("fp16", "fp32")


def test_nothing_is_mended_that_is_not_broken():
    result = Study(goal=goal(), runner=Machine(seconds_per_megapixel=0.2)).run()
    assert {trial.settings.vae_precision for trial in result.trials} == {"same"}


def test_the_worker_says_what_is_in_force():
    settings = Settings(precision="bf16", vae_precision="fp32", vae_tiling="on")
    probe = Probe(
        purpose=Purpose.FASTEST, settings=settings, width=128, height=128, steps=2, batch=1, warm_up=True
    )
    with Lab(Bench(model="builtin:tiny", device="cpu", budget=None)) as lab:
        trial = lab.run(probe)
    # The warm-up shows that the second call still decodes in the VAE's own precision.
    assert trial.outcome is Outcome.FINISHED, trial.message
    assert (trial.setup["vae_precision"], trial.setup["text_precision"]) == ("fp32", "same")
