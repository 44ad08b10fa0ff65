"""The shipped folder's configuration: sizes of every component, the scheduler, and the tokenizer's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_model.phrasing import words

MODEL_FOLDER = Path(__file__).resolve().parents[2] / "tuner" / "builtin" / "tiny"
NATIVE_SIZE = 128
PROMPT_TOKENS = 64
TEXT_WIDTH = 128
START, END = "<|startoftext|>", "<|endoftext|>"

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
# Zero terminal signal and v-prediction: the first step must be able to choose the background's brightness.
SCHEDULER: dict[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "steps_offset": 1,
    "timestep_spacing": "trailing",
}
# Self-attention only at the lowest resolution: its cost grows with the fourth power of the picture's side.
UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": NATIVE_SIZE // 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [64, 96, 96],
    "layers_per_block": [2, 1, 1],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "only_cross_attention": [True, True, False],
    "mid_block_only_cross_attention": False,
    "attention_head_dim": [2, 3, 3],
    "cross_attention_dim": TEXT_WIDTH,
    "norm_num_groups": 16,
}
# No attention in the middle: one head over all latents of a 4096 px picture would need a quarter million squared.
VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "sample_size": NATIVE_SIZE,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [16, 32, 48, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "mid_block_add_attention": False,
    "scaling_factor": 1.0,
    "force_upcast": False,
}


def text_encoder_config(vocabulary: int) -> dict[str, Any]:
    """CLIP's text model, small; the last two words of the vocabulary are the start and the end."""
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 2 * TEXT_WIDTH,
        "projection_dim": TEXT_WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": PROMPT_TOKENS,
        "hidden_act": "quick_gelu",
        # Stored in float16, but loaded in float32 like diffusers' components where no precision is asked for.
        "dtype": "float32",
        "torch_dtype": "float32",
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def learn_words() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges: every byte, and one token for every word of the data set's language."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, min_frequency=1, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(words(), trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [
        *alphabet,
        *(sign + "</w>" for sign in alphabet),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return vocabulary, merges


def write_folder(folder: Path = MODEL_FOLDER) -> None:
    """Write everything of the pipeline but its weights."""
    vocabulary, merges = learn_words()
    _write_json(folder / "model_index.json", INDEX)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write_json(folder / "unet" / "config.json", UNET)
    _write_json(folder / "vae" / "config.json", VAE)
    _write_json(folder / "text_encoder" / "config.json", text_encoder_config(len(vocabulary)))
    tokenizer = folder / "tokenizer"
    _write_json(
        tokenizer / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": PROMPT_TOKENS,
            "bos_token": START,
            "eos_token": END,
            "pad_token": END,
            "unk_token": END,
            "do_lower_case": True,
        },
    )
    _write_json(tokenizer / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (tokenizer / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_folder()
