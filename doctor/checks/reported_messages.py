"""What do the error lines of a report say by themselves?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from doctor.check import Check
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP


@dataclass(frozen=True, slots=True)
class Rule:
    """A message whose meaning needs no other fact."""

    kind: str
    cause_id: str
    title: str
    cause: str
    remedy: str
    commands: tuple[str, ...] = ()


_TOOLKIT = ("sudo nvidia-ctk runtime configure --runtime=docker", "sudo systemctl restart docker")

RULES = (
    Rule("cuda-not-compiled", "cpu-only-torch", "The installed torch is a CPU build.",
         "torch was built without CUDA, often because another package replaced it.",
         "Uninstall it and reinstall a CUDA build in the same Python.",
         (f"{PIP} uninstall -y torch torchvision",
          f"{PIP} install torch torchvision --index-url https://download.pytorch.org/whl/cu130")),
    Rule("no-driver", "no-driver", "No NVIDIA driver is visible to this system.",
         "It is not installed, not loaded, or not passed to the container or job.",
         "Install or load the driver, then restart.", ("nvidia-smi",)),
    Rule("nvml-mismatch", "nvml-mismatch", "The NVIDIA kernel module and library have different versions.",
         "The driver was updated while the old module stayed loaded.", "Reboot.", ("sudo reboot",)),
    Rule("docker-no-gpu", "docker-no-gpu", "The container gets no GPU.",
         "Docker has no NVIDIA Container Toolkit, or it is not configured.",
         "Install the NVIDIA Container Toolkit and start the container with --gpus all.", _TOOLKIT),
    Rule("device-not-ready", "wsl-vmm-allocator", "The GPU layer of WSL refused an allocation.",
         "expandable_segments needs virtual-memory calls that fail there.", "Switch expandable_segments off.",
         ("export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False",)),
    Rule("numpy-abi", "numpy-abi", "torch or another package was built for another NumPy.",
         "NumPy 2 changed its binary interface.", "Go back to NumPy 1, or upgrade torch.",
         (f'{PIP} install "numpy<2"',)),
    Rule("triton-missing", "triton-missing", "triton is missing.",
         "torch.compile needs it, and the Windows wheels of torch do not bring it.",
         "Do without torch.compile, or install it; on Windows the package is triton-windows.",
         (f"{PIP} install triton-windows",)),
    Rule("compiler-missing", "compiler-missing", "triton finds no C compiler or no Python headers.",
         "triton compiles a small launcher in C.",
         "Install a compiler: gcc and python3-dev on Linux, MSVC Build Tools on Windows."),
    Rule("torchvision", "torchvision-mismatch", "torchvision does not belong to the installed torch.",
         "Its compiled operators do not load.", "Install the pair together, from one index.",
         (f"{PIP} install --force-reinstall torch torchvision",)),
    Rule("bitsandbytes", "bnb-cuda-missing", "bitsandbytes has no binary for this CUDA.",
         "It falls back to a CPU library.", "Update bitsandbytes, and use CUDA 11.8 or newer.",
         (f"{PIP} install --upgrade bitsandbytes",)),
    Rule("bf16", "bf16-unsupported", "bfloat16 is not supported on this GPU.",
         "bfloat16 begins with compute capability 8.0.", "Use float16 (--dtype half) or float32."),
    Rule("mps-float64", "mps-unsupported-op", "MPS has no float64.",
         "A part of the program makes double-precision tensors.", "Update diffusers, or cast to float32.",
         (f"{PIP} install --upgrade diffusers",)),
    Rule("mps-op", "mps-unsupported-op", "MPS does not have an operation that the program uses.",
         "The backend of this torch lacks it.", "Let it run on the processor, or update torch.",
         ("export PYTORCH_ENABLE_MPS_FALLBACK=1",)),
    Rule("hip-no-binary", "rocm-gfx-unsupported", "The ROCm build has no kernels for this AMD card.",
         "The card's gfx target (gfx1031, gfx1151, ...) is not among those it was built for.",
         "Present the card as a sibling (10.3.0 for RX 6000, 11.0.0 for RX 7000; "
         "HSA_OVERRIDE_GFX_VERSION), or use a build for it.", ("export HSA_OVERRIDE_GFX_VERSION=10.3.0",)),
    Rule("rocm-group", "rocm-permissions", "The user may not open /dev/kfd or /dev/dri.",
         "ROCm needs the groups render and video.", "Add the user to them and log in again.",
         ("sudo usermod -aG render,video $USER",)),
)  # fmt: skip


def run(facts: Facts) -> Iterator[Finding]:
    """Translate every message that stands for itself."""
    for rule in RULES:
        message = facts.message(rule.kind)
        if message is None:
            continue
        gfx = next((gpu.name for gpu in facts.gpus or () if gpu.vendor == "amd"), None)
        yield Finding(
            id=rule.cause_id, severity=Severity.ERROR, title=rule.title, cause=rule.cause,
            evidence={"message": message.text, "card": gfx}, remedy=Remedy(rule.remedy, rule.commands),
        )  # fmt: skip


CHECK = Check(
    name="reported-messages",
    title="Do the error lines of the report name a cause by themselves?",
    needs=(),
    causes={rule.cause_id: rule.title for rule in RULES},
    run=run,
    sources=("github.com/pytorch/pytorch", "github.com/NVIDIA/nvidia-container-toolkit"),
)
