"""The tune screen: studies of a simulated machine, through the real study, strategies, edges and screen."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
import simulated
from looks import settled
from simulated import Machine, goal
from textual.widgets import DataTable, Static

from doctor.errors import NotInOrder
from doctor.sizes import MIB
from tui.render_tune import verdict_of
from tui.screens.help import HelpOverlay
from tui.screens.past import PastScreen, TextScreen
from tui.screens.tune import TuneScreen
from tui.study_edges import edges_of_result, edges_of_trials
from tui.study_state import view_of_profile
from tui.themes import remember_theme
from tui.tune_app import TuneApp
from tui.tuning import Asked, Found, Stopper
from tui.widgets.scatter import Point, scatter
from tui.widgets.study_form import StudyField
from tuner.fingerprint import Fingerprint
from tuner.probe import Purpose
from tuner.profile import profile_of
from tuner.store import save
from tuner.study import Study, conclude

SIZES = [(80, 24), (200, 50)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SDOCTOR_HOME", str(tmp_path / "home"))
    return tmp_path


def fingerprint():
    return Fingerprint(device="cpu", name="test")


SITUATION = SimpleNamespace(model=SimpleNamespace(name="builtin:tiny"), target=simulated.CPU)


class Playing:
    """Runs the real study against a machine that is only laws, with the stopper heeded as the real one heeds it."""

    def __init__(self, pause=0.0, machine=None, **bounds):
        self.machine = machine or Machine(budget=200 * MIB)
        self.goal = goal(budget=200 * MIB, max_size=1024, **bounds)
        self.pause = pause
        self.asked = []
        self.stopped = threading.Event()

    def __call__(self, asked, show, say, stopper):
        self.asked.append(asked)
        stopper.use(self.stopped.set)
        say("An unfinished study of the same question is replaced.")

        def begin(probe):
            stopper.check()
            show.probe(probe)
            if self.pause:
                self.stopped.wait(self.pause)
            stopper.check()

        study = Study(goal=self.goal, runner=self.machine, on_probe=begin, on_trial=show.trial)
        show.begin(study, SITUATION)
        interrupted = False
        try:
            result = study.run()
        except KeyboardInterrupt:
            interrupted = True
            result = study.conclude()
        return Found(
            result=result,
            situation=SITUATION,
            profile=None,
            trouble=None,
            journal=None,
            resumed_trials=0,
            interrupted=interrupted,
        )


def app_of(run, *, begin=True, **asked):
    return TuneApp(TuneScreen(Asked(**asked), begin=begin, run=run))


def shown(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(condition, seconds=30.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def says(pilot, words):
    async with asyncio.timeout(30):
        while words not in shown(pilot.app):
            await pilot.pause(0.05)


async def ended(pilot):
    """The study is over, and its end is drawn."""
    tune = pilot.app.tune
    await until(lambda: tune.view.found is not None)
    await until(lambda: tune.query_one(DataTable).row_count == len(tune.view.trials))
    await settled(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_a_study_shows_its_trials_edges_and_winner(size):
    run = Playing()
    app = app_of(run)
    async with app.run_test(size=size) as pilot:
        await ended(pilot)
        await says(pilot, "Fastest: bf16")
        text = shown(app)
        assert "ran" in text and "did not" in text and "proven" in text
        table = app.tune.query_one(DataTable)
        assert table.row_count == run.machine.runs == len(app.tune.view.found.result.trials)
        marks = [str(table.get_row_at(row)[0])[-1] for row in range(table.row_count)]
        assert marks.count("◆") == 1 and marks.count("○") == 1
        largest = app.tune.view.found.result.largest
        assert f"{largest.edge.works.width}x{largest.edge.works.height} ran" in text


async def test_the_chart_is_beside_the_trials_or_in_their_place():
    app = app_of(Playing())
    async with app.run_test(size=(80, 24)) as pilot:
        await ended(pilot)
        assert "seconds per image" not in shown(app)
        await pilot.press("v")
        await says(pilot, "seconds per image")
        assert "◆" in shown(app)
        await pilot.press("v")
        await says(pilot, "trials")


async def test_cancel_keeps_what_was_measured():
    run = Playing(pause=0.05)
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: len(app.tune.view.trials) >= 2)
        assert app.tune.is_working
        await pilot.press("c")
        await until(lambda: not app.tune.view.is_running)
        await says(pilot, "stopped")
        found = app.tune.view.found
        assert found.interrupted and not found.result.complete
        assert len(found.result.trials) == run.machine.runs >= 2
        # Another one can be begun afterwards.
        await pilot.press("i", "enter")
        await until(lambda: len(run.asked) == 2)


async def test_quitting_stops_the_study_first():
    run = Playing(pause=0.1)
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: len(app.tune.view.trials) >= 1)
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert run.stopped.is_set()
    assert not app.tune.is_working
    assert app.tune.feed.found.interrupted


async def test_leaving_the_screen_leaves_no_study_behind():
    run = Playing(pause=0.1)
    app = app_of(run)
    async with app.run_test(size=(80, 24)):
        await until(lambda: len(app.tune.view.trials) >= 1)
        app.exit()
    assert not app.tune.is_working


async def test_the_fields_become_the_question():
    run = Playing()
    app = app_of(run, begin=False, steps=7)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        for name, value in (("goal", "Memory"), ("size", "192"), ("memory", "300MiB"), ("minutes", "2.5")):
            app.tune.query_one(f"#study-{name}", StudyField).value = value
        await pilot.press("enter")
        await until(lambda: run.asked)
        asked = run.asked[0]
        assert (asked.goal, asked.size, asked.memory, asked.time_limit) == ("memory", "192", "300MiB", 2.5)
        assert (asked.model, asked.steps, asked.resume) == ("builtin:tiny", 7, False)


async def test_resume_asks_for_it():
    run = Playing()
    app = app_of(run, begin=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("escape", "r")
        await until(lambda: run.asked)
        assert run.asked[0].resume


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("goal", "beauty", "There is no goal 'beauty'"),
        ("size", "huge", "'huge' is not a picture size"),
        ("minutes", "soon", "'soon' cannot be used as minutes"),
        ("largest", "1", "'1' cannot be used as up to"),
        ("model", "builtin:nothing", "builtin:nothing"),
    ],
)
async def test_what_is_wrong_with_a_field_is_said_and_nothing_begins(name, value, words):
    run = Playing()
    app = app_of(run, begin=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        app.tune.query_one(f"#study-{name}", StudyField).value = value
        await pilot.press("enter")
        await until(lambda: not app.tune.query_one("#study-problem", Static).has_class("-empty"))
        await says(pilot, words)
        assert run.asked == []


async def test_why_a_study_cannot_begin_is_said():
    def run(asked, show, say, stopper):
        raise NotInOrder("The weights do not fit; take a smaller model.")

    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "The weights do not fit; take a smaller model.")
        assert isinstance(app.tune.feed.error, NotInOrder)
        assert not app.tune.is_working


async def test_a_defect_is_said_and_the_screen_stays():
    def run(asked, show, say, stopper):
        raise RuntimeError("no such thing")

    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await says(pilot, "defect of sdoctor: RuntimeError: no such thing")
        assert app.is_running


async def test_the_table_is_the_one_of_the_command():
    app = app_of(Playing())
    async with app.run_test(size=(140, 40)) as pilot:
        await ended(pilot)
        await pilot.press("t")
        await until(lambda: isinstance(app.screen, TextScreen))
        await says(pilot, "Sizes tried (measured):")
        await pilot.press("escape")
        await until(lambda: app.screen is app.tune)


def study_result():
    machine = Machine(budget=200 * MIB)
    bounds = goal(budget=200 * MIB, max_size=1024)
    return Study(goal=bounds, runner=machine).run()


async def test_a_study_of_the_past_can_be_shown():
    profile = profile_of(study_result(), "builtin:tiny", fingerprint(), "2026-01-02T03:04:05+00:00")
    save(profile)
    app = app_of(Playing(), begin=False)
    async with app.run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        await pilot.press("escape", "o")
        await until(lambda: isinstance(app.screen, PastScreen))
        await says(pilot, "2026-01-02 03:04")
        await pilot.press("enter")
        await until(lambda: app.screen is app.tune)
        await says(pilot, "as tuned 2026-01-02")
        await until(lambda: app.tune.query_one(DataTable).row_count == len(profile.trials))
        assert f"{profile.ladder[0].largest}x{profile.ladder[0].largest} ran" in shown(app)


async def test_without_a_past_that_is_said():
    app = app_of(Playing(), begin=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("escape", "o")
        await says(pilot, "No study was made")


async def test_the_help_names_every_key():
    app = app_of(Playing(), begin=False)
    async with app.run_test(size=(80, 40)) as pilot:
        await settled(pilot)
        await pilot.press("escape", "question_mark")
        await until(lambda: isinstance(app.screen, HelpOverlay))
        await settled(pilot)
        for binding in app.tune.BINDINGS:
            if binding.show and binding.key != "question_mark":
                assert f"  {binding.key} " in shown(app), binding.key


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (119, 30)])
async def test_odd_sizes_and_no_colour_do_no_harm(size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_of(Playing())
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.tune.view.found is not None)
        await pilot.press("v", "v")
        await settled(pilot)
        assert app.is_running


async def test_the_remembered_theme_holds_here_too():
    remember_theme("nord")
    app = app_of(Playing(), begin=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.theme == "nord"


def test_edges_close_in_and_agree_with_the_result():
    result = study_result()
    for count in range(1, len(result.trials) + 1):
        for line in edges_of_result(conclude(result.goal, result.trials[:count])):
            assert line.works is None or line.fails is None or line.works < line.fails
    lines = {line.name: line for line in edges_of_result(result)}
    proven = [item for item in result.ladder if item.edge and item.edge.limit.value == "memory"]
    assert proven
    for item in proven:
        line = lines[item.rung.name]
        assert line.state == "proven"
        assert line.works == item.edge.works.width
        assert line.fails == item.edge.fails.width


def test_an_unfinished_search_is_not_called_too_slow():
    result = study_result()
    first = next(count for count, one in enumerate(result.trials, 1) if one.purpose is Purpose.LARGEST)
    cut = conclude(result.goal, result.trials[:first])
    assert not cut.complete
    assert any("the search beyond it was not finished" in line for line in verdict_of(cut))
    for one in (cut, result):
        assert not any("would take longer" in line for line in verdict_of(one))


async def test_while_it_runs_nothing_is_said_of_sizes_that_are_still_sought():
    app = app_of(Playing(pause=0.1))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: len(app.tune.view.trials) >= 2)
        await says(pilot, "So far: ")
        assert "Largest" not in shown(app)


def test_a_journal_shows_as_much_as_its_trials_say():
    result = study_result()
    lines = edges_of_trials(result.trials)
    assert max(line.works or 0 for line in lines) == result.largest.edge.works.width
    assert edges_of_trials(()) == ()


def test_a_profile_is_shown_as_it_was_kept():
    result = study_result()
    profile = profile_of(result, "builtin:tiny", fingerprint(), "2026-01-02T03:04:05+00:00")
    view = view_of_profile(profile)
    assert view.trials == result.trials
    assert view.best.settings == result.best.settings
    assert [line.works for line in view.edges] == [rung.largest for rung in profile.ladder]


def test_the_stopper_ends_children_that_come_after_it_too():
    ended = []
    stopper = Stopper()
    stopper.use(lambda: ended.append(1))
    stopper.check()
    stopper.stop()
    assert ended == [1]
    with pytest.raises(KeyboardInterrupt):
        stopper.check()
    with pytest.raises(KeyboardInterrupt):
        stopper.use(lambda: ended.append(2))


def test_marks_lie_where_their_figures_say():
    points = [Point(1.0, 100.0, "a"), Point(3.0, 50.0, "b"), Point(2.0, 0.0, "c")]
    plotted = scatter(points, 21, 5, None)
    assert [row.find("a") for row in plotted.rows] == [0, -1, -1, -1, -1]
    assert [row.find("b") for row in plotted.rows] == [-1, -1, 20, -1, -1]
    assert plotted.rows[4][10] == "c"
    assert not plotted.is_logarithmic
    assert scatter([Point(0.1, 1, "a"), Point(10, 1, "b")], 21, 5, None).is_logarithmic
    assert scatter([], 21, 5, None) is None
    assert scatter(points, 2, 1, None) is None


def test_a_budget_is_drawn_where_it_says_something():
    points = [Point(1.0, 100.0, "a")]
    assert scatter(points, 10, 5, 200.0).rows[0] == "·" * 10
    assert "·" not in "".join(scatter(points, 10, 5, 5000.0).rows)
