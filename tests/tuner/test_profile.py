"""Profiles: saved whole or not at all, matched by fingerprint, refused with the reason."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from doctor.errors import NotInOrder
from doctor.trace import Outcome
from tuner import store
from tuner.fingerprint import Fingerprint
from tuner.probe import Purpose, Trial
from tuner.profile import Profile, ProfileRung, decode_profile
from tuner.settings import Settings

HERE = Fingerprint(
    device="cpu", name="EPYC", memory_gib=24, cores=2, torch="2.13.0", diffusers="0.42.1", os="Linux"
)
TILED = Settings(precision="bf16", vae_tiling="on")
PROFILE = Profile(
    model="builtin:tiny",
    fingerprint=HERE,
    made_at="2026-11-23T00:00:00+00:00",
    budget_bytes=2**30,
    width=128,
    height=128,
    batch=1,
    best=Settings(precision="bf16"),
    speedup=1.5,
    ladder=(
        ProfileRung(name="fastest", settings=Settings(precision="bf16"), largest=1024, limit="memory"),
        ProfileRung(name="tiled decode", settings=TILED, largest=2048, limit="memory"),
    ),
    trials=(
        Trial(
            purpose=Purpose.BASELINE,
            settings=Settings(),
            width=128,
            height=128,
            batch=1,
            steps=4,
            outcome=Outcome.FINISHED,
            seconds_per_image=1.0,
        ),
    ),
)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


def test_a_saved_profile_is_found_again():
    path = store.save(PROFILE)
    found = store.match("builtin:tiny", HERE)
    assert found.profile == PROFILE
    assert (found.path, found.reason) == (path, "")


def test_without_a_profile_the_reason_says_so():
    assert store.match("builtin:tiny", HERE).reason == "no profile of builtin:tiny on this machine yet"
    store.save(PROFILE)
    assert store.match("builtin:sd15", HERE).profile is None


def test_another_machines_profile_is_refused_with_the_difference():
    store.save(PROFILE)
    found = store.match("builtin:tiny", replace(HERE, torch="2.14.1"))
    assert found.profile is None
    assert "torch 2.13.0 instead of 2.14.1" in found.reason


def test_models_with_like_names_do_not_meet():
    store.save(replace(PROFILE, model="a/b"))
    store.save(replace(PROFILE, model="a-b", speedup=9.0))
    assert store.match("a-b", HERE).profile.speedup == 9.0
    assert store.match("a/b", HERE).profile.speedup == 1.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b'{"schema": "sdoctor.profile/1"}', "cannot be read"),
        (b'{"schema": "sdoctor.profile/9", "future": 1}', "'sdoctor.profile/9'"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_corrupt_and_newer_profiles_are_one_sentence(content, words):
    with pytest.raises(NotInOrder, match=words):
        decode_profile(content, "p.json")
    path = store.save(PROFILE)
    path.write_bytes(content)
    found = store.match("builtin:tiny", HERE)
    assert found.profile is None
    assert str(path) in found.reason


def test_round_trip():
    assert decode_profile(msgspec.json.encode(PROFILE), "p") == PROFILE


@pytest.mark.parametrize(
    ("size", "rung"),
    [
        ((512, 512), "fastest"),
        ((1024, 1024), "fastest"),
        ((2048, 512), "fastest"),
        ((1088, 1024), "tiled decode"),
        ((4096, 4096), "tiled decode"),
    ],
)
def test_the_first_rung_that_was_proven_at_the_size_is_taken(size, rung):
    assert PROFILE.settings_for(*size)[1] == rung


def test_a_wide_study_promises_no_square_of_its_width():
    wide = replace(PROFILE.ladder[0], largest=1173, width=1536, height=896)
    profile = replace(
        PROFILE, ladder=(wide, replace(PROFILE.ladder[1], largest=1408, width=1856, height=1088))
    )
    assert wide.extent == "1536x896"
    assert profile.settings_for(1536, 896)[1] == profile.settings_for(896, 1536)[1] == "fastest"
    assert profile.settings_for(1536, 1536)[1] == "tiled decode"
    assert not profile.ladder[1].proves(1536, 1536)
    # Four at once, as tuned: each and all together must be no more than what ran.
    four = replace(PROFILE.ladder[0], largest=512, width=512, height=512, batch=4)
    assert four.proves(512, 512, 4)
    assert not four.proves(512, 512, 5)
    assert not four.proves(1024, 1024)
    assert PROFILE.ladder[0].proves(512, 512, 4)


def test_a_write_that_fails_leaves_the_old_profile(monkeypatch):
    path = store.save(PROFILE)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(replace(PROFILE, speedup=99.0))
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_profile_of_the_first_schema_still_loads():
    document = msgspec.json.decode(msgspec.json.encode(PROFILE))
    document["schema"] = "sdoctor.profile/1"
    # What schema 1 did not have yet, and settings that came later.
    for name in ("pipeline", "architecture"):
        document.pop(name)
    for rung in document["ladder"]:
        rung.pop("peak_bytes")
        rung.pop("seconds_per_image")
        rung["settings"].pop("vae_precision")
    profile = decode_profile(msgspec.json.encode(document), "old.json")
    assert profile.best == PROFILE.best
    assert profile.ladder[1].settings == TILED
    assert (profile.pipeline, profile.architecture) == (None, {})


def test_a_profile_for_little_memory_stands_beside_the_usual_one():
    frugal = replace(PROFILE, low_memory=True, best=TILED)
    store.save(frugal)
    assert store.match("builtin:tiny", HERE).profile == frugal
    store.save(PROFILE)
    assert store.match("builtin:tiny", HERE).profile == PROFILE
    assert store.match("builtin:tiny", HERE, low_memory=True).profile == frugal
    store.save(frugal)
    assert len(store.stored()) == 2
