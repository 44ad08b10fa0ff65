"""Prints what watching costs: ``python tests/benchmarks/watching_cost.py [--seconds 30] [--rounds 3] [--peers PYTHON]``.

``sdoctor monitor --json`` at one sample per second, as a user starts it, its child for the cards included, for the machine
and for a process of 32 threads (that wake up three times a second: a thread that slept all the time costs half), and the
daemon; beside it one round per second of nvitop's and of glances' own sampling, each without its screen, and the screens of
nvitop, glances and gpustat. ``--peers`` is the Python of an environment in which nvitop and glances are installed (default:
this one). CPU time is the kernel's count of each process after it has started up. Memory is the sum of the resident sets
at the end, which the budget is held against; pages that two processes share count twice in it, and once in the last
column (PSS). Several rounds take all rows by turns; the medians are judged. A list of all processes is timed beside
psutil's of the same columns. gpustat and nvitop's screen end without a driver, so they get the tests' fake one.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from nvml_fixture import RTX_3090, build_fake_nvml

from doctor.telemetry.processes import ProcessTable

SCREEN = "sdoctor monitor, the screen"
SCREEN_WITH_CARD = "sdoctor screen, fake driver"
GPUSTAT, NVITOP_SCREEN = "gpustat -i 1, fake driver", "nvitop, screen, fake driver"
GLANCES_SCREEN = "glances, the screen"
ON_TERMINAL = (SCREEN, SCREEN_WITH_CARD, GPUSTAT, NVITOP_SCREEN, GLANCES_SCREEN)

BUDGET_PERCENT, BUDGET_MIB = 0.5, 45.0

GLANCES = """
import time
from glances.main import GlancesMain
from glances.stats import GlancesStats
import sys
sys.argv = ["glances", "--quiet"]
core = GlancesMain()
stats = GlancesStats(config=core.get_config(), args=core.get_args())
while True:
    stats.update()
    time.sleep(1)
"""

NVITOP = """
import os, time
from nvitop import Device, GpuProcess, host
try:
    devices = Device.all()
except Exception:
    devices = []
while True:
    for device in devices:
        device.as_snapshot(); device.processes()
    host.cpu_percent(); host.virtual_memory(); host.swap_memory(); host.load_average()
    for pid in host.pids() if devices else ():
        pass
    time.sleep(1)
"""


CROWD = """
import threading, time
def wake():
    while True:
        time.sleep(0.3)
for _ in range(31):
    threading.Thread(target=wake, daemon=True).start()
time.sleep(3600)
"""


BARE = """
import sys, typer
app = typer.Typer()
@app.command()
def nothing(count: int = typer.Option(1, min=1)) -> None:
    pass
sys.argv = ["nothing"]
app()
"""


@dataclass(frozen=True)
class Cost:
    percent: float
    """Of one core."""
    resident: float
    """MiB, of all its processes together."""
    shared_once: float
    """MiB of its own, and its part of what it shares."""

    def __str__(self) -> str:
        return f"{self.percent:.2f} %, {self.resident:.1f} MiB, {self.shared_once:.1f} MiB shared once"


def environment_of(row: str, folder: Path) -> dict[str, str] | None:
    """What a row is started with; None for what this program has."""
    if "fake" in row:
        return build_fake_nvml(folder, RTX_3090)
    return os.environ | {"SDOCTOR_HOME": str(folder)} if "daemon" in row else None


def family(pid: int) -> list[psutil.Process]:
    whole = psutil.Process(pid)
    return [whole, *whole.children(recursive=True)]


def used(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def on_terminal(command: list[str], env: dict[str, str] | None) -> subprocess.Popen[bytes]:
    """Started on a pseudo terminal whose output somebody takes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {name: value for name, value in (env or os.environ).items() if name not in ("COLUMNS", "LINES")}
    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=env | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)

    def take() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 65536):
                pass

    threading.Thread(target=take, daemon=True).start()
    return child


def measure(command: list[str], seconds: float, settle: float, env=None, terminal=False):
    """What it costs, or in words why it could not be measured."""
    if terminal:
        child = on_terminal(command, env)
    else:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    try:
        time.sleep(settle)
        if child.poll() is not None:
            words = child.stderr.read().decode().strip().splitlines()[-1:] or ["no word"]
            return f"it ended by itself: {words[0]}"
        processes = family(child.pid)
        before, begun = used(processes), time.monotonic()
        time.sleep(seconds)
        after, taken = used(processes), time.monotonic() - begun
        if child.poll() is not None:
            return "it ended by itself while it was measured"
        memory = [process.memory_full_info() for process in processes]
        resident, shared = (
            sum(part) / 2**20 for part in zip(*((each.rss, each.pss) for each in memory), strict=True)
        )
        return Cost(100 * (after - before) / taken, resident, shared)
    finally:
        child.kill()
        child.wait()


def start_up(command: list[str], rounds: int = 7) -> float:
    """CPU seconds of user and system of the quickest of some runs: waiting does not count."""
    best = float("inf")
    for _ in range(rounds):
        before = os.times()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        best = min(best, spent)
    return best


COLUMNS = [
    "ppid",
    "name",
    "cmdline",
    "username",
    "status",
    "nice",
    "num_threads",
    "cpu_times",
    "memory_info",
    "create_time",
]
"""What psutil calls the columns of a ProcessRow."""


def listing(rounds: int = 15) -> str:
    """The quickest list of all processes, as the monitor screen reads it and as psutil does."""
    table = ProcessTable(every=0.0)
    table.read()
    ours = quickest(table.read, rounds)
    theirs = quickest(lambda: [each.info for each in psutil.process_iter(COLUMNS)], rounds)
    return f"{len(psutil.pids())} processes: {1e3 * ours:.1f} ms to list, {1e3 * theirs:.1f} ms by psutil"


def quickest(call: Callable[[], object], rounds: int) -> float:
    """Seconds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--settle", type=float, default=6.0)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--only", default="", help="rows whose name holds one of these, commas between")
    asked = parser.parse_args()
    sdoctor = str(Path(sys.executable).with_name("sdoctor"))
    crowd = subprocess.Popen([sys.executable, "-S", "-c", CROWD])
    folder = tempfile.mkdtemp()
    rows = {
        "sdoctor monitor --json": [sdoctor, "monitor", "--json"],
        "sdoctor monitor, 32 threads": [sdoctor, "monitor", "--json", "--pid", str(crowd.pid)],
        "sdoctor monitor, fake driver": [sdoctor, "monitor", "--json"],
        "sdoctor daemon run": [sdoctor, "daemon", "run"],
        SCREEN: [sdoctor, "monitor"],
        SCREEN_WITH_CARD: [sdoctor, "monitor"],
        "nvitop, sampling only": [asked.peers, "-c", NVITOP],
        "nvitop, sampling, fake driver": [asked.peers, "-c", NVITOP],
        "glances, sampling only": [asked.peers, "-c", GLANCES],
        GPUSTAT: [str(Path(asked.peers).with_name("gpustat")), "-i", "1"],
        NVITOP_SCREEN: [str(Path(asked.peers).with_name("nvitop"))],
        GLANCES_SCREEN: [str(Path(asked.peers).with_name("glances")), "-t", "1", "--disable-check-update"],
    }
    wanted = asked.only.split(",")
    rows = {name: command for name, command in rows.items() if any(word in name for word in wanted)}
    seen: dict[str, list[Cost | str]] = {name: [] for name in rows}
    for _ in range(asked.rounds):
        for name, command in rows.items():
            env = environment_of(name, Path(folder))
            seen[name].append(
                measure(command, asked.seconds, asked.settle, env, terminal=name in ON_TERMINAL)
                if Path(command[0]).exists()
                else "it is not installed beside --peers"
            )
            print(f"  {name}: {seen[name][-1]}", file=sys.stderr, flush=True)
    print(
        f"{'once per second':<32}{'% of one core':>14}{'least, most':>14}{'MiB':>8}{'MiB, shared once':>18}"
    )
    good = True
    for name, found in seen.items():
        costs = [each for each in found if isinstance(each, Cost)]
        if not costs:
            print(f"{name:<32}not measured: {found[0]}")
            continue
        percents = [each.percent for each in costs]
        percent, resident = statistics.median(percents), statistics.median(each.resident for each in costs)
        spread = f"{min(percents):.2f}, {max(percents):.2f}"
        shared = statistics.median(each.shared_once for each in costs)
        print(f"{name:<32}{percent:>14.2f}{spread:>14}{resident:>8.1f}{shared:>18.1f}", flush=True)
        if name.startswith("sdoctor monitor") and name != SCREEN:
            good = good and percent <= BUDGET_PERCENT and resident <= BUDGET_MIB
    crowd.kill()
    shutil.rmtree(folder)
    print(
        f"budget of sdoctor: {BUDGET_PERCENT} % and {BUDGET_MIB:.0f} MiB: {'kept' if good else 'NOT kept by every row'}"
    )
    print(listing())
    typer = start_up([sys.executable, "-c", "import typer"])
    bare = start_up([sys.executable, "-c", BARE])
    once = start_up([sdoctor, "monitor", "--once"])
    print(f"CPU time to start and end: import typer {typer:.3f} s")
    print(f"  an empty command of typer with one option: {bare:.3f} s, {bare / typer:.1f} times")
    print(
        f"  sdoctor monitor --once: {once:.3f} s, {once / typer:.1f} times (waiting between its samples not counted)"
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
