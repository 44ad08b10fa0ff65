"""Can the installed xformers load its extensions beside the installed torch, and is it needed?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, require
from doctor.compat import XFORMERS_STABLE_ABI, XFORMERS_STABLE_TORCH, minor_release, release
from doctor.facts import Facts, Package, TorchBuild
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP

_REMOVE = f"{PIP} uninstall -y xformers"


def run(facts: Facts) -> Iterator[Finding]:
    """Compare what xformers was built for (its ``cpp_lib.json``) with torch."""
    package = facts.package("xformers")
    if package is None or facts.torch is None:
        return
    torch = facts.torch
    version = require(torch.version, "torch.version")
    reason = _why_not(package, torch, version)
    if reason is None:
        yield _not_needed(package)
        return
    build = package.build or {}
    built_for = f" (built for torch {build['torch']})" if build.get("torch") else ""
    yield Finding(
        id="xformers-mismatch",
        severity=Severity.WARNING,
        title=f"xformers {package.version}{built_for} cannot use its extensions with torch {version}.",
        evidence={
            "xformers.version": package.version,
            "xformers.build": package.build,
            "torch.version": version,
            "torch.cuda": torch.cuda,
        },
        cause=reason,
        remedy=_remedy(torch),
    )


def _why_not(package: Package, torch: TorchBuild, version: str) -> str | None:
    """Why the extensions cannot load, in one or two sentences; None if nothing speaks against it."""
    if torch.cuda is None and torch.hip is None:
        return (
            "Its extensions need CUDA libraries of torch that a CPU build does not have. "
            "Without them it speeds up nothing."
        )
    build = package.build
    if build is None:
        return None
    if torch.cuda is not None and build.get("cuda") and _major(build["cuda"]) != _major(torch.cuda):
        return (
            f"The extensions were linked to the runtime of CUDA {build['cuda']}, and this torch brings "
            f"that of CUDA {torch.cuda}. They load only if the other runtime happens to be installed too."
        )
    built_torch, here = release(build.get("torch")), release(version)
    if built_torch is None or here is None:
        return None
    if (release(package.version) or ()) >= (release(XFORMERS_STABLE_ABI) or ()):
        if here >= (release(XFORMERS_STABLE_TORCH) or ()):
            return None
        return f"From {XFORMERS_STABLE_ABI} on, xformers takes torch {XFORMERS_STABLE_TORCH} or newer."
    if built_torch != here:
        return (
            f"Before {XFORMERS_STABLE_ABI}, xformers fits only the torch it was built with: {build['torch']}."
        )
    return None


def _major(version: str) -> int | None:
    numbers = release(version)
    return numbers[0] if numbers else None


def _remedy(torch: TorchBuild) -> Remedy:
    remove = "Remove it: diffusers uses torch's own attention (SDPA), which needs no package"
    new_enough = (minor_release(torch.version) or (0, 0)) >= (minor_release(XFORMERS_STABLE_TORCH) or (0, 0))
    if torch.cuda is None or not new_enough:
        return Remedy(f"{remove}.", (_REMOVE,))
    index = f"https://download.pytorch.org/whl/cu{torch.cuda.replace('.', '')}"
    again = f"{PIP} install --no-deps --force-reinstall xformers --index-url {index}"
    return Remedy(
        f"{remove}. Or install the build for the same CUDA, if its index has one (second line).",
        (_REMOVE, again),
    )


def _not_needed(package: Package) -> Finding:
    return Finding(
        id="xformers-not-needed",
        severity=Severity.NOTE,
        title=f"xformers {package.version} is installed; torch's own attention (SDPA) does the same work "
        "without it.",
        evidence={"xformers.version": package.version, "xformers.build": package.build},
        cause="Since torch 2.0 diffusers uses SDPA by default; which of the two is faster depends on the "
        "card.",
        remedy=Remedy("Nothing has to be done; measure before choosing.", ("sdoctor tune",)),
    )


CHECK = Check(
    name="xformers",
    title="Does the installed xformers fit the installed torch?",
    needs=("packages", "torch"),
    causes={
        "xformers-mismatch": "xformers was built for another torch or CUDA, so its extensions do not load.",
        "xformers-not-needed": "xformers is installed and fits, but SDPA does the same work (nothing wrong).",
    },
    run=run,
    sources=(
        "github.com/facebookresearch/xformers (xformers/_cpp_lib.py, setup.py)",
        "pypi.org/project/xformers 0.0.35: _C.so is linked to libcudart.so.12 and libtorch_cuda.so (readelf "
        "-d)",
        "github.com/AUTOMATIC1111/stable-diffusion-webui/issues/14320",
        "huggingface.co/docs/diffusers/optimization/fp16 (SDPA is the default)",
    ),
)
