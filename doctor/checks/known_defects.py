"""Is a release installed that is known for a defect which shows as slow, black or memory-hungry pictures?"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.check import Check
from doctor.compat import release
from doctor.facts import Facts
from doctor.finding import Finding, Remedy, Severity
from doctor.remedies import pip_of


def run(facts: Facts) -> Iterator[Finding]:
    """Compare versions with the table of defects."""
    torch = release(facts.torch.version) if facts.torch else None
    if torch and torch[:2] == (2, 9) and facts.torch and facts.torch.cuda:
        yield Finding(
            id="torch-conv3d-memory",
            severity=Severity.NOTE,
            title=f"torch {facts.torch.version} needs about three times the memory for the VAE of video "
            f"and Qwen models.",
            evidence={"torch.version": facts.torch.version},
            cause="The 2.9 releases do not use cuDNN for 3D convolutions in half precision. Models with "
            "2D VAEs (SD, SDXL, FLUX) "
            "are not concerned.",
            remedy=Remedy(
                "Use torch 2.10 or newer for such models.",
                (f"{pip_of(facts)} install --upgrade torch torchvision",),
            ),
        )
    xformers = facts.package("xformers")
    if xformers and release(xformers.version) == (0, 0, 18):
        yield Finding(
            id="xformers-black",
            severity=Severity.NOTE if facts.read_from else Severity.WARNING,
            title="xformers 0.0.18 makes black pictures at large sizes.",
            evidence={"packages.xformers": xformers.version},
            cause="That release computes attention wrongly there; ComfyUI warns of it when it starts.",
            remedy=Remedy(
                "Remove it, or install another release.", (f"{pip_of(facts)} uninstall -y xformers",)
            ),
        )


CHECK = Check(
    name="known-defects",
    title="Is a release installed that is known for a defect?",
    needs=("packages", "torch"),
    causes={
        "torch-conv3d-memory": "torch 2.9 needs far more memory for 3D convolutions in half precision.",
        "xformers-black": "xformers 0.0.18 makes black pictures.",
    },
    run=run,
    sources=(
        "github.com/pytorch/pytorch/issues/166643",
        "github.com/Comfy-Org/ComfyUI/pull/10373",
        "github.com/Comfy-Org/ComfyUI (comfy/model_management.py)",
    ),
)
