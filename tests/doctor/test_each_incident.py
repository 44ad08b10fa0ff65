"""Every kind of incident: from samples (of the fake driver, for cards) to what `sdoctor incidents` says."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from command import sdoctor
from nvml_fixture import build_fake_nvml

from doctor.daemon import watch
from doctor.daemon.kinds import DAEMON_KILLED, KINDS, MACHINE_STOPPED
from doctor.daemon.looks import make_looks
from doctor.daemon.looks.killed import Killed
from doctor.daemon.processes import ProcessMemory
from doctor.daemon.watch import WatchService
from doctor.history import History
from doctor.incidents import OUT_OF_MEMORY
from doctor.sizes import GIB, MIB
from doctor.telemetry.gpu_child import GpuChild
from doctor.telemetry.sample import Pressure, Sample
from doctor.telemetry.sampler import Sampler

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake driver is a Unix library")

TOTAL = 24 * GIB
CARD = f"gpu\nname NVIDIA GeForce RTX 3090\nuuid GPU-1\ncapability 8 6\nmemory {TOTAL} {{used}}\n"
WELL = CARD.format(used=2 * GIB) + "grow 269 0 0\ngrow 270 0 0\ngrow 271 0 0\n"
AT_WORK = "value nvmlDeviceGetUtilizationRates 0 99\nvalue nvmlDeviceGetCurrentClocksEventReasons 0 0\n"


@dataclass(frozen=True)
class Case:
    """What happens from the thirtieth second on, for ``seconds``; before and after all is well."""

    kind: str
    says: str
    driver: str | None = None
    change: Callable[[Sample, int], Sample] | None = None
    processes: Callable[[int], tuple[ProcessMemory, ...]] | None = None
    free: int | None = None
    """Bytes left on every disk."""
    killed: bool = False
    seconds: int = 60


def swaps(sample: Sample, _second: int) -> Sample:
    return replace(sample, swap_in=60.0 * MIB, swap_out=40.0 * MIB)


def stalls(sample: Sample, _second: int) -> Sample:
    return replace(sample, swap_in=0.0, swap_out=0.0, pressure=Pressure(memory_some=45.0, memory_full=30.0))


def leaks(second: int) -> tuple[ProcessMemory, ...]:
    """Pictures of two minutes that give back all but 120 MiB."""
    return (
        ProcessMemory(4711, 1.0, "server", 2 * GIB + (second % 120) * 10 * MIB + second // 120 * 120 * MIB),
    )


LEFT_ALONE = "grow 269 0 0\n"
NOT_HELD = "grow 269 0 0\ngrow 270 0 0\ngrow 271 0 0\n"
HELD = CARD.format(used=2 * GIB) + AT_WORK
CASES = (
    Case("throttled-thermal", "Heat held the card's clock down", HELD + "grow 270 0 400000000\n" + LEFT_ALONE),
    Case("throttled-brake", "power brake held", HELD + "grow 271 0 300000000\n" + LEFT_ALONE),
    Case(
        "vram-pressure",
        "has 205 MiB of its memory left",
        CARD.format(used=TOTAL - GIB // 5) + f"process {os.getpid()} {20 * GIB}\n" + NOT_HELD,
    ),
    Case("gpu-lost", "RTX 3090 (card 0) does not answer the driver any more", WELL + "lose nvmlDeviceGetName 0\n"),
    Case("driver-mismatch", "driver was updated, but the old one is still loaded", "init 18\n" + WELL),
    Case("memory-swap", "moves memory to and from the disk", change=swaps),
    Case("memory-pressure", "stand still for memory 45 %", change=stalls),
    Case("memory-growth", "server grows by", processes=leaks, seconds=30 * 60),
    Case("disk-full", "has 100 MiB left of 100.00 GiB", free=100 * MIB, seconds=200),
    Case("oom-kill", "the kernel killed a program; probably python, which held 8.00 GiB", killed=True),
)  # fmt: skip

ELSEWHERE = {
    DAEMON_KILLED: "test_incident_watch",
    MACHINE_STOPPED: "test_incident_watch",
    OUT_OF_MEMORY: "test_incident_watch, test_step_down",
    "memory-spill": "test_verdicts, test_induced_verdicts: only Windows does that",
}
"""Kinds that are not seen in samples of a machine like this, and the tests that have them."""


def test_every_kind_is_here_or_elsewhere():
    assert {case.kind for case in CASES} | ELSEWHERE.keys() == KINDS.keys()


class Machine:
    """A sampler under a clock that runs as fast as it is read; its driver is exchanged under it, as by an update."""

    def __init__(self, case: Case, folder, monkeypatch):
        self.case, self.second = case, 0
        self.begin = time.time() - 7200.0
        self.last = 30 + case.seconds + 150
        self._folder, self._patch = folder, monkeypatch
        if case.driver is not None:
            environment = build_fake_nvml(folder, WELL)
            monkeypatch.setenv("LD_LIBRARY_PATH", environment["LD_LIBRARY_PATH"])
            monkeypatch.setenv("FAKE_NVML_SCENARIO", environment["FAKE_NVML_SCENARIO"])
        self._sampler = self._new()
        self._bad = False

    def _new(self) -> Sampler:
        return Sampler(GpuChild(present=self.case.driver is not None))

    @property
    def happens(self) -> bool:
        return 30 <= self.second < 30 + self.case.seconds

    def read(self, pid):
        if self.second > self.last:
            time.sleep(0.01)  # the story is over
        self.second += 1
        case = self.case
        if case.driver is not None and self.happens != self._bad:
            self._sampler.close()
            (self._folder / "scenario.txt").write_text(case.driver if self.happens else WELL)
            self._sampler = self._new()
        self._bad = self.happens
        if case.driver is not None:
            # The driver counts the time for which a clock is held: give it some.
            time.sleep(0.005)
        sample = self._sampler.read(pid) if case.driver or self.second < 3 else Sample(at=0.0)
        quiet = replace(sample, swap_in=0.0, swap_out=0.0, pressure=Pressure(memory_some=0.0))
        changed = case.change(quiet, self.second) if case.change and self.happens else quiet
        return replace(
            changed, at=float(self.second), clock=self.begin + self.second, interval=1.0,
            memory_total=32 * GIB, memory_available=8 * GIB,
        )  # fmt: skip

    def close(self):
        self._sampler.close()


def looks_of(machine: Machine, vmstat):
    """Those of the daemon; the kernel's count of killed programs comes from a file of ours."""
    return lambda: tuple(Killed(str(vmstat)) if isinstance(each, Killed) else each for each in make_looks())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_from_samples_to_what_incidents_says(case, tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    machine = Machine(case, tmp_path, monkeypatch)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 3\n")
    victim = ProcessMemory(2**22 + 1, 1.0, "python", 8 * GIB)

    def largest():
        if case.killed and machine.second >= 30:
            vmstat.write_text("oom_kill 4\n")
        return case.processes(machine.second) if case.processes and machine.second < 1800 else (victim,)

    monkeypatch.setattr(watch, "largest_processes", largest)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda _: usage(100 * GIB, 0, case.free if case.free and machine.happens else 50 * GIB),
    )
    history = History(tmp_path / "data" / "history.db", clock=lambda: machine.begin + machine.second)
    service = WatchService(
        history, interval=lambda: 0.0, sampler=lambda: machine, looks=looks_of(machine, vmstat)
    )
    service.start()
    end = time.monotonic() + 120
    while machine.second <= machine.last and service.status().running:
        assert time.monotonic() < end
        time.sleep(0.02)
    service.stop(10.0)
    history.close()

    listed = sdoctor("incidents", "--since", "1d", "--json", home=tmp_path)
    found = json.loads(listed.stdout)["incidents"]
    assert [each["kind"] for each in found] == [case.kind], listed.stdout
    (one,) = found
    assert not one["cut_off"]
    if case.kind not in ("oom-kill", "memory-growth"):
        # As long as it lasted, give or take how often it is looked at.
        assert case.seconds - 62 <= one["lasted_seconds"] <= case.seconds + 62
        assert one["lasted_seconds"] >= 20
    assert one["ran"]["processes"], "what ran at that moment"
    page = sdoctor("incidents", one["id"], home=tmp_path).stdout
    assert case.says in page
    assert KINDS[case.kind][:40] in page
    assert "What ran when it began:" in page
    assert "What to do: " in page
