"""Error lines of AMD cards: ROCm, HIP, DirectML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.checks.reported.rules import Rule, check_of, finding_of, is_windows, only_amd
from doctor.facts import Facts, Message
from doctor.finding import Finding, Remedy
from doctor.remedies import ROCM_INDEX, pip_of, set_variable

_SIBLINGS = (
    (r"gfx103[1-6]|gfx101\d|RX ?[56][3-9]\d\d|RX 6000|Navi ?[12]\d|RX ?5000", "10.3.0"),
    (r"gfx110[1-3]|gfx115\d|RX ?7\d{3}|RX 7000|7[48]0M|8[89]0M|80[56]0S|Navi ?3\d|Strix", "11.0.0"),
    (r"gfx120\d|RX ?9\d{3}", "12.0.0"),
    (r"gfx90[2-9c]|Vega", "9.0.0"),
    (r"gfx803|RX ?[45][5-9]0", "8.0.3"),
)
"""What a card can be presented as: the sibling in ROCm's list of targets (github.com/ROCm/ROCm/issues/2536;
rocm.docs.amd.com, system requirements; users' reports for the integrated ones)."""

_CUDA_ASKED = ("torch-no-gpu", "cuda-not-compiled", "no-driver", "no-cuda-gpus", "driver-too-old")


def target_of(facts: Facts) -> tuple[str | None, str]:
    """The card's gfx target or name as the report gives it, and the version it can be presented as."""
    named = facts.message("gfx")
    gfx = named.values["gfx"] if named else None
    said = facts.message("hip-no-binary")
    text = " ".join(filter(None, (gfx, *(gpu.name for gpu in facts.gpus or ()), said.text if said else "")))
    version = next((value for pattern, value in _SIBLINGS if re.search(pattern, text, re.I)), "10.3.0")
    return gfx or next((gpu.name for gpu in facts.gpus or () if gpu.vendor == "amd"), None), version


def _run(facts: Facts) -> Iterator[Finding]:
    said = facts.message("hip-no-binary")
    if said is None and facts.torch and facts.torch.hip:
        said = facts.message("no-kernel-image")
    if said is not None:
        yield _unsupported(facts, said)
    asked = next((one for kind in _CUDA_ASKED if (one := facts.message(kind))), None)
    built_for_cuda = facts.torch is not None and facts.torch.cuda is not None
    rocm = facts.torch is not None and facts.torch.hip is not None
    other = facts.message("directml") or facts.message("zluda")
    if only_amd(facts) and not rocm and (asked or (built_for_cuda and not other)):
        yield _wrong_torch(facts, asked)


def _unsupported(facts: Facts, said: Message) -> Finding:
    card, version = target_of(facts)
    return finding_of(
        "rocm-gfx-unsupported",
        said,
        f"The ROCm build has no kernels for this AMD card{f' ({card})' if card else ''}.",
        "Its gfx target is not among those that the build was compiled for. Many cards work when they are "
        "presented as "
        "a sibling with the same instructions.",
        Remedy(
            "Present the card as a sibling with HSA_OVERRIDE_GFX_VERSION (10.3.0 for RX 5000/6000, 11.0.0 "
            "for RX 7000 "
            "and gfx115x, 12.0.0 for RX 9000), or install a build made for it.",
            (
                *set_variable(facts, "HSA_OVERRIDE_GFX_VERSION", version),
                f"{pip_of(facts)} install --force-reinstall torch torchvision --index-url {ROCM_INDEX}",
            ),
        ),
        evidence={"card": card, "HSA_OVERRIDE_GFX_VERSION": version},
    )


def _wrong_torch(facts: Facts, asked: Message | None) -> Finding:
    windows = is_windows(facts)
    return finding_of(
        "amd-wrong-torch",
        asked,
        "An AMD (Radeon) card with a torch that was built for CUDA or for the processor.",
        "CUDA builds cannot use a Radeon; torch needs its ROCm builds for it."
        + (" On Windows these are AMD's own, for RX 7000 and 9000." if windows else ""),
        Remedy(
            "Use AMD's ROCm build of torch for Windows (RX 7000/9000), or a version of the program for "
            "AMD: ZLUDA or "
            "DirectML (--use-directml in its start flags).",
            (f"{pip_of(facts)} install torch-directml",),
        )
        if windows
        else Remedy(
            "Replace torch by a ROCm build.",
            (
                f"{pip_of(facts)} uninstall -y torch torchvision",
                f"{pip_of(facts)} install torch torchvision --index-url {ROCM_INDEX}",
            ),
        ),
    )


_GROUPS = Remedy(
    "Add the user to the groups render and video and log in again; into a container pass /dev/kfd and "
    "/dev/dri with "
    "these groups (--group-add).",
    ("sudo usermod -aG render,video $USER", "ls -l /dev/kfd /dev/dri/renderD*"),
)
_RULES = (
    Rule(kind="rocm-group", id="rocm-permissions", title="The user may not open /dev/kfd or /dev/dri.",
         cause="ROCm computes through these devices, which belong to the groups render and video. "
         "Inside a container the group numbers of the host count.", remedy=_GROUPS),
    Rule(kind="rocm-not-loaded", id="rocm-no-driver", title="The amdgpu kernel driver is not loaded.",
         cause="ROCm needs the kernel's amdgpu driver. It is missing, blocked, or too old for the card.",
         remedy=Remedy("Load it and look at the kernel log.", ("sudo modprobe amdgpu", "sudo dmesg | grep "
              "-i amdgpu"))),
    Rule(kind="hip-no-gpu", id="rocm-no-driver", title="ROCm sees no AMD card.",
         cause="The driver is not loaded, the user lacks the groups render and video, or "
              "HIP_VISIBLE_DEVICES hides the card.",
         remedy=_GROUPS),
    Rule(kind="hip-fault", id="rocm-fault", title="The AMD card stopped with a memory or instruction "
         "fault.",
         cause="Code for another card runs on it, mostly because HSA_OVERRIDE_GFX_VERSION names the wrong "
              "sibling. "
         "An unstable card or an old kernel does it too.",
         remedy=lambda facts, _message: Remedy(
             "Set the version that fits the card, or take the variable away.",
             set_variable(facts, "HSA_OVERRIDE_GFX_VERSION", target_of(facts)[1]))),
    Rule(kind="directml-oom", id="oom-too-big", title="DirectML ran out of video memory.",
         cause="DirectML needs about twice the memory of CUDA or ROCm for the same picture, and gives it "
              "back late.",
         remedy=Remedy("Lower the picture size or use --lowvram; on Linux, or with ZLUDA or ROCm, the "
              "same card does more.")),
)  # fmt: skip

CHECK = check_of(
    "amd",
    "Do the error lines belong to an AMD card?",
    {
        "amd-wrong-torch": "An AMD card with a torch that was built for CUDA.",
        "rocm-gfx-unsupported": "The ROCm build has no kernels for the card's gfx target.",
        "rocm-permissions": "The user may not open /dev/kfd or /dev/dri.",
        "rocm-no-driver": "The amdgpu driver is not loaded or shows no card.",
        "rocm-fault": "The card stopped with a memory or instruction fault.",
        "oom-too-big": "DirectML ran out of video memory.",
    },
    (
        "github.com/ROCm/ROCm/issues/2536",
        "github.com/pytorch/pytorch/issues/164346",
        "github.com/invoke-ai/InvokeAI/issues/7885",
        "rocm.docs.amd.com/projects/install-on-linux",
    ),
    rules=_RULES,
    run=_run,
)
