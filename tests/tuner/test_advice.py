"""Advice: the rung of a ladder for a size and for what is free."""

from __future__ import annotations

import pytest
from machines import CPU_ONLY
from made_profiles import FAST, TILED, profile

from doctor.daemon.api.route import Call, Peer
from doctor.sizes import GIB, MIB
from doctor.trace import Outcome
from tuner.advice import BARE_PROCESS_BYTES, HEAP_BYTES, Basis, does_not_fit, largest_that_fits, needs
from tuner.advice_routes import AdviceSources, Ask, routes
from tuner.leases import LeaseBook
from tuner.probe import Purpose, Trial
from tuner.profile import ProfileRung
from tuner.store import save


def trial(settings, side, peak, batch=1, outcome=Outcome.FINISHED):
    return Trial(
        purpose=Purpose.BASELINE, settings=settings, width=side, height=side, batch=batch, steps=1, outcome=outcome,
        peak_bytes=peak * MIB,
    )  # fmt: skip


PROFILE = profile(
    trials=(
        trial(FAST, 512, 400),
        trial(FAST, 1024, 1600),
        trial(FAST, 2048, 9999, outcome=Outcome.OUT_OF_MEMORY),
        trial(TILED, 2048, 900),
    )
)


def need(width, height, batch=1, rung=0):
    return needs(PROFILE, width, height, batch)[0][rung]


def test_a_size_that_was_run():
    assert need(512, 512).bytes == 400 * MIB + (BARE_PROCESS_BYTES + HEAP_BYTES)
    assert need(512, 512).basis is Basis.MEASURED
    assert need(512, 512).settings == FAST


def test_between_two_runs_a_little_more_than_the_line():
    found = need(768, 768)
    line = 400 + (768**2 - 512**2) / (1024**2 - 512**2) * 1200
    assert found.basis is Basis.BETWEEN
    assert (found.bytes - (BARE_PROCESS_BYTES + HEAP_BYTES)) / MIB == pytest.approx(1.05 * line, rel=0.001)


def test_never_more_than_the_larger_run():
    assert need(1016, 1024).bytes == need(1024, 1024).bytes


def test_below_the_smallest_run_its_figure_is_the_bound():
    assert (need(256, 256).bytes, need(256, 256).basis) == (need(512, 512).bytes, Basis.LARGER)


def test_a_batch_counts_by_its_pixels():
    assert need(512, 512, batch=4).bytes == 1600 * MIB + (BARE_PROCESS_BYTES + HEAP_BYTES)
    assert need(512, 512, batch=4).basis is not Basis.MEASURED


def test_a_rung_that_was_never_proven_so_large_is_passed_over():
    fitting, skipped = needs(PROFILE, 1536, 1536, 1)
    assert [each.rung for each in fitting] == ["tiled decode"]
    assert [each.rung for each in skipped] == ["fastest"]
    assert "1024x1024" in skipped[0].why


def test_nothing_was_proven_so_large():
    fitting, skipped = needs(PROFILE, 4096, 4096, 1)
    assert fitting == ()
    assert len(skipped) == 2


def test_a_rung_without_trials_has_the_figure_of_its_largest_run():
    bare = profile(
        ladder=(
            ProfileRung(name="fastest", settings=FAST, largest=1024, limit="memory", peak_bytes=700 * MIB),
        )
    )
    assert needs(bare, 512, 512, 1)[0][0].bytes == 700 * MIB + (BARE_PROCESS_BYTES + HEAP_BYTES)


def test_what_would_fit():
    free = 1000 * MIB + (BARE_PROCESS_BYTES + HEAP_BYTES)
    assert largest_that_fits(PROFILE, free) == (2048, "tiled decode")
    assert largest_that_fits(PROFILE, 500 * MIB + (BARE_PROCESS_BYTES + HEAP_BYTES)) == (512, "fastest")
    assert largest_that_fits(PROFILE, 10) is None


def test_the_reason_has_its_figures():
    why = does_not_fit(need(1024, 1024), 1024 * MIB).why
    assert "needs 2.15 GiB" in why
    assert "measured" in why


@pytest.mark.parametrize("lease", [True, False])
def test_the_daemons_own_study_gives_way_before_it_is_looked_what_is_free(lease, tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    rungs = (
        ProfileRung(name="fastest", settings=FAST, largest=512, limit="memory", peak_bytes=4 * GIB),
        ProfileRung(name="tiled decode", settings=TILED, largest=512, limit="memory", peak_bytes=GIB),
    )
    save(profile(ladder=rungs))
    held = [6 * GIB]  # by the study
    asked = []

    def make_room(seconds, pid):
        asked.append((seconds, pid))
        held.clear()

    sources = AdviceSources(
        facts=lambda: CPU_ONLY,
        free=lambda _: 8 * GIB - sum(held),
        book=LeaseBook(lambda _device, _pid: 0, lambda _pid: 1.0),
        give_way=lambda _: None,
        make_room=make_room,
    )
    advise = next(route.answer for route in routes(sources) if route.path == "/v1/advice")
    wish = Ask(model="builtin:tiny", width=512, height=512, device="cpu", lease=lease)
    found = advise(Call(peer=Peer(pid=7), body=wish))
    # Who only looks stops nobody.
    assert (found.rung, asked) == (("fastest", [(120.0, 7)]) if lease else ("tiled decode", []))
