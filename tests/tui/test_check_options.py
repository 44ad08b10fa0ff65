"""The quick reader of ``sdoctor check`` against typer's, and what it spares."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machines import HEALTHY, package, with_packages

import tui.checking
from tui.check_options import GRAMMAR, Options, read

USUAL = [
    (),
    ("--json",),
    ("--markdown", "--no-live"),
    ("-v", "--strict"),
    ("--live", "--no-live"),
    ("--from", "report.txt", "--html=a.html"),
    ("--save-facts", "facts.json", "--list"),
]
LEFT_TO_TYPER = [
    ("--help",),
    ("--js",),
    ("--json=1",),
    ("-vv",),
    ("--from",),
    ("--from", "-"),
    ("--from", ""),
    ("--html", "--json"),
    ("--only", "driver"),
    ("--skip", "driver"),
    ("stray",),
    ("--",),
]

names = st.sampled_from([*sorted(GRAMMAR.names), "--only", "--skip"])
values = st.sampled_from(["", "-", "--", "a b", "a=b", "x.txt", "~/a", "-v"])
pieces = st.one_of(names, values, st.tuples(names, values).map("=".join))


@pytest.fixture(scope="module")
def typed():
    """What typer makes of a call; raises where it refuses."""
    from tui.table import app

    def parse(arguments):
        caught = []
        before, tui.checking.run_check = tui.checking.run_check, caught.append
        try:
            app(["check", *arguments], standalone_mode=False)
        finally:
            tui.checking.run_check = before
        return caught[0]

    return parse


@pytest.mark.parametrize("arguments", USUAL)
def test_usual_calls_are_read_and_mean_the_same(arguments, typed):
    assert isinstance(read(arguments), Options)
    assert read(arguments) == typed(arguments)


def test_files_are_paths():
    assert read(["--html", "a.html"]).html == Path("a.html")


@pytest.mark.parametrize("arguments", LEFT_TO_TYPER)
def test_everything_else_is_left_to_typer(arguments):
    assert read(arguments) is None


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(pieces, max_size=5))
def test_what_is_read_is_what_typer_reads(arguments, typed):
    options = read(arguments)
    if options is not None:
        assert options == typed(arguments)


def test_every_option_of_the_command_is_known_here_or_left_to_typer():
    from typer.main import get_command

    from tui.table import app

    command = get_command(app).commands["check"]
    spelled = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert spelled - {"--help", "--only", "--skip"} == GRAMMAR.names


def test_a_usual_call_loads_none_of_the_libraries_that_it_does_not_need(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    heavy = ("typer", "pydantic", "rich", "textual", "torch", "msgspec")
    code = (
        "import sys; sys.argv = ['sdoctor', 'check', '--no-live']\n"
        "from tui.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr


def test_a_report_with_errors_still_ends_with_one(tmp_path):
    file = tmp_path / "facts.json"
    file.write_bytes(
        with_packages(HEALTHY, package("diffusers", "0.20.0"), package("huggingface-hub", "0.30.0")).to_json()
    )
    command = [str(Path(sys.executable).with_name("sdoctor")), "check", "--from", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ERROR:" in done.stdout
