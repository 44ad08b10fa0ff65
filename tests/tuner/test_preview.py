"""The preview against what it stands for: the same schedulers, run on a model that knows the clean picture."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
)

from tuner.events import Finished, Generate, Load, Preview, decode_event, encode
from tuner.latent_colours import colours_of
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings
from tuner.worker.preview import predicted_clean

SCALED = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SCHEDULERS = [
    (FlowMatchEulerDiscreteScheduler, {}),
    (EulerDiscreteScheduler, SCALED),
    (EulerDiscreteScheduler, {**SCALED, "prediction_type": "v_prediction"}),
    (DDIMScheduler, SCALED),
    (DDIMScheduler, {**SCALED, "prediction_type": "v_prediction"}),
    (DPMSolverMultistepScheduler, SCALED),
    (LCMScheduler, SCALED),
    (PNDMScheduler, {**SCALED, "skip_prk_steps": True}),
]


def mixed(scheduler, clean, noise, timestep, place):
    """The noisy sample and the perfect model's output at a timestep."""
    kind = scheduler.config.get("prediction_type", "epsilon")
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        sigma = scheduler.sigmas[place]
        return (1 - sigma) * clean + sigma * noise, noise - clean
    if isinstance(scheduler, EulerDiscreteScheduler):
        sigma = scheduler.sigmas[place]
        a, b = 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
        return clean + sigma * noise, (a * noise - b * clean) if kind == "v_prediction" else noise
    kept = scheduler.alphas_cumprod[int(timestep)]
    a, b = kept**0.5, (1 - kept) ** 0.5
    return a * clean + b * noise, (a * noise - b * clean) if kind == "v_prediction" else noise


@pytest.mark.parametrize(("kind", "config"), SCHEDULERS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_clean_picture_follows_from_the_models_output(kind, config):
    scheduler = kind(**config)
    scheduler.set_timesteps(10)
    chance = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=chance)
    for place, timestep in enumerate(scheduler.timesteps[:4]):
        sample, output = mixed(scheduler, clean, noise, timestep, place)
        scheduler.step(output, timestep, sample)
        assert torch.allclose(predicted_clean(scheduler, output, timestep, sample), clean, atol=0.02)


def test_only_known_vaes_have_colours():
    assert len(colours_of(4, 0.18215).rows) == 4
    assert len(colours_of(16, 0.3611).rows) == 16
    assert colours_of(32, 0.41407) is None
    assert colours_of(None, None) is None


def test_a_preview_survives_the_wire():
    preview = Preview(index=3, width=2, height=1, rgb=bytes(range(250, 256)))
    assert decode_event(encode(preview)) == preview


def test_previews_come_while_the_picture_forms_and_resemble_it(tmp_path):
    from PIL import Image, ImageChops, ImageStat

    path = tmp_path / "made.png"
    worker = Worker()
    try:
        list(worker.run(Load(model="builtin:tiny", settings=Settings(), device="cpu"), Limits()))
        request = Request(prompt="a red circle on a blue background", width=128, height=128, steps=12, seed=3)
        with_preview = Generate(request=request, outputs=(str(path),), preview_seconds=0.0)
        events = list(worker.run(with_preview, Limits()))
        plain = list(worker.run(Generate(request=request), Limits()))
    finally:
        worker.close()
    assert isinstance(events[-1], Finished)
    previews = [event for event in events if isinstance(event, Preview)]
    assert [one.index for one in previews] == list(range(1, 13))
    assert not any(isinstance(event, Preview) for event in plain)
    final = Image.open(path).convert("RGB").resize((16, 16), Image.Resampling.BOX)

    def distance(preview):
        shown = Image.frombytes("RGB", (preview.width, preview.height), preview.rgb)
        return sum(ImageStat.Stat(ImageChops.difference(shown, final)).mean) / 3

    grey = (
        sum(ImageStat.Stat(ImageChops.difference(Image.new("RGB", (16, 16), (128, 128, 128)), final)).mean)
        / 3
    )
    assert distance(previews[-1]) < grey / 2
    assert distance(previews[-1]) < distance(previews[0])
