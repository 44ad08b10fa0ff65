"""The list of processes, of this machine and real children."""

import os
import subprocess
import sys
import time

import pytest

from doctor.telemetry import processes
from doctor.telemetry.processes import ProcessTable, started


@pytest.fixture
def child():
    running = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass", "a marked argument"])
    yield running
    running.kill()
    running.wait()


def row_of(rows, pid):
    return next((row for row in rows if row.pid == pid), None)


@pytest.mark.parametrize("way", ["proc", "psutil"])
def test_a_busy_child_is_listed_with_what_it_does(child, way):
    if way == "proc" and not sys.platform.startswith("linux"):
        pytest.skip("no /proc here")
    table = ProcessTable(every=0.0)
    table._linux = way == "proc"
    assert row_of(table.read(), child.pid).cpu_percent is None
    time.sleep(0.5)
    row = row_of(table.read(), child.pid)
    assert row.parent == os.getpid()
    assert "a marked argument" in row.command
    assert row.cpu_percent > 5
    assert row.resident > 1 << 20
    assert row.threads == 1
    assert row.niceness == os.getpriority(os.PRIO_PROCESS, 0)
    assert row.state in ("R", "S")


def test_both_ways_agree(child):
    direct, asked = ProcessTable(), ProcessTable()
    asked._linux = False
    here, there = row_of(direct.read(), child.pid), row_of(asked.read(), child.pid)
    for field in ("pid", "parent", "name", "command", "user", "niceness", "threads"):
        assert getattr(here, field) == getattr(there, field), field


def test_a_list_is_kept_for_a_while():
    table = ProcessTable(every=60.0)
    assert table.read() is table.read()


def test_what_others_own_is_listed_and_nothing_is_raised(monkeypatch):
    def refused(path):
        raise PermissionError(path)

    monkeypatch.setattr(processes.os, "stat", refused)
    rows = ProcessTable().read()
    assert row_of(rows, os.getpid()).user is None


def test_a_program_that_becomes_another_one_changes_its_command():
    code = "import os, sys; input(); os.execv('/bin/sleep', ['sleep', '60'])"
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE)
    table = ProcessTable(every=0.0)
    try:
        time.sleep(0.3)
        assert "execv" in row_of(table.read(), child.pid).command
        child.stdin.write(b"\n")
        child.stdin.flush()
        deadline = time.monotonic() + 10
        while row_of(table.read(), child.pid).command != "sleep 60":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        child.kill()
        child.wait()


def test_a_command_line_that_is_read_in_mid_change_is_read_again(child, monkeypatch):
    table = ProcessTable(every=0.0)
    with monkeypatch.context() as patch:
        patch.setattr("doctor.telemetry.processes._command", lambda pid: "the old one")
        assert row_of(table.read(), child.pid).command == "the old one"
    settled = row_of(table.read(), child.pid).command
    assert settled and settled != "the old one"
    with monkeypatch.context() as patch:
        patch.setattr("doctor.telemetry.processes._command", lambda pid: "asked again")
        assert row_of(table.read(), child.pid).command == settled


def test_the_start_names_a_process_for_good(child):
    table = ProcessTable()
    assert row_of(table.read(), child.pid).started == started(child.pid)
    assert started(2**22 + 1) is None


def test_ended_processes_leave_nothing_behind(child):
    table = ProcessTable(every=0.0)
    table.read()
    assert child.pid in table._known
    child.kill()
    child.wait()
    assert row_of(table.read(), child.pid) is None
    assert child.pid not in table._known
