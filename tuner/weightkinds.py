"""Recognises, by the names of its tensors, a weight file that is no pipeline: a LoRA, a VAE, an upscaler.

The names are those that the programs which write such files give them; each row says where they are found.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accessory:
    """What a file is instead of a pipeline, and what its owner wants to do with it."""

    what: str
    """With its article: "a LoRA"."""
    advice: str
    """Continues "give the checkpoint of a text-to-image model"."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A kind is recognised if every pattern is found in some name."""

    accessory: Accessory
    patterns: tuple[re.Pattern[str], ...]

    def fits(self, names: Collection[str]) -> bool:
        return all(any(pattern.search(name) for name in names) for pattern in self.patterns)


def _rule(what: str, advice: str, *patterns: str) -> _Rule:
    return _Rule(Accessory(what=what, advice=advice), tuple(re.compile(pattern) for pattern in patterns))


_LOAD_AFTER = "tune that one, and load this into the tuned pipeline with {}"
_LORA = _LOAD_AFTER.format("pipe.load_lora_weights()")
_CONTROL = "a ControlNet needs a pipeline class and an image of its own, which sdoctor does not tune"
_UPSCALER = "an upscaler enlarges finished pictures and has nothing to tune here"
_ONE_PART = "this is one component of it"

# A file that has any of these holds a denoiser where a whole checkpoint has it.
_WHOLE = re.compile(r"^model\.diffusion_model\.")

_RULES = (
    # ControlNets of SD 1.x and 2.x (lllyasviel/ControlNet cldm/cldm.py), diffusers' and control-LoRAs
    # (comfyanonymous/ComfyUI comfy/controlnet.py); some of them keep LoRA names, so they come first.
    _rule("a ControlNet", _CONTROL, r"^control_model\."),
    _rule("a ControlNet", _CONTROL, r"^lora_controlnet$"),
    _rule(
        "a ControlNet", _CONTROL, r"^(controlnet_cond_embedding|controlnet_(down_)?blocks|input_hint_block)\."
    ),
    # diffusers' models/adapter.py, and TencentARC/T2I-Adapter ldm/modules/encoders/adapter.py.
    _rule(
        "a T2I-Adapter",
        "an adapter needs a pipeline class and an image of its own, which sdoctor does not tune",
        r"^(adapter\.)?body\.\d+\.(resnets\.\d+\.)?(block1|in_conv)\.(weight|bias)$|^adapter\.conv_in\.",
    ),
    # tencent-ailab/IP-Adapter ip_adapter/ip_adapter.py; safetensors files join the two parts' names with a dot.
    _rule("an IP-Adapter", _LOAD_AFTER.format("pipe.load_ip_adapter()"), r"^(image_proj|ip_adapter)(\.|$)"),
    # diffusers and PEFT ("lora_A", "lora.up"), kohya-ss/sd-scripts ("lora_unet_...lora_down"),
    # KohakuBlueleaf/LyCORIS ("hada_w1_a", "lokr_w1").
    _rule("a LoRA", _LORA, r"lora_(A|B|up|down)\b|\.lora\.(up|down)\.|^lora_(unet|te\d?|transformer)_"),
    _rule("a LoRA (LyCORIS)", _LORA, r"\.(hada_w[12]_[ab]|lokr_w[12](_[ab])?)$"),
    # A1111's embeddings ("emb_params", or "string_to_param" where pickled); SDXL's have one vector per encoder.
    _rule(
        "an embedding (textual inversion)",
        _LOAD_AFTER.format("pipe.load_textual_inversion()"),
        r"^(emb_params|string_to_param)$|^string_to_param\.|^clip_[lg]$",
    ),
    # ESRGAN (xinntao/ESRGAN RRDBNet_arch.py, its older naming), Real-ESRGAN's compact net, SwinIR and its kin.
    _rule("an upscaler (ESRGAN)", _UPSCALER, r"rdb1\.conv1\.weight$|RDB1\.conv1\.0\.weight$|RRDB_trunk\."),
    _rule("an upscaler (ESRGAN)", _UPSCALER, r"^params(_ema)?$"),
    _rule("an upscaler (Real-ESRGAN compact)", _UPSCALER, r"^body\.0\.weight$", r"^body\.1\.weight$"),
    _rule(
        "an upscaler (SwinIR or alike)",
        _UPSCALER,
        r"^conv_first\.weight$",
        r"^layers\.0\.(residual_group|blocks)\.",
    ),
    # guoyww/AnimateDiff.
    _rule(
        "a motion module",
        "it makes videos, which sdoctor does not tune",
        r"motion_modules\.\d+\.temporal_transformer\.",
    ),
    # madebyollin/taesd, as diffusers names it and as it is published.
    _rule("a tiny VAE (TAESD)", _ONE_PART, r"^(decoder\.layers|taesd_decoder)\.\d+\."),
    # CompVis/latent-diffusion AutoencoderKL with or without its place in a checkpoint, and diffusers' names.
    _rule(
        "a VAE",
        _ONE_PART,
        r"^(first_stage_model\.|vae\.)?decoder\.(conv_in|up|up_blocks|mid|mid_block|middle|stages)\b",
    ),
    # transformers' CLIP (version 5 leaves "text_model." out) and T5.
    _rule("an image encoder", _ONE_PART, r"^vision_model\."),
    _rule(
        "a text encoder (CLIP)", _ONE_PART, r"^(transformer\.)?(text_model\.)?embeddings\.token_embedding\."
    ),
    _rule("a text encoder (T5)", _ONE_PART, r"^encoder\.block\.0\.layer\.0\.SelfAttention\."),
    # diffusers' UNet2DConditionModel, alone.
    _rule(
        "a U-Net alone",
        "this one lacks the text encoder and the VAE",
        r"^down_blocks\.0\.(resnets|attentions)\.",
        r"^up_blocks\.",
        r"^time_embedding\.",
    ),
)

# An embedding saved by diffusers or kohya-ss holds nothing but vectors as wide as a text encoder's words.
_EMBEDDING_WIDTHS = (768, 1024, 1280, 4096)
_LONGEST_EMBEDDING = 77
"""Tokens that CLIP reads (openai/CLIP context_length)."""
_EMBEDDING = next(rule.accessory for rule in _RULES if rule.accessory.what.startswith("an embedding"))


def accessory_of(shapes: dict[str, tuple[int, ...]]) -> Accessory | None:
    """What a file with tensors of these names and shapes is instead of a pipeline; None if it may be one.

    None too for what is not known: the libraries then say what they miss.
    """
    if any(_WHOLE.search(name) for name in shapes):
        return None
    for rule in _RULES:
        if rule.fits(shapes):
            return rule.accessory
    if len(shapes) == 1 and _is_embedding(next(iter(shapes.values()))):
        return _EMBEDDING
    return None


def _is_embedding(shape: tuple[int, ...]) -> bool:
    if len(shape) == 1:
        return shape[0] in _EMBEDDING_WIDTHS
    return len(shape) == 2 and shape[0] <= _LONGEST_EMBEDDING and shape[1] in _EMBEDDING_WIDTHS


def refusal_of(name: str, accessory: Accessory) -> str:
    """The sentence for the user who gave such a file as MODEL."""
    return (
        f"'{name}' is not a pipeline but {accessory.what}; give the checkpoint of a text-to-image model: "
        f"{accessory.advice}."
    )
