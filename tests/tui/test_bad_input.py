"""Bad input: one clear sentence on standard error, the right exit code, nothing half-written."""

from __future__ import annotations

import pytest
from command import sdoctor, sentence_of

CALLS = [
    (("tune", "builtin:sd51"), 2, "There is no builtin model 'sd51'; there are builtin:sd"),
    (("tune", "/no/such/folder"), 2, "/no/such/folder"),
    (("tune", "--memory", "lots"), 2, "'lots' is not an amount of memory"),
    (("tune", "--memory", "4"), 2, "'4' has no unit; write for example 4GiB"),
    (("tune", "--memory", "4000GiB"), 2, "is more than the"),
    (("tune", "--device", "cuda:7"), 2, "The device 'cuda:7' cannot be used"),
    (("tune", "--device", "toaster"), 2, "'toaster' is not a device"),
    (("tune", "--size", "huge"), 2, "'huge' is not a picture size"),
    (("tune", "--goal", "beauty"), 2, "There is no goal 'beauty'; the goals are speed, size, memory."),
    (("tune", "--aspect", "wide"), 2, "'wide' is not a shape; write width:height, for example 16:9."),
    (("generate",), 2, "There is nothing to draw"),
    (("generate", "  "), 2, "The prompt is empty."),
    (("generate", "--prompt-file", "nowhere.txt"), 2, "The prompt file nowhere.txt does not exist."),
    (("generate", "x", "--prompt-file", "nowhere.txt"), 2, "Give the prompt or --prompt-file, not both."),
    (("generate", "x", "--output", "picture.jpg"), 2, "Pictures are written as PNG"),
    (
        ("generate", "x", "--precision", "fp12"),
        2,
        "precision=fp12 does not exist; the values are fp32, fp16, bf16",
    ),
    (("generate", "x", "--settings", "speed=11"), 2, "There is no setting 'speed'"),
    (("generate", "x", "--settings", "vae_tiling"), 2, "'vae_tiling' is not a setting; write name=value"),
    (("generate", "x", "--settings", "threads=many"), 2, "threads=many is not a number of threads"),
    (
        ("generate", "x", "--settings", "compile=openvino,attention=sliced"),
        2,
        "compile=openvino: it brings its own attention",
    ),
    (("generate", "x", "--steps", "0"), 2, "Invalid value for '--steps'"),
    (("paint", "x"), 2, "No such command 'paint'"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    CALLS,
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_one_sentence_and_the_right_exit_code(arguments, code, words, tmp_path):
    done = sdoctor(*arguments, home=tmp_path)
    assert words in sentence_of(done)
    assert done.returncode == code
    assert done.stdout == ""
    assert list(tmp_path.rglob("*.png")) == []
    assert list(tmp_path.rglob("*.json")) == []


def test_a_folder_that_holds_no_pipeline(tmp_path):
    (tmp_path / "folder").mkdir()
    done = sdoctor("tune", str(tmp_path / "folder"), home=tmp_path)
    assert done.returncode == 2
    assert "holds no pipeline" in sentence_of(done)
