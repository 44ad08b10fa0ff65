"""Fingerprint: what a measurement is valid for. The same code moves by a factor of two between builds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import msgspec

from doctor.facts import Facts
from doctor.sizes import GIB
from tuner.target import Target

_CALLED = {"memory_gib": "memory in GiB", "name": "processor or card"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Device, memory, driver and library versions. None where the facts do not say."""

    device: str
    """Kind of device: "cpu" or "cuda"."""
    name: str | None = None
    memory_gib: int | None = None
    """Memory of the device, rounded to GiB: a kernel update may move a few pages."""
    cores: int | None = None
    """Usable physical cores, for a CPU."""
    driver: str | None = None
    torch: str | None = None
    diffusers: str | None = None
    os: str | None = None

    def key(self) -> str:
        """Eight hexadecimal digits that stand for it in file names."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]

    def differences(self, other: Fingerprint) -> list[str]:
        """What differs, in words: "torch 2.12.0 instead of 2.13.0" (other's value first)."""
        return [
            f"{_CALLED.get(item.name, item.name)} {getattr(other, item.name)} instead of {getattr(self, item.name)}"
            for item in fields(self)
            if getattr(self, item.name) != getattr(other, item.name)
        ]


def fingerprint_of(facts: Facts, target: Target) -> Fingerprint:
    """The fingerprint of a target on a machine."""
    diffusers = facts.package("diffusers")
    return Fingerprint(
        device="cpu" if target.is_cpu else "cuda",
        name=target.name,
        memory_gib=None if target.memory_total is None else round(target.memory_total / GIB),
        cores=target.cores if target.is_cpu else None,
        driver=None if target.is_cpu else facts.driver.version,
        torch=facts.torch.version if facts.torch else None,
        diffusers=diffusers.version if diffusers else None,
        os=facts.host.os,
    )
