"""How the daemon's history grows with days: ``python tests/benchmarks/store_growth.py [--cards 1]``.

Real figures of this machine and made-up cards, under a made-up clock, into a real history: a sample a second for three
days and for the last two, one a minute in between (what is older than two days is kept by the minute anyway). Prints
Markdown.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from doctor.history import History
from doctor.telemetry.sample import GpuProcess, GpuSample, Sample, Throttling
from doctor.telemetry.sampler import Sampler

DAY, MIB = 86_400, 2**20
MARKS = (2 / 24, 1, 2, 3, 10, 30, 60, 90, 100, 102)
"""Days at which it is measured."""


class NoCards:
    def read(self):
        return (), None

    def close(self):
        pass


def card(index: int, number: int) -> GpuSample:
    return GpuSample(
        index=index, name="card", utilization=number % 100, memory_used=number % 97 * 10**8, memory_total=97 * 10**8,
        power=200.0 + number % 50, power_limit=350.0, temperature=60.0 + number % 20, clock=1500.0 + number % 300,
        clock_max=2100.0, throttling=Throttling(power_cap=1.0),
        processes=(GpuProcess(pid=1, name="p", memory_used=10**9),),
    )  # fmt: skip


def moments() -> Iterator[int]:
    """Seconds since the beginning."""
    yield from range(3 * DAY)
    yield from range(3 * DAY, 100 * DAY, 60)
    yield from range(100 * DAY, 102 * DAY + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, default=1)
    asked = parser.parse_args()
    sampler = Sampler(NoCards())
    sampler.read()
    time.sleep(1.0)
    real = sampler.read()
    begin = time.time() - 200 * DAY
    marks = [round(mark * DAY) for mark in MARKS]
    with tempfile.TemporaryDirectory(prefix="sdoctor-growth-") as folder:
        path, now = Path(folder) / "history.db", begin
        history = History(path, clock=lambda: now)
        print("| days | MiB on the disk | singles | of ten seconds | of a minute |\n|---|---|---|---|---|")
        for count, second in enumerate(moments()):
            now = begin + second
            history.add_sample(sample_of(real, count, now, asked.cards))
            if count % 300 == 0:  # a whole queue would be lost, and tidying up has to come as it does
                history.flush(60)
            while marks and second >= marks[0]:
                marks.pop(0)
                history.flush(60)
                print(row(path, second), flush=True)
        lost = history.lost
        history.close()
    print(f"\n{asked.cards} card(s); lost samples: {lost}")


def sample_of(real: Sample, number: int, now: float, cards: int) -> Sample:
    return replace(
        real, at=now, clock=now, cpu_percent=number % 1000 / 10, gpus=tuple(card(index, number) for index in range(cards))
    )  # fmt: skip


def row(path: Path, second: int) -> str:
    size = sum(each.stat().st_size for each in path.parent.glob("history.db*")) / MIB
    with sqlite3.connect(path) as connection:
        counts = dict(connection.execute("SELECT span, count(*) FROM reading GROUP BY span").fetchall())
    spans = sorted(counts)
    cells = " | ".join(f"{counts[span]:,}" for span in spans)
    return f"| {second / DAY:.3g} | {size:.1f} | {cells} |"


if __name__ == "__main__":
    main()
