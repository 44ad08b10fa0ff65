"""Keeping tuned from end to end: a real daemon, real studies of builtin:tiny, a program that gets in the way.

    python tests/benchmarks/keep_tuned.py [--minutes 2] [--without-end]

Needs a machine that nobody else uses meanwhile: the daemon waits until it is idle. With ``--beside-others`` any load counts
as idle, and what needs an idle machine is left out. Prints a Markdown table; exit code 1 if something did not happen.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from daemon_client import live_daemon

IDLE_MINUTES = 0.1
MODEL, OTHER = "builtin:tiny", "builtin:sd15"
BURN = "while True: pass"


class Watched:
    """The daemon's home, and what can be seen of its studies."""

    def __init__(self, home: Path, daemon) -> None:
        self.home, self.daemon = home, daemon
        self.environment = os.environ | {"SDOCTOR_HOME": str(home)}

    def sdoctor(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "-P", "-m", "tui", *words],
            capture_output=True, text=True, check=True, env=self.environment,
        ).stdout  # fmt: skip

    @property
    def service(self) -> dict:
        services = self.daemon.ask("GET", "/v1/status")[1]["services"]
        return next(each for each in services if each["name"] == "keep-tuned")

    @property
    def study(self) -> int | None:
        return self.service["figures"]["study_pid"]

    @property
    def trials(self) -> int:
        """Lines of the journals."""
        return sum(len(path.read_bytes().splitlines()) for path in self.home.rglob("*.jsonl"))

    @property
    def due(self) -> dict[str, str]:
        models = json.loads(self.sdoctor("daemon", "due", "--json"))["models"]
        return {each["model"]: each["reason"] for each in models if each["due"]}

    def until(self, done: Callable[[], object], seconds: float, every: float = 0.2) -> float:
        begin = time.monotonic()
        while not done():
            if time.monotonic() - begin > seconds:
                raise AssertionError(f"not within {seconds:g} s: {self.service}")
            time.sleep(every)
        return time.monotonic() - begin

    def begun(self, seconds: float = 90.0) -> float:
        """Seconds until a study runs."""
        return self.until(lambda: self.study is not None, seconds)

    def gone(self, group: int, seconds: float = 15.0) -> float:
        """Seconds until no process of the study's group is left."""
        return self.until(lambda: not members(group), seconds, every=0.02)

    def worker_runs(self) -> None:
        """Wait until the study computes: its worker is a child of a child."""
        self.until(lambda: self.study and len(members(self.study)) > 1, 60)
        time.sleep(5)


def members(group: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, psutil.Error):
            pass
    return found


def told(what: str, happened: str) -> None:
    print(f"| {what} | {happened} |", flush=True)


def another_program(watched: Watched) -> None:
    watched.worker_runs()
    study, before = watched.study, watched.trials
    burning = [subprocess.Popen([sys.executable, "-I", "-c", BURN]) for _ in range(os.cpu_count() or 1)]
    try:
        took = watched.gone(study)
        told(
            "another program takes all cores",
            f"the study is gone after {took:.1f} s ({before} lines in its journal)",
        )
        time.sleep(15)
        assert watched.study is None
        told("15 s later it still computes", f"no study ({watched.service['detail']})")
    finally:
        for each in burning:
            each.kill()
            each.wait()
    told("it ends", f"the study goes on {watched.begun():.1f} s later")


def a_wish(watched: Watched, what: str, path: str, wish: dict) -> None:
    watched.worker_runs()
    study = watched.study
    begin = time.monotonic()
    status, answer = watched.daemon.ask("POST", path, wish | {"seconds": 5})
    answered = time.monotonic() - begin
    assert status == 200, answer
    took = answered + watched.gone(study)
    told(what, f"answered after {answered:.1f} s; the study is gone after {took:.1f} s")


def advice_while_another_is_tuned(watched: Watched) -> None:
    watched.sdoctor("daemon", "add", OTHER)
    told(f"{OTHER} is added", f"a study begins {watched.begun():.1f} s later")
    wish = {"model": MODEL, "width": 128, "height": 128}
    a_wish(watched, f"a program asks for advice on {MODEL}", "/v1/advice", wish)
    watched.sdoctor("daemon", "remove", OTHER)


def to_the_end(watched: Watched, minutes: float) -> None:
    took = watched.until(lambda: watched.study is None and not watched.due, 60 * minutes + 240, every=2.0)
    profiles = list(watched.home.rglob("profiles/*.json"))
    found = json.loads(profiles[0].read_bytes())
    told(
        f"nobody comes; a study may take {minutes:g} minutes",
        f"a profile after {took:.0f} s: {len(found['trials'])} trials, {found['speedup']:.2f} times the default",
    )


def changed(watched: Watched) -> None:
    """As after an update of torch: the profile that is there was made with another one."""
    (path,) = watched.home.rglob("profiles/*.json")
    profile = json.loads(path.read_bytes())
    profile["fingerprint"]["torch"] = "2.0.0"
    path.write_text(json.dumps(profile))
    (reason,) = watched.due.values()
    watched.daemon.process.send_signal(signal.SIGHUP)
    told(f"due again: {reason}", f"a new study begins {watched.begun():.1f} s later")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="that one study may take")
    parser.add_argument("--without-end", action="store_true", help="only beginning, giving way, going on")
    parser.add_argument("--beside-others", action="store_true", help="on a machine that is in use")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sd") as name:
        home = Path(name) / "h"
        (home / "config").mkdir(parents=True)
        (home / "config" / "daemon.toml").write_text(
            f"idle_minutes = {IDLE_MINUTES}\nstudy_minutes = {asked.minutes}\n"
            f"idle_cpu_percent = {100.0 if asked.beside_others else 20.0}\n"
        )
        os.environ["SDOCTOR_HOME"] = str(home)
        with live_daemon(home) as daemon:
            watched = Watched(home, daemon)
            print("| what | what happened |\n|---|---|")
            try:
                watched.sdoctor("daemon", "add", MODEL)
                told(
                    f"{MODEL} is added; idle means {60 * IDLE_MINUTES:g} s",
                    f"a study begins {watched.begun():.1f} s later",
                )
                if not asked.beside_others:
                    another_program(watched)
                a_wish(watched, "a program asks for room, as generate and tune do", "/v1/room", {})
                if asked.without_end:
                    return 0
                told("its five seconds are over", f"the study goes on {watched.begun():.1f} s later")
                to_the_end(watched, asked.minutes)
                if not asked.beside_others:
                    advice_while_another_is_tuned(watched)
                changed(watched)
            except AssertionError as error:
                told("**not as it has to be**", repr(error))
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
