"""The runner: order of services, one that dies, one that hangs, signals of the watchdog."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from doctor.daemon.lock import holder, single_instance
from doctor.daemon.notify import Notifier
from doctor.daemon.runner import Daemon
from doctor.daemon.service import ServiceStatus
from doctor.errors import NotInOrder


class Fake:
    """A service that does as it is told, and writes down what was asked of it."""

    def __init__(self, name: str, diary: list[str], **how):
        self.name, self.diary, self.how = name, diary, how
        self.running = False
        self.silent = 0.0

    def start(self):
        self.diary.append(f"start {self.name}")
        if self.how.get("refuses"):
            raise NotInOrder("no")
        self.running = True

    def stop(self, deadline):
        self.diary.append(f"stop {self.name}")
        if self.how.get("hangs"):
            time.sleep(30)
        self.running = False

    def reload(self):
        self.diary.append(f"reload {self.name}")
        if self.how.get("refuses_reload"):
            raise NotInOrder("wrong")

    def status(self):
        return ServiceStatus(name=self.name, running=self.running, silent_seconds=self.silent)


def run_for(daemon: Daemon, seconds: float, meanwhile=lambda: None) -> None:
    """In the main thread, for the signals; stopped from another one."""

    def later():
        time.sleep(seconds / 2)
        meanwhile()
        time.sleep(seconds / 2)
        daemon.stop()

    threading.Thread(target=later, daemon=True).start()
    daemon.run()


def test_stopped_in_the_opposite_order():
    diary = []
    run_for(Daemon([Fake("a", diary), Fake("b", diary)]), 0.1)
    assert diary == ["start a", "start b", "stop b", "stop a"]


def test_one_that_cannot_start_ends_the_others():
    diary = []
    with pytest.raises(NotInOrder):
        Daemon([Fake("a", diary), Fake("b", diary, refuses=True)]).run()
    assert diary == ["start a", "start b", "stop a"]


def test_one_that_hangs_at_its_end_does_not_keep_the_others():
    diary = []
    daemon = Daemon([Fake("a", diary), Fake("b", diary, hangs=True)], drain_seconds=0.6)
    begin = time.monotonic()
    run_for(daemon, 0.1)
    assert time.monotonic() - begin < 2.0
    assert daemon.hung == ("b",)
    assert diary[-1] == "stop a"


def test_wrong_configuration_of_one_is_no_harm_to_the_others():
    diary = []
    daemon = Daemon([Fake("a", diary, refuses_reload=True), Fake("b", diary)])
    run_for(daemon, 0.2, daemon.reload)
    assert diary[2:4] == ["reload a", "reload b"]


def test_one_that_died_is_started_again():
    diary = []
    one = Fake("a", diary)
    run_for(Daemon([one], look_seconds=0.05), 3.0, lambda: setattr(one, "running", False))
    assert diary == ["start a", "stop a", "start a", "stop a"]


def test_watchdog_is_not_calmed_while_a_service_hangs(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "n"))
        heard = []

        def listen():
            while not heard or heard[-1] != "STOPPING=1":
                heard.append(ear.recv(4096).decode())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        one = Fake("a", [])
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "150000"})
        run_for(Daemon([one], notifier), 0.6, lambda: setattr(one, "silent", 1000.0))
        listener.join(5.0)
    words = ["W" if "WATCHDOG" in each else "S" if each.startswith("STATUS") else each for each in heard]
    assert words[0] == "READY=1"
    assert words[-1] == "STOPPING=1"
    between = "".join(words[1:-1])
    assert between.lstrip("W").rstrip("S") == ""
    assert "W" in between
    assert "S" in between


def test_watchdog_of_another_process_is_not_ours():
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Notifier({"WATCHDOG_USEC": "much"}).watchdog_seconds is None
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()


def test_lock_is_held_once_and_given_back(tmp_path):
    path = tmp_path / "lock"
    assert holder(path) is None
    with single_instance(path):
        assert holder(path) is not None
        with pytest.raises(NotInOrder, match="runs already"), single_instance(path):
            pass
    assert holder(path) is None
