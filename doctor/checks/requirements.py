"""Do the installed packages meet one another's requirements?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doctor.check import Check, require
from doctor.checks.plain_requirement import name_of, plainly_met
from doctor.compat import release
from doctor.facts import Facts, Package
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP, pip_install

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

HF_STACK = frozenset(
    {
        "diffusers",
        "transformers",
        "accelerate",
        "huggingface-hub",
        "tokenizers",
        "safetensors",
        "peft",
        "hf-xet",
    }
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A requirement that is not met."""

    owner: Package
    requirement: str
    name: str
    specifier: str
    installed: Package | None


def run(facts: Facts) -> Iterator[Finding]:
    """Evaluate the requirements as the metadata state them, in the environment that the facts describe."""
    conflicts = list(find_conflicts(facts))
    for conflict in conflicts:
        yield _finding(facts, conflict)
    hub, diffusers = facts.package("huggingface-hub"), facts.package("diffusers")
    if hub and diffusers and _older(diffusers, (0, 29)) and not _older(hub, (0, 26)):
        yield _cached_download(diffusers, hub)


def find_conflicts(facts: Facts) -> Iterator[Conflict]:
    """Every unconditional requirement among the packages that another version, or none, is installed for."""
    installed = {package.name: package for package in facts.packages or ()}
    environment = _marker_environment(facts)
    for owner in installed.values():
        for text in owner.requires:
            required = name_of(text)
            if required is not None:
                have = installed.get(required)
                version = have.version if have else None
                if required not in _LOOKED_FOR or plainly_met(text, version, environment):
                    continue
            conflict = _conflict(owner, text, installed, environment)
            if conflict is not None:
                yield conflict


def _conflict(
    owner: Package, text: str, installed: Mapping[str, Package], environment: dict[str, str]
) -> Conflict | None:
    # Only for what is not plain, or not met: see plain_requirement.
    from packaging.markers import UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    try:
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate(environment)
    except (InvalidRequirement, UndefinedEnvironmentName, InvalidVersion):
        return None  # metadata that no tool could read cannot be held against the packages
    name = requirement.name.lower().replace("_", "-").replace(".", "-")
    if not applies or name not in _LOOKED_FOR:
        return None
    have = installed.get(name)
    if have is not None and _satisfies(have.version, requirement.specifier):
        return None
    return Conflict(owner, text, name, str(requirement.specifier), have)


_LOOKED_FOR = HF_STACK | {
    "torch",
    "torchvision",
    "torchaudio",
    "numpy",
    "pillow",
    "xformers",
    "bitsandbytes",
    "triton",
}


def _satisfies(version: str, specifier: SpecifierSet) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        # A nightly or a local build is good enough here, as it is for pip once it is installed.
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _marker_environment(facts: Facts) -> dict[str, str]:
    """The names that markers ask for, of the machine that the facts describe, not of this one."""
    version = require(facts.python.version, "python.version")
    numbers = release(version) or (3,)
    platform = {"Windows": "win32", "Darwin": "darwin", "Linux": "linux"}.get(facts.host.os or "", "")
    return {
        "extra": "",
        "implementation_name": (facts.python.implementation or "CPython").lower(),
        "implementation_version": version,
        "os_name": "nt" if platform == "win32" else "posix",
        "platform_machine": facts.host.machine or "",
        "platform_python_implementation": facts.python.implementation or "CPython",
        "platform_release": facts.host.kernel or "",
        "platform_system": facts.host.os or "",
        "platform_version": "",
        "python_full_version": version,
        "python_version": ".".join(map(str, numbers[:2])),
        "sys_platform": platform,
    }


def _finding(facts: Facts, conflict: Conflict) -> Finding:
    owner, have = conflict.owner, conflict.installed
    finding_id = "requirement-conflict"
    if owner.name in ("torchvision", "torchaudio") and conflict.name == "torch":
        finding_id = "torchvision-mismatch"
    elif owner.name in HF_STACK and conflict.name in HF_STACK:
        finding_id = "hf-version-conflict"
    wanted = f"{conflict.name}{conflict.specifier}"
    is_there = f"{conflict.name} {have.version} is installed" if have else f"{conflict.name} is not installed"
    return Finding(
        id=finding_id,
        severity=Severity.WARNING if owner.name == "xformers" or have is None else Severity.ERROR,
        title=f"{owner.name} {owner.version} requires {wanted}, but {is_there}.",
        evidence={
            f"packages.{owner.name}": owner.version,
            f"packages.{conflict.name}": have.version if have else None,
            "requirement": conflict.requirement,
        },
        cause="A later installation replaced one of the two without looking at the other.",
        remedy=_remedy(facts, finding_id, conflict),
    )


def _remedy(facts: Facts, finding_id: str, conflict: Conflict) -> Remedy:
    if finding_id == "torchvision-mismatch":
        cuda = facts.torch.cuda if facts.torch else None
        index = f"cu{cuda.replace('.', '')}" if cuda else "cpu"
        command = f"{PIP} install torch torchvision --index-url https://download.pytorch.org/whl/{index}"
        return Remedy(
            "Install the pair together, from one index.", (f"{PIP} uninstall -y torch torchvision", command)
        )
    owner = conflict.owner.name
    return Remedy(
        f"Upgrade {owner}, or install the {conflict.name} that it asks for (second line).",
        (pip_install(owner), f'{PIP} install "{conflict.name}{conflict.specifier}"'),
    )


def _cached_download(diffusers: Package, hub: Package) -> Finding:
    return Finding(
        id="hf-version-conflict",
        severity=Severity.ERROR,
        title=f"diffusers {diffusers.version} cannot be imported with huggingface-hub {hub.version}.",
        evidence={"packages.diffusers": diffusers.version, "packages.huggingface-hub": hub.version},
        cause="huggingface-hub 0.26 took out 'cached_download', which diffusers before 0.29 imports.",
        remedy=Remedy("Upgrade diffusers; 0.29 or newer does without it.", (pip_install("diffusers>=0.29"),)),
    )


def _older(package: Package, than: tuple[int, ...]) -> bool:
    numbers = release(package.version)
    return numbers is not None and numbers < than


CHECK = Check(
    name="requirements",
    title="Do the installed packages meet one another's requirements?",
    needs=("packages", "python.version"),
    causes={
        "hf-version-conflict": "diffusers, transformers, huggingface-hub, accelerate or peft do not fit one "
        "another.",
        "torchvision-mismatch": "torchvision or torchaudio belongs to another torch.",
        "requirement-conflict": "A package of the stack requires another version than is installed.",
    },
    run=run,
    sources=(
        "packaging.python.org/en/latest/specifications/dependency-specifiers",
        "github.com/easydiffusion/easydiffusion/issues/1851",
        "github.com/huggingface/diffusers/issues/9109",
    ),
)
