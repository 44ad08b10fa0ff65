import json

import pytest
from written_traces import sample

from doctor.errors import UsageError
from doctor.telemetry.recording import encode_sample, intervals, read_recording, write_recording
from doctor.telemetry.sample import Sample


def test_what_is_not_known_is_absent_and_zero_is_not(tmp_path):
    document = json.loads(encode_sample(Sample(at=1.5, cpu_percent=0.0)))
    assert document == {"schema": "sdoctor.sample/1", "at": 1.5, "cpu_percent": 0.0}


def test_a_recording_comes_back_as_it_was(tmp_path):
    samples = tuple(sample(number) for number in range(4))
    write_recording(tmp_path / "a.jsonl", samples, interval=2.0, note="a test")
    recording = read_recording(tmp_path / "a.jsonl")
    assert recording.samples == samples
    assert (recording.header.interval, recording.header.note, recording.torn) == (2.0, "a test", False)
    assert list(intervals(samples)) == [0.0, 1.0, 1.0, 1.0]


def test_a_core_without_a_figure_keeps_its_place(tmp_path):
    write_recording(tmp_path / "a.jsonl", [Sample(at=1.0, core_percents=(None, 5.0))])
    assert read_recording(tmp_path / "a.jsonl").samples[0].core_percents == (None, 5.0)


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    write_recording(path, [sample(0), sample(1)])
    whole = path.read_bytes()
    for cut in (1, 40, 300):
        path.write_bytes(whole[:-cut])
        recording = read_recording(path)
        # Without its end of line alone, the last line is still whole.
        assert (len(recording.samples), recording.torn) == ((2, False) if cut == 1 else (1, True))


def test_the_output_of_monitor_json_can_be_played(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        encode_sample(sample(0), verdicts=[]) + b"\n" + encode_sample(sample(1), verdicts=[]) + b"\n"
    )
    assert read_recording(path).samples == (sample(0), sample(1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no line"),
        ("hello\nworld\n", "Line 1"),
        ('{"schema":"other/1"}\n', "other/1"),
        ('{"schema":"sdoctor.sample/1","at":"noon"}\n{"schema":"sdoctor.sample/1","at":1}\n', "Line 1"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, words):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_recording(path)


def test_a_recording_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_recording(tmp_path / "none.jsonl")
