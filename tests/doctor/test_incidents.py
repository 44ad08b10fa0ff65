"""Incidents: appended whole, read back whatever happened to the lines before."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from doctor.incidents import OUT_OF_MEMORY, Incident, incidents_file, read_incidents, record

ONE = Incident(
    at="2026-11-23T16:00:00+00:00",
    kind=OUT_OF_MEMORY,
    source="generate",
    model="builtin:tiny",
    device="cpu",
    phase="decode",
    width=1024,
    height=1024,
    budget_bytes=2**28,
    settings="bf16",
    next_settings="bf16, VAE tiling",
)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


def test_incidents_come_back_in_their_order():
    assert read_incidents() == ()
    record(ONE)
    record(replace(ONE, next_settings=None))
    assert read_incidents() == (ONE, replace(ONE, next_settings=None))


def test_a_torn_line_costs_only_itself():
    record(ONE)
    whole = incidents_file().read_bytes()
    incidents_file().write_bytes(whole + whole[: len(whole) // 2])
    record(replace(ONE, model="after"))
    assert [incident.model for incident in read_incidents()] == ["builtin:tiny", "after"]


def test_lines_of_a_newer_schema_and_rubbish_are_passed_over():
    record(replace(ONE, schema="sdoctor.incident/9"))
    with incidents_file().open("ab") as file:
        file.write(b"\xff\xfe\n[]\n{}\n")
    record(ONE)
    assert read_incidents() == (ONE,)


def test_lines_of_several_programs_do_not_mix():
    script = (
        "import sys\n"
        "from doctor.incidents import Incident, record\n"
        "for n in range(50):\n"
        "    record(Incident(at=str(n), kind='k', source='s', model=sys.argv[1], device='cpu', message='x' * 500))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-P", "-c", script, name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    seen = read_incidents()
    assert len(seen) == 150
    assert [incident.at for incident in seen if incident.model == "a"] == [str(n) for n in range(50)]
