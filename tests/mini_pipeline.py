"""A Stable Diffusion 1 architecture of 1.3 million parameters, as a folder of configurations without weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tuner.models import BUILTIN_ROOT

_SMALLER = {
    "unet": {"block_out_channels": [32, 32, 64, 64], "attention_head_dim": 4, "cross_attention_dim": 32},
    "vae": {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1, "sample_size": 64},
    "text_encoder": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "projection_dim": 32,
    },
}


def write_mini(folder: Path) -> Path:
    """The builtin SD 1.5 with narrow layers, so that it computes in no time."""
    shutil.copytree(BUILTIN_ROOT / "sd15", folder)
    for name, changes in _SMALLER.items():
        file = folder / name / "config.json"
        file.write_text(json.dumps(json.loads(file.read_bytes()) | changes))
    return folder
