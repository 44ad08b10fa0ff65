"""What one order teaches the next: the rung that worked comes first, for the same or a larger picture."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.trace import Outcome
from tui.decision import Asked, decide
from tui.lessons import Lesson, heeding
from tui.orders import Order
from tui.run_messages import Prepared
from tui.situation import survey
from tui.workshop import Bench, Workshop
from tuner.events import Failed, Finished
from tuner.generation import Wish
from tuner.settings import Request, Settings
from tuner.stepping import LadderStep

BUDGET = 230 * 2**20


@pytest.fixture(scope="module")
def situation(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(tmp_path_factory.mktemp("home")))
        return replace(survey("builtin:tiny", "cpu", None), budget=BUDGET)


def decision_for(situation, wish, settings="precision=bf16"):
    asked = Asked(precision=None, low_memory=False, settings=settings, use_profile=False)
    return decide(situation, asked, wish)


def lesson(situation, failed, wish=None, **request):
    wish = wish or Wish(prompt="x", width=512, height=512)
    whole = Request(prompt="x", **{"width": 512, "height": 512, "steps": 1, "seed": 0, "batch": 1, **request})
    return Lesson(
        model=situation.address,
        device="cpu",
        budget=situation.budget,
        wish=wish,
        request=whole,
        failed=failed,
    )


@pytest.mark.parametrize(
    ("wish", "skips"),
    [
        (Wish(prompt="y", width=512, height=512), True),
        (Wish(prompt="y", width=1024, height=512), True),
        (Wish(prompt="y", width=512, height=512, batch=2), True),
        (Wish(prompt="y", width=256, height=512), False),
        (Wish(prompt="y"), False),
    ],
)
def test_the_same_and_the_larger_begin_lower_and_it_is_said(situation, wish, skips):
    first = decision_for(situation, wish)
    heeded = heeding(first, situation, wish, (lesson(situation, (first.settings,)),))
    if not skips:
        assert heeded == first
        return
    assert heeded.settings == first.ladder[0].settings
    assert heeded.ladder == first.ladder[1:]
    assert f"{first.settings.text()} ran out of memory at 512x512 before; beginning with" in heeded.notes[-1]


def test_sizes_left_open_both_times_are_the_same_size(situation):
    wish = Wish(prompt="y")
    first = decision_for(situation, wish)
    learnt = lesson(situation, (first.settings,), wish=Wish(prompt="x"), width=64, height=64)
    assert heeding(first, situation, wish, (learnt,)).settings != first.settings


@pytest.mark.parametrize(
    "changes", [{"budget": 2 * BUDGET}, {"budget": None}, {"model": "other"}, {"device": "cuda:0"}]
)
def test_another_model_or_more_memory_is_another_matter(situation, changes):
    wish = Wish(prompt="y", width=512, height=512)
    first = decision_for(situation, wish)
    learnt = lesson(situation, (first.settings,))
    if "budget" in changes:
        now = replace(situation, **changes)
    else:
        now, learnt = situation, replace(learnt, **changes)
    assert heeding(first, now, wish, (learnt,)) == first


@given(failed=st.sets(st.integers(0, 3)))
def test_what_is_begun_with_did_not_fail_or_everything_did(situation, failed):
    wish = Wish(prompt="y", width=512, height=512)
    first = decision_for(situation, wish)
    rungs = [first.settings, *(step.settings for step in first.ladder)]
    bad = tuple(rungs[number] for number in failed if number < len(rungs))
    heeded = heeding(first, situation, wish, (lesson(situation, bad),))
    assert heeded.settings not in bad or heeded == first
    assert isinstance(heeded.settings, Settings)


def test_the_next_order_begins_where_the_last_one_worked(tmp_path, monkeypatch):
    """512x512 of builtin:tiny in fp32 is decoded in less than 150 MiB in tiles; otherwise 167 MiB are resident alone."""
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    workshop = Workshop(
        Bench(device="cpu", memory="150MiB", use_profile=False, output=str(tmp_path), preview=False)
    )

    def draw(seed, side=512):
        wish = Wish(prompt="x", width=side, height=side, steps=1, seed=seed)
        order = Order(model="builtin:tiny", wish=wish, settings="precision=fp32")
        return list(workshop.job(order, lambda: ()).start())

    try:
        before, after, small = draw(1), draw(2), draw(3, side=64)
    finally:
        workshop.close()
    assert [event.outcome for event in before if isinstance(event, Failed)] == [Outcome.OUT_OF_MEMORY]
    assert sum(isinstance(event, LadderStep) for event in before) == 1
    assert isinstance(before[-1], Finished)
    assert not any(isinstance(event, Failed | LadderStep) for event in after)
    assert isinstance(after[-1], Finished)
    (told,) = (event for event in after if isinstance(event, Prepared))
    assert "ran out of memory at 512x512 before; beginning with" in told.note
    assert "VAE tiling" in told.settings_text
    (top,) = (event for event in small if isinstance(event, Prepared))
    assert "VAE tiling" not in top.settings_text
    assert [result.finished for result in workshop.results] == [True, True, True]
