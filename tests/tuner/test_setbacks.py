"""What a pipeline with a profile does after a setback: what it learned, what it writes down, where it ends."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from made_profiles import FAST, TILED, profile

from doctor.errors import UsageError
from doctor.incidents import incidents_file, read_incidents
from tuner.models import resolve
from tuner.profile import ProfileRung
from tuner.settings import Settings
from tuner.worker.build import load_pipeline

ASK = {"prompt": "a red circle", "num_inference_steps": 1, "width": 64, "height": 64, "output_type": "np"}
MESSAGE = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture
def pipe():
    made = load_pipeline(resolve("builtin:tiny"), torch.float32)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


@pytest.fixture
def full(pipe):
    """A pipeline whose decoder runs out of memory unless the picture is decoded in tiles; counts the calls."""
    decode, calls = pipe.vae.decode, []

    def decode_or_fail(*arguments, **named):
        calls.append(pipe.vae.use_tiling)
        if not pipe.vae.use_tiling:
            raise torch.OutOfMemoryError(MESSAGE)
        return decode(*arguments, **named)

    pipe.vae.decode = decode_or_fail
    pipe.decodings = calls
    return pipe


def test_out_of_memory_steps_down_finishes_the_picture_tells_and_records(full, caplog):
    tuned = profile().apply(full)
    with caplog.at_level(logging.WARNING, logger="sdoctor"):
        picture = tuned(**ASK).images
    assert picture.shape == (1, 64, 64, 3)
    assert full.decodings == [False, True]
    assert (tuned.settings, tuned.setup["vae_tiling"]) == (TILED, "on")
    # Other libraries' loggers reach this one too, depending on the tests before.
    told = [record.getMessage() for record in caplog.records if record.name == "sdoctor"]
    assert told == [
        f"sdoctor: out of memory with {FAST.text()}; trying again with {TILED.text()} (rung 'tiled decode')."
    ]
    (incident,) = read_incidents()
    assert (incident.source, incident.kind, incident.message) == ("script", "out_of_memory", MESSAGE)
    assert (incident.settings, incident.next_settings) == (FAST.text(), TILED.text())
    assert (incident.model, incident.width, incident.height) == ("builtin:tiny", 64, 64)
    # What was learned holds: the next call does not run out of memory once more.
    tuned(**ASK)
    assert full.decodings == [False, True, True]
    assert len(read_incidents()) == 1


def test_where_the_ladder_ends_the_error_is_the_librarys_own(pipe, caplog):
    def never(*_arguments, **_named):
        raise torch.OutOfMemoryError(MESSAGE)

    pipe.vae.decode = never
    tuned = profile().apply(pipe)
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        tuned(**ASK)
    assert [incident.next_settings is None for incident in read_incidents()] == [False, False, True]
    assert caplog.messages[-1].endswith("nothing more frugal is left to try.")


def test_a_full_disk_costs_the_record_and_not_the_picture(full, caplog, monkeypatch):
    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    assert profile().apply(full)(**ASK).images.shape == (1, 64, 64, 3)
    assert "could not be recorded" in caplog.text
    assert "No space left on device" in caplog.text


def test_a_record_that_was_cut_off_harms_no_other(full):
    incidents_file().parent.mkdir(parents=True)
    incidents_file().write_bytes(b'{"schema": "sdoctor.incident/1", "at": "20')
    profile().apply(full)(**ASK)
    assert [incident.source for incident in read_incidents()] == ["script"]


def test_steps_that_need_another_load_are_left_out(full):
    """A pipeline in use cannot change its precision, so a rung that would is not tried."""
    slower = Settings(precision="fp32", vae_tiling="on")
    ladder = (profile().ladder[0], ProfileRung(name="exact", settings=slower, largest=2048, limit="memory"))
    tuned = replace(profile(), ladder=ladder).apply(full)
    with pytest.raises(torch.OutOfMemoryError):
        tuned(**ASK)
    assert tuned.settings == FAST


def test_a_budget_that_is_no_amount_is_refused(pipe):
    with pytest.raises(UsageError, match="'lots' is not an amount of memory"):
        profile().apply(pipe, budget="lots")
