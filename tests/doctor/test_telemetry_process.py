import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.telemetry import process, threads
from doctor.telemetry.process import ProcessReader
from doctor.telemetry.quota import QuotaReader
from doctor.telemetry.rates import Rates
from doctor.telemetry.sampler import Sampler
from doctor.telemetry.threads import ThreadReader

THREADS = """
import threading, time
def busy():
    while True: pass
threading.Thread(target=busy, daemon=True).start()
time.sleep(60)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are read from /proc")


@pytest.fixture
def child():
    started = subprocess.Popen([sys.executable, "-S", "-c", THREADS])
    time.sleep(0.3)
    yield started
    started.kill()
    started.wait()


def test_each_thread_is_seen(child):
    reader = ProcessReader()
    first = reader.read(child.pid)["process"]
    time.sleep(0.6)
    then = reader.read(child.pid)["process"]
    assert first.threads[0].cpu_percent is None
    assert (then.thread_count, then.busy_threads) == (2, 1)
    assert then.threads[0].cpu_percent + then.threads[0].wait_percent > 80
    assert then.threads[1].cpu_percent < 5
    assert then.usable_cores >= 1
    assert then.niceness is not None


def test_a_process_that_ends_is_gone_and_another_one_begins_anew(child):
    sampler = Sampler()
    sampler.read(child.pid)
    child.kill()
    child.wait()
    gone = sampler.read(child.pid)
    assert (gone.process, gone.process_rss, gone.process_cpu_percent) == (None, None, None)
    assert gone.cpu_percent is not None or gone.interval < 0.05


def test_a_process_that_nobody_collected_is_gone_too(child):
    sampler = Sampler()
    assert sampler.read(child.pid).process is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert sampler.read(child.pid).process is None


def test_another_process_with_the_same_number_begins_anew(child, monkeypatch):
    reader = ProcessReader()
    reader.read(child.pid)
    now = process._counts(child.pid)
    monkeypatch.setattr(process, "_counts", lambda pid: replace(now, started=now.started + 1))
    assert reader.read(child.pid)["process_cpu_percent"] is None


def test_a_thread_that_sleeps_keeps_what_is_known_of_it_and_one_that_runs_is_looked_at(child, monkeypatch):
    reader, opened = ThreadReader(), []
    read = threads.text_of
    monkeypatch.setattr(threads, "text_of", lambda path: opened.append(path) or read(path))
    first = reader.read(child.pid, 1.0)
    assert len([path for path in opened if path.endswith("/stat")]) == len(first) == 2
    opened.clear()
    time.sleep(0.3)
    second = {each.id: each for each in reader.read(child.pid, 2.0)}
    sleeper = next(each for each in second.values() if each.state == "S")
    busy = next(each for each in second.values() if each.id != sleeper.id)
    assert [path for path in opened if path.endswith("/stat")] == [f"/proc/{child.pid}/task/{busy.id}/stat"]
    assert (sleeper.name, sleeper.cpu_percent, sleeper.wait_percent) == (first[0].name, 0.0, 0.0)
    assert busy.cpu_percent > 0


def test_without_the_queue_threads_are_counted_in_ticks(child, monkeypatch):
    read = threads.text_of
    monkeypatch.setattr(threads, "text_of", lambda path: None if path.endswith("schedstat") else read(path))
    reader = ThreadReader()
    reader.read(child.pid, 1.0)
    time.sleep(0.5)
    busiest = reader.read(child.pid, 1.5)[0]
    assert busiest.cpu_percent > 10
    assert busiest.wait_percent is None


def test_neighbours_are_found_and_the_watched_one_is_none(child):
    sampler = Sampler()
    assert sampler.read().neighbours is None
    time.sleep(0.5)
    found = {each.pid: each for each in sampler.read().neighbours}
    assert found[child.pid].cpu_percent > 10
    watching = Sampler()
    watching.read(child.pid)
    time.sleep(0.5)
    assert child.pid not in {each.pid for each in watching.read(child.pid).neighbours}


@pytest.mark.parametrize("unified", [True, False])
def test_the_quota_of_a_group_and_how_often_it_bit(tmp_path, unified):
    proc, folder = tmp_path / "proc/7", tmp_path / "sys/fs/cgroup/box"
    proc.mkdir(parents=True)
    folder.mkdir(parents=True)
    kind = "cgroup2 cgroup2 rw" if unified else "cgroup cgroup rw,cpu"
    (proc / "cgroup").write_text("0::/box\n" if unified else "3:cpu:/box\n")
    (proc / "mountinfo").write_text(f"30 23 0:26 / /sys/fs/cgroup rw shared:4 - {kind}\n")
    if unified:
        (folder / "cpu.max").write_text("150000 100000\n")
    else:
        (folder / "cpu.cfs_quota_us").write_text("150000\n")
        (folder / "cpu.cfs_period_us").write_text("100000\n")
    reader = QuotaReader(tmp_path)
    reader.watch(7)
    (folder / "cpu.stat").write_text("nr_periods 100\nnr_throttled 10\nthrottled_time 5\n")
    assert reader.read() == (1.5, None)
    (folder / "cpu.stat").write_text("nr_periods 120\nnr_throttled 15\nthrottled_time 9\n")
    assert reader.read() == (1.5, 25.0)
    (folder / "cpu.stat").unlink()
    assert reader.read() == (1.5, None)
    reader.watch(8)
    assert reader.read() == (None, None)


def test_rates_need_two_counts_and_survive_a_counter_that_begins_anew():
    rates = Rates()
    assert [
        rates.per_second("a", at, count)
        for at, count in ((0, 10), (2, 30), (3, 5), (4, 6), (5, None), (6, 9))
    ] == [
        None,
        10.0,
        None,
        1.0,
        None,
        None,
    ]
