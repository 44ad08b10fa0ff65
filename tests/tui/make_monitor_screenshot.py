"""Makes an SVG picture of the monitor screen: ``python -P tests/tui/make_monitor_screenshot.py docs/images/monitor.svg``.

The machine on it is invented (tests/playing_monitor.py): the screen is real, the figures are not.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playing_monitor import CARD, ROWS, Playing, machine

from doctor.telemetry.processes import ProcessRow
from tui.monitor_app import MonitorApp
from tui.screens.monitor import MonitorScreen
from tui.timeline import Mark

SECONDS = 136


MORE = tuple(
    ProcessRow(
        pid=pid,
        parent=1,
        name=command.split()[0],
        user=user,
        command=command,
        cpu_percent=cpu,
        cpu_seconds=seconds,
        resident=megabytes << 20,
        threads=threads,
        niceness=0,
        state="S",
        started=float(pid),
    )
    for pid, user, command, cpu, seconds, megabytes, threads in (
        (301, "root", "Xorg :0 -seat seat0", 3.0, 912.0, 210, 9),
        (402, "ann", "firefox", 11.0, 3010.0, 1480, 96),
        (455, "ann", "bash", 0.0, 1.0, 6, 1),
        (460, "ann", "sdoctor monitor", 2.0, 12.0, 46, 4),
        (77, "root", "systemd-journald", 0.4, 40.0, 24, 1),
    )
)


def sample_at(second: int):
    """Three pictures of 40 s each: denoising, a pause in which the card waits, decoding with a peak of memory."""
    phase = second % 50
    busy = 97.0 + math.sin(second) if phase < 40 else 12.0
    card = replace(
        CARD,
        utilization=busy,
        memory_used=(9 + (6 if 36 <= phase < 40 else 0)) * 2**30,
        power=80.0 + 2.6 * busy,
        temperature=55.0 + 16 * (1 - math.exp(-second / 40)),
    )
    cores = tuple(
        max(3.0, min(99.0, 25.0 + 20 * math.sin(second / 5 + core) + (60 if core == 2 else 0)))
        for core in range(8)
    )
    return replace(
        machine(second, gpus=(card,), cpu_percent=sum(cores) / 8, core_percents=cores),
        clock=1_790_000_000.0 + second,
    )


async def shoot(target: Path, size: tuple[int, int]) -> None:
    screen = MonitorScreen(Playing())
    async with MonitorApp(screen).run_test(size=size) as pilot:
        await pilot.pause(0.2)
        listener = screen.feed.listener
        for second in range(1, SECONDS):
            listener.sampled(sample_at(second))
        listener.listed((*ROWS, *MORE))
        listener.marked((Mark(1_790_000_000.0 + 88, "out of memory in decode: SDXL at 1536x1536"),))
        await pilot.pause(0.3)
        listener.sampled(sample_at(SECONDS))
        await pilot.pause(0.5)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(pilot.app.export_screenshot(title="sdoctor monitor", simplify=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--screen", default="130x38", help="columns x rows")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.screen.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SDOCTOR_HOME"] = folder
        os.environ["TZ"] = "UTC"
        asyncio.run(shoot(options.target, (columns, rows)))
    print(options.target)


if __name__ == "__main__":
    main()
