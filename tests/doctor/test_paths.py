"""Files are written whole or not at all, with the rights that the user's other files have."""

from __future__ import annotations

import os
import stat

import pytest

from doctor.paths import data_dir, state_dir, write_atomically


def test_rights_follow_the_umask_and_then_the_file(tmp_path):
    before = os.umask(0o027)
    try:
        path = tmp_path / "new" / "file.png"
        write_atomically(path, b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        write_atomically(path, b"2")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes() == b"2"
    finally:
        os.umask(before)


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"1")
    assert list(tmp_path.iterdir()) == []


def test_one_variable_moves_all_state(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    assert data_dir().is_relative_to(tmp_path)
    assert state_dir().is_relative_to(tmp_path)
    monkeypatch.delenv("SDOCTOR_HOME")
    assert data_dir().name == "sdoctor"
