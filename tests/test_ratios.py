"""Cheap ratios that must not get clearly worse: CPU time against CPU time on the same machine, with generous bounds."""

from __future__ import annotations

import sys

from cpu_time import cpu_seconds, medians, sdoctor_command, side_by_side

TYPER = [sys.executable, "-P", "-c", "import typer"]


def test_help_costs_little_more_than_typer_itself(tmp_path):
    found = medians(
        side_by_side({"typer": TYPER, "help": sdoctor_command("--help")}, 5, SDOCTOR_HOME=str(tmp_path))
    )
    # Measured 1.6 (tests/benchmarks/startup.py).
    assert found["help"] < 2.5 * found["typer"]


def test_the_usual_call_of_monitor_is_read_without_typers_weight(tmp_path):
    once = sdoctor_command("monitor", "--once")
    found = medians(side_by_side({"typer": TYPER, "once": once}, 5, SDOCTOR_HOME=str(tmp_path)))
    # Measured 1.8 (tests/benchmarks/startup.py); 4.4 while it was read with typer.
    assert found["once"] < 3.2 * found["typer"]


def test_the_usual_check_is_read_without_typers_weight(tmp_path):
    check = sdoctor_command("check", "--no-live")
    found = medians(side_by_side({"typer": TYPER, "check": check}, 5, SDOCTOR_HOME=str(tmp_path)))
    # Measured 2.1 (tests/benchmarks/startup.py); 6.0 while it was read with typer.
    assert found["check"] < 3.5 * found["typer"]


def test_a_check_costs_far_less_than_importing_torch(tmp_path):
    torch = [sys.executable, "-P", "-c", "import torch"]
    check = sdoctor_command("check", "--no-live")
    found = medians(side_by_side({"torch": torch, "check": check}, 2, SDOCTOR_HOME=str(tmp_path)))
    # Measured 0.1: a check that imports torch would be beyond 1.
    assert found["check"] < 0.4 * found["torch"]


def test_a_plan_that_was_asked_before_is_not_computed_again(tmp_path):
    home = {"SDOCTOR_HOME": str(tmp_path)}
    plan = sdoctor_command("plan", "builtin:tiny", "--gpu", "T4", "--size", "256x256")
    first = cpu_seconds(plan, **home)
    again = cpu_seconds(plan, **home)
    # The first pays for torch, diffusers and the dry run in a child; the second reads an answer.
    assert again < 0.5 * first
