"""Weight files that are no pipeline are recognised by the names that the libraries themselves give their tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import sdoctor, sentence_of
from weight_file import write_weights

from tuner.models import builtin_names, resolve
from tuner.weightkinds import accessory_of

# Names as other programs write them, which no library here can be asked for.
FOREIGN = {
    "a LoRA": [
        {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (8, 320)},
        {"unet.down_blocks.0.attentions.0.to_q.lora.up.weight": (320, 4)},
        {"transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": (16, 3072)},
    ],
    "a LoRA (LyCORIS)": [{"lycoris_unet_mid_block.hada_w1_a": (320, 8)}],
    "an embedding (textual inversion)": [
        {"emb_params": (2, 768)},
        {"clip_g": (4, 1280), "clip_l": (4, 768)},
        {"<cat-toy>": (768,)},
        {"*": (8, 1024)},
    ],
    "an upscaler (ESRGAN)": [
        {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)},
        {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)},
        {"params_ema": ()},
    ],
    "an upscaler (Real-ESRGAN compact)": [{"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64,)}],
    "an upscaler (SwinIR or alike)": [
        {"conv_first.weight": (180, 3, 3, 3), "layers.0.residual_group.blocks.0.norm1.weight": (180,)}
    ],
    "a ControlNet": [
        {"control_model.time_embed.0.weight": (1280, 320)},
        {"lora_controlnet": (0,), "input_blocks.0.0.lora_controlnet.up": (4, 4)},
    ],
    "a T2I-Adapter": [
        {"conv_in.weight": (320, 64, 3, 3), "body.0.block1.weight": (320, 320, 3, 3)},
        {"body.0.in_conv.weight": (4, 4)},
    ],
    "an IP-Adapter": [{"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)}],
    "a VAE": [
        {"first_stage_model.decoder.mid.block_1.conv1.weight": (512, 512, 3, 3)},
        {"decoder.up.0.block.0.conv1.weight": (128, 256, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3)},
    ],
}


@pytest.mark.parametrize(
    ("what", "shapes"), [(what, shapes) for what, cases in FOREIGN.items() for shapes in cases]
)
def test_names_of_other_programs(what, shapes):
    found = accessory_of(shapes)
    assert found is not None
    assert found.what == what


def test_names_of_the_libraries_models():
    import torch
    from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, T2IAdapter, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    with torch.device("meta"):
        models = {
            "a VAE": AutoencoderKL(),
            "a tiny VAE (TAESD)": AutoencoderTiny(),
            "a ControlNet": ControlNetModel(),
            "a T2I-Adapter": T2IAdapter(adapter_type="light_adapter"),
            "a U-Net alone": UNet2DConditionModel(),
            "a text encoder (CLIP)": CLIPTextModel(CLIPTextConfig()),
            "a text encoder (T5)": T5EncoderModel(T5Config()),
        }
        full = T2IAdapter(adapter_type="full_adapter")
    for what, model in [*models.items(), ("a T2I-Adapter", full)]:
        found = accessory_of({name: tuple(value.shape) for name, value in model.state_dict().items()})
        assert found is not None, what
        assert found.what == what


@pytest.mark.parametrize(
    "names",
    [
        # A checkpoint holds a VAE and text encoders too, and some were merged with a LoRA's own metadata.
        ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.weight"],
        ["model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "vae.decoder.conv_in.weight"],
        # A FLUX transformer as Black Forest Labs gives it: the worker says which part is missing.
        ["double_blocks.0.img_attn.norm.key_norm.scale", "single_blocks.0.linear1.weight"],
        ["of_no_kind.weight"],
        [],
    ],
)
def test_what_may_be_a_pipeline_is_let_through(names):
    assert accessory_of(dict.fromkeys(names, (4, 4))) is None


def test_a_single_tensor_is_an_embedding_only_if_it_is_as_wide_as_one():
    assert accessory_of({"weight": (4, 8)}) is None
    assert accessory_of({"weight": (1000, 768)}) is None
    assert accessory_of({"weight": ()}) is None


def test_the_user_is_told_at_once_what_it_is_and_what_to_do(tmp_path: Path):
    file = write_weights(tmp_path / "style.safetensors", **{"lora_te_x.lora_up.weight": ("F16", (4, 8))})
    for command in ("tune", "plan"):
        done = sdoctor(command, str(file), home=tmp_path)
        assert done.returncode == 2
        assert sentence_of(done) == (
            f"'{file}' is not a pipeline but a LoRA; give the checkpoint of a text-to-image model: tune that "
            "one, and load this into the tuned pipeline with pipe.load_lora_weights()."
        )


def test_the_builtins_still_resolve():
    assert all(resolve(f"builtin:{name}").path for name in builtin_names())
