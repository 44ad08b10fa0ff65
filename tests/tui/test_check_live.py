"""``sdoctor check --live``: when it measures, what it says meanwhile, and what comes of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from live_machines import LIVE_CARD, but, crashed
from machines import CPU_ONLY
from typer.testing import CliRunner, Result

from doctor.checks import CHECKS
from doctor.checks.vram import CHECK as VRAM
from doctor.errors import UsageError
from doctor.facts import Facts
from tui import checking
from tui.commands import check as command
from tui.probing import Line


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Runs the command with recorded facts and recorded probes; tells whether the probes were asked for."""
    asked: list[Facts] = []

    def probed(facts: Facts) -> Facts:
        asked.append(facts)
        return replace(facts, probes=LIVE_CARD.probes)

    monkeypatch.setattr("tui.probing.probed", probed)
    monkeypatch.setattr("doctor.gather.gather", lambda: CPU_ONLY)

    def invoke(*arguments: str) -> tuple[Result, bool]:
        app = typer.Typer()
        app.command()(command.check)
        return CliRunner().invoke(app, list(arguments)), bool(asked)

    return invoke


def test_it_is_off_where_nobody_watches(run) -> None:
    assert run("--json")[1] is False


def test_it_is_on_when_asked_for(run) -> None:
    result, asked = run("--live", "--json")
    assert asked
    document = json.loads(result.stdout)
    assert "live-figures" in {finding["id"] for finding in document["findings"]}
    assert len(document["facts"]["probes"]) == len(LIVE_CARD.probes or ())


def test_saved_facts_hold_the_measurements_and_can_be_read_again(run, tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    run("--live", "--save-facts", str(file))
    assert Facts.from_json(file.read_bytes()).probes == LIVE_CARD.probes
    result, _ = run("--from", str(file), "--json", "--only", "live-figures")
    assert [finding["id"] for finding in json.loads(result.stdout)["findings"]] == ["live-figures"]


def test_a_terminal_gets_it_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert checking._wants_live(None, None, CHECKS) is True
    assert checking._wants_live(False, None, CHECKS) is False
    assert checking._wants_live(None, None, [VRAM]) is False, "no chosen check would look at it"
    assert checking._wants_live(True, None, [VRAM]) is True
    assert checking._wants_live(None, "facts.json", CHECKS) is False, "this machine is not the one examined"


def test_another_machine_cannot_be_measured(run, tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_bytes(CPU_ONLY.to_json())
    result, asked = run("--live", "--from", str(file))
    assert isinstance(result.exception, UsageError)
    assert not asked


def test_a_crash_of_a_probe_is_an_error_of_the_machine(tmp_path: Path, run) -> None:
    file = tmp_path / "facts.json"
    file.write_bytes(but(LIVE_CARD, crashed("import-torch")).to_json())
    result, _ = run("--from", str(file))
    assert result.exit_code == 1
    assert "Importing torch crashed (SIGSEGV)." in result.stdout


# the progress line


def test_the_line_writes_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = io.StringIO()
    line = Line(out)
    line.show("importing torch", 1, 14)
    line.show("x" * 200, 2, 14)
    line.show("y", 3, 14)
    line.clear()
    parts = out.getvalue().split("\r")
    assert parts[1] == "Probing this machine: 1 of 14, 0 s, importing torch ..."
    assert max(map(len, parts)) == 59
    assert len(parts[3]) == 59, "the rest of the longer line is wiped"
    assert parts[4].strip() == "" and parts[-1] == ""
    assert "\n" not in out.getvalue()


# the real thing

MAIN = "import typer; from tui.commands.check import check; app = typer.Typer(); app.command()(check); app()"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a matter of Unix")
def test_this_machine_end_to_end() -> None:
    import pty

    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-P", "-c", MAIN, "--live", "--json"],
        stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=False, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    said = os.read(ours, 100_000).decode(errors="replace")
    os.close(ours)
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["summary"]["errors"] else 0)
    assert not [finding for finding in document["findings"] if "exception" in finding["evidence"]]
    assert {probe["outcome"] for probe in document["facts"]["probes"]} <= {"ok", "not_applicable"}
    assert "live-figures" in {finding["id"] for finding in document["findings"]}
    assert "Probing this machine: " in said
    assert "importing torch ..." in said
    assert str(Path.home()) not in done.stdout.decode() or str(Path.home()) == "/"
