"""The main job as a user does it: tune finds the edge, generate uses the profile and draws."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import sdoctor, sentence_of
from PIL import Image

from doctor.sizes import MIB
from tuner.models import BUILTIN_ROOT
from tuner.probe import Trial
from tuner.settings import Settings, setting_names

pytestmark = pytest.mark.timeout(900)
"""Seconds: all share one study, which takes a minute alone and several on a busy machine."""
BUDGET = "120MiB"
"""So little that the sizes at the edge, and with them the study, stay small."""
STEP = 128
"""Pixels between two sizes that are told apart; every size beyond the edge costs a fresh worker."""
TRIAL_FIELDS = {
    "settings", "width", "height", "batch", "outcome", "seconds_per_step", "seconds_per_image", "peak_bytes", "predicted",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tuned(home):
    """One study of the built-in model under a small budget, shared by the tests of this file."""
    done = sdoctor(
        "tune", "builtin:tiny", "--memory", BUDGET, "--steps", "2", "--step", str(STEP), "--json", home=home
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_edge_is_proven_from_both_sides(tuned):
    assert tuned["schema"] == "sdoctor.tune/1"
    assert tuned["budget_bytes"] == 120 * MIB
    assert tuned["complete"]
    largest, edge = tuned["largest"], tuned["largest"]["edge"]
    works, fails = edge["works"], edge["fails"]
    assert edge["limit"] == "memory"
    assert (works["outcome"], fails["outcome"]) == ("finished", "out_of_memory")
    assert (works["width"], works["height"]) == (largest["width"], largest["height"])
    assert fails["width"] == works["width"] + STEP
    assert works["settings"] == fails["settings"] == largest["settings"]
    assert works["peak_bytes"] <= tuned["budget_bytes"]
    assert works in tuned["trials"]
    assert fails in tuned["trials"]
    # Each rung has an edge of its own, and the largest is the furthest of them.
    assert largest["width"] == max(rung["width"] for rung in tuned["ladder"])


def test_every_trial_says_what_was_measured(tuned):
    for trial in tuned["trials"]:
        assert trial.keys() >= TRIAL_FIELDS
        assert trial["settings"].keys() == set(setting_names())
        measured = (trial["seconds_per_step"], trial["seconds_per_image"], trial["peak_bytes"])
        if trial["outcome"] == "finished":
            assert all(value > 0 for value in measured)
        else:
            assert measured == (None, None, None)


def test_the_best_is_not_slower_than_the_default(tuned):
    best, baseline = tuned["best"], tuned["baseline"]
    assert baseline["settings"]["precision"] == "fp32"
    assert tuned["speedup"] == pytest.approx(
        baseline["trial"]["seconds_per_image"] / best["trial"]["seconds_per_image"]
    )
    assert best["trial"]["seconds_per_image"] <= baseline["trial"]["seconds_per_image"]
    assert best["trial"] in tuned["trials"]


def test_generate_uses_the_profile_and_writes_a_picture_that_tells_its_making(tuned, home):
    done = sdoctor("generate", "a red circle", "--plain", "--seed", "4", "--steps", "3", "--json", home=home)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["profile"] == tuned["profile"]
    assert document["settings"] == tuned["best"]["settings"]
    assert all(verdict["id"] and verdict["title"] for verdict in document["verdicts"])
    (path,) = document["images"]
    assert Path(path).name == "a-red-circle-4.png"
    picture = Image.open(path)
    assert picture.size == (128, 128)
    record = json.loads(picture.text["sdoctor"])
    assert (record["prompt"], record["seed"]) == ("a red circle", 4)
    assert record["settings"] == document["settings"]
    assert record["seconds"] > 0
    # The same call does not overwrite the picture.
    again = sdoctor("generate", "a red circle", "--plain", "--seed", "4", "--steps", "3", home=home)
    assert "a-red-circle-4_2.png" in again.stdout
    assert Path(path).read_bytes()


def test_a_script_of_ones_own_takes_the_profile_in_three_lines(tuned, home, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, tuner\n"
        "from diffusers import DiffusionPipeline\n"
        "pipe = DiffusionPipeline.from_pretrained(sys.argv[1])\n"
        "pipe = tuner.load_profile('builtin:tiny').apply(pipe)\n"
        "pipe('a red circle', num_inference_steps=2).images[0].save(sys.argv[2])\n"
        "print(pipe.settings.text())\n"
    )
    made = tmp_path / "made.png"
    done = subprocess.run(
        [sys.executable, "-P", script, str(BUILTIN_ROOT / "tiny"), made],
        env={**os.environ, "SDOCTOR_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == Settings(**tuned["best"]["settings"]).text()
    assert Image.open(made).size == (128, 128)


def test_without_a_profile_generate_says_so_and_draws_all_the_same(home, tmp_path):
    done = sdoctor(
        "generate",
        "x",
        "--plain",
        "--steps",
        "1",
        "--size",
        "64",
        "--settings",
        "vae_tiling=on",
        home=tmp_path,
    )
    assert done.returncode == 0
    assert "no profile of builtin:tiny on this machine yet" in done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_low_memory_warns_that_it_is_slower(tmp_path):
    done = sdoctor("generate", "x", "--plain", "--steps", "1", "--low-memory", home=tmp_path)
    assert done.returncode == 0
    assert "slower" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("generate", "x", "--plain", "--size", "100"), 2, "100x100 cannot be made"),
        (
            ("generate", "x", "--plain", "--size", "2048", "--memory", "128MiB"),
            1,
            "Out of memory in the phase",
        ),
        (("generate", "x", "--plain", "--memory", "5MiB"), 1, "builtin:tiny"),
        (
            ("tune", "--size", "100"),
            2,
            "--size 100 cannot be used: builtin:tiny needs multiples of 8 pixels.",
        ),
        (("tune", "--memory", "5MiB"), 1, "builtin:tiny"),
    ],
)
def test_what_cannot_be_made_is_one_sentence_and_leaves_nothing(arguments, code, words, tmp_path):
    done = sdoctor(*arguments, home=tmp_path)
    assert words in sentence_of(done)
    assert done.returncode == code
    assert list(tmp_path.rglob("*.png")) + list(tmp_path.rglob("*.json")) == []


def test_ctrl_c_keeps_what_was_measured(tmp_path):
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("sdoctor")), "tune", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SDOCTOR_HOME": str(tmp_path)},
        start_new_session=True,
    )
    lines = []
    while not any(line.startswith("trial 2") for line in lines):
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    # As a terminal does it: to the whole group, worker included.
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    document = json.loads(output)
    assert process.returncode == 3
    assert not document["complete"]
    assert len(document["trials"]) >= 2
    assert Path(document["profile"]).is_file()


def test_a_profile_that_cannot_be_saved_is_said_after_the_result(tmp_path):
    (tmp_path / "data").write_text("a file stands where the folder should be")
    # Only how large: the fewest trials that make a profile.
    done = sdoctor("tune", "--json", "--goal", "size", "--max-size", "128", "--steps", "1", home=tmp_path)
    assert done.returncode == 1
    assert "The profile could not be saved in" in sentence_of(done)
    document = json.loads(done.stdout)
    assert document["profile"] is None
    assert document["best"]["trial"]["outcome"] == "finished"
    assert document["largest"]["edge"]["limit"] == "max-size"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_screen_in_a_real_terminal(size, tmp_path):
    session = f"sdoctor-{os.getpid()}-{size[0]}"
    tmux = ("tmux", "-L", session)
    command = Path(sys.executable).with_name("sdoctor")
    # A plugin of pytest sets COLUMNS and LINES, which Textual takes for the size of the terminal.
    environment = f"env -u COLUMNS -u LINES SDOCTOR_HOME={tmp_path} TERM=xterm-256color"
    line = f"cd {tmp_path} && {environment} {command} generate --steps 6 --seed 1; echo left with $?; cat"
    subprocess.run([*tmux, "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), line], check=True)

    def screen() -> str:
        return subprocess.run(
            [*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True
        ).stdout

    def wait_for(*words: str) -> str:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            text = screen()
            # A path may be broken at the edge of the screen.
            unbroken = "".join(text.split())
            if all("".join(word.split()) in unbroken for word in words):
                return unbroken
            time.sleep(0.2)
        pytest.fail(f"{words} did not appear in:\n{screen()}")

    try:
        wait_for("ready", "what to draw; Enter draws it")
        subprocess.run([*tmux, "send-keys", "a red circle", "Enter"], check=True)
        wait_for("builtin:tiny", "a red circle")
        done = wait_for("finished", "a-red-circle-1.png")
        assert "6/6steps" in done
        # The second picture comes from the same worker, which need not load again.
        subprocess.run([*tmux, "send-keys", "a blue square", "Enter"], check=True)
        wait_for("finished", "a-blue-square-1.png")
        subprocess.run([*tmux, "send-keys", "Escape"], check=True)
        time.sleep(0.5)
        if size[0] < 120:
            # The picture stands where jobs and log are.
            subprocess.run([*tmux, "send-keys", "p"], check=True)
            wait_for("1 a red circle", "2 a blue square")
        else:
            # Nothing was loaded: the phase has no time.
            wait_for("load → encode 0", "1 a red circle", "2 a blue square")
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        left = wait_for("left with 0")
        assert "a-red-circle-1.png" in left
        assert "a-blue-square-1.png" in left
        listed = sdoctor("generate", "--list", "--json", home=tmp_path)
        made = json.loads(listed.stdout)
        assert made["schema"] == "sdoctor.gallery/1"
        assert [(one["prompt"], one["exists"]) for one in made["pictures"]] == [
            ("a blue square", True),
            ("a red circle", True),
        ]
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_trial_fields_are_those_of_the_type():
    assert set(Trial.__dataclass_fields__) >= TRIAL_FIELDS
