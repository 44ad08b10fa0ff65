"""`sdoctor profile` as a user runs it: the list, one profile, two compared, and exports that work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from command import sdoctor, sentence_of
from PIL import Image

from doctor.gather import gather
from tuner import store
from tuner.export.programs import TITLES, export
from tuner.fingerprint import fingerprint_of
from tuner.knobs import KNOBS
from tuner.knobs.exports import PROGRAMS
from tuner.models import resolve
from tuner.profile import Profile, ProfileRung
from tuner.quality import ROUNDING, compare
from tuner.settings import Settings
from tuner.target import choose_target

BEST = Settings(precision="bf16", fused_qkv="on", memory_format="channels_last", vae_precision="fp32")
TILED = BEST.but(vae_tiling="on", fused_qkv="off")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("profiles")


@pytest.fixture(scope="module")
def saved(home):
    """(the name of a profile of this machine, that of another machine)."""
    facts = gather()
    here = fingerprint_of(facts, choose_target(facts, "cpu"))
    profile = Profile(
        model="builtin:tiny",
        fingerprint=here,
        made_at="2026-11-23T00:00:00+00:00",
        budget_bytes=2**30,
        width=128,
        height=128,
        batch=1,
        best=BEST,
        speedup=1.5,
        ladder=(
            ProfileRung(name="fastest", settings=BEST, largest=1024, limit="memory", peak_bytes=2**29),
            ProfileRung(name="tiled decode", settings=TILED, largest=2048, limit="memory"),
        ),
        trials=(),
        pipeline="StableDiffusionPipeline",
    )
    other = replace(
        profile,
        made_at="2026-01-01T00:00:00+00:00",
        best=Settings(precision="fp16"),
        fingerprint=replace(here, device="cuda", name="RTX 3060", torch="2.9.0"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(home))
        return store.save(profile).stem, store.save(other).stem


def test_the_list_says_what_there_is_and_what_holds_here(home, saved, tmp_path):
    done = sdoctor("profile", "list", home=home)
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert rows[saved[0]].endswith("holds")
    assert rows[saved[1]].endswith("other")
    document = json.loads(sdoctor("profile", "list", "--json", home=home).stdout)
    assert document["schema"] == "sdoctor.profiles/1"
    assert {entry["name"]: entry["holds_here"] for entry in document["profiles"]} == {
        saved[0]: True,
        saved[1]: False,
    }
    assert "sdoctor tune" in sdoctor("profile", "list", home=tmp_path).stdout


def test_a_broken_profile_is_listed_and_refused(saved, home, tmp_path):
    folder = tmp_path / "data" / "profiles"
    folder.mkdir(parents=True)
    whole = (home / "data" / "profiles" / f"{saved[0]}.json").read_bytes()
    (folder / "torn.json").write_bytes(whole[:500])
    (folder / "newer.json").write_bytes(whole.replace(b"sdoctor.profile/2", b"sdoctor.profile/9"))
    (folder / "builtin-tiny-12345678.json").write_bytes(whole[:500])
    listed = sdoctor("profile", "list", home=tmp_path).stdout.splitlines()
    assert sum(line.endswith("unreadable") and len(line) < 120 for line in listed) == 3
    assert sum("cannot be read" in line or "newer sdoctor" in line for line in listed) == 3
    # Named by its model, too.
    assert "cannot be read" in sentence_of(sdoctor("profile", "show", "builtin:tiny", home=tmp_path))
    assert "cannot be read" in sentence_of(sdoctor("profile", "show", "torn", home=tmp_path))
    assert "newer sdoctor" in sentence_of(sdoctor("profile", "show", "newer", home=tmp_path))


def test_one_profile_is_found_by_model_name_and_file(home, saved):
    for which in ("builtin:tiny", saved[0], str(home / "data" / "profiles" / f"{saved[0]}.json")):
        text = sdoctor("profile", "show", which, home=home).stdout
        assert "VAE in fp32" in text
        assert "tiled decode: up to 2048x2048" in text
        assert "It holds on this machine." in text
    assert (
        json.loads(sdoctor("profile", "show", saved[0], "--json", home=home).stdout)["best"]["fused_qkv"]
        == "on"
    )
    assert "does not match this machine" in sdoctor("profile", "show", saved[1], home=home).stdout


def test_two_profiles_compared(home, saved):
    text = sdoctor("profile", "diff", *saved, home=home).stdout
    assert "precision: bf16 -> fp16" in text
    assert "torch:" in text
    document = json.loads(sdoctor("profile", "diff", *saved, "--json", home=home).stdout)
    assert document["settings"]["fused_qkv"] == ["on", "off"]
    assert "say the same" in sdoctor("profile", "diff", saved[0], saved[0], home=home).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "builtin:tinny"), 2, "There is no profile 'builtin:tinny'"),
        (("export", "builtin:tiny", "--to", "comfy"), 2, "Did you mean comfyui?"),
        (("export", "builtin:tiny", "--to", "diffusers", "--size", "big"), 2, "big"),
        (("export", "builtin:tiny", "--to", "forge", "-o", "/proc/no/file"), 1, "cannot be written"),
    ],
)
def test_what_goes_wrong_is_one_sentence(home, saved, arguments, code, words):
    done = sdoctor("profile", *arguments, home=home)
    assert done.returncode == code
    assert words in sentence_of(done)


def test_a_profile_of_another_machine_is_exported_by_force_only(home, saved):
    refused = sdoctor("profile", "export", saved[1], "--to", "comfyui", home=home)
    assert refused.returncode == 1
    assert "does not match this machine" in sentence_of(refused)
    forced = sdoctor("profile", "export", saved[1], "--to", "comfyui", "--force", home=home)
    assert forced.returncode == 0
    assert "--force-fp16" in forced.stdout
    assert "By --force" in forced.stderr


def test_flags_of_other_programs(home, saved):
    text = sdoctor(
        "profile", "export", "builtin:tiny", "--to", "comfyui", "--size", "2048x2048", home=home
    ).stdout
    assert (
        "--cpu --fp32-vae --bf16-unet --bf16-vae --use-pytorch-cross-attention --force-channels-last" in text
    )
    assert "VAE Decode (Tiled)" in text
    a1111 = sdoctor("profile", "export", "builtin:tiny", "--to", "a1111", home=home).stdout
    assert "no way to say: precision=bf16, fused_qkv=on" in a1111
    sdnext = sdoctor("profile", "export", "builtin:tiny", "--to", "sdnext", home=home).stdout
    assert '"cuda_dtype": "BF16"' in sdnext


@pytest.mark.parametrize(
    "settings", [BEST, TILED.but(precision="fp32", vae_precision="same", text_precision="bf16")]
)
def test_the_diffusers_script_draws_what_generate_draws(home, saved, tmp_path, settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDOCTOR_HOME", str(home))
        profile = store.match(
            "builtin:tiny", store.read(home / "data" / "profiles" / f"{saved[0]}.json").profile.fingerprint
        )
        path = tmp_path / "mine.json"
        path.write_bytes(msgspec.json.encode(replace(profile.profile, best=settings, ladder=())))
    script = tmp_path / "draw.py"
    done = sdoctor("profile", "export", str(path), "--to", "diffusers", "-o", str(script), home=home)
    assert done.returncode == 0, done.stderr
    assert "from tuner" not in script.read_text()
    prompt = "a red circle on a blue background"
    # Without sdoctor's packages: diffusers is all that it needs.
    run = subprocess.run(
        [sys.executable, "-P", str(script), prompt, str(tmp_path / "script.png")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert run.returncode == 0, run.stderr
    changes = ",".join(
        f"{name}={value}"
        for name, value in ({"precision": settings.precision} | settings.differences(Settings())).items()
    )
    steps = script.read_text().split("num_inference_steps=")[1].split(",")[0]
    drawn = sdoctor(
        "generate", prompt, "--settings", changes, "--seed", "0", "--steps", steps, "--size", "128x128",
        "--output", str(tmp_path / "generate.png"), "--plain", "--no-profile", home=home,
    )  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    quality = compare([tmp_path / "script.png"], [tmp_path / "generate.png"], ROUNDING)
    assert not quality.rejected, quality.reason
    assert np.asarray(Image.open(tmp_path / "script.png")).std() > 10


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_value_of_every_knob_is_told_or_named_as_missing(program, device):
    assert set(TITLES) == set(PROGRAMS)
    for knob in KNOBS:
        for value in (*knob.values, *((4,) if not knob.values else ())):
            found = export(Settings().but(**{knob.name: value}), program, device)
            told = knob.told(program, value)
            said = found.flags or found.settings or found.by_hand or found.not_expressible
            if (
                value != getattr(Settings(), knob.name)
                and told is None
                and not (device == "cpu" and knob.name == "offload")
            ):
                assert f"{knob.name}={value}" in found.not_expressible
                assert said


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_the_lines_of_every_knob_are_python(knob):
    for value in (*knob.values, *((4,) if not knob.values else ())):
        compile("\n".join(knob.script(value)), knob.name, "exec")


def test_a_builtin_without_weights_is_built_by_sdoctor(tmp_path):
    from tuner.export.script import script
    from tuner.models import Recommended

    text = script(
        resolve("builtin:sd15"),
        Settings(precision="bf16", vae_precision="fp32"),
        device="cpu",
        pipeline="StableDiffusionPipeline",
        size=(256, 256),
        recommended=Recommended(),
        remarks=(),
    )
    compile(text, "script", "exec")
    assert 'Settings(precision="bf16", vae_precision="fp32")' in text
