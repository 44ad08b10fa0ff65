"""The house keeps its own rules: who may import whom, what starting costs, how large a file may be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("doctor", "tuner", "tui")
HEAVY = ("torch", "diffusers", "transformers", "accelerate", "numpy", "textual", "PIL", "pynvml")
LONGEST_FILE = 400


def heavy_modules_after(code: str) -> set[str]:
    """Which heavy packages a clean interpreter has loaded after running ``code``."""
    script = (
        f"{code}\nimport json, sys\nprint('\\n' + json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, done.stderr
    return set(json.loads(done.stdout.strip().rpartition("\n")[2]))


def run_command(*arguments: str) -> str:
    """Code that runs a sdoctor command in this interpreter and survives its exit."""
    return (
        "import sys, contextlib\n"
        f"sys.argv = ['sdoctor', *{arguments!r}]\n"
        "from tui.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
    )


@pytest.mark.parametrize(
    "module",
    [
        "doctor",
        "tuner.study",
        "tuner.runner",
        "tuner.knobs",
        "tuner.store",
        "tuner.models",
        "tui.cli",
        "tui.render_tune",
    ],
)
def test_importing_the_house_imports_nothing_heavy(module):
    assert heavy_modules_after(f"import {module}") == set()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("check", "--json"), ("tune", "--help"), ("monitor", "--once")]
)
def test_commands_that_need_no_pipeline_load_no_torch(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    assert heavy_modules_after(run_command(*arguments)) == set()


def test_no_file_grows_beyond_what_can_be_read_at_once():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_the_wheel_holds_the_three_packages_and_nothing_else():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == list(PACKAGES)


def test_a_strangers_tuner_package_is_not_met(tmp_path):
    """Children start with -P in a neutral folder: a folder called "tuner" where the user stands is never run."""
    (tmp_path / "tuner").mkdir()
    (tmp_path / "tuner" / "__init__.py").write_text("raise SystemExit('a stranger was run')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import tuner.runner; print(tuner.runner.__name__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "tuner.runner", done.stderr
