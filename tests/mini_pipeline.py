"""The builtin architectures with narrow layers: configurations without weights that compute in no time."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

from tuner.models import BUILTIN_ROOT

_CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "projection_dim": 32,
}
_T5 = {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_heads": 4, "num_layers": 2}
_VAE = {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1, "sample_size": 64}
_OLD_UNET = {"block_out_channels": [32, 32, 64, 64], "attention_head_dim": 4, "cross_attention_dim": 32}
_XL_UNET = {
    "block_out_channels": [32, 32, 64],
    "attention_head_dim": [2, 2, 4],
    "transformer_layers_per_block": [1, 1, 2],
    "cross_attention_dim": 64,
    "addition_time_embed_dim": 8,
    # Six time ids of 8 numbers and the pooled text of 32.
    "projection_class_embeddings_input_dim": 80,
}
_SD3 = {
    "num_attention_heads": 2,
    "num_layers": 2,
    "caption_projection_dim": 128,
    "joint_attention_dim": 64,
    "pooled_projection_dim": 64,
}
_FLUX = {
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "axes_dims_rope": [8, 12, 12],
    "num_layers": 1,
    "num_single_layers": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
}
_PIXART = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_layers": 2,
    "cross_attention_dim": 32,
    "caption_channels": 32,
}
_SD3_PARTS = {"text_encoder": _CLIP, "text_encoder_2": _CLIP, "text_encoder_3": _T5 | {"d_model": 64}}
_FLUX_PARTS = {"text_encoder": _CLIP, "text_encoder_2": _T5, "transformer": _FLUX, "vae": _VAE}
_KANDINSKY_UNET = {
    "block_out_channels": [32, 32, 64, 64],
    "attention_head_dim": 8,
    "addition_embed_type_num_heads": 4,
    "cross_attention_dim": 32,
    "encoder_hid_dim": 32,
    "layers_per_block": 1,
}
_PRIOR = {"embedding_dim": 32, "num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 1}
NARROW: dict[str, dict[str, dict[str, Any]]] = {
    "sd15": {"text_encoder": _CLIP, "unet": _OLD_UNET, "vae": _VAE},
    "sd21": {"text_encoder": _CLIP, "unet": _OLD_UNET | {"attention_head_dim": [2, 2, 4, 4]}, "vae": _VAE},
    "sdxl": {"text_encoder": _CLIP, "text_encoder_2": _CLIP, "unet": _XL_UNET, "vae": _VAE},
    "sd3-medium": _SD3_PARTS | {"transformer": _SD3, "vae": _VAE},
    "sd35-large": _SD3_PARTS | {"transformer": _SD3, "vae": _VAE},
    "flux": _FLUX_PARTS,
    "flux-schnell": _FLUX_PARTS,
    "kandinsky22": {
        "movq": {"block_out_channels": [32, 32, 32, 64], "layers_per_block": 1, "norm_num_groups": 8},
        "prior_image_encoder": _CLIP,
        "prior_prior": _PRIOR,
        "prior_text_encoder": _CLIP,
        "unet": _KANDINSKY_UNET,
    },
    "pixart-sigma": {"text_encoder": _T5, "transformer": _PIXART, "vae": _VAE},
}


def write_mini(folder: Path, name: str = "sd15") -> Path:
    """The builtin ``name`` with narrow layers, as a folder without weights."""
    shutil.copytree(BUILTIN_ROOT / name, folder)
    for part, changes in NARROW[name].items():
        file = folder / part / "config.json"
        file.write_text(json.dumps(json.loads(file.read_bytes()) | changes))
    return folder


def at_its_own_size(pipe) -> dict[str, bool]:
    """The argument without which some families draw at 1024x1024 whatever size is asked for, and scale the picture down."""
    accepted = inspect.signature(pipe.__call__).parameters
    return {"use_resolution_binning": False} if "use_resolution_binning" in accepted else {}
