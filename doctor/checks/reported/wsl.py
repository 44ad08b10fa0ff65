"""Error lines that belong to the Windows Subsystem for Linux."""

from __future__ import annotations

from doctor.checks.reported.rules import Rule, check_of
from doctor.finding import Remedy

_RULES = (
    Rule(kind="wsl1", id="wsl1-no-gpu", title="The distribution runs on WSL 1, which has no access to the "
         "GPU.",
         cause="WSL 1 translates system calls and has no GPU devices. WSL 2 has.",
         remedy=Remedy("Convert the distribution to WSL 2, in PowerShell; install no Linux driver inside "
              "it.",
                       ("wsl --list --verbose", "wsl --set-version Ubuntu 2", "wsl --update"))),
    Rule(kind="libcuda-missing", id="wsl-libcuda-path",
         title="libcuda, which WSL 2 keeps in /usr/lib/wsl/lib, is not found.",
         cause="Windows puts its driver's library into /usr/lib/wsl/lib, outside of the usual folders. "
              "Programs that do not "
         "look there find no CUDA.",
         remedy=Remedy("Put the folder on the library path (for good: in ~/.bashrc).",
                       ("export LD_LIBRARY_PATH=/usr/lib/wsl/lib:$LD_LIBRARY_PATH", "ls -l /usr/lib/wsl/lib/libcuda*")),
         applies=lambda facts: bool(facts.host.wsl)),
    Rule(kind="device-not-ready", id="wsl-vmm-allocator",
         title="The GPU layer of WSL refused an allocation of expandable segments.",
         cause="expandable_segments needs virtual-memory calls of CUDA that fail there. The memory itself "
              "is not what ran out.",
         remedy=Remedy("Switch expandable_segments off.",
                       ("export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False",))),
    Rule(kind="wsl-driver", id="wsl-driver-blocked", title="WSL sees no card: Windows passes none in.",
         cause="The Windows driver is too old for WSL 2 or was installed while WSL ran. A Linux driver "
              "inside WSL does it too.",
         remedy=Remedy("Update the NVIDIA driver of Windows, remove NVIDIA driver packages inside WSL, "
              "restart WSL.",
                       ("sudo apt purge 'nvidia-driver-*' "
                        "'libnvidia-compute-*'", "wsl --update", "wsl --shutdown"))),
)  # fmt: skip

CHECK = check_of(
    "wsl",
    "Do the error lines belong to WSL?",
    {
        "wsl1-no-gpu": "The distribution runs on WSL 1.",
        "wsl-libcuda-path": "Under WSL 2 libcuda is not found.",
        "wsl-vmm-allocator": "Under WSL 2 the expandable-segments allocator fails.",
        "wsl-driver-blocked": "Windows passes no card into WSL.",
    },
    (
        "learn.microsoft.com/windows/wsl/tutorials/gpu-compute",
        "github.com/microsoft/WSL/issues/7056",
        "docs.nvidia.com/cuda/wsl-user-guide",
    ),
    rules=_RULES,
)
