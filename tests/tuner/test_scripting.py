"""Profiles in a user's own program: the pipeline is set up, memory that runs out costs a rung and not the picture."""

from __future__ import annotations

import logging
import resource
from dataclasses import replace

import pytest
import torch
from profile_parts import profile_with

import tuner
from doctor.errors import NotInOrder, UsageError
from doctor.gather import gather
from doctor.incidents import read_incidents
from doctor.sizes import MIB
from tuner import store
from tuner.architecture import architecture_of
from tuner.fingerprint import fingerprint_of
from tuner.models import resolve
from tuner.settings import Settings
from tuner.target import choose_target
from tuner.worker.build import load_pipeline

FAST = Settings(precision="bf16")
TILED = FAST.but(vae_tiling="on", vae_slicing="on")


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def loaded():
    pipe = load_pipeline(resolve("builtin:tiny"), torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(loaded):
    yield loaded
    loaded.vae.disable_tiling()
    loaded.vae.disable_slicing()


def test_the_size_chooses_the_rung(pipe):
    profile = profile_with(FAST, TILED)
    assert profile.apply(pipe).settings == FAST
    small, large = profile.apply(pipe, width=512, height=512), profile.apply(pipe, width=1024, height=512)
    assert (small.settings, large.settings) == (FAST, TILED)
    assert large.setup["precision"] == "bf16"
    assert pipe.vae.use_tiling


def test_it_is_called_and_read_as_the_pipeline_itself(pipe):
    tuned = profile_with(FAST).apply(pipe)
    assert tuned.unet is pipe.unet
    picture = tuned("a red circle", width=64, height=64, num_inference_steps=1).images[0]
    assert picture.size == (64, 64)
    assert not hasattr(tuned, "no_such_thing")


def test_another_architecture_is_refused_unless_forced(pipe):
    here = architecture_of(pipe)
    profile = profile_with(
        FAST, architecture={**here, "unet": "UNet2DConditionModel of 859520964 parameters"}
    )
    with pytest.raises(NotInOrder, match="another architecture than this pipeline: unet"):
        profile.apply(pipe)
    assert profile.apply(pipe, force=True).settings == FAST
    assert profile_with(FAST, architecture=here).apply(pipe).settings == FAST


# A limit of memory in this very process leaves it unfit for the tests after it: oneDNN then failed to make primitives.
@pytest.mark.slow
def test_out_of_memory_costs_a_rung_a_warning_and_an_incident(pipe, caplog):
    profile = profile_with(FAST, TILED)
    tuned = profile.apply(pipe, budget=200 * MIB)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with caplog.at_level(logging.WARNING, "sdoctor"):
        picture = tuned("a red circle", width=768, height=768, num_inference_steps=1).images[0]
    assert picture.size == (768, 768)
    assert tuned.settings == TILED
    assert tuned.setup["vae_tiling"] == "on"
    (record,) = [one for one in caplog.records if one.name == "sdoctor"]
    assert "out of memory with bf16; trying again with" in record.getMessage()
    (incident,) = read_incidents()
    assert (incident.source, incident.width, incident.budget_bytes) == ("script", 768, 200 * MIB)
    assert incident.next_settings == TILED.text()
    # What the program is allowed otherwise is what it was.
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] in (before[0], before[1])


# A limit of memory in this very process leaves it unfit for the tests after it: oneDNN then failed to make primitives.
@pytest.mark.slow
def test_when_nothing_fits_the_error_is_torchs_own_and_it_is_recorded(pipe):
    tuned = profile_with(FAST, TILED).apply(pipe, budget="40MiB")
    with pytest.raises((MemoryError, RuntimeError)):
        tuned("a red circle", width=1024, height=1024, num_inference_steps=1)
    assert read_incidents()[-1].next_settings is None


def test_an_error_of_another_kind_is_not_taken_for_a_lack_of_memory(pipe):
    tuned = profile_with(FAST, TILED).apply(pipe)
    with pytest.raises(ValueError, match="divisible"):
        tuned("a red circle", width=65, height=65, num_inference_steps=1)
    assert tuned.settings == FAST
    assert read_incidents() == ()


def saved(**changes):
    facts = gather()
    here = fingerprint_of(facts, choose_target(facts, "cpu"))
    path = store.save(profile_with(FAST, TILED, fingerprint=here))
    if changes:
        other = replace(here, **changes)
        store.save(profile_with(TILED, fingerprint=other))
        path.unlink()
    return path


def test_a_profile_is_found_by_model_and_by_file():
    path = saved()
    assert tuner.load_profile("builtin:tiny", device="cpu").best == FAST
    assert tuner.load_profile(path).best == FAST
    with pytest.raises(NotInOrder, match="No profile of builtin:sd15"):
        tuner.load_profile("builtin:sd15", device="cpu")
    with pytest.raises(UsageError, match="There is no profile"):
        tuner.load_profile("nowhere.json")


def test_an_outdated_profile_is_refused_with_what_differs_unless_forced():
    saved(torch="2.0.0")
    with pytest.raises(NotInOrder, match=r"made with torch 2\.0\.0 instead of"):
        tuner.load_profile("builtin:tiny", device="cpu")
    assert tuner.load_profile("builtin:tiny", device="cpu", force=True).best == TILED
