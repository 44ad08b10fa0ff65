"""Does the daemon find leaks, and only leaks? ``python tests/benchmarks/leaks.py [--real] [--minutes 24]``.

First courses of memory that are made up: how long it takes until each is called a leak. With ``--real`` also a real daemon
and three real programs beside it: two leak while they do work that gives memory back, one only works. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from daemon_client import live_daemon

from doctor.daemon.looks.growth import Growth
from doctor.daemon.processes import ProcessMemory
from doctor.daemon.sighting import View
from doctor.sizes import GIB, MIB
from doctor.telemetry.sample import Sample

Course = Callable[[float], float]
"""Minutes -> bytes."""

HOURS = 12


def pictures(minute: float, period: float = 3.0) -> float:
    """Work in three phases that takes up to 3 GiB and gives back all of it."""
    part = minute % period / period
    return GIB + (0.5 if part < 0.2 else 2.0 if part < 0.8 else 3.0) * GIB


LEAKS: dict[str, Course] = {
    "50 MiB a minute": lambda minute: GIB + 50 * MIB * minute,
    "50 MiB a minute behind pictures of 3 minutes": lambda minute: pictures(minute) + 50 * MIB * minute,
    "150 MiB with every picture of 3 minutes": lambda minute: pictures(minute) + 150 * MIB * (minute // 3),
    "50 MiB a minute behind pictures of 12 minutes": lambda minute: pictures(minute, 12) + 50 * MIB * minute,
    "5 MiB a minute": lambda minute: GIB + 5 * MIB * minute,
    "5 MiB a minute behind pictures of 3 minutes": lambda minute: pictures(minute) + 5 * MIB * minute,
    "5 MiB a minute behind pictures of 40 minutes": lambda minute: pictures(minute, 40) + 5 * MIB * minute,
}
WORK: dict[str, Course] = {
    "steady": lambda _: 8 * GIB,
    "a model is loaded": lambda minute: GIB if minute < 30 else 9 * GIB,
    "another model every two hours": lambda minute: (4, 9, 6, 12, 8, 10)[int(minute // 120)] * GIB,
    "pictures of 3 minutes": pictures,
    "pictures of 12 minutes": lambda minute: pictures(minute, 12),
    "pictures of 40 minutes": lambda minute: pictures(minute, 40),
    "pictures of 9 minutes that take more and more": lambda minute: GIB + 3 * GIB * (minute % 9 / 9),
    "pictures that become larger for an hour": lambda minute: pictures(minute) * (1 + min(minute, 60) / 60),
    "a cache that fills in an hour and stays": lambda minute: GIB + min(minute, 60) * 3 * MIB,
}  # fmt: skip

LIMIT = {
    "one piece of work takes more and more for 40 minutes": lambda minute: GIB + 3 * GIB * (minute % 40 / 40)
}
"""Until it ends nothing tells it from a leak."""


def judged(course: Course) -> float | None:
    """Minutes until it is called a leak."""
    look = Growth()
    for at in range(0, HOURS * 3600, 30):
        process = ProcessMemory(7, 1.0, "p", int(course(at / 60)))
        if look.look(View(at=at, samples=(Sample(at=at, clock=at),), processes=(process,))):
            return at / 60
    return None


def made_up() -> int:
    wrong = 0
    print(f"| course of memory, {HOURS} hours | is | called a leak after |\n|---|---|---|")
    for kind, courses in (("leak", LEAKS), ("work", WORK), ("work that looks like a leak", LIMIT)):
        for name, course in courses.items():
            after = judged(course)
            wrong += (after is None) == (kind != "work")
            print(f"| {name} | {kind} | {'never' if after is None else f'{after:.0f} min'} |")
    return wrong


_PROGRAM = """
import sys, time
kept, leak, work, every, begin = [], float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), time.monotonic()
base = b"x" * (400 << 20)
while True:
    held = b"y" * (work << 20)
    time.sleep(every * 0.7)
    del held
    while len(kept) * 2 < leak * (time.monotonic() - begin) / 60:
        kept.append(b"z" * (2 << 20))
    time.sleep(every * 0.3)
"""
REAL = {
    "leaks 50 MiB a minute": (50.0, 0, 20),
    "leaks 50 MiB a minute, works with 600 MiB": (50.0, 600, 50),
    "works with 900 MiB": (0.0, 900, 70),
}
"""What it does -> MiB a minute, MiB of each piece of work, seconds of each."""


def real(minutes: float) -> int:
    """A daemon as users have it, and what it says after so long."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="sd") as name, live_daemon(Path(name) / "h") as daemon:
        running = {
            what: subprocess.Popen([sys.executable, "-I", "-c", _PROGRAM, *map(str, how)]) for what, how in REAL.items()
        }  # fmt: skip
        try:
            time.sleep(60 * minutes)
            environment = os.environ | {"SDOCTOR_HOME": str(daemon.home)}
            words = [sys.executable, "-P", "-m", "tui", "incidents", "--json"]
            done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
        finally:
            for each in running.values():
                each.kill()
                each.wait()
    found = {
        each["evidence"]["pid"]: each
        for each in json.loads(done.stdout)["incidents"]
        if each["kind"] == "memory-growth"
    }
    print(f"\n| real program, {minutes:g} minutes | what the daemon says |\n|---|---|")
    for what, process in running.items():
        one = found.pop(process.pid, None)
        wrong += (one is None) == what.startswith("leaks")
        print(f"| {what} | {one['title'] if one else 'nothing'} |")
    for one in found.values():
        print(f"| (another program) | {one['title']} |")
    return wrong


def main() -> int:
    """1 if a leak was missed or work was called one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--minutes", type=float, default=24.0)
    asked = parser.parse_args()
    wrong = made_up()
    if asked.real:
        wrong += real(asked.minutes)
    print(f"\n{wrong} not as it has to be.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
