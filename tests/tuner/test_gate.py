"""The gate: a picture that is not what it has to be is rejected, with the reason; nothing else is."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy
import pytest
from PIL import Image

from doctor.trace import Outcome, Phase
from tuner.gate import Gate
from tuner.lab import Bench, Lab
from tuner.models import resolve
from tuner.probe import Probe, Purpose, Trial
from tuner.quality import ROUNDING, Verdict, compare
from tuner.settings import Settings

RANDOM = numpy.random.default_rng(7)
SCENE = numpy.clip(
    numpy.linspace(40, 200, 64)[:, None, None] + RANDOM.normal(0, 8, (64, 64, 3)), 0, 255
).astype(numpy.uint8)


def probe(settings=Settings(), **changes) -> Probe:  # noqa: B008  (frozen)
    values = {"purpose": Purpose.FASTEST, "width": 64, "height": 64, "steps": 2, "batch": 1}
    return Probe(settings=settings, **(values | changes))


def judged(gate: Gate, pixels, settings=Settings(), not_finite=None, **changes) -> Trial:  # noqa: B008
    """The trial of a worker that left this picture."""
    mine = probe(settings, **changes)
    for path, values in zip(gate.samples(mine), [pixels] if pixels is not None else [], strict=False):
        Image.fromarray(values).save(path)
    trial = Trial(
        purpose=mine.purpose,
        settings=settings,
        width=mine.width,
        height=mine.height,
        batch=1,
        steps=2,
        outcome=Outcome.FINISHED,
        seconds_per_image=1.0,
        runs_seconds=(1.0,),
        peak_bytes=5,
    )
    return gate.judge(trial, not_finite)


def noisy(level: float):
    return numpy.clip(SCENE + RANDOM.normal(0, level, SCENE.shape), 0, 255).astype(numpy.uint8)


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path / "pictures")
    assert judged(made, SCENE).quality.verdict is Verdict.REFERENCE
    return made


BF16 = Settings(precision="bf16")


def test_the_same_picture_passes_with_its_figures(gate):
    same = judged(gate, SCENE, Settings(threads=1))
    assert (same.quality.verdict, same.quality.identical, same.quality.psnr_db) == (Verdict.SAME, True, None)
    near = judged(gate, noisy(3.0), BF16)
    assert near.finished
    assert near.quality.verdict is Verdict.SAME
    assert 35 < near.quality.psnr_db < 45
    assert 0.9 < near.quality.ssim < 1


@pytest.mark.parametrize(
    ("pixels", "not_finite", "verdict", "words"),
    [
        (numpy.zeros_like(SCENE), None, Verdict.BLACK, "black"),
        (numpy.full_like(SCENE, 128), None, Verdict.FLAT, "mean value 128"),
        (numpy.zeros_like(SCENE), Phase.DECODE, Verdict.NOT_FINITE, "the decode stage gave"),
        (SCENE[::-1].copy(), None, Verdict.CHANGED, "PSNR"),
        (noisy(60.0), None, Verdict.CHANGED, "the least"),
    ],
)
def test_a_wrong_picture_is_rejected_and_cannot_win(gate, pixels, not_finite, verdict, words):
    trial = judged(gate, pixels, BF16, not_finite)
    assert trial.quality.verdict is verdict
    assert trial.outcome is Outcome.REJECTED
    assert words in trial.message
    assert (trial.seconds_per_image, trial.peak_bytes) == (None, None)
    assert trial.runs_seconds == (1.0,)


def test_rounding_is_held_to_more_than_another_number_format(gate):
    pixels = noisy(9.0)
    assert judged(gate, pixels, BF16).finished
    assert judged(gate, pixels, Settings(memory_format="channels_last")).outcome is Outcome.REJECTED


def test_lossy_settings_are_told_and_not_judged_unless_they_show_nothing(gate):
    tiled = judged(gate, noisy(30.0), Settings(vae_tiling="on"))
    assert (tiled.quality.verdict, tiled.finished) == (Verdict.LOSSY, True)
    assert tiled.quality.psnr_db is not None
    assert judged(gate, numpy.zeros_like(SCENE), Settings(vae_tiling="on")).outcome is Outcome.REJECTED


def test_a_resumed_study_finds_its_reference_again(gate, tmp_path):
    again = Gate(tmp_path / "pictures")
    assert judged(again, noisy(60.0), BF16).outcome is Outcome.REJECTED
    again.clear()
    assert judged(again, noisy(60.0), BF16).quality.verdict is Verdict.REFERENCE


def test_where_fp32_does_not_run_the_first_picture_that_shows_something_is_the_reference(tmp_path):
    gate = Gate(tmp_path / "pictures")
    black = judged(gate, numpy.zeros_like(SCENE), Settings(precision="fp16"))
    assert black.outcome is Outcome.REJECTED
    assert judged(gate, SCENE, BF16).quality.verdict is Verdict.REFERENCE


def test_a_model_that_draws_nothing_in_fp32_is_not_the_settings_fault(tmp_path):
    gate = Gate(tmp_path / "pictures")
    flat = numpy.full_like(SCENE, 90)
    reference = judged(gate, flat)
    assert (reference.quality.verdict, reference.finished) == (Verdict.REFERENCE, True)
    assert "one flat colour" in reference.quality.reason
    assert judged(gate, flat, BF16).finished


def test_a_picture_that_could_not_be_kept_is_unknown_not_wrong(gate):
    trial = judged(gate, None, BF16)
    assert (trial.quality.verdict, trial.finished) == (Verdict.UNKNOWN, True)
    assert trial.quality.psnr_db is None
    assert "not compared" in trial.quality.reason


def test_runs_for_memory_only_keep_no_picture(gate):
    assert gate.samples(probe(purpose=Purpose.LARGEST)) == ()
    assert gate.samples(probe(purpose=Purpose.CONFIRMATION)) == ()


def test_the_figures_are_the_known_ones(tmp_path):
    """One value of 64x64x3 off by 16: PSNR = 10 log10(255^2 / (256 / 12288))."""
    other = SCENE.copy()
    other[3, 4, 1] = int(other[3, 4, 1]) + (16 if other[3, 4, 1] < 200 else -16)
    paths = []
    for name, values in (("a", SCENE), ("b", other)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    quality = compare(paths[:1], paths[1:], ROUNDING)
    assert quality.psnr_db == pytest.approx(10 * math.log10(255**2 / (256 / 12288)))
    assert 0.99 < quality.ssim < 1


def overflowing_copy(folder: Path) -> Path:
    """builtin:tiny, its decoder scaled up where a norm scales it down again: fp32 draws the same, fp16 overflows.

    That is how SDXL's VAE fails in fp16 (huggingface.co/madebyollin/sdxl-vae-fp16-fix).
    """
    from safetensors.torch import load_file, save_file

    shutil.copytree(resolve("builtin:tiny").path, folder)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    for kind in ("weight", "bias"):
        tensors[f"decoder.mid_block.resnets.0.conv1.{kind}"] *= 1e5
    save_file(tensors, weights, metadata={"format": "pt"})
    return folder


def test_the_black_picture_of_an_overflowing_vae_is_caught(tmp_path):
    model = overflowing_copy(tmp_path / "model")
    bench = Bench(model=str(model), device="cpu", budget=None)
    with Lab(bench, gate=Gate(tmp_path / "pictures")) as lab:
        plain = lab.run(probe(width=64, height=64, steps=1))
        half = lab.run(probe(Settings(precision="fp16"), width=64, height=64, steps=1))
        good = lab.run(probe(BF16, width=64, height=64, steps=1))
    assert plain.quality.verdict is Verdict.REFERENCE
    assert half.outcome is Outcome.REJECTED
    assert half.quality.verdict is Verdict.NOT_FINITE
    assert "decode" in half.message
    assert good.quality.verdict is Verdict.SAME, good.quality
