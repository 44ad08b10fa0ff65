"""From samples to incidents: what is looked for, how long it must last, what is written down of it."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from dataclasses import replace

import pytest

from doctor.daemon import aftermath
from doctor.daemon.incident_import import IncidentImport, as_episode
from doctor.daemon.kinds import KINDS
from doctor.daemon.ledger import Ledger
from doctor.daemon.looks import make_looks
from doctor.daemon.looks.cards import LostCards, VideoMemory
from doctor.daemon.looks.disks import FullDisks
from doctor.daemon.looks.driver_files import DriverFiles
from doctor.daemon.looks.growth import Growth
from doctor.daemon.looks.killed import Killed
from doctor.daemon.looks.verdicts import KINDS as VERDICT_KINDS
from doctor.daemon.looks.verdicts import Verdicts
from doctor.daemon.processes import ProcessMemory, largest_processes
from doctor.daemon.sighting import Sighting, View
from doctor.daemon.watch import WatchService, what_ran
from doctor.finding import Severity
from doctor.history import History, Ran
from doctor.incidents import OUT_OF_MEMORY, Incident, incidents_file, record
from doctor.sizes import GIB, MIB
from doctor.telemetry.sample import GpuProcess, GpuSample, Neighbour, Sample, Throttling
from doctor.verdicts import RULES

SEEN = Sighting(kind="vram-pressure", severity=Severity.WARNING, title="Full.", worse=1.0, after=10.0)
RAN = Ran(worker="w")


def view(at: float = 0.0, processes=(), **figures) -> View:
    return View(
        at=at, samples=(Sample(at=at, clock=at, interval=1.0, **figures),), processes=tuple(processes)
    )


def test_every_kind_is_explained_and_every_verdict_exists():
    assert set(VERDICT_KINDS) <= {cause for rule in RULES for cause in rule.causes}
    assert set(VERDICT_KINDS) <= set(KINDS)


# The ledger


def test_incident_begins_when_it_lasted_and_ends_when_it_was_gone():
    kept = []
    ledger = Ledger(kept.append)
    for at in range(40):
        ledger.see(at, [SEEN] if at < 20 else [], lambda: RAN)
    assert kept[0].began == 0.0
    assert kept[0].ended is None
    assert kept[0].ran == RAN
    assert len(kept) == 1
    assert [each.id for each in ledger.lasting] == [kept[0].id]
    for at in range(40, 60):
        ledger.see(at, [], lambda: RAN)
    assert [each.ended for each in kept] == [None, 19]
    assert not ledger.lasting


def test_flicker_is_one_incident_and_a_moment_is_none():
    kept = []
    ledger = Ledger(kept.append)
    for at in range(100):
        ledger.see(at, [SEEN] if at % 4 else [], lambda: RAN)
    assert len({each.id for each in kept}) == 1
    kept.clear()
    ledger = Ledger(kept.append)
    for at in range(100):
        ledger.see(at, [SEEN] if at % 20 < 5 else [], lambda: RAN)
    assert kept == []


def test_the_worst_is_remembered_and_the_end_of_watching_is_said():
    kept = []
    ledger = Ledger(kept.append)
    for at in range(100):
        worse = replace(SEEN, worse=float(at % 90), evidence={"at": at})
        ledger.see(at, [worse], lambda: RAN)
    ledger.close()
    assert kept[-1].evidence == {"at": 89}
    assert kept[-1].cut_off
    assert kept[-1].ended == 99
    assert len(kept) <= 4  # begun, worse once a minute, ended


# The looks


def test_full_card_says_who_holds_it():
    processes = (GpuProcess(pid=7, name="comfy", memory_used=9 * GIB),)
    card = GpuSample(
        index=1, name="RTX", memory_used=int(9.9 * GIB), memory_total=10 * GIB, processes=processes
    )
    (found,) = VideoMemory().look(view(gpus=(card,)))
    assert found.evidence["held_by"] == "comfy (9.00 GiB)"
    assert not VideoMemory().look(view(gpus=(replace(card, memory_used=9 * GIB),)))
    assert not VideoMemory().look(view(gpus=(replace(card, memory_used=None),)))


def test_card_that_stops_answering_is_lost_until_it_is_back():
    look, card = LostCards(), GpuSample(index=0, name="RTX")
    assert not look.look(view(gpus=(card,)))
    assert [each.kind for each in look.look(view(gpus=(GpuSample(index=0),)))] == ["gpu-lost"]
    assert [each.kind for each in look.look(view(gpus=()))] == ["gpu-lost"]
    (silent,) = look.look(view(gpus=None, gpu_error="the driver has not answered for 3.0 s"))
    assert silent.evidence == {"driver_said": "the driver has not answered for 3.0 s"}
    assert not look.look(view(gpus=(card,)))


def test_machine_that_never_had_a_card_loses_none():
    assert not LostCards().look(view(gpus=()))
    assert not LostCards().look(view(gpus=None, gpu_error="nvidia-ml-py is not installed"))
    (found,) = LostCards().look(view(gpus=None, gpu_error="Driver/library version mismatch"))
    assert found.kind == "driver-mismatch"


def test_updated_driver_is_seen_in_its_files(tmp_path):
    (tmp_path / "sys/module/nvidia").mkdir(parents=True)
    (tmp_path / "usr/lib64").mkdir(parents=True)
    (tmp_path / "sys/module/nvidia/version").write_text("580.95.05\n")
    look = DriverFiles(tmp_path)
    assert not look.look(view())
    link = tmp_path / "usr/lib64/libnvidia-ml.so.1"
    for version in ("580.95.05", "585.10"):
        (tmp_path / f"usr/lib64/libnvidia-ml.so.{version}").write_text("")
    link.symlink_to("libnvidia-ml.so.580.95.05")
    assert not look.look(view())
    link.unlink()
    link.symlink_to("libnvidia-ml.so.585.10")
    (found,) = look.look(view())
    assert found.evidence == {"loaded_module": "580.95.05", "installed_library": "585.10"}


def test_disk_without_room(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    look = FullDisks({"model cache": tmp_path / "not" / "there", "sdoctor data": tmp_path})
    assert tmp_path.exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100 * GIB, 0, 100 * MIB))
    (found,) = look.look(view())
    assert found.severity is Severity.ERROR
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100 * GIB, 0, 3 * GIB))
    assert not look.look(view())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 * GIB, 0, GIB // 2))
    assert not look.look(view())


def test_kernel_that_killed_a_program(tmp_path):
    counts, gone = tmp_path / "vmstat", ProcessMemory(2**22 + 1, 1.0, "python", 8 * GIB)
    counts.write_text("pgfault 7\noom_kill 3\n")
    look = Killed(str(counts))
    assert not look.look(view(processes=(gone,)))
    counts.write_text("pgfault 9\noom_kill 4\n")
    (found,) = look.look(view(processes=(gone,), memory_available=MIB))
    assert found.at_once
    assert "python" in found.title
    assert found.evidence == {
        "killed": 1,
        "available_mib": 1,
        "gone": f"python ({gone.pid})",
        "its_memory_mib": 8192,
    }
    assert not look.look(view())
    assert not Killed(str(tmp_path / "missing")).look(view())


def memory_over_time(of, hours: float = 0.75) -> list:
    look, found = Growth(), []
    for at in range(0, round(hours * 3600), 30):
        process = ProcessMemory(7, 1.0, "server", int(of(at / 60)))
        found += [(at, each) for each in look.look(view(at, [process], memory_available=8 * GIB))]
    return found


def test_steady_growth_is_seen_after_twenty_minutes():
    found = memory_over_time(lambda minute: GIB + 50 * MIB * minute)
    at, first = found[0]
    assert at == 20 * 60
    assert first.since == 0
    assert first.evidence["grew_mib_per_hour"] == pytest.approx(3000, rel=0.05)
    assert first.evidence["hours_until_full"] == pytest.approx(8 * 1024 / 3000, abs=0.2)


def pictures(minute: float) -> float:
    """Three minutes of work with 3 GiB, of which 2.5 are given back."""
    return GIB + 3 * GIB * ((minute % 3) / 3)


@pytest.mark.parametrize(
    ("of", "hours"),
    [
        (lambda minute: pictures(minute) + 60 * MIB * minute, 0.34),
        (lambda minute: pictures(minute) + 60 * MIB * (minute // 3) * 3, 0.4),  # with every picture
        (lambda minute: pictures(minute) + 4 * MIB * minute, 4.1),  # slowly
        (lambda minute: GIB + 4 * MIB * minute, 4.1),
    ],
    ids=["work", "steps", "slow work", "slow"],
)
def test_a_leak_is_seen_behind_work_that_gives_memory_back(of, hours):
    found = memory_over_time(of, hours)
    assert found
    assert found[0][0] > 0.9 * 3600 * min(hours, 4.0) - 300


@pytest.mark.parametrize(
    "of",
    [
        lambda _: 8 * GIB,
        lambda minute: GIB if minute < 10 else 6 * GIB,  # a model was loaded
        lambda minute: GIB + min(minute, 8) * 500 * MIB,  # grows, then stays
        pictures,
        lambda minute: 2 * GIB + (minute % 7) * GIB,  # pictures that take longer than a quarter
        lambda minute: 2 * GIB + (minute % 50) * 0.2 * GIB if minute % 50 < 12 else 2 * GIB,
        lambda minute: 2 * GIB + MIB * minute,  # too little, in any span
        lambda minute: 2 * GIB + (2 * GIB if minute % 5 < 4 - minute / 300 else 0),  # pauses become longer
    ],
    ids=["flat", "step", "plateau", "pictures", "long pictures", "spikes", "little", "pauses"],
)
def test_work_is_no_leak(of):
    assert memory_over_time(of, hours=12) == []


def test_a_pause_of_the_machine_is_no_growth():
    look = Growth()
    for at in (0, 30, 60, 7200, 7230):
        assert not look.look(view(at, [ProcessMemory(7, 1.0, "server", GIB + at * MIB)]))


def test_heat_that_lasts_is_an_incident():
    card = GpuSample(index=0, name="RTX", utilization=99.0, throttling=Throttling(hardware_thermal=30.0))
    samples = tuple(Sample(at=float(at), clock=float(at), interval=1.0, gpus=(card,)) for at in range(12))
    (found,) = Verdicts().look(View(at=12.0, samples=samples))
    assert (found.kind, found.after) == ("throttled-thermal", 10.0)


# Putting it together


def test_largest_processes_of_this_machine():
    found = largest_processes(5)
    assert found
    assert [each.memory for each in found] == sorted((each.memory for each in found), reverse=True)
    assert all(each.name for each in found)


def test_what_ran_names_each_process_once():
    card = GpuSample(index=0, processes=(GpuProcess(pid=7, name=None, memory_used=GIB),))
    sample = Sample(
        at=0.0, gpus=(card,), neighbours=(Neighbour(pid=7, name="py", cpu_percent=99.0, niceness=0),)
    )
    (found,) = what_ran(sample, [ProcessMemory(7, 1.0, "python", 2 * GIB)]).processes
    assert (found.name, found.cpu_percent, found.memory, found.gpu_memory) == ("py", 99.0, 2 * GIB, GIB)


class FullCard:
    """A Sampler of a machine whose card is full."""

    def read(self, pid):
        now = time.time()
        card = GpuSample(index=0, name="RTX", memory_used=99, memory_total=100)
        return Sample(at=time.monotonic(), clock=now, interval=1.0, cpu_percent=1.0, gpus=(card,))

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))


def wait_for(what, seconds: float = 10.0):
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


class Quick(VideoMemory):
    """The same look, without waiting ten seconds."""

    every = 0.0

    def look(self, view):
        return [replace(each, after=0.0) for each in super().look(view)]


def test_service_watches_remembers_and_takes_over(tmp_path):
    history = History(tmp_path / "history.db")
    record(
        Incident(at="2026-11-23T16:00:00+00:00", kind=OUT_OF_MEMORY, source="script", model="m", device="cpu")
    )
    heard = []
    service = WatchService(history, interval=lambda: 0.02, sampler=FullCard, looks=lambda: (Quick(),))
    service.listeners.append(heard.append)
    service.start()
    assert wait_for(lambda: service.lasting)
    assert service.status().healthy
    assert wait_for(lambda: len(history.incidents()) == 2)
    service.stop(5.0)
    service.stop(5.0)
    history.flush()
    assert {each.kind: (each.source, each.cut_off) for each in history.incidents()} == {
        "vram-pressure": ("watch", True),
        OUT_OF_MEMORY: ("script", False),
    }
    assert heard
    assert history.samples(0.0)
    assert not service.status().running
    history.close()


def test_end_without_being_asked_is_noticed_at_the_next_start(tmp_path, monkeypatch):
    history = History(tmp_path / "history.db")
    assert aftermath.begin(history) == ()
    aftermath.remember(history, RAN)
    history.add_sample(Sample(at=0.0, clock=time.time(), cpu_percent=33.0))
    history.flush()
    (killed,) = aftermath.begin(history)
    assert (killed.kind, killed.ran) == ("daemon-killed", RAN)
    assert killed.evidence["last cpu_percent"] == 33.0
    history.flush()
    monkeypatch.setattr(aftermath, "boot_id", lambda: "another")
    (stopped,) = aftermath.begin(history)
    assert stopped.kind == "machine-stopped"
    aftermath.end(history)
    history.flush()
    assert aftermath.begin(history) == ()
    history.close()


def test_incident_that_nobody_saw_end_is_cut_off(tmp_path):
    history = History(tmp_path / "history.db")
    kept = Ledger(history.add_incident)
    kept.see(100.0, [replace(SEEN, after=0.0)], lambda: RAN)
    history.flush()
    (found,) = aftermath.begin(history)
    assert (found.cut_off, found.ended) == (True, 100.0)
    history.close()


def test_incidents_of_programs_are_taken_over_once(tmp_path):
    history = History(tmp_path / "history.db")
    one = Incident(
        at="2026-11-23T16:00:00+00:00",
        kind=OUT_OF_MEMORY,
        source="generate",
        model="m",
        device="cpu",
        width=64,
        height=64,
    )
    record(one)
    incoming = IncidentImport(history)
    assert [incoming.run(), incoming.run()] == [1, 0]
    record(replace(one, at="2026-11-23T17:00:00+00:00"))
    with incidents_file().open("ab") as file:
        file.write(b'{"torn')
    assert incoming.run() == 1
    history.flush()
    assert IncidentImport(history).run() == 0
    assert len(history.incidents()) == 2
    assert as_episode(replace(one, at="yesterday")) is None
    history.close()


def test_all_looks_bear_an_empty_sample():
    for look in make_looks():
        assert list(look.look(view())) == [] or look.every >= 60
