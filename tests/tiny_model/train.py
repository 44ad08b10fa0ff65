"""Trains the built-in model and writes its folder: `python -m tiny_model.train` from the folder `tests`.

Stop it at any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from safetensors.torch import save_file
from tiny_model.architecture import MODEL_FOLDER, write_folder
from tiny_model.train_denoiser import train_denoiser
from tiny_model.train_vae import train_vae
from torch import nn

_WEIGHTS = {"text_encoder": "model.safetensors"}
# The names that every release of transformers can load.
_PREFIX = {"text_encoder": "text_model."}


def export(component: nn.Module, name: str, folder: Path = MODEL_FOLDER) -> None:
    """Write a component's weights in float16, in one move, so that no half-written file is ever there."""
    file = _WEIGHTS.get(name, "diffusion_pytorch_model.safetensors")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tensors = {
            _PREFIX.get(name, "") + key: value.half().contiguous()
            for key, value in component.state_dict().items()
        }
        save_file(tensors, Path(scratch) / file, metadata={"format": "pt"})
        (Path(scratch) / file).chmod(0o644)
        (Path(scratch) / file).replace(folder / name / file)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=Path("out/tiny"), help="folder for checkpoints and cached latents"
    )
    parser.add_argument("--steps", type=int, default=13_200, help="steps of the denoiser")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--replicas", type=int, default=2, help="threads to train with; part of what the seed fixes"
    )
    options = parser.parse_args()
    began = time.monotonic()
    write_folder()
    vae = train_vae(options.work, options.seed, options.replicas)
    export(vae, "vae")
    print(f"autoencoder done after {(time.monotonic() - began) / 60:.1f} min", flush=True)

    def export_both(text_encoder: nn.Module, unet: nn.Module) -> None:
        export(text_encoder, "text_encoder")
        export(unet, "unet")

    train_denoiser(vae, options.work, options.seed, options.steps, options.replicas, export_both)
    print(f"all done after {(time.monotonic() - began) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
