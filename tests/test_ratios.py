"""Cheap ratios that must not get clearly worse: CPU time against CPU time on the same machine, with generous bounds."""

from __future__ import annotations

import sys

from cpu_time import cpu_seconds, least, sdoctor_command, side_by_side

from doctor.gather import gather
from tuner.events import Finished, Generate, Load
from tuner.knobs import default_settings
from tuner.runner import Limits, Worker
from tuner.settings import Request, Settings
from tuner.target import choose_target

TYPER = [sys.executable, "-P", "-c", "import typer"]


def test_help_costs_little_more_than_typer_itself(tmp_path):
    found = least(
        side_by_side({"typer": TYPER, "help": sdoctor_command("--help")}, 5, SDOCTOR_HOME=str(tmp_path))
    )
    # Measured 1.6 (tests/benchmarks/startup.py).
    assert found["help"] < 2.5 * found["typer"]


def test_the_usual_call_of_monitor_is_read_without_typers_weight(tmp_path):
    once = sdoctor_command("monitor", "--once")
    found = least(side_by_side({"typer": TYPER, "once": once}, 5, SDOCTOR_HOME=str(tmp_path)))
    # Measured 1.8 (tests/benchmarks/startup.py); 4.4 while it was read with typer.
    assert found["once"] < 3.2 * found["typer"]


def test_the_usual_check_is_read_without_typers_weight(tmp_path):
    check = sdoctor_command("check", "--no-live")
    found = least(side_by_side({"typer": TYPER, "check": check}, 5, SDOCTOR_HOME=str(tmp_path)))
    # Measured 2.1 (tests/benchmarks/startup.py); 6.0 while it was read with typer.
    assert found["check"] < 3.5 * found["typer"]


def test_a_check_costs_far_less_than_importing_torch(tmp_path):
    torch = [sys.executable, "-P", "-c", "import torch"]
    check = sdoctor_command("check", "--no-live")
    found = least(side_by_side({"torch": torch, "check": check}, 2, SDOCTOR_HOME=str(tmp_path)))
    # Measured 0.1: a check that imports torch would be beyond 1.
    assert found["check"] < 0.4 * found["torch"]


def test_a_plan_that_was_asked_before_is_not_computed_again(tmp_path):
    home = {"SDOCTOR_HOME": str(tmp_path)}
    plan = sdoctor_command("plan", "builtin:tiny", "--gpu", "T4", "--size", "256x256")
    first = cpu_seconds(plan, **home)
    again = cpu_seconds(plan, **home)
    # The first pays for torch, diffusers and the dry run in a child; the second reads an answer.
    assert again < 0.5 * first


def test_what_a_search_begins_with_is_not_slower_than_diffusers_default():
    request = Request(prompt="a red circle", width=128, height=128, steps=8)
    guess = default_settings(choose_target(gather(), "cpu"))
    workers = {settings: Worker() for settings in (Settings(), guess)}
    try:
        for settings, worker in workers.items():
            list(worker.run(Load(model="builtin:tiny", settings=settings, device="cpu"), Limits()))
        ratios = []
        for turn in range(6):
            seconds = {}
            for settings, worker in workers.items():
                *_, last = worker.run(Generate(request=request), Limits())
                assert isinstance(last, Finished)
                seconds[settings] = last.seconds
            if turn > 0:
                ratios.append(seconds[guess] / seconds[Settings()])
    finally:
        for worker in workers.values():
            worker.close()
    # 1 where the guess is the default. Of ratios taken in turns the smallest counts: a neighbour of the machine
    # disturbs some of them, a real loss lifts all.
    assert min(ratios) < 1.25
