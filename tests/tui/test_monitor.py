import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import sdoctor, sentence_of
from written_traces import WRITTEN

from doctor.telemetry.recording import read_recording, write_recording
from doctor.verdicts import judge


def test_once_prints_a_table(tmp_path):
    done = sdoctor("monitor", "--once", "--pid", str(os.getpid()), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CPU" in done.stdout
    assert f"process {os.getpid()}" in done.stdout
    assert "threads" in done.stdout


def test_json_is_a_line_per_sample_until_interrupted(tmp_path):
    record = tmp_path / "a.jsonl"
    program = str(Path(sys.executable).with_name("sdoctor"))
    child = subprocess.Popen(
        [program, "monitor", "--json", "--interval", "0.2", "--record", str(record)], stdout=subprocess.PIPE
    )
    lines = [json.loads(child.stdout.readline()) for _ in range(4)]
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    lines += [json.loads(line) for line in rest.splitlines()]
    assert {line["schema"] for line in lines} == {"sdoctor.sample/1"}
    assert all("process" not in line for line in lines)
    assert all(line["cpu_percent"] >= 0 for line in lines)
    recorded = read_recording(record).samples
    assert [sample.at for sample in recorded[1:]] == [line["at"] for line in lines]
    # Played again, each sample gets the verdicts that it got.
    again = sdoctor("monitor", "--json", "--replay", str(record), "--speed", "0", home=tmp_path)
    assert [json.loads(line)["verdicts"] for line in again.stdout.splitlines()] == [
        line["verdicts"] for line in lines
    ]


def test_every_process_is_told_where_it_is_asked_for(tmp_path):
    told = sdoctor("monitor", "--once", "--json", "--processes", home=tmp_path)
    rows = {row["pid"]: row for row in json.loads(told.stdout)["processes"]}
    assert rows[os.getpid()]["cpu_percent"] >= 0
    assert rows[os.getpid()]["resident"] > 1 << 20
    table = sdoctor("monitor", "--once", "--processes", home=tmp_path).stdout
    heading = next(line for line in table.splitlines() if "COMMAND" in line)
    assert heading.split()[:4] == ["PID", "USER", "CPU%", "MEM"]
    assert any(line.split()[:1] == [str(os.getpid())] for line in table.splitlines())
    assert "processes" not in json.loads(sdoctor("monitor", "--once", "--json", home=tmp_path).stdout)


@pytest.mark.parametrize("name", ["swapping", "healthy, written"])
def test_a_recording_is_judged_as_a_whole_with_once(tmp_path, name):
    expected, samples = WRITTEN[name]
    write_recording(tmp_path / "a.jsonl", samples)
    done = sdoctor("monitor", "--once", "--replay", str(tmp_path / "a.jsonl"), home=tmp_path)
    assert f"[{expected}," in done.stdout
    assert judge(samples)[0].title in done.stdout


def test_a_watched_process_that_ends_ends_it(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"])
    begun = time.monotonic()
    waiter = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("sdoctor")),
            "monitor",
            "--interval",
            "0.3",
            "--pid",
            str(child.pid),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    child.wait()
    output, _ = waiter.communicate(timeout=20)
    assert waiter.returncode == 0
    assert time.monotonic() - begun < 20
    assert "process" in output.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pid", "4194305"), "no process with the id"),
        (("--replay", "none.jsonl"), "cannot be read"),
        (("--record", "no/such/folder/a.jsonl"), "cannot be written"),
        (("--plain", "--json"), "exclude"),
        (("--replay", "a", "--record", "b"), "neither"),
        (("--processes",), "with --json or --once"),
        (("--processes", "--json", "--replay", "a"), "does not hold"),
    ],
)
def test_wrong_calls_are_told_in_a_sentence(tmp_path, arguments, words):
    done = sdoctor("monitor", *arguments, home=tmp_path)
    assert done.returncode == 2
    assert words in sentence_of(done)
