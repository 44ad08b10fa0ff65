"""Building and loading pipelines, with the real libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap

import diffusers
import pytest
import torch
from ldm_checkpoint import ldm_tensors
from mini_pipeline import NARROW, at_its_own_size, write_mini
from safetensors.torch import load_file, save_file

from tuner.models import BUILTIN_ROOT, ModelKind, ModelRef, builtin_parameters, resolve
from tuner.worker.build import LoadRefused, describe, load_pipeline, torch_dtype
from tuner.worker.ownership import _Mapped
from tuner.worker.singlefile import load_checkpoint

# ------------------------------------------------------------------ a small one, really built


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """A reference to an architecture without weights, as the builtin ones are."""
    folder = write_mini(tmp_path_factory.mktemp("mini") / "mini")
    return ModelRef(kind=ModelKind.BUILTIN, name="builtin:mini", path=folder)


@pytest.fixture(scope="module")
def saved(mini, tmp_path_factory):
    """The same with weights, as a diffusers folder."""
    folder = tmp_path_factory.mktemp("saved") / "pipe"
    load_pipeline(mini, torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def broken(saved, tmp_path):
    """A copy of the folder, to damage."""
    return shutil.copytree(saved, tmp_path / "pipe")


def picture(pipe):
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        "a red circle",
        width=64,
        height=64,
        num_inference_steps=2,
        output_type="pt",
        generator=torch.Generator().manual_seed(0),
        **at_its_own_size(pipe),
    )
    return made.images


def states(pipe) -> dict[str, torch.Tensor]:
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    return {
        f"{name}/{key}": value for name, part in parts.items() for key, value in part.state_dict().items()
    }


def assert_same(first, second):
    one, other = states(first), states(second)
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_random_weights_are_in_the_precision_and_sound(mini, precision):
    dtype = torch_dtype(precision)
    pipe = load_pipeline(mini, dtype)
    for key, value in states(pipe).items():
        assert value.dtype == dtype, key
        assert value.isfinite().all(), key
        smallest = value[value != 0].abs().min() if (value != 0).any() else torch.tensor(1.0)
        assert smallest >= torch.finfo(dtype).tiny, f"{key} has denormal numbers"
    assert not any(part.training for part in (pipe.unet, pipe.vae, pipe.text_encoder))
    assert not any(parameter.requires_grad for parameter in pipe.unet.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pictures_from_random_weights_are_finite_and_not_flat(mini, precision):
    image = picture(load_pipeline(mini, torch_dtype(precision)))
    assert image.shape == (1, 3, 64, 64)
    assert image.isfinite().all()
    assert image.float().std() > 0.01


@pytest.mark.parametrize("name", sorted(NARROW))
def test_every_kind_of_builtin_makes_a_picture(name, tmp_path):
    folder = write_mini(tmp_path / "narrow", name)
    pipe = load_pipeline(ModelRef(kind=ModelKind.BUILTIN, name="builtin:narrow", path=folder), torch.bfloat16)
    image = picture(pipe)
    assert image.shape == (1, 3, 64, 64)
    assert image.isfinite().all()
    assert image.float().std() > 0.001


def test_random_weights_are_the_same_every_time_and_differ_between_parts(mini):
    first, second = load_pipeline(mini, torch.bfloat16), load_pipeline(mini, torch.bfloat16)
    assert_same(first, second)
    assert torch.equal(picture(first), picture(second))
    down, up = (
        first.unet.down_blocks[0].resnets[0].conv1.weight,
        first.unet.down_blocks[0].resnets[1].conv1.weight,
    )
    assert not torch.equal(down, up)
    rows = first.text_encoder.embeddings.token_embedding.weight.unique(dim=0)
    assert len(rows) == 49408, "no two tokens have the same embedding"


def test_matrices_keep_the_scale_of_signals_and_norms_begin_at_one(mini):
    unet = load_pipeline(mini, torch.float32).unet
    kernel = unet.mid_block.resnets[0].conv1.weight
    assert kernel.std().item() == pytest.approx((64 * 9) ** -0.5, rel=0.1)
    assert unet.conv_norm_out.weight.eq(1).all() and unet.conv_norm_out.bias.eq(0).all()


def test_buffers_are_those_that_the_library_computes(mini):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    pipe = load_pipeline(mini, torch.float32)
    folder = mini.path
    plain = {
        "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet")),
        "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae")),
        "text_encoder": CLIPTextModel(
            CLIPTextModel.config_class.from_json_file(folder / "text_encoder" / "config.json")
        ),
    }
    for name, model in plain.items():
        wanted, got = dict(model.named_buffers()), dict(getattr(pipe, name).named_buffers())
        assert wanted.keys() == got.keys()
        assert all(torch.equal(wanted[key], got[key]) for key in wanted), name


def test_shared_embeddings_of_t5_stay_shared_and_its_wo_stays_float32_in_half(tmp_path):
    from transformers import T5EncoderModel

    from tuner.worker.assemble import empty_model
    from tuner.worker.noise import fill

    config = json.loads((BUILTIN_ROOT / "flux" / "text_encoder_2" / "config.json").read_bytes())
    config |= {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for dtype, wo in ((torch.bfloat16, torch.bfloat16), (torch.float16, torch.float32)):
        model = empty_model(tmp_path, T5EncoderModel)
        fill(model, "t5", dtype)
        assert model.shared.weight is model.encoder.embed_tokens.weight
        layer = model.encoder.block[0].layer[1].DenseReluDense
        assert (layer.wi_0.weight.dtype, layer.wo.weight.dtype) == (dtype, wo)
        # The library itself does the same with a checkpoint.
        model.to(torch.float32).save_pretrained(tmp_path / "saved")
        loaded = T5EncoderModel.from_pretrained(tmp_path / "saved", dtype=dtype)
        assert {n: p.dtype for n, p in loaded.named_parameters()} == {
            n: (wo if ".wo." in n else dtype) for n, _ in model.named_parameters()
        }


def test_what_cannot_be_built_names_the_component(mini, tmp_path):
    folder = shutil.copytree(mini.path, tmp_path / "mini")
    config = json.loads((folder / "unet" / "config.json").read_bytes())
    (folder / "unet" / "config.json").write_text(
        json.dumps(config | {"down_block_types": ["NoSuchBlock"] * 4})
    )
    with pytest.raises(LoadRefused, match=r"^builtin:mini cannot be built: its unet could not be built: "):
        load_pipeline(ModelRef(kind=ModelKind.BUILTIN, name="builtin:mini", path=folder), torch.bfloat16)


# ------------------------------------------------------------------------------- folders


def test_a_folder_gives_back_its_weights_in_any_precision(mini, saved):
    same = load_pipeline(resolve(str(saved)), torch.bfloat16)
    assert_same(same, load_pipeline(mini, torch.bfloat16))
    wider = load_pipeline(resolve(str(saved)), torch.float32)
    assert {value.dtype for value in states(wider).values()} == {torch.float32}
    assert torch.equal(wider.unet.conv_in.weight, same.unet.conv_in.weight.float())
    assert describe(same).weights_bytes == sum(part.weights_bytes for part in describe(same).components)


def test_a_builtin_that_has_weights_is_loaded_not_invented(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "pipe")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"decoder.conv_out.bias": torch.full((3,), 0.5, dtype=torch.bfloat16)}, file)
    pipe = load_pipeline(ModelRef(kind=ModelKind.BUILTIN, name="builtin:trained", path=folder), torch.float32)
    assert pipe.vae.decoder.conv_out.bias.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc")  # noqa: PTH110
def test_weights_of_a_folder_do_not_stay_mapped_from_the_file(saved):
    pipe = load_pipeline(resolve(str(saved)), torch.bfloat16)
    mapped = _Mapped()
    assert not any(mapped.holds(parameter) for parameter in pipe.unet.parameters())
    # The same tensors read without copying are over the mapping: the test can tell.
    raw = load_file(saved / "unet" / "diffusion_pytorch_model.safetensors")
    assert _Mapped().holds(raw["conv_in.weight"])


def test_a_folder_that_has_only_the_fp16_variant_is_loaded(broken, saved):
    for file in broken.glob("*/*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert_same(
        load_pipeline(resolve(str(broken)), torch.bfloat16),
        load_pipeline(resolve(str(saved)), torch.bfloat16),
    )


def refusal(path, **options) -> str:
    ref = resolve(str(path), **options)
    with pytest.raises(LoadRefused) as caught:
        load_pipeline(ref, torch.bfloat16, **options)
    return str(caught.value)


def test_folders_name_the_component_that_is_wrong(broken):
    weights = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert refusal(broken) == (
        f"'{broken}' cannot be loaded: {weights.name} of its vae is cut off before its end; "
        "download it again."
    )
    weights.unlink()
    assert (
        refusal(broken)
        == f"'{broken}' is incomplete: its vae has a configuration but no .safetensors weights."
    )
    shutil.rmtree(broken / "vae")
    assert refusal(broken) == f"'{broken}' is incomplete: its vae is missing."


@pytest.mark.parametrize(
    ("file", "changes", "end"),
    [
        (
            "unet/config.json",
            {"cross_attention_dim": 64},
            "its unet failed (its weights do not fit its configuration).",
        ),
        (
            "text_encoder/config.json",
            {"hidden_size": 64},
            "its text_encoder failed (its weights do not fit its configuration).",
        ),
        (
            "unet/config.json",
            {"up_block_types": ["X"] * 4},
            "its unet failed (ValueError: X does not exist).",
        ),
    ],
)
def test_configurations_that_do_not_fit_name_the_component(file, changes, end, broken):
    config = json.loads((broken / file).read_bytes())
    (broken / file).write_text(json.dumps(config | changes))
    assert refusal(broken) == f"'{broken}' cannot be loaded: {end}"
    assert torch.get_default_dtype() is torch.float32


def test_a_pipeline_that_diffusers_does_not_know(broken):
    index = json.loads((broken / "model_index.json").read_bytes())
    (broken / "model_index.json").write_text(json.dumps(index | {"_class_name": "NewestPipeline"}))
    assert refusal(broken) == (
        f"'{broken}' needs the pipeline NewestPipeline, which diffusers {diffusers.__version__} does not "
        "have; another version of diffusers may."
    )


def test_code_in_the_folder_is_never_run(broken, tmp_path):
    (broken / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    index = json.loads((broken / "model_index.json").read_bytes())
    (broken / "model_index.json").write_text(json.dumps(index | {"scheduler": ["evil", "Evil"]}))
    (broken / "scheduler" / "evil.py").write_text((broken / "evil.py").read_text())
    assert refusal(broken).startswith(f"'{broken}' cannot be loaded: ")
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_load_only_when_allowed(broken, saved):
    for file in broken.glob("*/*.safetensors"):
        name = "pytorch_model.bin" if file.name == "model.safetensors" else "diffusion_pytorch_model.bin"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    pipe = load_pipeline(resolve(str(broken), allow_pickle=True), torch.bfloat16, allow_pickle=True)
    assert_same(pipe, load_pipeline(resolve(str(saved)), torch.bfloat16))


# -------------------------------------------------------------------------- single files


def test_a_single_file_gives_back_its_weights(saved, mini, tmp_path):
    pipe = load_pipeline(resolve(str(saved)), torch.bfloat16)
    file = tmp_path / "mini.safetensors"
    save_file(ldm_tensors(pipe), file)
    loaded = load_checkpoint(resolve(str(file)), file, mini.path, torch.bfloat16, vocabulary=None)
    assert_same(loaded, pipe)
    assert torch.equal(picture(loaded), picture(pipe))
    assert loaded.safety_checker is None
    assert describe(loaded).remarks == (
        "The tokenizer knows 514 of the 49408 tokens of its encoder, so prompts are not understood: good for "
        "speed and memory, not for judging pictures.",
    )


def test_a_part_of_a_pipeline_in_a_single_file_says_what_is_missing(saved, mini, tmp_path):
    tensors = ldm_tensors(load_pipeline(resolve(str(saved)), torch.bfloat16))
    file = tmp_path / "unet_only.safetensors"
    save_file({name: value for name, value in tensors.items() if "cond_stage" not in name}, file)
    with pytest.raises(LoadRefused) as caught:
        load_checkpoint(resolve(str(file)), file, mini.path, torch.bfloat16, vocabulary=None)
    assert str(caught.value) == (
        f"'{file}' holds only a part of a pipeline: its text_encoder is missing; use a checkpoint that holds "
        "everything, or the diffusers folder."
    )


def test_a_pickled_upscaler_is_recognised_once_it_was_opened(tmp_path):
    file = tmp_path / "4x.pth"
    torch.save({"params_ema": {"conv_first.weight": torch.zeros(2)}}, file)
    with pytest.raises(LoadRefused, match="is not a pipeline but an upscaler"):
        load_pipeline(resolve(str(file), allow_pickle=True), torch.bfloat16)


@pytest.mark.parametrize(
    ("tensors", "end"),
    [
        (
            {"of_no_kind.weight": (4, 8)},
            "is not a pipeline, and what it is its names do not tell; "
            "give the checkpoint of a text-to-image model.",
        ),
        (
            {"model.diffusion_model.distilled_guidance_layer.in_proj.bias": (8,)},
            "is a checkpoint of the kind 'chroma', which sdoctor cannot load from a single file; "
            "use its diffusers folder or hub id, for example lodestones/Chroma1-HD.",
        ),
    ],
)
def test_single_files_that_are_no_loadable_pipeline(tensors, end, tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in tensors.items()}, file)
    assert refusal(file) == f"'{file}' {end}"


def test_an_unknown_precision_is_refused():
    with pytest.raises(LoadRefused, match=r"^There is no precision 'int4'; there are fp32, fp16, bf16\.$"):
        torch_dtype("int4")


# ----------------------------------------------------------------------------- full size

_MEASURE = """
import torch, diffusers, transformers
from diffusers import StableDiffusionPipeline
from transformers import CLIPTextModel, CLIPTokenizer
from tuner.models import resolve
from tuner.worker.build import describe, load_pipeline
from tuner.worker.meter import process_memory
import time, json
before = process_memory()
open("/proc/self/clear_refs", "w").write("5")
start = time.perf_counter()
pipe = load_pipeline(resolve("builtin:sd15"), torch.bfloat16)
seconds = time.perf_counter() - start
after = process_memory()
print(json.dumps({
    "seconds": seconds,
    "weights": describe(pipe).weights_bytes,
    "peak": after["VmHWM"] - before["VmRSS"],
    "data": after["VmData"] - before["VmData"],
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_sd15_at_full_size_loads_within_its_weights():
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(_MEASURE)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["weights"] >= 2 * sum(builtin_parameters()["sd15"].values())
    assert seen["peak"] < 1.05 * seen["weights"], seen
    assert seen["data"] < 1.05 * seen["weights"], seen
    assert seen["seconds"] < 60, seen
