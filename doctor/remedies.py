"""Remedies that several checks share, in the commands of the machine that the facts describe."""

from __future__ import annotations

from doctor.compat import CU126, CU130, WheelIndex, driver_floor, minor_release, wheel_index
from doctor.facts import Facts, Gpu
from doctor.finding import Remedy

PIP = "python -m pip"
"""Run with the interpreter of the program that generates images: "pip" alone may belong to another one."""

DRIVER_PAGE = "https://www.nvidia.com/drivers"
TORCH_INDEX = "https://download.pytorch.org/whl"
ROCM_INDEX = f"{TORCH_INDEX}/rocm7.2"
"""ROCm builds of torch 2.11 to 2.15 (github.com/pytorch/test-infra, tools/scripts/generate_binary_build_matrix.py,
ROCM_ARCHES). Every ROCm release has an index of its own and there is none for "the newest": this is the one place
that names it."""
_OLDEST_PYTHON = (3, 10)
"""Of the builds in the indexes that the remedies name (pypi.org/project/torch, Requires-Python since 2.9)."""

XPU_INDEX = f"{TORCH_INDEX}/xpu"


def pip_of(facts: Facts) -> str:
    """pip of the Python that the program of the report runs with, as it is started from the program's folder."""
    prefix = (facts.python.prefix or "") if facts.read_from else ""
    if prefix == "python_embeded":
        return ".\\python_embeded\\python.exe -m pip"
    if prefix in ("venv", ".venv", "env"):
        windows = facts.host.os == "Windows"
        return f".\\{prefix}\\Scripts\\python.exe -m pip" if windows else f"./{prefix}/bin/python -m pip"
    return PIP


def set_variable(facts: Facts, name: str, value: str) -> tuple[str, ...]:
    """The commands that set an environment variable for the programs started next."""
    if facts.host.os == "Windows" and not facts.host.wsl:
        return (f"set {name}={value}", f"$env:{name} = '{value}'   # in PowerShell")
    return (f"export {name}={value}",)


def unset_variable(facts: Facts, name: str) -> tuple[str, ...]:
    """The commands that take an environment variable away."""
    if facts.host.os == "Windows" and not facts.host.wsl:
        return (f"set {name}=", f"Remove-Item Env:{name}   # in PowerShell")
    return (f"unset {name}",)


def pip_install(*requirements: str) -> str:
    """The command that installs or upgrades ``requirements``."""
    quoted = " ".join(f'"{name}"' if set(name) & set("<>=!~ ") else name for name in requirements)
    return f"{PIP} install --upgrade {quoted}"


def torch_from(index: WheelIndex, facts: Facts) -> Remedy:
    """Replace torch, and what is built against it, by the newest build of an index."""
    together = [
        name
        for name in ("torch", "torchvision", "torchaudio")
        if facts.package(name) or name == "torch" or (name == "torchvision" and facts.read_from)
    ]
    names = " ".join(together)
    return Remedy(
        text=f"Replace torch by a build from the index {index.name} ({index.note}). "
        f"Uninstall first: pip would call the installed one good enough.{_python_first(facts)}",
        commands=(
            f"{pip_of(facts)} uninstall -y {names}",
            f"{pip_of(facts)} install {names} --index-url {index.url}",
        ),
    )


def _python_first(facts: Facts) -> str:
    """What has to be said first where the Python of the facts is too old for the builds of an index."""
    have = minor_release(facts.python.version)
    if have is None or have >= _OLDEST_PYTHON:
        return ""
    return (
        f" This Python ({have[0]}.{have[1]}) is too old for them: make a new virtual environment with Python 3.11, 3.12 "
        "or 3.13 first, and run the commands there."
    )


def torch_for_cards(facts: Facts, gpus: tuple[Gpu, ...]) -> Remedy:
    """The torch that runs on all of ``gpus``: with the driver that is installed, or after the update that it needs."""
    remedy = torch_for_driver(facts, gpus)
    if remedy is not None:
        return remedy
    oldest = min(gpu.capability for gpu in gpus if gpu.capability is not None)
    index = wheel_index(oldest, None, facts.host.os)
    if index is None:
        return Remedy(
            "No current torch build has code for this card: compute on the processor, or use a newer card."
        )
    cuda = "13.0" if index is CU130 else "12.6"
    windows = "Windows" if facts.host.wsl else facts.host.os
    update = driver_update(facts, driver_floor(cuda, windows) or "")
    then = torch_from(index, facts)
    return Remedy(
        f"The driver comes first, for no current torch runs on it. {update.text} Then: {then.text}",
        (*update.commands, *then.commands),
    )


def torch_for_driver(facts: Facts, gpus: tuple[Gpu, ...]) -> Remedy | None:
    """The torch that runs on all of ``gpus`` with the driver that is installed; None if there is none."""
    capabilities = [gpu.capability for gpu in gpus if gpu.capability is not None]
    if not capabilities:
        return Remedy(
            text="Install a CUDA build of torch: cu130 for GTX 16xx, RTX 20xx and newer (driver 580 or "
            "newer), "
            "cu126 for older cards or drivers. The first pair of commands is for cu130, the last line for "
            "cu126.",
            commands=(
                *torch_from(CU130, facts).commands,
                torch_from(CU126, facts).commands[-1],
            ),
        )
    # The index for the oldest card serves the newer ones too, unless one of them needs a newer CUDA than it
    # has.
    oldest, newest = min(capabilities), max(capabilities)
    index = wheel_index(oldest, facts.driver.version, facts.host.os)
    if index is None:
        return None
    if newest >= (10, 0) and index is CU126:
        return Remedy(
            text="No current torch build serves both the oldest and the newest of these cards: use two "
            "environments, "
            "one per card, and choose the card with CUDA_VISIBLE_DEVICES.",
        )
    return torch_from(index, facts)


def driver_update(facts: Facts, floor: str) -> Remedy:
    """How to get a driver of at least ``floor`` here."""
    host = facts.host
    branch = floor.split(".")[0]
    if host.wsl:
        return Remedy(
            text=f"Update the NVIDIA driver of Windows to {branch} or newer ({DRIVER_PAGE}); inside WSL "
            "none must be "
            "installed. Then restart WSL.",
            commands=("wsl --shutdown",),
        )
    if host.container:
        return Remedy(
            text=f"Update the NVIDIA driver of the host, outside this container, to {floor} or newer."
        )
    if host.os == "Windows":
        return Remedy(text=f"Install driver {floor} or newer from {DRIVER_PAGE} and restart.")
    return Remedy(
        text=f"Install driver {floor} or newer, then restart.",
        commands=_driver_commands(host.distribution, branch),
    )


def _driver_commands(distribution: str | None, branch: str) -> tuple[str, ...]:
    name = (distribution or "").lower()
    if "ubuntu" in name or "mint" in name or "pop!_os" in name:
        return ("sudo ubuntu-drivers install", "sudo reboot")
    if "debian" in name:
        return ("sudo apt install nvidia-driver", "sudo reboot")
    if "fedora" in name:
        return ("sudo dnf install akmod-nvidia", "sudo reboot")
    if "arch" in name or "manjaro" in name:
        return ("sudo pacman -S nvidia", "sudo reboot")
    if "suse" in name:
        return (f"sudo zypper install 'nvidia-open-driver-G06-signed-kmp-default>={branch}'", "sudo reboot")
    return ()
