"""Versions in a text: collect_env, diffusers-cli env, accelerate env, pip lists and start-up logs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.facts import Driver, Host, Package, Python, TorchBuild

_VERSION = r"(\d+\.\d+[\w.+-]*)"
_TORCH = re.compile(
    rf"^(?:PyTorch version(?: \(GPU\?\))?|pytorch[ .]version|torch version|torch)\s*[:=]+\s*v?{_VERSION}"
    rf"|^\[(?:pip3|conda)\] torch(?:==|\s+){_VERSION}|\(you have {_VERSION}\)"
    rf"|\btorch ?(\d+\.\d+\.\d+\+\w+)",
    re.IGNORECASE,
)
_BUILT = re.compile(r"^(CUDA|ROCM) used to build PyTorch: (.*)$", re.I)
_TAG = re.compile(r"\+(?:cu(\d{2,3})|rocm([\d.]+)|cpu)\b")
_LOOSE_TAG = re.compile(r"(?<![\w/])cu(\d{2})(\d)\b")
_PYTHON = re.compile(r"^Python(?: version| revision)?:?\s+v?(\d+\.\d+(?:\.\d+)?)", re.I)
_BITS = re.compile(r"\b(32|64)[- ]bit (?:runtime|\(|$)|\b(32|64) bit \(", re.I)
_PACKAGE = re.compile(
    rf"^(?:\[(?:pip3|conda)\]\s*)?(diffusers|transformers|accelerate|huggingface[_-]hub|peft|safetensors"
    rf"|xformers"
    rf"|bitsandbytes|numpy|triton|torchvision|torchaudio|flash[_-]attn|torchao)(?: version)?\s*(?:==|:"
    rf"|\s)\s*{_VERSION}",
    re.I,
)
_DRIVER = re.compile(
    r"^(?:Nvidia driver version|nvidia-smi driver):\s*([\d.]+)|Driver Version:\s*([\d.]+)", re.I
)
_DRIVER_CUDA = re.compile(r"(?:CUDA Version|nvidia-smi cuda):\s*(\d+)\.(\d+)", re.I)
_OS = re.compile(r"^(?:OS|Platform|Python platform|Os):\s*(.+)$")


@dataclass(frozen=True, slots=True)
class Software:
    """What the text says about software; None where it says nothing."""

    torch: TorchBuild | None
    python: Python
    host: Host
    driver: Driver
    packages: tuple[Package, ...]
    contributed: dict[str, tuple[str, ...]]


def software_in(lines: tuple[str, ...]) -> Software:
    """Read every version that the text states. Requirements that pip could not meet are no versions."""
    stated = tuple(
        line for line in lines if not re.match(r"(?:std(?:err|out): )?ERROR|.*requirement", line, re.I)
    )
    torch, packages = _torch(stated), _packages(stated)
    python, host, driver = _python(stated), _host(lines), _driver(stated)
    text = "\n".join(lines)
    found = tuple(
        name
        for name, value in (("torch", torch), ("packages", packages), ("python", python.version),
                            ("host", host.os), ("driver", driver.version))
        if value
    )  # fmt: skip
    return Software(torch, python, host, driver, packages, dict.fromkeys(_formats(text), found))


def _formats(text: str) -> tuple[str, ...]:
    marks = {
        "collect_env": r"CUDA used to build PyTorch|GPU models and configuration",
        "diffusers-cli env": r"PyTorch version \(GPU\?\)",
        "xformers.info": r"memory_efficient_attention\.\w+",
        "nvidia-smi": r"NVIDIA-SMI|nvidia-smi driver",
        "start-up log": r"Launching Web UI|pytorch version:|Set vram state to|Commit hash",
        "traceback": r"Traceback|\w+Error\b|Warning:",
    }
    return tuple(name for name, mark in marks.items() if re.search(mark, text, re.I)) or ("text",)


def _first(pattern: re.Pattern[str], lines: tuple[str, ...]) -> str | None:
    for line in lines:
        match = pattern.search(line)
        if match:
            return next((group for group in match.groups() if group), None)
    return None


def _torch(lines: tuple[str, ...]) -> TorchBuild | None:
    version = _first(_TORCH, lines)
    built: dict[str, str] = {}
    for line in lines:
        match = _BUILT.match(line)
        if match:
            built[match[1].upper()] = match[2].strip()
    loose = next((m for line in lines if (m := _LOOSE_TAG.search(line))), None)
    tag = _TAG.search(version or "")
    if version is None and loose is None and not built:
        return None
    cuda, hip = built.get("CUDA"), built.get("ROCM")
    if tag:
        cuda = f"{tag[1][:-1]}.{tag[1][-1]}" if tag[1] else None
        hip = tag[2]
    elif version is None and loose is not None:
        cuda = f"{loose[1]}.{loose[2]}"
    return TorchBuild(version=version, cuda=_number(cuda), hip=_number(hip))


def _number(text: str | None) -> str | None:
    match = re.match(r"\d+(?:\.\d+)?", text or "")
    return match[0] if match else None


def build_is_known(lines: tuple[str, ...], torch: TorchBuild | None) -> bool:
    """Whether the text says which CUDA torch was built with, or that it was built without."""
    return bool(torch and (torch.cuda or torch.hip or "+cpu" in (torch.version or ""))) or any(
        _BUILT.match(line) for line in lines
    )


def _packages(lines: tuple[str, ...]) -> tuple[Package, ...]:
    found: dict[str, str] = {}
    for line in lines:
        match = _PACKAGE.match(line)
        if match:
            found.setdefault(match[1].lower().replace("_", "-"), match[2])
    return tuple(Package(name=name, version=version) for name, version in found.items())


def _python(lines: tuple[str, ...]) -> Python:
    bits = _first(_BITS, tuple(line for line in lines if not line.startswith("OS")))
    return Python(version=_first(_PYTHON, lines), bits=int(bits) if bits else None)


def _host(lines: tuple[str, ...]) -> Host:
    text = "\n".join(lines)
    named = next((m[1] for line in lines if (m := _OS.match(line))), "")
    if re.search(r"win_amd64|WinError|[A-Z]:\\|\bWindows-1|Microsoft Windows", text):
        system: str | None = "Windows"
    elif re.search(r"^(?:OS|Platform|Python platform): mac|\bmacOS-|\bMPS backend|Apple M\d", text, re.M):
        system = "Darwin"
    else:
        system = "Linux" if re.search(r"Linux|x86_64-linux|glibc|CentOS|Ubuntu|/home/", text) else None
    wsl = True if re.search(r"microsoft-standard|\bWSL", text) else None
    machine = re.search(r"\b(x86_64|aarch64|arm64)\b", text)
    return Host(os=system, distribution=named or None, wsl=wsl, machine=machine[1] if machine else None)


def _driver(lines: tuple[str, ...]) -> Driver:
    cuda = next((m for line in lines if (m := _DRIVER_CUDA.search(line))), None)
    return Driver(version=_first(_DRIVER, lines), cuda_version=(int(cuda[1]), int(cuda[2])) if cuda else None)
