from hypothesis import given
from hypothesis import strategies as st
from written_traces import WRITTEN, sample

from doctor.finding import Severity
from doctor.history.episode import Episode
from doctor.verdicts import judge, recent
from tui.monitor_feed import Player
from tui.timeline import Mark, Timeline, marks_of


def trace(count, **changes):
    return tuple(sample(n, clock=1000.0 + n, **changes) for n in range(count))


def test_it_follows_the_newest_until_moved():
    line = Timeline()
    for each in trace(5):
        line.add(each)
    assert line.sample.at == 104.0
    line.seek(2)
    line.follows = False
    line.add(sample(5))
    assert (line.sample.at, line.behind()) == (102.0, 3.0)
    line.seek(99)
    assert line.at_end


def test_a_full_one_forgets_the_oldest_and_keeps_what_is_looked_at():
    line = Timeline(most=100)
    for each in trace(150):
        line.add(each)
    line.follows = False
    line.seek(90)
    seen = line.sample
    for n in range(150, 220):
        line.add(sample(n))
    assert line.sample is seen
    assert len(line.samples) <= 160


def test_each_moment_gets_the_verdict_that_the_live_view_gave():
    samples = WRITTEN["swapping"][1]
    line = Timeline(samples, most=None)
    kept, said = (), []
    for each in samples:
        kept = recent((*kept, each))
        said.append(judge(kept))
    for index in range(len(samples)):
        line.seek(index)
        assert line.verdicts() == said[index]
    assert any(said)


@given(st.integers(1, 80), st.integers(1, 20), st.sampled_from([1, 2, 5, 10]))
def test_points_do_not_change_as_time_goes_on(count, points, per):
    line = Timeline(trace(count), most=None)
    line.samples = [sample(n, cpu_percent=float(n)) for n in range(count)]
    line.seek(count)
    series = line.series(lambda each: each.cpu_percent, points, per)
    assert len(series) <= points
    everything = line.series(lambda each: each.cpu_percent, 1000, per)
    assert series == everything[-len(series) :]
    line.add(sample(count, cpu_percent=float(count)))
    line.seek(count + 1)
    later = line.series(lambda each: each.cpu_percent, 1000, per)
    complete = count // per
    assert later[:complete] == everything[:complete]


def test_unknown_readings_are_left_out_of_a_mean():
    line = Timeline((sample(0, cpu_percent=None), sample(1, cpu_percent=50.0)), most=None)
    line.seek(1)
    assert line.series(lambda each: each.cpu_percent, 5, 2) == (50.0,)
    assert line.series(lambda each: None, 5, 2) == (None,)


def test_marks_lie_where_they_happened():
    line = Timeline(trace(10), most=None)
    line.seek(9)
    marks = (Mark(999.0, "before"), Mark(1003.5, "within"), Mark(1009.0, "now"), Mark(2000.0, "after"))
    assert [(place, mark.text) for place, mark in line.places(marks)] == [(5, "within"), (0, "now")]
    line.seek(3)
    assert line.places(marks) == ()


def episode(began, title):
    return Episode(id=title, kind="gpu-lost", severity=Severity.ERROR, title=title, began=began, ended=None)


def test_incidents_become_marks_at_their_beginning():
    found = marks_of((episode(20.0, "later"), episode(10.0, "earlier")))
    assert found == (Mark(10.0, "earlier"), Mark(20.0, "later"))


def test_a_recording_plays_at_its_speed_and_stops_at_its_end():
    player = Player((0.0, 1.0, 2.0, 4.0), speed=2.0)
    assert player.after(0, 0.4) == 0
    assert player.after(0, 0.2) == 1
    assert player.after(1, 0.5) == 2
    player.runs = False
    assert player.after(2, 100.0) == 2
    player.runs = True
    assert player.after(2, 100.0) == 3
    assert not player.runs


def test_without_pause_means_the_end_at_once():
    assert Player((0.0, 1.0, 2.0), speed=0.0).after(0, 0.0) == 2


def test_an_empty_one_has_nothing_to_show():
    line = Timeline()
    assert line.sample is None and line.verdicts() == () and line.behind() == 0.0
    line.seek(5)
    assert line.head == 0 or line.sample is None
