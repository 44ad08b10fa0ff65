"""The daemon as a process: started, asked, told to reload, stopped, killed; and the incidents it remembers."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from command import sdoctor, sentence_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and Unix sockets")


class Running:
    """``sdoctor daemon run`` with an ear where systemd's would be."""

    def __init__(self, home, **environment: str):
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (home / "n").unlink(missing_ok=True)
        self.ear.bind(str(home / "n"))
        self.ear.settimeout(20)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", "daemon", "run"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SDOCTOR_HOME": str(home), "NOTIFY_SOCKET": str(home / "n"), **environment},
        )

    def hear(self, word: str) -> str:
        """The next message that holds the word."""
        while True:
            text = self.ear.recv(4096).decode()
            if word in text:
                return text

    def end(self, number=signal.SIGTERM) -> tuple[float, str]:
        """Seconds to its end, and its log."""
        begin = time.monotonic()
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=20)
        self.ear.close()
        return time.monotonic() - begin, log


@pytest.fixture
def home(tmp_path):
    # A socket's path may be some hundred letters long; pytest's folders are longer on some machines.
    folder = tmp_path / "h"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_life_from_ready_to_the_last_word(home):
    running = Running(home, WATCHDOG_USEC="600000")
    running.hear("READY=1")
    assert "services run" in running.hear("WATCHDOG=1")
    running.process.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in running.hear("RELOADING=1")
    running.hear("READY=1")
    second = sdoctor("daemon", "run", home=home)
    assert second.returncode == 1
    assert f"process {running.process.pid}" in sentence_of(second)
    status = json.loads(sdoctor("daemon", "status", "--json", home=home).stdout)
    assert (status["running"], status["process"]["pid"]) == (True, running.process.pid)
    seconds, log = running.end()
    assert running.process.returncode == 0
    assert seconds < 5.0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["message"] for line in lines] == ["started", "reloaded", "stopped"]
    assert {"at", "level", "source"} <= set(lines[0])
    assert (home / "run").stat().st_mode & 0o777 == 0o700
    assert (home / "data" / "history.db").stat().st_mode & 0o777 == 0o600


def test_start_stop_and_what_is_said_of_both(home):
    assert sdoctor("daemon", "stop", home=home).stdout.strip() == "No daemon runs."
    assert sdoctor("daemon", "status", home=home).returncode == 1
    started = sdoctor("daemon", "start", home=home)
    try:
        assert started.returncode == 0, started.stderr
        again = sdoctor("daemon", "start", home=home)
        assert again.returncode == 1
        assert "runs already" in sentence_of(again)
        status = sdoctor("daemon", "status", home=home)
        assert status.returncode == 0
        assert "Keeping tuned: waits for the machine to be idle" in status.stdout
        # So soon after its start a share of the processor would tell nothing.
        assert "s ago." in status.stdout
        services = json.loads(sdoctor("daemon", "status", "--json", home=home).stdout)["services"]
        assert [each["name"] for each in services] == ["history", "watch", "keep-tuned", "api"]
    finally:
        stopped = sdoctor("daemon", "stop", home=home)
    assert "has ended" in stopped.stdout
    assert json.loads((home / "state" / "daemon.log").read_text().splitlines()[-1])["message"] == "stopped"


def test_start_says_why_it_cannot(home):
    (home / "data").write_text("a file where the folder should be")
    failed = sdoctor("daemon", "start", home=home)
    assert failed.returncode == 1
    assert "cannot be written" in sentence_of(failed)


def test_kill_is_an_incident_that_can_be_listed_and_explained(home):
    assert sdoctor("incidents", home=home).stdout.strip() == "No incident is known of this time."
    running = Running(home)
    running.hear("READY=1")
    running.end(signal.SIGKILL)
    again = Running(home)
    again.hear("READY=1")
    again.end()
    document = json.loads(sdoctor("incidents", "--json", home=home).stdout)
    assert document["schema"] == "sdoctor.incidents/1"
    (found,) = document["incidents"]
    assert found["kind"] == "daemon-killed"
    page = sdoctor("incidents", found["id"][:6], home=home).stdout
    assert "daemon-killed (note)" in page
    assert found["id"] in sdoctor("incidents", "--since", "1h", home=home).stdout


@pytest.mark.parametrize("arguments", [("--since", "soon"), ("nothing",)])
def test_wrong_questions_get_one_sentence(arguments, home):
    done = sdoctor("incidents", *arguments, home=home)
    assert done.returncode == 2
    sentence_of(done)


def test_incidents_of_programs_are_listed_without_a_daemon(home):
    (home / "data").mkdir()
    (home / "data" / "incidents.jsonl").write_text(
        '{"schema":"sdoctor.incident/1","at":"2026-11-23T16:00:00+00:00","kind":"out_of_memory","source":"script",'
        '"model":"builtin:tiny","device":"cpu","phase":"decode","width":64,"height":64}\n'
    )
    done = sdoctor("incidents", "--since", "2026-11-01", home=home)
    assert "Memory ran out in decode of builtin:tiny at 64x64." in done.stdout


def test_unit_is_one_that_systemd_accepts(home):
    text = sdoctor("daemon", "install", "--print", "--platform", "linux", home=home).stdout
    assert "Type=notify" in text
    assert "WatchdogSec=60" in text
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    unit = home / "sdoctor.service"
    unit.write_text(text)
    done = subprocess.run([analyze, "--user", "verify", unit], capture_output=True, text=True, check=False)
    assert "sdoctor.service" not in done.stderr, done.stderr


def test_a_daemon_that_hangs_is_seen_all_the_same(home):
    running = Running(home)
    running.hear("READY=1")
    running.process.send_signal(signal.SIGSTOP)
    try:
        done = sdoctor("daemon", "status", home=home)
    finally:
        running.process.send_signal(signal.SIGCONT)
        running.end()
    assert done.returncode == 0
    assert "It does not answer on" in done.stdout


def test_without_a_word_it_says_what_there_is(home):
    done = sdoctor("daemon", home=home)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("Usage: sdoctor daemon")
    assert "Try" not in done.stdout


def test_equivalents_for_other_systems(home):
    assert "linux, darwin, win32" in sentence_of(
        sdoctor("daemon", "install", "--platform", "beos", home=home)
    )
    text = sdoctor("daemon", "install", "--print", "--platform", "darwin", home=home).stdout
    assert plistlib.loads(text.encode())["ProgramArguments"][-2:] == ["daemon", "run"]
    assert "schtasks /create" in sdoctor("daemon", "install", "--platform", "win32", home=home).stdout
