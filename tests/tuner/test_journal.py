"""The journal: whatever ends a study, what was measured stays, and nothing that was measured runs again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import Machine, goal

from doctor.sizes import GIB, MIB
from doctor.trace import Outcome
from tuner.fingerprint import Fingerprint
from tuner.journal import Journal, Ran, journal_path, read
from tuner.question import Question, state_of_files
from tuner.resuming import Journalled, open_notebook
from tuner.study import Study

HERE = Fingerprint(device="cpu", torch="2.13.0")
ASKED = Question(
    model="builtin:tiny",
    model_state="",
    device="cpu",
    memory=GIB,
    size=None,
    steps=4,
    batch=1,
    step=64,
    max_size=4096,
    goal="speed",
    shapes=((1, 1),),
    max_batch=None,
    lossy=False,
    run_limit=120.0,
)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))


class Cut(Exception):
    """The study ends here."""


class FragileMachine(Machine):
    """Ends the whole study at a run."""

    def __init__(self, last: int) -> None:
        super().__init__(seconds_per_megapixel=0.2)
        self.last = last

    def run(self, probe):
        if self.runs == self.last:
            raise Cut
        return super().run(probe)


def notebook(question=ASKED, fingerprint=HERE, budget=GIB, *, resume=False):
    said = []
    book = open_notebook(question, fingerprint, budget, resume=resume, say=said.append)
    return book, said


def study(machine, *, resume=False, **changes):
    book, said = notebook(resume=resume, **changes)
    with book:
        result = Study(goal=goal(budget=book.budget), runner=Journalled(machine, book)).run()
        book.finish()
    return result, book, said


def cut_after(runs: int) -> None:
    book, _ = notebook()
    with book, pytest.raises(Cut):
        Study(goal=goal(), runner=Journalled(FragileMachine(runs), book)).run()


WHOLE = Study(goal=goal(), runner=Machine(seconds_per_megapixel=0.2)).run()


@pytest.mark.parametrize("runs", [0, 1, 4, len(WHOLE.trials) - 1])
def test_a_cut_off_study_goes_on_without_repeating_a_trial(runs):
    cut_after(runs)
    machine = Machine(seconds_per_megapixel=0.2)
    result, book, said = study(machine, resume=True)
    assert result == WHOLE
    assert book.resumed_trials == runs
    assert machine.runs == len(WHOLE.trials) - runs
    assert len(said) == 1
    assert ("Going on" in said[0]) == (runs > 0)


def test_it_can_be_cut_off_again_and_again():
    for runs in (2, 1, 3):
        book, _ = notebook(resume=True)
        with book, pytest.raises(Cut):
            Study(goal=goal(), runner=Journalled(FragileMachine(runs), book)).run()
    result, book, _ = study(Machine(seconds_per_megapixel=0.2), resume=True)
    assert (result, book.resumed_trials) == (WHOLE, 6)


def test_a_complete_study_is_answered_without_a_run():
    study(Machine(seconds_per_megapixel=0.2))
    machine = Machine(seconds_per_megapixel=0.2)
    result, _, _ = study(machine, resume=True)
    assert (result, machine.runs) == (WHOLE, 0)


def test_without_resume_an_unfinished_study_is_mentioned_and_replaced():
    cut_after(3)
    machine = Machine(seconds_per_megapixel=0.2)
    _, book, said = study(machine)
    assert (machine.runs, book.resumed_trials) == (len(WHOLE.trials), 0)
    assert said == [
        "An unfinished study of the same question with 3 trials is replaced; with --resume it would have gone on."
    ]
    _, _, said = study(machine)
    assert said == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_torn_journal_keeps_every_whole_line(share):
    cut_after(4)
    path = journal_path(ASKED, HERE)
    content = path.read_bytes()
    length = int(share * len(content))
    path.write_bytes(content[:length])
    whole = content[:length].count(b"\n") - 1
    book, said = notebook(resume=True)
    with book:
        assert book.kept == list(WHOLE.trials[: max(0, whole)])
        book.add(WHOLE.trials[4])
    # What is written after the torn line can be read: the line was cut off, not written behind.
    assert read(path).trials == (*WHOLE.trials[: max(0, whole)], WHOLE.trials[4])
    assert "damaged" not in said[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_its_own_trial_only(share, bit):
    cut_after(4)
    path = journal_path(ASKED, HERE)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1 << bit
    path.write_bytes(content)
    kept = read(path).trials
    assert len(kept) >= 2  # a newline that is lost joins two lines
    assert all(trial in WHOLE.trials[:4] for trial in kept)
    machine = Machine(seconds_per_megapixel=0.2)
    result, _, _ = study(machine, resume=True)
    assert (result, machine.runs) == (WHOLE, len(WHOLE.trials) - len(kept))


def test_garbage_is_no_journal():
    cut_after(2)
    journal_path(ASKED, HERE).write_bytes(b"\x00\xff" * 5000 + b"\n")
    result, book, said = study(Machine(seconds_per_megapixel=0.2), resume=True)
    assert (result, book.resumed_trials) == (WHOLE, 0)
    assert "damaged and holds no trial" in said[0]


def test_another_machine_or_question_starts_anew_and_says_why():
    cut_after(3)
    book, said = notebook(fingerprint=replace(HERE, torch="2.14.0"), resume=True)
    with book:
        assert book.kept == []
    assert said == [
        "The unfinished study of this model was made with torch 2.13.0 instead of 2.14.0; the study starts anew."
    ]
    book, said = notebook(question=replace(ASKED, steps=8), resume=True)
    with book:
        assert book.kept == []
    assert "steps 4 instead of 8" in said[0]


def test_less_memory_than_before_keeps_what_still_holds():
    cut_after(5)
    peaks = [trial.peak_bytes for trial in WHOLE.trials[:5]]
    now = 110 * MIB
    expected = [trial for trial in WHOLE.trials[:5] if not trial.finished or trial.peak_bytes < now * 0.9]
    assert 0 < len(expected) < 5, peaks
    book, said = notebook(budget=now, resume=True)
    with book:
        assert (book.kept, book.budget) == (expected, now)
    assert "run again" in said[0]
    # More than before changes nothing: the study goes on with the budget that it began with.
    book, _ = notebook(budget=2 * GIB, resume=True)
    with book:
        assert (book.kept, book.budget) == (expected, now)


def test_two_studies_of_one_question_do_not_write_one_journal():
    first, _ = notebook()
    with first:
        second, said = notebook()
        with second:
            assert second.path is None
            second.add(WHOLE.trials[0])
        first.add(WHOLE.trials[1])
    assert "Another sdoctor" in said[-1]
    assert read(journal_path(ASKED, HERE)).trials == (WHOLE.trials[1],)


def test_an_interrupted_trial_is_no_result():
    book, _ = notebook()
    with book:
        book.add(replace(WHOLE.trials[0], outcome=Outcome.INTERRUPTED))
        book.add(WHOLE.trials[1])
    assert read(journal_path(ASKED, HERE)).trials == (WHOLE.trials[1],)


def test_an_unwritable_folder_is_said_once_and_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "file"))
    result, _, said = study(Machine(seconds_per_megapixel=0.2))
    assert result == WHOLE
    assert len(said) == 1
    assert "SDOCTOR_HOME" in said[0]


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path):
    # In a process of its own: the limit of file sizes would hit this one's log too.
    script = (
        "import resource, signal\n"
        "from pathlib import Path\n"
        "from simulated import Machine, goal\n"
        "from tuner.journal import Journal, Ran, read\n"
        "from tuner.study import Study\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "trials = Study(goal=goal(), runner=Machine(seconds_per_megapixel=0.2)).run().trials\n"
        f"path = Path({str(tmp_path / 'j.jsonl')!r})\n"
        "journal = Journal(path, 0)\n"
        "journal.append(Ran(trial=trials[0], budget=1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 200, resource.RLIM_INFINITY))\n"
        "refused = 0\n"
        "for trial in trials[1:3]:\n"
        "    try:\n"
        "        journal.append(Ran(trial=trial, budget=1))\n"
        "    except OSError:\n"
        "        refused += 1\n"
        "assert refused == 2\n"
        "assert read(path).trials == trials[:1]\n"
        "assert path.read_bytes().endswith(b'\\n')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "journal.append(Ran(trial=trials[3], budget=1))\n"
        "assert read(path).trials == trials[:4]\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr


def test_a_refused_write_is_said_once(monkeypatch):
    def full(self, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    _, _, said = study(Machine(seconds_per_megapixel=0.2))
    assert len(said) == 1
    assert "No space left on device" in said[0]


def test_the_state_of_a_model_follows_its_files(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    weights = model / "a.safetensors"
    weights.write_bytes(b"one")
    before = state_of_files(model)
    assert before == state_of_files(model) != ""
    os.utime(weights, ns=(1, 1))
    assert state_of_files(model) != before
    assert state_of_files(None) == state_of_files(tmp_path / "nothing") == ""


def test_records_survive_a_round_trip(tmp_path):
    journal = Journal(tmp_path / "j.jsonl", 0)
    for trial in WHOLE.trials:
        journal.append(Ran(trial=trial, budget=GIB))
    journal.close()
    assert read(tmp_path / "j.jsonl").trials == WHOLE.trials
