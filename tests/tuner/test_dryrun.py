"""Dry runs on real pipelines: bytes that must be exact are, and what must grow or shrink does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mini_pipeline import NARROW, write_mini

from tuner.dryrun.engine import DryRun
from tuner.dryrun.ledger import BLOCK_BYTES, Ledger
from tuner.dryrun.rows import Ask, Row
from tuner.models import BUILTIN_ROOT
from tuner.settings import Settings
from tuner.worker.build import describe

TINY = BUILTIN_ROOT / "tiny"


def dry(folder: Path, **settings: str) -> DryRun:
    return DryRun(folder, Ask(model=str(folder), settings=Settings(**settings), width=0, height=0))


def peaks(row: Row) -> dict[str, int]:
    return {stage.name: stage.peak_bytes for stage in row.stages}


@pytest.mark.parametrize("name", NARROW)
def test_every_builtin_has_three_stages_with_its_weights_resident(tmp_path: Path, name: str) -> None:
    run = dry(write_mini(tmp_path / name, name), precision="bf16")
    row = run.row(128, 128)
    assert [stage.name for stage in row.stages] == ["encode", "denoise", "decode"]
    assert row.stages[1].weights_bytes == describe(run.pipe).weights_bytes
    assert all(stage.peak_bytes > stage.weights_bytes and stage.flops > 0 for stage in row.stages)


def test_peaks_grow_with_size_and_batch() -> None:
    run = dry(TINY)
    small, large, two = peaks(run.row(128, 128)), peaks(run.row(512, 512)), peaks(run.row(128, 128, batch=2))
    for stage in ("denoise", "decode"):
        assert small[stage] < large[stage]
        assert small[stage] < two[stage]


def test_tiling_lowers_the_peak_of_decoding() -> None:
    plain, tiled = dry(TINY).row(1024, 1024), dry(TINY, vae_tiling="on").row(1024, 1024)
    assert peaks(tiled)["decode"] < peaks(plain)["decode"]
    assert peaks(tiled)["denoise"] == peaks(plain)["denoise"]


def test_offload_keeps_fewer_weights_the_finer_it_is() -> None:
    held = [
        dry(TINY, offload=mode).row(128, 128).stages[1].weights_bytes
        for mode in ("sequential", "group", "model", "none")
    ]
    assert held == sorted(held)
    assert len(set(held)) == 4


def test_the_same_question_has_the_same_answer() -> None:
    run = dry(TINY)
    assert run.row(256, 256) == run.row(256, 256)


def test_the_ledger_counts_storages_once_and_frees_them() -> None:
    ledger = Ledger()
    with ledger:
        first = torch.empty(100)
        view = first[10:]
        assert ledger.live == BLOCK_BYTES
        second = torch.empty(129)
        assert ledger.live == 3 * BLOCK_BYTES
        del first, view, second
    assert ledger.live == 0
    assert ledger.peak == 3 * BLOCK_BYTES


def test_the_child_answers_rows_and_errors() -> None:
    good = {"model": "builtin:tiny", "settings": {"precision": "bf16"}, "width": 128, "height": 128}
    bad = good | {"model": "builtin:nothing"}
    child = subprocess.run(
        [sys.executable, "-P", "-m", "tuner.dryrun"],
        input="\n".join(json.dumps(ask) for ask in (good, bad)),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = (json.loads(line) for line in child.stdout.splitlines())
    assert [stage["name"] for stage in first["row"]["stages"]] == ["encode", "denoise", "decode"]
    assert "builtin:nothing" in second["error"] or "'nothing'" in second["error"]
