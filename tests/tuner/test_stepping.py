"""What is tried after memory ran out: proven rungs first, then what is possible, never back up, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from profile_parts import profile_with

from tuner.knobs import knob, refusals
from tuner.settings import Settings
from tuner.stepping import steps_below
from tuner.target import Target

CPU = Target(device="cpu", packages=("accelerate",))
CARD = Target(device="cuda:0", capability=(8, 6), packages=("accelerate",))
FAST = Settings(precision="fp16")
TILED = FAST.but(vae_tiling="on", vae_slicing="on")
MOVED = TILED.but(offload="model")


def test_the_profiles_own_rungs_come_first_and_count_as_proven():
    steps = steps_below(FAST, profile_with(FAST, TILED, MOVED), CARD)
    assert [step.settings for step in steps[:2]] == [TILED, MOVED]
    assert [step.proven for step in steps] == [True, True, *(False for _ in steps[2:])]
    assert steps[-1].settings.offload == "sequential"
    assert "not proven by tune here" in steps[-1].text()
    assert "not proven" not in steps[0].text()


def test_from_the_middle_of_the_ladder_it_only_goes_down():
    steps = steps_below(MOVED, profile_with(FAST, TILED, MOVED), CARD)
    assert all(step.settings.offload in ("group", "sequential") for step in steps)


def test_without_a_profile_there_is_still_something_to_try():
    steps = steps_below(FAST, None, CARD)
    assert steps
    assert not any(step.proven for step in steps)


def test_on_a_cpu_nothing_is_moved():
    steps = steps_below(Settings(precision="bf16"), None, CPU)
    assert [step.settings.offload for step in steps] == ["none"] * len(steps)
    assert steps[-1].settings.vae_tiling == "on"


def test_what_the_user_insists_on_stays_and_makes_no_doubles():
    steps = steps_below(FAST, profile_with(FAST, TILED, MOVED), CARD, lambda one: one.but(vae_tiling="off"))
    found = [step.settings for step in steps]
    assert all(settings.vae_tiling == "off" for settings in found)
    assert len(found) == len(set(found))


@given(
    start=st.builds(
        Settings,
        precision=st.sampled_from(["fp32", "fp16", "bf16"]),
        vae_tiling=st.sampled_from(["on", "off"]),
        vae_slicing=st.sampled_from(["on", "off"]),
        offload=st.sampled_from(knob("offload").values),
    ),
    rungs=st.lists(st.sampled_from([FAST, TILED, MOVED]), unique=True),
)
def test_any_way_down_ends_and_never_turns_back(start, rungs):
    steps = steps_below(start, profile_with(*rungs) if rungs else None, CARD)
    settings = [step.settings for step in steps]
    assert start not in settings
    assert len(settings) == len(set(settings))
    order = list(knob("offload").values)
    assert all(order.index(one.offload) >= order.index(start.offload) for one in settings)
    assert all(refusals(one, CARD) == [] for one in settings)


def test_what_is_as_frugal_as_can_be_has_nothing_below():
    """Low memory was asked for, which is no rung of the profile."""
    profile = profile_with(FAST, TILED, MOVED)
    assert steps_below(TILED.but(offload="sequential"), profile, CARD) == ()
    grouped = steps_below(TILED.but(offload="group"), profile, CARD)
    assert [step.settings.offload for step in grouped] == ["sequential"]
