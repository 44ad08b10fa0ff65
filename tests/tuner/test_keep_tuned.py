"""Keeping tuned: begins when the machine is idle, ends at once when it is needed, goes on later, gives up on failures."""

from __future__ import annotations

import json
import os
import sys
import time

import psutil
import pytest
from command import sdoctor, sentence_of

from doctor.daemon.config import DaemonConfig, config_file, read_config
from doctor.errors import UsageError
from doctor.telemetry.sample import GpuProcess, GpuSample, Sample
from tuner.idleness import IdleClock, Own, why_busy
from tuner.service import Commands, KeepTunedService, Room, default_commands, tune_command

LIMITS = {"cpu_percent": 20.0, "gpu_percent": 10.0, "on_battery": False}
GIB = 2**30


def sample(cpu: float = 1.0, at: float | None = None, **figures) -> Sample:
    at = time.monotonic() if at is None else at
    known = {"memory_total": 16 * GIB, "memory_available": 8 * GIB} | figures
    return Sample(at=at, interval=1.0, cpu_percent=cpu, core_percents=(cpu,) * 4, **known)


def card(*pids: int, utilization: float = 0.0) -> dict:
    processes = tuple(GpuProcess(pid=pid, memory_used=GIB) for pid in pids)
    return {"gpus": (GpuSample(index=0, utilization=utilization, processes=processes),)}


@pytest.mark.parametrize(
    ("seen", "own", "more", "why"),
    [
        (sample(), Own(), {}, None),
        (sample(50.0), Own(), {}, "other programs use 50 %"),
        (sample(99.0), Own(cpu_percent=380.0), {}, None),
        (sample(99.0), Own(cpu_percent=200.0), {}, "other programs use 49 %"),
        (sample(), Own(), {"on_battery": True}, "battery"),
        (Sample(at=0.0), Own(), {}, "unknown"),
        (sample(memory_available=GIB), Own(), {}, "memory is left"),
        (sample(**card(5, utilization=40.0)), Own(), {}, "a card is busy 40 %"),
        (sample(**card(5)), Own(), {}, None),
        (sample(**card(7, utilization=99.0)), Own(pids=frozenset({7})), {}, None),
        (sample(**card(5, 7)), Own(pids=frozenset({7})), {"strangers": {5}}, None),
        (sample(**card(5, 7)), Own(pids=frozenset({7})), {}, "process 5 began"),
        # In a container the driver's numbers are others.
        (sample(**card(5)), Own(pids=frozenset({7})), {}, None),
    ],
)
def test_who_needs_the_machine(seen, own, more, why):
    found = why_busy(seen, own, **(LIMITS | more))
    assert found is None if why is None else why in found


def test_one_busy_sample_is_no_need_and_two_are():
    clock = IdleClock()
    assert clock.idle_seconds(0.0) == 0.0
    for at, why in enumerate([None, None, "busy", None]):
        clock.take(float(at), why)
    assert not clock.needed
    assert clock.idle_seconds(3.0) == 3.0
    clock.take(4.0, "busy")
    clock.take(5.0, "busy")
    assert clock.needed
    clock.take(6.0, None)
    assert clock.idle_seconds(8.0) == 2.0


class Studies:
    """Two programs in the place of ``daemon due`` and ``tune``."""

    def __init__(self, folder, tune: str, due: str = "not os.path.exists('profile')"):
        self.folder = folder
        self.profile, self.runs = folder / "profile", folder / "runs"
        ask = (
            f"import json, os; os.chdir({str(folder)!r}); "
            f"print(json.dumps({{'models': [{{'model': 'm', 'due': {due}, 'reason': 'none yet'}}]}}))"
        )
        study = f"import os, sys, time; os.chdir({str(folder)!r}); open('runs', 'a').write('run\\n'); {tune}"
        self.commands = Commands(
            due=(sys.executable, "-c", ask),
            tune=lambda _: (*tune_command("m")[:4], sys.executable, "-c", study),
        )
        self.service = KeepTunedService(
            lambda: DaemonConfig(idle_minutes=0.005), self.commands, folder / "log", lambda: False
        )

    def feed_until(self, done, cpu: float = 1.0, seconds: float = 20.0):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, self.service.status()
            self.service.take(sample(cpu))
            time.sleep(0.05)

    def count(self) -> int:
        return len(self.runs.read_text().splitlines()) if self.runs.exists() else 0


@pytest.fixture
def studies(tmp_path):
    made = []

    def make(*arguments, **how):
        made.append(Studies(tmp_path, *arguments, **how))
        made[-1].service.start()
        return made[-1]

    yield make
    for each in made:
        each.service.stop(5.0)


def test_model_that_is_due_is_tuned_once(studies):
    one = studies("open('profile', 'w').close()")
    one.feed_until(lambda: one.profile.exists() and one.service.worker_pid is None)
    one.feed_until(lambda: "nothing to tune" in one.service.status().detail)
    assert one.count() == 1


def test_busy_machine_is_left_alone(studies):
    one = studies("time.sleep(60)")
    end = time.monotonic() + 1.5
    one.feed_until(lambda: time.monotonic() > end, cpu=60.0)
    assert one.count() == 0
    assert "other programs use 60 %" in one.service.status().detail


def test_study_ends_at_once_with_its_children_and_goes_on_later(studies):
    one = studies(
        "import subprocess; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    )
    one.feed_until(lambda: one.count() == 1)
    process = psutil.Process(one.service.worker_pid)
    one.feed_until(lambda: len(process.children()) == 1)
    (child,) = process.children()
    if sys.platform == "linux":
        assert (process.nice(), child.nice()) == (19, 19)
        assert process.ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    # Its own use is not held against it, however much that is.
    own = one.service._study.own
    one.service._study.own = lambda: Own(pids=own().pids, cpu_percent=380.0)
    end = time.monotonic() + 1.0
    one.feed_until(lambda: time.monotonic() > end, cpu=97.0)
    assert process.is_running()
    begin = time.monotonic()
    one.service._study.own = lambda: Own(pids=own().pids, cpu_percent=100.0)
    one.feed_until(lambda: not process.is_running(), cpu=97.0)
    assert time.monotonic() - begin < 2.0
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    one.feed_until(lambda: one.count() == 2)


def test_workers_that_come_and_go_are_the_studys_own(studies):
    """Each trial has a worker of its own, which nobody has seen yet when it begins to compute."""
    burn = "import time; t = time.time()\nwhile time.time() < t + 2.5: pass"
    one = studies(f"import subprocess\nwhile True: subprocess.run([sys.executable, '-c', {burn!r}])")
    one.feed_until(lambda: one.count() == 1)
    process = psutil.Process(one.service.worker_pid)
    end = time.monotonic() + 9.0
    while time.monotonic() < end:
        # One busy core of four; it may get but half of it, beside other tests.
        one.service.take(sample(30.0))
        time.sleep(1.0)
    assert process.is_running() and one.count() == 1, one.service.status()


def test_study_ends_when_somebody_asks(studies):
    one = studies("time.sleep(60)")
    one.feed_until(lambda: one.count() == 1)
    one.service.give_way(30.0)
    one.feed_until(lambda: one.service.worker_pid is None)
    end = time.monotonic() + 1.0
    one.feed_until(lambda: time.monotonic() > end)
    assert one.count() == 1


def test_room_is_there_when_the_answer_is(studies):
    one = studies("time.sleep(60)")
    assert one.service.make_room(0.1) == Room(stopped=False, clear=True)
    one.feed_until(lambda: one.count() == 1)
    pid = one.service.worker_pid
    # What belongs to the study may ask as often as it likes: tune does.
    assert one.service.make_room(30.0, pid) == Room(stopped=False, clear=True)
    assert psutil.pid_exists(pid)
    begin = time.monotonic()
    assert one.service.make_room(30.0, os.getpid()) == Room(stopped=True, clear=True)
    assert time.monotonic() - begin < 3.0
    assert not psutil.pid_exists(pid)
    end = time.monotonic() + 1.5
    one.feed_until(lambda: time.monotonic() > end)
    assert one.count() == 1


def test_room_that_is_asked_for_while_it_is_asked_what_is_due(studies, tmp_path):
    one = studies("time.sleep(60)", due="__import__('time').sleep(1.5) or open('asked', 'w').close() or True")
    one.feed_until(lambda: one.service._due_at > float("-inf"))
    one.service.give_way(5.0)
    one.feed_until((tmp_path / "asked").exists)
    end = time.monotonic() + 1.0
    one.feed_until(lambda: time.monotonic() > end)
    assert one.count() == 0


@pytest.mark.parametrize(
    "tune", ["sys.exit('no memory')", "print('all is well')"], ids=["fails", "leaves nothing"]
)
def test_study_that_does_not_help_is_not_repeated_until_a_reload(studies, tune):
    one = studies(tune)
    one.feed_until(lambda: one.count() == 1 and "nothing to tune" in one.service.status().detail)
    end = time.monotonic() + 1.0
    one.feed_until(lambda: time.monotonic() > end)
    assert one.count() == 1
    one.service.reload()
    one.feed_until(lambda: one.count() == 2)


def test_stop_ends_the_study(studies):
    one = studies("time.sleep(60)")
    one.feed_until(lambda: one.count() == 1)
    pid = one.service.worker_pid
    one.service.stop(5.0)
    assert not psutil.pid_exists(pid)
    assert not one.service.status().running


def test_nobody_knows_which_are_due(studies):
    one = studies("pass", due="1 / 0")
    one.feed_until(lambda: "nothing to tune" in one.service.status().detail)
    assert one.count() == 0


def test_commands_of_this_installation():
    commands = default_commands()
    assert commands.due[-3:] == ("daemon", "due", "--json")
    assert commands.tune("-x")[-2:] == ("--", "-x")


def test_configuration_has_defaults_and_one_sentence_for_mistakes(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    assert read_config() == DaemonConfig()
    config_file().parent.mkdir()
    config_file().write_text('keep_tuned = ["builtin:tiny"]\ninterval_seconds = 2.0\n')
    assert read_config().keep_tuned == ("builtin:tiny",)
    for wrong in ("intervall_seconds = 2", "interval_seconds = 0", "keep_tuned = 7", "[", "\x00"):
        config_file().write_text(wrong)
        with pytest.raises(UsageError, match="is wrong"):
            read_config()


def test_list_is_added_to_asked_and_removed_from(tmp_path):
    assert "No model is kept tuned" in sdoctor("daemon", "due", home=tmp_path).stdout
    assert "from now on" in sdoctor("daemon", "add", "builtin:tiny", home=tmp_path).stdout
    assert "already" in sdoctor("daemon", "add", "builtin:tiny", home=tmp_path).stdout
    document = json.loads(sdoctor("daemon", "due", "--json", home=tmp_path).stdout)
    assert document["models"] == [
        {"model": "builtin:tiny", "due": True, "reason": "no profile of builtin:tiny on this machine yet"}
    ]
    wrong = sdoctor("daemon", "add", "builtin:nothing", home=tmp_path)
    assert wrong.returncode == 2
    sentence_of(wrong)
    assert "not kept tuned any more" in sdoctor("daemon", "remove", "builtin:tiny", home=tmp_path).stdout
    assert sdoctor("daemon", "remove", "builtin:tiny", home=tmp_path).returncode == 2


def test_lowly_child_ends_with_its_owner(tmp_path):
    """The owner is killed: the kernel ends the study too."""
    if sys.platform != "linux":
        pytest.skip("the kernel's signal at an owner's end is Linux's")
    import subprocess

    code = (
        "import subprocess, sys, time\nfrom tuner.lifeline import owned\n"
        "child = subprocess.Popen([sys.executable, '-P', '-m', 'tuner.lowly_child', sys.executable, '-c', "
        "'import time; time.sleep(60)'], env=owned(), start_new_session=True)\n"
        "time.sleep(0.5)\nprint(child.pid, flush=True)\ntime.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, env={**os.environ})
    pid = int(owner.stdout.readline())
    assert psutil.pid_exists(pid)
    owner.kill()
    owner.wait()
    end = time.monotonic() + 5
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)
