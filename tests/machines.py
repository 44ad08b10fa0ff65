"""Facts of made-up machines: a healthy one, and small changes to it."""

import re
from dataclasses import replace
from typing import Any

from doctor.check import Check, examine
from doctor.facts import (
    Cpu,
    Disk,
    Driver,
    Facts,
    Gpu,
    Host,
    Memory,
    Package,
    Python,
    TorchBuild,
)
from doctor.finding import Finding
from doctor.sizes import GIB

ALL_SINCE_TURING = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")

RTX_3060 = Gpu(
    index=0,
    name="NVIDIA GeForce RTX 3060",
    uuid="GPU-aaaaaaaa-0000-0000-0000-000000000000",
    capability=(8, 6),
    memory_total=12 * GIB,
    memory_used=300 * 2**20,
    processes=(),
)


def package(name: str, version: str, *requires: str, **build: str) -> Package:
    return Package(name=name, version=version, requires=requires, build=build or None)


HEALTHY = Facts(
    host=Host(
        os="Linux",
        distribution="Ubuntu 24.04.1 LTS",
        kernel="6.8.0",
        machine="x86_64",
        wsl=False,
        container="",
    ),
    cpu=Cpu(
        model="Some Processor",
        physical_cores=8,
        logical_cores=16,
        usable_cores=16,
        flags=("avx2", "avx512_bf16"),
        niceness=0,
    ),
    memory=Memory(total=32 * GIB, available=24 * GIB, swap_total=8 * GIB, swap_used=0),
    disks=(Disk(purpose="model cache", path="~/.cache/huggingface/hub", free=200 * GIB, total=500 * GIB),),
    gpus=(RTX_3060,),
    driver=Driver(
        version="580.95.05", cuda_version=(13, 0), library_found=True, pci_devices=1, nouveau_loaded=False
    ),
    python=Python(
        version="3.12.4", implementation="CPython", bits=64, prefix="~/venv", virtual_environment=True
    ),
    torch=TorchBuild(version="2.13.0+cu130", cuda="13.0", architectures=ALL_SINCE_TURING),
    packages=(
        package("torch", "2.13.0+cu130"),
        package("diffusers", "0.42.1", "huggingface-hub<3.0,>=1.32.0", "numpy"),
        package("transformers", "5.23.0", "huggingface-hub<3.0,>=1.31.0", "numpy>=1.17"),
        package("accelerate", "1.15.0", "torch>=2.0.0"),
        package("huggingface-hub", "2.4.0"),
        package("numpy", "2.4.6"),
    ),
    environment={},
)

CPU_ONLY = replace(
    HEALTHY,
    gpus=(),
    driver=Driver(library_found=False, pci_devices=0, nouveau_loaded=False),
    torch=TorchBuild(version="2.13.0+cpu"),
)


def changed(facts: Facts, **parts: Any) -> Facts:
    """``facts`` with fields replaced; a dictionary changes fields inside a part: cpu={"niceness": 5}."""
    new = {
        name: replace(getattr(facts, name), **value)
        if isinstance(value, dict) and name != "environment"
        else value
        for name, value in parts.items()
    }
    return replace(facts, **new)


def with_gpu(facts: Facts, **fields: Any) -> Facts:
    """``facts`` with one card, the usual one with some fields changed."""
    return replace(facts, gpus=(replace(RTX_3060, **fields),))


def with_packages(facts: Facts, *packages: Package, without: tuple[str, ...] = ()) -> Facts:
    """``facts`` with packages added or replaced, and some removed."""
    names = {package.name for package in packages} | set(without)
    kept = tuple(package for package in facts.packages or () if package.name not in names)
    return replace(facts, packages=(*kept, *packages))


def ask(check: Check, facts: Facts) -> dict[str, Finding]:
    """What one check says, by id; two findings with one id are a mistake of the test."""
    findings = examine(facts, [check]).findings
    found = {finding.id: finding for finding in findings}
    assert len(found) == len(findings)
    for finding in findings:
        assert finding.id in check.causes or finding.severity == "unknown"
        assert_reads_well(finding)
    return found


def assert_reads_well(finding: Finding) -> None:
    """One whole sentence as the title, two at most as the cause, commands of one line each."""
    assert finding.title.endswith((".", "?"))
    assert not finding.cause or finding.cause.endswith(".")
    assert len(re.findall(r"[.?](?= |$)", finding.cause)) <= 2, finding.cause
    texts = [finding.title, finding.cause]
    if finding.remedy:
        texts.append(finding.remedy.text)
        assert finding.remedy.text.endswith(".")
        assert all(command and "\n" not in command for command in finding.remedy.commands)
    assert not any(mark in text for text in texts for mark in ("None", "{", "}", "  "))
