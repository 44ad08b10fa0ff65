"""What runs with what: drivers, CUDA, torch builds, GPU architectures, Python, xformers.

Every row names its public source. "test-infra matrix" is the history of pytorch/test-infra
tools/scripts/generate_binary_build_matrix.py; "pt#n" is an issue or pull request of pytorch/pytorch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

Capability = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DriverFloor:
    """The oldest driver that runs programs built with any CUDA of one major version."""

    cuda_major: int
    linux: str
    windows: str
    source: str


_MINOR_VERSIONS = "docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
_RELEASE_NOTES = "docs.nvidia.com/cuda/cuda-toolkit-release-notes"

DRIVER_FLOORS = (
    DriverFloor(11, "450.80.02", "452.39", _MINOR_VERSIONS),
    DriverFloor(12, "525.60.13", "528.33", _MINOR_VERSIONS),
    DriverFloor(
        13, "580.65.06", "580.88", f"{_RELEASE_NOTES}; github.com/pytorch/pytorch/releases (2.12 notes)"
    ),
)


EXACT_DRIVER_FLOORS = {
    "9.0": ("384.81", "385.54"),
    "9.1": ("390.46", "391.29"),
    "9.2": ("396.26", "397.44"),
    "10.0": ("410.48", "411.31"),
    "10.1": ("418.39", "418.96"),
    "10.2": ("440.33", "441.22"),
}
"""Before CUDA 11 every minor version had a floor of its own: CUDA -> (Linux, Windows). Source: release notes,
table 3 (docs.nvidia.com/cuda/cuda-toolkit-release-notes)."""


@dataclass(frozen=True, slots=True)
class TorchRelease:
    """One minor release of torch: the CUDA builds that were published, and the Pythons it has wheels for."""

    torch: str
    cuda: tuple[str, ...]
    """CUDA builds on download.pytorch.org, oldest first."""
    pypi_cuda: str
    """CUDA of the Linux x86-64 wheel on PyPI."""
    python: tuple[str, str]
    """Oldest and newest Python with stable wheels."""
    source: str = "test-infra matrix; pytorch/pytorch RELEASE.md; PyPI metadata"


TORCH_RELEASES = (
    TorchRelease("2.0", ("11.7", "11.8"), "11.7", ("3.8", "3.11")),
    TorchRelease("2.1", ("11.8", "12.1"), "12.1", ("3.8", "3.11")),
    TorchRelease("2.2", ("11.8", "12.1"), "12.1", ("3.8", "3.12")),
    TorchRelease("2.3", ("11.8", "12.1"), "12.1", ("3.8", "3.12")),
    TorchRelease("2.4", ("11.8", "12.1", "12.4"), "12.1", ("3.8", "3.12")),
    TorchRelease("2.5", ("11.8", "12.1", "12.4"), "12.4", ("3.9", "3.12")),
    TorchRelease("2.6", ("11.8", "12.4", "12.6"), "12.4", ("3.9", "3.13")),
    TorchRelease("2.7", ("11.8", "12.6", "12.8"), "12.6", ("3.9", "3.13")),
    TorchRelease("2.8", ("12.6", "12.8", "12.9"), "12.8", ("3.9", "3.13")),
    TorchRelease("2.9", ("12.6", "12.8", "13.0"), "12.8", ("3.10", "3.14")),
    TorchRelease("2.10", ("12.6", "12.8", "13.0"), "12.8", ("3.10", "3.14")),
    TorchRelease("2.11", ("12.6", "12.8", "12.9", "13.0"), "13.0", ("3.10", "3.14")),
    TorchRelease("2.12", ("12.6", "13.0", "13.2"), "13.0", ("3.10", "3.14"), "pt#178665; test-infra matrix"),
    TorchRelease("2.13", ("12.6", "13.0", "13.2"), "13.0", ("3.10", "3.14")),
    TorchRelease("2.14", ("12.6", "13.0", "13.2"), "13.0", ("3.10", "3.14")),
    TorchRelease("2.15", ("13.0", "13.2"), "13.2", ("3.11", "3.14"), "pt#190385; pytorch/test-infra#8739"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BuildArchitectures:
    """GPU architectures inside the x86-64 wheels of a range of torch releases."""

    cuda: tuple[str, ...]
    first: str
    last: str
    """First and last torch minor release of the row, both included."""
    architectures: tuple[str, ...]
    source: str = "test-infra matrix"


_FROM_MAXWELL = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_FROM_TURING = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")

BUILD_ARCHITECTURES = (
    BuildArchitectures(("11.7",), "2.0", "2.0", ("sm_37", *_FROM_MAXWELL[:-1])),
    BuildArchitectures(("11.8",), "2.0", "2.5", ("sm_37", *_FROM_MAXWELL)),
    BuildArchitectures(("12.1", "12.4"), "2.1", "2.6", _FROM_MAXWELL),
    BuildArchitectures(("12.6",), "2.6", "2.14", _FROM_MAXWELL, "pt#157517; pt#190385"),
    BuildArchitectures(("12.8",), "2.7", "2.7", (*_FROM_MAXWELL, "sm_100", "sm_120"), "pt#157517"),
    BuildArchitectures(("12.8",), "2.8", "2.10", ("sm_70", *_FROM_TURING), "pt#157517"),
    BuildArchitectures(("12.9",), "2.8", "2.8", ("sm_70", *_FROM_TURING, "compute_120"), "pt#157517"),
    BuildArchitectures(("12.8",), "2.11", "2.11", _FROM_TURING, "pt#172352"),
    BuildArchitectures(("13.0", "13.2"), "2.9", "2.15", _FROM_TURING, "pt#172352; wheels on PyPI"),
)  # fmt: skip

XFORMERS_STABLE_ABI = "0.0.35"
"""From this release on one build serves every torch >= 2.10 (facebookresearch/xformers tags, PyPI
Requires-Dist)."""

XFORMERS_STABLE_TORCH = "2.10"

NUMPY_2_TORCH = "2.3"
"""First torch built against NumPy 2 (github.com/Comfy-Org/ComfyUI/issues/5289; pytorch 2.3 release notes)."""

OLDEST_CAPABILITY: Capability = (5, 0)
"""Maxwell; nothing older is in any wheel since torch 2.6 (test-infra matrix)."""

NATIVE_BF16: Capability = (8, 0)
"""bfloat16 in hardware begins with Ampere (CUDA C++ Programming Guide, arithmetic instructions)."""

_ONLY_THEMSELVES = frozenset({(5, 3), (6, 2), (7, 2), (8, 7)})
"""Jetson code runs on no other card (pytorch/pytorch torch/cuda/__init__.py)."""

_ARCHITECTURE = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d{1,2})(?P<minor>\d)(?P<suffix>[af]?)")


def release(version: str | None) -> tuple[int, ...] | None:
    """The numbers of a version ("2.9.1+cu128" -> (2, 9, 1)), or None if it is not one."""
    try:
        return Version(version).release if version else None
    except InvalidVersion:
        return None


def minor_release(version: str | None) -> tuple[int, int] | None:
    """The first two numbers of a version: "2.9.1+cu128" -> (2, 9)."""
    numbers = release(version)
    if not numbers:
        return None
    return numbers[0], numbers[1] if len(numbers) > 1 else 0


def driver_floor(cuda: str, os: str | None) -> str | None:
    """Oldest driver for a program built with ``cuda`` ("12.8"); None for a CUDA that is not in the table.

    Only the major version counts: within it, older drivers run newer minor versions.
    """
    exact = EXACT_DRIVER_FLOORS.get(cuda)
    if exact is not None:
        return exact[os == "Windows"]
    numbers = release(cuda)
    row = next((row for row in DRIVER_FLOORS if numbers and row.cuda_major == numbers[0]), None)
    if row is None:
        return None
    return row.windows if os == "Windows" else row.linux


def driver_at_least(version: str, floor: str) -> bool | None:
    """Whether a driver version reaches ``floor``; None if it is not a version."""
    have, need = release(version), release(floor)
    return None if have is None or need is None else have >= need


def architectures_of(torch: str | None, cuda: str | None, machine: str | None) -> tuple[str, ...] | None:
    """What the published x86-64 wheel of that torch and CUDA carries; None if it is not in the table."""
    wanted = minor_release(torch)
    if wanted is None or cuda is None or machine not in ("x86_64", "AMD64"):
        return None
    for row in BUILD_ARCHITECTURES:
        first, last = minor_release(row.first), minor_release(row.last)
        if cuda in row.cuda and first is not None and last is not None and first <= wanted <= last:
            return row.architectures
    return None


def runs_on(architecture: str, capability: Capability) -> bool:
    """Whether code of one architecture ("sm_86", "sm_90a", "compute_120") runs on a card of that capability.

    Machine code of X.y runs on X.z with z >= y; the suffix "a" ties it to exactly its card, "f" to its
    family;
    PTX ("compute_") is compiled by the driver for every newer card.
    Source: pytorch/pytorch torch/cuda/__init__.py; CUDA C++ Programming Guide, binary compatibility.
    """
    match = _ARCHITECTURE.fullmatch(architecture)
    if match is None:
        return False
    code = (int(match["major"]), int(match["minor"]))
    if match["suffix"] == "a":
        return code == capability
    if match["kind"] == "compute":
        return code <= capability
    if code in _ONLY_THEMSELVES:
        return code == capability
    # 10.1 was renamed to 11.0, and code for 10.0 does not run on it.
    if capability == (10, 1) and code == (10, 0):
        return False
    return code[0] == capability[0] and code[1] <= capability[1]


def newest_code(architectures: tuple[str, ...]) -> Capability | None:
    """The newest capability that a list of architectures names; None for an empty or unreadable list."""
    matches = (_ARCHITECTURE.fullmatch(name) for name in architectures)
    return max(((int(m["major"]), int(m["minor"])) for m in matches if m), default=None)


@dataclass(frozen=True, slots=True)
class WheelIndex:
    """Where pip finds the newest torch for a card and its driver."""

    name: str
    """"cu126", "cu128", "cu130": the last part of the index address."""
    note: str

    @property
    def url(self) -> str:
        """The address for pip's --index-url."""
        return f"https://download.pytorch.org/whl/{self.name}"


CU126 = WheelIndex("cu126", "CUDA 12.6 builds, up to torch 2.14: the last ones for Maxwell, Pascal and Volta")
CU128 = WheelIndex(
    "cu128", "CUDA 12.8 builds, up to torch 2.11: the last ones for Blackwell with a driver below 580"
)
CU130 = WheelIndex("cu130", "CUDA 13.0 builds: RTX 20 / GTX 16 and newer, driver 580 or newer")


def wheel_index(capability: Capability, driver: str | None, os: str | None) -> WheelIndex | None:
    """The newest published builds that carry code for the card and run on its driver.

    None if no current build does: the card is too old, or its driver has to be updated first. Without a known
    driver it is taken to be a current one.
    """
    if capability < OLDEST_CAPABILITY:
        return None
    reaches_13 = driver is None or bool(driver_at_least(driver, driver_floor("13.0", os) or ""))
    reaches_12 = driver is None or bool(driver_at_least(driver, driver_floor("12.6", os) or ""))
    if capability >= (7, 5) and reaches_13:
        return CU130
    if not reaches_12:
        return None
    return CU128 if capability >= (10, 0) else CU126
