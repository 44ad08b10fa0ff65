"""Installed packages that matter, from their metadata: none of them is imported."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

from doctor.facts import Package
from doctor.gather.dist_info import find, normalised, read
from doctor.gather.reading import Reading

STACK = (
    "torch", "torchvision", "torchaudio", "diffusers", "transformers", "accelerate", "safetensors",
    "huggingface-hub", "tokenizers", "peft", "numpy", "pillow", "xformers", "triton", "triton-windows",
    "pytorch-triton-rocm", "bitsandbytes", "flash-attn", "sageattention", "optimum", "optimum-intel",
    "optimum-quanto", "openvino", "torchao", "gguf", "hf-transfer", "hf-xet", "sentencepiece", "protobuf",
    "onnxruntime", "onnxruntime-gpu", "tensorrt", "torch-directml", "intel-extension-for-pytorch",
    "deepspeed", "compel", "controlnet-aux", "k-diffusion", "open-clip-torch", "timm", "opencv-python",
    "msgspec", "nvidia-ml-py", "sdoctor",
)  # fmt: skip

_NVIDIA = (
    "cublas", "cuda-runtime", "cuda-nvrtc", "cuda-cupti", "cudnn", "cufft", "curand", "cusolver",
    "cusparse", "nccl", "nvjitlink", "nvtx",
)  # fmt: skip
NVIDIA_WHEELS = tuple(
    f"nvidia-{name}{suffix}" for name in _NVIDIA for suffix in ("", "-cu11", "-cu12", "-cu13")
)
"""The CUDA libraries that come as wheels; from CUDA 13 on most of them have no suffix (PyPI)."""

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def read_packages() -> Reading:
    """The packages of ``STACK`` and the CUDA wheels, with those of their requirements that name one
    another."""
    reading = Reading()
    found = []
    for name, folder in find((*STACK, *NVIDIA_WHEELS)).items():
        package = reading.attempt(f"packages[{name}]", partial(_package, name, folder))
        if package is not None:
            found.append(package)
    reading.parts["packages"] = tuple(found)
    return reading


def _package(name: str, folder: Path | None) -> Package:
    found = read(name, folder)
    if not found.version:
        raise ValueError("its metadata name no version")
    requires = () if name.startswith("nvidia-") else found.requires
    return Package(
        name=name,
        version=found.version,
        requires=tuple(filter(concerns_stack, requires)),
        build=_xformers_build(found.place) if name == "xformers" else None,
    )


def concerns_stack(requirement: str) -> bool:
    """Whether an unconditional requirement names a package of ``STACK``; extras are not required."""
    match = _NAME.match(requirement)
    return match is not None and normalised(match[1]) in STACK and "extra ==" not in requirement


def _xformers_build(place: Path) -> dict[str, str] | None:
    file = place / "xformers" / "cpp_lib.json"
    try:
        return parse_cpp_lib(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def parse_cpp_lib(text: str) -> dict[str, str]:
    """What xformers' ``cpp_lib.json`` says about its build: torch, cuda ("12.8"), python, architectures.

    Raises ValueError if it is not such a file. CUDA stands there as 100 * major + minor
    (facebookresearch/xformers setup.py).
    """
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("version"), dict):
        raise ValueError("it holds no 'version' table")
    version, env = document["version"], document.get("env")
    build = {key: str(version[key]) for key in ("torch", "python", "hip") if version.get(key)}
    cuda = version.get("cuda")
    if isinstance(cuda, int) and not isinstance(cuda, bool) and cuda > 0:
        build["cuda"] = f"{cuda // 100}.{cuda % 100}"
    if isinstance(env, dict) and env.get("TORCH_CUDA_ARCH_LIST"):
        build["architectures"] = str(env["TORCH_CUDA_ARCH_LIST"])
    return build
