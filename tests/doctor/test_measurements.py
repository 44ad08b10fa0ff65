"""The measurements themselves, run for real on this machine's processor, memory and disk."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from doctor.facts import Facts, ProbeOutcome, ProbeResult
from doctor.gather import gather
from doctor.probes.measure import compiler, disk_read
from doctor.probes.run import probe_machine
from doctor.probes.say import NotApplicable, Say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for Linux and macOS")


@pytest.fixture(scope="module")
def facts() -> Facts:
    """This machine with every probe run once."""
    return probe_machine(gather())


def well(facts: Facts, name: str) -> ProbeResult:
    result = facts.probe(name)
    assert result is not None
    assert result.outcome is ProbeOutcome.OK, result
    return result


def said(measure: Callable[[Say], None]) -> tuple[dict[str, float], dict[str, str]]:
    """Values and notes of a measurement run in this process."""
    stream = io.StringIO()
    measure(Say(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    values = {line["value"]["name"]: line["value"]["value"] for line in lines if "value" in line}
    return values, {line["note"]["name"]: line["note"]["text"] for line in lines if "note" in line}


def test_every_probe_ends_well_or_does_not_apply(facts: Facts) -> None:
    assert facts.probes is not None
    bad = [one for one in facts.probes if one.outcome not in (ProbeOutcome.OK, ProbeOutcome.NOT_APPLICABLE)]
    assert bad == []
    assert all(one.error for one in facts.probes if one.outcome is ProbeOutcome.NOT_APPLICABLE)
    assert facts.messages == ()


def test_they_survive_a_round_trip(facts: Facts) -> None:
    assert Facts.from_json(facts.to_json()) == facts


def test_imports(facts: Facts) -> None:
    torch, diffusers = well(facts, "import-torch"), well(facts, "import-diffusers")
    assert torch.notes["version"] == facts.torch.version if facts.torch else False
    assert 0.1 < (torch.value("import") or 0) < 60
    # A pipeline brings torch along: the work of importing it is at least that of importing torch.
    assert (diffusers.value("import_cpu") or 0) > (torch.value("import_cpu") or 0)


def test_the_processor_multiplies_at_a_rate_that_is_possible(facts: Facts) -> None:
    rate = well(facts, "cpu-rate")
    threads = rate.value("threads")
    assert threads
    for name in ("fp32", "bf16", "fp16"):
        # From a core of 15 years ago to several times the largest server of today.
        assert 1e-4 < (rate.value(name, "cpu") or 0) < 100
    if threads > 1:
        assert 0.2 < rate.value("fp32") / rate.value("fp32_one_thread") < threads * 2


def test_memory_is_copied_at_a_rate_that_is_possible(facts: Facts) -> None:
    found = well(facts, "memory-bandwidth")
    assert 0.5 < (found.value("copy_one_thread") or 0) < 1000
    assert 0.5 < (found.value("copy") or 0) < 5000


def test_attention_backends_of_a_processor(facts: Facts) -> None:
    found = well(facts, "attention")
    assert found.notes["math"] == "ok"
    if found.devices == ("cpu",):
        assert found.notes["flash"] == "ok"
        assert found.notes["cudnn"].startswith("refused: ")
    assert all(found.value(name) for name, answer in found.notes.items() if answer == "ok")


# compiler


def test_a_compiler_that_works_and_one_that_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compiler.find_compiler()
    if found is None:
        pytest.skip("no C++ compiler here")
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho 'fatal error: Python.h: No such file or directory' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    assert compiler.try_compiler(str(broken)) == "fatal error: Python.h: No such file or directory"
    assert "FileNotFoundError" in (compiler.try_compiler("/nowhere/g++") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert compiler.find_compiler() == str(broken)
    monkeypatch.setenv("PATH", "/nowhere")
    assert compiler.find_compiler() is None


def test_the_compiler_probe(facts: Facts) -> None:
    found = well(facts, "compiler")
    assert found.notes["compiler"]
    assert (found.notes.get("extension") == "ok") == (found.value("compile") is not None)


# disk

MIB = 2**20


def cache_with(folder: Path, size: int) -> Path:
    """A model cache with one file of random bytes, written through to the disk."""
    file = folder / "hub" / "models--x" / "blobs" / "abc"
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        for _ in range(size // MIB):
            out.write(os.urandom(MIB))
        out.flush()
        os.fsync(out.fileno())
    return file


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system has no posix_fadvise")
def test_the_cache_is_read_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cache_with(tmp_path, 48 * MIB)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    try:
        values, notes = said(disk_read.measure)
    except NotApplicable as reason:
        pytest.skip(f"temporary files are kept in memory here: {reason}")
    assert notes["file"] == "a model file of the cache"
    assert values["bytes"] == 48 * MIB
    assert 1 < values["read"] < 100_000
    with file.open("rb") as opened:
        # Having been read, it is in memory now: the measurement costs nobody a second read.
        assert disk_read.resident_share(opened.fileno(), 48 * MIB) > 0.9


def test_a_file_that_stays_in_memory_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_with(tmp_path, 33 * MIB)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("os.posix_fadvise", lambda *_arguments: None, raising=False)
    with pytest.raises(NotApplicable, match="in memory"):
        disk_read.measure(Say(io.StringIO()))


def test_the_file_is_the_largest_and_no_link(tmp_path: Path) -> None:
    for name, size in (("small", 33), ("large", 40)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * MIB)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "link").symlink_to(tmp_path / "large")
    assert disk_read.choose_file(tmp_path)[0] == tmp_path / "large"


def test_without_a_file_there_is_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotApplicable, match="holds no file"):
        disk_read.choose_file(tmp_path / "not" / "there")
