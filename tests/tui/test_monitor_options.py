"""The quick reader of the command line against typer's, and what it spares."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tui.monitor_options
from tui.monitor_options import Options, read

USUAL = [
    (),
    ("--once",),
    ("--json",),
    ("--json", "--processes"),
    ("--plain", "--interval", "0.2"),
    ("--pid", "4711", "--json", "--record", "a.jsonl"),
    ("--replay=slow.jsonl", "--speed", "0"),
    ("--pid=1", "--pid", "2"),
]
LEFT_TO_TYPER = [
    ("--help",),
    ("--onc",),
    ("--once=1",),
    ("--pid",),
    ("--pid", "0"),
    ("--pid", "-3"),
    ("--pid", "four"),
    ("--interval", "0.01"),
    ("--interval", "nan"),
    ("--interval", "1e2"),
    ("--record", ""),
    ("--record", "--json"),
    ("--speed", "-1"),
    ("stray",),
    ("--",),
]

names = st.sampled_from(
    ["--once", "--plain", "--json", "--processes", "--pid", "--interval", "--record", "--replay", "--speed"]
)
values = st.one_of(
    st.integers(-2, 10**11).map(str),
    st.floats(allow_nan=True).map(str),
    st.sampled_from(["", "-", "--", "a b", "a=b", " 3", "+3", "1_0", "0", "0.1", "3600", "3600.5", "٣"]),
)
pieces = st.one_of(names, values, st.tuples(names, values).map("=".join))


@pytest.fixture(scope="module")
def typed():
    """What typer makes of a call; raises where it refuses."""
    from tui.table import app

    def parse(arguments):
        caught = []
        before, tui.monitor_options.begin = tui.monitor_options.begin, caught.append
        try:
            app(["monitor", *arguments], standalone_mode=False)
        finally:
            tui.monitor_options.begin = before
        return caught[0]

    return parse


@pytest.mark.parametrize("arguments", USUAL)
def test_usual_calls_are_read_and_mean_the_same(arguments, typed):
    assert read(arguments) == typed(arguments)
    assert isinstance(read(arguments), Options)


@pytest.mark.parametrize("arguments", LEFT_TO_TYPER)
def test_everything_else_is_left_to_typer(arguments):
    assert read(arguments) is None


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(pieces, max_size=6))
def test_what_is_read_is_what_typer_reads(arguments, typed):
    options = read(arguments)
    if options is not None:
        assert options == typed(arguments)


def test_every_option_of_the_command_is_known_here():
    from typer.main import get_command

    from tui.table import app

    command = get_command(app).commands["monitor"]
    known = {name for each in command.params for name in each.opts if name != "--help"}
    assert known == tui.monitor_options.GRAMMAR.names


@pytest.mark.parametrize("arguments", [("--once",), ("--once", "--json")])
def test_a_usual_call_loads_neither_typer_nor_pydantic(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    code = (
        f"import sys; sys.argv = ['sdoctor', 'monitor', *{arguments!r}]\n"
        "from tui.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('typer', 'pydantic', 'rich', 'textual') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
