"""Is the NVIDIA driver new enough for the CUDA that torch was built with?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, require
from doctor.compat import OLDEST_CAPABILITY, driver_at_least, driver_floor, release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import driver_update, torch_for_driver


def run(facts: Facts) -> Iterator[Finding]:
    """Compare with the floor of CUDA's major version: within it, minor versions do not matter."""
    if not facts.gpus or facts.torch is None or facts.torch.cuda is None or facts.message("cuda-works"):
        return
    if all(gpu.capability is not None and gpu.capability < OLDEST_CAPABILITY for gpu in facts.gpus):
        return  # no driver makes such a card usable; the check of the architecture says so
    cuda = facts.torch.cuda
    floor = driver_floor(cuda, "Windows" if facts.host.wsl else require(facts.host.os, "host.os"))
    version = require(facts.driver.version, "driver.version")
    enough = driver_at_least(version, require(floor, f"compat.driver_floor[{cuda}]"))
    major = (release(cuda) or (0,))[0]
    evidence: dict[str, object] = {
        "driver.version": version,
        "torch.version": facts.torch.version,
        "torch.cuda": cuda,
        "oldest driver": floor,
    }
    if require(enough, "driver.version"):
        yield Finding(
            id="driver-age",
            severity=Severity.OK,
            title=f"Driver {version} runs torch's CUDA {cuda} (CUDA {major} needs {floor} or newer).",
            evidence=evidence,
        )
        return
    yield Finding(
        id="driver-too-old",
        severity=Severity.ERROR,
        title=f"The NVIDIA driver {version} is too old for torch's CUDA {cuda}: it takes {floor} or newer.",
        evidence=evidence,
        cause=f"Every program built with CUDA {major} needs at least driver {floor}. torch will not see the "
        "card.",
        remedy=_remedy(facts, str(floor)),
    )


def _remedy(facts: Facts, floor: str) -> Remedy:
    update = driver_update(facts, floor)
    instead = torch_for_driver(facts, facts.gpus or ())
    if instead is None or not instead.commands:
        return update
    words = f"{update.text} Or keep the driver and use an older CUDA. {instead.text}"
    return Remedy(words, (*update.commands, *instead.commands))


CHECK = Check(
    name="driver-age",
    title="Is the NVIDIA driver new enough for torch's CUDA?",
    needs=("gpus", "torch", "torch.cuda"),
    causes={
        "driver-too-old": "The driver is older than the CUDA major version of torch needs.",
        "driver-age": "The driver is new enough (nothing wrong).",
    },
    run=run,
    sources=(
        "docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",
        "github.com/lllyasviel/Fooocus/issues/1313",
    ),
)
