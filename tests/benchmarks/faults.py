"""Injects faults into real studies of builtin:tiny and prints what became of them as a Markdown table.

    cd tests && python -m benchmarks.faults [--fast] [--part worker|rest]

Every row is a real `sdoctor tune` with a real worker: the fault is done to it from outside (signals, limits, damaged
files) or at the begin of a phase inside the worker (tests/fault_injection). "Orphans" counts processes of the study
that lived 5 seconds after its end; "lost" counts trials that had ended and were not there afterwards.
Exits with 1 if there is an orphan, a loss, or an ending other than the one that is due.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tuner.journal import read

ROOT = Path(__file__).resolve().parents[2]
SIDE = 64
"""Pixels. The study's own runs have this size and are left alone; its search for larger pictures is harmed."""
TUNE = ("tune", "builtin:tiny", "--device", "cpu", "--memory", "512MiB", "--size", str(SIDE), "--steps", "1")
SHAPES = ("--aspect", "1:1", "--aspect", "2:1", "--aspect", "3:2")
"""So that there are a few runs on any machine, whatever settings it tries."""
STUDY = (*TUNE, "--goal", "size", "--step", "16", "--max-size", "128", *SHAPES, "--run-limit", "30", "--json")
WORKER_FAULTS = (
    ("SIGKILL denoise", "crashed"),
    ("oom decode", "out_of_memory"),
    ("SIGSEGV decode", "crashed"),
    ("oom encode", "out_of_memory"),
    ("oom load", "out_of_memory"),
    ("oom denoise", "out_of_memory"),
    ("SIGABRT encode", "crashed"),
    ("hang denoise", "too_slow"),
)
_WORDS = {"oom": "out of memory", "hang": "hang", "encode": "text"}


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, and what became of it."""

    fault: str
    happened: str
    orphans: int
    lost: int
    as_due: bool

    def text(self) -> str:
        """As a row of the table."""
        due = "" if self.as_due else " **(not what was due)**"
        return f"| {self.fault} | {self.happened}{due} | {self.orphans} | {self.lost} |"

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing left behind."""
        return self.as_due and not self.orphans and not self.lost


class Bench:
    """Starts studies under one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.writer: subprocess.Popen[bytes]
        self.plan = home / "plan-folder"
        self.plan.mkdir()

    def faults(self, lines: Sequence[str]) -> None:
        """What the workers shall suffer, one after the other (tests/fault_injection)."""
        for old in self.plan.iterdir():
            old.unlink()
        (self.plan / "plan").write_text("\n".join([str(SIDE), *lines]))

    def start(
        self, *arguments: str, before: Callable[[], None] | None = None, harmed: bool = False
    ) -> subprocess.Popen[bytes]:
        """A running ``sdoctor`` in a process of its own."""
        places = [str(ROOT / "tests" / "fault_injection")] if harmed else []
        environment = {
            **os.environ,
            "SDOCTOR_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([*places, str(ROOT)]),
        }
        if harmed:
            environment["FAULTS"] = str(self.plan)
        # Files and no pipes: nobody reads while the study is watched, and a full pipe would stop it.
        with (self.home / "answer").open("wb") as answer, (self.home / "talk").open("wb") as talk:
            # Through another program, which the limits of the study do not bind.
            self.writer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=answer)
            assert self.writer.stdin is not None
            study = subprocess.Popen(
                [sys.executable, "-P", "-c", "from tui.cli import main; main()", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=self.writer.stdin,
                stderr=talk,
                env=environment,
                cwd=self.home,
                preexec_fn=before,
            )
            self.writer.stdin.close()
            return study

    def said(self) -> tuple[str, str]:
        """What the study wrote last on standard output and on standard error."""
        self.writer.wait(10)
        return (self.home / "answer").read_text(), (self.home / "talk").read_text()

    def journal(self) -> Path | None:
        """The newest journal."""
        found = list((self.home / "data" / "journals").glob("*.jsonl"))
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def trials(self) -> int:
        """Trials in the newest journal."""
        path = self.journal()
        return 0 if path is None else len(read(path).trials)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a study ended."""

    code: int
    document: dict
    said: str
    orphans: int


def end(bench: Bench, study: subprocess.Popen[bytes]) -> Ending:
    """Wait for the end of a study, watching which processes it has."""
    family: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.Error):
        owner = psutil.Process(study.pid)
        while study.poll() is None:
            family |= {child.pid: child for child in owner.children(recursive=True)}
            with contextlib.suppress(subprocess.TimeoutExpired):
                study.wait(0.3)
            if len(family) > 200:
                raise RuntimeError("the study starts processes without end")
    study.wait()
    output, said = bench.said()
    document = json.loads(output) if output.strip() else {}
    return Ending(study.returncode, document, said, orphans(family.values()))


def orphans(family: Sequence[psutil.Process]) -> int:
    """How many of these still run after 5 seconds at most."""
    _, alive = psutil.wait_procs(list(family), timeout=5)
    return sum(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in alive)


def worker_rows(bench: Bench, faults: Sequence[tuple[str, str]]) -> list[Row]:
    """A study whose workers die one after the other while they look for the largest picture."""
    bench.faults([fault for fault, _ in faults])
    ending = end(bench, bench.start(*STUDY, harmed=True))
    trials = ending.document.get("trials", [])
    failed = [trial for trial in trials if trial["outcome"] != "finished"]
    lost = len(trials) - bench.trials()
    rows = []
    for number, (fault, due) in enumerate(faults):
        act, phase = fault.split()
        trial = failed[number] if number < len(failed) else None
        what = f"worker: {_WORDS.get(act, act)} while it does: {_WORDS.get(phase, phase)}"
        if trial is None:
            rows.append(
                Row(what, f"never happened: {ending.said.strip()[-200:]}", ending.orphans, lost, False)
            )
            continue
        happened = f"trial ends as {trial['outcome']} in {trial['failed_in']}, the study goes on to its end"
        as_due = trial["outcome"] == due and trial["failed_in"] == phase and ending.code == 0
        rows.append(
            Row(what, happened, ending.orphans, lost, as_due and bool(ending.document.get("complete")))
        )
    return rows


def kill_the_parent(bench: Bench, after: int, signal_number: int) -> Row:
    """End sdoctor itself in the middle of a new study."""
    for path in (bench.home / "data" / "journals").glob("*.jsonl"):
        path.unlink()
    running = bench.start(*STUDY)
    until = time.monotonic() + 300
    while bench.trials() < after and running.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal_number)
    running.wait(60)
    name = signal.Signals(signal_number).name
    kept = bench.trials()
    happened = f"{len(family)} child process(es) end with it, {kept} trial(s) are in the journal"
    return Row(f"sdoctor: {name}", happened, orphans(family), max(0, after - kept), bool(family))


def resumed(bench: Bench, fault: str, expected: int, words: str) -> Row:
    """Go on with a study; ``expected`` trials must have been kept."""
    ending = end(bench, bench.start(*STUDY, "--resume"))
    kept = ending.document.get("resumed_trials", 0)
    happened = f"--resume keeps {kept} trial(s) and completes the study"
    as_due = ending.code == 0 and ending.document.get("complete") and words in ending.said
    return Row(fault, happened, ending.orphans, max(0, expected - kept), bool(as_due))


def torn(bench: Bench) -> Row:
    """Power fails while a line is written."""
    path = bench.journal()
    before = bench.trials()
    content = path.read_bytes()
    path.write_bytes(content + content.splitlines()[-1][: len(content.splitlines()[-1]) // 2])
    return resumed(bench, "journal: its last line is torn", before, "Going on")


def corrupt(bench: Bench) -> Row:
    """A bit of the first trial's line flips. That trial is the damage, not a loss: it runs again."""
    path = bench.journal()
    before = bench.trials()
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b'"ran"' in line)
    middle = len(lines[place]) // 2
    lines[place] = lines[place][:middle] + bytes([lines[place][middle] ^ 1]) + lines[place][middle + 1 :]
    path.write_bytes(b"".join(lines))
    return resumed(bench, "journal: a flipped bit", before - 1, "damaged line")


def full_disk(bench: Bench) -> Row:
    """No file may grow beyond 4 KiB, as on a disk that is full; the study must end with its answer all the same."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    ending = end(bench, bench.start(*STUDY, before=limit))
    told = ending.said.count("cannot be written")
    ran = sum(line.startswith("trial ") for line in ending.said.splitlines())
    lost = ran - len(ending.document.get("trials", []))
    happened = f"the study completes and prints its answer, told {told} time(s) about the journal"
    answered = bool(ending.document.get("complete")) and bool(ending.document.get("best"))
    as_due = answered and told == 1 and "Traceback" not in ending.said
    return Row("disk: full (no file beyond 4 KiB)", happened, ending.orphans, lost, as_due)


def corrupt_profile(bench: Bench) -> Row:
    """The profile of the study holds rubbish; tuning again replaces it."""
    before = bench.trials()
    paths = list((bench.home / "data" / "profiles").glob("*.json"))
    for path in paths:
        path.write_bytes(b'{"schema": "sdoctor.profile/1", "model"')
    ending = end(bench, bench.start(*STUDY, "--resume"))
    whole = bool(paths) and all(json.loads(path.read_text())["best"] for path in paths)
    happened = "tuning again replaces it with a whole one"
    as_due = whole and ending.code == 0 and "Traceback" not in ending.said
    lost = before - ending.document.get("resumed_trials", 0)
    return Row("profile: rubbish", happened, ending.orphans, lost, as_due)


def rows(folder: Path, *, fast: bool, part: str | None = None) -> Iterator[Row]:
    """All rows of the table, as they are done; ``fast`` a few of them, ``part`` those of the worker or the rest."""
    bench = Bench(folder)
    if part != "rest":
        yield from worker_rows(bench, WORKER_FAULTS[:2] if fast else WORKER_FAULTS[:3])
        if not fast:
            yield from worker_rows(bench, WORKER_FAULTS[3:6])
            yield from worker_rows(bench, WORKER_FAULTS[6:])
    if part == "worker":
        return
    yield kill_the_parent(bench, 2, signal.SIGKILL)
    yield torn(bench)
    if fast:
        return
    yield corrupt(bench)
    yield corrupt_profile(bench)
    yield kill_the_parent(bench, 1, signal.SIGINT)
    yield full_disk(bench)


def main() -> int:
    """Do it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="only a few of the faults")
    parser.add_argument("--part", choices=("worker", "rest"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sdoctor-faults-") as name:
        print("| fault | what happened | orphans | lost |")
        print("|---|---|---|---|")
        good = True
        for row in rows(Path(name), fast=options.fast, part=options.part):
            print(row.text(), flush=True)
            good = good and row.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
