"""The builtin architectures are the published ones."""

from __future__ import annotations

import json

import pytest
import transformers

from tuner.models import BUILTIN_ROOT, builtin_parameters, resolve
from tuner.worker.assemble import build_pipeline, load_tokenizer
from tuner.worker.build import describe

# Each count was found in a second public place as well:
# SD 1.5 U-Net 859,520,964: diffusers' own docstring of ModelMixin.num_parameters.
# SD 2.1 U-Net 865,910,724, its text encoder 340,387,840 and the VAE 83,653,863: SoarCraft/Stable123Keypoints,
#   zero123plus_model_structure.md (Zero123Plus has SD 2.1's parts).
# SDXL U-Net 2,567,463,684 and text encoders of 817,720,320 together, PixArt-Sigma 610,856,096, T5-XXL encoder
#   4,762,310,656, SD3-medium 2,028,328,000 with text encoders 123,650,304 and 694,659,840, FLUX.1-dev
#   11,901,408,320 and schnell 11,891,178,560: tables and logs in public repositories that count checkpoints.
# SD3.5-large: 8.06 billion in public model tables (stabilityai/stable-diffusion-3.5-large says 8.1 billion).
# SD3.5-medium: 2.24 billion in public model tables; its peaks with offload on a P100 (test_predict) fit to 0.5 %.
# SDXL-Turbo is SDXL trained on for 512x512; LCM is SD 1.5 with a projection of the guidance scale, 256 x 320 weights.
# AuraFlow: "6.8B" (fal's blog). CogView4: "6B"; its encoder is GLM-4-9B without the output layer of 621 million.
# HunyuanDiT: 1.5 billion, bilingual CLIP 350 million, mT5 1.6 billion (Tencent/HunyuanDiT, README). Kandinsky 3:
# U-Net 3.0, FLAN-UL2's encoder 8.6 (without its 132 million embeddings) and MoVQ 0.27 billion (ai-forever/Kandinsky-3,
# README). Lumina-Image 2.0: 2.6 billion. Stable Cascade: 3.6 billion, 1.5 billion, 20 million for stages C, B, A
# (Stability-AI/StableCascade, README). Wuerstchen: a billion each for stages C and B (arXiv 2306.00637). FLUX.2 klein: "9B".
CLIP_L, CLIP_L_PROJECTED, BIG_G, T5 = 123_060_480, 123_650_304, 694_659_840, 4_762_310_656
VAE_4, VAE_16 = 83_653_863, 83_819_683
QWEN3_4B = 4_022_468_096
PUBLISHED = {
    "sd15": {"text_encoder": CLIP_L, "unet": 859_520_964, "vae": VAE_4},
    "sd21": {"text_encoder": 340_387_840, "unet": 865_910_724, "vae": VAE_4},
    "sdxl": {"text_encoder": CLIP_L, "text_encoder_2": BIG_G, "unet": 2_567_463_684, "vae": VAE_4},
    "sd3-medium": {
        "text_encoder": CLIP_L_PROJECTED,
        "text_encoder_2": BIG_G,
        "text_encoder_3": T5,
        "transformer": 2_028_328_000,
        "vae": VAE_16,
    },
    "sd35-large": {
        "text_encoder": CLIP_L_PROJECTED,
        "text_encoder_2": BIG_G,
        "text_encoder_3": T5,
        "transformer": 8_056_627_520,
        "vae": VAE_16,
    },
    "flux": {"text_encoder": CLIP_L, "text_encoder_2": T5, "transformer": 11_901_408_320, "vae": VAE_16},
    "flux-schnell": {
        "text_encoder": CLIP_L,
        "text_encoder_2": T5,
        "transformer": 11_891_178_560,
        "vae": VAE_16,
    },
    "sd35-medium": {
        "text_encoder": CLIP_L_PROJECTED,
        "text_encoder_2": BIG_G,
        "text_encoder_3": T5,
        "transformer": 2_243_171_520,
        "vae": VAE_16,
    },
    "sdxl-turbo": {"text_encoder": CLIP_L, "text_encoder_2": BIG_G, "unet": 2_567_463_684, "vae": VAE_4},
    "lcm": {"text_encoder": CLIP_L, "unet": 859_520_964 + 256 * 320, "vae": VAE_4},
    "pixart-sigma": {"text_encoder": T5, "transformer": 610_856_096, "vae": VAE_4},
    "sana": {"text_encoder": 2_614_341_888, "transformer": 1_604_462_752, "vae": 312_250_275},
    "z-image": {"text_encoder": QWEN3_4B, "transformer": 6_154_908_736, "vae": VAE_16},
    "flux2-klein-4b": {"text_encoder": QWEN3_4B, "transformer": 3_875_544_576, "vae": 84_046_115},
    "chroma": {"text_encoder": T5, "transformer": 8_899_983_424, "vae": VAE_16},
    "qwen-image": {"text_encoder": 8_292_166_656, "transformer": 20_430_401_088, "vae": 126_892_531},
    "auraflow": {"text_encoder": 1_223_550_976, "transformer": 6_858_605_568, "vae": 83_653_863},
    "cogview4": {"text_encoder": 8_779_194_368, "transformer": 6_369_118_272, "vae": 406_100_643},
    "flux2-klein-9b": {"text_encoder": 8_190_735_360, "transformer": 9_078_581_248, "vae": 84_046_115},
    "flux2-dev": {"text_encoder": 24_011_361_280, "transformer": 32_223_281_152, "vae": 84_046_115},
    "hunyuandit": {
        "text_encoder": 352_035_840,
        "text_encoder_2": 1_669_958_656,
        "transformer": 1_499_952_032,
        "vae": 83_653_863,
    },
    "kandinsky22": {
        "movq": 67_832_495,
        "prior_image_encoder": 1_844_907_264,
        "prior_prior": 1_026_225_920,
        "prior_text_encoder": BIG_G,
        "unet": 1_253_057_288,
    },
    "kandinsky3": {"movq": 270_669_103, "text_encoder": 8_721_797_632, "unet": 3_055_348_228},
    "lumina2": {"text_encoder": 2_614_341_888, "transformer": 2_609_769_152, "vae": 83_819_683},
    "stable-cascade": {
        "decoder": 1_562_941_136,
        "prior_image_encoder": 303_966_208,
        "prior_prior": 3_589_103_632,
        "prior_text_encoder": 694_659_840,
        "text_encoder": 694_659_840,
        "vqgan": 18_406_894,
    },
    "wuerstchen": {
        "decoder": 1_055_365_280,
        "prior_prior": 993_636_896,
        "prior_text_encoder": 693_021_440,
        "text_encoder": 352_984_064,
        "vqgan": 18_406_894,
    },
}
# Native side, divisor of the sides, steps: from the model cards and the pipelines' documented defaults.
NATURE = {
    "sd15": (512, 8, 50),
    "sd21": (768, 8, 50),
    "sdxl": (1024, 8, 50),
    "sd3-medium": (1024, 16, 28),
    "sd35-large": (1024, 16, 28),
    "flux": (1024, 16, 28),
    "flux-schnell": (1024, 16, 28),
    "sd35-medium": (1024, 16, 28),
    "sdxl-turbo": (512, 8, 50),
    "lcm": (768, 8, 4),
    "pixart-sigma": (1024, 16, 20),
    "sana": (1024, 32, 20),
    "z-image": (1024, 16, 50),
    "flux2-klein-4b": (1024, 16, 50),
    "chroma": (1024, 16, 35),
    "qwen-image": (1024, 16, 50),
    "auraflow": (1024, 16, 50),
    "cogview4": (1024, 16, 50),
    "flux2-klein-9b": (1024, 16, 50),
    "flux2-dev": (1024, 16, 50),
    "hunyuandit": (1024, 16, 50),
    "kandinsky22": (512, 8, 100),
    "kandinsky3": (1024, 8, 25),
    "lumina2": (1024, 16, 30),
    "stable-cascade": (1024, 128, 12),
    "wuerstchen": (1024, 128, 12),
}


def count(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_builtin_architectures_have_the_published_size(name):
    counts = {}
    pipe = build_pipeline(BUILTIN_ROOT / name, lambda part, model: counts.update({part: count(model)}))
    assert counts == PUBLISHED[name] == dict(builtin_parameters()[name])
    info = describe(pipe)
    assert (info.native_size, info.size_factor, info.default_steps) == NATURE[name]
    assert info.pipeline_class == resolve(f"builtin:{name}").pipeline_class
    assert getattr(pipe, "safety_checker", None) is None


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_any_prompt_becomes_ids_that_the_encoders_know(name):
    for folder in sorted((BUILTIN_ROOT / name).glob("tokenizer*")):
        kind = getattr(
            transformers, json.loads((folder / "tokenizer_config.json").read_bytes())["tokenizer_class"]
        )
        tokenizer = load_tokenizer(folder, kind)
        config = json.loads(
            (folder.parent / folder.name.replace("tokenizer", "text_encoder") / "config.json").read_bytes()
        )
        prompts = ["a red circle", "", "Übergröße, 日本の絵 🎨 \n\t <|x|>", "word " * 500]
        length = min(512, tokenizer.model_max_length)
        ids = tokenizer(
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        assert ids.shape == (len(prompts), length)
        assert ids.min() >= 0
        assert ids.max() < config.get("text_config", config)["vocab_size"]
        end = tokenizer.eos_token_id
        if config["model_type"] not in ("qwen3", "qwen2_5_vl", "mistral3"):  # Qwen's tokenizers end nothing
            assert all(end in row for row in ids.tolist())
        if config["model_type"] == "clip_text_model":
            # eos_token_id 2 in the published configuration makes the encoder pool at the largest id.
            assert ids.argmax(dim=-1).tolist() == [row.index(end) for row in ids.tolist()]
