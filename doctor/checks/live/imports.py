"""Can the packages be imported that every image program imports first?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.checks.live.results import quoted
from doctor.facts import Facts, ProbeOutcome
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of

_PACKAGES = ("torch", "diffusers", "xformers")

SLOW_IMPORT = 30.0
"""Seconds. Measured: 1.7 s for torch, 5 s for diffusers with a pipeline, beside other probes on two cores."""


def run(facts: Facts) -> Iterator[Finding]:
    """The real error of each import; a crash or hang is another check's business."""
    torch = facts.probe("import-torch")
    for package in _PACKAGES:
        result = facts.probe(f"import-{package}")
        # What needs torch fails with torch's own error: that is one problem, not three.
        if result is None or (
            result is not torch and torch and torch.error and quoted(result) == quoted(torch)
        ):
            continue
        if result.outcome is ProbeOutcome.FAILED:
            yield Finding(
                id=f"{package}-import-fails",
                severity=Severity.WARNING if package == "xformers" else Severity.ERROR,
                title=f"{package} is installed but cannot be imported: {quoted(result)}.",
                evidence={"error": result.error, "during": result.during},
                cause="A library that it needs is missing, broken or of another version. Where these words "
                "name a known cause, a finding of its own tells it.",
                remedy=_remedy(facts, package),
            )
        seconds = result.value("import")
        if result.outcome is ProbeOutcome.OK and seconds is not None and seconds >= SLOW_IMPORT:
            yield Finding(
                id="import-slow",
                severity=Severity.NOTE,
                title=f"Importing {package} took {seconds:.0f} s.",
                evidence={"seconds": seconds, "processor seconds": result.value("import_cpu")},
                cause="Thousands of small files are read. A slow disk, a network folder or a virus scanner "
                "costs time for each of them.",
                remedy=Remedy("Keep the Python environment on a local SSD, and run this again: the second "
                              "time is faster."),
            )  # fmt: skip


def _remedy(facts: Facts, package: str) -> Remedy:
    pip = pip_of(facts)
    if package == "xformers":
        return Remedy(
            "Remove it: diffusers uses torch's own attention without it.", (f"{pip} uninstall -y xformers",)
        )
    if package == "diffusers":
        together = "diffusers transformers accelerate huggingface-hub"
        return Remedy(
            "Bring it and what it needs to versions of one time.", (f"{pip} install --upgrade {together}",)
        )
    return Remedy(
        "Look for another version of torch's libraries on LD_LIBRARY_PATH or PATH; without one, install torch anew.",
        (f"{pip} install --force-reinstall torch torchvision",),
    )


CHECK = Check(
    name="live-imports",
    title="Can torch, diffusers and xformers be imported?",
    needs=(),
    causes={
        "torch-import-fails": "torch is installed, but importing it or its first computation raises an error.",
        "diffusers-import-fails": "diffusers is installed, but importing a pipeline raises an error.",
        "xformers-import-fails": "xformers is installed, but importing it raises an error.",
        "import-slow": "Importing takes half a minute or more.",
    },
    run=run,
    sources=("github.com/pytorch/pytorch/issues/111469", "github.com/huggingface/diffusers/issues/9109"),
)
