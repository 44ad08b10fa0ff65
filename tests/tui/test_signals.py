"""Signals go to the process that was seen; all of these are children of the test."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from doctor.telemetry.processes import ProcessRow, started
from tui.signals import KINDS, send

KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture
def child():
    running = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    yield running
    running.kill()
    running.wait()


def row_of(child):
    return ProcessRow(pid=child.pid, name="python", user="me", started=started(child.pid))


def state_of(child):
    from pathlib import Path

    return Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2][0]


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT"])
def test_it_is_ended(child, name):
    assert send(row_of(child), KIND[name]) == f"{name} was sent to python ({child.pid})."
    assert child.wait(10) in (-getattr(signal, name), 1, 130)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="states are read from /proc")
def test_it_is_halted_and_goes_on(child):
    send(row_of(child), KIND["SIGSTOP"])
    until(lambda: state_of(child) == "T")
    send(row_of(child), KIND["SIGCONT"])
    until(lambda: state_of(child) != "T")


def test_a_later_process_of_the_same_number_is_spared(child):
    other = replace(row_of(child), started=started(child.pid) - 1)
    assert "has ended already" in send(other, KIND["SIGKILL"])
    assert child.poll() is None


def test_one_that_is_gone(child):
    row = row_of(child)
    child.kill()
    child.wait()
    assert send(row, KIND["SIGTERM"]) == f"python ({child.pid}) has ended already."


def test_what_only_the_driver_knows_is_left_alone(child):
    assert "nothing was sent" in send(ProcessRow(pid=child.pid, name="python"), KIND["SIGKILL"])
    assert child.poll() is None


def test_not_oneself():
    row = ProcessRow(pid=os.getpid(), name="pytest", started=started(os.getpid()))
    assert "sdoctor itself" in send(row, KIND["SIGTERM"])


def test_a_refusal_is_a_sentence(child, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no")

    monkeypatch.setattr("tui.signals._send", refuse)
    assert send(row_of(child), KIND["SIGTERM"]) == f"python ({child.pid}) belongs to me: SIGTERM was refused."
