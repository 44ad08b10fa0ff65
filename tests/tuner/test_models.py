"""Model references: what is found, what is refused in which words, and the bytes that headers promise."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from weight_file import write_weights

from doctor.errors import UsageError
from tuner.models import (
    BUILTIN_ROOT,
    ModelKind,
    ModelRef,
    Recommended,
    builtin_names,
    recommended,
    resolve,
    slug,
    weights_bytes,
)
from tuner.weightfiles import UnreadableWeights, read_header


def write_index(folder: Path, **parts: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    index = {"_class_name": "StableDiffusionPipeline"} | parts
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def refused(text: str, **options: bool) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(text, **options)
    return str(caught.value)


def test_the_published_architectures_are_builtin():
    published = {"sd15", "sd21", "sdxl", "sd3-medium", "sd35-large", "flux", "flux-schnell", "pixart-sigma"}
    assert published <= set(builtin_names())
    ref = resolve("builtin:SD15")
    assert (ref.kind, ref.name, ref.pipeline_class) == (
        ModelKind.BUILTIN,
        "builtin:sd15",
        "StableDiffusionPipeline",
    )


def test_unknown_builtin_lists_all_names_nearest_first():
    message = refused("builtin:sdlx")
    assert message.startswith("There is no builtin model 'sdlx'; there are builtin:sdxl, ")
    assert all(f"builtin:{name}" in message for name in builtin_names())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("./no/such/place", "There is no file or folder './no/such/place'."),
        ("model.safetensors", "There is no file or folder 'model.safetensors'."),
        ("sub/model.ckpt", "There is no file or folder 'sub/model.ckpt'."),
        ("sd15", "There is no model 'sd15' here; did you mean builtin:sd15?"),
        ("a/b/c", "There is no file or folder 'a/b/c'."),
    ],
)
def test_what_does_not_exist(text, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(text) == sentence


def test_text_that_means_nothing_names_everything_that_would():
    message = refused("sdlx")
    assert message.startswith("'sdlx' is not a model: give a builtin (builtin:sdxl, ")
    assert message.endswith("), a diffusers folder, a .safetensors file or a hub id such as owner/name.")
    assert refused("  ").startswith("No model was named; write for example builtin:")


def test_an_existing_path_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("owner/name").kind is ModelKind.HUB
    write_index(tmp_path / "owner" / "name")
    ref = resolve("owner/name")
    assert (ref.kind, ref.path, ref.pipeline_class) == (
        ModelKind.FOLDER,
        Path("owner/name"),
        "StableDiffusionPipeline",
    )


def test_folders_that_hold_no_pipeline(tmp_path):
    assert refused(str(tmp_path)) == f"'{tmp_path}' holds no pipeline: there is no model_index.json in it."
    file = write_weights(tmp_path / "dream.safetensors", a=("F16", (2,)))
    assert (
        refused(str(tmp_path))
        == f"'{tmp_path}' holds no pipeline (no model_index.json); did you mean its file {file}?"
    )
    (tmp_path / "model_index.json").write_text("{")
    assert (
        refused(str(tmp_path))
        == f"'{tmp_path}' holds no pipeline that can be read: model_index.json is not JSON."
    )
    (tmp_path / "model_index.json").write_text("[]")
    assert refused(str(tmp_path)) == (
        f"'{tmp_path}' holds no pipeline that can be read: model_index.json names no pipeline class."
    )
    write_index(tmp_path, _class_name=["my_code", "MyPipeline"])
    assert "sdoctor never runs such code." in refused(str(tmp_path))


def test_files_that_are_no_checkpoints(tmp_path):
    note = tmp_path / "notes.txt"
    note.write_text("hello")
    assert refused(str(note)) == (
        f"'{note}' is not a model that sdoctor can load: give a .safetensors file or a diffusers folder."
    )
    index = write_index(tmp_path / "pipe") / "model_index.json"
    assert refused(str(index)) == f"'{index}' is the index of a pipeline; name its folder: {index.parent}."


def test_pickles_are_refused_unless_allowed(tmp_path):
    file = tmp_path / "old.ckpt"
    file.write_bytes(b"\x80\x02")
    assert refused(str(file)) == (
        f"'{file}' is a pickle, which can run any code when it is opened; use the .safetensors version, "
        "or allow it with --allow-pickle if you trust its source."
    )
    assert resolve(str(file), allow_pickle=True).kind is ModelKind.FILE
    folder = write_index(tmp_path / "pipe", unet=["diffusers", "UNet2DConditionModel"])
    (folder / "unet").mkdir()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x02")
    assert refused(str(folder)) == (
        f"'{folder}' has its unet only as diffusion_pytorch_model.bin, a pickle, which can run any code "
        "when it is opened; convert it to .safetensors, or allow it with --allow-pickle if you trust its source."
    )
    assert resolve(str(folder), allow_pickle=True).kind is ModelKind.FOLDER


def test_damaged_files_say_what_to_do(tmp_path):
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert refused(str(pointer)) == (
        f"'{pointer}' is a Git LFS pointer, not the weights; run `git lfs pull` in its folder."
    )
    whole = write_weights(tmp_path / "whole.safetensors", a=("F32", (4, 4)))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-1])
    assert refused(str(cut)) == f"'{cut}' is cut off before its end; download it again."
    cut.write_bytes(b"not a model at all")
    assert refused(str(cut)) == f"'{cut}' is not a complete safetensors file; download it again."
    for page in (b"<html>not found</html>", b"\n\n<!DOCTYPE html>\n<title>Log in</title>"):
        cut.write_bytes(page)
        assert refused(str(cut)).startswith(f"'{cut}' is a web page, not the weights: ")
    pickled = tmp_path / "pointer.ckpt"
    pickled.write_bytes(pointer.read_bytes())
    with pytest.raises(UsageError, match="is a Git LFS pointer, not the weights"):
        resolve(str(pickled), allow_pickle=True)


def test_a_component_of_a_pipeline_names_the_pipeline(tmp_path):
    folder = write_index(tmp_path / "pipe")
    write_weights(folder / "vae" / "diffusion_pytorch_model.safetensors", a=("F32", (8,)))
    (folder / "vae" / "config.json").write_text("{}")
    assert refused(str(folder / "vae")) == (
        f"'{folder / 'vae'}' is one component of a pipeline; give the whole one: {folder}."
    )


def test_a_folder_of_a_lora_says_what_it_holds(tmp_path):
    file = write_weights(
        tmp_path / "pytorch_lora_weights.safetensors", **{"unet.to_q.lora_A.weight": ("F16", (4, 8))}
    )
    assert refused(str(tmp_path)).startswith(
        f"'{tmp_path}' holds no pipeline (no model_index.json). '{file}' is not a pipeline but a LoRA; "
    )


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b'{"a": {}}']
)
def test_headers_that_are_none(content, tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(UnreadableWeights):
        read_header(file)


def test_bytes_of_a_single_file_follow_the_precision(tmp_path):
    file = write_weights(
        tmp_path / "x.safetensors",
        **{"unet.w": ("F16", (10, 10)), "positions": ("I64", (7,)), "model_ema.unet.w": ("F16", (10, 10))},
    )
    ref = resolve(str(file))
    assert weights_bytes(ref) == 200 + 56
    assert weights_bytes(ref, "fp32") == 400 + 56
    assert weights_bytes(ref, "bf16") == 200 + 56


def test_bytes_of_a_folder_count_what_is_loaded(tmp_path):
    parts = {name: ["diffusers", "X"] for name in ("unet", "vae", "safety_checker")} | {
        "image_encoder": [None, None]
    }
    folder = write_index(tmp_path / "pipe", **parts)
    write_weights(folder / "unet" / "one-00001-of-00002.safetensors", a=("F16", (100,)))
    write_weights(folder / "unet" / "one-00002-of-00002.safetensors", b=("F16", (50,)))
    shards = {"weight_map": {"a": "one-00001-of-00002.safetensors", "b": "one-00002-of-00002.safetensors"}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(shards))
    write_weights(folder / "vae" / "diffusion_pytorch_model.safetensors", a=("F32", (8,)))
    write_weights(folder / "vae" / "diffusion_pytorch_model.fp16.safetensors", a=("F16", (8,)))
    write_weights(folder / "safety_checker" / "model.safetensors", a=("F32", (1000,)))
    assert weights_bytes(resolve(str(folder))) == 200 + 100 + 32
    assert weights_bytes(resolve(str(folder)), "fp32") == 400 + 200 + 32


def test_bytes_are_unknown_where_the_files_do_not_tell(tmp_path):
    assert weights_bytes(resolve("owner/name"), "fp16") is None
    pickled = tmp_path / "x.ckpt"
    pickled.write_bytes(b"\x80\x02")
    assert weights_bytes(resolve(str(pickled), allow_pickle=True), "fp16") is None


def test_bytes_of_a_builtin_without_weights_are_its_parameters():
    # 859,520,964 U-Net + 123,060,480 text encoder + 83,653,863 VAE.
    assert weights_bytes(resolve("builtin:sd15"), "bf16") == 2 * 1_066_235_307
    assert weights_bytes(resolve("builtin:sd15")) == 4 * 1_066_235_307


def test_slugs_are_file_names_and_tell_models_apart(tmp_path):
    assert slug(resolve("builtin:sd3-medium")) == "builtin-sd3-medium"
    assert slug(resolve("Owner/Some.Model")) == "owner--some.model"
    assert slug(resolve("a/b--c")) != slug(resolve("a-b/c"))
    first = slug(resolve(str(write_weights(tmp_path / "a" / "My Model.safetensors", a=("F16", (1,))))))
    second = slug(resolve(str(write_weights(tmp_path / "b" / "My Model.safetensors", a=("F16", (1,))))))
    assert first.startswith("my-model-") and first != second


def test_recommendations_are_for_builtins_that_exist() -> None:
    said = json.loads((BUILTIN_ROOT / "recommended.json").read_bytes())
    assert set(said) <= set(builtin_names())
    for name, values in said.items():
        assert values["source"]
        found = recommended(resolve(f"builtin:{name}"))
        assert found.guidance == values["guidance"]
        assert found.steps == values["steps"]


def test_for_other_models_nothing_is_recommended(tmp_path: Path) -> None:
    assert recommended(ModelRef(kind=ModelKind.HUB, name="owner/name")) == Recommended()
