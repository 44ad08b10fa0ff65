"""Every builtin with every value of every knob: a plan comes out, or a sentence that says why not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doctor.cards import find_card
from doctor.errors import UsageError
from tuner.device_model import device_of_card
from tuner.dryrun.engine import DryRun
from tuner.dryrun.rows import STAGES, Ask
from tuner.knobs import KNOBS
from tuner.models import builtin_names, resolve
from tuner.plan_settings import check_settings, values_of
from tuner.predict import predict
from tuner.settings import Settings
from tuner.target import Target

CARD = device_of_card(find_card("RTX 4090"))
TARGET = Target(device="cuda:0", capability=(8, 9), packages=("accelerate",))
BASE = Settings(precision="bf16")
OFFLOAD = values_of("offload")
# One of the kernels that are taken as sdpa, and one of GGUF's types, stand for the rest.
MODELLED = ("sdpa", "sdpa-math", "sliced", "xformers", "_native_math")
ALIKE = (*(name for name in values_of("attention") if name not in MODELLED), *values_of("weights")[5:])


def one_by_one() -> list[Settings]:
    """The base with each value of each knob in turn, once for each that the models see."""
    changed = [
        BASE.but(**{knob.name: value})
        for knob in KNOBS
        for value in values_of(knob.name)
        if value not in ALIKE
    ]
    return list({settings.as_the_models_see_them(): settings for settings in changed}.values())


def plan(dry: DryRun, ask: Ask) -> None:
    """All offload modes of one answer on a card; nothing may be negative, missing or without a reason."""
    answer = dry.answer(ask)
    for offload in OFFLOAD:
        settings = ask.settings.but(offload=offload)
        try:
            check_settings(settings, TARGET)
        except UsageError as refusal:
            assert str(refusal).endswith(".")
            continue
        row = predict(answer, settings, CARD)
        assert [stage.name for stage in row.stages] == list(STAGES)
        assert row.peak_device_bytes > row.peak_allocated_bytes > 0
        assert all(stage.flops > 0 and stage.peak_bytes >= stage.weights_bytes for stage in row.stages)
        assert row.seconds_per_image_estimate and row.seconds_per_image_estimate > 0


def sweep(model: str, chosen: list[Settings], size: int) -> None:
    folder = resolve(model).path
    assert folder is not None
    built: dict[object, DryRun] = {}
    for settings in chosen:
        # As the child process does it: what weights or layers depend on needs a pipeline of its own.
        key = (settings.precision, settings.vae_precision, settings.text_precision, settings.attention,
               settings.memory_format, settings.fused_qkv)  # fmt: skip
        if key not in built:
            built.clear()
            built[key] = DryRun(folder, settings)
        plan(built[key], Ask(model=model, settings=settings, width=size, height=size))


def test_every_value_of_every_knob_plans_on_the_small_model():
    sweep("builtin:tiny", one_by_one(), 128)


def test_a_value_that_stands_for_others_is_known_to_the_plan():
    for name in ALIKE:
        knob = "attention" if name in values_of("attention") else "weights"
        check_settings(BASE.but(**{knob: name}), replace(TARGET, capability=(9, 0)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", builtin_names())
def test_every_builtin_plans_with_every_value(name):
    together = [
        BASE,
        BASE.but(precision="fp32", memory_format="channels_last"),
        BASE.but(precision="fp16", vae_precision="fp32", text_precision="fp32"),
        BASE.but(attention="sliced"),
        BASE.but(attention="_native_math", vae_slicing="on"),
        BASE.but(vae_tiling="on", fused_qkv="on"),
        *(BASE.but(weights=kind) for kind in ("int8", "nf4", "fp8", "q4_k")),
    ]
    sweep(f"builtin:{name}", together, 512)
