"""While a compiler works nothing is drawn: every way of watching says so, and its time is no part of the picture's."""

from __future__ import annotations

from dataclasses import replace

from simulated import Machine, goal

from doctor.trace import Phase
from tui.plain import _Say
from tui.progress import Lines
from tui.run_messages import Heard, RunStarted
from tui.state import View
from tui.state import fold as fold_run
from tui.study_state import Probing, Stepping, StudyView
from tui.study_state import fold as fold_study
from tui.widgets.words import status
from tuner.events import CompileEnded, CompileStarted, PhaseStarted, Stepped
from tuner.probe import Purpose
from tuner.settings import Settings
from tuner.strategy.fastest import probe_at

BEGUN = CompileStarted(what="the denoiser")
DONE = CompileEnded(what="the denoiser", seconds=83.0)


def test_lines_of_a_study(capsys):
    show = Lines()
    show.event(BEGUN)
    show.event(DONE)
    show.event(CompileStarted(what="the VAE decoder", from_disk=True))
    trial = Machine().run(probe_at(goal(), Settings(compile="openvino"), Purpose.FASTEST))
    show.trial(replace(trial, compile_seconds=83.0))
    first, last = capsys.readouterr().err.splitlines()
    assert first == "compiling the denoiser for this size ..."
    assert last.endswith("compiled for 83.0 s")


def test_lines_of_a_generation(capsys):
    say = _Say(quiet=False)
    say.event(BEGUN)
    say.event(DONE)
    say.event(CompileStarted(what="the denoiser", from_disk=True))
    say.event(CompileEnded(what="the denoiser", seconds=1.5, from_disk=True))
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "compiling the denoiser for this size",
        "compiled the denoiser in 83.0 s",
        "read the program of the denoiser in 1.5 s",
    ]


def test_the_screen_of_a_study():
    view = fold_study(StudyView(), Probing(1.0, probe_at(goal(), Settings())))
    view = fold_study(view, Stepping(2.0, PhaseStarted(phase=Phase.DENOISE)))
    view = fold_study(view, Stepping(3.0, BEGUN))
    assert (view.compiling, view.phase) == ("the denoiser", Phase.DENOISE)
    assert fold_study(view, Stepping(86.0, DONE)).compiling == ""
    # A run that ended meanwhile leaves nothing behind.
    assert fold_study(view, Probing(87.0, probe_at(goal(), Settings()))).compiling == ""


def test_the_screen_of_a_generation():
    run = RunStarted(
        at=0.0, model="m", prompt="x", settings_text="fp32", width=64, height=64, steps=2, seed=0
    )
    view = fold_run(View(), run)
    for at, event in (
        (1.0, PhaseStarted(phase=Phase.DENOISE)),
        (2.0, Stepped(index=1, total=2, seconds=1.0)),
        (2.0, BEGUN),
    ):
        view = fold_run(view, Heard(at, event))
    assert status(view) == "compiling the denoiser"
    view = fold_run(view, Heard(85.0, DONE))
    assert status(view) != "compiling the denoiser"
    # Two seconds of drawing in the phase so far, of which the next step has begun none.
    assert view.in_phase == 1.0
    assert view.seconds_left == 1.0
    assert any("compiled the denoiser" in line.text for line in view.log)
