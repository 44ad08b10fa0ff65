"""Choosing a profile: by model, file or name; refused with the reason, taken by force."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from machines import CPU_ONLY, HEALTHY
from made_profiles import HERE, profile

from doctor.errors import NotInOrder, UsageError
from tuner import store
from tuner.choosing import choose, find_named, mismatch
from tuner.profile import decode_profile


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


def refused(text: str, facts=CPU_ONLY, **options) -> str:
    with pytest.raises(NotInOrder) as caught:
        choose(text, facts, **options)
    return str(caught.value)


def test_a_profile_is_found_by_model_file_and_name():
    path = store.save(profile())
    for text in ("builtin:tiny", str(path), path.stem):
        found = choose(text, CPU_ONLY)
        assert (found.profile, found.path, found.mismatch) == (profile(), path, "")


def test_without_a_profile_the_command_that_makes_one_is_named():
    assert refused("builtin:tiny") == (
        "No profile of builtin:tiny on this machine yet; `sdoctor tune builtin:tiny` makes one."
    )
    assert "`sdoctor tune builtin:tiny` makes one" in refused("builtin:tiny", force=True)


@pytest.mark.parametrize("by", ["model", "file"])
def test_an_outdated_fingerprint_is_refused_and_force_takes_it(by):
    old = profile(fingerprint=replace(HERE, torch="2.9.0", cores=2))
    path = store.save(old)
    text = "builtin:tiny" if by == "model" else str(path)
    message = refused(text)
    assert "torch 2.9.0 instead of 2.13.0+cpu" in message
    assert "cores 2 instead of 8" in message
    assert message.endswith("force takes it all the same.")
    found = choose(text, CPU_ONLY, force=True)
    assert found.profile == old
    assert "torch 2.9.0 instead of 2.13.0+cpu" in found.mismatch


def test_force_takes_the_newest_of_several():
    for year, torch in (("2024", "2.5.0"), ("2026", "2.9.0"), ("2025", "2.7.0")):
        made = replace(HERE, torch=torch)
        store.save(profile(fingerprint=made, made_at=f"{year}-01-01T00:00:00+00:00"))
    assert choose("builtin:tiny", CPU_ONLY, force=True).profile.fingerprint.torch == "2.9.0"


def test_force_does_not_take_another_profile_where_one_holds():
    store.save(profile(fingerprint=replace(HERE, torch="2.9.0"), made_at="2030-01-01T00:00:00+00:00"))
    store.save(profile())
    assert choose("builtin:tiny", CPU_ONLY, force=True).profile == profile()


def test_a_profile_of_a_card_that_is_not_here_says_so():
    carded = profile(fingerprint=replace(HERE, device="cuda", name="RTX 3060"))
    assert "cuda" in mismatch(carded.fingerprint, CPU_ONLY)
    # Where there is a card, a profile of the CPU is held against the CPU.
    assert mismatch(HERE, HEALTHY) == "made with torch 2.13.0+cpu instead of 2.13.0+cu130"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema": "sdoctor.profile/1", "mod', "cannot be read"),
        (b'{"schema": "sdoctor.profile/7"}', "was written by a newer sdoctor"),
        (b'{"schema": "sdoctor.tune/1"}', "is not a profile of sdoctor"),
        (b"", "cannot be read"),
    ],
)
def test_torn_newer_and_foreign_files_are_one_sentence_even_by_force(content, words):
    path = store.save(profile())
    path.write_bytes(content)
    for text in (str(path), path.stem):
        for force in (False, True):
            message = refused(text, force=force)
            assert words in message
            assert str(path) in message
            assert "\n" not in message
    assert words in refused("builtin:tiny", force=True)


def test_a_torn_file_does_not_hide_a_whole_one():
    torn = store.save(profile(fingerprint=replace(HERE, torch="2.9.0")))
    torn.write_bytes(torn.read_bytes()[:200])
    store.save(profile())
    assert choose("builtin:tiny", CPU_ONLY).profile == profile()


def test_a_profile_of_schema_1_is_read():
    """As it was written before pipeline, architecture and the figures of the rungs were added."""
    document = msgspec.to_builtins(profile())
    for name in ("pipeline", "architecture"):
        del document[name]
    for rung in document["ladder"]:
        del rung["peak_bytes"], rung["seconds_per_image"]
    path = store.save(profile())
    path.write_bytes(msgspec.json.encode(document | {"schema": "sdoctor.profile/1"}))
    found = choose("builtin:tiny", CPU_ONLY).profile
    assert (found.pipeline, found.architecture, found.best) == (None, {}, profile().best)
    assert [rung.peak_bytes for rung in found.ladder] == [None, None]
    assert decode_profile(msgspec.json.encode(found), "again") == found


def test_a_file_that_is_not_there_and_names_that_are_none():
    with pytest.raises(UsageError, match=r"There is no profile .gone\.json"):
        choose("gone.json", CPU_ONLY)
    assert find_named("builtin-tiny-00000000") is None
    with pytest.raises(UsageError, match="is not a model"):
        choose("builtin-tiny-00000000", CPU_ONLY)
