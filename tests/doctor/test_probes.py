"""The probes for real: every ending of a child, the order of turns, and what this machine measures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from fake_probes import fake, write_probes
from hypothesis import given
from hypothesis import strategies as st
from machines import CPU_ONLY, HEALTHY

from doctor.facts import Facts, ProbeOutcome, ProbeResult, ProbeValue
from doctor.probes.catalogue import PROBES, Probe, Turn, needs_cuda, needs_package, needs_torch
from doctor.probes.process import Heard
from doctor.probes.run import probe_machine, run_probes


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs probes with the fake modules at hand."""
    write_probes(tmp_path)
    known = filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))

    def run(*probes: Probe) -> dict[str, ProbeResult]:
        return {result.name: result for result in run_probes(Facts(), probes=probes)}

    return run


def alive(words: str) -> bool:
    """Whether a process with these words in its command runs; one that is dead and not yet collected does not."""
    for process in psutil.process_iter(["cmdline", "status"]):
        running = process.info["status"] != psutil.STATUS_ZOMBIE
        if running and words in " ".join(process.info["cmdline"] or ()):
            return True
    return False


def test_a_probe_that_works(ask) -> None:
    result = ask(fake("fine"))["fine"]
    assert result.outcome is ProbeOutcome.OK
    assert result.values == (ProbeValue(name="speed", value=2.5, unit="GB/s", device="cpu"),)
    assert result.notes == {"word": "yes"}
    assert (result.error, result.during) == (None, None)
    assert result.seconds is not None and 0 < result.seconds < 20


def test_a_segmentation_fault_keeps_what_was_measured(ask) -> None:
    result = ask(fake("segfault"))["segfault"]
    assert result.outcome is ProbeOutcome.CRASHED
    assert result.error is not None and result.error.startswith("ended by SIGSEGV")
    assert result.during == "the bad part"
    assert result.value("speed") == 1.0


def test_a_hang_ends_at_its_deadline(ask) -> None:
    started = time.monotonic()
    result = ask(fake("hang", deadline=1.0))["hang"]
    assert time.monotonic() - started < 8
    assert result.outcome is ProbeOutcome.TIMED_OUT
    assert result.during == "the endless part"
    assert result.value("speed") == 1.0
    assert result.seconds is not None and 1.0 <= result.seconds < 8


@pytest.mark.parametrize("name", ["stubborn", "parent"])
def test_nothing_is_left_behind(ask, name: str) -> None:
    assert ask(fake(name, deadline=1.5))[name].outcome is ProbeOutcome.TIMED_OUT
    time.sleep(0.2)
    assert not alive(f"doctor.probes.child fake_{name}")
    assert not alive("-c import time; time.sleep(600)")


def test_garbage_is_no_answer(ask) -> None:
    result = ask(fake("garbage"))["garbage"]
    assert result.outcome is ProbeOutcome.FAILED
    assert result.error is not None and "without an answer" in result.error
    assert result.values == ()


def test_an_exit_code_comes_with_the_last_words(ask) -> None:
    result = ask(fake("exits"))["exits"]
    assert result.outcome is ProbeOutcome.FAILED
    assert result.error == "ended with exit code 1 and without an answer\nlast words"


def test_errors_are_told_with_their_causes_and_without_names(ask) -> None:
    results = ask(fake("raises"), fake("chained"))
    assert results["raises"].outcome is ProbeOutcome.FAILED
    assert results["raises"].error == "ValueError: the file ~/x is no good, (hidden)"
    assert results["chained"].error == "ZeroDivisionError: division by zero\nRuntimeError: cannot"


def test_a_missing_package_is_told_as_python_tells_it(ask) -> None:
    result = ask(fake("no_package"))["no_package"]
    assert result.outcome is ProbeOutcome.FAILED
    assert result.during == "preparing"
    assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in (result.error or "")


def test_a_crash_while_preparing(ask) -> None:
    result = ask(fake("dies_importing"))["dies_importing"]
    assert (result.outcome, result.during) == (ProbeOutcome.CRASHED, "preparing")


def test_what_does_not_apply_says_why(ask) -> None:
    results = ask(fake("excused"), fake("fine", excuse=lambda _facts: "not on Sundays"))
    assert results["excused"].outcome is ProbeOutcome.NOT_APPLICABLE
    assert results["excused"].error == "no such card"
    assert results["fine"].outcome is ProbeOutcome.NOT_APPLICABLE
    assert (results["fine"].error, results["fine"].seconds) == ("not on Sundays", None)


def test_figures_that_are_not_finite_are_left_out(ask) -> None:
    result = ask(fake("nan"))["nan"]
    assert [one.name for one in result.values] == ["good"]


def test_chatter_of_libraries_is_not_taken_for_an_answer(ask) -> None:
    result = ask(fake("chatty"))["chatty"]
    assert (result.outcome, result.error) == (ProbeOutcome.OK, None)


def test_a_program_that_cannot_be_started(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doctor.probes.process._COMMAND", ("/nowhere/python",))
    result = ask(fake("fine"))["fine"]
    assert result.outcome is ProbeOutcome.FAILED
    assert "cannot be started" in (result.error or "")


def test_measurements_that_disturb_each_other_take_turns(ask) -> None:
    alone = [fake("clocked", name=f"alone {at}", turn=Turn.ALONE) for at in range(2)]
    beside = [fake("clocked", name=f"beside {at}") for at in range(2)]
    first = fake("clocked", name="first", turn=Turn.FIRST)
    results = ask(*alone, first, *beside)
    spans = {name: (one.value("from"), one.value("to")) for name, one in results.items()}
    order = ["first", *(one.name for one in beside), *(one.name for one in alone)]
    for early in order:
        for late in order[order.index(early) + 1 :]:
            if not (early.startswith("beside") and late.startswith("beside")):
                assert spans[early][1] <= spans[late][0], (early, late)
    # The wait for a turn is no time of the probe.
    assert results["alone 1"].seconds is not None and results["alone 1"].seconds < 2


def test_a_probe_whose_need_failed_is_not_run(ask) -> None:
    results = ask(fake("raises"), fake("fine", needs=("raises",)), fake("clocked", needs=("fine",)))
    assert results["fine"].outcome is ProbeOutcome.NOT_APPLICABLE
    assert results["fine"].error == "it needs the probe 'raises', which ended as failed"
    assert results["clocked"].outcome is ProbeOutcome.NOT_APPLICABLE


def test_progress_is_told(ask) -> None:
    seen: list[tuple[str, int, int]] = []
    run_probes(Facts(), lambda *told: seen.append(told), [fake("fine"), fake("excused")])
    assert {doing for doing, _, _ in seen} == {"trying fine", "trying excused"}
    assert all(0 <= ended <= count == 2 for _, ended, count in seen)


def test_an_interrupt_ends_the_children(ask) -> None:
    def interrupt(_doing: str, _ended: int, _count: int) -> None:
        if alive("doctor.probes.child fake_hang"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_probes(Facts(), interrupt, [fake("hang"), fake("fine"), fake("clocked"), fake("excused")])
    time.sleep(0.2)
    assert not alive("doctor.probes.child fake_")


def test_errors_become_messages_that_other_checks_understand(ask, tmp_path: Path) -> None:
    words = "cannot import name 'cached_download' from 'huggingface_hub' (/x/huggingface_hub/__init__.py)"
    (tmp_path / "fake_fine.py").write_text(f"def measure(say):\n    raise ImportError({words!r})\n")
    facts = probe_machine(HEALTHY, probes=[fake("fine")])
    message = facts.message("import-name")
    assert message is not None and message.values["name"] == "cached_download"
    assert Facts.from_json(facts.to_json()) == facts


def test_warnings_become_messages_too(ask, tmp_path: Path) -> None:
    words = "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was built for:"
    (tmp_path / "fake_fine.py").write_text(f"def measure(say):\n    say.note('warnings', {words!r})\n")
    facts = probe_machine(HEALTHY, probes=[fake("fine")])
    assert [message.kind for message in facts.messages] == ["xformers-built"]


def test_a_full_card_is_no_fault(ask, tmp_path: Path) -> None:
    code = "class OutOfMemoryError(RuntimeError): pass\ndef measure(say):\n    raise OutOfMemoryError('CUDA: no')\n"
    (tmp_path / "fake_fine.py").write_text(code)
    result = ask(fake("fine"))["fine"]
    assert (result.outcome, result.error) == (
        ProbeOutcome.NOT_APPLICABLE,
        "not enough memory is free on the card",
    )


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_any_line_is_heard_or_passed_over(lines: list[bytes]) -> None:
    heard = Heard()
    for line in [*lines, b'{"value": {"name": "a", "value": true, "unit": []}}', b'{"note": {"name": 1}}']:
        heard.take(line)
    assert heard.notes == {} or all(isinstance(word, str) for word in heard.notes.values())


# the list


def test_the_list_is_in_order() -> None:
    names = [probe.name for probe in PROBES]
    assert len(set(names)) == len(names)
    for at, probe in enumerate(PROBES):
        assert set(probe.needs) <= set(names[:at]), "a need stands before who needs it"
        assert (Path(__file__).parents[2] / (probe.module.replace(".", "/") + ".py")).exists()


def test_excuses() -> None:
    assert needs_cuda(HEALTHY) is None
    assert needs_cuda(CPU_ONLY) == "the installed torch is a CPU build"
    assert needs_cuda(replace(HEALTHY, gpus=())) == "there is no NVIDIA card"
    assert needs_cuda(replace(HEALTHY, gpus=None)) is None, "unknown is not none"
    bare = replace(HEALTHY, torch=None, packages=())
    assert needs_cuda(bare) == needs_torch(bare) == "torch is not installed"
    assert needs_torch(HEALTHY) is None
    assert needs_package("xformers")(HEALTHY) == "xformers is not installed"
    assert needs_package("xformers")(Facts()) is None, "unknown packages are tried"


def test_the_parent_loads_nothing_heavy() -> None:
    code = "import sys, doctor.probes.run; print([name for name in ('torch', 'diffusers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
