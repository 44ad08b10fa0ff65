"""What was committed is there, whatever ended the writer; what is old is joined and thrown away."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from doctor.errors import NotInOrder
from doctor.finding import Severity
from doctor.history import Episode, History, HistoryReader
from doctor.telemetry.sample import DiskSample, GpuSample, Pressure, Sample, Throttling

WRITER = """
import sys, time
from pathlib import Path
from doctor.history import History
from doctor.telemetry.sample import Sample
history = History(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    for _ in range(3):
        history.add_sample(Sample(at=0.0, clock=float(sys.argv[3]) + number, cpu_percent=float(number % 100)))
        number += 1
    if history.flush():
        print(number - 1, flush=True)
"""
"""Says the number of a sample when it and all before it are committed."""

ONE = Episode(id="one", kind="vram-pressure", severity=Severity.WARNING, title="Full.", began=100.0)


def sample(at: float, **figures) -> Sample:
    return Sample(at=at, clock=at, interval=1.0, **figures)


def test_fifty_kills_at_random_moments_lose_no_committed_sample(tmp_path):
    path, acknowledged = tmp_path / "history.db", -1
    begin, chance = int(time.time()), random.Random(7)
    for _ in range(50):
        writer = subprocess.Popen(
            [sys.executable, "-P", "-c", WRITER, str(path), str(acknowledged + 1), str(begin)],
            stdout=subprocess.PIPE,
        )
        # The first word shows that it writes; then it is killed anywhere between two commits and within one.
        said = [writer.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.03))
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().splitlines()
        writer.wait()
        acknowledged = max(int(line) for line in said if line.strip())
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = {at // 1000 for (at,) in connection.execute("SELECT at FROM reading WHERE span = 1")}
    assert acknowledged >= 150
    assert {begin + number for number in range(acknowledged + 1)} <= kept


def test_power_cut_costs_only_what_was_not_synced(tmp_path):
    """The disk may have any part of the log beyond what was synced: cut it there, or fill it with garbage."""
    path, wal = tmp_path / "history.db", tmp_path / "history.db-wal"
    history = History(path, clock=lambda: 1000.0)
    for number in range(20):
        history.add_sample(sample(1000.0 + number, cpu_percent=1.0))
    history.add_incident(ONE)
    assert history.flush()
    synced = wal.stat().st_size
    for number in range(20, 40):
        history.add_sample(sample(1000.0 + number, cpu_percent=1.0))
    deadline = time.monotonic() + 5
    while wal.stat().st_size == synced and time.monotonic() < deadline:
        time.sleep(0.05)
    log = wal.read_bytes()
    assert len(log) > synced
    chance = random.Random(3)
    for number in range(20):
        after = tmp_path / f"after{number}"
        after.mkdir()
        shutil.copy(path, after / "history.db")
        cut = chance.randint(synced, len(log))
        rest = chance.randbytes(len(log) - cut) if number % 2 else b""
        (after / "history.db-wal").write_bytes(log[:cut] + rest)
        connection = sqlite3.connect(after / "history.db")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {at for (at,) in connection.execute("SELECT at FROM reading WHERE span = 1")}
        assert {1_000_000 + 1000 * each for each in range(20)} <= kept
        assert connection.execute("SELECT count(*) FROM episode").fetchone() == (1,)
        connection.close()
    history.close()


def test_long_spans_tell_least_mean_and_most(tmp_path):
    history = History(tmp_path / "history.db", clock=lambda: 4000.0)
    for number in range(3601):
        history.add_sample(sample(number, cpu_percent=float(number % 10)))
    assert history.flush()
    minutes = [each for each in history.samples(0.0, limit=100) if each.seconds == 60.0]
    assert len(minutes) == 60
    figure = minutes[5].figures["cpu_percent"]
    assert (figure.least, figure.mean, figure.most) == (0.0, 4.5, 9.0)
    tens = [each for each in history.samples(0.0, limit=500) if each.seconds == 10.0]
    assert [each.at for each in tens] == [10.0 * number for number in range(360)]
    assert {each.seconds for each in history.samples(3500.0)} == {1.0}
    assert len(history.samples(0.0, limit=7)) == 7
    history.close()


def test_what_a_crash_interrupted_is_joined_at_the_next_start(tmp_path):
    path = tmp_path / "history.db"
    history = History(path, clock=lambda: 200.0)
    for number in range(59):
        history.add_sample(sample(number, cpu_percent=1.0))
    history.close()
    history = History(path, clock=lambda: 200.0)
    history.add_sample(sample(61.0, cpu_percent=3.0))
    assert history.flush()
    (minute,) = [each for each in history.samples(0.0, limit=4) if each.seconds == 60.0]
    assert minute.figures["cpu_percent"].most == 1.0
    history.close()


def test_what_is_old_or_too_much_goes(tmp_path):
    path, now = tmp_path / "history.db", [0.0]
    history = History(path, clock=lambda: now[0])
    for number in range(0, 3600, 10):
        history.add_sample(sample(number, cpu_percent=1.0))
    history.add_incident(replace(ONE, ended=101.0))
    history.add_incident(replace(ONE, id="lasts"))
    assert history.flush()
    history.close()
    now[0] = 400 * 86_400.0
    history = History(path, clock=lambda: now[0])
    history.leave_note("any", "thing")
    assert history.flush()
    deadline = time.monotonic() + 5
    while history.samples(0.0) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert history.samples(0.0) == ()
    assert [each.id for each in history.incidents()] == ["lasts"]
    history.close()


def test_file_does_not_outgrow_its_bound(tmp_path):
    path = tmp_path / "history.db"
    for begin in range(0, 3000, 1000):
        history = History(path, most_bytes=200_000, clock=lambda: 3000.0)
        cards = tuple(GpuSample(index=index, utilization=1.0, memory_used=1) for index in range(16))
        for number in range(begin, begin + 1000):
            history.add_sample(sample(number, cpu_percent=1.0, gpus=cards))
        history.flush()
        history.close()
    history = History(path, most_bytes=200_000, clock=lambda: 3000.0)
    history.leave_note("any", "thing")
    history.flush()
    history.close()
    connection = sqlite3.connect(path)
    pages, free = (
        connection.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "freelist_count")
    )
    assert (pages - free) * 4096 <= 200_000
    newest = connection.execute("SELECT max(at) FROM reading WHERE span = 1").fetchone()
    assert newest == (2_999_000,)


def test_figures_that_are_unknown_are_absent(tmp_path):
    history = History(tmp_path / "history.db")
    card = GpuSample(index=1, power=99.5, throttling=Throttling(software_thermal=2.0))
    disks = (DiskSample(name="a", read=1.0, written=2.0), DiskSample(name="b", read=3.0, written=4.0))
    history.add_sample(
        sample(
            time.time(),
            memory_total=2**34,
            gpus=(card,),
            disks=disks,
            pressure=Pressure(io_some=float("nan")),
        )
    )
    assert history.flush()
    newest = history.newest()
    assert {name: each.mean for name, each in newest.figures.items()} == {
        "memory_total": 2**34,
        "gpu1.power": 99.5,
        "gpu1.throttled.software_thermal": 2.0,
        "disk.read": 4.0,
        "disk.written": 6.0,
    }
    history.close()


def test_incidents_are_replaced_by_their_id_and_found_by_time(tmp_path):
    history = History(tmp_path / "history.db")
    history.add_incident(ONE)
    history.add_incident(replace(ONE, id="two", began=50.0, ended=60.0))
    history.flush()
    assert [each.id for each in history.incidents()] == ["one", "two"]
    assert [each.id for each in history.incidents(since=1e6)] == ["one"]
    history.add_incident(replace(ONE, ended=120.0))
    history.flush()
    assert history.incidents(since=110.0) == (replace(ONE, ended=120.0),)
    history.close()


def test_reader_meets_no_file_a_newer_file_and_garbage(tmp_path):
    path = tmp_path / "history.db"
    assert HistoryReader(path).samples(0.0) == ()
    assert HistoryReader(path).newest() is None
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(NotInOrder, match="newer sdoctor"):
        HistoryReader(path).incidents()
    with pytest.raises(NotInOrder, match="newer sdoctor"):
        History(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(NotInOrder, match="cannot be read"):
        HistoryReader(path).samples(0.0)


def test_damaged_file_is_set_aside_and_the_watching_goes_on(tmp_path):
    path = tmp_path / "history.db"
    path.write_bytes(b"no database" * 1000)
    history = History(path)
    history.add_incident(ONE)
    assert history.flush()
    assert history.incidents() == (ONE,)
    history.close()
    assert [each.read_bytes()[:11] for each in tmp_path.glob("*.damaged-*")] == [b"no database"]


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotInOrder, match="cannot be written"):
        History(tmp_path / "file" / "history.db")


def test_disk_that_refuses_is_told_and_forgotten_when_it_is_well_again(tmp_path):
    path = tmp_path / "history.db"
    history = History(path)
    history.flush()
    # Another writer that does not let go is the same to SQLite as a disk that refuses.
    other = sqlite3.connect(path, isolation_level=None)
    history._connection.execute("PRAGMA busy_timeout = 50")
    other.execute("BEGIN IMMEDIATE")
    history.add_sample(sample(1.0, cpu_percent=1.0))
    history.add_incident(ONE)
    assert not history.flush(2.0)
    assert "locked" in history.trouble
    assert history.lost >= 1
    other.execute("ROLLBACK")
    assert history.flush()
    assert history.trouble == ""
    assert history.incidents() == (ONE,)
    history.close()
    other.close()
