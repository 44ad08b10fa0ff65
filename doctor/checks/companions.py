"""Are the packages there that diffusers works better, or only, with?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check, known
from doctor.compat import NUMPY_2_TORCH, release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import PIP, pip_install


def run(facts: Facts) -> Iterator[Finding]:
    """accelerate missing; NumPy 2 beside a torch that was built for NumPy 1."""
    complete = known(facts, "packages.accelerate") if facts.read_from else True
    if complete and facts.package("diffusers") and not facts.package("accelerate"):
        yield Finding(
            id="accelerate-missing",
            severity=Severity.WARNING,
            title="accelerate is not installed, so models cannot be offloaded to main memory.",
            evidence={
                "packages.diffusers": getattr(facts.package("diffusers"), "version", None),
                "packages.accelerate": None,
            },
            cause="diffusers' CPU offload needs it, and without it a model takes twice the memory while it "
            "loads.",
            remedy=Remedy("Install it.", (pip_install("accelerate"),)),
        )
    yield from _numpy(facts)


def _numpy(facts: Facts) -> Iterator[Finding]:
    numpy = facts.package("numpy")
    torch = facts.torch.version if facts.torch else None
    have, torch_numbers, floor = (
        release(numpy.version if numpy else None),
        release(torch),
        release(NUMPY_2_TORCH),
    )
    if have is None or torch_numbers is None or floor is None or have < (2,) or torch_numbers >= floor:
        return
    yield Finding(
        id="numpy-abi",
        severity=Severity.ERROR,
        title=f"torch {torch} was built for NumPy 1 and cannot use NumPy {numpy.version if numpy else ''}.",
        evidence={"packages.numpy": numpy.version if numpy else None, "torch.version": torch},
        cause="NumPy 2 changed its binary interface; pictures fail at the end with 'Numpy is not available'.",
        remedy=Remedy("Go back to NumPy 1, or upgrade torch (2.3 or newer).", (f'{PIP} install "numpy<2"',)),
    )


CHECK = Check(
    name="companions",
    title="Are the packages there that diffusers needs beside torch?",
    needs=("packages",),
    causes={
        "accelerate-missing": "accelerate is missing: no CPU offload, and loading takes twice the memory.",
        "numpy-abi": "NumPy 2 with a torch that was built for NumPy 1.",
    },
    run=run,
    sources=(
        "github.com/huggingface/diffusers (pipelines/pipeline_utils.py)",
        "github.com/Comfy-Org/ComfyUI/issues/5289",
    ),
)
