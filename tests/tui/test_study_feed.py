"""A real study of the tiny model in a thread: stopped from another one, kept by its journal, gone on with."""

import time

import psutil
import pytest

from tui.study_feed import StudyFeed
from tui.study_state import Over, Stepping, Tried
from tui.tuning import Asked
from tuner import journal

pytestmark = pytest.mark.slow

ASKED = {"model": "builtin:tiny", "memory": "160MiB", "max_size": 256, "device": "cpu", "steps": 2}


def heard_until(messages, condition, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition(messages):
        assert time.monotonic() < deadline, messages[-3:]
        time.sleep(0.05)


def workers():
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


def trials(messages):
    return [one.trial for one in messages if isinstance(one, Tried)]


def test_a_study_is_stopped_within_a_run_and_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    before = len(workers())
    first = []
    feed = StudyFeed(first.append)
    assert feed.run(Asked(**ASKED))
    assert not feed.run(Asked(**ASKED))
    heard_until(first, lambda all: len(trials(all)) >= 2)
    count = len(first)
    # In the middle of a run: its worker has begun to compute.
    heard_until(first, lambda all: any(isinstance(one, Stepping) for one in all[count:]))
    asked_at = time.monotonic()
    feed.stop()
    heard_until(first, lambda all: isinstance(all[-1], Over), 30)
    feed.join(10)
    assert time.monotonic() - asked_at < 30
    assert not feed.is_running
    assert feed.error is None
    assert feed.found.interrupted
    assert len(workers()) == before
    (path,) = journal.journals_dir().glob("*.jsonl")
    kept = journal.read(path)
    assert not kept.complete
    assert kept.trials == tuple(trials(first)) == feed.found.result.trials

    second = []
    feed = StudyFeed(second.append)
    feed.run(Asked(**ASKED, resume=True))
    heard_until(second, lambda all: len(trials(all)) > len(kept.trials))
    feed.stop()
    feed.join(30)
    assert feed.found.resumed_trials == len(kept.trials)
    assert feed.found.result.trials[: len(kept.trials)] == kept.trials
    assert len(workers()) == before


def test_stopped_while_the_model_loads(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    before = len(workers())
    messages = []
    feed = StudyFeed(messages.append)
    feed.run(Asked(**ASKED))
    heard_until(messages, lambda _all: len(workers()) > before)
    feed.stop()
    feed.join(30)
    assert not feed.is_running
    assert feed.found is None
    assert messages[-1].words == "Stopped before the first run."
    assert len(workers()) == before


def test_a_question_that_cannot_be_asked_is_answered_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path))
    messages = []
    feed = StudyFeed(messages.append)
    feed.run(Asked(**(ASKED | {"model": "builtin:nothing"})))
    feed.join(30)
    assert "There is no builtin model 'nothing'" in messages[-1].words
    assert feed.error is not None
