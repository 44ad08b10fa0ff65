"""Versions in a text: collect_env, diffusers-cli env, accelerate env, pip lists and start-up logs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.facts import Driver, Package, Python, TorchBuild

_VERSION = r"(\d+\.\d+[\w.+-]*)"
_TORCH = (
    re.compile(rf"^(?:PyTorch version(?: \(GPU\?\))?|pytorch[ ._]version|torch[ _]version"
         rf"|torch(?:__version__)?|pytorch)"
               rf"\s*[:=]+\s*(?:torch==)?v?['\"]?{_VERSION}", re.I),
    re.compile(rf"^\[(?:pip3?|conda)\] (?:py)?torch(?:==|\s+){_VERSION}"
         rf"|^(?:py)?torch\s{{1,40}}{_VERSION}", re.I),
    re.compile(rf"\btorch: v?{_VERSION}|\(you have {_VERSION}\)|\bTorch:? torch=={_VERSION}", re.I),
    re.compile(r"\btorch[ =-]{0,2}(\d+\.\d+\.\d+\+\w+)|\b(?:Py)?Torch (\d+\.\d+\.\d+(?:\+\w+)?)\b", re.I),
    re.compile(rf"Your installed torch=={_VERSION}|PyTorch (?:version )?(?:is|=) {_VERSION}", re.I),
    re.compile(r"torch\.__version__\W{1,12}(\d+\.\d+\.\d+(?:\+\w+)?)"
         r"|\btorch-(\d+\.\d+\.\d+(?:\+\w+)?)(?:\s|-cp)", re.I),
)  # fmt: skip
_CONDA_BUILD = re.compile(r"^(?:\[conda\] )?pytorch\s+(?P<version>\d+\.\d+\.\d+)\s+py3[\d.]+_"
                          r"(?:(?P<cpu>cpu)|cuda(?P<cuda>\d+\.\d+))", re.I)  # fmt: skip
_BUILT_LINE = re.compile(r"^(CUDA|ROCM) used to build PyTorch: (.*)$|^(cuda_compiled_version): (.*)$", re.I)
_TAG = re.compile(r"\+(?:cu(\d{2,3})|rocm([\d.]+)|cpu|xpu)\b")
_LOOSE_TAG = re.compile(r"(?<![\w/])cu(\d{2})(\d)\b")
_PYTHON = re.compile(
    r"^(?:\W{0,3}Python(?:[ _]version| revision)?\s*[:=]?\s+(?:version=)?v?(\d+\.\d+(?:\.\d+)?)"
    r"|Python(\d)\.?(\d+))"
    r"|\bpython: v?(\d+\.\d+(?:\.\d+)?)|\bpython=(\d+\.\d+\.\d+)", re.I,
)  # fmt: skip
_PYTHON_PATH = re.compile(r"(?:[\\/]lib[\\/]python|[\\/]Python|\bpython)(3)\.?(\d{1,2})(?=[\\/])", re.I)
_BITS = re.compile(r"\b(32|64)[- ]bit (?:runtime|\(|$)|\b(32|64) bit \(", re.I)
_NAMES = (
    r"diffusers|transformers|accelerate|huggingface[_-]hub|peft|safetensors|xformers|bitsandbytes|numpy"
    r"|triton"
    r"|torchvision|torchaudio|flash[_-]attn|torchao|tokenizers|onnxruntime-gpu|onnxruntime|sageattention"
)
_PACKAGE = re.compile(
    rf"^(?:\[(?:pip3?|conda)\]\s*)?\W{{0,2}}\s*({_NAMES})(?:[ _]version)?\s*(?:==|:"
    rf"|\s)\s*['\"]?{_VERSION}",
    re.I,
)
_DRIVER = re.compile(
    r"^(?:Nvidia[ _]driver[ _]version|nvidia-smi driver):\s*(\d{3}[\d.]*)|(?:Driver"
    r"|KMD) Version:\s*(\d{3}[\d.]*)"
    r"|\bdriver[=:] ?(\d{3}\.\d+[\d.]*)|NVIDIA driver (?:version )?(?:is )?(\d{3}\.\d+[\d.]*)"
    r"|Kernel Module\s+(\d{3}\.\d+[\d.]*)",
    re.I,
)
_DRIVER_CUDA = re.compile(r"(?:CUDA (?:UMD )?Version|nvidia-smi cuda):\s*(\d+)\.(\d+)", re.I)
_EMBEDDED = re.compile(r"python_embed(?:d?ed)\b", re.I)
_ENVIRONMENT = re.compile(r"(?:[\\/\s\"'(]|^)(\.?venv|env)[\\/](?:lib|bin|Scripts)[\\/]", re.I)
_NO_VERSION = re.compile(
    r"(?:ERROR\b|.*requirement|.*requires|.*\brequired\b|Collecting|Downloading"
    r"|(?!Your installed).*\binstall(?:ing)?\b"
    r"|.*was built for)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Software:
    """What the text says about software; None where it says nothing."""

    torch: TorchBuild | None
    python: Python
    driver: Driver
    packages: tuple[Package, ...]
    build_known: bool
    """Whether the text says which CUDA torch was built with, or that it was built without."""


def software_in(lines: tuple[str, ...]) -> Software:
    """Read every version that the text states. Requirements that pip could not meet are no versions."""
    stated = tuple(line for line in lines if not _NO_VERSION.match(line) or "(you have" in line)
    torch, known = _torch(stated, lines)
    return Software(torch, _python(stated, lines), _driver(stated), _packages(stated), known)


def formats_of(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The formats that the text seems to hold."""
    text = "\n".join(lines)
    marks = {
        "collect_env": r"CUDA used to build PyTorch|GPU models and configuration",
        "diffusers-cli env": r"PyTorch version \(GPU\?\)",
        "xformers.info": r"memory_efficient_attention\.\w+",
        "nvidia-smi": r"NVIDIA-SMI|nvidia-smi driver",
        "ComfyUI": r"ComfyUI Error Report|Set vram state to|ComfyUI[ _-]version|comfyui startup time",
        "SD.Next": r"Starting SD\.Next|app=sd\.next|Load packages:",
        "InvokeAI": r"\[InvokeAI\]|invokeai",
        "sysinfo": r"Torch env info|torch_version:",
        "start-up log": r"Launching Web UI|Commit hash|Fooocus version",
        "pip": r"Requirement already satisfied|Could not find a version|Successfully installed",
        "traceback": r"Traceback|\w+Error\b|Warning:",
    }
    return tuple(name for name, mark in marks.items() if re.search(mark, text, re.I)) or ("text",)


def _first(pattern: re.Pattern[str], lines: tuple[str, ...]) -> str | None:
    for line in lines:
        match = pattern.search(line)
        if match:
            return next((group for group in match.groups() if group), None)
    return None


def _torch(stated: tuple[str, ...], lines: tuple[str, ...]) -> tuple[TorchBuild | None, bool]:
    """The build, and whether its CUDA is known. A version with a tag ("2.1.0+cu118") tells more than one without."""
    versions = [version for pattern in _TORCH if (version := _first(pattern, stated))]
    version = next((one for one in versions if "+" in one), versions[0] if versions else None)
    conda = next((match for line in lines if (match := _CONDA_BUILD.match(line))), None)
    built = _built(lines)
    if version is None and conda:
        version = conda["version"]
    tag = _TAG.search(version or "")
    loose = next((match for line in lines if (match := _LOOSE_TAG.search(line))), None)
    if version is None and loose is None and not built:
        return None, False
    cuda, hip = built.get("cuda"), built.get("rocm")
    known = bool(built)
    if conda:
        cuda, known = conda["cuda"], True
    if tag:
        cuda, hip, known = (f"{tag[1][:-1]}.{tag[1][-1]}" if tag[1] else None), tag[2], True
    elif not cuda and not known and loose is not None and (version is None or "+" not in version):
        # "cu121" in a path, a wheel's name or an index: the build that was meant to be installed.
        cuda, known = f"{loose[1]}.{loose[2]}", True
    return TorchBuild(
        version=version, cuda=_number(cuda), hip=_number(hip), architectures=_codes(lines)
    ), known


def _built(lines: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _BUILT_LINE.match(line)
        if match:
            kind = (match[1] or match[3]).lower()
            found.setdefault(
                "cuda" if kind == "cuda_compiled_version" else kind, (match[2] or match[4]).strip()
            )
    return found


def _codes(lines: tuple[str, ...]) -> tuple[str, ...] | None:
    """The architectures that torch itself listed: "supports CUDA capabilities sm_50 sm_60 ..."."""
    for line in lines:
        if re.search(r"supports CUDA capabilities|arch_list", line, re.I):
            codes = tuple(dict.fromkeys(re.findall(r"\b(?:sm|compute)_\d{2,3}[af]?\b", line)))
            if codes:
                return codes
    return None


def _number(text: str | None) -> str | None:
    match = re.match(r"\d+(?:\.\d+)?", text or "")
    return match[0] if match else None


def _packages(lines: tuple[str, ...]) -> tuple[Package, ...]:
    found: dict[str, str] = {}
    for line in lines:
        match = _PACKAGE.match(line)
        if match:
            found.setdefault(match[1].lower().replace("_", "-"), match[2])
        for pair in re.finditer(rf"[•,;]\s*({_NAMES}): {_VERSION}", line, re.I):
            found.setdefault(pair[1].lower().replace("_", "-"), pair[2])
    return tuple(Package(name=name, version=version) for name, version in found.items())


def _python(stated: tuple[str, ...], lines: tuple[str, ...]) -> Python:
    bits = _first(_BITS, tuple(line for line in lines if not line.startswith(("OS", "CPU op-mode"))))
    version = None
    match = next((found for line in stated if (found := _PYTHON.search(line))), None)
    if match:
        version = match[1] or match[4] or match[5] or f"{match[2]}.{match[3]}"
    if version is None:
        path = next((found for line in lines if (found := _PYTHON_PATH.search(line))), None)
        version = f"{path[1]}.{path[2]}" if path else None
    prefix = None
    if any(_EMBEDDED.search(line) for line in lines):
        prefix = "python_embeded"
    elif found := next((found for line in lines if (found := _ENVIRONMENT.search(line))), None):
        prefix = found[1].lower()
    return Python(version=version, bits=int(bits) if bits else None, prefix=prefix)


def _driver(lines: tuple[str, ...]) -> Driver:
    cuda = next((match for line in lines if (match := _DRIVER_CUDA.search(line))), None)
    return Driver(version=_first(_DRIVER, lines), cuda_version=(int(cuda[1]), int(cuda[2])) if cuda else None)
