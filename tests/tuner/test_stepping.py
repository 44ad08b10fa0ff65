"""Steps down: the profile's rungs first, then what the device allows, and never towards more memory."""

from __future__ import annotations

from dataclasses import replace

from made_profiles import FAST, TILED, profile
from simulated import CPU

from doctor.sizes import GIB
from tuner.profile import ProfileRung
from tuner.settings import Settings
from tuner.stepping import steps_below
from tuner.target import Target

CARD = Target(
    device="cuda:0",
    name="card",
    memory_total=8 * GIB,
    memory_free=8 * GIB,
    capability=(8, 6),
    fast_bf16=True,
    packages=("accelerate",),
)


def seen(steps):
    return [(step.name, step.settings.text(), step.proven) for step in steps]


def test_the_profiles_rung_is_proven_and_what_comes_after_is_not():
    steps = steps_below(FAST, profile(), CARD)
    assert seen(steps) == [
        ("tiled decode", TILED.text(), True),
        ("tiled decode", TILED.but(vae_slicing="on").text(), False),
        ("model offload", TILED.but(vae_slicing="on", offload="model").text(), False),
        ("low memory", TILED.but(vae_slicing="on", offload="sequential").text(), False),
    ]
    assert steps[0].text() == f"{TILED.text()} (rung 'tiled decode')"
    assert steps[1].text().endswith("(rung 'tiled decode', not proven by tune here)")


def test_without_a_profile_nothing_is_called_proven():
    steps = steps_below(FAST, None, CARD)
    assert [step.settings.offload for step in steps] == ["none", "model", "sequential"]
    assert not any(step.proven for step in steps)


def test_a_cpu_has_nowhere_to_offload_to():
    steps = steps_below(FAST, None, CPU)
    assert [step.settings for step in steps] == [TILED.but(vae_slicing="on")]
    assert steps_below(TILED.but(vae_slicing="on"), None, CPU) == ()


def test_what_the_user_insists_on_holds_and_equal_steps_fall_together():
    def untiled(settings: Settings) -> Settings:
        return settings.but(vae_tiling="off")

    steps = steps_below(FAST, profile(), CARD, untiled)
    assert [step.settings.offload for step in steps] == ["none", "model", "sequential"]
    assert all(step.settings.vae_tiling == "off" for step in steps)
    assert len({step.settings for step in steps}) == len(steps)

    def as_it_was(_settings: Settings) -> Settings:
        return FAST

    assert steps_below(FAST, profile(), CARD, as_it_was) == ()


def test_settings_that_are_no_rung_never_step_up():
    # Low memory was asked for: no rung of the profile is as frugal.
    asked = TILED.but(vae_slicing="on", offload="sequential")
    assert steps_below(asked, profile(), CARD) == ()
    grouped = TILED.but(vae_slicing="on", offload="group")
    assert [step.settings.offload for step in steps_below(grouped, profile(), CARD)] == ["sequential"]


def test_the_last_rung_of_the_profile_goes_on_to_what_the_device_allows():
    offloaded = TILED.but(offload="model")
    ladder = (
        *profile().ladder,
        ProfileRung(name="model offload", settings=offloaded, largest=3072, limit="time"),
    )
    steps = steps_below(offloaded, replace(profile(), ladder=ladder), CARD)
    assert [(step.name, step.proven) for step in steps][-1] == ("low memory", False)
    assert all(step.settings.offload in ("model", "sequential") for step in steps)
