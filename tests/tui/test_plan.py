"""``sdoctor plan`` as a user runs it: rows, ladder, charts, and errors of one sentence."""

from __future__ import annotations

import json
import shutil

import pytest
from command import sdoctor, sentence_of

from tuner.models import BUILTIN_ROOT

TINY = ("plan", "builtin:tiny")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all, so that dry runs are remembered."""
    return tmp_path_factory.mktemp("home")


def document(*arguments, home, code=0):
    done = sdoctor(*TINY, *arguments, "--json", home=home)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_size_and_settings_give_exactly_that_row(home):
    asked = "precision=fp16,offload=model,vae_tiling=on,attention=sliced"
    found = document("--gpu", "RTX 3060", "--size", "256x128", "--settings", asked, home=home)
    assert (found["schema"], found["model"]) == ("sdoctor.plan/1", "builtin:tiny")
    assert found["device"]["name"] == "NVIDIA GeForce RTX 3060 12GB"
    assert found["device"]["memory_bytes"] == 12 * 2**30
    (row,) = found["rows"]
    assert (row["width"], row["height"], row["batch"], row["fits"]) == (256, 128, 1, True)
    wanted = dict(piece.split("=") for piece in asked.split(","))
    assert wanted.items() <= row["settings"].items()
    assert [stage["name"] for stage in row["stages"]] == ["encode", "denoise", "decode"]
    assert row["peak_allocated_bytes"] == max(stage["peak_bytes"] for stage in row["stages"])
    assert row["peak_device_bytes"] > row["peak_allocated_bytes"] > 0
    assert all(stage["flops"] > 0 for stage in row["stages"])
    assert row["seconds_per_image_estimate"] > 0


def test_without_them_there_is_a_row_and_a_largest_size_per_rung(home):
    found = document("--memory", "450MiB", "--max-size", "512", home=home)
    assert len(found["rows"]) == 4
    sides = [item["width"] for item in found["largest"]]
    assert sides == sorted(sides)
    assert sides[0] < 512
    assert found["largest"][0]["settings"] == found["rows"][0]["settings"]


def test_the_first_thing_to_change_is_named_and_the_exit_code_is_1(home):
    arguments = ("--memory", "520MiB", "--size", "1024", "--settings", "precision=fp16")
    found = document(*arguments, home=home, code=1)
    assert found["rows"][0]["fits"] is False
    assert found["first_change"] == {"vae_tiling": "on"}
    done = sdoctor(*TINY, *arguments, home=home)
    assert "First thing to change: vae_tiling=on." in done.stdout
    assert "Note: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert sentence_of(done).endswith("it would with vae_tiling=on.")


@pytest.mark.slow
def test_every_setting_name_is_accepted(home):
    asked = (
        "precision=bf16,offload=group,attention=_native_flash,vae_slicing=on,vae_tiling=on,"
        "memory_format=channels_last,compile=inductor,weights=int8,threads=2"
    )
    found = document("--gpu", "RTX 4090", "--size", "128", "--settings", asked, home=home)
    assert found["rows"][0]["settings"]["weights"] == "int8"
    assert any("not modelled" in note for note in found["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_chart_has_axes_rungs_and_the_cards_line(home, tmp_path, kind):
    path = tmp_path / f"chart.{kind}"
    done = sdoctor(
        *TINY,
        "--gpu",
        "GTX 1650",
        "--size",
        "128",
        "--settings",
        "precision=fp16",
        "--chart",
        str(path),
        home=home,
    )
    assert done.returncode == 0, done.stderr
    if kind == "svg":
        text = path.read_text()
        assert text.count("<polyline") == 4
        assert all(
            word in text for word in ("low memory", "GiB to use", "pixels", "stroke-dasharray", ">2048<")
        )
    else:
        from PIL import Image

        with Image.open(path) as image:
            colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
        assert {(0xC0, 0x39, 0x2B), (0x1B, 0x6C, 0xA8)} <= colours


CALLS = [
    (("builtin:sd51",), "There is no builtin model 'sd51'"),
    (("owner/name",), "needs the configuration files of the model"),
    (("builtin:tiny", "--gpu", "RTX 3061"), "the nearest names are NVIDIA GeForce RTX 3060"),
    (
        ("builtin:tiny", "--gpu", "T4", "--settings", "sped=1"),
        "There is no setting 'sped'; the names are precision",
    ),
    (("builtin:tiny", "--gpu", "T4", "--settings", "weights=int3"), "the values are native, int8, fp8, nf4"),
    (
        ("builtin:tiny", "--gpu", "T4", "--settings", "precision=fp32,attention=flash"),
        "attention=flash: this kernel computes in 16 bits only; use precision=bf16",
    ),
    (
        ("builtin:tiny", "--gpu", "T4", "--settings", "compile=inductor,offload=sequential"),
        "the hooks of offload=sequential cut the program to pieces; use offload=model",
    ),
    (("builtin:tiny", "--gpu", "T4", "--settings", "compile=openvino"), "compile=openvino"),
    (("builtin:tiny", "--gpu", "T4", "--chart", "chart.jpg"), "ends in .svg or .png"),
    (("builtin:tiny", "--memory", "lots"), "'lots' is not an amount of memory"),
]


@pytest.mark.parametrize(("arguments", "words"), CALLS, ids=lambda value: str(value)[:60])
def test_bad_input_gets_one_sentence(home, arguments, words):
    done = sdoctor("plan", *arguments, home=home)
    assert words in sentence_of(done)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.slow
def test_a_component_that_cannot_be_built_is_named(home, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(BUILTIN_ROOT / "sd15", folder)
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_bytes()) | {"up_block_types": ["NoSuchBlock"]}))
    done = sdoctor("plan", str(folder), "--gpu", "T4", home=home)
    assert "its vae could not be built" in sentence_of(done)
    assert done.returncode == 1


@pytest.mark.slow
def test_all_cards_get_a_row_and_more_memory_never_makes_less(home):
    done = sdoctor(*TINY, "--all-cards", "--max-size", "1024", "--json", home=home)
    found = json.loads(done.stdout)["cards"]
    assert len(found) > 70
    assert all(card["largest"] >= card["largest_fastest"] for card in found)
