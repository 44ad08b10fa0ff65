"""What the daemon costs: ``python tests/benchmarks/daemon_day.py [--seconds 120] [--days 1]``.

First the real daemon at one sample a second: processor time from /proc and resident memory. Then days of samples,
each a real reading of this machine under a clock that runs as fast as they can be taken, into a real history: memory
and file must not grow with the number of samples. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from doctor.daemon.processes import largest_processes
from doctor.daemon.watch import WatchService
from doctor.history import History
from doctor.telemetry.sample import GpuProcess, GpuSample, Throttling
from doctor.telemetry.sampler import Sampler

DAY = 86_400
MIB = 2**20


class NoCards:
    def read(self):
        return (), None

    def close(self):
        pass


class FastClock:
    """Real samples of this machine with one card added, a second apart by their own clock."""

    def __init__(self, begin: float) -> None:
        self.sampler, self.begin, self.count = Sampler(NoCards()), begin, 0

    def read(self, pid):
        self.count += 1
        number = self.count
        card = GpuSample(
            index=0, name="card", utilization=number % 100, memory_used=number % 97 * 10**8, memory_total=97 * 10**8,
            power=200.0 + number % 50, temperature=60.0, throttling=Throttling(power_cap=1.0),
            processes=(GpuProcess(pid=1, name="p", memory_used=10**9),),
        )  # fmt: skip
        # Half an hour of every two hours the card is full, so that incidents come and go.
        if number // 1800 % 4 == 0:
            card = replace(card, memory_used=97 * 10**8)
        sample = self.sampler.read(pid)
        return replace(sample, at=float(number), clock=self.begin + number, interval=1.0, gpus=(card,))

    def close(self):
        self.sampler.close()


def simulated(days: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="sdoctor-day-"))
    os.environ["SDOCTOR_HOME"] = str(folder)
    clock = FastClock(time.time() - days * DAY)
    history = History(folder / "data" / "history.db", clock=lambda: clock.begin + clock.count)
    service = WatchService(history, interval=lambda: 0.0, sampler=lambda: clock)
    print("\n| samples | hours | resident MiB | history MiB | incidents |\n|---|---|---|---|---|")
    service.start()
    # The first two hours fill what is bounded by number (samples in memory, SQLite's cache).
    for mark in (7200, *(round(part * days * DAY / 8) for part in range(1, 9))):
        while clock.count < mark and service.status().running:
            time.sleep(0.05)
        history.flush(60)
        rss = psutil.Process().memory_info().rss / MIB
        size = sum(path.stat().st_size for path in folder.rglob("history.db*")) / MIB
        found = len(history.incidents(limit=10_000))
        print(f"| {clock.count} | {clock.count / 3600:.1f} | {rss:.1f} | {size:.1f} | {found} |", flush=True)
    service.stop(10)
    history.close()
    print(f"\nlost samples: {history.lost}; processes of this machine: {len(largest_processes(10_000))}")
    shutil.rmtree(folder, ignore_errors=True)


def real(seconds: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="sdoctor-day-"))
    command = [sys.executable, "-P", "-m", "tui", "daemon", "run", "--log", str(folder / "log")]
    child = subprocess.Popen(command, env={**os.environ, "SDOCTOR_HOME": str(folder)})
    process = psutil.Process(child.pid)
    time.sleep(10)  # starting up is not watching
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    spent, took = sum(process.cpu_times()[:2]) - before, time.monotonic() - began
    own = process.memory_info().rss
    child.send_signal(signal.SIGTERM)
    child.wait(10)
    print("| real daemon, 1 sample a second | |\n|---|---|")
    print(f"| watched for | {took:.0f} s |")
    print(f"| processor | {100 * spent / took:.2f} % of one core |")
    print(f"| resident | {own / MIB:.1f} MiB |")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="for the real daemon; 0 for none")
    parser.add_argument("--days", type=float, default=1.0, help="of samples; 0 for none")
    asked = parser.parse_args()
    if asked.seconds:
        real(asked.seconds)
    if asked.days:
        simulated(asked.days)
